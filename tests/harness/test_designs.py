"""The designs hold what the probes rely on: checked on what is played, not on how it was drawn."""

import math
from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from testtone.stimuli import Chain, Stimulus, designs
from testtone.stimuli.designs import (
    LEVEL,
    SUSTAINED_PROGRAMS,
    AliasPair,
    PitchesInContexts,
    PresenceFactorial,
    alias_battery,
    alias_kinds,
    alias_sets,
    pitches_in_contexts,
    presence_factorial,
    spaced_frequencies,
)
from testtone.stimuli.sources import Noise, Render, Tone
from testtone.stimuli.timbre import note

CHAINS = {
    "codec 24k": Chain(24_000, (2, 4, 5, 8)),
    "one stride": Chain(24_000, (320,)),
    "samplewise 22k": Chain(22_050, (3, 3, 3, 3, 3)),
    "codec 32k": Chain(32_000, (8, 5, 4, 4)),
    # Frames so fast that an alias of 5 Hz could not be told from 0.
    "codec 48k": Chain(48_000, (2, 4, 5, 8)),
    "hop 128": Chain(22_050, (128,)),
    "odd hop": Chain(44_100, (441,)),
}
SETS = 8
RESOLUTION = 1 / 24
"""Alias frequencies that must differ do so by this share of the frame rate: a cycle in 24 frames."""

HZ = 1e-6
"""Rounding of a frequency."""

AMPLITUDE = 1e-6
"""Rounding of two float32 waveforms with peaks below 1, as a difference."""

chains = pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)


def alias(hz: float, chain: Chain) -> float:
    """The distance to the nearest multiple of the frame rate, by looking at the multiples."""
    rate = chain.sample_rate / math.prod(chain.strides)
    return float(np.abs(hz - rate * np.arange(chain.hop + 1)).min())


