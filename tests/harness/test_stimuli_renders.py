"""Notes rendered with FluidSynth: pitch, level, spectrum, and the same bits every time."""

import hashlib
import io
import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from testtone.stimuli import (
    FluidSynthMissingError,
    Note,
    Render,
    Stimulus,
    from_midi,
    hz_from_midi,
    note,
    note_render,
    renders,
    soundfont,
)

REPOSITORY = Path(__file__).parents[2]
RATE = 24000
ORGAN, STRINGS, GUITAR, PIANO = 20, 48, 29, 0  # reed organ: steady to a thousandth; overdriven guitar: bright
# How far recordings of the default SoundFont lie from their pitch: measured at most 16 on sustained programs.
TUNING_CENTS = 16.0

needs_fluidsynth = pytest.mark.skipif(not renders.available(), reason="FluidSynth is not installed")


@pytest.fixture
def nothing_cached():
    renders._cache.clear()
    yield
    renders._cache.clear()


def cents_off(wave, midi, rate=RATE, harmonics=4):
    """Return how many cents the strongest lines near the first harmonics of ``midi`` lie above them."""
    size = 1 << 19
    heights = np.abs(np.fft.rfft(wave * np.blackman(len(wave)), size))
    hz = np.fft.rfftfreq(size, 1 / rate)
    total = weight = 0.0
    for number in range(1, harmonics + 1):
        target = number * hz_from_midi(midi)
        near = np.flatnonzero(np.abs(hz - target) < 0.04 * target)
        peak = near[np.argmax(heights[near])]
        total += heights[peak] ** 2 * 1200 * math.log2(hz[peak] / target)
        weight += heights[peak] ** 2
    return total / weight


def play(source, seconds=1.0, ramp_seconds=0.0):
    return Stimulus((source,), seconds, ramp_seconds).render(RATE).astype(float)


@needs_fluidsynth
@pytest.mark.parametrize("program", [PIANO, 16, ORGAN, 40, 56, 73])
@pytest.mark.parametrize("midi", [50, 69.5])
def test_a_render_has_the_pitch_it_is_labelled_with(program, midi):
    assert abs(cents_off(play(note(midi, f"program:{program}")), midi)) < TUNING_CENTS


@needs_fluidsynth
@pytest.mark.parametrize("offset", [-0.5, -0.31, -0.01, 0.01, 0.25, 0.49])
def test_a_pitch_between_the_keys_is_played_to_the_cent(offset):
    """Relative to the key, whose recording has its own tuning."""
    on_key = cents_off(play(note_render(60, ORGAN)), 60)
    between = cents_off(play(note_render(60 + offset, ORGAN)), 60 + offset)
    assert between - on_key == pytest.approx(0.0, abs=0.2)


@needs_fluidsynth
@pytest.mark.parametrize("rms", [0.01, 0.1])
@pytest.mark.parametrize("program", [PIANO, STRINGS])
def test_level_is_the_rms_of_the_part_used(program, rms):
    wave = play(note(64, f"program:{program}", rms=rms, rng=np.random.default_rng(1)), seconds=0.6)
    assert math.sqrt(np.mean(wave**2)) == pytest.approx(rms, rel=1e-6)


@needs_fluidsynth
def test_nothing_aliases():
    """A bright steady sound holds nothing between its harmonics: played straight at 24 kHz it has aliases at -53 dB."""
    wave = play(note_render(60, GUITAR), seconds=1.0)
    power = np.abs(np.fft.rfft(wave * np.kaiser(wave.size, 14))) ** 2
    hz = np.fft.rfftfreq(wave.size, 1 / RATE)
    harmonic = hz / hz_from_midi(60)
    between = (np.abs(harmonic - np.round(harmonic)) > 0.25) & (harmonic > 0.5)
    assert 10 * math.log10(power[between].sum() / power.sum()) < -70


@needs_fluidsynth
def test_max_hz_takes_away_what_lies_above_and_leaves_what_lies_below():
    full, cut = (play(note(60, f"program:{GUITAR}", max_hz=limit)) for limit in (None, 2000.0))
    window = np.kaiser(full.size, 20)
    hz = np.fft.rfftfreq(full.size, 1 / RATE)
    before, after = (np.abs(np.fft.rfft(wave * window)) ** 2 for wave in (full, cut))
    assert 10 * math.log10(after[hz > 2010].sum() / after.sum()) < -100
    assert 10 * math.log10(before[hz > 2010].sum() / before.sum()) > -20
    low = hz < 1890
    ratio = after[low].sum() / before[low].sum()
    np.testing.assert_allclose(after[low], ratio * before[low], rtol=0, atol=1e-6 * after.max())


@needs_fluidsynth
def test_a_fresh_synthesizer_forgets_what_was_played_before(nothing_cached):
    source = note(60, f"program:{STRINGS}")
    first = play(source)
    renders._cache.clear()
    play(note(72, f"program:{PIANO}"))
    np.testing.assert_array_equal(play(source), first)


