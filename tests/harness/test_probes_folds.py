"""Alias classes on trial: what folding costs, what of it was predictable, and the twins that tell."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from testtone.models import fold_references, references, resolve, tap
from testtone.models.ablation import derivative_at_rest, without_strides
from testtone.models.listening import EncoderFault, Listener
from testtone.probes import alias_lines, degrade_or_mix, unequal_and_predictable
from testtone.probes.hearing import Listen, ear_of, hear
from testtone.probes.readouts import mean
from testtone.probes.records import Effect, Measurement
from testtone.probes.statistics import verdict
from testtone.stimuli import Chain, Stimulus, alias_classes
from testtone.stimuli.multisines import LineSpectrum, Multisine
from testtone.tests.claim import Claim
from testtone.tests.claims.test_degrade_or_mix import CLAIM as DEGRADED
from testtone.tests.claims.test_unequal_and_predictable import CLAIM as UNEQUAL
from testtone.tests.trial import Bench

SEEDS = (0, 1, 2)
SITES = ("stack_end", "latent")
TOLERANCE = 0.05
MEMBERS = alias_lines.MEMBERS

FLOAT32 = 1e-5
"""Relative distance of two ways to the same float32 numbers."""

FLOAT64 = 1e-12

Frames = NDArray[np.float64]


def measure(claim: Claim, encoder: Any, *, seed: int = 0, effort: str = "quick") -> Mapping[str, Measurement]:
    listener = Listener(encoder)
    ear = ear_of(listener, SITES)
    heard = hear(listener, {claim.id: (ear, claim.probe(ear, np.random.default_rng(seed), effort))})[claim.id]
    if heard.error is not None:
        raise heard.error
    assert heard.fault is None, heard.fault
    assert heard.measurements is not None
    return heard.measurements


@cache
def known(claim_id: str, spec: str, seed: int = 0) -> Measurement:
    return measure(CLAIMS[claim_id], resolve(spec), seed=seed)["latent"]


def effect_of(claim: Claim, spec: str, seed: int = 0) -> Effect:
    found = known(claim.id, spec, seed).effect
    assert found is not None
    return found


def part(measurement: Measurement, name: str) -> Effect:
    (found,) = [each.effect for each in measurement.parts if each.name == name]
    assert found is not None
    return found


def verdict_of(claim: Claim, measurement: Measurement) -> str:
    return verdict(measurement.effect, claim.threshold)


CLAIMS = {claim.id: claim for claim in (DEGRADED, UNEQUAL)}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("claim", "control"),
    [(claim, control) for claim in CLAIMS.values() for control in claim.controls],
    ids=lambda each: each.id if isinstance(each, Claim) else each.encoder,
)
def test_controls_come_out_as_expected(claim: Claim, control: Any, seed: int) -> None:
    assert verdict_of(claim, known(claim.id, control.encoder, seed)) == control.expected


# --- degrade or mix -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [1, 128, 230, 243])
def test_strides_cost_what_channels_cannot_count(keep: int) -> None:
    """The first samples of each hop have rank `keep` on an alias class: the sum of R2 over its members is `keep`."""
    found = known(DEGRADED.id, f"polyphase:keep={keep}")
    expected = 1 - min(keep, MEMBERS) / MEMBERS
    assert found.effect is not None
    assert found.effect.value == pytest.approx(expected, abs=0.01)
    assert part(found, "downsampling alone").value == pytest.approx(expected, abs=0.01)
    assert part(found, "nonlinearity alone").value == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("cube", [19.0, 37.0])
def test_a_cube_costs_what_bussgang_says(cube: float) -> None:
    """A Gaussian of variance s^2 through x + c x^3: gain 1 + 3 c s^2, and a remainder of variance 6 c^2 s^6.

    The remainder spreads evenly over all lines below Nyquist, 16 times the hop; the partials sound on 12 times 256.
    """
    found = known(DEGRADED.id, f"cubic-polyphase:cube={cube}")
    bent = cube * alias_lines.DENSE_RMS**2
    ratio = 6 * bent**2 / (1 + 3 * bent) ** 2 * (12 * MEMBERS) / (16 * 320)
    assert found.effect is not None
    assert found.effect.value == pytest.approx(ratio / (1 + ratio), abs=0.01)
    assert part(found, "downsampling alone").value == pytest.approx(0.0, abs=0.01)


def test_what_a_filter_removed_was_not_lost_to_the_stride() -> None:
    """A low-pass leaves one member in 256 of each class, at the full rate as at the frame rate."""
    found = known(DEGRADED.id, "ideal-lowpass-decimator")
    assert verdict_of(DEGRADED, found) == "refuted"
    assert found.figures["r2"]["full rate, linear"] < 0.02


def test_a_code_without_a_derivative_is_not_asked() -> None:
    for spec in ("power-filterbank", "holistic-features"):
        for claim in (DEGRADED, UNEQUAL):
            found = known(claim.id, spec)
            assert found.not_applicable, spec
            assert found.reason is not None
            assert "no derivative" in found.reason


def test_two_tones_of_a_cube_meet_between_their_lines() -> None:
    assert part(known(DEGRADED.id, "polyphase"), "two-tone intermodulation").value == pytest.approx(0.0, abs=1e-6)
    assert part(known(DEGRADED.id, "cubic-polyphase:cube=37"), "two-tone intermodulation").value > 0.01


class Changed:
    """A reference encoder with its code changed."""

    def __init__(self, inner: Any, change: Callable[[Frames], Frames]) -> None:
        self.inner, self.change = inner, change
        self.name, self.sample_rate, self.strides = inner.name, inner.sample_rate, inner.strides
        self.frame_rates, self.margin_seconds = inner.frame_rates, inner.margin_seconds

    def listen(self, waveforms: torch.Tensor) -> dict[str, Any]:
        """Return the changed code, 'batch channels frames'."""
        return {"latent": self.change(self.inner.listen(waveforms)["latent"].astype(np.float64)).astype(np.float32)}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_axes_level_and_rest_do_not_matter(claim: Claim) -> None:
    inner = resolve("graded-decimator")
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.standard_normal((64, 64)))[0]
    plain = known(claim.id, "graded-decimator")
    changed = Changed(inner, lambda code: 5 * np.einsum("ij,bjf->bif", rotation, code)[:, ::-1] + 0.1)
    found = measure(claim, changed)["latent"]
    assert found.effect is not None
    assert plain.effect is not None
    assert found.effect.value == pytest.approx(plain.effect.value, abs=0.01)


class Dead:
    """An encoder that says the same whatever it hears."""

    name, sample_rate = "dead", 24_000

    def listen(self, waveforms: torch.Tensor) -> dict[str, Any]:
        """Return zeros 'batch 4 frames'."""
        return {"latent": np.zeros((len(waveforms), 4, -(-waveforms.shape[1] // 320)), np.float32)}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_an_encoder_that_never_moves_settles_nothing(claim: Claim) -> None:
    found = measure(claim, Dead())["latent"]
    assert verdict_of(claim, found) == "insufficient"
    assert not found.not_applicable
    assert found.reason


@pytest.mark.parametrize(("sample_rate", "hop"), [(16_000, 160), (22_050, 441)])
def test_other_clocks_give_the_same_answers(sample_rate: int, hop: int) -> None:
    lost = measure(DEGRADED, fold_references.naive_bank(sample_rate=sample_rate, hop=hop))["latent"]
    kept = measure(DEGRADED, references.polyphase(sample_rate=sample_rate, hop=hop))["latent"]
    assert verdict_of(DEGRADED, lost) == "supported"
    assert verdict_of(DEGRADED, kept) == "refuted"
    # Fewer members than 256 where the hop is shorter; eight channels, whatever the clock.
    assert part(lost, "downsampling alone").value == pytest.approx(
        lost.figures["r2"]["full rate, linear"] - 8 / min(hop, MEMBERS), abs=0.01
    )


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_where_nothing_folds_the_question_does_not_arise(claim: Claim) -> None:
    found = measure(claim, references.bare_decimator(hop=1))["latent"]
    assert found.not_applicable
    assert found.reason is not None
    assert "nothing folds" in found.reason


def test_a_reader_told_of_other_sounds_finds_nothing() -> None:
    null = known(DEGRADED.id, "polyphase").null
    assert null is not None
    assert null.p == 1 / (1 + degrade_or_mix.DRAWS["quick"])


def keeping(*kept: tuple[int, int]) -> nn.Sequential:
    """Strided convolutions without overlap, each of which hands on the first few of the values it sees."""
    layers: list[nn.Module] = []
    channels = 1
    for stride, keep in kept:
        layer = nn.Conv1d(channels, keep, stride, stride=stride, bias=False)
        nn.init.zeros_(layer.weight)
        for out in range(keep):
            layer.weight.data[out, out % channels, out // channels] = 1.0
        layers.append(layer)
        channels = keep
    return nn.Sequential(*layers)


def test_layers_hold_what_their_channels_can_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that k partials share, heard through c channels, keeps min(c, k) of them, whatever the layers before.

    At 2400 Hz: 2 share a line after the stride of 2, 8 after that of 4, and all 32 of a class at the end.
    """
    monkeypatch.setattr(degrade_or_mix, "FULL_RATE_MEMBERS", 32)
    chain = keeping((2, 2), (4, 4), (4, 8))
    encoder = tap(chain, sample_rate=2_400, latent="2", strides=(2, 4, 4))
    found = measure(DEGRADED, encoder, effort="standard")["latent"]
    heard = {each["name"]: each["r2"] for each in found.figures["layers"]}
    assert list(heard) == ["layer 1", "layer 2", "layer 3", "latent"]
    assert heard["layer 1"] == pytest.approx(1.0, abs=0.01)
    assert heard["layer 2"] == pytest.approx(0.5, abs=0.01)
    assert heard["layer 3"] == pytest.approx(0.25, abs=0.01)
    assert heard["latent"] == pytest.approx(heard["layer 3"], abs=1e-3)
    assert part(found, "from layer 1 on").value == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize("spec", ["encodec-mini", "samplecnn"])
