"""Filters as a basis: how evenly they stand and how much they overlap, as they were built."""

import dataclasses
import math
from functools import cache
from typing import Any

import numpy as np
import pytest

from testtone.models import layered_references, references, resolve
from testtone.models.listening import Listener
from testtone.probes import entangled_basis as probe
from testtone.probes.hearing import ear_of, hear
from testtone.probes.records import Effect, Measurement
from testtone.probes.statistics import verdict
from testtone.tests.claims.test_entangled_basis import CLAIM

TOLERANCE = 0.05
SITES = ("first_conv", "stack_end")


def measure(encoder: Any, *, seed: int = 0) -> dict[str, Measurement]:
    listener = Listener(resolve(encoder) if isinstance(encoder, str) else encoder)
    ear = ear_of(listener, SITES if set(SITES) & set(listener.sites) else listener.sites)
    heard = hear(listener, {"it": (ear, CLAIM.probe(ear, np.random.default_rng(seed), "quick"))})["it"]
    if heard.error is not None:
        raise heard.error
    assert heard.fault is None, heard.fault
    return dict(heard.measurements or {})


@cache
def known(spec: str, seed: int = 0) -> dict[str, Measurement]:
    return measure(spec, seed=seed)


def part(measurement: Measurement, start: str) -> Effect:
    (found,) = [each.effect for each in measurement.parts if each.name.startswith(start)]
    assert found is not None
    return found


class Kernels:
    """A first layer of stated kernels, with a stride."""

    name, sample_rate = "kernels", 16_000

    def __init__(self, kernels: np.ndarray, *, told: bool = False, stride: int = 1) -> None:
        self.kernels, self.stride = kernels, stride
        if told:
            self.first_conv_filters = kernels

    def listen(self, waveforms: Any) -> dict[str, np.ndarray]:
        """Return the layer's answers."""
        samples = np.asarray(waveforms, dtype=np.float64)
        windows = np.lib.stride_tricks.sliding_window_view(samples, self.kernels.shape[1], axis=1)[:, :: self.stride]
        return {"first_conv": np.einsum("bmk,ck->bcm", windows, self.kernels).astype(np.float32)}


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("control", CLAIM.controls, ids=lambda control: control.encoder)
def test_controls_come_out_as_expected_at_both_sites(control: Any, seed: int) -> None:
    for site in SITES:
        assert verdict(known(control.encoder, seed)[site].effect, CLAIM.threshold) == control.expected, site


@pytest.mark.parametrize("variation", [0.0, 0.3, 0.6, 1.0, 1.6])
def test_gaps_vary_as_they_were_built_to(variation: float) -> None:
    for site, found in known(f"spaced-filters:variation={variation}").items():
        measured = part(found, "spacing")
        assert measured.value + 0.5 == pytest.approx(variation, abs=TOLERANCE), site
        assert measured.low <= measured.value <= measured.high


def test_a_lattice_of_filters_refutes_whatever_their_overlap() -> None:
    found = known("spaced-filters:variation=0.0")["first_conv"]
    assert part(found, "overlap").value > 1.0
    assert verdict(found.effect, CLAIM.threshold) == "refuted"


@pytest.mark.parametrize(("count", "taps"), [(32, 7), (64, 24), (24, 200)])
def test_gaussian_kernels_overlap_as_gaussian_kernels_do(count: int, taps: int) -> None:
    """Benedetto & Fickus: the mean of <w_i, w_j>^2 of random directions is 1 / d."""
    ratios = []
    for seed in range(12):
        unit = np.random.default_rng(seed).standard_normal((count, taps))
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        chance = (taps - 1) / count if count >= taps else (count - 1) / taps
        ratios.append(probe.excess(unit, chance, 0.9).value + 0.5)
    assert np.mean(ratios) == pytest.approx(1.0, abs=2 * TOLERANCE)


def test_a_tight_frame_and_one_direction_are_the_ends() -> None:
    # The harmonic frame in the plane: n directions evenly round.
    angles = np.arange(9) * math.pi / 9
    tight = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert probe.excess(tight, 1.0, 0.9).value == pytest.approx(-0.5)
    alone = np.tile([[1.0, 0.0]], (9, 1))
    # n^2 over n^2 / d, less one.
    assert probe.excess(alone, 1.0, 0.9).value == pytest.approx(2 - 1 - 0.5)


def test_order_sign_and_gain_of_filters_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    kernels = rng.standard_normal((20, 16))
    plain = measure(Kernels(kernels))["first_conv"].effect
    changed = kernels[rng.permutation(20)] * rng.choice([-3.0, 0.5], (20, 1))
    other = measure(Kernels(changed))["first_conv"].effect
    assert plain is not None
    assert other is not None
    assert (other.value, other.low, other.high) == pytest.approx((plain.value, plain.low, plain.high), abs=1e-3)


def test_kernels_told_and_kernels_heard_are_the_same() -> None:
    kernels = np.random.default_rng(1).standard_normal((16, 24))
    told, heard = (measure(Kernels(kernels, told=told, stride=4))["first_conv"] for told in (True, False))
    assert told.effect is not None
    assert heard.effect is not None
    assert heard.effect.value == pytest.approx(told.effect.value, abs=1e-3)
    assert heard.figures["centres_hz"] == pytest.approx(told.figures["centres_hz"], abs=1.0)


@pytest.mark.parametrize("variation", [0.25, 1.0])
@pytest.mark.parametrize("gaps", [11, 40])
def test_the_interval_of_the_spacing_covers(variation: float, gaps: int) -> None:
    rng = np.random.default_rng(2)
    inside = []
    for _ in range(300):
        found = probe.spacing(rng.gamma(variation**-2, size=gaps), 0.9)
        inside.append(found.low <= variation - 0.5 <= found.high)
    assert 0.86 <= np.mean(inside) <= 0.94


def test_random_places_are_no_news_to_the_null() -> None:
    p = []
    for seed in range(20):
        places = np.sort(np.random.default_rng(seed).uniform(5, 25, 24))
        centres = np.array([(10.0 ** (each / 21.4) - 1.0) / 4.37e-3 for each in places])
        unit = np.eye(24)
        found = probe._measure("first_conv", unit, centres, 1.0, unit, np.arange(24.0), np.random.default_rng(seed), ())
        assert found.null is not None
        p.append(found.null.p)
    assert 0.3 < np.mean(p) < 0.7


def test_a_deaf_encoder_and_one_of_few_filters_are_insufficient() -> None:
    for kernels in (np.zeros((8, 5)), np.random.default_rng(0).standard_normal((1, 16))):
        found = measure(Kernels(kernels))["first_conv"]
        assert found.effect is None
        assert found.reason
    dead = dataclasses.replace(
        references.bare_decimator(sample_rate=16_000, hop=160),
        site="stack_end",
        transform=lambda samples: np.zeros((len(samples), 1, samples.shape[1] // 160)),
    )
    assert measure(dead)["stack_end"].effect is None


def test_filters_in_one_place_have_no_gaps() -> None:
    same = np.tile(layered_references.short_filters().centres_hz[:1], 8)[:, None] * np.ones((8, 5))
    found = measure(Kernels(same))["first_conv"]
    assert found.effect is None
    assert "no gaps" in (found.reason or "")