def heard_at(wave: NDArray, hz: tuple[float, ...], sample_rate: int) -> NDArray[np.complex128]:
    """Complex amplitudes at these frequencies, least squares over the middle of a clip, phase at its start."""
    middle = np.arange(len(wave) // 5, len(wave) - len(wave) // 5)
    angle = 2 * np.pi * np.outer(middle, hz) / sample_rate
    basis = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
    cosine, sine = np.split(np.linalg.lstsq(basis, wave[middle].astype(float), rcond=None)[0], 2)
    return cosine - 1j * sine


def db(ratio: Any) -> Any:
    return 20 * np.log10(ratio)


# --- alias sets -----------------------------------------------------------------------------------------------------


@cache
def sets_of(chain: Chain, seed: int = 0) -> tuple[dict[str, AliasPair], ...]:
    return alias_sets(np.random.default_rng(seed), sets=SETS, chain=chain)


def pairs_of(chain: Chain) -> Iterator[tuple[str, AliasPair]]:
    for seed in (0, 1):
        for each in sets_of(chain, seed):
            yield from each.items()


@chains
def test_each_set_has_a_pair_of_each_kind(chain: Chain) -> None:
    nyquists = [chain.sample_rate / math.prod(chain.strides[: index + 1]) / 2 for index in range(len(chain.strides))]
    kinds = ("translation", "mirror", *(f"fold at {hz:g} Hz" for hz in nyquists))
    assert alias_kinds(chain) == kinds
    assert len(sets_of(chain)) == SETS
    assert all(tuple(each) == kinds == tuple(pair.kind for pair in each.values()) for each in sets_of(chain))


@chains
def test_alias_pairs_fold_onto_each_other_and_controls_do_not(chain: Chain) -> None:
    for kind, pair in pairs_of(chain):
        assert chain.same_class(*pair.alias_hz), kind
        assert alias(pair.alias_hz[0], chain) == pytest.approx(alias(pair.alias_hz[1], chain), abs=HZ)
        assert abs(alias(pair.control_hz[0], chain) - alias(pair.control_hz[1], chain)) > RESOLUTION * chain.rate, kind
        assert chain.first_collision(*pair.control_hz) is None


@chains
def test_a_pair_is_of_the_kind_it_says(chain: Chain) -> None:
    for kind, pair in pairs_of(chain):
        low, high = pair.alias_hz
        cycles = {"translation": high - low, "mirror": high + low}.get(kind, (high + low) / 2)
        step = float(kind.split()[2]) if kind.startswith("fold") else chain.rate
        # "fold at 86.1328 Hz" has six digits; the frequencies have all.
        exact = min((chain.rate, *(rate / 2 for rate in chain.rates)), key=lambda hz: abs(hz - step))
        assert cycles / exact == pytest.approx(round(cycles / exact), abs=1e-6), kind
        assert low < high


@chains
def test_a_folded_pair_first_meets_at_the_stride_that_folds_it(chain: Chain) -> None:
    for kind, pair in pairs_of(chain):
        if kind.startswith("fold"):
            stride = chain.first_collision(*pair.alias_hz)
            assert stride is not None
            assert kind == f"fold at {chain.rates[stride] / 2:g} Hz"


@chains
def test_a_control_is_as_far_apart_as_its_pair(chain: Chain) -> None:
    for kind, pair in pairs_of(chain):
        apart, control = (hz[1] - hz[0] for hz in (pair.alias_hz, pair.control_hz))
        if kind == "translation":
            # Moved as a whole it would stay an alias.
            assert chain.rate / 5 - HZ < abs(control - apart) < chain.rate / 2 + HZ
        else:
            assert control == pytest.approx(apart, abs=HZ)
        # And stands nearby.
        assert abs(pair.control_hz[0] - pair.alias_hz[0]) <= chain.rate + HZ


@chains
def test_lines_and_doubled_lines_can_be_told_apart(chain: Chain) -> None:
    for kind, pair in pairs_of(chain):
        for tones in (pair.alias_hz[:1], pair.control_hz):
            lines = [alias(hz, chain) for hz in tones]
            lines += [min(2 * line, chain.rate - 2 * line) for line in lines]
            # 0 is the mean over frames; at half the rate a line has one number for amplitude and phase.
            apart = np.diff(np.sort([0.0, *lines, chain.rate / 2])).min()
            assert apart >= chain.rate * RESOLUTION - HZ, kind


@chains
def test_pairs_stay_in_the_band(chain: Chain) -> None:
    for seed, (low, high) in enumerate([(150.0, 0.45 * chain.sample_rate), (400.0, 0.3 * chain.sample_rate)]):
        drawn = alias_sets(np.random.default_rng(seed), sets=4, chain=chain, low_hz=low, high_hz=high)
        every = [hz for each in drawn for pair in each.values() for hz in (*pair.alias_hz, *pair.control_hz)]
        assert low / 2 <= min(every) < max(every) <= high


def test_distances_about_a_fold_take_turns() -> None:
    """About 10, 50, 200, 800 Hz: near a fold a filter has no room to tell."""
    chain = CHAINS["codec 24k"]
    for index, each in enumerate(sets_of(chain)):
        low, high = each["fold at 6000 Hz"].alias_hz
        assert high - low == pytest.approx((10, 50, 200, 800)[index % 4], rel=0.251)


@chains
def test_another_seed_draws_other_pairs(chain: Chain) -> None:
    assert sets_of(chain, 0) == alias_sets(np.random.default_rng(0), sets=SETS, chain=chain)
    one, other = (
        {hz for each in sets_of(chain, seed) for pair in each.values() for hz in pair.alias_hz} for seed in (0, 1)
    )
    assert not one & other


def test_a_stride_of_one_changes_nothing() -> None:
    chain, idle = CHAINS["codec 24k"], Chain(24_000, (1, 2, 4, 1, 5, 8, 1))
    assert alias_kinds(idle) == alias_kinds(chain)
    assert sets_of(idle) == sets_of(chain)


# --- alias battery --------------------------------------------------------------------------------------------------


def partials_of(stimulus: Stimulus) -> tuple[float, ...]:
    return tuple(partial.hz for partial in stimulus.partials)


@chains
def test_the_battery_plays_every_member_of_each_class_once(chain: Chain) -> None:
    aliases, clips = alias_battery(np.random.default_rng(0), lines=6, seconds=0.5, chain=chain)
    assert len(clips) == chain.hop
    assert all(len(clip.sources) == 6 for clip in clips)
    for index, line in enumerate(aliases):
        played = [partials_of(clip)[index] for clip in clips]
        assert sorted(played) == pytest.approx(list(chain.members(line)), abs=HZ)
        assert [alias(hz, chain) for hz in played] == pytest.approx([line] * chain.hop, abs=HZ)
        # Neighbours in frequency are not neighbours in the battery.
        assert played != sorted(played)


def test_the_partials_of_a_clip_never_share_a_line() -> None:
    chain = CHAINS["codec 24k"]
    aliases, clips = alias_battery(np.random.default_rng(0), lines=6, seconds=0.5, chain=chain)
    assert aliases == pytest.approx([3.125, 9.375, 15.625, 21.875, 28.125, 34.375])
    for clip in clips:
        lines = np.sort([alias(hz, chain) for hz in partials_of(clip)])
        assert np.diff([0.0, *lines, chain.rate / 2]).min() >= chain.rate * RESOLUTION - HZ
    assert max(np.abs(clip.render(24_000)).max() for clip in clips[:20]) <= 6 * LEVEL / 2 + AMPLITUDE


# --- spaced frequencies ---------------------------------------------------------------------------------------------


@chains
@pytest.mark.parametrize("count", [2, 5])
def test_frequencies_are_erbs_apart_and_so_are_their_aliases(chain: Chain, count: int) -> None:
    apart = min(chain.rate * RESOLUTION, chain.rate / 2 / (count + 2))
    drawn = set()
    for seed in range(10):
        hz = spaced_frequencies(np.random.default_rng(seed), count, low_hz=150.0, high_hz=8000.0, erbs=3.0, chain=chain)
        drawn.add(hz)
        assert len(hz) == count
        assert 150.0 <= hz[0] <= hz[-1] <= 8000.0
        # Glasberg & Moore 1990, equation 4.
        scale = 21.4 * np.log10(0.00437 * np.array(hz) + 1)
        assert np.diff(scale).min() >= 3.0 - 1e-9
        lines = np.sort([0.0, *(alias(each, chain) for each in hz), chain.rate / 2])
        assert np.diff(lines).min() >= apart - HZ
        assert chain.collisions(hz) == ()
    assert len(drawn) == 10


def test_the_scale_of_the_ear() -> None:
    # Glasberg & Moore 1990: at 1 kHz a filter is 132.6 Hz wide and the 15.6th.
    assert designs.erb_hz(1000.0) == pytest.approx(132.64, abs=0.01)
    assert designs.erb_rate(1000.0) == pytest.approx(15.62, abs=0.01)
    for hz in (50.0, 440.0, 10_000.0):
        assert designs.hz_from_erb_rate(designs.erb_rate(hz)) == pytest.approx(hz)


@pytest.mark.parametrize(("line", "folded"), [(5.0, 10.0), (18.0, 36.0), (20.0, 35.0), (37.0, 1.0)])
def test_a_doubled_line_folds_about_half_the_rate(line: float, folded: float) -> None:
    assert designs.doubled(line, 75.0) == pytest.approx(folded)


# --- presence factorial ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def factorial() -> PresenceFactorial:
    return presence_factorial(
        np.random.default_rng(3), sets=3, partials=4, tokens=2, seconds=0.5, chain=CHAINS["codec 24k"]
    )


def test_a_bit_of_the_index_is_a_partial_that_sounds(factorial: PresenceFactorial) -> None:
    for hz, per_set in zip(factorial.frequencies, factorial.stimuli, strict=True):
        assert len(per_set[0]) == 16
        for subset, stimulus in enumerate(per_set[0]):
            present = np.array([bool(subset & 2**bit) for bit in range(4)])
            amplitude = np.abs(heard_at(stimulus.render(24_000), hz, 24_000))
            assert (db(amplitude[present] / LEVEL) <= 3.01).all()
            assert (db(amplitude[present] / LEVEL) >= -3.01).all()
            assert (amplitude[~present] < AMPLITUDE).all()


def test_a_mixture_is_the_sum_of_its_parts(factorial: PresenceFactorial) -> None:
    """A component keeps its waveform to the bit, but for the rounding of the sum, whoever else sounds."""
    for per_token in factorial.stimuli[0]:
        waves = np.array([each.render(24_000) for each in per_token], dtype=float)
        singles = waves[[1, 2, 4, 8]]
        for subset in range(16):
            present = [bool(subset & 2**bit) for bit in range(4)]
            np.testing.assert_allclose(waves[subset], singles[present].sum(axis=0), rtol=0, atol=AMPLITUDE)


def test_another_token_has_other_phases_and_the_same_levels(factorial: PresenceFactorial) -> None:
    for hz, per_set in zip(factorial.frequencies, factorial.stimuli, strict=True):
        one, other = (heard_at(token[-1].render(24_000), hz, 24_000) for token in per_set)
        np.testing.assert_allclose(np.abs(one), np.abs(other), rtol=1e-4)
        turned = np.angle(one / other)
        assert np.ptp(turned) > 0.1
        assert np.abs(turned).min() > 1e-3


def test_sets_have_frequencies_and_levels_of_their_own(factorial: PresenceFactorial) -> None:
    assert len({hz for each in factorial.frequencies for hz in each}) == 12
    levels = [
        np.abs(heard_at(per_set[0][-1].render(24_000), hz, 24_000))
        for hz, per_set in zip(factorial.frequencies, factorial.stimuli, strict=True)
    ]
    assert db(np.max(levels) / np.min(levels)) > 1


def test_the_flat_order_is_set_token_subset(factorial: PresenceFactorial) -> None:
    assert len(factorial.flat) == 3 * 2 * 16
    assert factorial.flat[1 * 32 + 1 * 16 + 5] is factorial.stimuli[1][1][5]


def test_labels_say_what_sounds(factorial: PresenceFactorial) -> None:
    hz = factorial.frequencies[0]
    assert factorial.stimuli[0][0][0].label == "silence"
    assert factorial.stimuli[0][0][0b1010].label == f"partials at {hz[1]:.0f}, {hz[3]:.0f} Hz"


@pytest.mark.parametrize("level_db", [-34.0, -20.0, 12.0])
def test_the_level_moves_every_partial_and_nothing_clips(level_db: float) -> None:
    found = presence_factorial(
        np.random.default_rng(0),
        sets=2,
        partials=4,
        tokens=1,
        seconds=0.4,
        chain=CHAINS["one stride"],
        level_db=level_db,
        rove_db=0.0,
    )
    for hz, per_set in zip(found.frequencies, found.stimuli, strict=True):
        wave = per_set[0][-1].render(24_000)
        assert db(np.abs(heard_at(wave, hz, 24_000)) / LEVEL) == pytest.approx([level_db] * 4, abs=0.01)
        assert np.abs(wave).max() < 1


@chains
def test_the_factorial_can_be_played_at_every_rate(chain: Chain) -> None:
    found = presence_factorial(np.random.default_rng(0), sets=2, partials=5, tokens=1, seconds=0.3, chain=chain)
    assert max(hz for each in found.frequencies for hz in each) <= min(8000.0, 0.42 * chain.sample_rate)
    assert np.abs(found.flat[-1].render(chain.sample_rate)).max() < 1


# --- pitches in contexts --------------------------------------------------------------------------------------------

RATE = 24_000


def design(seed: int = 0, **changes: Any) -> PitchesInContexts:
    options = {
        "pitches": 3,
        "contexts": 12,
        "tokens": 3,
        "seconds": 0.4,
        "frame_rate": 75.0,
        "crossed": False,
        "harmonics_below_hz": 10_000.0,
    }
    return pitches_in_contexts(np.random.default_rng(seed), **options | changes)


@pytest.fixture(scope="module")
def turns() -> PitchesInContexts:
    return design()


@pytest.fixture(scope="module")
def added(turns: PitchesInContexts) -> NDArray[np.float64]:
    """What the pitch adds to its context, as waveforms ``'pitches columns tokens samples'``."""
    alone = np.array([[each.render(RATE) for each in column] for column in turns.alone], dtype=float)
    together = np.array(
        [[[each.render(RATE) for each in column] for column in row] for row in turns.together], dtype=float
    )
    return together - alone


def columns_by_timbre(found: PitchesInContexts) -> dict[str, list[int]]:
    said: dict[str, list[int]] = {}
    for index, column in enumerate(found.columns):
        said.setdefault(column.timbre_name, []).append(index)
    return said


def test_the_first_token_of_a_pitch_is_one_waveform_in_every_context(
    turns: PitchesInContexts, added: NDArray[np.float64]
) -> None:
    for columns in columns_by_timbre(turns).values():
        for pitch in added:
            for column in columns[1:]:
                np.testing.assert_allclose(pitch[column, 0], pitch[columns[0], 0], rtol=0, atol=AMPLITUDE)


def test_later_tokens_are_performances_of_their_own(turns: PitchesInContexts, added: NDArray[np.float64]) -> None:
    for columns in columns_by_timbre(turns).values():
        for pitch in added:
            played = [pitch[column, token] for column in columns for token in (1, 2)] + [pitch[columns[0], 0]]
            for one, other in combinations(played, 2):
                # Two phases drawn at random may come near each other; the same one they are not.
                assert np.abs(one - other).max() > 1e-3 * np.abs(one).max()


def test_an_added_pitch_has_one_level(added: NDArray[np.float64]) -> None:
    steady = added[..., round(0.05 * RATE) : -round(0.05 * RATE)]
    level = np.sqrt(np.square(steady).mean(axis=-1))
    assert np.abs(db(level / 0.05)).max() < 0.5


def cents_off(wave: NDArray[np.float64], midi: float) -> float:
    """How far the fundamental of a note stands from equal temperament."""
    f0 = 440.0 * 2 ** ((midi - 69) / 12)
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 2**19))
    hz = np.fft.rfftfreq(2**19, 1 / RATE)
    near = (hz > 0.97 * f0) & (hz < 1.03 * f0)
    return 1200 * math.log2(hz[near][spectrum[near].argmax()] / f0)