def test_layers_are_those_of_the_encoder(spec: str) -> None:
    """Their rates are those of the chain, and the last one of a codec is its stack end."""
    encoder = resolve(spec)
    listener = Listener(encoder)
    layers = listener.variants["layers"]
    rates = [encoder.sample_rate / math.prod(encoder.strides[:count]) for count in range(1, 1 + len(encoder.strides))]
    assert list(layers.frame_rates.values()) == pytest.approx(rates)
    assert list(listener.layers) == list(layers.sites)
    waves = (0.1 * np.random.default_rng(0).standard_normal((1, encoder.sample_rate))).astype(np.float32)
    heard, whole = layers.listen(waves).values, listener.listen(waves).values
    if spec == "encodec-mini":
        np.testing.assert_array_equal(heard["layer 4"], whole["stack_end"])
    else:
        np.testing.assert_array_equal(heard["layer 1"][..., : whole["first_conv"].shape[2]], whole["first_conv"])


def test_a_black_box_is_not_asked_layer_by_layer() -> None:
    found = measure(DEGRADED, resolve("naive-bank"), effort="standard")["latent"]
    assert found.figures["layers"] == []
    assert not any(each.name.startswith("from layer") for each in found.parts)


def test_a_probe_that_mixes_up_its_sounds_judges_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = alias_lines.dense

    def mixed(*args: Any, **options: Any) -> Any:
        found = plain(*args, **options)
        return type(found)(found.stimuli, found.drawn[::-1], found.power)

    monkeypatch.setattr(alias_lines, "dense", mixed)
    record = Bench(seed=0, effort="quick").record(DEGRADED, "naive-bank", "latent")
    assert record["verdict"] == "invalid"
    assert "polyphase should be refuted and is supported" in record["reason"]


