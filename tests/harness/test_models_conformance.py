"""Does an encoder keep the contract? Good ones pass; each broken one is named by the check whose promise it breaks."""

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from testtone.models import Report, check, tap
from testtone.models.listening import EncoderFault
from testtone.models.protocol import OPTIONAL_ATTRIBUTES
from testtone.models.references import REFERENCES

SAMPLE_RATE = 8000
HOP = 80
ENTRIES = torch.randn(2, 32, 6, generator=torch.Generator().manual_seed(2))
"""Two codebooks of 32 entries for six channels."""


def summed(codes: Tensor) -> Tensor:
    """Return the sum of the entries that codes name, 'batch channels frames'."""
    chosen = [ENTRIES[book][codes[:, book]] for book in range(codes.shape[1])]
    return torch.stack(chosen).sum(dim=0).transpose(1, 2)


class Codec:
    """A small codec that keeps every promise: two convolutions without padding, two codebooks."""

    name = "codec"
    sample_rate = SAMPLE_RATE

    def __init__(self) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.first = nn.Conv1d(1, 8, 16, stride=8)
            self.rest = nn.Sequential(nn.ELU(), nn.Conv1d(8, 6, 20, stride=10))
        self.strides: Any = (8, 10)
        self.frame_rates: Any = {"first_conv": 1000.0, "stack_end": 100.0, "latent": 100.0}
        self.margin_seconds: Any = dict.fromkeys(("first_conv", "stack_end", "latent", "quantised"), 0.0)
        self.bandwidth_kbps: Any = 1.0
        self.weights_sha256: Any = "0" * 64
        self.first_conv_filters: Any = self.first.weight[:, 0].detach().numpy()

    def sites(self, waveforms: Tensor) -> dict[str, Tensor]:
        """Return the real-valued sites but the quantised one."""
        first = self.first(waveforms[:, None])
        latent = self.rest(first)
        return {"first_conv": first, "stack_end": latent, "latent": latent}

    @torch.no_grad()
    def listen(self, waveforms: Tensor) -> dict[str, Any]:
        """Return all sites and the codes."""
        heard = self.sites(waveforms)
        residual, codes = 20 * heard["latent"].transpose(1, 2), []
        for entries in ENTRIES:
            nearest = torch.cdist(residual, entries.expand(len(residual), -1, -1)).argmin(dim=2)
            residual = residual - entries[nearest]
            codes.append(nearest)
        heard["codes"] = torch.stack(codes, dim=1)
        return heard | {"quantised": summed(heard["codes"])}

    def listen_with_gradient(self, waveforms: Tensor) -> dict[str, Tensor]:
        """Return the real-valued sites."""
        return self.sites(waveforms)

    def dequantise(self, codes: Tensor) -> Tensor:
        """Return the sum of the entries."""
        return summed(codes)


class Thrifty(Codec):
    """A codec that quantises where it is asked to."""

    @torch.no_grad()
    def listen_at(self, waveforms: Tensor, sites: Sequence[str]) -> dict[str, Any]:
        """Return some sites, and quantise for nobody."""
        heard = self.listen(waveforms) if {"quantised", "codes"} & set(sites) else self.sites(waveforms)
        return {site: heard[site] for site in sites}


def found(report: Report, check: str) -> str:
    """Return what one check said."""
    return " ".join(finding.text for finding in report.findings if finding.check == check)


# --- those that keep it ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", REFERENCES)
def test_bundled_encoders_keep_the_contract(spec: str) -> None:
    report = check(spec)
    assert report.ok, str(report)
    report.raise_for_faults()


def test_codes_that_rounding_tips_are_no_fault() -> None:
    # Its latents are small beside their offset: one code in fifty depends on the shape of the batch.
    report = check("encodec-24khz-default")
    assert report.ok, str(report)
    assert found(report, "codes").startswith("8 codebooks, codes from ")
    assert "dequantise(codes) is 'quantised'" in found(report, "codes")
    assert "first_conv, stack_end, latent: as listen() gives them" in found(report, "gradient")
    assert "the answer at rest is not zero" in found(report, "silence")