def test_an_added_pitch_is_at_its_frequency(turns: PitchesInContexts, added: NDArray[np.float64]) -> None:
    for midi, pitch in zip(turns.midi, added, strict=True):
        for name, columns in columns_by_timbre(turns).items():
            # Samples of a SoundFont are tuned by ear.
            assert abs(cents_off(pitch[columns[0], 0], midi)) < (8.0 if name == "FluidSynth" else 0.2), name


@pytest.mark.parametrize("program", SUSTAINED_PROGRAMS)
def test_a_program_that_may_play_a_pitch_holds_it(program: int) -> None:
    """At its level, not dying away, and nearer to its key than to the company a quarter tone off, vibrato and all."""
    for midi in (48.0, 66.0, 84.0):
        voice = note(midi, f"program:{program}", rms=LEVEL, rng=np.random.default_rng(0), max_hz=10_000.0)
        wave = Stimulus.of(voice, seconds=0.8).render(RATE).astype(float)
        first, second = np.split(wave[round(0.05 * RATE) : -round(0.05 * RATE)], 2)
        assert abs(db(np.sqrt((first @ first + second @ second) / (2 * len(first))) / LEVEL)) < 0.5
        assert db(np.sqrt((second @ second) / (first @ first))) > -6
        assert abs(cents_off(wave, midi)) < 35


