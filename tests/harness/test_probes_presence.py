"""Presence of partials: what the probes must find where it is known what can be read off, where, and by whom."""

import dataclasses
import functools
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from testtone.models import references, resolve
from testtone.models.listening import Listener
from testtone.models.presence_references import context_scrambled_filterbank
from testtone.models.steering_references import two_numbers
from testtone.models.zoo import zoo
from testtone.probes import presence
from testtone.probes.compositionality_condition import advantage
from testtone.probes.hearing import ear_of, hear
from testtone.probes.records import Measurement
from testtone.probes.statistics import verdict
from testtone.stimuli import fold, recordings
from testtone.stimuli import presence as mixtures
from testtone.stimuli.sources import Recording
from testtone.tests.claims.test_compositionality_condition import CLAIM as CONDITION
from testtone.tests.claims.test_contained_not_exposed import CLAIM as CONTAINED
from testtone.tests.claims.test_separable import CLAIM as SEPARABLE
from testtone.tests.claims.test_stable_across_contexts import CLAIM as STABLE

TOLERANCE = 0.05
SPREAD = tuple(field.name for field in dataclasses.fields(presence.Spread))
FAMILY = (SEPARABLE, STABLE, CONTAINED)


def measured(
    encoder: Any, *, seed: int = 0, claims: tuple = FAMILY, own: tuple[Recording, ...] = ()
) -> dict[str, Measurement]:
    """What the probes find on an encoder's latent, all in one pass, from the same draws."""
    listener = Listener(resolve(encoder) if isinstance(encoder, str) else encoder)
    ear = ear_of(listener, ("latent",), own)
    probes = {claim.id: (ear, claim.probe(ear, np.random.default_rng(seed), "quick")) for claim in claims}
    found = {}
    for name, heard in hear(listener, probes).items():
        if heard.error is not None:
            raise heard.error
        assert heard.fault is None, heard.fault
        found[name] = heard.measurements["latent"]
    return found


@functools.cache
def found(spec: str, seed: int = 0) -> dict[str, Measurement]:
    return measured(spec, seed=seed)


def altered(encoder: references.ReferenceEncoder, change: Any) -> references.ReferenceEncoder:
    """An encoder, and something done to its code 'batch channels frames'."""
    return dataclasses.replace(encoder, transform=lambda samples: change(encoder.transform(samples)), centres_hz=None)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("claim", FAMILY, ids=lambda claim: claim.id)
def test_controls_come_out_as_expected(claim: Any, seed: int) -> None:
    for control in claim.controls:
        measurement = found(control.encoder, seed)[claim.id]
        assert verdict(measurement.effect, claim.threshold) == control.expected, control.encoder


def share_below(seed: int, hz: float) -> float:
    """The share of main candidates below a frequency, in the draws of `found`."""
    ear = ear_of(Listener(resolve("power-filterbank")), ("latent",))
    among = presence.draw(ear, np.random.default_rng(seed), "quick").total.candidates
    return float(np.mean(np.array(among.hz[: among.main]) < hz))


@pytest.mark.parametrize("to_hz", [1500.0, 3000.0])
def test_what_was_taken_out_cannot_be_read_off(to_hz: float) -> None:
    """Partials below the limit are read with certainty (area 1), those above it by guessing (.5)."""
    measurement = found(f"band-limited-filterbank:to_hz={to_hz}")["separable"]
    assert measurement.effect.value == pytest.approx(0.5 + 0.5 * share_below(0, to_hz), abs=TOLERANCE)


@pytest.mark.parametrize("from_hz", [1500.0, 3000.0])
def test_what_keeps_its_place_is_stable(from_hz: float) -> None:
    """Partials below the limit are read everywhere, those above it at home only: as many of them are lost abroad.

    Nearly as many: bands that change places come to lie beside their own in one pair of families of ten, and are then
    read at .7 or .8; readers of three times as many sounds say .56 where half of the partials keep their place.
    """
    measurement = found(f"context-scrambled-filterbank:from_hz={from_hz}")
    share = share_below(0, from_hz)
    assert share - TOLERANCE < measurement["stable_across_contexts"].effect.value < share + 3 * TOLERANCE
    expected = min(1.0 - 0.85, 0.65 - (0.5 + 0.5 * share))
    assert measurement["contained_not_exposed"].effect.value == pytest.approx(expected, abs=TOLERANCE)