def test_a_small_codec_keeps_the_contract() -> None:
    report = check(Codec())
    assert report.ok, str(report)
    assert report.faults == ()
    assert {finding.check for finding in report.notes} <= {"silence", "batch"}
    assert found(report, "answer") == (
        "first_conv 8 channels x 999, stack_end 6 channels x 98, latent 6 channels x 98, quantised 6 channels x 98, "
        "codes 2 codebooks x 98 frames for 1 s"
    )
    assert "first_conv 1000 Hz, stack_end 100 Hz" in found(report, "frame rates")
    assert found(report, "some sites") == "not offered; every pass is a whole one"


def test_an_encoder_that_hears_some_sites_by_themselves_keeps_the_contract() -> None:
    report = check(Thrifty())
    assert report.ok, str(report)
    assert found(report, "some sites").startswith(
        "listen_at() gives first_conv, stack_end, latent, quantised, codes as"
    )


def test_frames_within_a_declared_margin_may_be_anything_at_some_sites() -> None:
    class Careless(Thrifty):
        def listen_at(self, waveforms: Tensor, sites: Sequence[str]) -> dict[str, Any]:
            heard = super().listen_at(waveforms, sites)
            return {site: nn.functional.pad(values[..., 2:], (2, 0)) for site, values in heard.items()}

    declared, silent = Careless(), Careless()
    declared.margin_seconds = dict.fromkeys(declared.margin_seconds, (0.02, 0.0))
    silent.margin_seconds = None
    assert check(declared).ok, str(check(declared))
    assert {finding.check for finding in check(silent).faults} == {"some sites"}