# --- unequal and predictable ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS[:2])
def test_rho_and_r2_are_those_of_the_filters(seed: int) -> None:
    """A linear encoder whose filters are known: v(f) is their response, and R2 of the best reader follows from C."""
    found = known(UNEQUAL.id, "graded-decimator", seed)
    classes = alias_classes.draw_classes(
        np.random.default_rng(seed), chain=Chain(24_000, (320,)), classes=12, members=MEMBERS
    )
    kernels = fold_references.graded_kernels(sample_rate=24_000, bands=64, taps=129, seed=0)
    expected = {}
    for hz in classes.hz:
        responses = np.exp(2j * np.pi * np.outer(hz, np.arange(129)) / 24_000) @ kernels.T
        # As real sounds have it, a mirrored member turns backwards.
        turned = np.where((hz % 75 > 37.5)[:, None], responses.conj(), responses)
        covariance = turned.T @ turned.conj()
        r2 = np.einsum("kc,kc->k", turned.conj(), np.linalg.solve(covariance, turned.T).T).real
        assert r2.sum() == pytest.approx(64.0, abs=1e-3)
        expected |= {round(float(each), 6): float(value) for each, value in zip(hz, r2, strict=True)}
    points = [each for each in found.figures["points"] if each["family"] == "flat"]
    assert len(points) > 100
    rho, r2, truth = np.array([(each["rho"], each["r2"], expected[round(each["hz"], 6)]) for each in points]).T
    assert np.abs(rho - truth).max() < 1e-3
    assert np.abs(r2 - truth).mean() < TOLERANCE
    assert np.mean(r2 - truth) == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("spec", ["graded-decimator", "polyphase", "polyphase:keep=128", "naive-bank"])
