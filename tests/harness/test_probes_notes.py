"""Notes, alone and together: what the probes must find where the answer is known, and what must not move them."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import stats

from testtone.models import references, resolve
from testtone.models.listening import Listener
from testtone.probes.chord_additivity import FRAMES, SIZES
from testtone.probes.hearing import ear_of
from testtone.probes.no_part_relations import NOTES, Learned
from testtone.probes.records import Measurement
from testtone.probes.statistics import verdict
from testtone.stimuli import mixtures
from testtone.tests.claim import Claim
from testtone.tests.claims.test_chord_additivity import CLAIM as CHORDS
from testtone.tests.claims.test_no_part_relations import CLAIM as PARTS
from testtone.tests.claims.test_pitch_direction import CLAIM as DIRECTION
from testtone.tests.claims.test_pitch_most_separable import CLAIM as BEST
from testtone.tests.claims.test_pitch_not_in_mixture import CLAIM as MIXTURE
from testtone.tests.claims.test_same_filters import CLAIM as FILTERS
from testtone.tests.harness.imagined import EAR, Deaf, Maps, draws, imagine, measure
from testtone.tests.trial import generator

TOLERANCE = 0.05
CLAIMS = {claim.id: claim for claim in (FILTERS, CHORDS, MIXTURE, PARTS, BEST)}


@cache
def known(claim_id: str, spec: str, seed: int = 0) -> Measurement:
    """The measurement on a reference encoder at quick effort, made once."""
    return measure(CLAIMS[claim_id].probe, reference(spec), seed=seed)["latent"]


@cache
def reference(spec: str) -> Any:
    """A reference encoder, built once."""
    return resolve(spec)


def part(measurement: Measurement, start: str) -> Any:
    (found,) = [each.effect for each in measurement.parts if each.name.startswith(start)]
    return found


# --- every claim ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    ("claim", "control"),
    [(claim, control) for claim in CLAIMS.values() for control in claim.controls],
    ids=lambda each: each.id if isinstance(each, Claim) else each.encoder,
)
def test_controls_come_out_as_expected(claim: Claim, control: Any, seed: int) -> None:
    assert verdict(known(claim.id, control.encoder, seed).effect, claim.threshold) == control.expected


@pytest.mark.parametrize("value", [0.0, 3.0])
@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_an_encoder_that_never_moves_settles_nothing(claim: Claim, value: float) -> None:
    found = measure(claim.probe, Deaf(value=value))["latent"]
    assert verdict(found.effect, claim.threshold) == "insufficient"
    assert found.reason
    assert {verdict(each.effect, each.threshold) for each in found.parts} <= {"insufficient"}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_one_channel_is_enough_to_ask(claim: Claim) -> None:
    level = Maps(resolve("power-filterbank"), lambda code: np.sqrt(code.sum(axis=1, keepdims=True)))
    found = measure(claim.probe, level)["latent"]
    assert found.effect is not None or found.reason
    # No single number tells notes apart: whatever it comes to, it is not the verdict of a bank of filters.
    bank = {control.expected for control in claim.controls if control.encoder in ("power-filterbank", "pitch-alone")}
    assert verdict(found.effect, claim.threshold) not in bank


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_another_clock_gives_the_same_verdicts(claim: Claim) -> None:
    """16 kHz, a hundred frames a second."""
    build = {"power-filterbank": references.power_filterbank, "holistic-features": references.holistic_features}
    for control in claim.controls:
        if control.encoder in build:
            encoder = build[control.encoder](sample_rate=16_000, hop=160)
            found = measure(claim.probe, encoder)["latent"]
            assert verdict(found.effect, claim.threshold) == control.expected


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_gain_and_order_of_channels_do_not_matter(claim: Claim) -> None:
    order = np.random.default_rng(0).permutation(128)
    changed = measure(claim.probe, Maps(resolve("power-filterbank"), lambda code: 8.0 * code[:, order]))["latent"]
    plain = known(claim.id, "power-filterbank")
    assert changed.effect is not None
    assert plain.effect is not None
    for end in ("value", "low", "high"):
        assert getattr(changed.effect, end) == pytest.approx(getattr(plain.effect, end), abs=0.02)


# --- the same filters -----------------------------------------------------------------------------------------------


def own_sets(share: float, seed: int) -> Any:
    """A code in which a pitch moves a set of channels: its own with probability `share`, else any, cell by cell."""

    def code(stimulus: Any) -> np.ndarray:
        voice, _, context = stimulus.label.partition(" in ")
        if not context:
            return 3.0 * draws(voice).standard_normal(200)
        cell = draws(seed, voice, context)
        own = cell.random() < share
        members = (draws(seed, voice) if own else cell).permutation(200)[:20]
        return 3.0 * draws(context).standard_normal(200) + np.isin(np.arange(200), members)

    return code


@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_the_area_follows_from_the_share_of_cells_with_their_own_set(share: float) -> None:
    """Two sets are equal with probability share^2, and beat any two others; else they are any two: 1/2."""
    found = [imagine(FILTERS.probe, own_sets(share, seed), seed=seed).effect for seed in range(6)]
    assert np.mean([each.value for each in found]) == pytest.approx((1 + share**2) / 2, abs=TOLERANCE)


def test_a_linear_code_that_spreads_every_tone_has_no_filters() -> None:
    assert verdict(measure(FILTERS.probe, resolve("polyphase"))["latent"].effect, FILTERS.threshold) == "refuted"


def test_no_pitch_is_named_by_permuted_labels() -> None:
    assert known(FILTERS.id, "power-filterbank").null.p == 1 / 200
    assert imagine(FILTERS.probe, own_sets(0.0, 3)).null.p > 0.05


def test_three_channels_have_no_tenth() -> None:
    found = measure(FILTERS.probe, Maps(resolve("power-filterbank"), lambda code: code[:, 10:13]))["latent"]
    assert "too few" in found.reason


def test_filters_and_directions_are_asked_of_the_same_sounds() -> None:

    first, second = (
        {each.sha256 for each in next(claim.probe(EAR, generator(claim.family, 0), "quick"))[0].stimuli}
        for claim in (FILTERS, DIRECTION)
    )
    assert first == second


# --- chords ---------------------------------------------------------------------------------------------------------


def sums_and_colours(weight: float, seed: int, *, noise: float = 0.3, channels: int = 60) -> Any:
    """A code in which a note adds a random vector of unit energy, and a chord another of energy `weight`."""

    def code(stimulus: Any) -> np.ndarray:
        notes = sum(draws(seed, each).standard_normal(channels) for each in stimulus.pitches)
        colour = np.sqrt(weight) * draws(seed, stimulus.pitches).standard_normal(channels)
        performance = np.sqrt(noise) * draws(seed, stimulus.sha256).standard_normal(channels)
        return (notes + colour + performance) / np.sqrt(channels)

    return code


@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0, 8.0])
def test_additivity_is_the_share_of_the_notes_in_the_variance_of_chords(weight: float) -> None:
    """36 pairs and 36 triads of 12 notes: the variance of a note's presence, p (1 - p) among chords of one size."""
    additive = np.mean([12 * present * (1 - present) for present in (2 / 12, 3 / 12)])
    found = [imagine(CHORDS.probe, sums_and_colours(weight, seed), seed=seed) for seed in range(4)]
    assert np.mean([each.effect.value for each in found]) == pytest.approx(
        additive / (additive + weight), abs=TOLERANCE
    )
    assert {part(each, "terms of pairs").low < 0.05 for each in found} == {True}


