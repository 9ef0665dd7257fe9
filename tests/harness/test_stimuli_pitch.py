"""Pitches, names and chords."""

import math

import pytest

from testtone.stimuli import QUALITIES, chord, hz_from_midi, midi_from_hz, pitch


@pytest.mark.parametrize(("midi", "hz"), [(69, 440.0), (57, 220.0), (60, 261.6255653), (69.5, 452.8929841), (21, 27.5)])
def test_equal_temperament(midi, hz):
    assert hz_from_midi(midi) == pytest.approx(hz, rel=1e-9)
    assert midi_from_hz(hz) == pytest.approx(midi, abs=1e-7)


@pytest.mark.parametrize(
    ("midi", "name"),
    [
        (69, "A4"),
        (60, "C4"),
        (61, "C#4"),
        (0, "C-1"),
        (69.25, "A4 +25 c"),
        (68.9, "A4 -10 c"),
        (69.5, "A4 +50 c"),
        (68.5, "G#4 +50 c"),
        (69.004, "A4"),
    ],
)
def test_names_are_what_a_musician_reads(midi, name):
    assert pitch.name(midi) == name


def test_major_triad_in_every_position():
    assert chord(60, "major") == (60, 64, 67)
    assert chord(60, "major", inversion=1) == (64, 67, 72)
    assert chord(60, "major", inversion=2) == (67, 72, 76)
    assert chord(60, "major", voicing="open") == (60, 67, 76)
    assert chord(60, "major", voicing="drop2") == (52, 60, 67)
    assert chord(60.25, "dominant7") == (60.25, 64.25, 67.25, 70.25)


MINOR_THIRD, MAJOR_THIRD, SECOND, FOURTH, FIFTH = 3, 4, 2, 5, 7


@pytest.mark.parametrize(
    ("quality", "intervals"),
    [
        ("fifth", (FIFTH,)),
        ("major", (MAJOR_THIRD, MINOR_THIRD)),
        ("minor", (MINOR_THIRD, MAJOR_THIRD)),
        ("diminished", (MINOR_THIRD, MINOR_THIRD)),
        ("augmented", (MAJOR_THIRD, MAJOR_THIRD)),
        ("sus2", (SECOND, FOURTH)),
        ("sus4", (FOURTH, SECOND)),
        ("major7", (MAJOR_THIRD, MINOR_THIRD, MAJOR_THIRD)),
        ("minor7", (MINOR_THIRD, MAJOR_THIRD, MINOR_THIRD)),
        ("dominant7", (MAJOR_THIRD, MINOR_THIRD, MINOR_THIRD)),
        ("half-diminished7", (MINOR_THIRD, MINOR_THIRD, MAJOR_THIRD)),
        ("diminished7", (MINOR_THIRD, MINOR_THIRD, MINOR_THIRD)),
    ],
)
def test_chords_are_stacked_as_harmony_books_stack_them(quality, intervals):
    assert QUALITIES[quality] == tuple(sum(intervals[:count]) for count in range(len(intervals) + 1))


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("voicing", pitch.VOICINGS)
def test_inversion_and_voicing_keep_the_pitch_classes(quality, voicing):
    steps = QUALITIES[quality]
    for inversion in range(len(steps)):
        notes = chord(60, quality, inversion=inversion, voicing=voicing)
        assert sorted(notes) == list(notes)
        assert {(each - 60) % 12 for each in notes} == set(steps)
        assert len(set(notes)) == len(steps)


def test_just_triads_stand_in_whole_number_ratios():
    root, third, fifth = (hz_from_midi(each) for each in chord(60, "major", tuning="just"))
    assert third / root == pytest.approx(5 / 4, rel=1e-12)
    assert fifth / root == pytest.approx(3 / 2, rel=1e-12)
    lifted = chord(60, "minor", tuning="just", inversion=1)
    assert lifted[-1] == pytest.approx(72.0, abs=1e-12)
    assert hz_from_midi(lifted[0]) / hz_from_midi(60) == pytest.approx(6 / 5, rel=1e-12)


def test_just_intervals_lie_within_a_fifth_of_a_semitone_of_equal_ones():
    for step in range(12):
        assert abs(pitch.just_semitones(step) - step) < 0.2
    assert pitch.just_semitones(19) == pytest.approx(12 * math.log2(3), abs=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: chord(60, "manjor"), "quality='manjor' is unknown; known: fifth, major, minor"),
        (lambda: chord(60, "major", inversion=3), r"inversion=3 of 'major' must lie in 0\.\.2"),
        (lambda: chord(60, "major", voicing="wide"), "voicing='wide' is unknown; known: close, open, drop2"),
        (lambda: chord(60, "major", tuning="pure"), "tuning='pure' is unknown; known: equal, just"),
        (lambda: midi_from_hz(0.0), "hz=0.0 must be a positive frequency in Hz"),
        (lambda: pitch.name(math.nan), "midi=nan must be a finite MIDI number"),
    ],
    ids=["quality", "inversion", "voicing", "tuning", "hz", "midi"],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("quality", "spelled"),
    [
        ("fifth", "C G"),
        ("major", "C E G"),
        ("minor", "C D# G"),
        ("diminished", "C D# F#"),
        ("augmented", "C E G#"),
        ("sus2", "C D G"),
        ("sus4", "C F G"),
        ("major7", "C E G B"),
        ("minor7", "C D# G A#"),
        ("dominant7", "C E G A#"),
        ("half-diminished7", "C D# F# A#"),
        ("diminished7", "C D# F# A"),
    ],
)
def test_chords_are_spelled_as_a_musician_would(quality, spelled):
    assert " ".join(pitch.name(each).removesuffix("4") for each in chord(60, quality)) == spelled


def test_every_quality_is_spelled_out():
    assert len(QUALITIES) == 12


@pytest.mark.parametrize(
    ("semitones", "ratio"),
    [(0, 1), (1, 16 / 15), (2, 9 / 8), (3, 6 / 5), (4, 5 / 4), (5, 4 / 3), (6, 45 / 32), (7, 3 / 2), (8, 8 / 5),
     (9, 5 / 3), (10, 9 / 5), (11, 15 / 8), (12, 2), (16, 5 / 2), (-5, 3 / 4)],
)  # fmt: skip
def test_just_intervals_are_ratios_of_the_five_limit(semitones, ratio):
    assert 2 ** (pitch.just_semitones(semitones) / 12) == pytest.approx(ratio, rel=1e-12)
