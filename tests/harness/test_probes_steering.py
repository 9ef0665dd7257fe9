"""Steering: what is known of directions in codes of two numbers, of bands, and of both."""

from __future__ import annotations

import dataclasses
import math
from functools import cache
from typing import Any

import numpy as np
import pytest

from testtone.models import references, resolve, steering_references
from testtone.models.listening import Listener
from testtone.probes import brightness_steers as probe
from testtone.probes.hearing import ear_of, hear
from testtone.probes.records import Measurement
from testtone.probes.statistics import verdict
from testtone.stimuli import edits
from testtone.tests.claims.test_brightness_steers import CLAIM

TOLERANCE = 0.05
SEEDS = (0, 1, 2)


def measure(encoder: Any, *, seed: int = 0, effort: str = "quick") -> Measurement:
    listener = Listener(resolve(encoder) if isinstance(encoder, str) else encoder)
    ear = ear_of(listener, listener.sites)
    heard = hear(listener, {"it": (ear, CLAIM.probe(ear, np.random.default_rng(seed), effort))})["it"]
    if heard.error is not None:
        raise heard.error
    assert heard.fault is None, heard.fault
    assert heard.measurements is not None
    (found,) = heard.measurements.values()
    return found


@cache
def known(spec: str, seed: int = 0) -> Measurement:
    return measure(spec, seed=seed)


def part(found: Measurement, name: str) -> Any:
    (effect,) = [each.effect for each in found.parts if each.name == name]
    return effect


def changed(transform: Any, channels: int = 128) -> references.ReferenceEncoder:
    bank = references.power_filterbank()
    return dataclasses.replace(bank, name="changed", transform=lambda samples: transform(bank.transform(samples)))


@pytest.mark.parametrize("seed", SEEDS)
def test_controls_come_out_as_expected(seed: int) -> None:
    for control in CLAIM.controls:
        assert verdict(known(control.encoder, seed).effect, CLAIM.threshold) == control.expected


@pytest.mark.parametrize("spec", ["two-numbers:rms_unit=0.001", "two-numbers:centroid_unit_hz=10"])
def test_two_numbers_in_any_units_steer_brightness_alone(spec: str) -> None:
    found = known(spec)
    assert verdict(found.effect, CLAIM.threshold) == "supported"
    assert part(found, "brightness alone").value == pytest.approx(1.0, abs=0.1)


def test_a_linear_code_moves_alike_with_every_frozen_partial() -> None:
    found = known("linear-stft")
    assert part(found, "phase-roved means (RO1)") is None
    assert part(found, "single partials alone").value == pytest.approx(1.0, abs=0.01)
    assert found.effect.value == part(found, "frozen frames (RO6)").value


def test_bands_steer_partials_better_than_brightness() -> None:
    assert verdict(known("power-filterbank").effect, CLAIM.threshold) == "refuted"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_texture_steers_neither(seed: int) -> None:
    found = known("holistic-features", seed)
    assert found.effect.value == pytest.approx(0.0, abs=0.15)
    assert part(found, "brightness alone").value < 0.1
    assert part(found, "single partials alone").value < 0.1


def expected(design: edits.SpectralEdits, codes: Any) -> float:
    """The effect from codes 'contexts sounds channels' without noise: by the formula, one number at a time."""
    changes = codes[:, 1:] - codes[:, :1]
    contexts, count, _ = changes.shape

    def share(k: int, j: int) -> float:
        missed = energy = 0.0
        for half in (0, 1):
            train = [c for c in range(contexts) if c % 2 != half]
            test = [c for c in range(contexts) if c % 2 == half]
            direction = changes[train, j].mean(axis=0)
            pairs = [changes[c, j] @ changes[d, j] for c in train for d in train if c != d]
            along, length = sum(changes[c, k] @ direction for c in test), float(np.mean(pairs))
            strength = 1.0 if k == j else float(np.clip(along / (len(test) * max(length, 1e-30)), -1, 1))
            missed += len(test) * strength**2 * length - 2 * strength * along
            energy += sum(float(changes[c, k] @ changes[c, k]) for c in test)
        return -missed / energy

    def selectivity(k: int, family: range) -> float:
        return share(k, k) - max(share(k, j) for j in family if j != k)

    broad, *families = (range(at, at + design.broad) for at in range(0, count, design.broad))
    return selectivity(edits.BRIGHTER, broad) - float(np.mean([selectivity(k, own) for own in families for k in own]))


