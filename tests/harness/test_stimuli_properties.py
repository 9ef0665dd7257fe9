"""The generator on trial by its own strategies: what a stimulus says of itself is what it sounds like.

Any sound that can be drawn is rendered and looked at from outside: a spectrum, samples thrown away, another process.
"""

import dataclasses
import hashlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testtone.stimuli import Chain, Click, Noise, Note, Partial, Render, Stimulus, Tone, fold, strategies
from testtone.stimuli.multisines import LineSpectrum, Multisine
from testtone.stimuli.sources import Recording

ROOT = Path(__file__).resolve().parents[2]
RATES = st.sampled_from([16_000, 22_050, 24_000, 44_100, 48_000])
LOWEST_RATE = 16_000

SECONDS = 1.0
# A Kaiser window of this shape has sidelobes below -150 dB, and a main lobe of 6.4 / SECONDS to either side.
KAISER = 20.0
LOBE_HZ = 7.0 / SECONDS
# The cast to float32 moves a sample by up to 2^-25 of full scale: 90 dB below the softest sound drawn, at -60 dB.
LEVEL_DB = 0.01
FREQUENCY_CENTS = 0.01
# Whatever else there is: 120 dB below full scale, and where sounds are loud that is the cast again.
FLOOR_DB = -120.0
# cos of a phase of up to 1e5 radians in float64, and a cast.
SAMPLE = 2.0**-24


def few(examples=40):
    """Return settings of so many examples, or as many times more as the profile chosen has more than quick."""
    return strategies.settings_for(strategies.profiles.chosen(), share=examples / strategies.profiles.EXAMPLES["quick"])


def tonal(**options):
    """Sounds without noise."""
    return st.one_of(
        strategies.partials(**options),
        strategies.harmonic_complexes(**options),
        strategies.notes(**options),
        strategies.multisines(**options),
        strategies.chords(**options),
        strategies.mixtures(strategies.notes(**options), strategies.chords(high_db=-32, **options)),
    )


def plain(sound, seconds=SECONDS):
    """Return the sound so long, without ramps."""
    return dataclasses.replace(sound, seconds=seconds, ramp_seconds=0.0)


def in_one_place(partials):
    """Return frequency -> complex amplitude: partials of one frequency, to the rounding, add up."""
    found = {}
    for each in sorted(partials, key=lambda p: p.hz):
        place = next((hz for hz in found if abs(hz - each.hz) < 1e-6), each.hz)
        found[place] = found.get(place, 0.0) + each.amplitude * np.exp(1j * each.phase)
    return found


@few(60)
@given(sound=tonal(sample_rate=LOWEST_RATE), rate=RATES)
def test_the_spectrum_shows_each_partial_where_and_as_loud_as_labelled_and_nothing_else(sound, rate):
    wave = plain(sound).render(rate).astype(float)
    window = np.kaiser(wave.size, KAISER)
    t = np.arange(wave.size) / rate
    labelled = in_one_place(sound.partials)
    frequencies = np.array(list(labelled))
    half = wave.size // 2
    short = np.kaiser(half, KAISER)
    for hz, amplitude in labelled.items():
        if np.sort(np.abs(frequencies - hz))[1:2].min(initial=np.inf) < 2 * LOBE_HZ * 2:
            continue  # two labels in one lobe, of half a clip: seen together below
        if abs(amplitude) < 1e-5:
            continue
        turned = wave * np.exp(-2j * np.pi * hz * t)
        seen = 2 * np.sum(turned * window) / window.sum()
        assert abs(20 * math.log10(abs(seen) / abs(amplitude))) < LEVEL_DB
        assert abs(np.angle(seen / amplitude)) < 1e-3
        early, late = (np.sum(turned[start : start + half] * short) for start in (0, half))
        off_hz = np.angle(late / early) / (2 * np.pi * half / rate)
        assert abs(1200 * math.log2((hz + off_hz) / hz)) < FREQUENCY_CENTS * max(1.0, 1e-3 / abs(amplitude))
    spectrum = 2 * np.abs(np.fft.rfft(wave * window)) / window.sum()
    grid = np.arange(spectrum.size) * rate / wave.size
    elsewhere = np.abs(grid[:, None] - frequencies[None]).min(axis=1) > LOBE_HZ
    assert 20 * np.log10(spectrum[elsewhere].max() + 1e-12) < FLOOR_DB


@few()
@given(sound=tonal(sample_rate=LOWEST_RATE), rate=RATES)
def test_samples_are_those_of_the_labelled_partials(sound, rate):
    """What the spectrum cannot tell apart, the sum of the labelled cosines does."""
    short = plain(sound, 0.05)
    n = np.arange(round(0.05 * rate))
    expected = sum(p.amplitude * np.cos(2 * np.pi * np.mod(p.hz * n / rate, 1.0) + p.phase) for p in sound.partials)
    np.testing.assert_allclose(short.render(rate), expected, rtol=0, atol=SAMPLE)


