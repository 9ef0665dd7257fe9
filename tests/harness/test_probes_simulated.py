"""Probes that are told answers with known statistics, without an encoder: what they estimate, and how sure they are."""

import numpy as np
import pytest

from testtone.models.listening import Margin
from testtone.probes import pitch_direction, same_filters
from testtone.probes.hearing import Ear
from testtone.probes.statistics import auc
from testtone.stimuli import designs

CHANNELS = 256
"""Random directions of so many channels are orthogonal to within 1/16."""


def ear():
    return Ear(
        sample_rate=24_000,
        sites=("latent",),
        frame_rates={"latent": 75.0},
        margins={"latent": Margin(0, 0)},
        missing_frames={"latent": 0},
        strides=None,
    )


def told(seed, *, stable, change, phase, rng):
    """Return what `pitch_direction` makes of increments drawn here, at quick effort.

    An increment is the sum of three random vectors: one of its pitch, of size ``stable(pitches)``, one of its pitch in
    its context, of size ``change(contexts)``, and one of its performance, of size ``phase``.
    """
    probe = pitch_direction.pitch_direction(ear(), np.random.default_rng(seed), "quick")
    (averages, frames) = next(probe)
    design = designs.pitches_in_contexts(
        np.random.default_rng(seed), **pitch_direction.SIZES["quick"], frame_rate=75.0,
        harmonics_below_hz=0.42 * 24_000, seconds=ear().seconds(pitch_direction.FRAMES),
    )  # fmt: skip
    assert [each.sha256 for each in averages.stimuli] == [each.sha256 for each in design.stimuli]
    pitches, columns, tokens = len(design.midi), len(design.columns), design.tokens
    context = np.array([column.context for column in design.columns])

    def drawn(*shape):
        return rng.normal(0, 1, (*shape, CHANNELS)) / np.sqrt(CHANNELS)

    own = stable(pitches)[:, None, None, None] * drawn(pitches, 1, 1)
    there = change(context.max() + 1)[context][None, :, None, None] * drawn(pitches, context.max() + 1, 1)[:, context]
    increments = own + there + phase * drawn(pitches, columns, tokens)
    alone = drawn(columns, tokens)
    values = np.concatenate([alone.reshape(-1, CHANNELS), (alone + increments).reshape(-1, CHANNELS)])
    every_frame = np.repeat(values[:, :, None], frames.readout.count, axis=2)
    try:
        probe.send([{"latent": values}, {"latent": every_frame.astype(np.float32)}])
    except StopIteration as stop:
        return stop.value["latent"]
    raise AssertionError("the probe asked again")


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """The null is on trial elsewhere."""
    monkeypatch.setitem(pitch_direction.DRAWS, "quick", 9)


def flat(size):
    return lambda count: np.full(count, size)


@pytest.mark.parametrize(("change", "phase"), [(0.5, 1.0), (1.0, 0.0), (0.0, 1.0), (0.5, 2.0)])
def test_stability_is_the_stable_share_whatever_the_phases_do(change, phase):
    """With energies 1, c and p of the three vectors: 1 / (1 + c + p/16) for sixteen phases, 1 / (1 + c) for all."""
    found = told(3, stable=flat(1.0), change=flat(change), phase=phase, rng=np.random.default_rng(1))
    assert found.effect.value == pytest.approx(1 / (1 + change**2 + phase**2 / 16), abs=0.04)
    (corrected,) = [each.effect for each in found.parts if each.name.startswith("corrected")]
    assert corrected.value == pytest.approx(1 / (1 + change**2), abs=0.04)


def test_what_differs_from_pitch_to_pitch_and_context_to_context_is_in_the_interval():
    """Pitches and contexts that differ: the estimate scatters with them, and the interval says by how much."""
    rng = np.random.default_rng(7)
    found = [
        told(
            seed,
            stable=lambda count: np.exp(rng.normal(0.0, 0.7, count)),
            change=lambda count: np.exp(rng.normal(-0.3, 0.7, count)),
            phase=0.5,
            rng=rng,
        ).effect
        for seed in range(24)
    ]
    values = np.array([each.value for each in found])
    assert values.std() > 0.02
    hits = [each.low <= values.mean() <= each.high for each in found]
    # Nine in ten, give or take two standard errors of so few.
    assert np.mean(hits) >= 0.78
    assert np.mean([each.high - each.low for each in found]) < 8 * values.std()