@needs_fluidsynth
def test_a_soundfont_that_is_lent_plays_as_one_loaded_anew(nothing_cached, monkeypatch, capfd):
    sources = [note(60, f"program:{STRINGS}"), note(72, f"program:{PIANO}")]
    play(sources[1])
    renders._cache.clear()
    lent = [play(source) for source in sources]
    for source, before in zip(sources, lent, strict=True):
        renders._cache.clear()
        monkeypatch.setattr(renders, "_fonts", {})
        np.testing.assert_array_equal(play(source), before)
    assert capfd.readouterr() == ("", "")


@needs_fluidsynth
def test_another_process_renders_the_same_bits():
    code = (
        "import conftest, hashlib; from testtone.stimuli import *; "
        f"wave = Stimulus((note(61.3, 'program:{STRINGS}'),), 0.5).render({RATE}); "
        "print(hashlib.sha256(wave.tobytes()).hexdigest())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60
    )
    wave = Stimulus((note(61.3, f"program:{STRINGS}"),), 0.5).render(RATE)
    assert run.stdout.strip() == hashlib.sha256(wave.tobytes()).hexdigest()


@needs_fluidsynth
def test_starts_levels_and_company_share_one_render(nothing_cached, monkeypatch):
    played = []
    play_one = renders._play
    monkeypatch.setattr(renders, "_play", lambda *arguments: played.append(arguments) or play_one(*arguments))
    rng = np.random.default_rng(0)
    stimulus = Stimulus((note(60, f"program:{STRINGS}"), note(69, "tilt")), 0.5)
    waves = [stimulus.with_phases(rng).scaled(-6).render(RATE) for _ in range(4)]
    assert len(played) == 1
    assert all(np.abs(np.corrcoef(one, other)[0, 1]) < 0.99 for one, other in pairwise(waves))


def test_a_generator_draws_where_in_the_sustain_a_note_starts():
    fixed, drawn = (note(60, f"program:{STRINGS}", rng=rng) for rng in (None, np.random.default_rng(0)))
    assert (fixed.skip_seconds, fixed.offset_seconds) == (0.2, 0.0)
    assert drawn.skip_seconds == 0.2
    assert 0.0 < drawn.offset_seconds < renders.OFFSET_SECONDS == 0.05


@needs_fluidsynth
def test_a_later_start_is_the_same_render_shifted(nothing_cached):
    early, late = (
        play(Render((Note(60),), STRINGS, soundfont(), 0.05, 0.2, offset), seconds=0.5) for offset in (0.0, 0.04)
    )
    shift = round(0.04 * RATE)
    gain = np.dot(early[shift:], late[:-shift]) / np.dot(late[:-shift], late[:-shift])
    np.testing.assert_allclose(early[shift:], gain * late[:-shift], atol=1e-6)


@needs_fluidsynth
def test_memory_of_renders_is_bounded(nothing_cached, monkeypatch):
    monkeypatch.setattr(renders, "CACHE_BYTES", 3 * 8 * RATE)
    for midi in range(60, 68):
        play(note_render(midi, PIANO), seconds=0.5)
    assert sum(each.nbytes for each in renders._cache.values()) <= 3 * 8 * RATE
    assert len(renders._cache) >= 1


@needs_fluidsynth
def test_notes_start_and_end_when_they_should():
    source = Render((Note(69, 100, 0.3, 0.6),), ORGAN, soundfont(), 0.05)
    wave = play(source, seconds=1.0)
    assert np.abs(wave[: round(0.295 * RATE)]).max() < 1e-3 * np.abs(wave).max()
    assert np.sqrt(np.mean(wave[round(0.4 * RATE) : round(0.6 * RATE)] ** 2)) > 0.05
    assert np.abs(wave[round(0.9 * RATE) :]).max() < 0.01 * np.abs(wave).max()


@needs_fluidsynth
def test_no_room_rings_on():
    """A stopped organ note is gone 0.3 s later; with FluidSynth's own reverb it would be there at -37 dB."""
    wave = play(Render((Note(69, 100, 0.0, 0.3),), ORGAN, soundfont(), 0.05), seconds=1.0)
    assert np.abs(wave[round(0.6 * RATE) :]).max() < 1e-6 * np.abs(wave).max()


@needs_fluidsynth
def test_the_end_of_a_render_does_not_reach_round_to_its_beginning():
    """The band limit is set in one circular block: a note held to its end must leave the silence before it alone."""
    wave = play(Render((Note(69, 100, 0.3),), ORGAN, soundfont(), 0.05), seconds=1.0)
    assert np.abs(wave[: round(0.29 * RATE)]).max() < 1e-6 * np.abs(wave).max()


@needs_fluidsynth
def test_notes_of_one_render_keep_their_own_pitches():
    chord = (48.0, 55.25, 62.5, 69.75)
    wave = play(Render(tuple(Note(each) for each in chord), ORGAN, soundfont(), 0.1, 0.2))
    assert max(abs(cents_off(wave, midi, harmonics=1)) for midi in chord) < TUNING_CENTS


