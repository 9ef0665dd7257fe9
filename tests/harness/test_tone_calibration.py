"""Probes that play tones, and those whose intervals were mended, on codes whose right answer is known.

The long form, whole probes on a hundred seeds, is ``python -m testtone.tests.harness.tone_calibration``.
"""

from __future__ import annotations

import numpy as np
import pytest

from testtone.probes import architectural, chord_additivity
from testtone.probes.records import Measurement
from testtone.probes.statistics import standard_error
from testtone.stimuli import Stimulus
from testtone.tests.harness import tone_calibration
from testtone.tests.harness.imagined import draws, imagine
from testtone.tests.harness.note_calibration import REFERENCES as NOTES
from testtone.tests.harness.note_calibration import Reference, calibrate, heard

LEAST, MOST = 0.87, 0.93
"""Coverage wanted of an interval of 90 %."""


@pytest.mark.parametrize("noise", [0.05, 0.35])
@pytest.mark.parametrize("theta", [0.2, 0.5])
def test_noise_in_templates_is_no_collapse(theta: float, noise: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """At .35 it has half the energy of a tone; taken for part of the observer's noise it had made .5 read .72."""
    monkeypatch.setattr(tone_calibration, "NOISE", noise)
    world = Reference("alias_collapse", "", theta, tone_calibration.coherent(theta, 0.0))
    found = calibrate(world, seeds=4, effort="quick")
    assert found.estimates.mean() == pytest.approx(theta, abs=0.06)


def test_one_channel_has_collapsed_whatever_the_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tone_calibration, "CHANNELS", 1)
    monkeypatch.setattr(tone_calibration, "NOISE", 0.1)

    def one(stimulus: Stimulus) -> np.ndarray:
        return tone_calibration.coherent(1.0, 0.0)(0)(stimulus)

    effect = heard(Reference("alias_collapse", "", 1.0, lambda seed: one), 0, "quick").effect
    assert effect is not None
    assert effect.low > 0.95


@pytest.mark.parametrize("peculiar", [0.0, 1.0, 3.0], ids=["notes alone", "both", "mostly chords"])
def test_what_is_peculiar_to_a_chord_counts_once(peculiar: float) -> None:
    """Pairs and triads of twelve notes, each with its notes' values and one of its own; the mean is estimated.

    Deleted with each of its notes, what is a chord's own had counted twice in pairs and three times in triads.
    """
    rng = np.random.default_rng(0)
    holds = np.zeros((132, 12), dtype=bool)
    pairs = np.array(np.triu_indices(12, 1)).T
    holds[np.arange(66)[:, None], pairs] = True
    for row in range(66, 132):
        holds[row, rng.choice(12, 3, replace=False)] = True
    inside = 0
    for _ in range(400):
        values = holds @ rng.standard_normal(12) / holds.sum(axis=1) + peculiar * rng.standard_normal(132)
        effect = chord_additivity.over_notes(
            "", lambda kept, values=values: float(values[kept].mean()), holds, np.ones(132, dtype=bool)
        )
        inside += effect.low <= 0.0 <= effect.high
    assert LEAST - 0.02 <= inside / 400 <= MOST + 0.02


def test_kinds_of_company_are_no_noise() -> None:
    """A code that keeps a pitch's direction in some kinds of company and turns it in others, the same ones always.

    Its score does not move with the notes drawn; a jackknife over the kinds had said that it might by .1 and more.
    """

    def code(stimulus: Stimulus) -> np.ndarray:
        voice, _, context = stimulus.label.partition(" in ")
        if not context:
            return 3.0 * draws(voice).standard_normal(100)
        # Silence and noise keep it; chords and single notes do not.
        key = (voice,) if context in ("silence", "noise") or " and " in context else (voice, context)
        return 3.0 * draws(context).standard_normal(100) + draws(*key).standard_normal(100)

    found = [imagine(architectural.architectural, code, seed=seed) for seed in range(6)]
    scores = [stability_of(each) for each in found]
    spread = float(np.std([value for value, _ in scores], ddof=1))
    said = float(np.sqrt(np.mean([error**2 for _, error in scores])))
    assert said < 2.0 * spread + 0.01


def stability_of(measurement: Measurement) -> tuple[float, float]:
    """Value and standard error of one score."""
    (effect,) = [part.effect for part in measurement.parts if part.name == "stability"]
    assert effect is not None
    return effect.value, standard_error(effect)


@pytest.mark.parametrize(
    ("references", "claim", "seeds"),
    [
        (tone_calibration.REFERENCES, "first_layer_isolates", 12),
        (tone_calibration.REFERENCES, "selectivity_limited", 8),
        (tone_calibration.REFERENCES, "stack_end_selectivity", 8),
        (NOTES, "chord_additivity", 4),
        (NOTES, "architectural", 3),
    ],
)
def test_whole_probes_find_the_truth_at_their_thresholds(references: dict, claim: str, seeds: int) -> None:
    for reference in list(references[claim]())[:2]:
        found = calibrate(reference, seeds=seeds, effort="quick")
        assert found.estimates.mean() == pytest.approx(
            reference.truth, abs=3 * found.estimates.std() / seeds**0.5 + 0.02
        )
        assert found.coverage >= 0.6