CHAINS = st.lists(st.integers(1, 8), min_size=1, max_size=4).map(tuple)


@few(80)
@given(strides=CHAINS, rate=RATES, sound=strategies.partials(high_midi=108, sample_rate=LOWEST_RATE))
def test_folding_is_what_throwing_samples_away_does(strides, rate, sound):
    """The samples kept are those of the labelled alias, its phase reversed where the chain says so."""
    chain = Chain(rate, strides)
    (partial,) = sound.partials
    kept = plain(sound, 48 * chain.hop / rate).render(rate).astype(float)
    for stride, hz in zip(strides, chain.cascade(partial.hz), strict=True):
        kept = kept[::stride]
        assert 0.0 <= hz <= rate / 2
    alias, phase = chain.alias(partial.hz), chain.orientation(partial.hz) * partial.phase
    m = np.arange(kept.size)
    expected = partial.amplitude * np.cos(2 * np.pi * np.mod(alias * m / chain.rate, 1.0) + phase)
    np.testing.assert_allclose(kept, expected, rtol=0, atol=1e-6)
    assert chain.cascade(partial.hz)[-1] == pytest.approx(alias, abs=1e-6)
    assert alias == pytest.approx(fold(partial.hz, chain.rate), abs=1e-9)


@few()
@given(pair=strategies.alias_pairs(strides=(2, 4, 5, 8)), mirrored=strategies.mirror_pairs(strides=(2, 4, 5, 8)))
def test_aliases_leave_the_same_frames_and_mirror_images_reversed_phases(pair, mirrored):
    seconds, hop = 40 * 320 / 24_000, 320
    one, other = (plain(each, seconds).render(24_000)[::hop] for each in (pair.first, pair.second))
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    one, other = (plain(each, seconds).render(24_000)[::hop] for each in (mirrored.first, mirrored.second))
    # In sine phase, a reversed phase is a change of sign.
    np.testing.assert_allclose(one, -other, rtol=0, atol=1e-6)