def test_a_tapped_module_keeps_the_contract_in_whatever_mode_it_came() -> None:
    net = nn.Sequential(
        nn.Conv1d(1, 8, 16, stride=8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Conv1d(8, 6, 20, stride=10)
    )
    assert net.training
    report = check(tap(net, sample_rate=SAMPLE_RATE, first_conv="0", stack_end="3", latent="3", strides=(8, 10)))
    assert report.ok, str(report)
    assert "first_conv, stack_end, latent: as listen() gives them" in found(report, "gradient")


@pytest.mark.parametrize("several", [False, True], ids=["one frame", "and many"])
def test_an_encoder_of_one_clip_length_keeps_the_contract(several: bool) -> None:
    class Clips(Codec):
        input_samples = 4000

        def listen(self, waveforms: Tensor) -> dict[str, Any]:
            assert waveforms.shape[1] == 4000
            heard = self.sites(waveforms.clone())
            level = {"latent": heard["latent"].square().mean(dim=2, keepdim=True).detach()}
            return level | ({"stack_end": heard["stack_end"].detach()} if several else {})

    encoder = Clips()
    encoder.frame_rates = encoder.margin_seconds = encoder.strides = None
    encoder.listen_with_gradient = encoder.dequantise = None  # type: ignore[assignment, method-assign]
    report = check(encoder)
    assert report.ok, str(report)
    assert found(report, "lengths") == "clips of 4000 samples (0.5 s) alone; windows move on by 62 samples"
    assert "latent 129.032 Hz (one frame a window: latent)" in found(report, "frame rates")
    assert ("stack_end 100 Hz" in found(report, "frame rates")) == several


def test_an_encoder_that_needs_three_seconds_is_given_four() -> None:
    class Long(Codec):
        def listen(self, waveforms: Tensor) -> dict[str, Any]:
            if waveforms.shape[1] < 3 * SAMPLE_RATE:
                raise ValueError("clips of three seconds or more")
            return super().listen(waveforms)

    report = check(Long())
    assert report.ok, str(report)
    assert found(report, "lengths") == ("heard 4, 5.334, 8 s clips of 2 s are too short for it; it gets longer ones")


# --- those that do not ----------------------------------------------------------------------------------------------


class BatchNormInTraining(Codec):
    """Its batch norm was left in train mode."""

    def __init__(self) -> None:
        super().__init__()
        self.rest = nn.Sequential(nn.BatchNorm1d(8), nn.ELU(), nn.Conv1d(8, 6, 20, stride=10)).train()


class Neighbours(Codec):
    """It subtracts the mean of its batch."""

    def sites(self, waveforms: Tensor) -> dict[str, Tensor]:
        """Return sites that depend on the company."""
        return {site: z - 0.5 * z.mean(dim=0) for site, z in super().sites(waveforms).items()}


class NothingIsNotANumber(Codec):
    """It divides by the level, and so silence is NaN."""

    def sites(self, waveforms: Tensor) -> dict[str, Tensor]:
        """Return sites of the sound at its own level, by way of its level."""
        level = waveforms.abs().amax(dim=1)[:, None]
        return super().sites(waveforms / level * level)


class Overflows(Codec):
    """It computes in half precision what does not fit it."""

    def sites(self, waveforms: Tensor) -> dict[str, Tensor]:
        """Return sites that are infinite where the sound is at full scale all along."""
        heard = super().sites(waveforms)
        gain = torch.where(waveforms.square().mean(dim=1) > 0.75, torch.inf, 1.0)[:, None, None]
        return heard | {"latent": heard["latent"] * gain}


class Scribbler(Codec):
    """It scales the waveforms where they are."""

    def listen(self, waveforms: Tensor) -> dict[str, Any]:
        """Return what it should, and leave half the level."""
        heard = super().listen(waveforms)
        waveforms.mul_(0.5)
        return heard


class Transposed(Codec):
    """Its frames stand before its channels."""

    def listen(self, waveforms: Tensor) -> dict[str, Any]:
        """Return 'batch frames channels'."""
        heard = super().listen(waveforms)
        return {site: heard[site].transpose(1, 2) for site in ("stack_end", "latent")}


class OneFrame(Codec):
    """It gives one vector a clip."""

    def listen(self, waveforms: Tensor) -> dict[str, Any]:
        """Return the mean over frames."""
        return {"latent": super().listen(waveforms)["latent"].mean(dim=2, keepdim=True)}


class RealCodes(Codec):
    """Its codes are floats."""

    def listen(self, waveforms: Tensor) -> dict[str, Any]:
        """Return float codes."""
        heard = super().listen(waveforms)
        return heard | {"codes": heard["codes"].float()}


class Signed(Codec):
    """Its codes count from -1."""

    def listen(self, waveforms: Tensor) -> dict[str, Any]:
        """Return codes of which some are negative."""
        heard = super().listen(waveforms)
        return heard | {"codes": heard["codes"] - 1}


class Dropout(Codec):
    """Its dropout is on."""

    def sites(self, waveforms: Tensor) -> dict[str, Tensor]:
        """Return sites with a few channels gone."""
        return {site: nn.functional.dropout(z, 0.1, training=True) for site, z in super().sites(waveforms).items()}


class Draws(Codec):
    """It now and then draws a code."""

    def listen(self, waveforms: Tensor) -> dict[str, Any]:
        """Return codes of which one in twenty is another."""
        heard = super().listen(waveforms)
        codes = torch.where(torch.rand(heard["codes"].shape) < 0.05, 0, heard["codes"])
        return heard | {"codes": codes, "quantised": summed(codes)}


class Remembers(Codec):
    """It carries a state from clip to clip."""

    def sites(self, waveforms: Tensor) -> dict[str, Tensor]:
        """Return sites moved by what was heard before."""
        kept = getattr(self, "kept", 0.0)
        self.kept = float(waveforms.std(dim=1).mean()) + 0.5 * kept
        return {site: z + kept for site, z in super().sites(waveforms).items()}


class Deaf(Codec):
    """It raises, whatever it hears."""

    def listen(self, waveforms: Tensor) -> dict[str, Any]:
        """Raise."""
        raise RuntimeError("CUDA out\n of memory")


class Padded(Codec):
    """It pads, and says that it does not."""

    def sites(self, waveforms: Tensor) -> dict[str, Tensor]:
        """Return sites whose first frames hear a pad."""
        return super().sites(nn.functional.pad(waveforms, (800, 0)))

    def listen(self, waveforms: Tensor) -> dict[str, Any]:
        """Return a mean over 100 ms, which a pad reaches into."""
        heard = self.sites(waveforms)
        with torch.no_grad():
            smooth = nn.functional.avg_pool1d(heard["latent"], 10, stride=1)
        return {"latent": smooth}


def declares(**attributes: Any) -> Callable[[], Codec]:
    """Return a maker of codecs that say something wrong of themselves."""

    def make() -> Codec:
        encoder = Codec()
        for name, value in attributes.items():
            setattr(encoder, name, value)
        return encoder

    return make


BROKEN: dict[str, tuple[Callable[[], Any], str, str]] = {
    "batch norm in train mode": (
        BatchNormInTraining,
        "batch",
        "among other clips than alone, at .*put modules in eval mode",
    ),
    "neighbours": (Neighbours, "batch", "a clip answers otherwise among other clips than alone, at first_conv"),
    "NaN at silence": (NothingIsNotANumber, "silence", "site 'first_conv' holds 7992 values of 7992 that are NaN"),
    "overflow": (
        Overflows,
        "extremes",
        "for a full scale square wave: site 'latent' holds 588 values of 588 that are NaN or",
    ),
    "writes on its input": (Scribbler, "input", "wrote on its input .8000 of 8000 samples changed.; work on a copy"),
    "transposed": (
        Transposed,
        "lengths",
        "the axis of channels grows with the clip .98 for 8000 samples, 198 for 16000. "
        "and that of frames stays 6: swap them",
    ),
    "one frame": (OneFrame, "lengths", "1, 1 and 1 frames for 8000, .*set input_samples=8000"),
    "real codes": (RealCodes, "answer", "site 'codes' holds float32; codes are integers"),
    "negative codes": (Signed, "codes", "codes run from -1 to 30; they count from 0"),
    "dropout": (
        Dropout,
        "determinism",
        "the same clip twice gives different answers at first_conv .*put modules in eval",
    ),
    "drawn codes": (Draws, "determinism", r"twice gives different answers at codes \(.* % of the codes\)"),
    "a state": (Remembers, "determinism", "the same clip twice gives different answers at .*reset the state"),
    "raises": (Deaf, "answer", r"listen\(\) raised RuntimeError: CUDA out of memory"),
    "a rate far off": (declares(frame_rates={"latent": 75.0}), "frame rates", r"frame_rates\['latent'\]=75 Hz, but"),
    "a rate a little off": (
        declares(frame_rates={"latent": 100.1}),
        "frame rates",
        r"frame_rates\['latent'\]=100.1 Hz, but frames come at 100 Hz .a hop of 80 samples.",
    ),
    "strides": (declares(strides=(8, 8)), "frame rates", r"strides=\(8, 8\) multiply to 64; hops are 8, 80 samples"),
    "margins": (
        Padded,
        "margins",
        r"margin_seconds\['latent'\] is 0 s and 0 s, but frames as far as 0.\d+ s from the start",
    ),
    "dequantise": (
        declares(dequantise=lambda codes: 2 * summed(codes)),
        "codes",
        r"dequantise\(codes\) is 100 % of its size away from 'quantised'",
    ),
    "no prefix": (
        declares(dequantise=lambda codes: summed(codes[:, [0, 1]])),
        "codes",
        r"dequantise\(\) raised IndexError: .*it takes the first few codebooks",
    ),
    "another site": (
        declares(
            listen_at=lambda w, sites: {
                site: values + 1e-6 if site == "latent" else values
                for site, values in Thrifty().listen_at(w, sites).items()
            }
        ),
        "some sites",
        r"listen_at\(\) asked for latent: latent is not what listen\(\) gives, to the bit",
    ),
    "a site too few": (
        declares(listen_at=lambda w, sites: Thrifty().listen_at(w, sites[:1])),
        "some sites",
        r"listen_at\(\) was asked for .* and gave no stack_end, latent, quantised, codes",
    ),
    "no callable": (declares(listen_at=True), "attributes", "listen_at=True cannot be called"),
    "another gradient": (
        declares(listen_with_gradient=lambda w: {"latent": 2 * Codec().sites(w)["latent"]}),
        "gradient",
        r"listen_with_gradient\(\): 'latent' is \d+ % of its size away from what listen\(\) gives",
    ),
    "no graph": (
        declares(listen_with_gradient=lambda w: {"latent": Codec().sites(w)["latent"].detach()}),
        "gradient",
        "'latent' is no tensor that stays in the graph of the waveforms",
    ),
    "a short hash": (
        declares(weights_sha256="d7cc33bc"),
        "attributes",
        "weights_sha256='d7cc33bc' is not 64 hex digits",
    ),
    "other filters": (
        declares(first_conv_filters=np.zeros((3, 16))),
        "attributes",
        "has 3 filters; first_conv has 8 chan",
    ),
    "a bit rate in words": (
        declares(bandwidth_kbps="6k"),
        "attributes",
        "bandwidth_kbps='6k' is not a positive number",
    ),
    "half a sample": (
        declares(input_samples=0.5),
        "answer",
        "input_samples=0.5 is not a positive whole number of samples",
    ),
    "no rate": (declares(sample_rate=0), "contract", "sample_rate=0 is not a positive whole number of Hz"),
    "no name": (declares(name=None), "contract", "name=None is not a word"),
    "a module": (
        lambda: nn.Conv1d(1, 1, 1),
        "contract",
        r"a Conv1d has no method listen\(waveforms\); wrap a torch module",
    ),
    "nobody": (object, "contract", r"a object has no method listen\(waveforms\)"),
}


@pytest.mark.parametrize(("make", "name", "says"), BROKEN.values(), ids=BROKEN)
def test_a_broken_promise_is_named_and_no_other(make: Callable[[], Any], name: str, says: str) -> None:
    encoder = make()
    if name == "margins":
        encoder.margin_seconds = {"latent": 0.0}
    if name in ("lengths", "margins") or isinstance(encoder, (Overflows, BatchNormInTraining)):
        # What these say of themselves is of no concern here.
        encoder.frame_rates = encoder.strides = encoder.listen_with_gradient = encoder.dequantise = None
    if isinstance(encoder, (BatchNormInTraining, Signed)):
        encoder.listen_with_gradient = encoder.dequantise = None
    report = check(encoder)
    assert not report.ok
    assert {finding.check for finding in report.faults} == {name}, str(report)
    assert any(re.search(says, fault.text) for fault in report.faults), str(report)
    assert not any("\n" in finding.text for finding in report.findings)
    with pytest.raises(EncoderFault, match=f"{name}: "):
        report.raise_for_faults()


def test_what_rests_on_a_broken_promise_is_not_checked_and_says_so() -> None:
    report = check(Dropout())
    assert found(report, "margins") == "not checked: determinism must be right first"
    assert found(report, "frame rates").startswith("first_conv 1000 Hz")
    # Without an answer nothing is said of the rest.
    assert [finding.check for finding in check(Deaf()).findings] == ["contract", "answer"]


# --- what is no fault, and worth a word -----------------------------------------------------------------------------


def test_an_encoder_that_levels_everything_is_told_so_unless_it_says_so() -> None:
    class Leveller(Codec):
        def sites(self, waveforms: Tensor) -> dict[str, Tensor]:
            level = waveforms.square().mean(dim=1, keepdim=True).sqrt()
            return super().sites(waveforms / level.clamp_min(1e-9))

        def listen(self, waveforms: Tensor) -> dict[str, Any]:
            return {"latent": self.sites(waveforms)["latent"].detach()}

    encoder = Leveller()
    encoder.margin_seconds = {"latent": 0.1}
    report = check(encoder)
    assert "latent: -20 dB make no difference, so it normalises the level" in found(report, "level")
    encoder.normalises = "each clip is divided by its RMS"  # type: ignore[attr-defined]
    assert found(check(encoder), "level") == "it says that it normalises the level: each clip is divided by its RMS"


def test_sites_that_do_not_change_and_sites_nobody_knows_are_noted() -> None:
    class Odd(Codec):
        def listen(self, waveforms: Tensor) -> dict[str, Any]:
            heard = super().listen(waveforms)
            return {
                "stack_end": torch.ones_like(heard["stack_end"]),
                "latent": heard["latent"],
                "layer4": heard["latent"],
            }

    report = check(Odd())
    assert "stack_end: noise and silence are the same to it" in found(report, "level")
    assert "layer4: not a site, and left out" in found(report, "answer")


def test_a_codebook_that_never_changes_is_noted() -> None:
    class Untrained(Codec):
        def listen(self, waveforms: Tensor) -> dict[str, Any]:
            heard = super().listen(waveforms)
            heard["codes"][:, 1] = 0
            return heard | {"quantised": summed(heard["codes"])}

    report = check(Untrained())
    assert report.ok, str(report)
    assert "codebook 1 gives one code to noise, louder noise and silence alike" in found(report, "codes")


def test_every_optional_attribute_is_known_to_the_check() -> None:
    # Wrong on purpose: a value that is right for none of them. (None means absent.)
    said_elsewhere = {"frame_rates", "margin_seconds", "strides", "input_samples", "shift_samples", "device"}
    for name in set(OPTIONAL_ATTRIBUTES) - said_elsewhere:
        encoder = Codec()
        report = check(_With(encoder, name, object()))
        assert {fault.check for fault in report.faults} & {"attributes", "codes", "gradient"}, f"{name}\n{report}"


class _With:
    """An encoder with one attribute replaced."""

    def __init__(self, encoder: Codec, name: str, value: Any) -> None:
        self.__dict__.update(encoder=encoder, **{name: value})

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["encoder"], name)


