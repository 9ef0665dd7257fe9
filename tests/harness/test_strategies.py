"""The strategies: bounds kept, relations true, failures that a musician reads, nobody's hypothesis disturbed."""

import dataclasses
import math
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from testtone.stimuli import Chain, Noise, Render, Stimulus, Tone, hz_from_midi, note, pitch
from testtone.stimuli import renders as fluidsynth
from testtone.stimuli import strategies as sounds
from testtone.stimuli.designs import alias_kinds

ROOT = Path(__file__).resolve().parents[2]
NO_DATABASE = settings(database=None)
MANY = settings(database=None, max_examples=1000)
# The waveforms add in float64 and are cast to float32: each sample of each sound moves by up to 2^-25.
CAST = 3 * 2.0**-25
RATE = 24_000
SINGLE = {
    "partials": sounds.partials,
    "harmonic complexes": sounds.harmonic_complexes,
    "notes": sounds.notes,
    "chords": sounds.chords,
    "multisines": sounds.multisines,
    "noises": sounds.noises,
    "mixtures": sounds.mixtures,
    "any": sounds.stimuli,
}


def few(examples=40):
    """Return settings of so many examples, or as many times more as the profile chosen has more than quick."""
    return sounds.settings_for(sounds.profiles.chosen(), share=examples / sounds.profiles.EXAMPLES["quick"])


def db(value):
    return 20 * math.log10(value)


def sounding(sound):
    """Return the sinusoids of a sound, frequency and amplitude, those at one frequency apart."""
    return sorted((each.hz, each.amplitude) for each in sound.partials)


# What is drawn


@pytest.mark.parametrize("kind", SINGLE)
def test_sounds_are_named_audible_and_below_full_scale(kind):
    @few()
    @given(SINGLE[kind](seconds=0.25))
    def holds(sound):
        wave = sound.render(RATE)
        assert sound.label
        assert sound.label.encode().isascii()
        assert wave.shape == (6_000,)
        assert 0.0 < np.abs(wave).max() <= 1.0
        assert all(each.hz <= 0.45 * RATE for each in sound.partials)

    holds()


@few()
@given(data=st.data())
def test_bounds_are_kept(data):
    low, span = data.draw(st.integers(30, 80)), data.draw(st.integers(0, 15))
    low_db, loudness = data.draw(st.integers(-80, -30)), data.draw(st.integers(0, 10))
    options = {"low_midi": low, "high_midi": low + span, "low_db": low_db, "high_db": low_db + loudness}
    for strategy in (sounds.notes(**options), sounds.partials(**options), sounds.harmonic_complexes(**options)):
        sound = data.draw(strategy)
        (tone,) = sound.sources
        assert low - 0.5 <= tone.midi <= low + span + 0.5
        assert low_db - 1e-9 <= db(tone.rms) <= low_db + loudness + 1e-9
        assert db(tone.rms) == pytest.approx(round(db(tone.rms)), abs=1e-9)


@few()
@given(sounds.notes(cents=20))
def test_a_label_says_what_sounds(sound):
    (tone,) = sound.sources
    level = round(db(tone.rms))
    said = f"{pitch.name(tone.midi)} {tone.timbre} at {level} dB"
    assert sound.label == said or sound.label.startswith(said + ", phases ")
    rng = np.random.default_rng(int(sound.label.split()[-1])) if "phases" in sound.label else None
    assert tone == note(tone.midi, tone.timbre, rms=10 ** (level / 20), rng=rng, max_hz=0.45 * RATE)


@few()
@given(sounds.chords(low_midi=40, high_midi=80))
def test_chords_are_chords_within_their_keys(sound):
    classes = sorted({round(each) % 12 for each in sound.pitches})
    transpositions = [sorted((each - root) % 12 for each in classes) for root in classes]
    assert sorted(each % 12 for each in pitch.QUALITIES[sound.chord]) in transpositions
    assert min(sound.pitches) >= 40
    assert max(sound.pitches) <= 80
    assert sound.label.startswith("-".join(pitch.name(each) for each in sound.pitches))


@few()
@given(sounds.multisines(max_partials=6, apart_semitones=3, cents=50))
def test_partials_of_a_multisine_keep_their_distance(sound):
    midi = [tone.midi for tone in sound.sources]
    assert 2 <= len(midi) <= 6
    assert np.diff(midi).min() >= 2.0 - 1e-9


