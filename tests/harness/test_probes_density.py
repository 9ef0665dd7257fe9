"""Density: a partial that is lost among others as fast as it was built to be."""

import dataclasses
from functools import cache
from typing import Any

import numpy as np
import pytest

from testtone.models import references, resolve
from testtone.models.listening import Listener
from testtone.probes import density_scaling as probe
from testtone.probes.hearing import ear_of, hear
from testtone.probes.records import Effect, Measurement
from testtone.probes.statistics import verdict
from testtone.stimuli import density
from testtone.stimuli.designs import NoSuchDesignError, erb_rate
from testtone.tests.claims.test_density_scaling import CLAIM
from testtone.tests.trial import generator

TOLERANCE = 0.05
UNMOVED = 0.01
"""What order, number and gain of channels may change an effect by."""


def measure(encoder: Any, *, seed: int = 0, place: int = 0, runs: int = 2) -> Measurement:
    """The measurement of an encoder alone, with fewer runs than any effort has: intervals are wide."""
    listener = Listener(resolve(encoder) if isinstance(encoder, str) else encoder)
    ear = ear_of(listener, ("latent",))
    kept = probe.SIZES["quick"]
    probe.SIZES["quick"] = kept | {"runs": runs}
    try:
        draws = generator(CLAIM.id, seed, place)
        heard = hear(listener, {"it": (ear, CLAIM.probe(ear, draws, "quick"))})["it"]
    finally:
        probe.SIZES["quick"] = kept
    if heard.error is not None:
        raise heard.error
    assert heard.fault is None, heard.fault
    assert heard.measurements is not None
    return heard.measurements["latent"]


@cache
def known(spec: str, seed: int = 0, place: int = 0) -> Measurement:
    return measure(spec, seed=seed, place=place)


def compared(own: Measurement, seed: int = 0) -> Measurement:
    return probe.compare(own, [known("power-filterbank", seed, 1)])


def effect_of(measurement: Measurement) -> Effect:
    assert measurement.effect is not None, measurement.reason
    return measurement.effect


# --- controls -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_controls_come_out_as_expected(seed: int) -> None:
    """With two runs the side is clear; for the verdicts an effort plays four or more."""
    blunt = compared(known("power-filterbank:bandwidth=16", seed), seed)
    assert effect_of(blunt).low > CLAIM.threshold.refuted_below
    assert effect_of(blunt).value > CLAIM.threshold.supported_above
    assert blunt.null is not None
    assert blunt.null.p < 0.05
    itself = effect_of(compared(known("power-filterbank", seed), seed))
    assert itself.high < CLAIM.threshold.supported_above + 0.05
    assert itself.low < CLAIM.threshold.refuted_below
    assert itself.value == pytest.approx(0.0, abs=2 * TOLERANCE)


def test_wider_filters_lose_it_faster_the_wider_they_are() -> None:
    falls = [effect_of(known(f"power-filterbank{width}")).value for width in ("", ":bandwidth=3", ":bandwidth=16")]
    # Three times wider is still a mixture of narrow bands that readers undo in part.
    assert falls[0] + 0.02 < falls[1]
    assert falls[1] + 0.1 < falls[2]


# --- known falls ----------------------------------------------------------------------------------------------------


