"""The adversary: it lets good encoders pass, and names what broke a bad one, in the plainest sounds that do."""

import numpy as np
import pytest
import torch
from torch import nn

from testtone.tests.adversary import challenge

RATE, HOP = 8_000, 80


class Plain:
    """A convolution without padding: it keeps every promise."""

    name = "plain"
    sample_rate = RATE

    def __init__(self):
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.first = nn.Conv1d(1, 6, 160, stride=HOP, bias=False)

    @torch.no_grad()
    def listen(self, waveforms):
        """As the contract asks."""
        return {"latent": self.first(waveforms[:, None])}


class Forgetful(Plain):
    """Each answer carries a little of the last clip that was heard."""

    kept = 0.0

    def listen(self, waveforms):
        """As the contract asks."""
        heard = super().listen(waveforms)["latent"] + self.kept
        self.kept = float(waveforms.abs().max())
        return {"latent": heard}


class Crowded(Plain):
    """It is normalised by the loudest of its batch."""

    def listen(self, waveforms):
        """As the contract asks."""
        return {"latent": super().listen(waveforms / waveforms.abs().amax().clamp(min=1e-3))["latent"]}


class Placed(Plain):
    """The third place of a batch answers louder."""

    def listen(self, waveforms):
        """As the contract asks."""
        heard = super().listen(waveforms)["latent"]
        heard[2:] *= 1.5
        return {"latent": heard}


class Uneasy(Plain):
    """Silence beside anything answers with what stands beside it."""

    def listen(self, waveforms):
        """As the contract asks."""
        silent = waveforms.abs().amax(dim=1) == 0
        if silent.any() and not silent.all():
            waveforms = torch.where(silent[:, None], waveforms[~silent][:1], waveforms)
        return super().listen(waveforms)


class Clocked(Plain):
    """It knows how late it is: frames depend on their place in the clip."""

    def listen(self, waveforms):
        """As the contract asks."""
        heard = super().listen(waveforms)["latent"]
        return {"latent": heard * torch.linspace(1, 2, heard.shape[2])}


def outcomes(report):
    return {finding.check: finding.outcome for finding in report.findings}


KEPT = dict.fromkeys(("determinism", "company", "order", "silence", "shift"), "ok")


def test_a_good_encoder_passes():
    report = challenge(Plain())
    assert outcomes(report) == KEPT, str(report)
    assert report.ok
    assert "10 batches drawn, and none broke it" in str(report)


@pytest.mark.parametrize("spec", ["power-filterbank", "encodec-mini"])
def test_bundled_encoders_pass(spec):
    report = challenge(spec, seconds=0.25)
    assert report.ok, str(report)


@pytest.mark.parametrize(
    ("encoder", "check", "said"),
    [
        (Forgetful, "determinism", "it answers otherwise"),
        (Crowded, "company", "it answers otherwise than alone"),
        (Placed, "order", "at place"),
        (Uneasy, "silence", "silence answers otherwise than alone"),
    ],
)
def test_a_broken_promise_is_named_with_the_sounds_that_broke_it(encoder, check, said):
    report = challenge(encoder(), effort="standard", seconds=0.25)
    assert outcomes(report)[check] == "fault", str(report)
    text = next(finding.text for finding in report.findings if finding.check == check)
    assert said in text
    assert " at -" in text  # the level of a sound
    assert "% of a frame's size at latent" in text


def test_an_encoder_that_knows_the_time_gets_a_note():
    report = challenge(Clocked())
    assert outcomes(report) == KEPT | {"shift": "note"}, str(report)
    assert report.ok
    assert "one hop (80 samples) later its frames are not one later" in str(report)


def test_what_breaks_a_promise_is_shrunk():
    report = challenge(Crowded(), effort="standard", seconds=0.25)
    text = next(finding.text for finding in report.findings if finding.check == "company")
    company = text.split("among ")[1].split(" it answers")[0].split("; ")
    assert len(company) == 2


def test_an_encoder_that_raises_is_at_fault():
    class Broken(Plain):
        def listen(self, waveforms):
            """As the contract asks."""
            if float(waveforms.abs().max()) > 0.05:
                raise RuntimeError("too loud for me")
            return super().listen(waveforms)

    report = challenge(Broken())
    assert "fault" in outcomes(report).values()
    assert "too loud for me" in str(report)


def test_answers_that_are_not_finite_are_a_fault():
    class Overflowing(Plain):
        def listen(self, waveforms):
            """As the contract asks."""
            heard = super().listen(waveforms)["latent"]
            return {"latent": torch.where(waveforms.abs().amax() > 0.2, torch.full_like(heard, np.nan), heard)}

    assert not challenge(Overflowing(), effort="standard", seconds=0.25).ok