def test_a_waveform_contains_everything_and_exposes_nothing() -> None:
    measurement = found("polyphase")["contained_not_exposed"]
    assert measurement.effect.value == pytest.approx(0.15, abs=TOLERANCE)
    assert found("polyphase")["separable"].effect.value == pytest.approx(0.5, abs=TOLERANCE)
    assert found("polyphase")["stable_across_contexts"].effect is None
    assert "in their own company" in found("polyphase")["stable_across_contexts"].reason


def test_gain_and_the_order_of_channels_change_nothing() -> None:
    bank = references.power_filterbank()
    order = np.random.default_rng(1).permutation(128)
    plain = measured(bank)
    changed = measured(altered(bank, lambda code: 1e-6 * code[:, order]))
    for claim in FAMILY:
        assert changed[claim.id].effect.value == pytest.approx(plain[claim.id].effect.value, abs=0.02)


def test_the_matched_reader_does_not_see_a_rotation() -> None:
    """Powers do: samples of a hop, turned at random, are filters of its length, and what passes them tells partials."""
    rng = np.random.default_rng(2)
    turn = np.linalg.qr(rng.standard_normal((320, 320)))[0]
    changed = measured(altered(references.polyphase(), lambda code: turn @ code), claims=(CONTAINED,))
    (matched,) = (part for part in changed["contained_not_exposed"].parts if "matched" in part.name)
    assert matched.effect.value == pytest.approx(0.15, abs=TOLERANCE)


def test_nothing_is_read_off_noise() -> None:
    """A code that hears nothing but answers all the same: areas of .5, and a null that is not passed."""

    def noise(code: np.ndarray) -> np.ndarray:
        seeds = np.abs(code[:, 0].sum(axis=1) * 1e12).astype(np.int64)
        return np.stack([np.random.default_rng(int(seed)).standard_normal(code.shape[1:]) for seed in seeds])

    measurement = measured(altered(references.bare_decimator(), noise))
    assert measurement["separable"].effect.low < 0.5 < measurement["separable"].effect.high
    assert measurement["separable"].null.p > 0.02
    assert measurement["stable_across_contexts"].effect is None
    assert verdict(measurement["contained_not_exposed"].effect, CONTAINED.threshold) == "refuted"


def test_a_deaf_encoder_leaves_nothing_to_measure() -> None:
    measurement = measured(altered(references.power_filterbank(), np.zeros_like))
    for claim in FAMILY:
        assert measurement[claim.id].effect is None
        assert "does not change" in measurement[claim.id].reason
        assert verdict(measurement[claim.id].effect, claim.threshold) == "insufficient"


def test_one_channel_is_enough_to_be_asked() -> None:
    measurement = measured("bare-decimator")
    assert verdict(measurement["separable"].effect, SEPARABLE.threshold) == "refuted"


def test_other_rates_say_the_same() -> None:
    measurement = measured(references.power_filterbank(sample_rate=16_000, hop=160))
    assert verdict(measurement["separable"].effect, SEPARABLE.threshold) == "supported"
    assert verdict(measurement["stable_across_contexts"].effect, STABLE.threshold) == "supported"
    slow = measured(two_numbers(sample_rate=8_000, hop=400), claims=(SEPARABLE,))
    assert verdict(slow["separable"].effect, SEPARABLE.threshold) == "refuted"


def test_claims_of_the_family_play_the_same_sounds() -> None:
    ear = ear_of(Listener(resolve("power-filterbank")), ("latent",))
    first, second = (presence.draw(ear, np.random.default_rng(3), "quick") for _ in range(2))
    other = presence.draw(ear, np.random.default_rng(4), "quick")
    assert [each.sha256 for each in first.total.flat] == [each.sha256 for each in second.total.flat]
    assert not {each.sha256 for each in first.total.flat} & {each.sha256 for each in other.total.flat}
    assert {claim.family for claim in FAMILY} == {"presence"}