class Looker:
    """Knows every sound that the probe draws, and says of each target whether it sounds: with noise, d' as told."""

    name = "looker"
    sample_rate = 8_000

    def __init__(self, lone: float, fall: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.frame_rates, self.margin_seconds = {"latent": 50.0}, {"latent": 0.0}
        self.lone, self.fall = lone, fall
        self.known: dict[bytes, tuple[np.ndarray, int]] = {}
        draw = density.crowd

        def spied(*args: Any, **how: Any) -> density.Crowd:
            made = draw(*args, **how)
            for sound, sounding in zip(made.stimuli, made.sounding, strict=True):
                self.known[sound.render(self.sample_rate).tobytes()] = (sounding, made.companions)
            return made

        monkeypatch.setattr(density, "crowd", spied)

    def listen(self, waveforms: Any) -> dict[str, np.ndarray]:
        """Return a channel for each of twelve targets, the same in every frame."""
        clips = np.asarray(waveforms)
        frames = -(-clips.shape[1] // 160)
        code = np.zeros((len(clips), probe.TARGETS, frames), np.float32)
        for index, clip in enumerate(clips):
            if clip.tobytes() in self.known:
                sounding, companions = self.known[clip.tobytes()]
                rng = np.random.default_rng(np.frombuffer(clip.tobytes(), np.uint32)[:64])
                heard = (self.lone - self.fall * np.log2(companions + 1)) * sounding
                code[index, : len(heard)] = (heard + rng.standard_normal(len(heard)))[:, None]
        return {"latent": code}


@pytest.mark.parametrize("fall", [0.1, 0.3])
def test_d_prime_falls_as_it_was_built_to(fall: float, monkeypatch: pytest.MonkeyPatch) -> None:
    found = measure(Looker(2.3, fall, monkeypatch), runs=5)
    assert found.figures["noise_softer_db"] == 0.0
    assert effect_of(found).value == pytest.approx(fall * probe.START / 2.3, abs=TOLERANCE)
    # Readers that learn from so few sounds miss some of it.
    assert 1.7 < found.figures["d_prime"][0] < 2.4


def test_a_little_more_noise_makes_nothing_steeper(monkeypatch: pytest.MonkeyPatch) -> None:
    # Half of what there is to lose is lost among 32 companions, from wherever it starts.
    for lone in (1.7, 2.6):
        found = measure(Looker(lone, lone / 2 / np.log2(33), monkeypatch), runs=5)
        assert effect_of(found).value == pytest.approx(probe.START / 2 / np.log2(33), abs=TOLERANCE), lone


def test_the_difference_of_two_falls_is_the_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    steep, flat = (measure(Looker(2.3, fall, monkeypatch), runs=5, place=place) for place, fall in ((0, 0.3), (1, 0.1)))
    found = probe.compare(steep, [flat])
    assert effect_of(found).value == pytest.approx(0.2 * probe.START / 2.3, abs=TOLERANCE)
    errors = [effect_of(each).high - effect_of(each).value for each in (steep, flat)]
    assert effect_of(found).high - effect_of(found).value == pytest.approx(np.hypot(*errors), rel=0.05)


def test_a_lone_partial_that_is_not_heard_cannot_be_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    found = measure(Looker(0.2, 0.0, monkeypatch), runs=1)
    assert found.effect is None
    assert "nothing to lose" in (found.reason or "")
    assert found.figures["noise_softer_db"] > 20.0


def test_what_has_lost_everything_is_not_said_to_lose_little() -> None:
    """From 1.2 to 0 among 32 is .24 a doubling, and a bank that falls by .3 from 3 would seem to lose more."""
    flat = Effect(name="", value=0.22, low=0.18, high=0.26, confidence=0.9, unit="", n=40)
    own = dataclasses.replace(known("power-filterbank"), effect=flat)
    own = dataclasses.replace(own, figures=dict(own.figures) | {"d_prime": [1.2, 0.5, 0.1]})
    bank = dataclasses.replace(own, effect=dataclasses.replace(flat, value=0.35, low=0.31, high=0.39))
    found = probe.compare(own, [bank])
    assert found.effect is None
    assert "no more can be lost" in (found.reason or "")
    # Had it kept something, the same numbers would refute.
    kept = dataclasses.replace(own, figures=dict(own.figures) | {"d_prime": [2.2, 1.5, 1.1]})
    assert verdict(probe.compare(kept, [bank]).effect, CLAIM.threshold) == "refuted"


def test_without_a_bank_there_is_nothing_to_compare_with() -> None:
    found = probe.compare(known("power-filterbank"), [])
    assert found.effect is None
    assert "no ear-like bank" in (found.reason or "")


# --- what must not matter -------------------------------------------------------------------------------------------


def mapped(name: str, change: Any) -> Any:
    bank = references.power_filterbank()
    return dataclasses.replace(bank, name=name, transform=lambda samples: change(bank.transform(samples)))


def test_order_number_and_gain_of_channels_do_not_matter() -> None:
    order = np.random.default_rng(0).permutation(128)
    plain = measure(mapped("plain", lambda code: code), runs=1)
    for name, change in {
        "permuted": lambda code: code[:, order],
        "twice": lambda code: np.concatenate([code, code], axis=1),
        "louder": lambda code: 8.0 * code,
    }.items():
        found = measure(mapped(name, change), runs=1)
        assert effect_of(found).value == pytest.approx(effect_of(plain).value, abs=UNMOVED), name


@pytest.mark.parametrize("spread", [10.0, 100.0])
def test_a_mixture_of_channels_that_can_be_undone_loses_hardly_faster(spread: float) -> None:
    """So many times between the strongest and the weakest direction of the map, all of them rotated.

    With 24 clips of either kind for a reader and no choice of readouts the effect was .30, and of a wide bank .22.
    """
    rng = np.random.default_rng(1)
    left, right = (np.linalg.qr(rng.standard_normal((128, 128)))[0] for _ in range(2))
    mix = left @ np.diag(np.geomspace(1.0, 1.0 / spread, 128)) @ right
    found = compared(measure(mapped("mixed", lambda code: np.einsum("dc,bcm->bdm", mix, code)), runs=2))
    assert verdict(found.effect, CLAIM.threshold) != "supported"
    assert effect_of(found).value < CLAIM.threshold.supported_above - 0.03


def test_a_deaf_encoder_is_insufficient() -> None:
    found = measure(mapped("deaf", lambda code: 0.0 * code), runs=1)
    assert found.effect is None
    assert compared(found).effect is None


def test_one_channel_at_another_rate_is_measured() -> None:
    level = references.power_filterbank(sample_rate=16_000, hop=160, bands=1, bandwidth=30.0, low_hz=1000.0)
    found = compared(measure(level, runs=1))
    assert found.effect is None or np.isfinite(found.effect.value)


# --- sounds ---------------------------------------------------------------------------------------------------------

CLOCK = {"seconds": 0.4, "heard_seconds": 0.16, "sample_rate": 24_000, "frame_rates": [75.0]}


def test_companions_keep_their_distance_and_their_number() -> None:
    rng = np.random.default_rng(0)
    targets = density.spread_targets(rng, 12, sample_rate=24_000, frame_rates=[75.0])
    for companions in (1, 2, 4, 32):
        made = density.crowd(rng, targets, companions, blocks=12, present=2, **CLOCK)
        numbers = []
        for sound, on, trial in zip(made.stimuli, made.sounding, made.judged, strict=True):
            hz = np.array([each.hz for each in sound.partials])
            assert set(np.array(targets)[on]) <= set(hz)
            others = np.array([erb_rate(each) for each in hz if each not in targets])
            for target in np.array(targets)[trial]:
                if len(others):
                    assert np.abs(others - erb_rate(float(target))).min() >= 1.0
            numbers += [len(hz) - int(own) for own in on[trial]]
        assert np.mean(numbers) == pytest.approx(companions, abs=0.35)
        # As often there as told, and told apart by nothing but the target itself.
        assert (made.sounding.sum(axis=0) == 24).all()
        counts = np.array([len(sound.partials) for sound in made.stimuli])
        without = made.judged & ~made.sounding
        apart = [counts[on].mean() - 1 - counts[off].mean() for on, off in zip(made.sounding.T, without.T, strict=True)]
        assert np.mean(apart) == pytest.approx(0.0, abs=0.5)


def test_crowded_companions_are_near_and_not_on_top() -> None:
    rng = np.random.default_rng(0)
    targets = density.spread_targets(rng, 12, sample_rate=24_000, frame_rates=[75.0])
    made = density.crowd(rng, targets, 32, blocks=2, present=1, crowded=True, **CLOCK)
    for sound, trial in zip(made.stimuli, made.judged, strict=True):
        near = np.array([erb_rate(each) for each in np.array(targets)[trial]])
        away = [np.abs(near - erb_rate(each.hz)).min() for each in sound.partials if each.hz not in targets]
        assert min(away) > 0.09
        assert max(away) < 0.51


def test_a_fixed_level_is_fixed() -> None:
    rng = np.random.default_rng(0)
    targets = density.spread_targets(rng, 12, sample_rate=24_000, frame_rates=[75.0])
    levels = {
        level: [
            np.sqrt(np.mean(sound.render(24_000)[1000:-1000] ** 2))
            for sound in density.crowd(rng, targets, 32, blocks=2, present=1, level=level, **CLOCK).stimuli
        ]
        for level in (False, True)
    }
    # Of so short a clip of noise the level itself scatters by some percent.
    assert np.std(20 * np.log10(levels[True])) < 0.35
    assert np.mean(levels[False]) > 1.2 * np.mean(levels[True])


def test_noise_is_as_dense_at_every_sample_rate_and_leaves_room() -> None:
    rms = []
    for rate in (8_000, 48_000):
        rng = np.random.default_rng(0)
        targets = density.spread_targets(rng, 12, sample_rate=rate, frame_rates=[75.0])
        made = density.crowd(rng, targets, 32, blocks=1, present=1, **CLOCK | {"sample_rate": rate})
        for sound in made.stimuli:
            assert np.abs(sound.render(rate)).max() < 0.8
        rms.append(made.stimuli[0].sources[-1].rms)
    assert rms[1] / rms[0] == pytest.approx(np.sqrt(6.0))


def test_more_targets_than_fit_are_refused() -> None:
    with pytest.raises(NoSuchDesignError, match="leave companions no room"):
        density.spread_targets(np.random.default_rng(0), 20, sample_rate=24_000, frame_rates=[75.0])


def test_who_hears_fewer_densities_is_compared_at_those() -> None:
    """Encoders of long clips hear the fewest and the most companions alone; the bank hears what lies between too."""
    bank = known("power-filterbank")
    figures = dict(bank.figures)
    middle = dict(figures) | {
        "companions": [0, 4, 32],
        "areas": [figures["areas"][0], [0.0] * len(figures["areas"][0]), figures["areas"][-1]],
    }
    own = dataclasses.replace(bank, figures=dict(figures) | {"d_prime": [2.2, 1.9]})
    plain, fewer = (probe.compare(own, [each]) for each in (bank, dataclasses.replace(bank, figures=middle)))
    assert fewer.null == plain.null
    assert effect_of(fewer).value == effect_of(plain).value == 0.0


def test_an_area_is_a_d_prime_as_the_null_takes_it() -> None:
    """d'_a = sqrt(2) z(AUC) (Macmillan & Creelman 2005); never infinite."""
    from scipy import stats

    assert probe._z(0.5) == pytest.approx(0.0)
    assert probe._z(float(stats.norm.cdf(1.0 / np.sqrt(2.0)))) == pytest.approx(1.0)
    assert 3.0 < probe._z(1.0) < 6.0