@few()
@given(sounds.phase_patterns(), st.integers(1, 20))
def test_phase_patterns_leave_the_spectrum(pattern, count):
    tone = Tone(tuple(note(45 + index, "sine").partials[0] for index in range(count)))
    turned = pattern.on(tone)
    assert [(p.hz, p.amplitude) for p in turned.partials] == [(p.hz, p.amplitude) for p in tone.partials]
    assert turned == pattern.on(tone)


def test_alternating_phases_are_sine_and_cosine_in_turn():
    radians = sounds.PhasePattern("alternating").radians([1.0, 1.0, 1.0])
    assert radians.tolist() == [-math.pi / 2, 0.0, -math.pi / 2]


@pytest.mark.skipif(not fluidsynth.available(), reason="FluidSynth is not installed")
def test_programs_are_played_by_fluidsynth_and_stay_below_full_scale():
    @few(8)
    @given(
        sounds.mixtures(
            sounds.notes(additive=(), programs=(16, 19, 40, 56, 61, 71), high_db=-26, seconds=0.25),
            sounds.noises(high_db=-40, seconds=0.25),
        )
    )
    def holds(sound):
        render, noise = sound.sources
        assert isinstance(render, Render)
        assert isinstance(noise, Noise)
        assert np.abs(sound.render(RATE)).max() <= 1.0

    holds()


def test_a_program_goes_by_the_name_of_its_instrument():
    sound = find(sounds.notes(additive=(), programs=(40,), high_db=-26), lambda _: True, settings=NO_DATABASE)
    assert sound.label.startswith("A4 violin at -26 dB")


LEVELS = {
    "partials": (-60, -20),
    "notes": (-60, -20),
    "chords": (-60, -26),
    "multisines": (-60, -26),
    "noises": (-60, -20),
    "mixtures": (-60, -20),
}


def levels(sound):
    """Return the levels in dB that a label names."""
    return [int(each) for each in re.findall(r"at (-?\d+) dB", sound.label)]


@pytest.mark.parametrize("kind", LEVELS)
def test_levels_reach_from_the_softest_to_the_loudest_and_no_further(kind):
    low, high = LEVELS[kind]
    for edge in (low, high):
        assert find(SINGLE[kind](), lambda sound, edge=edge: edge in levels(sound), settings=MANY)

    @few(100)
    @given(SINGLE[kind]())
    def holds(sound):
        assert all(low <= each <= high for each in levels(sound))

    holds()


@pytest.mark.parametrize(
    ("strategy", "low", "high"),
    [
        (sounds.pitches(), 45, 84),
        (sounds.pitches(cents=25), 44.75, 84.25),
        (sounds.levels_db(), -60, -20),
        (sounds.notes(seconds=0.25).map(lambda sound: sound.pitches[0]), 45, 84),
        (sounds.partials(seconds=0.25).map(lambda sound: sound.pitches[0]), 44.5, 84.5),
    ],
    ids=["pitches", "pitches off the keys", "levels", "notes", "partials"],
)
def test_numbers_reach_from_end_to_end_in_whole_steps(strategy, low, high):
    step = 1 if float(low).is_integer() else 0.01
    for edge in (low, high) if step == 1 else ():  # a key and its cents at once are seldom both at their ends
        assert find(strategy, lambda value, edge=edge: value == edge, settings=MANY)

    @few(100)
    @given(strategy)
    def holds(value):
        assert low - 1e-9 <= value <= high + 1e-9
        assert abs(value / step - round(value / step)) < 1e-6

    holds()


@pytest.mark.parametrize(("beneath", "loudest"), [("-", -32), ("noise", -32), ("", -26)])
def test_what_lies_beneath_is_soft_enough_for_both_to_fit(beneath, loudest):
    """A note at -20 dB reaches .4; four notes at -32 dB reach .4, one at -26 dB .2, noise of five deviations .13."""

    def kind(sound):
        lower = sound.label.split(" over ")[1]
        return "-" if "-" in lower.split(" at ")[0] else "noise" if lower.startswith("noise") else ""

    def lower(sound):
        return levels(sound)[1] if kind(sound) == beneath else None

    assert find(sounds.mixtures(), lambda sound: lower(sound) == loudest, settings=MANY)
    with pytest.raises(hypothesis.errors.NoSuchExample):
        find(sounds.mixtures(), lambda sound: (lower(sound) or loudest) > loudest, settings=MANY)