def test_nobody_spends_more_than_the_budget(spec: str) -> None:
    """By counting, a class has no more than the channels, whatever the signal."""
    figures = known(UNEQUAL.id, spec).figures
    room = min(figures["channels"], figures["members"])
    assert all(total <= room * (1 + 1e-6) for total in figures["sum_of_rho"].values())
    assert all(total <= room * 1.02 for total in figures["sum_of_r2"].values())


def test_a_box_before_its_stride_has_the_cascade_of_dirichlet() -> None:
    """A box of s taps, a stride of s: |H|^2 sums to s^2 over the images, and Q = (sin(s w / 2) / (s sin(w / 2)))^2."""
    hz = np.linspace(100.0, 11_900.0, 40)
    turn = np.pi * hz / 24_000
    found = alias_lines.cascade([np.ones((1, 1, 8))], [8], hz, 24_000)
    assert found == pytest.approx((np.sin(8 * turn) / (8 * np.sin(turn))) ** 2, abs=1e-12)
    assert alias_lines.cascade([np.ones((3, 1, 1))], [320], hz, 24_000) == pytest.approx(1 / 320)


def test_the_cascade_of_all_images_is_one() -> None:
    """Shares of shares: over the 40 images of a line the product sums to 1, whatever the kernels."""
    rng = np.random.default_rng(0)
    kernels = [rng.standard_normal((6, 1, 4)), rng.standard_normal((9, 6, 8)), rng.standard_normal((2, 9, 10))]
    images = 13.7 + 24_000 / 40 * np.arange(40)
    assert alias_lines.cascade(kernels, (2, 4, 5), images, 24_000).sum() == pytest.approx(1.0, abs=1e-12)


def test_a_cascade_of_one_stride_is_the_gain() -> None:
    """Behind one stride the members of a class share one sum: Q ranks them as their gains do."""
    found = known(UNEQUAL.id, "graded-decimator")
    gain = part(found, "baseline: gain").value
    assert part(found, "baseline: naive cascade").value == pytest.approx(gain, abs=1e-6)
    assert found.figures["predictors"]["naive cascade"] == pytest.approx(gain, abs=1e-6)
    assert found.figures["predictors"]["rho"] == effect_of(UNEQUAL, "graded-decimator").value


def test_a_cascade_needs_the_kernels() -> None:
    (found,) = [each for each in known(UNEQUAL.id, "drifting-decimator").parts if "cascade" in each.name]
    assert found.effect is None
    assert "strided_kernels" in found.note


def test_kernels_are_those_that_stride() -> None:
    """The gain of the first stride is that of the layer itself, up to a factor."""
    listener = Listener(resolve("samplecnn"))
    kernels = listener.strided_kernels
    assert kernels is not None
    assert [each.shape[2] for each in kernels] == [3, 5, 5, 5, 5, 5]
    shapes = [each.shape for each in Listener(resolve("encodec-mini")).strided_kernels or ()]
    assert shapes == [(16, 8, 4), (32, 16, 8), (64, 32, 10), (128, 64, 16)]


def test_kernels_must_be_as_many_as_strides() -> None:
    encoder = resolve("graded-decimator")
    encoder = replace(encoder, strided_kernels=(np.ones((1, 3)),))
    with pytest.raises(EncoderFault, match=r"strided_kernels has shapes \[\(1, 3\)\]; it must be 'out in taps'"):
        ear_of(Listener(encoder), SITES)


def test_answers_of_other_members_predict_nothing() -> None:
    for spec in ("graded-decimator", "polyphase:keep=128"):
        found = known(UNEQUAL.id, spec)
        assert part(found, "rho with shuffled answers").value == pytest.approx(0.0, abs=TOLERANCE)
        assert part(found, "rho against received power").low > 0.3


def test_prediction_fades_as_soft_sounds_tell_less() -> None:
    drifts = ["graded-decimator", *(f"drifting-decimator:drift={drift}" for drift in (0.4, 1.0))]
    values = [effect_of(UNEQUAL, spec).value for spec in drifts]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.7
    assert abs(values[-1]) < 0.1
    assert effect_of(UNEQUAL, "drifting-decimator:drift=0.0").value == pytest.approx(values[0], abs=1e-3)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("polyphase", "nothing is unequal"),
        ("bare-decimator", "nothing is unequal"),
        ("ideal-lowpass-decimator", "not told from noise"),
    ],
)
def test_where_nothing_can_be_predicted_nothing_is_refuted(spec: str, why: str) -> None:
    found = known(UNEQUAL.id, spec)
    assert verdict_of(UNEQUAL, found) == "insufficient"
    assert not found.not_applicable
    assert found.reason is not None
    assert why in found.reason