def test_a_context_is_the_same_whichever_pitch_joins_it(turns: PitchesInContexts) -> None:
    for row in turns.together:
        for column, alone in zip(row, turns.alone, strict=True):
            for both, context in zip(column, alone, strict=True):
                assert both.sources[:-1] == context.sources


def test_a_context_is_performed_anew_in_each_token(turns: PitchesInContexts) -> None:
    for column, tokens in zip(turns.columns, turns.alone, strict=True):
        if column.label == "silence":
            assert all(each.sources == () for each in tokens)
        else:
            assert len({each.sha256 for each in tokens}) == turns.tokens


def test_the_company_is_of_every_kind(turns: PitchesInContexts) -> None:
    sizes = [len(tokens[0].pitches) for tokens in turns.alone]
    noise = [any(isinstance(each, Noise) for each in tokens[0].sources) for tokens in turns.alone]
    assert sizes == [0, 1, 2, 3, 0, 2, 1, 2, 3, 1, 2, 1]
    assert noise == [index == 4 for index in range(12)]
    assert turns.columns[0].label == "silence"
    assert set(turns.alone[5][0].timbres) == {"formant"}
    assert {timbre for index in (1, 2, 3) for timbre in turns.alone[index][0].timbres} == {"tilt"}


def test_company_stands_a_quarter_tone_off(turns: PitchesInContexts) -> None:
    context = {midi for tokens in turns.alone for midi in tokens[0].pitches}
    assert context
    assert all(midi % 1 == 0.5 for midi in context)
    # Pitches are keys, up to 10 cents off.
    assert all(abs(midi - round(midi)) <= 0.1 for midi in turns.midi)
    assert len({round(midi) for midi in turns.midi}) == len(turns.midi)


