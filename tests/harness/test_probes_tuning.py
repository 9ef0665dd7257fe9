"""Widths of filters: what the probes must find where the width follows from the construction."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from testtone.models import layered_references, references, resolve
from testtone.models.listening import Listener
from testtone.probes import first_layer_isolates, tuning
from testtone.probes.hearing import ear_of, hear
from testtone.probes.records import Measurement
from testtone.probes.statistics import verdict
from testtone.tests.claims.test_first_layer_isolates import CLAIM as FIRST
from testtone.tests.claims.test_selectivity_limited import CLAIM as LIMITED
from testtone.tests.claims.test_stack_end_selectivity import CLAIM as GROWS

TOLERANCE = 0.05


def measure(claim: Any, encoder: Any, *, seed: int = 0, effort: str = "quick") -> dict[str, Measurement]:
    listener = Listener(resolve(encoder) if isinstance(encoder, str) else encoder)
    ear = ear_of(listener, (*claim.beside, *claim.sites))
    if not set(ear.sites) & set(claim.sites):
        ear = ear_of(listener, (*claim.beside, *listener.sites))
    heard = hear(listener, {"it": (ear, claim.probe(ear, np.random.default_rng(seed), effort))})["it"]
    if heard.error is not None:
        raise heard.error
    assert heard.fault is None, heard.fault
    return dict(heard.measurements)


def value(claim: Any, encoder: Any, **options: Any) -> float:
    (found,) = measure(claim, encoder, **options).values()
    return found.effect.value


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("claim", [FIRST, LIMITED, GROWS], ids=lambda claim: claim.id)
def test_controls_come_out_as_expected(claim: Any, seed: int) -> None:
    for control in claim.controls:
        (found,) = measure(claim, control.encoder, seed=seed).values()
        assert verdict(found.effect, claim.threshold) == control.expected


@pytest.mark.parametrize("bandwidth", [0.5, 1.0, 2.0, 4.0])
def test_the_first_layer_is_as_wide_as_it_was_built(bandwidth: float) -> None:
    assert value(FIRST, f"erb-filters:bandwidth={bandwidth}") == pytest.approx(-np.log2(bandwidth), abs=TOLERANCE)


def test_a_stride_hides_no_taps() -> None:
    rng = np.random.default_rng(0)
    kernels = rng.standard_normal((5, 24))

    class Strided:
        name, sample_rate = "strided", 8_000

        def listen(self, waveforms: Any) -> dict[str, Any]:
            """Return a strided convolution."""
            samples = np.asarray(waveforms, dtype=np.float64)
            windows = np.lib.stride_tricks.sliding_window_view(samples, 24, axis=1)[:, ::6]
            return {"first_conv": np.einsum("bmk,ck->bcm", windows, kernels)}

    (found,) = measure(FIRST, Strided()).values()
    widths, centres = first_layer_isolates.noise_bandwidths(kernels, sample_rate=8_000)
    np.testing.assert_allclose(found.figures["filter_widths"]["enbw_hz"], widths, rtol=1e-3)
    np.testing.assert_allclose(found.figures["filter_widths"]["centre_hz"], centres, atol=3.0)


def test_the_noise_bandwidth_of_a_boxcar_is_the_rate_over_twice_its_length() -> None:
    widths, centres = first_layer_isolates.noise_bandwidths(np.ones((1, 10)), sample_rate=8_000)
    assert widths[0] == pytest.approx(400.0)
    assert centres[0] == 0.0


@pytest.mark.parametrize("count", [1, 2])
def test_two_filters_say_how_sure_a_mean_is_heard_or_told(count: int) -> None:
    kernels = np.random.default_rng(0).standard_normal((count, 64))
    encoder = layered_references._first_layer("few", kernels, np.ones(count), sample_rate=8_000)
    object.__setattr__(encoder, "first_conv_filters", kernels)
    (found,) = measure(FIRST, encoder).values()
    if count == 1:
        assert found.effect is None
        assert "it takes two" in found.reason
        return
    (told,) = [part.effect for part in found.parts if part.name == "filters as the encoder states them"]
    assert told.value == pytest.approx(found.effect.value, abs=TOLERANCE)


def test_a_first_layer_of_zeros_has_no_width() -> None:
    silent = layered_references._first_layer("silent", np.ones((3, 4)), np.ones(3), sample_rate=8_000)
    object.__setattr__(silent, "transform", lambda samples: np.zeros((len(samples), 3, samples.shape[1])))
    (found,) = measure(FIRST, silent).values()
    assert found.effect is None
    assert "0 filters answer" in found.reason


@pytest.mark.parametrize("bandwidth", [0.5, 2.0, 4.0, 8.0])
def test_bands_are_as_much_wider_as_they_were_built(bandwidth: float) -> None:
    wider = value(LIMITED, f"power-filterbank:bandwidth={bandwidth}", effort="standard")
    assert wider - value(LIMITED, "power-filterbank", effort="standard") == pytest.approx(
        np.log2(bandwidth), abs=2 * TOLERANCE if bandwidth in (0.5, 8.0) else TOLERANCE
    )


def test_the_ears_own_bands_are_as_wide_as_the_ears() -> None:
    assert value(LIMITED, "power-filterbank", effort="standard") == pytest.approx(0.0, abs=TOLERANCE)


@pytest.mark.parametrize("exponent", [0.7, 1.0, 2.0])
def test_how_steeply_a_unit_answers_is_not_its_selectivity(exponent: float) -> None:
    # A bank of powers, raised: the filters stay the same.
    bank = references.power_filterbank()
    steep = dataclasses.replace(bank, name="steep", transform=lambda samples: bank.transform(samples) ** exponent)
    assert value(LIMITED, steep) == pytest.approx(value(LIMITED, bank), abs=TOLERANCE)


def test_a_lobe_for_each_alias_counts() -> None:
    # One narrow filter, then decimation: nothing is wider. A filter that answers to all aliases of a tone is.
    hop, rate = 320, 24_000
    time = np.arange(24 * hop) / rate
    aliases = np.hanning(len(time)) * np.sum([np.cos(2 * np.pi * k * 75.0 * time) for k in range(1, 150)], axis=0)
    alone = np.hanning(len(time)) * np.cos(2 * np.pi * 40 * 75.0 * time)

    def encoder(kernel: np.ndarray) -> Any:
        def transform(samples: np.ndarray) -> np.ndarray:
            padded = np.pad(samples, ((0, 0), (len(kernel) // 2, len(kernel) // 2)))
            windows = np.lib.stride_tricks.sliding_window_view(padded, len(kernel), axis=1)[:, ::hop]
            return (windows @ kernel)[:, None]

        return dataclasses.replace(references.bare_decimator(), name="lobes", transform=transform, margin=0.2)

    assert value(LIMITED, encoder(aliases), effort="thorough") > value(LIMITED, encoder(alone), effort="thorough") + 2


def test_without_a_first_layer_there_is_nothing_to_compare_with() -> None:
    (found,) = measure(GROWS, "power-filterbank").values()
    assert found.not_applicable
    assert "'first_conv'" in found.reason


def test_growing_selectivity_is_the_difference_of_what_either_layer_shows() -> None:
    found = value(GROWS, "narrowing:bandwidth=2")
    assert value(GROWS, "narrowing") - found == pytest.approx(1.0, abs=TOLERANCE)


def test_coverage_counts_the_tones_a_unit_answers_to() -> None:
    squared = np.zeros((3, 64))
    squared[0] = 1.0
    squared[1, :16] = 3.0
    squared[2, 5] = 1.0
    np.testing.assert_allclose(tuning.coverage_octaves(squared), [0.0, -2.0, -6.0])


def test_units_that_answer_to_nothing_are_left_out() -> None:
    loud = np.zeros((20, 3))
    loud[:, 0] = 1.0
    loud[:, 2] = 1e-12
    assert tuning.iso_response(loud, loud / 4).shape == (1, 20)


def test_tones_keep_clear_of_aliases_that_stand_still() -> None:
    drawn = tuning.tones(np.random.default_rng(0), count=96, seconds=0.5, sample_rate=24_000, frame_rates=[75.0])
    assert np.abs(drawn.hz - np.round(drawn.hz / 37.5) * 37.5).min() >= tuning.CLEAR_HZ
    assert (np.diff(drawn.hz) > 0).all()


def test_an_encoder_that_never_answers_is_insufficient() -> None:
    dead = dataclasses.replace(
        references.bare_decimator(),
        name="dead",
        transform=lambda samples: np.zeros((len(samples), 2, samples.shape[1] // 320)),
    )
    (found,) = measure(LIMITED, dead).values()
    assert found.effect is None
    assert "no unit answers" in found.reason


@pytest.mark.parametrize(("share", "units"), [(1.1e-4, 2), (0.9e-4, 1)])
def test_what_answers_80_db_below_the_loudest_is_tuned_to_nothing(share: float, units: int) -> None:
    amplitudes = np.outer(np.exp(-0.5 * np.linspace(-3, 3, 20) ** 2), [1.0, share])
    loud = np.square(amplitudes)
    assert tuning.iso_response(loud, loud / 4).shape == (units, 20)