@pytest.mark.parametrize(
    ("strides", "lowest_hz", "highest_hz"), [((2, 4, 5, 8), 150.0, 400.0), ((2, 4, 5, 2), 600.0, 1500.0)]
)
def test_a_dense_note_has_harmonics_that_the_frames_can_follow(
    strides: tuple[int, ...], lowest_hz: float, highest_hz: float
) -> None:
    """A voice at 75 frames/s; where a class lies wider (300 frames/s), two to five times the frame rate."""
    chain = Chain(24_000, strides)
    hz = np.tile(np.arange(100.0, 12_000.0), (20, 1))
    power = alias_classes.FAMILIES["harmonic"](hz, np.random.default_rng(0), chain)
    for row in power:
        peaks = hz[0, 1:-1][(row[1:-1] > row[:-2]) & (row[1:-1] >= row[2:])]
        apart = np.median(np.diff(peaks))
        assert lowest_hz - 1 <= apart <= highest_hz + 1
        assert np.abs(peaks / apart - np.round(peaks / apart)).max() < 0.2
        # Half way between two harmonics: 20 dB less than at them.
        half_way = np.interp(peaks[5] + apart / 2, hz[0], 10 * np.log10(row))
        assert half_way == pytest.approx(10 * np.log10(row[hz[0] == peaks[5]][0]) - 20, abs=1.5)


@pytest.mark.parametrize(("share", "linear"), [(0.0, True), (0.0098, True), (0.0102, False), (0.5, False)])
@pytest.mark.parametrize("what", ["twice", "together", "inverted"])
def test_a_code_is_linear_at_rest_if_all_that_it_misses_is_20_db_down(what: str, share: float, linear: bool) -> None:
    """Answers to one sound, twice it, it upside down and two sounds at once; one of them misses by a share of power."""
    rng = np.random.default_rng(0)
    soft = complex_normal(rng, 4, 3, 5)
    right = {"inverted": -soft, "twice": 2 * soft, "together": soft + np.roll(soft, -1, axis=0)}
    # The odd part of an answer with an even part of power p is as it was: the two differ by both halves.
    odd, even = soft, math.sqrt(share) * soft
    wrong = dict(right)
    if what == "inverted":
        wrong = {"inverted": -odd + even, "twice": 2 * (odd + even), "together": None}
        wrong["together"] = (odd + even) + np.roll(odd + even, -1, axis=0)
        soft = odd + even
    else:
        wrong[what] = right[what] * (1 + math.sqrt(share))
    found = alias_lines.Derivative.of(soft, **wrong)
    assert found.missed == pytest.approx(share, rel=1e-9, abs=1e-25)
    assert found.exists == linear


@pytest.mark.parametrize("even", [0.0, 3.0], ids=["odd", "odd and even"])
def test_responses_are_what_each_member_adds(even: float) -> None:
    """A code that multiplies by known numbers, and adds what does not turn with the sound, gives back the numbers."""
    rng = np.random.default_rng(1)
    members = [np.array([0, 2]), np.array([1, 2])]
    drawn = [complex_normal(rng, 2) for _ in members]
    truth = complex_normal(rng, 2, 2, 5)
    # 'clips channels classes': clip k holds the k-th chosen member of every class.
    answers = np.stack([truth[index] * drawn[index][:, None] for index in range(2)], axis=-1)
    alone: Any = SimpleNamespace(members=np.array(members), drawn=drawn)
    found = alias_lines.responses(alone, answers + even, even - answers if even else None)
    assert found.shape == (2, 3, 5)
    for index in range(2):
        np.testing.assert_allclose(found[index, members[index]], truth[index], rtol=1e-12)
        assert np.isnan(np.delete(found[index], members[index], axis=0)).all()


@pytest.mark.parametrize(("effect", "p"), [(-0.5, 1.0), (0.0, 0.5), (0.5, 0.01)])
def test_the_null_deals_answers_to_other_members(effect: float, p: float) -> None:
    """Of 99 deals about half reach a correlation of 0, all reach one far below it, none one far above."""
    rng = np.random.default_rng(0)
    hz, rho, r2, power = rng.random((4, 8, 12))
    family: Any = SimpleNamespace(rho=rho, r2=r2, power=power)
    play: Any = SimpleNamespace(effort="quick")
    reached: Any = SimpleNamespace(value=effect)
    null = unequal_and_predictable._Play._null(play, [family], hz, reached, rng)
    assert null.draws == 99
    assert null.p == pytest.approx(p, abs=0.15 if effect == 0.0 else 1e-9)


