"""References with layers: the filters are where and as wide as they are said to be."""

import numpy as np
import pytest

from testtone.models import resolve
from testtone.models.layered_references import LAYERED_REFERENCES, erb_filters, narrowing, short_filters
from testtone.models.listening import Listener
from testtone.models.references import bare_decimator, power_filterbank

RATE = 24_000


def noise(clips: int = 2, *, seconds: float = 0.5) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal((clips, round(RATE * seconds)))


@pytest.mark.parametrize("name", LAYERED_REFERENCES)
def test_each_keeps_the_contract(name: str) -> None:
    encoder = resolve(name)
    assert encoder.name == name
    assert encoder.reference
    listener = Listener(encoder)
    heard = listener.listen(noise().astype(np.float32)).values
    assert set(heard) == set(encoder.frame_rates) == set(encoder.margin_seconds)
    for site, values in heard.items():
        assert values.shape[2] == pytest.approx(0.5 * listener.frame_rates[site], abs=1)


@pytest.mark.parametrize("build", [erb_filters, short_filters])
def test_a_filter_passes_a_tone_at_its_centre_as_it_is(build) -> None:
    encoder = build()
    time = np.arange(RATE) / RATE
    for channel in (5, 16, 28):
        tone = 0.1 * np.cos(2 * np.pi * encoder.centres_hz[channel] * time)
        steady = encoder.listen(tone[None])["first_conv"][0, channel, RATE // 2 :]
        # Of a few taps the peak may lie a little beside the centre.
        assert np.sqrt(2.0) * steady.std() == pytest.approx(0.1, rel=0.01 if build is erb_filters else 0.3)


@pytest.mark.parametrize("bandwidth", [1.0, 2.0])
def test_ear_wide_filters_pass_the_noise_of_one_erb(bandwidth: float) -> None:
    encoder = erb_filters(bandwidth=bandwidth)
    white = np.random.default_rng(1).standard_normal((1, 30 * RATE))
    power = encoder.listen(white)["first_conv"][0, :, RATE:].astype(np.float64).var(axis=1)
    erb = 24.7 * (4.37e-3 * np.array(encoder.centres_hz) + 1.0)
    np.testing.assert_allclose(power, bandwidth * erb / (RATE / 2), rtol=0.12)


def test_a_filter_hears_the_past_alone() -> None:
    encoder = erb_filters()
    clip = noise(1)
    later = clip.copy()
    later[:, 6000:] = 0.0
    first, second = (encoder.listen(each)["first_conv"][0] for each in (clip, later))
    np.testing.assert_allclose(first[:, :6000], second[:, :6000], atol=1e-6)
    assert np.abs(first[:, 6000:] - second[:, 6000:]).max() > 1e-3


def test_layers_are_the_references_they_are_made_of() -> None:
    clip = noise()
    heard = narrowing(bandwidth=2.0).listen(clip)
    np.testing.assert_array_equal(heard["first_conv"], short_filters().listen(clip)["first_conv"])
    np.testing.assert_array_equal(heard["stack_end"], power_filterbank(bandwidth=2.0).listen(clip)["latent"])
    wide = resolve("wide-throughout").listen(clip)
    np.testing.assert_array_equal(wide["first_conv"][:, 0], clip.astype(np.float32))
    np.testing.assert_array_equal(wide["stack_end"], bare_decimator().listen(clip)["latent"])


def test_settings_show_in_the_name() -> None:
    assert erb_filters(bandwidth=2.0).name == "erb-filters(bandwidth=2)"
    assert short_filters(taps=64).name == "short-filters(taps=64)"
    assert narrowing(bandwidth=0.5).name == "narrowing(bandwidth=0.5)"


def test_widths_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="bandwidth=0"):
        erb_filters(bandwidth=0.0)