# --- from the command line ------------------------------------------------------------------------------------------


def test_a_report_reads_well_in_a_terminal() -> None:
    text = str(check(declares(weights_sha256="d7cc33bc")()))
    assert text.splitlines()[0] == "codec: 1 fault"
    assert "\n  FAULT attributes   weights_sha256='d7cc33bc' is not 64 hex digits\n" in text
    assert "\n  ok    contract     codec, 8000 Hz\n" in text
    assert max(map(len, text.splitlines())) <= 110


def test_a_spec_that_leads_nowhere_is_a_fault_in_words() -> None:
    report = check("encodec-24kz")
    assert not report.ok
    assert "there is no encoder 'encodec-24kz'; did you mean encodec-24khz" in found(report, "contract")


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run ``python -m testtone.models``."""
    command = [sys.executable, "-m", "testtone.models", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def test_the_command_prints_reports_and_exits_by_them(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\n\nclass Mine:\n    name = 'mine'\n    sample_rate = 8000\n\n"
        "    def listen(self, waveforms):\n        return {'latent': torch.randn(waveforms[:, None].shape)}\n"
    )
    good = run("polyphase", cwd=tmp_path)
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.startswith("polyphase: keeps the contract\n")
    bad = run("polyphase", "mine.py:Mine", cwd=tmp_path)
    assert (bad.returncode, bad.stderr) == (1, "")
    assert "mine.py:Mine: 1 fault" in bad.stdout


def test_the_command_lists_what_is_here(tmp_path: Path) -> None:
    listed = run("--list", cwd=tmp_path)
    assert listed.returncode == 0
    assert "encodec-24khz" in listed.stdout.split()
    nothing = run(cwd=tmp_path)
    assert nothing.returncode == 2
    assert "name an encoder" in nothing.stderr