def test_a_prediction_from_mixed_up_answers_judges_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, rng = alias_lines.responses, np.random.default_rng(0)
    monkeypatch.setattr(alias_lines, "responses", lambda *args: rng.permuted(plain(*args), axis=1))
    record = Bench(seed=0, effort="quick").record(UNEQUAL, "drifting-decimator", "latent")
    assert record["verdict"] == "invalid"
    assert "graded-decimator should be supported" in record["reason"]


def test_weights_of_another_encoder_predict_what_they_have_in_common() -> None:
    """Its own predict as well as before; those of one whose soft answers belong to other frequencies, nothing."""
    own = known(UNEQUAL.id, "graded-decimator")
    itself = UNEQUAL.compare(own, [own])
    name = "baseline: another seed's weights"
    assert part(itself, name).value == pytest.approx(effect_of(UNEQUAL, "graded-decimator").value)
    assert abs(part(UNEQUAL.compare(own, [known(UNEQUAL.id, "drifting-decimator")]), name).value) < 0.1
    alone = UNEQUAL.compare(own, [])
    assert name not in [each.name for each in alone.parts]
    for each in (itself, alone):
        json.dumps(dict(each.figures))


def test_partial_correlation_does_not_reward_what_is_given() -> None:
    rng = np.random.default_rng(0)
    power = np.exp(rng.standard_normal((1, 400)))
    noisy = power * np.exp(0.3 * rng.standard_normal((1, 400)))
    assert abs(unequal_and_predictable._partials(noisy, power**2 + 0 * noisy, (power,))[0]) != 1.0
    assert np.isnan(unequal_and_predictable._partials(power**2, noisy, (power,))[0])
    other = power * np.exp(0.3 * rng.standard_normal((1, 400)))
    assert abs(unequal_and_predictable._partials(noisy, other, (power,))[0]) < 0.15


# --- readers --------------------------------------------------------------------------------------------------------


def complex_normal(rng: np.random.Generator, *shape: int) -> NDArray[np.complex128]:
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / math.sqrt(2)


@pytest.mark.parametrize(("channels", "members"), [(4, 40), (30, 40), (60, 40), (30, 8)])
def test_adjusted_r2_is_that_of_the_best_reader(channels: int, members: int) -> None:
    """Drawn from a linear model, where the best reader is known from the covariances."""
    rng = np.random.default_rng(0)
    responses = complex_normal(rng, members, channels) * 10 ** (rng.standard_normal((members, 1)) / 2)
    power, noise = rng.uniform(0.2, 2.0, members), 0.5
    covariance = (responses.T * power) @ responses.conj() + noise * np.eye(channels)
    expected = np.einsum("kc,kc->k", responses.conj(), np.linalg.solve(covariance, responses.T).T).real * power
    assert alias_lines.best_r2(responses, power, noise) == pytest.approx(expected, abs=1e-9)
    assert expected.sum() <= min(channels, members)
    found = []
    for _ in range(40):
        drawn = complex_normal(rng, 100, members) * np.sqrt(power)
        heard = drawn @ responses + math.sqrt(noise) * complex_normal(rng, 100, channels)
        found.append(alias_lines.Components.of(heard).r2(drawn))
    assert np.mean(found) == pytest.approx(expected.mean(), abs=0.01)


# --- twins ----------------------------------------------------------------------------------------------------------


def noise(samples: int) -> torch.Tensor:
    return torch.from_numpy((0.1 * np.random.default_rng(0).standard_normal((1, samples))).astype(np.float32))


@pytest.mark.parametrize("spec", ["encodec-mini", "encodec-mini-gain"])
def test_every_hop_th_frame_of_the_full_rate_is_a_frame(spec: str) -> None:
    encoder = resolve(spec)
    heard, plain = encoder.ablated(full_rate=True, linear=False).listen(noise(6400)), encoder.listen(noise(6400))
    assert set(heard) == {"stack_end", "latent"}
    for site, values in heard.items():
        assert values.shape[-1] == 6400
        assert float((values[..., ::320] - plain[site]).norm() / plain[site].norm()) < FLOAT32, site


