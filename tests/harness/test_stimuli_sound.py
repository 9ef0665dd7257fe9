"""What a stimulus sounds like: level, spectrum, length, ramps and noise, against sums written out term by term."""

import math

import numpy as np
import pytest

from testtone.stimuli import Click, Noise, Partial, Stimulus, Tone, multisine, partial_tone, silence
from testtone.stimuli.stimulus import additive

RATE = 24000
# Casting to float32 moves a sample below 1 by up to 2^-25; anything more is an error of synthesis.
CAST = 2.0**-25
# The phase recurrence against a direct cosine, both float64: -240 dB re the partial.
PHASE = 1e-12
# Sidelobes of the Kaiser window used below; a line or hum above this is not leakage.
FLOOR_DB = -140.0


def direct_sum(partials, samples, rate):
    """Return the sum of ``amplitude * cos(2 pi hz n / rate + phase)``, one cosine a sample."""
    n = np.arange(samples)
    return sum((p.amplitude * np.cos(2 * np.pi * p.hz * n / rate + p.phase) for p in partials), np.zeros(samples))


def level_db(wave):
    return 20 * math.log10(math.sqrt(np.mean(np.asarray(wave, float) ** 2)))


def random_partials(rng, count, nyquist):
    draws = zip(
        rng.uniform(1, nyquist, count), rng.uniform(0, 1 / count, count), rng.uniform(-9, 9, count), strict=True
    )
    return tuple(Partial(*each) for each in draws)


@pytest.mark.parametrize("rate", [8000, 22050, 24000, 44100])
@pytest.mark.parametrize("samples", [1, 2, 1000, 59049])
def test_additive_equals_the_direct_sum(rate, samples):
    partials = random_partials(np.random.default_rng(samples + rate), 12, rate / 2)
    wave = additive(partials, samples, sample_rate=rate)
    assert wave.shape == (samples,)
    np.testing.assert_allclose(wave, direct_sum(partials, samples, rate), rtol=0, atol=PHASE * 10)


def test_a_high_long_partial_keeps_its_phase():
    """A phase formed in float32 would leave 47 dB of signal to noise here."""
    tone = partial_tone(9000.0 + 1 / 3, amplitude=0.5, phase=1.0)
    wave = Stimulus((tone,), 4.0, ramp_seconds=0.0).render(RATE)
    error = wave - direct_sum(tone.partials, 4 * RATE, RATE)
    assert level_db(error) - level_db(wave) < -140


def test_every_partial_at_its_frequency_and_level_and_nothing_else():
    rng = np.random.default_rng(7)
    hz = np.array([110.0, 237.5, 1000.25, 1003.5, 4321.0, 11900.0])
    amplitude = np.array([0.1, 0.001, 0.05, 0.2, 0.003, 0.02])
    wave = Stimulus((multisine(hz, amplitude=amplitude, rng=rng),), 8.0, ramp_seconds=0.0).render(RATE).astype(float)
    window = np.kaiser(wave.size, 20.0)
    heights = 2 * np.abs(np.fft.rfft(wave * window)) / window.sum()
    bins = np.round(hz * 8).astype(int)
    np.testing.assert_allclose(heights[bins], amplitude, rtol=1e-4)
    rest = np.ones(heights.size, bool)
    for each in bins:
        rest[max(each - 16, 0) : each + 17] = False
    assert 20 * np.log10(heights[rest].max() / amplitude.max()) < FLOOR_DB


def test_cosine_phase_starts_at_the_peak_and_sine_phase_at_zero():
    cosine = Stimulus.of(partial_tone(440, amplitude=0.25), seconds=0.1, ramp_seconds=0).render(RATE)
    sine = Stimulus.of(partial_tone(440, amplitude=0.25, phase=-math.pi / 2), seconds=0.1, ramp_seconds=0).render(RATE)
    assert cosine[0] == 0.25
    assert abs(sine[0]) < 1e-9
    assert sine[1] > 0


@pytest.mark.parametrize(
    ("seconds", "rate", "samples"), [(0.57, 24000, 13680), (1.0, 22050, 22050), (59049 / 22050, 22050, 59049)]
)
def test_length_is_rounded_not_cut(seconds, rate, samples):
    wave = Stimulus.of(partial_tone(440, amplitude=0.1), seconds=seconds).render(rate)
    assert wave.shape == (samples,)
    assert wave.dtype == np.float32


def test_ramps_are_raised_cosines_at_both_ends_and_touch_nothing_between():
    tone = partial_tone(600.0, amplitude=0.5)
    plain = Stimulus.of(tone, seconds=0.5, ramp_seconds=0.0).render(RATE).astype(float)
    ramped = Stimulus.of(tone, seconds=0.5, ramp_seconds=0.02).render(RATE).astype(float)
    np.testing.assert_array_equal(ramped[480:-480], plain[480:-480])
    envelope = np.sin(0.5 * np.pi * (np.arange(480) + 0.5) / 480) ** 2
    np.testing.assert_allclose(ramped[:480], plain[:480] * envelope, atol=2 * CAST)
    np.testing.assert_allclose(ramped[-480:], plain[-480:] * envelope[::-1], atol=2 * CAST)


def test_silence_is_zero():
    wave = silence(0.25).render(RATE)
    assert wave.shape == (6000,)
    assert not wave.any()
    assert silence(0.25).partials == silence(0.25).pitches == ()


def test_a_mixture_is_the_sum_of_its_parts():
    rng = np.random.default_rng(3)
    one = Stimulus((multisine(rng.uniform(50, 9000, 7), amplitude=0.02, rng=rng),), 0.4)
    other = Stimulus((multisine(rng.uniform(50, 9000, 5), amplitude=0.03, rng=rng), Noise(5, rms=0.01)), 0.4)
    mixture = (one + other).render(RATE)
    np.testing.assert_allclose(mixture, one.render(RATE).astype(float) + other.render(RATE), atol=3 * CAST)
    assert (one + other).partials == one.partials + other.partials