def test_no_partial_of_the_company_is_one_of_the_pitch() -> None:
    """The seventh harmonic of one may come within 6.6 cents of the fundamental or third of the other, never nearer."""
    for seed in range(5):
        found = design(seed, pitches=12, tokens=1)
        for midi in found.midi:
            harmonics = 440.0 * 2 ** ((midi - 69) / 12) * np.arange(1, 9)
            for tokens in found.alone:
                partials = [partial.hz for partial in tokens[0].partials]
                if partials:
                    assert np.abs(1200 * np.log2(np.divide.outer(harmonics, partials))).min() > 6.5


@pytest.mark.parametrize("frame_rate", [75.0, 50.0, 86.13])
def test_harmonics_keep_clear_of_the_frame_rate(frame_rate: float) -> None:
    """On a multiple of the frame rate an alias stands still, and the mean over frames depends on the start phase."""
    midi = design(0, pitches=24, tokens=1, contexts=3, frame_rate=frame_rate).midi
    hz = np.outer(440.0 * 2 ** ((np.array(midi) - 69) / 12), np.arange(1, 5)) % frame_rate
    assert np.minimum(hz, frame_rate - hz).min() > 2.0


def test_three_timbres_take_turns_over_the_contexts(turns: PitchesInContexts) -> None:
    assert [column.context for column in turns.columns] == list(range(12))
    assert [column.timbre_name for column in turns.columns] == ["sine", "additive", "FluidSynth"] * 4
    for index, column in enumerate(turns.columns):
        voices = {type(row[index][token].sources[-1]) for row in turns.together for token in range(turns.tokens)}
        assert voices == {Render if column.timbre_name == "FluidSynth" else Tone}
    partials = {
        name: {len(row[columns[0]][0].sources[-1].partials) for row in turns.together}
        for name, columns in columns_by_timbre(turns).items()
        if name != "FluidSynth"
    }
    assert partials == {"sine": {1}, "additive": {8}}