def chain() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv1d(1, 6, 5, stride=2, padding=2),
        nn.ELU(),
        nn.Sequential(nn.Conv1d(6, 8, 3, padding=1), nn.MaxPool1d(3), nn.ReLU()),
        nn.Conv1d(8, 10, 4, stride=4, padding=1, dilation=2),
        nn.Tanh(),
        nn.AvgPool1d(2),
    )


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, FLOAT32), (torch.float64, FLOAT64)])
def test_spread_layers_read_what_strided_ones_read(dtype: torch.dtype, limit: float) -> None:
    layers, hop = chain().to(dtype).eval(), 2 * 3 * 4 * 2
    values = noise(40 * hop)[:, None].to(dtype)
    with torch.no_grad():
        _, full, spread = without_strides(layers, values, keep={})
        plain = layers(values)
    assert spread == hop
    frames = plain.shape[-1]
    assert float((full[..., ::hop][..., :frames] - plain).norm() / plain.norm()) < limit


def test_a_derivative_is_linear_and_that_of_soft_sounds() -> None:
    encoder = resolve("encodec-mini")
    linear = encoder.ablated(full_rate=False, linear=True)
    one, other = noise(4800), torch.flip(noise(4800), [1])
    whole = linear.listen(2 * one + other)
    parts = {site: 2 * values + linear.listen(other)[site] for site, values in linear.listen(one).items()}
    soft = {site: values - encoder.listen(-1e-3 * one)[site] for site, values in encoder.listen(1e-3 * one).items()}
    for site in SITES:
        assert float((whole[site] - parts[site]).norm() / whole[site].norm()) < FLOAT32
        heard = linear.listen(one)[site]
        assert float((soft[site] / 2e-3 - heard).norm() / heard.norm()) < 1e-3


def test_a_full_rate_twin_answers_a_lone_partial_as_the_code_does() -> None:
    """The theorem by which the twin is heard from outside, checked on the twin itself."""
    encoder = resolve("encodec-mini")
    hz, hop, rate = 75 * 13 + 14.0625, 320, 75.0
    clip = Stimulus((Multisine(LineSpectrum(rate / 32, (13 * 32 + 6,), (1e-3,)), seed=1, sized=False),), 1.6).render(
        24_000
    )
    twin = encoder.ablated(full_rate=True, linear=True).listen(torch.from_numpy(clip[None]))["stack_end"][0].numpy()
    code = encoder.listen(torch.from_numpy(clip[None]))["stack_end"][0].numpy()
    code = code - encoder.listen(torch.zeros(1, len(clip)))["stack_end"][0].numpy()
    time = np.arange(32 * hop) / 24_000
    # One period, from frame 60 on.
    own = twin[:, 60 * hop : 92 * hop].astype(complex) @ np.exp(-2j * np.pi * hz * time) * 2 / (32 * hop)
    aliased = code[:, 60:92].astype(complex) @ np.exp(-2j * np.pi * hz * time[::hop]) * 2 / 32
    assert np.linalg.norm(own - aliased) / np.linalg.norm(own) < 1e-3


def test_a_chain_of_layers_is_spread_and_linearised_by_tap() -> None:
    encoder = tap(chain(), sample_rate=4800, latent="5")
    for full_rate, linear in ((True, False), (False, True), (True, True)):
        twin = encoder.ablated(full_rate=full_rate, linear=linear)
        assert twin is not None
        heard = twin.listen(noise(4800))["latent"]
        assert heard.shape[-1] >= (4800 if full_rate else 99)
    assert tap(nn.Sequential(nn.Conv1d(1, 2, 3), nn.GroupNorm(1, 2)), sample_rate=4800, latent="1").ablated(
        full_rate=True, linear=False
    )


def test_a_network_of_maxima_is_judged_by_the_variant_that_it_offers() -> None:
    encoder = tap(chain(), sample_rate=4800, latent="5", frame_rates={"latent": 100.0})
    found = measure(DEGRADED, encoder)["latent"]
    assert found.figures["twin"] == "linear variant"
    assert verdict_of(DEGRADED, found) == "supported"
    # Ten channels for the 48 members of a class.
    assert part(found, "downsampling alone").value == pytest.approx(1 - 10 / 48, abs=0.03)