@pytest.mark.parametrize("weight", [0.3, 3.0])
def test_additivity_of_a_bank_with_a_texture_beside_it(weight: float) -> None:
    """The filterbank's share of the variance between chords, from its channels, and the texture's, from its own."""
    encoder = resolve(f"partly-holistic:weight={weight}")
    found = measure(CHORDS.probe, encoder, seed=4)["latent"].effect

    ear = ear_of(Listener(encoder), ("latent",))
    design = mixtures.chords_of_notes(
        np.random.default_rng(4),
        **SIZES["quick"],
        seconds=ear.seconds(FRAMES),
        frame_rate=75.0,
        harmonics_below_hz=0.42 * 24_000,
    )
    left, right = ear.free("latent")
    codes = np.stack(
        [
            encoder.listen(np.stack([each.render(24_000) for each in token]))["latent"][:, :, left:-right].mean(axis=2)
            for token in design.stimuli
        ]
    )[:, 12:]
    pairs, triads = codes[:, :36], codes[:, 36:]
    first, second = np.concatenate([each - each.mean(axis=1, keepdims=True) for each in (pairs, triads)], axis=1)
    bank, texture = ((first[:, each] * second[:, each]).sum() for each in (slice(0, 128), slice(128, None)))
    assert found.value == pytest.approx(bank / (bank + texture), abs=TOLERANCE)


