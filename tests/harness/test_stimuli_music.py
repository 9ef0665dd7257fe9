"""Random music: what a piece says of itself is what it plays, and what is held out stays out."""

import numpy as np
import pytest

from testtone.stimuli import music
from testtone.stimuli.renders import soundfont

RATE = 22_050


def pieces(count: int = 40, *, seed: int = 3, seconds: float = 3.0, **options) -> list[music.Piece]:
    rng = np.random.default_rng(seed)
    options = {"programs": music.trained_programs(), "tonics": music.trained_tonics()} | options
    return [music.piece(rng, seconds=seconds, **options) for _ in range(count)]


def test_held_out_programs_and_tonics_never_sound_in_training() -> None:
    for piece in pieces(200):
        assert not {part.program for part in piece.parts if part.bank != 128} & music.HELD_OUT_PROGRAMS
        assert piece.tonic not in music.HELD_OUT_TONICS


def test_every_family_has_programs_on_both_sides() -> None:
    for name, members in music.FAMILIES.items():
        assert set(members) & music.HELD_OUT_PROGRAMS, name
        assert set(members) - music.HELD_OUT_PROGRAMS, name


def test_pieces_vary_in_polyphony_company_and_level() -> None:
    drawn = pieces(300)
    assert {piece.polyphony for piece in drawn} >= {1, 2, 3, 4, 5, 6}
    share = np.mean([any(part.bank == 128 for part in piece.parts) for piece in drawn])
    assert 0.2 < share < 0.5
    levels = 20 * np.log10([piece.rms for piece in drawn])
    assert levels.min() < -30
    assert levels.max() > -18


@pytest.mark.parametrize("quality", list(music.QUALITIES))
def test_a_piece_that_stays_on_a_chord_holds_its_notes_and_no_others(quality: str) -> None:
    for piece in pieces(20, quality=quality):
        classes = {round(note.midi) % 12 for part in piece.parts if part.bank != 128 for note in part.notes}
        chord = {(piece.tonic + step) % 12 for step in music.QUALITIES[quality]}
        if quality == "cluster":  # more voices widen it
            assert chord <= {(piece.tonic + step) % 12 for step in range(6)}
            assert classes <= {(piece.tonic + step) % 12 for step in range(6)}
        else:
            assert classes == chord


def test_the_same_pieces_give_the_same_bits_and_their_levels() -> None:
    drawn = pieces(8)
    first, second = (music.play(drawn, sample_rate=RATE) for _ in range(2))
    for piece, wave, again in zip(drawn, first, second, strict=True):
        assert wave.dtype == np.float32
        assert wave.shape == (round(piece.seconds * RATE),)
        np.testing.assert_array_equal(wave, again)
        rms, peak = np.sqrt(np.mean(wave.astype(float) ** 2)), np.abs(wave).max()
        assert rms == pytest.approx(piece.rms, rel=1e-3) or peak == pytest.approx(music.PEAK, rel=1e-3)
        assert peak < 1.0


def test_a_piece_sounds_at_the_pitch_that_it_names() -> None:
    note = music.Note(69.0, 100, 0.0, None)
    piece = music.Piece((music.Part(73, (note,)),), 1.0, 0.1, tonic=9)
    (wave,) = music.play([piece], sample_rate=RATE)
    spectrum = np.abs(np.fft.rfft(wave[RATE // 4 :] * np.hanning(len(wave) - RATE // 4)))
    hz = np.argmax(spectrum) * RATE / (len(wave) - RATE // 4)
    assert 1200 * abs(np.log2(hz / 440.0)) % 1200 == pytest.approx(0, abs=20)


def test_percussion_has_no_pitch() -> None:
    drums = music.Part(0, (music.Note(38.0), music.Note(42.0)), bank=128)
    piece = music.Piece((drums,), 1.0, 0.1, tonic=0)
    assert piece.polyphony == 0
    assert not piece.families()
    assert not piece.registers()


def test_tags_are_read_off_the_notes() -> None:
    low, high = music.Note(40.0, 90, 0.0, 1.0), music.Note(84.0, 90, 0.5, 1.0)
    piece = music.Piece((music.Part(19, (low, high)),), 1.0, 0.1, tonic=4)
    assert piece.families() == {"organ"}
    assert piece.registers() == {"low", "high"}
    assert piece.polyphony == 2
    assert piece.onsets_per_second == 2


@pytest.mark.parametrize(
    ("options", "says"), [({"quality": "blue"}, "quality='blue' must be one of"), ({"max_polyphony": 7}, "1 to 6")]
)
def test_bad_requests_are_named(options: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        pieces(1, **options)


def test_a_rate_that_fluidsynth_cannot_play_is_named() -> None:
    with pytest.raises(ValueError, match="cannot play at 4000 Hz"):
        music.play(pieces(1), sample_rate=4000, soundfont_sha256=soundfont())