def test_samplecnn_has_a_linear_variant_and_none_at_the_full_rate() -> None:
    encoder = resolve("samplecnn-default")
    assert encoder.ablated(full_rate=True, linear=False) is None
    linear = encoder.ablated(full_rate=False, linear=True)
    one, other, silence = 0.1 * noise(59_049), torch.flip(0.1 * noise(59_049), [1]), torch.zeros(1, 59_049)
    rest = linear.listen(silence)
    for site in SITES:
        moved = [linear.listen(each)[site] - rest[site] for each in (one, other, one + other)]
        assert float((moved[0] + moved[1] - moved[2]).norm() / moved[2].norm()) < 1e-3
        assert float(moved[2].norm()) > 0


def test_a_variant_has_its_own_rate_and_silence() -> None:
    encoder = resolve("encodec-mini")
    listener = Listener(encoder)
    ear = ear_of(listener, SITES)
    assert ear.variants == ("linear", "full_rate", "full_rate_linear")
    clip = Stimulus((Multisine(LineSpectrum(60.0, (51,), (0.05,)), seed=0),), ear.seconds(40))

    def probe() -> Any:
        plain, linear = yield [Listen((clip,), mean), Listen((clip,), mean, ("latent",), "linear")]
        assert set(linear) == {"latent"}
        return {"plain": plain["latent"], "linear": linear["latent"]}

    heard = hear(listener, {"it": (ear, probe())})["it"]
    assert heard.error is None
    assert heard.measurements is not None
    # The mean of a linear answer to a tone is nothing; that of the code is what its nonlinearity makes of it.
    assert np.linalg.norm(heard.measurements["linear"]) < 0.2 * np.linalg.norm(heard.measurements["plain"])


# --- stimuli --------------------------------------------------------------------------------------------------------


def test_members_of_a_class_fold_onto_its_line() -> None:
    chain = Chain(24_000, (2, 4, 5, 8))
    classes = alias_classes.draw_classes(np.random.default_rng(0), chain=chain, classes=12, members=256)
    assert classes.harmonics.shape == (12, 256)
    for line, hz in zip(classes.lines, classes.hz, strict=True):
        assert [chain.alias(each) for each in hz] == pytest.approx([line * 75 / 32] * 256, abs=1e-6)
        assert all(chain.clearance(each) >= 4.0 for each in hz)


def test_a_dense_sound_holds_what_was_drawn_for_it() -> None:
    chain = Chain(24_000, (320,))
    classes = alias_classes.draw_classes(np.random.default_rng(0), chain=chain, classes=12, members=256)
    sounds = alias_classes.dense(np.random.default_rng(1), classes, family="harmonic", tokens=2, seconds=1.0, rms=0.1)
    wave = sounds.stimuli[0].render(24_000)[4000 : 4000 + 32 * 320].astype(np.float64)
    lines = np.fft.rfft(wave) * 2 / len(wave)
    turned = lines[classes.harmonics] * np.exp(-2j * np.pi * classes.harmonics * 4000 / len(wave))
    drawn = np.where(classes.mirrored, sounds.drawn[0].conj(), sounds.drawn[0])
    assert np.abs(turned - drawn).max() < 1e-6
    assert np.sqrt(np.mean(wave**2)) == pytest.approx(0.1, rel=0.15)
    silent = np.delete(np.abs(lines), classes.harmonics.ravel())
    assert silent.max() < 1e-6


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LineSpectrum(0.0, (1,), (1.0,)), "fundamental_hz=0.0 must be positive"),
        (lambda: LineSpectrum(1.0, (1, 2), (1.0,)), "2 harmonics and 1 amplitudes"),
        (lambda: LineSpectrum(1.0, (1, 1), (1.0, 1.0)), "different whole numbers"),
        (lambda: Multisine(LineSpectrum(7.0, (1,), (0.1,)), 0).waveform(10, sample_rate=24_000), "whole number"),
        (lambda: Multisine(LineSpectrum(75.0, (160,), (0.1,)), 0).waveform(10, sample_rate=24_000), "Nyquist"),
    ],
    ids=["fundamental", "counts", "twice", "period", "nyquist"],
)
def test_what_a_multisine_cannot_be(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_multisine_survives_its_truth() -> None:
    clip = Stimulus((Multisine(LineSpectrum(75.0, (3, 7), (0.1, 0.2)), seed=5, gain=-0.5),), 0.2)
    again = Stimulus.from_truth(clip.truth())
    assert again.sha256 == clip.sha256
    assert (again.render(24_000) == clip.render(24_000)).all()


def test_a_derivative_of_a_square_is_zero() -> None:
    square = derivative_at_rest(lambda samples: {"latent": samples[:, None] ** 2})
    assert float(square(noise(100))["latent"].abs().max()) == 0.0