def test_scaling_moves_every_level_and_keeps_the_signal_to_noise_ratio():
    quiet = Stimulus((partial_tone(500, amplitude=0.1), Noise(1, rms=0.01)), 0.5)
    assert level_db(quiet.scaled(6.0).render(RATE)) - level_db(quiet.render(RATE)) == pytest.approx(6.0, abs=1e-4)
    noisy = Stimulus((partial_tone(500, amplitude=0.1),), 0.5).with_noise(seed=1, snr_db=10)
    np.testing.assert_allclose(noisy.scaled(6.0).render(RATE), 10 ** (6 / 20) * noisy.render(RATE), atol=4 * CAST)


@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 30.0])
def test_noise_lies_at_its_ratio_to_everything_else(snr_db):
    sounds = Stimulus((partial_tone(500, amplitude=0.01), partial_tone(700, amplitude=0.002)), 2.0, ramp_seconds=0.0)
    clean = sounds.render(RATE).astype(float)
    noise = sounds.with_noise(seed=11, snr_db=snr_db).render(RATE) - clean
    # 48 000 independent samples: the level of a draw scatters by 0.03 dB.
    assert level_db(clean) - level_db(noise) == pytest.approx(snr_db, abs=0.12)


def test_noise_is_white_gaussian_and_its_seed_decides():
    def wave(seed, seconds=4.0):
        return Stimulus((Noise(seed, rms=0.05),), seconds, ramp_seconds=0.0).render(RATE).astype(float)

    noise = wave(1)
    assert level_db(noise) == pytest.approx(20 * math.log10(0.05), abs=0.1)
    power = np.abs(np.fft.rfft(noise)[1:]) ** 2
    bands_db = 10 * np.log10(power.reshape(24, -1).mean(axis=1) / power.mean())
    assert np.abs(bands_db).max() < 0.5
    assert np.mean(noise**4) / np.mean(noise**2) ** 2 == pytest.approx(3.0, abs=0.15)
    np.testing.assert_array_equal(noise, wave(1))
    assert abs(np.corrcoef(noise, wave(2))[0, 1]) < 0.02


def test_rendering_twice_gives_the_same_bits_and_no_shared_memory():
    stimulus = Stimulus.of(partial_tone(440, amplitude=0.1), Noise(3, snr_db=20), seconds=0.3)
    first, again = stimulus.render(RATE), stimulus.render(RATE)
    np.testing.assert_array_equal(first, again)
    first[:] = 0
    np.testing.assert_array_equal(stimulus.render(RATE), again)


def test_full_scale_is_allowed_and_a_hair_more_is_not():
    assert Stimulus.of(partial_tone(1000, amplitude=1.0), seconds=0.1, ramp_seconds=0).render(RATE).max() == 1.0
    loud = Stimulus.of(partial_tone(1000, amplitude=2.0), seconds=0.1, ramp_seconds=0, label="too loud")
    with pytest.raises(
        ValueError, match=r"peak=2.000 exceeds full scale \(1.0\) in stimulus 'too loud'.*scaled\(-6.1\)"
    ):
        loud.render(RATE)
    loud.scaled(-6.1).render(RATE)


@pytest.mark.parametrize(
    ("hz", "rate", "message"),
    [
        (13000.0, 24000, r"hz=13000.0 is at or above Nyquist \(12000.0 Hz at sample_rate=24000\)"),
        (12000.0, 24000, r"hz=12000.0 is at or above Nyquist"),
        (440.0, 0, r"sample_rate=0 must be a positive whole number of Hz"),
        (440.0, 22050.5, r"sample_rate=22050.5 must be a positive whole number of Hz"),
    ],
    ids=["above Nyquist", "at Nyquist", "no rate", "fractional rate"],
)
def test_what_cannot_be_rendered_says_why(hz, rate, message):
    with pytest.raises(ValueError, match=message):
        Stimulus.of(partial_tone(hz, amplitude=0.1), seconds=0.1).render(rate)


def test_noise_without_company_has_no_ratio():
    with pytest.raises(ValueError, match=r"snr_db=30.0 has no sound to be relative to"):
        Stimulus((Noise(1, snr_db=30),), 0.5).render(RATE)


def test_tone_rms_is_the_level_of_its_waveform():
    tone = Tone((Partial(400.0, 0.3), Partial(700.0, 0.1, 2.0)))
    wave = Stimulus.of(tone, seconds=1.0, ramp_seconds=0.0).render(RATE)
    assert tone.rms == pytest.approx(math.sqrt(np.mean(wave.astype(float) ** 2)), rel=1e-6)


def test_a_click_is_one_sample_where_it_says() -> None:
    clip = Stimulus.of(Click(0.25, 0.5), seconds=1.0, ramp_seconds=0.0)
    wave = clip.render(8_000)
    assert np.flatnonzero(wave).tolist() == [2_000]
    assert wave[2_000] == 0.5
    assert np.abs(clip.scaled(-6.0206).render(8_000)).max() == pytest.approx(0.25, rel=1e-4)
    assert Stimulus.from_truth(clip.truth()) == clip
    assert clip.sha256 != Stimulus.of(Click(0.26, 0.5), seconds=1.0, ramp_seconds=0.0).sha256


def test_a_click_behind_the_end_is_named() -> None:
    with pytest.raises(ValueError, match=r"at_seconds=1\.0 lies behind the end of 1\.0 s"):
        Stimulus.of(Click(1.0), seconds=1.0).render(8_000)