@pytest.mark.parametrize("options", [{}, {"hop": 512, "sample_rate": 44_100}, {"hop": 100, "sample_rate": 8_000}])
def test_designs_are_whole(options):
    kinds = set()

    @few(25)
    @given(sounds.designs(seconds=0.25, **options))
    def holds(design):
        kinds.add(design.kind)
        assert design.stimuli
        assert len({each.seconds for each in design.stimuli}) == 1
        assert np.abs(design.stimuli[-1].render(options.get("sample_rate", RATE))).max() <= 1.0
        if design.kind == "presence factorial":
            asked = dict(design.asked)
            assert len(design.stimuli) == asked["tokens"] * 2 ** asked["partials"]
        if design.kind == "alias pairs":
            chain = Chain(options.get("sample_rate", RATE), (options.get("hop", 320),))
            assert len(design.stimuli) == 4 * len(alias_kinds(chain)) * dict(design.asked)["sets"]

    holds()
    assert kinds == {"presence factorial", "alias pairs", "alias battery"}


def test_pitches_in_contexts_are_drawn_where_programs_may_be():
    design = find(sounds.designs(kinds=("pitches in contexts",), programs=True), lambda _: True, settings=NO_DATABASE)
    assert design.kind == "pitches in contexts"
    assert design.label.startswith("pitches in contexts: 1 pitches, 1 contexts")


# Pairs


ENCODERS = [
    {"hop": 320},
    {"strides": (2, 4, 5, 8)},
    {"hop": 512, "sample_rate": 44_100},
    {"hop": 64, "sample_rate": 8_000},
    {"strides": (3,) * 10, "sample_rate": 22_050},
]


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
@pytest.mark.parametrize(
    ("strategy", "relation"), [(sounds.alias_pairs, "translation"), (sounds.mirror_pairs, "mirror")]
)
def test_aliases_are_aliases_and_their_controls_are_not(encoder, strategy, relation):
    rate = encoder.get("sample_rate", RATE)
    chain = Chain(rate, encoder.get("strides") or (encoder["hop"],))

    @few(25)
    @given(strategy(**encoder))
    def holds(pair):
        low, high, *control = (sound.partials[0].hz for sound in (pair.first, pair.second, *pair.control))
        assert low < high < 0.45 * rate
        assert chain.relation(low, high) == relation
        assert chain.first_collision(low, high) is not None
        assert chain.first_collision(*control) is None
        assert abs(chain.alias(control[0]) - chain.alias(control[1])) >= chain.rate / 24 * 0.999
        assert all(chain.clearance(hz) >= chain.rate / 24 * 0.999 for hz in (low, high, *control))
        assert max(control) <= 0.45 * rate
        apart = abs((control[1] - control[0]) - (high - low))
        assert apart <= (1e-6 if relation == "mirror" else chain.rate / 2)
        levels = {each.sources[0].rms for each in (pair.first, pair.second, *pair.control)}
        assert len(levels) == 1

    holds()


@few()
@given(sounds.control_pairs(strides=(2, 4, 5, 8)))
def test_control_pairs_never_meet(pair):
    chain = Chain(RATE, (2, 4, 5, 8))
    assert chain.first_collision(pair.first.partials[0].hz, pair.second.partials[0].hz) is None
    assert pair.control is None


@few(25)
@given(sounds.same_pitch_pairs(seconds=0.25))
def test_the_same_pitch_is_the_same_to_the_sample(pair):
    played, *contexts = pair.alone
    for together, context in zip((pair.first, pair.second), contexts, strict=True):
        left = together.render(RATE).astype(float) - context.render(RATE)
        np.testing.assert_allclose(left, played.render(RATE), atol=CAST)
    assert contexts[0].sha256 != contexts[1].sha256


@few()
@given(sounds.same_spectrum_pairs(seconds=0.25))
def test_one_spectrum_two_waveforms(pair):
    assert sounding(pair.first) == sounding(pair.second)
    one, other = (each.render(RATE).astype(float)[1_000:-1_000] for each in (pair.first, pair.second))
    assert np.sqrt(np.mean((one - other) ** 2)) > 0.01 * np.sqrt(np.mean(one**2))