def test_terms_of_pairs_explain_a_code_of_pairs() -> None:
    def code(stimulus: Any) -> np.ndarray:
        notes = stimulus.pitches
        pairs = [(p, q) for i, p in enumerate(notes) for q in notes[:i]]
        return sum(draws(each).standard_normal(60) for each in (*notes, *pairs))

    found = imagine(CHORDS.probe, code, effort="standard")
    assert verdict(found.effect, CHORDS.threshold) != "supported"
    assert part(found, "terms of pairs").low > 0.1


def test_a_square_of_the_waveform_is_no_sum_but_softly_a_line_is() -> None:
    """A saturating channel: linear when played softly, and flagged so."""
    saturating = Maps(references.polyphase(keep=40), lambda code: np.tanh(30.0 * code))
    found = measure(CHORDS.probe, saturating, effort="standard")["latent"]
    notes = {each.name: each.note for each in found.parts}
    assert notes["frozen sums, -34 dB"] == "linear regime"
    assert part(found, "frozen sums, -34 dB").value > part(found, "frozen sums, +3 dB").value + 0.1


def test_a_linear_code_is_a_sum_once_its_waveforms_are_frozen() -> None:
    found = measure(CHORDS.probe, resolve("polyphase"))["latent"]
    assert found.effect.name == "additivity, frozen frames"
    assert found.effect.value == pytest.approx(1.0, abs=1e-3)


def swinging(held: float, seed: int) -> Any:
    """A sum of notes that swings from frame to frame, and beside it, unmoved, a colour of each chord.

    The colour is of `held` the variance of chords in a frame, all of what a mean over frames holds.
    """
    signs = np.where(np.arange(24) % 2, -1.0, 1.0)

    def code(stimulus: Any) -> np.ndarray:
        notes = sum(draws(seed, "note", each).standard_normal(64) for each in stimulus.pitches)
        colour = draws(seed, "colour", *stimulus.pitches).standard_normal(64)
        # Sums of two or three out of twelve notes vary by about two notes.
        strength = np.sqrt(2.0 * held / (1.0 - held))
        return np.concatenate([notes[:, None] * signs, np.repeat(strength * colour[:, None], 24, axis=1)])

    return code


@pytest.mark.parametrize(
    ("held", "deciding", "effect"), [(0.05, "frozen frames", 0.95), (0.5, "phase-roved means", 0.0)]
)
def test_a_mean_that_holds_little_of_a_code_does_not_speak_for_it(held: float, deciding: str, effect: float) -> None:
    found = imagine(CHORDS.probe, swinging(held, 3), seed=3)
    assert found.effect.name == f"additivity, {deciding}"
    assert found.effect.value == pytest.approx(effect, abs=TOLERANCE)
    if held < 0.25:
        assert "of what tells chords apart" in next(each.note for each in found.parts if "RO1" in each.name)