# In the company of recordings


@pytest.fixture
def music(tmp_path: Path) -> tuple[Recording, ...]:
    """A recording of noise, louder towards low frequencies."""
    sound = np.cumsum(np.random.default_rng(0).standard_normal(8 * 24_000))
    soundfile.write(tmp_path / "noise.wav", 1e-3 * np.diff(sound, prepend=0.0) + 1e-4 * (sound - sound.mean()), 24_000)
    return recordings.folder(tmp_path).recordings


def test_recordings_are_a_part_and_move_nothing_else(music: tuple[Recording, ...]) -> None:
    """Read in music as elsewhere by a bank; by one whose bands change places with the drone, only at home."""
    name = "in the company of your recordings"
    bank = references.power_filterbank(sample_rate=8_000, hop=160)
    plain, given = measured(bank), measured(bank, own=music)
    parts = {}
    for claim in FAMILY:
        assert given[claim.id].effect == plain[claim.id].effect
        assert given[claim.id].null == plain[claim.id].null
        assert name not in {each.name for each in plain[claim.id].parts}
        (parts[claim.id],) = (each for each in given[claim.id].parts if each.name == name)
        for control in claim.controls:
            if control.encoder == "power-filterbank":
                assert verdict(parts[claim.id].effect, claim.threshold) == control.expected
    scrambled = measured(context_scrambled_filterbank(sample_rate=8_000, hop=160), own=music, claims=(STABLE,))
    (part,) = (each for each in scrambled["stable_across_contexts"].parts if each.name == name)
    assert verdict(part.effect, STABLE.threshold) == "refuted"


def test_every_token_hears_a_recording_from_another_place(music: tuple[Recording, ...]) -> None:
    ear = ear_of(Listener(references.power_filterbank(sample_rate=8_000, hop=160)), ("latent",), music)
    design = presence.draw(ear, np.random.default_rng(0), "quick")
    assert design.recorded is not None
    assert [family.kind for family in design.recorded.families] == ["recording"] * 2
    offsets = [
        source.start_seconds + source.offset_seconds
        for sound in design.recorded.stimuli[0]
        for source in sound.sources
        if isinstance(source, Recording)
    ]
    assert len(set(offsets)) == len(offsets) == len(design.recorded.stimuli[0])


# The design


@pytest.mark.parametrize(
    ("sample_rate", "frame_rate"), [(8_000, 50.0), (16_000, 100.0), (22_050, 30.25), (24_000, 75.0), (48_000, 150.0)]
)
def test_candidates_are_an_erb_apart_and_partners_share_their_alias(sample_rate: int, frame_rate: float) -> None:
    among = mixtures.candidates(np.random.default_rng(0), sample_rate=sample_rate, frame_rates=[frame_rate])
    hz = np.array(among.hz)
    erbs = 21.4 * np.log10(4.37e-3 * np.sort(hz) + 1.0)
    assert among.main == 16
    assert np.diff(erbs).min() >= 1.0 - 1e-9
    assert np.diff(np.sort(hz)).min() >= 60.0
    assert hz.max() < 0.42 * sample_rate + 1e-6
    for partner, index in zip(hz[among.main :], among.partner_of, strict=True):
        assert fold(float(partner), frame_rate) == pytest.approx(fold(float(hz[index]), frame_rate), abs=1e-6)
        assert abs(partner - hz[index]) > frame_rate / 2


def test_too_low_a_sample_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="sample_rate=4000 Hz leaves room for"):
        mixtures.candidates(np.random.default_rng(0), sample_rate=4_000, frame_rates=[50.0])


@pytest.mark.parametrize("cut_hz", [1_000, 2_800, 6_000])
def test_an_interval_covers_for_a_code_that_hears_nothing_above_some_frequency(cut_hz: float) -> None:
    drawn = [
        mixtures.candidates(np.random.default_rng(each), sample_rate=24_000, frame_rates=[75.0]) for each in range(60)
    ]
    areas = [np.where(np.array(among.hz[: among.main]) < cut_hz, 0.95, 0.57) for among in drawn]
    truth = float(np.mean([each.mean() for each in areas]))
    effects = [presence.mean_over_partials("area", each) for each in areas]
    assert np.mean([each.low <= truth <= each.high for each in effects]) >= 0.87