@few()
@given(sounds.moved_partial_pairs(cents=(3, 20)))
def test_exactly_one_partial_moves_and_by_what_is_said(pair):
    moves = {
        index + 1: 1200 * math.log2(two.hz / one.hz)
        for index, (one, two) in enumerate(zip(pair.first.partials, pair.second.partials, strict=True))
        if one != two
    }
    ((number, cents),) = moves.items()
    assert abs(cents) == pytest.approx(round(abs(cents)), abs=1e-6)
    assert 3 <= round(abs(cents)) <= 20
    assert pair.relation == f"partial {number} moved by {round(cents):+d} cents"
    assert [p.amplitude for p in pair.first.partials] == [p.amplitude for p in pair.second.partials]


@few()
@given(sounds.pairs(seconds=0.25))
def test_any_pair_can_be_heard(pair):
    assert len(pair.first.render(RATE)) == len(pair.second.render(RATE))
    assert pair.label.startswith(pair.relation)


# What a failure looks like


def falsified(strategy, fails):
    """Return what hypothesis prints where a property fails of a strategy."""

    @settings(database=None, derandomize=True, deadline=None, max_examples=300)
    @given(sound=strategy)
    def holds(sound):
        assert not fails(sound)

    with pytest.raises(AssertionError) as raised:
        holds()
    return "\n".join(raised.value.__notes__)


@pytest.mark.parametrize(
    ("strategy", "fails", "said"),
    [
        (sounds.notes(), lambda sound: True, "<Stimulus A4 sine at -20 dB, 0.5 s>"),
        (sounds.partials(), lambda sound: True, "<Stimulus A4 sine at -20 dB, 0.5 s>"),
        (sounds.chords(), lambda sound: True, "<Stimulus C4-E4-G4 at -26 dB, 0.5 s>"),
        (sounds.chords(), lambda sound: sound.chord == "minor", "<Stimulus C4-D#4-G4 at -26 dB, 0.5 s>"),
        (
            sounds.mixtures(),
            lambda sound: sound.chord is not None,
            "<Stimulus A4 sine at -20 dB over C4-E4-G4 at -32 dB, 0.5 s>",
        ),
        (sounds.notes(), lambda sound: sound.pitches[0] < 60, "<Stimulus B3 sine at -20 dB, 0.5 s>"),
        (sounds.notes(), lambda sound: sound.sources[0].rms < 0.05, "<Stimulus A4 sine at -27 dB, 0.5 s>"),
        (
            sounds.alias_pairs(hop=320),
            lambda pair: True,
            "<Pair aliases at 75 frames a second: A4 (440.00 Hz) at -20 dB | C5 -28 c (515.00 Hz) at -20 dB>",
        ),
    ],
    ids=["note", "partial", "chord", "minor chord", "mixture", "low note", "soft note", "alias pair"],
)
def test_failures_shrink_to_what_a_musician_says(strategy, fails, said):
    assert f"sound={said}" in falsified(strategy, fails)


def test_a_sound_without_a_label_is_printed_in_full():
    sound = Stimulus((), 0.5)
    assert hypothesis.vendor.pretty.pretty(sound) == repr(sound)