def test_shuffled_notes_explain_nothing() -> None:
    assert known(CHORDS.id, "power-filterbank").null.p == 1 / 200
    assert imagine(CHORDS.probe, sums_and_colours(1e6, 5), seed=5).null.p > 0.05


# --- pitches in mixtures --------------------------------------------------------------------------------------------


def evidence(strength: float, seed: int, *, channels: int = 24) -> Any:
    """A code with a channel for each pitch, 1 where the pitch sounds, and in mixtures as much noise as `strength` says.

    In isolation the channels are nearly clean, and mixtures are colours of their own besides, for the gate.
    """
    scale = {}

    def code(stimulus: Any) -> np.ndarray:
        notes = stimulus.pitches
        z = np.zeros(2 * channels)
        for each in notes:
            z[scale.setdefault(round(2 * (each - 48) / 3 - 0.5), len(scale))] += 1.0
        if len(notes) > 1:
            z[:channels] = strength * z[:channels] + draws(seed, stimulus.label).standard_normal(channels)
        return z + 1e-3 * draws(seed, stimulus.sha256).standard_normal(2 * channels)

    return code


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_the_area_in_mixtures_is_that_of_the_evidence_there(strength: float) -> None:
    """A normal deviate that moves by d' where the pitch sounds: an area of Phi(d' / sqrt 2) (Green & Swets 1966)."""
    found = [imagine(MIXTURE.probe, evidence(strength, seed), seed=seed) for seed in range(3)]
    expected = 0.6 - stats.norm.cdf(strength / np.sqrt(2))
    assert np.mean([part(each, "means (RO1)").value for each in found]) == pytest.approx(expected, abs=TOLERANCE)


def test_who_cannot_tell_mixtures_apart_is_not_judged() -> None:
    found = measure(MIXTURE.probe, resolve("bare-decimator"))["latent"]
    assert verdict(found.effect, MIXTURE.threshold) == "insufficient"
    assert "even detectors that learned from these mixtures" in found.reason


def test_mixtures_are_as_loud_as_notes() -> None:
    design = mixtures.notes_in_company(
        np.random.default_rng(0),
        pitches=12,
        mixtures=12,
        alone_tokens=1,
        mixed_tokens=1,
        seconds=0.5,
        frame_rate=75.0,
        harmonics_below_hz=8000.0,
        rove_db=0.0,
    )
    sounds = [*design.alone[1][0], *design.mixed[0]]
    levels = [20 * np.log10(np.sqrt(np.square(each.render(24_000)[1200:-1200]).mean())) for each in sounds]
    # Partials of two notes may beat within half a second.
    assert np.median(levels) == pytest.approx(-20.0, abs=0.5)
    assert {len(each.pitches) for each in design.mixed[0]} == {2, 3, 4}


# --- parts ----------------------------------------------------------------------------------------------------------


def parts_or_wholes(share: float, seed: int) -> Any:
    """A code of pairs by number that, in a share of the pairs, shows their first note as well."""

    def code(stimulus: Any) -> np.ndarray:
        first, second = stimulus.pitches
        whole = 0.3 * draws(seed, "pair", first, second).standard_normal(256)
        shows = draws(seed, "shows", first, second).random() < share
        note = 3.0 * draws(seed, "note", first).standard_normal(256)
        other = 3.0 * draws(seed, "other", first, second).standard_normal(256)
        return whole + (note if shows else other) + 0.05 * draws(stimulus.sha256).standard_normal(256)

    return code


@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_what_carries_over_is_the_share_of_pairs_that_show_their_first_note(share: float) -> None:
    """Pairs are learned whole either way; of the others those are known that show the note, the rest by chance."""
    found = [imagine(PARTS.probe, parts_or_wholes(share, seed), seed=seed).effect for seed in range(3)]
    assert np.mean([each.value for each in found]) == pytest.approx(1 - share, abs=TOLERANCE)