@pytest.mark.parametrize("level", ["total", "component"])
def test_levels_are_what_they_are_said_to_be(level: str) -> None:
    rng = np.random.default_rng(0)
    among = mixtures.candidates(rng, sample_rate=24_000, frame_rates=[75.0])
    company = mixtures.families(rng, 8, among=among, sample_rate=24_000)
    drawn = mixtures.mixtures(
        rng, among=among, company=company, tokens=24, seconds=0.4, sample_rate=24_000, level=level
    )
    rms = np.sqrt(np.square(drawn.amplitude).sum(axis=-1) / 2)
    gain = np.array([10 ** (each.level_db / 20) for each in company])
    if level == "total":
        np.testing.assert_allclose(rms, 0.08 * gain[:, None] * np.ones(24), rtol=1e-9)
    else:
        sounding = drawn.amplitude[drawn.present] / np.repeat(gain, drawn.present.sum(axis=(1, 2)))
        assert 20 * np.log10(sounding.max() / sounding.min()) == pytest.approx(6.0, abs=0.2)
    assert (drawn.present.sum(axis=1) == 12).all()
    assert (drawn.present.sum(axis=-1) >= mixtures.FEWEST).all()
    for family, tokens in zip(company, drawn.stimuli, strict=True):
        wave = tokens[0].render(24_000)
        assert np.abs(wave).max() < 1.0
        spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
        # The drone is the loudest thing in the mixture.
        assert np.argmax(spectrum) * 24_000 / len(wave) == pytest.approx(family.drone_hz, abs=3.0)


def test_no_chord_is_played_twice() -> None:
    rng = np.random.default_rng(0)
    among = mixtures.candidates(rng, sample_rate=24_000, frame_rates=[75.0])
    company = mixtures.families(rng, 6, among=among, sample_rate=24_000)
    options = {"among": among, "company": company, "notes": 12, "seconds": 0.4, "sample_rate": 24_000}
    drawn = mixtures.chords(rng, tokens=30, **options)
    chords = {tuple(np.flatnonzero(each)) for family in drawn.present for each in family}
    assert len(chords) == 180
    assert {len(each) for each in chords} == {3}
    with pytest.raises(ValueError, match="notes=12 make 220 chords, and 240 are needed"):
        mixtures.chords(rng, tokens=40, **options)


# Readers


def test_areas_are_those_of_the_other_implementation() -> None:
    from testtone.probes.decoding import areas

    rng = np.random.default_rng(0)
    said, labels, groups = rng.standard_normal((60, 5)).round(1), rng.random((60, 5)) < 0.4, np.arange(60) % 4
    np.testing.assert_allclose(presence.area(said, labels, groups), areas(said, labels.astype(float), groups))


def test_readers_are_chosen_where_they_are_not_scored() -> None:
    """Among readers that guess, the one that guessed best elsewhere guesses here: the area stays one half."""
    rng = np.random.default_rng(0)
    labels = rng.random((6, 48, 40)) < 0.5
    rivals = [rng.standard_normal(labels.shape) for _ in range(8)]
    assert float(presence.chosen(rivals, labels).mean()) == pytest.approx(0.5, abs=0.02)


def test_endless_areas_follow_from_two() -> None:
    """With a shortfall that falls as the reciprocal of the sounds, the extrapolation is exact."""
    assert presence.endless(np.array([0.9 - 4 / 100]), np.array([0.9 - 4 / 50]))[0] == pytest.approx(0.9)
    assert presence.endless(np.array([0.99]), np.array([0.9]))[0] == 1.0


# The zoo