# What is refused


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: sounds.notes(low_midi=70, high_midi=60),
            r"low_midi=70 exceeds high_midi=60 \(MIDI number, 69 is A4\)",
        ),
        (lambda: sounds.pitches(low_midi=-1), r"low_midi=-1 must be a whole number in 0\.\.127"),
        (lambda: sounds.pitches(cents=60), r"cents=60 must be a whole number in 0\.\.50"),
        (lambda: sounds.levels_db(low_db=-10, high_db=-20), r"low_db=-10 exceeds high_db=-20 \(dB\)"),
        (lambda: sounds.levels_db(low_db=-10.5), r"low_db=-10\.5 must be a whole number \(dB, RMS re full scale 1\)"),
        (lambda: sounds.notes(high_db=-10), r"high_db=-10 lets a sound reach a peak of 1\.26.*at most -13 dB"),
        (lambda: sounds.chords(high_db=-20), r"high_db=-20 lets 4 notes reach a peak of 1\.60"),
        (lambda: sounds.partials(high_db=0), r"high_db=0 lets a sound reach a peak of 1\.41.*at most -4 dB"),
        (lambda: sounds.noises(high_db=-6), r"high_db=-6 lets a sound reach a peak"),
        (
            lambda: sounds.notes(high_midi=120, sample_rate=16_000),
            r"high_midi=120 \(C9, up to 83\d\d\.\d Hz\) exceeds 7200\.0 Hz, 0\.45 of sample_rate=16000",
        ),
        (lambda: sounds.partials(seconds=0.0), r"seconds=0\.0 must be positive \(s\)"),
        (lambda: sounds.timbres(additive=("oboe",)), r"additive='oboe' is unknown; known: sine, tilt"),
        (lambda: sounds.timbres(programs=(128,)), r"programs=128 must be a whole number in 0\.\.127"),
        (lambda: sounds.timbres(additive=()), r"additive=\(\) and programs=\(\) leave no timbre"),
        (lambda: sounds.phase_patterns(rules=("zero",)), r"rules='zero' is unknown; known: sine, cosine, alternating"),
        (lambda: sounds.phase_patterns(rules=()), r"rules=\(\) leaves no phase pattern"),
        (lambda: sounds.chords(qualities=()), r"qualities=\(\) leaves no chord"),
        (lambda: sounds.chords(qualities=("sad",)), r"quality='sad' is unknown"),
        (
            lambda: sounds.chords(low_midi=60, high_midi=65),
            r"'major' \(inversion 0\) spans 7 semitones and does not fit",
        ),
        (
            lambda: sounds.multisines(low_midi=60, high_midi=64, max_partials=8),
            r"max_partials=8, 2 semitones apart, do not fit between low_midi=60 and high_midi=64: 3 do",
        ),
        (lambda: sounds.multisines(max_partials=1), r"max_partials=1 must be a whole number of at least 2"),
        (lambda: sounds.multisines(apart_semitones=0), r"apart_semitones=0 must be a whole number of at least 1"),
        (
            lambda: sounds.harmonic_complexes(tilts_db_per_octave=(0, -6)),
            r"tilts_db_per_octave\[0\]=0 exceeds tilts_db_per_octave\[1\]=-6",
        ),
        (lambda: sounds.harmonic_complexes(max_harmonics=0), r"max_harmonics=0 must be a whole number of at least 1"),
        (lambda: sounds.alias_pairs(), r"hop=None, strides=\(\): give exactly one of the two"),
        (lambda: sounds.alias_pairs(hop=320, strides=(2, 4)), r"hop=320, strides=\(2, 4\): give exactly one"),
        (lambda: sounds.alias_pairs(hop=2), r"leave no second sinusoid below 10800\.0 Hz; lower high_midi"),
        (lambda: sounds.mirror_pairs(hop=320, high_hz=12_000.0), r"high_hz=12000\.0 must not exceed 10800\.0 Hz"),
        (lambda: sounds.moved_partial_pairs(cents=(0, 5)), r"cents=0 must be a whole number in 1\.\.50"),
        (lambda: sounds.moved_partial_pairs(cents=(9, 5)), r"cents\[0\]=9 exceeds cents\[1\]=5 \(cents\)"),
        (lambda: sounds.same_spectrum_pairs(max_harmonics=1), r"max_harmonics=1 must be a whole number of at least 2"),
        (lambda: sounds.designs(kinds=("chord",)), r"kinds='chord' is unknown; known: presence factorial"),
        (lambda: sounds.designs(kinds=("pitches in contexts",)), r"leaves no design; programs=False leaves some out"),
        (lambda: sounds.designs(hop=4_800), r"hop=4800 at sample_rate=24000 gives 5 frames a second; at least 10"),
        (lambda: sounds.settings_for("hard"), r"effort='hard' is unknown; known: quick, standard, thorough"),
    ],
    ids=lambda value: "" if callable(value) else value.split()[0],
)
def test_what_cannot_be_drawn_is_refused_where_it_is_asked(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# Strangers


def python(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ | environment
    )
    return done.stdout.split()


def test_the_entry_point_is_what_the_project_declares():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["hypothesis"] == {"testtone": "testtone.tests.registration:register"}


@pytest.mark.parametrize("order", ["hypothesis first", "testtone first"])
def test_from_type_draws_sounds_whatever_comes_first(order):
    hook = "from testtone.tests.registration import register; register()"
    imports = {
        "hypothesis first": f"import hypothesis; {hook}; from testtone.stimuli import Stimulus",
        "testtone first": f"from testtone.stimuli import Stimulus; import hypothesis; {hook}",
    }[order]
    code = (
        f"import conftest; {imports}\n"
        "from hypothesis import strategies as st, find, settings\n"
        "print(type(find(st.from_type(Stimulus), lambda s: s.partials, settings=settings(database=None))).__name__)"
    )
    assert python(code, HYPOTHESIS_NO_PLUGINS="1") == ["Stimulus"]


def test_the_entry_point_costs_an_importer_nothing():
    heavy = {"numpy", "scipy", "torch", "testtone.stimuli"}
    code = (
        "import conftest, hypothesis, sys\n"
        "from testtone.tests.registration import register\n"
        f"register(); print(*sorted({heavy!r} & set(sys.modules)))"
    )
    assert python(code, HYPOTHESIS_NO_PLUGINS="1") == []


def test_the_rest_of_stimuli_needs_no_hypothesis():
    code = (
        "import conftest, sys\nsys.modules['hypothesis'] = None\n"
        "from testtone.stimuli import note\nprint(note(69, 'sine').midi)"
    )
    assert python(code) == ["69.0"]


EXAMPLES = re.findall(r"::\n\n((?:    .*\n|\n)+)", sounds.__doc__)


@pytest.mark.parametrize("number", range(3), ids=["pitch tracker", "codec", "resampler"])
def test_examples_of_the_docstring_run_as_they_stand(number):
    shown = {}
    exec(textwrap.dedent(EXAMPLES[number]), shown)
    (test,) = (value for name, value in shown.items() if name.startswith("test_"))
    test()


def test_an_example_fails_where_the_thing_on_trial_is_broken():
    """A resampler that throws samples away, as in the third example, and what it is told."""
    shown = {}
    exec(textwrap.dedent(EXAMPLES[2]).replace("scipy.signal.resample(wave, wave.size // 3)", "wave[::3]"), shown)
    with pytest.raises(AssertionError) as raised:
        shown["test_nothing_folds_down"]()
    assert "<Stimulus D9 sine at -20 dB, 0.5 s>" in "\n".join(raised.value.__notes__)


# Profiles


@pytest.mark.parametrize(("effort", "examples"), [("quick", 50), ("standard", 200), ("thorough", 2000)])
def test_a_profile_says_how_many_examples_and_has_no_deadline(effort, examples):
    profile = sounds.settings_for(effort)
    assert (profile.max_examples, profile.deadline) == (examples, None)


@pytest.mark.parametrize("ci", ["", "true"])
def test_examples_follow_from_the_test_where_ci_runs(ci, monkeypatch):
    monkeypatch.setenv("CI", ci)
    assert sounds.settings_for("quick").derandomize == bool(ci)


def test_a_share_is_a_share_and_the_profile_chosen_is_known_by_its_effort():
    assert sounds.settings_for("standard", share=0.1).max_examples == 20
    assert sounds.settings_for("quick", share=0.001).max_examples == 1
    before = settings.get_current_profile_name()
    sounds.profiles.register()
    try:
        settings.load_profile("testtone-standard")
        assert sounds.profiles.chosen() == "standard"
    finally:
        settings.load_profile(before)
    settings.register_profile("mine", max_examples=7)
    try:
        settings.load_profile("mine")
        assert sounds.profiles.chosen() == "quick"
        assert sounds.profiles.chosen("thorough") == "thorough"
    finally:
        settings.load_profile(before)


def test_profiles_are_registered_under_names_of_their_own_and_none_is_loaded():
    before = settings.get_current_profile_name()
    names = sounds.profiles.register()
    assert names == ("testtone-quick", "testtone-standard", "testtone-thorough")
    assert settings.get_profile("testtone-thorough").max_examples == 2000
    assert settings.get_current_profile_name() == before


def test_failures_are_kept_where_hypothesis_keeps_them():
    code = (
        "import conftest\nfrom testtone.stimuli.strategies import settings_for\n"
        "from hypothesis import settings\n"
        "print(settings_for('quick').database == settings.get_profile('default').database)"
    )
    assert python(code, CI="") == ["True"]


def test_records_are_frozen():
    pair = find(sounds.pairs(), lambda _: True, settings=NO_DATABASE)
    with pytest.raises(dataclasses.FrozenInstanceError):
        pair.relation = "none"
    assert hz_from_midi(69) == 440.0