def test_crossed_every_context_meets_every_timbre() -> None:
    found = design(0, pitches=2, contexts=4, tokens=2, crossed=True)
    assert [(column.context, column.timbre_name) for column in found.columns] == [
        (context, timbre) for context in range(4) for timbre in ("sine", "additive", "FluidSynth")
    ]
    # Columns of one context share its sounds.
    for first in range(0, 12, 3):
        assert found.alone[first] == found.alone[first + 1] == found.alone[first + 2]


def test_stimuli_are_the_contexts_then_pitch_by_pitch(turns: PitchesInContexts) -> None:
    assert len(turns.stimuli) == 12 * 3 + 3 * 12 * 3
    assert turns.stimuli[5 * 3 + 2] is turns.alone[5][2]
    assert turns.stimuli[36 + 2 * 36 + 5 * 3 + 1] is turns.together[2][5][1]


def test_a_seed_is_a_design(turns: PitchesInContexts) -> None:
    assert [each.sha256 for each in design(0).stimuli] == [each.sha256 for each in turns.stimuli]
    other = design(1)
    assert not {each.sha256 for each in other.stimuli if each.sources} & {each.sha256 for each in turns.stimuli}
    assert other.midi != turns.midi


def test_nothing_sounds_above_the_limit_and_nothing_clips() -> None:
    found = design(2, tokens=1, harmonics_below_hz=2500.0, low_midi=72, high_midi=84)
    assert all(72 - 0.1 <= midi <= 84 + 0.1 for midi in found.midi)
    for stimulus in found.stimuli:
        wave = stimulus.render(RATE)
        assert np.abs(wave).max() < 1
        assert all(partial.hz <= 2500.0 for partial in stimulus.partials)


def test_labels_name_pitch_timbre_and_company(turns: PitchesInContexts) -> None:
    assert turns.together[0][0][0].label.endswith("(sine) in silence")
    assert turns.together[0][4][0].label.endswith("(additive) in noise")


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: spaced_frequencies(
                np.random.default_rng(0), 9, low_hz=200.0, high_hz=400.0, erbs=3.0, chain=CHAINS["one stride"]
            ),
            r"count=9 frequencies 3\.0 ERB apart do not fit between low_hz=200\.0 and high_hz=400\.0 .* at 75 frames a "
            r"second; ask for fewer, or a wider range",
        ),
        (
            lambda: alias_sets(np.random.default_rng(0), sets=1, chain=Chain(24_000, (2,))),
            r"no pair of kind 'translation' between 150 and 10800 Hz at 12000 frames a second \(sample_rate=24000\)",
        ),
        (
            lambda: design(pitches=14, low_midi=60, high_midi=72),
            r"pitches=14 exceeds the 13 keys from low_midi=60 to high_midi=72",
        ),
        (lambda: design(harmonics_below_hz=100.0), r"max_hz=100\.0"),
    ],
    ids=["crowded", "no-fold", "few-keys", "too-high"],
)
def test_bad_arguments(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
