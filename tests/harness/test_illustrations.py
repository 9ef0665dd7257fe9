"""The post's own figures, from a run: one sound, and what an encoder makes of it."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from testtone.models import tap
from testtone.models.listening import Listener
from testtone.reports import render, validate
from testtone.stimuli import Stimulus, renders
from testtone.tests import illustrations
from testtone.tests.claims.test_selectivity_limited import CLAIM
from testtone.tests.ledger import Ledger
from testtone.tests.trial import Bench, entry


class Reference:
    """Gives half a second's mean in a single frame: nothing to look at."""

    name = "still"
    sample_rate = 8000

    def listen(self, waveforms: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the mean."""
        return {"latent": waveforms.mean(dim=1)[:, None, None]}


def encoder() -> object:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(1, 8, 8, stride=4), nn.ELU(), nn.Conv1d(8, 60, 20, stride=20))
    return tap(model, sample_rate=8000, first_conv="0", stack_end="2", latent="2")


def test_the_channels_that_move_most_are_shown_in_their_order() -> None:
    values = np.zeros((100, 40))
    moving = [3, 50, 99]
    values[moving] = np.sin(np.arange(40)) * np.array([[1.0], [5.0], [3.0]])
    kept, rows = illustrations.feature_map(values + 7.0)
    assert len(kept) == len(rows) == illustrations.CHANNELS
    assert kept == sorted(kept)
    assert set(moving) <= set(kept)
    still = [row for channel, row in zip(kept, rows, strict=True) if channel not in moving]
    assert set("".join(still)) == {"0"}
    assert "f" in rows[kept.index(50)]


def test_an_encoder_draws_its_feature_map_of_a_sound_that_can_be_played() -> None:
    found = illustrations.illustration(Listener(encoder()))
    assert found is not None
    assert found["site"] == "stack_end"
    assert (found["channels"], len(found["rows"])) == (60, illustrations.CHANNELS)
    sound = Stimulus.from_truth(found["sound"]["truth"])
    assert sound.sha256 == found["sha256"]
    assert len(found["numbers"]) == illustrations.NUMBERS
    json.dumps(found, allow_nan=False)


def test_without_fluidsynth_a_chord_sounds_and_the_prose_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renders, "available", lambda: False)
    played, prose = illustrations.sound(0.0)
    assert "C major" in prose
    assert "piano" not in prose
    assert len(played.pitches) == 3
    assert np.abs(played.render(8000)).max() < 1.0


def test_an_encoder_without_frames_of_its_own_draws_none() -> None:
    assert illustrations.illustration(Listener(Reference())) is None


def test_a_run_carries_the_illustration_of_each_encoder_once_and_the_page_shows_it() -> None:
    bench = Bench(seed=0, effort="quick")
    spec = bench.seat(encoder())
    ledger = Ledger()
    for site in ("stack_end", "latent"):
        ledger.expect([(CLAIM, spec, site)])
        payload = json.loads(json.dumps(entry(bench, CLAIM, spec, site), allow_nan=False))
        assert (payload["illustration"] is None) == (site == "latent")
        ledger.enter(payload)
    report = ledger.report(command="pytest -m claims", seed=0, effort="quick")
    validate(report)
    (shown,) = report["illustrations"]["representations"]
    assert shown["encoder"] == spec
    assert shown["sha256"] in report["sounds"]
    assert "opening" in report["sounds"][shown["sha256"]]
    page = render(report)
    assert shown["prose"] in page
    assert report["sounds"][shown["sha256"]]["flac"] in page
    for stimulus in report["claims"][0]["stimuli"]:
        assert {"spectrogram", "waveform"} <= report["sounds"][stimulus["sha256"]].keys()