def test_an_area_of_overlaps_is_counted_pair_by_pair():
    """Overlaps of active sets, same pitch against other pitches, written out cell by cell."""
    rng = np.random.default_rng(5)
    design = designs.pitches_in_contexts(
        rng, pitches=5, contexts=6, tokens=3, crossed=False, seconds=0.5, frame_rate=75.0, harmonics_below_hz=9_000.0
    )
    pitches, columns, tokens = len(design.midi), len(design.columns), design.tokens
    own = rng.normal(0, 1, (pitches, 1, 1, 40))
    increments = own + rng.normal(0, 1.5, (pitches, columns, tokens, 40))
    alone = rng.normal(0, 1, (columns, tokens, 40))
    values = np.concatenate([alone.reshape(-1, 40), (alone + increments).reshape(-1, 40)])
    found = same_filters.Overlap(design, values, label="twin").area()

    averaged = increments[:, :, 1:].mean(axis=2)
    sets = {}
    for timbre in {column.timbre for column in design.columns}:
        inside = [index for index, column in enumerate(design.columns) if column.timbre == timbre]
        spread = averaged[:, inside].reshape(-1, 40).std(axis=0)
        for pitch in range(pitches):
            for index in inside:
                moved = np.abs(averaged[pitch, index]) / spread
                count = max(2, round(same_filters.SHARE * 40))
                sets[pitch, index] = set(np.argsort(-moved)[:count].tolist())

    def overlap(one, other):
        return len(sets[one] & sets[other]) / len(sets[one] | sets[other])

    areas = []
    for i, one in enumerate(design.columns):
        for j, other in enumerate(design.columns[:i]):
            if one.timbre != other.timbre or one.context == other.context:
                continue
            different = [
                overlap((p, i), (q, j))
                for p in range(pitches)
                for q in range(pitches)
                if min(abs(abs(design.midi[p] - design.midi[q]) % 12 - step) for step in (0, 5, 7, 12)) >= 0.5
            ]
            areas += [auc([overlap((p, i), (p, j))], different) for p in range(pitches)]
    assert len(areas) > 10
    assert found.value == pytest.approx(np.mean(areas), abs=1e-9)
    assert 0.55 < found.value < 0.999


def filters_told(channels, *, noise):
    """Return what `same_filters` makes of means and log powers: a vector of the pitch, and noise so strong."""
    probe = same_filters.same_filters(ear(), np.random.default_rng(3), "quick")
    (averages, _) = next(probe)
    design = designs.pitches_in_contexts(
        np.random.default_rng(3), **same_filters.SIZES["quick"], frame_rate=75.0,
        harmonics_below_hz=0.42 * 24_000, seconds=ear().seconds(same_filters.FRAMES),
    )  # fmt: skip
    assert [each.sha256 for each in averages.stimuli] == [each.sha256 for each in design.stimuli]
    rng = np.random.default_rng(0)
    shape = len(design.midi), len(design.columns), design.tokens, channels
    own = rng.normal(0, 1, (shape[0], 1, 1, channels))

    def values(strength):
        alone = np.zeros((*shape[1:3], channels)) + 0.01 * rng.normal(0, 1, (*shape[1:3], channels))
        together = own + strength * rng.normal(0, 1, shape)
        return np.concatenate([alone.reshape(-1, channels), together.reshape(-1, channels)])

    told = values(noise[0]), values(noise[1])
    try:
        probe.send([{"latent": each} for each in told])
    except StopIteration as stop:
        return stop.value["latent"]
    raise AssertionError("the probe asked again")


def test_a_tenth_of_eight_channels_is_a_set_and_of_seven_none():
    assert filters_told(8, noise=(0.5, 0.5)).effect is not None
    found = filters_told(7, noise=(0.5, 0.5))
    assert found.effect is None
    assert "7 channels are too few" in found.reason


@pytest.mark.parametrize(("noise", "decides"), [(0.6, "means (RO1)"), (1.5, "oscillation (RO2)")])
def test_means_decide_where_their_sets_repeat_and_what_repeats_better_elsewhere(noise, decides):
    found = filters_told(40, noise=(noise, 0.1))
    repeats = {part.name: float(part.note.split()[-1]) for part in found.parts if "area between" in part.note}
    (chosen,) = [part.name for part in found.parts if part.note.startswith("decides")]
    assert repeats["oscillation (RO2)"] > repeats["means (RO1)"] + 0.02
    assert (repeats["means (RO1)"] > 0.8) == (decides == "means (RO1)")
    assert chosen == decides