def test_who_has_not_learned_is_not_judged() -> None:
    found = imagine(PARTS.probe, lambda stimulus: draws(stimulus.sha256).standard_normal(30))
    assert found.effect is None
    assert "does not know even the combinations it has heard" in found.reason


def test_the_second_voice_tells_nothing_of_the_first() -> None:
    """A code of the second voice alone: who reads it knows no more of the first than anybody."""
    found = imagine(PARTS.probe, lambda stimulus: draws(stimulus.pitches[1]).standard_normal(64))
    assert part(found, "combinations learned").value < 0.2
    design = mixtures.two_voices(
        np.random.default_rng(1), notes=12, tokens=1, seconds=0.5, frame_rate=75.0, harmonics_below_hz=8000.0
    )
    assert abs(np.mean(design.first_midi) - np.mean(design.second_midi)) < 2.0
    assert set(design.first_midi).isdisjoint(design.second_midi)
    assert sorted(design.follows) == list(range(12))


def test_a_hidden_layer_learns_what_is_no_sum() -> None:
    """One number says which of twelve notes sounds: lines through it tell the ends apart, bent ones each from each."""
    rng = np.random.default_rng(0)
    tokens, follows = 4, tuple(int(note) for note in rng.permutation(NOTES))
    number = np.broadcast_to(np.arange(NOTES)[:, None], (tokens, NOTES, NOTES))[..., None]
    features = number + 0.05 * rng.standard_normal((tokens, NOTES, NOTES, 1))
    linear, layered = Learned(features, follows), Learned(features, follows, hidden=np.random.default_rng(1))
    assert linear.accuracy(linear.seen) < 0.4
    assert layered.accuracy(layered.seen) > 0.95
    assert layered.accuracy(layered.held) > 0.95
    assert layered.lost() == pytest.approx(0.0, abs=0.05)


# --- the property read best -----------------------------------------------------------------------------------------


def told(shares: tuple[float, float, float], seed: int) -> Any:
    """A code that tells pitch, level and timbre of a note each with its probability, and else another class of it."""

    def code(stimulus: Any) -> np.ndarray:
        name, _, rest = stimulus.label.partition(" (")
        timbre, _, level = rest.rstrip(")").partition(", ")
        z = []
        for share, said in zip(shares, (name, level, timbre), strict=True):
            chance = draws(seed, said, stimulus.sha256)
            z.append(draws(said if chance.random() < share else chance.random()).standard_normal(40))
        return np.concatenate(z)

    return code


@pytest.mark.parametrize("shares", [(0.9, 0.5, 0.3), (0.5, 0.8, 0.3)])
def test_the_lead_of_pitch_is_what_the_code_tells_of_it_beyond_its_rival(shares: tuple[float, float, float]) -> None:
    """Where a code tells a class, it is read; where it tells none of them, the answer is right by chance."""
    found = [imagine(BEST.probe, told(shares, seed), seed=seed, effort="standard") for seed in range(3)]
    expected = shares[0] - max(shares[1:])
    assert np.mean([each.effect.value for each in found]) == pytest.approx(expected, abs=TOLERANCE)


def test_a_row_of_classes_is_read_from_one_channel() -> None:
    """Twelve levels on one line, linear in dB: no largest answer belongs to the middle, yet all are read."""
    found = imagine(BEST.probe, lambda stimulus: np.array([float(stimulus.label.split(", ")[1].split(" dB")[0])]))
    assert part(found, "score of level").value > 0.9
    assert part(found, "score of pitch").high < 0.2


def test_two_perfect_scores_have_no_best() -> None:
    found = imagine(BEST.probe, told((1.0, 1.0, 0.0), 0))
    assert found.effect is None
    assert "there is no best" in found.reason
