"""What a sound looks like on a page, and what of it is played."""

import numpy as np
import pytest

from testtone import stimuli
from testtone.reports import ink
from testtone.stimuli import Stimulus, partial_tone, portraits
from testtone.stimuli.designs import erb_rate

RATE = 24000


def tone(hz: float, seconds: float = 0.5, rate: int = RATE) -> np.ndarray:
    return Stimulus.of(partial_tone(hz, amplitude=0.1), seconds=seconds).render(rate).astype(np.float64)


def loudest_band(rows: list[str]) -> int:
    return max(range(len(rows)), key=lambda band: sum(int(digit, 16) for digit in rows[band]))


@pytest.mark.parametrize("hz", [100.0, 440.0, 1000.0, 3000.0, 9000.0])
def test_a_tone_is_a_line_at_its_place_on_the_scale_of_the_ear(hz: float) -> None:
    rows = portraits.spectrogram(tone(hz), RATE)
    assert (len(rows), len(rows[0])) == (portraits.BANDS, portraits.FRAMES)
    low, high = erb_rate(portraits.LOW_HZ), erb_rate(RATE / 2)
    assert abs(loudest_band(rows) - (erb_rate(hz) - low) / (high - low) * portraits.BANDS) <= 1.5
    assert "f" in rows[loudest_band(rows)]


def test_what_starts_later_stands_further_right() -> None:
    wave = np.concatenate([np.zeros(RATE // 2), tone(440.0)])
    rows = portraits.spectrogram(wave, RATE)
    line = rows[loudest_band(rows)]
    middle = portraits.FRAMES // 2
    assert set(line[: middle - 8]) == {"0"}
    assert set(line[middle + 8 : -4]) == {"f"}


def test_a_sound_at_any_rate_has_a_portrait() -> None:
    for rate in (8000, 16000, 22050, 48000):
        found = portraits.portrait(tone(300.0, rate=rate), rate)
        assert ink.inked(found["spectrogram"]["rows"])
        assert found["spectrogram"]["high_hz"] == rate / 2


def test_silence_and_a_single_sample_have_a_portrait_and_nothing_has_none() -> None:
    assert set("".join(portraits.portrait(np.zeros(1000), RATE)["spectrogram"]["rows"])) == {"0"}
    assert ink.wave(portraits.portrait(np.ones(1), RATE)["waveform"])
    with pytest.raises(ValueError, match=r"samples of shape \(0,\) are no sound"):
        portraits.portrait(np.zeros(0), RATE)
    with pytest.raises(ValueError, match=r"shape \(2, 10\)"):
        portraits.portrait(np.zeros((2, 10)), RATE)


def test_the_waveform_shows_the_middle_and_swings_as_far_as_the_sound() -> None:
    found = portraits.waveform(tone(200.0), RATE)
    assert found["from_seconds"] == pytest.approx(0.24)
    assert found["seconds"] == pytest.approx(portraits.WAVEFORM_SECONDS)
    low, high = ([int(word) for word in found[name].split()] for name in ("low", "high"))
    assert len(low) == len(high) == portraits.COLUMNS
    assert max(high) == pytest.approx(99, abs=2)
    assert min(low) == pytest.approx(-99, abs=2)
    # Four periods of 200 Hz in 20 ms: eight changes of sign.
    signs = np.sign([a + b for a, b in zip(low, high, strict=True)])
    assert np.count_nonzero(np.diff(signs[signs != 0])) in (7, 8)


def test_a_click_is_shown_where_it_is() -> None:
    wave = np.zeros(RATE)
    wave[2400] = 0.5
    found = portraits.waveform(wave, RATE)
    assert found["from_seconds"] < 0.1 < found["from_seconds"] + found["seconds"]
    assert max(int(word) for word in found["high"].split()) == 99


def test_the_outline_of_a_waveform_is_a_closed_path() -> None:
    path, width = ink.wave({"low": "-99 0", "high": "0 99"}) or ("", 0)
    assert path == "M0 32L1 1L1 32L0 63z"
    assert width == 1
    for broken in (None, {}, {"low": "1", "high": "1 2"}, {"low": "a", "high": "1"}, {"low": 1, "high": 2}):
        assert ink.wave(broken) is None


@pytest.mark.parametrize("rows", [None, [], ["0g"], ["00", "0"], [1, 2], "00", [""]])
def test_what_is_no_picture_gives_none(rows: object) -> None:
    assert ink.inked(rows) is None


def test_only_long_sounds_are_cut_and_they_fade_out() -> None:
    assert portraits.opening(tone(440.0, seconds=0.6), RATE) is None
    long = tone(440.0, seconds=2.0)
    opened = portraits.opening(long, RATE)
    assert opened is not None
    assert len(opened) == round(portraits.OPENING_SECONDS * RATE)
    fade = round(portraits.FADE_SECONDS * RATE)
    assert np.array_equal(opened[:-fade], long[: len(opened) - fade])
    assert abs(opened[-1]) < 1e-3
    assert np.abs(opened[-fade:]).max() <= np.abs(long).max()


def test_the_mixture_is_the_sum_of_its_partials() -> None:
    found = portraits.mixture()
    total = np.sum([partial["points"] for partial in found["partials"]], axis=0)
    assert np.allclose(total, found["points"], atol=0.003)
    assert np.abs(found["points"]).max() == 1.0
    assert [partial["hz"] for partial in found["partials"]] == [220.0, 440.0, 660.0, 880.0, 1100.0]


def test_portraits_are_the_same_every_time() -> None:
    wave = stimuli.silence(0.3).with_noise(seed=1, rms=0.1).render(RATE)
    assert portraits.portrait(wave, RATE) == portraits.portrait(wave.copy(), RATE)