@pytest.mark.parametrize("weight", [0.1, 0.3, 1.0, 4.0])
def test_two_numbers_beside_bands_steer_by_their_share(weight: float) -> None:
    """Powers of partials with random phases add: both blocks follow from the amplitudes, and no sound is played."""
    seed = 4
    found = measure(f"partly-two-numbers:weight={weight}", seed=seed)
    design = _design(seed)
    amplitudes = np.array(design.amplitudes)
    power = amplitudes**2 / 2
    numbers = np.stack([np.sqrt(power.sum(-1)) / 0.1, power @ np.array(design.hz) / power.sum(-1) / 1000.0], axis=-1)
    bands = power @ np.array([_band_powers(hz) for hz in design.hz]) / (0.01 * np.linalg.norm(_band_powers(1000.0)))
    codes = np.concatenate([math.sqrt(weight) * numbers, bands], axis=-1)
    assert found.effect.value == pytest.approx(expected(design, codes), abs=TOLERANCE)


@pytest.mark.parametrize("weight", [0.1, 1.0])
def test_two_numbers_beside_a_fourier_transform_steer_by_their_share(weight: float) -> None:
    """The transform is linear: its code is a sum of codes of partials. Two numbers stand nearly still."""
    seed = 4
    found = measure(f"partly-two-numbers:weight={weight},beside=linear-stft", seed=seed)
    design = _design(seed)
    amplitudes = np.array(design.amplitudes)
    power = amplitudes**2 / 2
    numbers = np.stack([np.sqrt(power.sum(-1)) / 0.1, power @ np.array(design.hz) / power.sum(-1) / 1000.0], axis=-1)
    stft = references.linear_stft()
    time = np.arange(24_000) / 24_000
    phase = [each.phase for each in design.plain[0][0].partials]
    waves = np.array([np.cos(2 * np.pi * hz * time + p) for hz, p in zip(design.hz, phase, strict=True)])
    each = stft.transform(waves)[:, :, 10:34].reshape(len(waves), -1)
    tone = stft.transform(0.1 * math.sqrt(2) * np.cos(2 * np.pi * 1000.0 * np.arange(12_000) / 24_000)[None])[0]
    unit = np.linalg.norm(tone[:, tone.shape[1] // 2])
    codes = np.concatenate([math.sqrt(24 * weight) * numbers, amplitudes @ each / unit], axis=-1)
    # Frame by frame the two numbers beat with the partials, which their mean does not show.
    assert part(found, "frozen frames (RO6)").value == pytest.approx(expected(design, codes), abs=TOLERANCE)


def _design(seed: int) -> edits.SpectralEdits:
    ear = ear_of(Listener(resolve("two-numbers")), ("latent",))
    return edits.spectral_edits(
        np.random.default_rng(seed),
        **probe.SIZES["quick"],
        tokens=probe.TOKENS,
        seconds=ear.seconds(probe.FRAMES),
        sample_rate=24_000,
        frame_rate=75.0,
    )


@cache
def _band_powers(hz: float) -> Any:
    """What the filterbank reads of a partial of power 1."""
    time = np.arange(12_000) / 24_000
    return references.power_filterbank().transform(math.sqrt(2) * np.cos(2 * np.pi * hz * time)[None])[0, :, 18]


def test_gain_rotation_and_order_of_channels_change_nothing() -> None:
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.standard_normal((128, 128)))[0]
    order = rng.permutation(128)
    found = known("power-filterbank").effect.value
    assert measure(changed(lambda codes: 1000.0 * codes)).effect.value == pytest.approx(found, abs=1e-5)
    assert measure(changed(lambda codes: codes[:, order])).effect.value == pytest.approx(found, abs=1e-5)
    assert measure(changed(lambda codes: np.einsum("dc,bcm->bdm", rotation, codes))).effect.value == pytest.approx(
        found, abs=1e-5
    )


def test_the_seed_redraws_everything() -> None:
    first, second = _design(0), _design(1)
    assert not {each.sha256 for each in first.flat} & {each.sha256 for each in second.flat}


def test_a_deaf_encoder_is_insufficient() -> None:
    found = measure(changed(np.zeros_like))
    assert found.effect is None
    assert found.reason == "no edit changes the code"


def test_one_channel_is_one_axis() -> None:
    found = measure(changed(lambda codes: codes.sum(axis=1, keepdims=True)))
    assert found.effect is not None
    assert np.isfinite([found.effect.low, found.effect.high]).all()
    # One number moves with every edit alike: only the sizes of the moves tell partials apart.
    assert part(found, "single partials alone").value < 0.3


def test_another_clock_gives_the_same_verdicts() -> None:
    for build, expect in ((steering_references.two_numbers, "supported"), (references.linear_stft, "refuted")):
        assert verdict(measure(build(sample_rate=16_000, hop=160)).effect, CLAIM.threshold) == expect


def test_numbers_are_those_of_the_sound() -> None:
    time = np.arange(24_000) / 24_000
    tone = 0.1 * math.sqrt(2) * np.cos(2 * np.pi * 2000.0 * time)
    level, centroid = steering_references.two_numbers().transform(tone[None])[0, :, 37]
    assert level == pytest.approx(1.0, abs=1e-6)
    assert centroid == pytest.approx(2.0, abs=1e-4)
    assert not steering_references.two_numbers().transform(np.zeros((1, 3200))).any()


def test_what_stands_beside_must_be_known() -> None:
    with pytest.raises(ValueError, match="beside='wavelets' must be one of power-filterbank, linear-stft"):
        steering_references.partly_two_numbers(beside="wavelets")


# The stimuli: sizes, phases, and what a broad edit leaves alone.

DESIGN = edits.spectral_edits(
    np.random.default_rng(0), contexts=6, tokens=2, seconds=0.4, sample_rate=24_000, frame_rate=75.0
)


def test_every_edit_changes_the_waveform_by_the_same_amount() -> None:
    plain = DESIGN.plain[2][1].render(24_000).astype(float)
    sizes = [np.std(each.render(24_000) - plain) for each in DESIGN.edited[2][1]]
    assert np.ptp(20 * np.log10(sizes)) < 0.3  # dB; the clip is finite and the ramps have a say


def test_ripples_leave_level_and_centroid_where_they_were() -> None:
    amplitudes, hz = np.array(DESIGN.amplitudes), np.array(DESIGN.hz)
    power = amplitudes**2
    assert np.abs(10 * np.log10(power[:, 3:9].sum(-1) / power[:, :1].sum(-1))).max() < 0.2
    centroid = amplitudes @ hz / amplitudes.sum(-1)
    np.testing.assert_allclose(centroid[:, 3:9] / centroid[:, :1], 1.0, atol=1e-9)
    assert (centroid[:, 1] > 1.1 * centroid[:, 0]).all()


def test_brighter_is_a_tilt_that_keeps_the_level() -> None:
    amplitudes, octaves = np.array(DESIGN.amplitudes), np.log2(np.array(DESIGN.hz))
    db = 20 * np.log10(amplitudes[:, 1] / amplitudes[:, 0])
    for each in db:
        slope, offset = np.polyfit(octaves, each, 1)
        np.testing.assert_allclose(each, slope * octaves + offset, atol=1e-9)
        assert 0.5 < slope < 3
    np.testing.assert_allclose((amplitudes[:, 1] ** 2).sum(-1), (amplitudes[:, 0] ** 2).sum(-1))


def test_edits_keep_phases_and_tokens_do_not() -> None:
    def phases(stimulus: Any) -> list[float]:
        return [each.phase for each in stimulus.partials]

    assert phases(DESIGN.edited[0][1][3]) == phases(DESIGN.plain[0][1])
    assert phases(DESIGN.plain[0][0]) == phases(DESIGN.plain[1][0])
    assert phases(DESIGN.plain[0][1]) != phases(DESIGN.plain[1][1])


def test_partials_keep_clear_of_half_the_frame_rate() -> None:
    away = np.array(DESIGN.hz) % 37.5
    assert np.minimum(away, 37.5 - away).min() >= edits.CLEAR_HZ


def test_edits_need_twice_as_many_partials() -> None:
    with pytest.raises(ValueError, match=r"edits=13 must lie in 2..12, half of partials=24"):
        edits.spectral_edits(
            np.random.default_rng(0),
            contexts=2,
            tokens=1,
            seconds=0.4,
            sample_rate=24_000,
            frame_rate=75.0,
            edits=13,
        )


def test_levels_that_rove_too_far_are_refused() -> None:
    with pytest.raises(ValueError, match=r"rove_db=40.0 leaves partials too weak"):
        edits.spectral_edits(
            np.random.default_rng(0),
            contexts=2,
            tokens=1,
            seconds=0.4,
            sample_rate=24_000,
            frame_rate=75.0,
            rove_db=40.0,
        )