@few(60)
@given(sound=strategies.stimuli(sample_rate=LOWEST_RATE), rate=RATES, milliseconds=st.integers(1, 700), data=st.data())
def test_any_sound_has_its_length_is_finite_and_does_not_clip(sound, rate, milliseconds, data):
    seconds = milliseconds / 1000
    ramp = data.draw(st.integers(0, milliseconds // 2)) / 1000
    wave = dataclasses.replace(sound, seconds=seconds, ramp_seconds=ramp).render(rate)
    assert wave.shape == (round(seconds * rate),)
    assert wave.dtype == np.float32
    assert np.isfinite(wave).all()
    assert np.abs(wave).max(initial=0.0) <= 1.0
    if ramp >= 0.005:
        # A raised cosine of so many samples lets this much of the first sample through.
        first = math.sin(0.25 * math.pi / round(ramp * rate)) ** 2
        assert abs(wave[0]) <= first * (sum(p.amplitude for p in sound.partials) + 8 * 0.1) + 1e-7
        assert abs(wave[-1]) <= first * (sum(p.amplitude for p in sound.partials) + 8 * 0.1) + 1e-7


@few()
@given(sound=strategies.stimuli(seconds=0.1), rate=RATES)
def test_rendering_again_gives_the_same_bits(sound, rate):
    again = Stimulus.from_truth(json.loads(json.dumps(sound.truth())))
    assert again == sound
    assert again.sha256 == sound.sha256
    assert again.render(rate).tobytes() == sound.render(rate).tobytes()


@few()
@given(sound=strategies.stimuli(seconds=0.1), other=strategies.stimuli(seconds=0.1))
def test_equal_hashes_are_equal_samples_and_labels_change_neither(sound, other):
    renamed = dataclasses.replace(sound, label="something else", chord=None)
    assert renamed.sha256 == sound.sha256
    if other.sha256 == sound.sha256:
        assert other.render(24_000).tobytes() == sound.render(24_000).tobytes()
    elif sound.partials != other.partials:
        assert not np.array_equal(other.render(24_000), sound.render(24_000))


def heard_elsewhere(truths, hash_seed):
    """Return (hash, hash of the samples) of each stimulus, from another process."""
    code = (
        "import conftest, hashlib, json, sys\n"
        "from testtone.stimuli import Stimulus\n"
        "made = [Stimulus.from_truth(truth) for truth in json.load(sys.stdin)]\n"
        "print(json.dumps([[m.sha256, hashlib.sha256(m.render(24000).tobytes()).hexdigest()] for m in made]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, input=json.dumps(truths), capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
    )  # fmt: skip
    return json.loads(done.stdout)


def test_hashes_and_samples_are_the_same_in_another_process():
    drawn = []

    @few(40)
    @given(strategies.stimuli(seconds=0.05))
    def collect(sound):
        drawn.append(sound)

    collect()
    here = [[each.sha256, hashlib.sha256(each.render(24_000).tobytes()).hexdigest()] for each in drawn]
    for seed in ("1", "4242"):
        assert heard_elsewhere([each.truth() for each in drawn], seed) == here


@few()
@given(sound=strategies.stimuli(seconds=0.1), by=st.integers(-30, 0))
def test_scaling_moves_every_sample_by_so_many_db(sound, by):
    wave, scaled = sound.render(24_000).astype(float), sound.scaled(by).render(24_000)
    np.testing.assert_allclose(scaled, wave * 10 ** (by / 20), rtol=0, atol=SAMPLE)


@few()
@given(one=strategies.stimuli(seconds=0.1), other=strategies.stimuli(seconds=0.1))
def test_a_mixture_is_the_sum_whichever_comes_first(one, other):
    one, other = one.scaled(-6), other.scaled(-6)
    together, turned = (one + other).render(24_000).astype(float), (other + one).render(24_000)
    np.testing.assert_allclose(together, one.render(24_000).astype(float) + other.render(24_000), rtol=0, atol=SAMPLE)
    np.testing.assert_allclose(together, turned, rtol=0, atol=SAMPLE)


@few()
@given(sound=tonal(), seed=st.integers(0, 2**16))
def test_new_start_phases_leave_frequencies_levels_and_labels(sound, seed):
    turned = sound.with_phases(np.random.default_rng(seed))
    assert [(p.hz, p.amplitude) for p in turned.partials] == [(p.hz, p.amplitude) for p in sound.partials]
    assert all(0.0 <= p.phase < 2 * math.pi for p in turned.partials)
    assert (turned.pitches, turned.timbres, turned.label) == (sound.pitches, sound.timbres, sound.label)
    assert turned == sound.with_phases(np.random.default_rng(seed))


# Records: each takes what it says, and refuses everything else by name

GOOD = {
    Partial: {"hz": 440.0, "amplitude": 0.1, "phase": 0.0},
    Noise: {"seed": 1, "rms": 0.1},
    Click: {"at_seconds": 0.1, "amplitude": 0.5},
    Note: {"midi": 60.0, "velocity": 100, "start_seconds": 0.0},
    Render: {"notes": (Note(60),), "program": 0, "soundfont_sha256": "0" * 64, "rms": 0.1, "skip_seconds": 0.0,
             "offset_seconds": 0.0, "bank": 0, "max_hz": 1000.0},
    Recording: {"file_sha256": "0" * 64, "start_seconds": 0.0, "rms": 0.1, "offset_seconds": 0.0},
    Stimulus: {"sources": (), "seconds": 0.5, "ramp_seconds": 0.02},
}  # fmt: skip
SIGNED = {"phase", "at_seconds", "midi"}
NUMBERS = [
    (record, field) for record, fields in GOOD.items() for field, value in fields.items()
    if isinstance(value, int | float) and not isinstance(value, bool)
]  # fmt: skip
NOT_A_NUMBER = st.one_of(st.text(max_size=3), st.booleans(), st.just(math.nan), st.just(math.inf), st.just(-math.inf),
                         st.lists(st.integers(), max_size=2))  # fmt: skip


@pytest.mark.parametrize(("record", "field"), NUMBERS, ids=lambda value: getattr(value, "__name__", value))
def test_what_is_no_number_is_refused_by_name(record, field):
    record(**GOOD[record])

    @few(25)
    @given(NOT_A_NUMBER)
    def refused(value):
        with pytest.raises((TypeError, ValueError), match=f"{field}="):
            record(**GOOD[record] | {field: value})

    refused()


LEAST = [
    (Partial, "hz", 0.0, False), (Partial, "amplitude", 0.0, True), (Noise, "rms", 0.0, True), (Noise, "seed", 0, True),
    (Click, "at_seconds", 0.0, True), (Note, "midi", 0.0, True), (Note, "velocity", 1, True),
    (Note, "start_seconds", 0.0, True), (Render, "program", 0, True), (Render, "bank", 0, True),
    (Render, "rms", 0.0, True), (Render, "skip_seconds", 0.0, True), (Render, "offset_seconds", 0.0, True),
    (Render, "max_hz", 0.0, False), (Recording, "start_seconds", 0.0, True), (Recording, "rms", 0.0, True),
    (Recording, "offset_seconds", 0.0, True), (Stimulus, "seconds", 0.0, False), (Stimulus, "ramp_seconds", 0.0, True),
]  # fmt: skip
MOST = [
    (Note, "midi", 127.0), (Note, "velocity", 127), (Render, "program", 127), (Render, "bank", 128),
    (Stimulus, "ramp_seconds", 0.25),
]  # fmt: skip


@pytest.mark.parametrize(
    ("record", "field", "least", "included"), LEAST, ids=lambda value: getattr(value, "__name__", value)
)
def test_the_lower_limit_of_a_field_is_where_it_is_said(record, field, least, included):
    whole = isinstance(least, int)

    @few(25)
    @given(st.integers(1, 1000) if whole else st.floats(1e-9, 1e6))
    def below(by):
        with pytest.raises(ValueError, match=f"{field}="):
            record(**GOOD[record] | {field: least - by})

    below()
    if included:
        assert getattr(record(**GOOD[record] | {field: least}), field) == least
    else:
        with pytest.raises(ValueError, match=f"{field}="):
            record(**GOOD[record] | {field: least})


@pytest.mark.parametrize(("record", "field", "most"), MOST, ids=lambda value: getattr(value, "__name__", value))
def test_the_upper_limit_of_a_field_is_where_it_is_said(record, field, most):
    assert getattr(record(**GOOD[record] | {field: most}), field) == most
    above = most + (1 if isinstance(most, int) else 1e-6)
    with pytest.raises(ValueError, match=f"{field}="):
        record(**GOOD[record] | {field: above})


@few()
@given(rate=st.one_of(st.integers(-10, 0), st.floats(0.1, 48_000.9).filter(lambda rate: rate != int(rate))))
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(ValueError, match=r"sample_rate=.* must be a positive whole number of Hz"):
        Stimulus((), 0.1).render(rate)


@few()
@given(sound=strategies.partials(), by=st.floats(0.0, 2.0))
def test_a_partial_at_or_above_nyquist_is_refused(sound, by):
    (partial,) = sound.partials
    rate = math.floor(2 * partial.hz / (1 + by))
    with pytest.raises(ValueError, match=r"is at or above Nyquist"):
        sound.render(rate)


@few()
@given(sound=strategies.notes(), over=st.integers(1, 40))
def test_what_would_clip_is_refused_and_the_hint_is_right(sound, over):
    peak = np.abs(sound.render(24_000)).max()
    loud = sound.scaled(over - 20 * math.log10(peak))
    with pytest.raises(ValueError, match=r"exceeds full scale \(1.0\).*try .scaled\(-") as refused:
        loud.render(24_000)
    hint = float(str(refused.value).rsplit("scaled(", 1)[1].rstrip(")"))
    assert 0.9 < np.abs(loud.scaled(hint).render(24_000)).max() <= 1.0


@few()
@given(seed=st.integers(0, 2**16), sized=st.booleans(), period=st.integers(8, 400), data=st.data())
def test_lines_of_a_dense_multisine_are_exactly_where_they_are_drawn(seed, sized, period, data):
    harmonics = data.draw(st.lists(st.integers(1, (period - 1) // 2), min_size=1, max_size=12, unique=True))
    spectrum = LineSpectrum(24_000 / period, tuple(harmonics), (0.01,) * len(harmonics))
    source = Multisine(spectrum, seed, sized=sized)
    wave = source.waveform(3 * period, sample_rate=24_000)
    seen = np.fft.rfft(wave[:period]) * 2 / period
    np.testing.assert_allclose(seen[harmonics], 0.01 * source.drawn, rtol=0, atol=1e-12)
    np.testing.assert_allclose(np.delete(seen, harmonics), 0.0, atol=1e-12)
    np.testing.assert_array_equal(wave[:period], wave[period : 2 * period])


def test_a_tone_of_no_partial_and_strange_sources_are_refused():
    with pytest.raises(ValueError, match=r"partials=\(\) is empty"):
        Tone(())
    with pytest.raises(TypeError, match="sources must hold Tone, Noise, Click, Render, Multisine or Recording"):
        Stimulus(("A4",), 0.5)


def test_a_multisine_reaches_up_to_nyquist_and_not_to_it():
    """A period of 24 samples holds eleven whole harmonics below Nyquist; the twelfth is at it."""
    sine = Multisine(LineSpectrum(1000.0, (11,), (0.5,)), 0, sized=False)
    wave = sine.waveform(48, sample_rate=24_000)
    spectrum = np.abs(np.fft.rfft(wave)) / 24
    assert np.flatnonzero(spectrum > 1e-9).tolist() == [22]
    assert spectrum[22] == pytest.approx(0.5)
    with pytest.raises(ValueError, match=r"harmonic 12 .* at or above Nyquist"):
        Multisine(LineSpectrum(1000.0, (12,), (0.5,)), 0).waveform(48, sample_rate=24_000)
