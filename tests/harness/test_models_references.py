"""The references do to a sound what is known of them in advance."""

import numpy as np
import pytest
import torch

from testtone.models.protocol import Encoder
from testtone.models.references import (
    FEATURE_SCALE,
    REFERENCES,
    bare_decimator,
    erb_hz,
    erb_number_to_hz,
    holistic_features,
    hz_to_erb_number,
    ideal_lowpass_decimator,
    linear_stft,
    polyphase,
    power_filterbank,
)

SAMPLE_RATE = 24_000
HOP = 320
STEADY = slice(20, 40)
"""Frames of a clip of 0.8 s whose windows lie inside it, for every reference."""


def tones(hz: list[float], *, phases: list[float] | None = None, seconds: float = 0.8, amplitude: float = 0.1):
    """Return the sum of cosines, float64 'samples'."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    starts = [0.0] * len(hz) if phases is None else phases
    return sum(amplitude * np.cos(2 * np.pi * f * time + phase) for f, phase in zip(hz, starts, strict=True))


def latent(encoder, *waveforms):
    return np.asarray(encoder.listen(np.stack(waveforms).astype(np.float32))["latent"], dtype=np.float64)


def noise(clips: int, *, seconds: float = 0.8, rms: float = 0.1, seed: int = 1):
    return rms * np.random.default_rng(seed).standard_normal((clips, round(seconds * SAMPLE_RATE)))


@pytest.mark.parametrize("name", REFERENCES)
def test_each_fulfils_the_contract(name: str) -> None:
    encoder = REFERENCES[name]()
    waveforms = torch.from_numpy(noise(2).astype(np.float32))
    before = waveforms.clone()
    heard = encoder.listen(waveforms)
    assert isinstance(encoder, Encoder)
    assert encoder.name == name
    assert encoder.reference is True
    assert list(heard) == ["latent"]
    assert heard["latent"].dtype == np.float32
    assert heard["latent"].shape[::2] == (2, 60)
    assert encoder.frame_rates == {"latent": 75.0}
    assert set(encoder.frame_rates) == set(encoder.margin_seconds)
    assert torch.equal(waveforms, before)


@pytest.mark.parametrize("name", REFERENCES)
def test_a_partial_hop_is_a_frame(name: str) -> None:
    encoder = REFERENCES[name]()
    assert [encoder.listen(np.zeros((1, n)))["latent"].shape[2] for n in (1, 320, 321, 5000)] == [1, 1, 2, 16]


@pytest.mark.parametrize("name", REFERENCES)
def test_beyond_the_margin_a_frame_knows_nothing_of_the_edges(name: str) -> None:
    encoder = REFERENCES[name]()
    (clip,) = noise(1, seconds=1.2)
    whole = latent(encoder, clip)[0]
    excerpt = latent(encoder, clip[10 * HOP : 70 * HOP])[0]
    edge = int(np.ceil(encoder.margin_seconds["latent"] * 75.0))
    np.testing.assert_allclose(excerpt[:, edge : 60 - edge], whole[:, 10 + edge : 70 - edge], atol=1e-6)
    if edge:
        assert np.abs(excerpt[:, 0] - whole[:, 10]).max() > 1e-4 * np.abs(whole).max()


@pytest.mark.parametrize("name", REFERENCES)
def test_the_rest_of_the_batch_does_not_matter(name: str) -> None:
    encoder = REFERENCES[name]()
    clips = noise(20, seconds=0.4)
    np.testing.assert_allclose(latent(encoder, *clips)[17], latent(encoder, clips[17])[0], atol=1e-6)


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize(("sample_rate", "hop"), [(16_000, 200), (22_050, 294), (44_100, 512)])
def test_other_clocks(name: str, sample_rate: int, hop: int) -> None:
    encoder = REFERENCES[name](sample_rate=sample_rate, hop=hop)
    heard = encoder.listen(0.1 * np.random.default_rng(0).standard_normal((1, 10 * hop)))["latent"]
    assert heard.shape[2] == 10
    assert np.isfinite(heard).all()
    assert encoder.frame_rates["latent"] == pytest.approx(sample_rate / hop)
    assert encoder.strides == (hop,)


def test_the_scale_of_the_ear() -> None:
    # Glasberg & Moore 1990: 1 kHz has an equivalent rectangular bandwidth of 132.6 Hz and lies at number 15.6.
    assert erb_hz(1000.0) == pytest.approx(132.64, abs=0.01)
    assert hz_to_erb_number(1000.0) == pytest.approx(15.62, abs=0.01)
    hz = np.array([50.0, 440.0, 11_000.0])
    np.testing.assert_allclose(erb_number_to_hz(hz_to_erb_number(hz)), hz)
    # The bandwidth is what a step of one on the scale spans.
    step = (hz_to_erb_number(1000.5) - hz_to_erb_number(999.5)) * erb_hz(1000.0)
    assert step == pytest.approx(1.0, rel=5e-3)


@pytest.mark.parametrize("band", [30, 64, 100])
def test_a_tone_reads_its_mean_square_in_its_band(band: int) -> None:
    bank = power_filterbank()
    heard = latent(bank, tones([bank.centres_hz[band]], amplitude=0.1))[0, :, STEADY].mean(axis=1)
    assert heard.argmax() == band
    assert 10 * np.log10(heard[band] / 0.005) == pytest.approx(0.0, abs=0.2)


@pytest.mark.parametrize("bandwidth", [0.5, 1.0, 4.0])
def test_a_band_passes_as_much_noise_as_its_bandwidth(bandwidth: float) -> None:
    bank = power_filterbank(bandwidth=bandwidth)
    heard = latent(bank, *noise(40, rms=0.1))[:, :, STEADY].mean(axis=(0, 2))
    centres = np.array(bank.centres_hz)
    inside = (centres > 300.0) & (centres < 4000.0)
    expected = 0.1**2 * bandwidth * erb_hz(centres) / (SAMPLE_RATE / 2)
    assert np.median(heard[inside] / expected[inside]) == pytest.approx(1.0, abs=0.03)


def test_the_filterbank_is_an_explicit_sum() -> None:
    bank = power_filterbank(bands=5, low_hz=200.0, high_hz=2000.0)
    (clip,) = noise(1, seconds=0.3)
    frame, taps = 10, 2400
    start = frame * HOP + HOP // 2 - taps // 2
    n = np.arange(taps)
    piece = clip.astype(np.float32)[start : start + taps] * np.sin(np.pi * n / taps) ** 2
    hz = 10.0 * np.arange(1201)
    spectrum = np.abs(np.exp(-2j * np.pi * np.outer(np.arange(1201), n) / taps) @ piece) ** 2
    density = 2.0 * spectrum / (taps * np.sum(np.sin(np.pi * n / taps) ** 4))
    for channel, centre in enumerate(bank.centres_hz):
        distance = 4.0 * np.abs(hz - centre) / (24.7 * (4.37 * centre / 1000.0 + 1.0))
        expected = np.sum(density * (1.0 + distance) * np.exp(-distance))
        assert latent(bank, clip)[0, channel, frame] == pytest.approx(expected, rel=1e-6)


def test_powers_of_tones_apart_add() -> None:
    bank = power_filterbank()
    low, high = tones([500.0]), tones([1500.0], phases=[1.0])
    parts = latent(bank, low, high).sum(axis=0)[:, STEADY]
    together = latent(bank, low + high)[0, :, STEADY]
    assert np.abs(together - parts).max() < 2e-3 * parts.max()


def test_the_filterbank_is_blind_to_phase() -> None:
    bank = power_filterbank()
    shifted = latent(bank, tones([700.0]), tones([700.0], phases=[2.0]))[:, :, STEADY]
    assert np.abs(shifted[0] - shifted[1]).max() < 1e-3 * shifted.max()


def test_the_fourier_transform_loses_nothing() -> None:
    (clip,) = noise(1)
    heard = latent(linear_stft(), clip)[0]
    taps, bins = 2 * HOP, HOP + 1
    spectrum = heard[:bins].astype(complex)
    spectrum[1:-1] += 1j * heard[bins:]
    pieces = np.fft.irfft(spectrum, taps, axis=0) * HOP / 2
    rebuilt = np.zeros(len(clip) + taps)
    for frame, piece in enumerate(pieces.T):
        rebuilt[frame * HOP : frame * HOP + taps] += piece
    # Hann windows half their length apart sum to one. The first starts half a hop before the clip.
    rebuilt = rebuilt[HOP // 2 :]
    np.testing.assert_allclose(rebuilt[HOP : -3 * HOP], clip[HOP : len(rebuilt) - 3 * HOP], atol=1e-6)


@pytest.mark.parametrize("name", ["linear-stft", "bare-decimator", "polyphase", "ideal-lowpass-decimator"])
def test_linear_references_add_waveforms(name: str) -> None:
    first, second = noise(2, seconds=0.4)
    apart = latent(REFERENCES[name](), first, -2.5 * second)
    np.testing.assert_allclose(latent(REFERENCES[name](), first - 2.5 * second)[0], apart.sum(axis=0), atol=1e-6)


def test_the_fourier_transform_reads_the_amplitude() -> None:
    encoder = linear_stft()
    hz = encoder.centres_hz[40]
    heard = latent(encoder, tones([hz], amplitude=0.1))[0, :, STEADY]
    bins = HOP + 1
    np.testing.assert_allclose(np.hypot(heard[40], heard[bins + 39]), 0.1, rtol=1e-5)


def test_aliases_are_one_to_the_bare_decimator_and_two_to_the_waveform() -> None:
    clips = tones([1010.0]), tones([1010.0 + 7 * 75.0])
    same, apart = latent(bare_decimator(), *clips), latent(polyphase(), *clips)
    np.testing.assert_allclose(same[0], same[1], atol=1e-7)
    cosine = np.sum(apart[0] * apart[1]) / (np.linalg.norm(apart[0]) * np.linalg.norm(apart[1]))
    assert abs(cosine) < 0.05


def test_polyphase_is_the_waveform() -> None:
    (clip,) = noise(1, seconds=0.1)
    heard = latent(polyphase(), clip)[0]
    np.testing.assert_allclose(heard.T.ravel()[: len(clip)], clip, atol=1e-7)
    assert not heard.T.ravel()[len(clip) :].any()


def test_the_ideal_lowpass_removes_what_the_bare_decimator_aliases() -> None:
    low, fold, alias = (tones([hz], seconds=1.2, amplitude=1.0) for hz in (20.0, 40.0, 10 * 75.0 + 20.0))
    passed, folded, removed = np.abs(latent(ideal_lowpass_decimator(), low, fold, alias)[:, 0, 15:75]).max(axis=1)
    assert 20 * np.log10(passed) == pytest.approx(0.0, abs=0.1)
    assert 20 * np.log10(folded) < -75.0
    assert 20 * np.log10(removed) < -75.0
    aliased = latent(bare_decimator(), low, alias)[:, 0]
    np.testing.assert_allclose(aliased[0], aliased[1], atol=1e-6)


def pitch_shift_cosine(encoder) -> float:
    """Return the mean cosine, over contexts, of what a tone of 660 Hz adds to the silence-centred mean code."""
    generator = np.random.default_rng(3)
    contexts = [[220.0, 311.0], [275.0, 980.0], [370.0, 1480.0], [150.0, 1900.0]]
    directions = []
    for context in contexts:
        plain, added = [], []
        for _ in range(8):
            phases = list(generator.uniform(0, 2 * np.pi, 3))
            plain.append(tones(context, phases=phases[:2]))
            added.append(tones([*context, 660.0], phases=phases))
        means = [latent(encoder, *clips)[:, :, STEADY].mean(axis=(0, 2)) for clips in (plain, added)]
        directions.append((means[1] - means[0]) / np.linalg.norm(means[1] - means[0]))
    cosines = np.array(directions) @ np.array(directions).T
    return float(cosines[np.triu_indices(len(contexts), 1)].mean())


def test_a_tone_adds_one_direction_to_the_filterbank_and_none_to_the_holistic_features() -> None:
    assert pitch_shift_cosine(power_filterbank()) > 0.99
    assert abs(pitch_shift_cosine(holistic_features())) < 0.15


def test_holistic_features_ignore_level_and_follow_the_spectrum() -> None:
    encoder = holistic_features()
    loud, soft, other = latent(encoder, tones([440.0]), 0.01 * tones([440.0]), tones([466.0]))[:, :, STEADY]
    np.testing.assert_allclose(loud, soft, atol=1e-2)
    assert np.sqrt(np.mean(np.square(loud - other))) > 0.7


def test_holistic_features_estimate_a_gaussian_kernel() -> None:
    """Rahimi & Recht: the mean of products of features is half the kernel, here exp(-(scale d)^2 / 2)."""
    encoder = holistic_features(features=8192)
    bank = power_filterbank()
    # A partial just above the floor of the features, so that the kernel is neither one nor nothing.
    faint = tones([3000.0], amplitude=4e-5, seconds=0.3)
    clips = [tones([440.0], seconds=0.3), tones([440.0], seconds=0.3) + faint]
    power = latent(bank, *clips)[:, :, 11]
    level = np.log(np.maximum(power, 1e-8 * power.max(axis=1, keepdims=True)))
    level -= level.mean(axis=1, keepdims=True)
    shape = level / np.linalg.norm(level, axis=1, keepdims=True)
    distance = np.linalg.norm(shape[0] - shape[1])
    features = latent(encoder, *clips)[:, :, 11]
    expected = 0.5 * np.exp(-((FEATURE_SCALE * distance) ** 2) / 2)
    assert 0.05 < expected < 0.45
    assert np.mean(features[0] * features[1]) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("name", REFERENCES)
def test_silence_is_at_rest(name: str) -> None:
    heard = latent(REFERENCES[name](), np.zeros(4800))[0]
    np.testing.assert_array_equal(heard, heard[:, :1].repeat(15, axis=1))
    if not name.endswith("holistic") and name != "holistic-features":
        assert not heard.any()


def test_settings_show_in_the_name() -> None:
    assert power_filterbank(bandwidth=4.0).name == "power-filterbank(bandwidth=4)"
    assert holistic_features(scale=6.0, seed=2).name == "holistic-features(scale=6, seed=2)"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        pytest.param(lambda: power_filterbank(sample_rate=0), r"sample_rate=0 must be a positive number", id="rate"),
        pytest.param(lambda: bare_decimator(hop=1.5), r"hop=1.5 must be a whole number of samples", id="hop"),
        pytest.param(lambda: power_filterbank(bandwidth=-1), r"bandwidth=-1 must be a positive number", id="bandwidth"),
        pytest.param(lambda: power_filterbank(high_hz=13e3), r"high_hz=13000.0 .* Nyquist \(12000.0 Hz", id="nyquist"),
        pytest.param(lambda: linear_stft(taps=320), r"taps=320 must be even and at least two hops \(640", id="taps"),
        pytest.param(lambda: polyphase().listen(np.zeros(9)), r"shape \(9,\) must be 'batch samples'", id="flat"),
        pytest.param(lambda: polyphase().listen(np.zeros((1, 0))), r"shape \(1, 0\)", id="empty"),
    ],
)
def test_what_cannot_be_is_refused(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