@needs_fluidsynth
def test_midi_goes_out_and_comes_back():
    pretty_midi = pytest.importorskip("pretty_midi")
    notes = (Note(48.0, 80, 0.1, 0.4), Note(60.25, 100, 0.0, 0.5), Note(67.5, 90, 0.2, 0.5))
    stimulus = Stimulus(
        (Render(notes, STRINGS, soundfont(), 0.05, timbre="strings"), Render((Note(36),), 33, soundfont(), 0.05)), 0.5
    )
    file = io.BytesIO()
    stimulus.to_midi().write(file)
    file.seek(0)
    again = from_midi(pretty_midi.PrettyMIDI(file), seconds=0.5)
    strings, bass = again.sources
    assert (strings.program, strings.timbre, bass.program) == (STRINGS, "strings", 33)
    for one in notes:
        other = min(strings.notes, key=lambda each: abs(each.midi - one.midi))
        assert other.midi == pytest.approx(one.midi, abs=0.006)
        assert other.velocity == one.velocity
        assert (other.start_seconds, other.end_seconds) == pytest.approx((one.start_seconds, one.end_seconds), abs=1e-4)
    assert bass.notes[0].end_seconds == pytest.approx(0.5, abs=1e-4)
    one, other = (Stimulus((source,), 0.5).render(RATE) for source in (stimulus.sources[0], strings))
    assert np.corrcoef(one, other)[0, 1] > 0.99


def test_percussion_has_no_pitch_and_a_moving_bend_is_refused():
    pretty_midi = pytest.importorskip("pretty_midi")
    piece = pretty_midi.PrettyMIDI()
    drums = pretty_midi.Instrument(0, is_drum=True)
    drums.notes.append(pretty_midi.Note(100, 38, 0.0, 0.2))
    piece.instruments.append(drums)
    stimulus = from_midi(piece)
    assert (stimulus.pitches, stimulus.timbres, stimulus.sources[0].bank) == ((), ("percussion",), 128)
    lead = pretty_midi.Instrument(80)
    lead.notes.append(pretty_midi.Note(100, 60, 0.0, 0.5))
    lead.pitch_bends.append(pretty_midi.PitchBend(2048, 0.25))
    piece.instruments.append(lead)
    with pytest.raises(ValueError, match=r"a pitch bend moves during the note at 0.000 s"):
        from_midi(piece)
    with pytest.raises(ValueError, match="midi has no notes"):
        from_midi(pretty_midi.PrettyMIDI())
    with pytest.raises(ValueError, match="only a Render goes into MIDI, not Tone"):
        Stimulus((note(60, "tilt"),), 0.5).to_midi()


def test_the_soundfont_goes_by_its_hash(tmp_path):
    path = Path(renders._default_soundfont())
    assert soundfont() == soundfont(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(ValueError, match=r"cannot read the SoundFont .*none.sf2"):
        soundfont(tmp_path / "none.sf2")


@needs_fluidsynth
@pytest.mark.parametrize(
    ("source", "rate", "message"),
    [
        (Render((Note(60),), 0, "f" * 64, 0.1), RATE, r"soundfont_sha256=ffffffffffff\.\.\. is unknown here"),
        (note_render(60, 0), 100_000, r"FluidSynth cannot play at 100000 Hz: it plays 8000 to 96000 Hz"),
        (note_render(64, 65), RATE, r"program=65 has no sound for key 64 \(midi=64.0\) in TimGM6mb.sf2"),
        (note_render(100, 115, skip_seconds=20.0), RATE, "render of program 115 is silent from 20.000 s"),
        (Render((Note(60),), 1, soundfont(), 0.1, bank=77), RATE, "program=1 of bank 77 is not in the SoundFont"),
    ],
    ids=["unknown SoundFont", "rate", "no such key", "silent", "bank"],
)
def test_what_cannot_be_rendered_says_why(source, rate, message):
    with pytest.raises(ValueError, match=message):
        Stimulus((source,), 0.2).render(rate)


@needs_fluidsynth
def test_a_file_that_is_no_soundfont_is_refused(tmp_path, capfd):
    path = tmp_path / "broken.sf2"
    path.write_bytes(b"not a SoundFont")
    with pytest.raises(ValueError, match=r"FluidSynth cannot load the SoundFont .*broken.sf2"):
        Stimulus((note_render(60, 0, soundfont_sha256=soundfont(path)),), 0.2).render(RATE)
    capfd.readouterr()


@pytest.mark.parametrize("module", [None, math], ids=["absent", "the other fluidsynth"])
def test_without_fluidsynth_one_error_says_what_to_install(module, monkeypatch, nothing_cached):
    monkeypatch.setitem(sys.modules, "fluidsynth", module)
    renders._binding.cache_clear()
    try:
        stimulus = Stimulus((note(60, "program:0"),), 0.2)
        assert stimulus.truth()["pitches"] == [60.0]
        assert not renders.available()
        with pytest.raises(FluidSynthMissingError, match=r"apt-get install libfluidsynth3.*brew install fluid-synth"):
            stimulus.render(RATE)
    finally:
        renders._binding.cache_clear()