def test_areas_grow_by_their_d_prime_and_stay_half_a_token_away_from_0_and_1() -> None:
    from scipy import stats

    areas = np.array([0.0, 0.5, stats.norm.cdf(1.0), 1.0])
    np.testing.assert_allclose(presence.grown(areas, 1.0, 10), [0.05, 0.5, areas[2], 0.95])
    np.testing.assert_allclose(presence.grown(areas[1:3], 2.0, 100), [0.5, stats.norm.cdf(2.0)])


def test_scatter_and_distance_of_readers_of_mean_differences_are_those_of_the_formula() -> None:
    """Orthogonal partials in white noise: a reader that weighs by mean differences w = d + chance says d'w apart.

    With all other partials as coins the covariance is C = 1 + sum of dd'/4 over them; chance in w has the covariance
    (1/n + 1/n) C, so that scatter is d'Cd + (1/n + 1/n) tr CC, of which d'Cd would last.
    """
    rng = np.random.default_rng(0)
    partials, channels, tokens, strong = 3, 30, 60, np.array([2.0, 3.0, 4.0])
    labels = rng.random((24, 4, tokens, partials)) < 0.5
    code = rng.standard_normal((24, 4, tokens, channels))
    code[..., :partials] += strong * labels + 5.0 * rng.standard_normal((24, 4, 1, 1))
    # The penalty is so large that no channel counts for more than another.
    drawn = [presence.spread_at_home(each, known, 1e6)[0] for each, known in zip(code, labels, strict=True)]
    found = presence.Spread(*(np.concatenate([getattr(each, name) for each in drawn], axis=1) for name in SPREAD))
    learned = tokens * (presence.FOLDS - 1) / presence.FOLDS
    unit = float((found.apart.mean(axis=1) / strong**2).mean())
    apart, scatter, lasting = found.apart / unit, found.scatter / unit**2, found.lasting / unit**2
    for index, size in enumerate(strong):
        others = 1.0 + np.delete(strong, index) ** 2 / 4.0
        chance = 4.0 / learned * (np.square(others).sum() + channels - len(others))
        # A hundred families leave standard errors of 4 %, and of 1 % in what chance adds.
        assert apart[index].mean() == pytest.approx(size**2, rel=0.12)
        assert lasting[index].mean() == pytest.approx(size**2, rel=0.12)
        assert (scatter - lasting)[index].mean() == pytest.approx(chance, rel=0.06)


def test_both_conditions_together_say_more_only_where_both_are_needed() -> None:
    rng = np.random.default_rng(0)
    sep, stab = rng.random((2, 400))
    assert advantage(np.minimum(sep, stab), sep, stab) > 0.2
    assert advantage(sep, sep, stab) < -0.2
    assert advantage(np.maximum(sep, stab), sep, stab) < -0.1
    # A condition that all meet alike goes with nothing.
    assert advantage(-stab, np.ones(400), stab) == pytest.approx(-1.0)


def test_members_of_the_zoo_lie_side_by_side() -> None:
    built = zoo()
    ends = list(built.members.values())
    assert ends[0][0] == 0
    assert all(one[1] == other[0] for one, other in pairwise(ends))
    samples = 0.1 * np.random.default_rng(0).standard_normal((2, 9600))
    code = built.listen(samples)["latent"]
    assert code.shape == (2, ends[-1][1], 30)
    first, last = built.members["decimator"]
    np.testing.assert_allclose(code[:, first:last, :], samples[:, None, ::320], atol=1e-6)
    assert set(zoo(shuffled=True).composes_as.values()) <= set(built.members)


def test_an_encoder_that_is_no_zoo_is_not_asked() -> None:
    measurement = measured("bare-decimator", claims=(CONDITION,))["compositionality_condition"]
    assert measurement.not_applicable
    assert "many encoders" in measurement.reason


def test_the_zoo_comes_out_as_expected() -> None:
    """On one seed here; on three it was run by hand."""
    for control in CONDITION.controls:
        listener = Listener(resolve(control.encoder))
        ear = ear_of(listener, ("latent",))
        probe = CONDITION.probe(ear, np.random.default_rng(0), "quick")
        heard = hear(listener, {"it": (ear, probe)})["it"]
        assert heard.error is None
        assert verdict(heard.measurements["latent"].effect, CONDITION.threshold) == control.expected
