"""Known answers: what the probes must find on encoders that are understood, and what must not move them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from testtone.models import references, resolve
from testtone.models.listening import Listener
from testtone.models.references import ReferenceEncoder
from testtone.probes import alias_collapse, holistic_texture, pitch_direction
from testtone.probes.hearing import ear_of, hear
from testtone.probes.readouts import AliasLines
from testtone.probes.records import Effect, Measurement
from testtone.probes.statistics import verdict
from testtone.stimuli import Chain, designs
from testtone.tests.claim import Claim
from testtone.tests.claims.test_alias_collapse import CLAIM as ALIAS
from testtone.tests.claims.test_holistic_texture import CLAIM as HOLISM
from testtone.tests.claims.test_pitch_direction import CLAIM as PITCH
from testtone.tests.trial import Bench

CLAIMS = {claim.id: claim for claim in (ALIAS, HOLISM, PITCH)}
SEEDS = (0, 1, 2)
SITES = ("first_conv", "stack_end", "latent", "quantised")
LINEAR = ("linear-stft", "polyphase", "bare-decimator")

EXACT = 1e-4
"""Where the answer follows from arithmetic and only float32 frames stand between."""

ROTATED = 1e-6
"""What an orthogonal map, or a gain, may change an effect by: the rounding of its output to float32."""

Frames = NDArray[np.float64]


def measure(claim: Claim, encoder: Any, *, seed: int = 0) -> Mapping[str, Measurement]:
    """The measurements of a claim's probe on an encoder, by site, at quick effort."""
    listener = Listener(encoder)
    ear = ear_of(listener, SITES)
    heard = hear(listener, {claim.id: (ear, claim.probe(ear, np.random.default_rng(seed), "quick"))})[claim.id]
    if heard.error is not None:
        raise heard.error
    assert heard.fault is None, heard.fault
    assert heard.measurements is not None
    return heard.measurements


@cache
def known(claim_id: str, spec: str, seed: int = 0) -> Measurement:
    """The measurement on a reference encoder, made once."""
    return measure(CLAIMS[claim_id], resolve(spec), seed=seed)["latent"]


def effect_of(claim: Claim, spec: str, seed: int = 0) -> Effect:
    found = known(claim.id, spec, seed).effect
    assert found is not None
    return found


def part(measurement: Measurement, start: str) -> Effect:
    (found,) = [each.effect for each in measurement.parts if each.name.startswith(start)]
    assert found is not None
    return found


def verdict_of(claim: Claim, measurement: Measurement) -> str:
    return verdict(measurement.effect, claim.threshold)


# --- controls -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("claim", "control"),
    [(claim, control) for claim in CLAIMS.values() for control in claim.controls],
    ids=lambda each: each.id if isinstance(each, Claim) else each.encoder,
)
def test_controls_come_out_as_expected(claim: Claim, control: Any, seed: int) -> None:
    assert verdict_of(claim, known(claim.id, control.encoder, seed)) == control.expected


# --- pitch direction ------------------------------------------------------------------------------------------------


def test_a_pitch_is_one_direction_in_a_filterbank_and_none_in_a_texture() -> None:
    assert effect_of(PITCH, "power-filterbank").value == pytest.approx(1.0, abs=0.01)
    assert effect_of(PITCH, "holistic-features").value == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("spec", LINEAR)
def test_frozen_waveforms_add_one_direction_to_every_linear_code(spec: str) -> None:
    assert part(known(PITCH.id, spec), "frozen").value == pytest.approx(1.0, abs=EXACT)


def test_a_frozen_waveform_beats_with_its_company_in_a_filterbank() -> None:
    """Power has cross terms: frame by frame a pitch adds them too, and they differ from context to context."""
    frozen = part(known(PITCH.id, "power-filterbank"), "frozen").value
    assert 0.85 < frozen < 0.97
    assert frozen < effect_of(PITCH, "power-filterbank").value - 0.03


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("spec", LINEAR[1:])
def test_a_linear_code_has_no_direction_once_phases_rove(spec: str, seed: int) -> None:
    """Its mean over frames is next to nothing: never supported, whatever the frozen reading says."""
    found = known(PITCH.id, spec, seed)
    assert verdict_of(PITCH, found) in ("refuted", "inconclusive")
    assert effect_of(PITCH, spec, seed).value < 0.3


def test_a_filterbank_knows_a_pitch_in_every_timbre_but_timbres_apart() -> None:
    found = known(PITCH.id, "power-filterbank")
    for name in ("sine", "additive", "FluidSynth"):
        assert part(found, f"timbre: {name}").value == pytest.approx(1.0, abs=0.01)
    # Harmonics are shared in part, with weights of their own.
    assert 0.3 < part(found, "from timbre A to timbre B").value < 0.95


def test_labels_permuted_are_no_match_for_labels() -> None:
    draws = pitch_direction.DRAWS["quick"]
    null = known(PITCH.id, "power-filterbank").null
    assert null is not None
    assert null.p == 1 / (1 + draws)


@pytest.mark.parametrize("frozen", [False, True], ids=["roved", "frozen"])
def test_pitches_are_compared_within_a_timbre_and_between_contexts(frozen: bool) -> None:
    """Whatever is added moves a code along its timbre, and half as far along its context: cosines are 1 / (1 + 1/4)."""
    design = designs.pitches_in_contexts(
        np.random.default_rng(0),
        pitches=6, contexts=6, tokens=2, crossed=True, seconds=0.5, frame_rate=75.0, harmonics_below_hz=8000.0,
    )  # fmt: skip
    timbres = sorted({column.timbre for column in design.columns})
    moved = np.zeros((len(design.columns), len(timbres) + 6))
    for row, column in zip(moved, design.columns, strict=True):
        row[timbres.index(column.timbre)], row[len(timbres) + column.context] = 1.0, 0.5
    increments = np.broadcast_to(moved[None, :, None], (len(design.midi), len(moved), 2, moved.shape[1]))
    found = pitch_direction.Stability(design, increments, frozen=frozen)
    assert found.different() == pytest.approx(0.8)
    assert found.distributions()["same"] == pytest.approx(np.full(11, 0.8))
    assert found.effect(np.ones(found.shape, dtype=bool)) == pytest.approx(0.0, abs=1e-12)


# --- holism ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["power-filterbank", *LINEAR])
def test_a_sum_of_parts_has_no_texture(spec: str) -> None:
    found = effect_of(HOLISM, spec)
    assert abs(found.value) < EXACT
    assert found.high < EXACT


def test_a_random_function_of_the_whole_is_all_texture() -> None:
    assert effect_of(HOLISM, "holistic-features").value == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(("spec", "decides"), [("power-filterbank", "roved"), ("linear-stft", "frozen")])
def test_means_decide_where_they_hold_anything(spec: str, decides: str) -> None:
    found = known(HOLISM.id, spec)
    assert decides in effect_of(HOLISM, spec).name
    roved = next(each for each in found.parts if each.name.startswith("phase-roved"))
    assert (roved.effect is not None) == (decides == "roved")


# --- alias collapse -------------------------------------------------------------------------------------------------


def test_one_channel_cannot_tell_aliases_apart_and_all_samples_can() -> None:
    assert effect_of(ALIAS, "bare-decimator").value > 0.99
    for spec in ("polyphase", "linear-stft"):
        assert effect_of(ALIAS, spec).value == pytest.approx(0.0, abs=0.05)


def test_a_filterbank_tells_aliases_apart_by_its_mean() -> None:
    found = effect_of(ALIAS, "power-filterbank")
    assert abs(found.value) < 0.1
    assert found.high < ALIAS.threshold.refuted_below


@pytest.mark.parametrize("seed", SEEDS[:2])
def test_what_a_mean_tells_counts_alike_for_aliases_and_controls(seed: int) -> None:
    """Wide bands hear both tones of a pair in one and the same mean, and so one and the same noise.

    Counted as two noises in the controls alone it would make them the harder pairs: theta would be about -.1 to -.16.
    """
    bank = references.power_filterbank(bandwidth=4.0, window_seconds=0.02)
    amplitudes = replace(bank, name="amplitudes", transform=lambda samples: np.sqrt(bank.transform(samples)))
    effect = measure(ALIAS, amplitudes, seed=seed)["latent"].effect
    assert effect is not None
    assert abs(effect.value) < 0.06


@pytest.mark.parametrize("spec", ["bare-decimator", "polyphase"])
def test_every_kind_of_pair_says_the_same(spec: str) -> None:
    expected = 1.0 if spec == "bare-decimator" else 0.0
    for kind in ("pairs: translation", "pairs: mirror", "pairs: fold at 37.5 Hz"):
        assert part(known(ALIAS.id, spec), kind).value == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("seed", SEEDS[:2])
def test_what_is_filtered_away_is_not_collapsed(seed: int) -> None:
    """A low-pass before the decimation leaves nothing to alias: the probe abstains, and says why."""
    found = known(ALIAS.id, "ideal-lowpass-decimator", seed)
    assert verdict_of(ALIAS, found) == "insufficient"
    assert found.reason is not None
    assert "cannot be told apart" in found.reason


class Dull:
    """All samples of each hop, of a sound from which everything above a cutoff is cut away."""

    name, sample_rate, strides = "dull", 24_000, (320,)
    frame_rates, margin_seconds = {"latent": 75.0}, {"latent": 0.05}
    cutoff_hz = 3000.0

    def listen(self, waveforms: torch.Tensor) -> dict[str, Any]:
        """Return 'batch 320 frames'."""
        samples = waveforms.shape[1]
        spectrum = np.fft.rfft(np.asarray(waveforms, dtype=np.float64))
        spectrum[:, np.fft.rfftfreq(samples, 1 / self.sample_rate) > self.cutoff_hz] = 0
        return references.polyphase().listen(np.fft.irfft(spectrum, samples))


def test_a_pair_with_a_tone_that_is_cut_away_has_no_say() -> None:
    drawn = designs.alias_sets(
        np.random.default_rng(0), sets=alias_collapse.SIZES["quick"]["sets"], chain=Chain(24_000, (320,))
    )
    highest = [max(*pair.alias_hz, *pair.control_hz) for each in drawn for pair in each.values()]
    cut = np.mean([hz > Dull.cutoff_hz for hz in highest])
    found = measure(ALIAS, Dull())["latent"]
    assert 0.2 < cut < 0.8
    assert found.figures["attenuated"] == pytest.approx(cut)
    # What is left is as well told apart as by the samples themselves.
    assert found.effect is not None
    assert found.effect.value == pytest.approx(0.0, abs=0.1)


def test_alias_and_control_can_be_exchanged_where_neither_collapses() -> None:
    collapsed, whole = (known(ALIAS.id, spec).null for spec in ("bare-decimator", "polyphase"))
    assert collapsed is not None
    assert whole is not None
    assert collapsed.p == 1 / (1 + alias_collapse.DRAWS)
    assert whole.p > 0.05


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_members_of_a_class_span_as_many_directions_as_they_were_given(rank: int) -> None:
    """However strongly each is attenuated, and whatever its phase; a class that is not heard spans none."""
    rng = np.random.default_rng(rank)
    directions = np.linalg.qr(rng.standard_normal((16, rank)))[0].T
    members = (
        10 ** rng.uniform(-3, 0, (8, 1)) * np.exp(2j * np.pi * rng.random((8, 1))) * directions[np.arange(8) % rank]
    )
    heard = np.stack([members, members + 1e-5 * np.abs(members) * rng.standard_normal((8, 16)), 0 * members], axis=-1)
    assert alias_collapse.class_ranks(heard).tolist() == [rank, rank, 0]


# --- what must not matter -------------------------------------------------------------------------------------------


class Variants:
    """A reference encoder that offers its code at several sites, each changed in its own way."""

    def __init__(self, inner: ReferenceEncoder, **sites: Callable[[Frames], Frames]) -> None:
        self.inner, self.sites = inner, sites
        self.name, self.sample_rate, self.strides = inner.name, inner.sample_rate, inner.strides
        self.frame_rates = dict.fromkeys(sites, inner.frame_rates["latent"])
        self.margin_seconds = dict.fromkeys(sites, inner.margin)

    def listen(self, waveforms: torch.Tensor) -> dict[str, Any]:
        """Return the inner code 'batch channels frames' as each site has it, float32."""
        code = self.inner.listen(waveforms)["latent"].astype(np.float64)
        return {site: change(code).astype(np.float32) for site, change in self.sites.items()}


@pytest.mark.parametrize(
    ("claim", "spec"),
    [
        (PITCH, "power-filterbank"),
        (HOLISM, "power-filterbank"),
        (HOLISM, "holistic-features"),
        (HOLISM, "polyphase:keep=24"),
        (ALIAS, "polyphase:keep=24"),
        (ALIAS, "power-filterbank"),
    ],
    ids=lambda each: each.id if isinstance(each, Claim) else each,
)
def test_axes_level_and_rest_do_not_matter(claim: Claim, spec: str) -> None:
    """Channels permuted and 6 dB louder; rotated; with a constant added, which silence has as well."""
    inner = resolve(spec)
    rng = np.random.default_rng(0)
    noise = inner.listen(0.05 * rng.standard_normal((1, 12_000)))["latent"][0].astype(np.float64)
    channels, size = len(noise), noise.std()
    order = rng.permutation(channels)
    rotation = np.linalg.qr(rng.standard_normal((channels, channels)))[0]
    rest = size * rng.standard_normal((channels, 1))
    found = measure(
        claim,
        Variants(
            inner,
            first_conv=lambda code: code,
            stack_end=lambda code: np.einsum("ij,bjf->bif", rotation, code),
            latent=lambda code: 2 * code[:, order],
            quantised=lambda code: code + rest,
        ),
    )
    plain, rotated, louder, moved = ([*ends(found[site].effect)] for site in SITES)
    assert rotated == pytest.approx(plain, abs=ROTATED)
    assert louder == pytest.approx(plain, abs=ROTATED)
    # The constant takes digits of float32 from whatever is smaller than it.
    assert moved == pytest.approx(plain, abs=2e-3)


def ends(effect: Effect | None) -> tuple[float, float, float]:
    assert effect is not None
    return effect.value, effect.low, effect.high


def test_the_same_seed_finds_the_same_and_another_seed_another() -> None:
    again = measure(ALIAS, resolve("polyphase"))["latent"]
    first = known(ALIAS.id, "polyphase")
    assert (again.effect, again.parts, again.null) == (first.effect, first.parts, first.null)
    assert known(ALIAS.id, "polyphase", 1).effect != first.effect


# --- strange encoders -----------------------------------------------------------------------------------------------


class Dead:
    """An encoder that says the same whatever it hears: nothing declared, all to be found out."""

    name, sample_rate = "dead", 24_000

    def __init__(self, value: float) -> None:
        self.value = value

    def listen(self, waveforms: torch.Tensor) -> dict[str, Any]:
        """Return a constant 'batch 4 frames'."""
        return {"latent": np.full((len(waveforms), 4, -(-waveforms.shape[1] // 320)), self.value, np.float32)}


@pytest.mark.parametrize("value", [0.0, 3.0])
@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_an_encoder_that_never_moves_settles_nothing(claim: Claim, value: float) -> None:
    found = measure(claim, Dead(value))["latent"]
    assert verdict_of(claim, found) == "insufficient"
    assert found.reason
    assert not found.not_applicable
    assert {verdict(each.effect, each.threshold) for each in found.parts} <= {"insufficient"}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_one_or_two_channels_are_enough_to_ask(claim: Claim) -> None:
    """A level meter, the level above and below 1 kHz, the log of two bands, and a hard decision."""
    bank = references.power_filterbank()
    upper = np.array(bank.centres_hz) > 1000
    found = measure(
        claim,
        Variants(
            bank,
            first_conv=lambda code: np.sqrt(code.sum(axis=1, keepdims=True)),
            stack_end=lambda code: np.stack([code[:, upper].sum(axis=1), code[:, ~upper].sum(axis=1)], axis=1),
            latent=lambda code: np.log(1e-9 + code[:, [40, 80]]),
            quantised=lambda code: 1.0 * (code[:, [60]] > 1e-5),
        ),
    )
    for site in SITES:
        assert verdict_of(claim, found[site]) in ("supported", "refuted", "inconclusive", "insufficient")
        assert (found[site].effect is None) == (found[site].reason is not None)


def test_a_level_meter_has_no_direction_for_a_pitch() -> None:
    """All pitches add the same to it: there is nothing to tell one by, and no verdict."""
    bank = references.power_filterbank()
    meter = Variants(bank, latent=lambda code: np.sqrt(code.sum(axis=1, keepdims=True)))
    found = measure(PITCH, meter)["latent"]
    assert verdict_of(PITCH, found) == "insufficient"
    assert found.reason is not None
    assert "already share a direction" in found.reason


KNOWN = {
    (ALIAS.id, references.bare_decimator): "supported",
    (ALIAS.id, references.polyphase): "refuted",
    (HOLISM.id, references.holistic_features): "supported",
    (HOLISM.id, references.power_filterbank): "refuted",
    (PITCH.id, references.power_filterbank): "supported",
}


@pytest.mark.parametrize(
    ("sample_rate", "hop", "claims"),
    [
        (16_000, 160, (ALIAS, HOLISM, PITCH)),
        (22_050, 256, (ALIAS, HOLISM, PITCH)),
        # An odd hop; 200 frames a second.
        (44_100, 441, (ALIAS, HOLISM)),
        (48_000, 240, (ALIAS,)),
    ],
    ids=["16k", "22k", "44k", "48k"],
)
def test_other_clocks_give_the_same_answers(sample_rate: int, hop: int, claims: tuple[Claim, ...]) -> None:
    for (claim_id, build), expected in KNOWN.items():
        if CLAIMS[claim_id] in claims:
            found = measure(CLAIMS[claim_id], build(sample_rate=sample_rate, hop=hop))["latent"]
            assert verdict_of(CLAIMS[claim_id], found) == expected, (claim_id, build.__name__)


@pytest.mark.parametrize(("hop", "why"), [(1, "nothing folds"), (2, "no pair of kind")])
def test_where_nothing_folds_the_question_does_not_arise(hop: int, why: str) -> None:
    found = measure(ALIAS, references.bare_decimator(hop=hop))["latent"]
    assert found.not_applicable
    assert found.effect is None
    assert found.reason is not None
    assert why in found.reason


# --- broken probes --------------------------------------------------------------------------------------------------


def labels_shuffled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which pitch was added is forgotten, context by context."""
    increments, rng = pitch_direction._increments, np.random.default_rng(0)

    def shuffled(design: Any, values: NDArray) -> NDArray:
        found = increments(design, values)
        return np.stack([rng.permutation(found[:, column]) for column in range(found.shape[1])], axis=1)

    monkeypatch.setattr(pitch_direction, "_increments", shuffled)


def subsets_shuffled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which partials sounded is forgotten."""
    transform, rng = holistic_texture.walsh_transform, np.random.default_rng(0)
    monkeypatch.setattr(
        holistic_texture, "walsh_transform", lambda values, axis: transform(rng.permutation(values, axis=axis), axis)
    )


def channels_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first channel is read."""

    class First(AliasLines):
        def __call__(self, frames: Frames, rate: float) -> NDArray[np.complex128]:
            return super().__call__(frames[:1], rate)

    monkeypatch.setattr(alias_collapse, "AliasLines", First)


@pytest.mark.parametrize(
    ("claim", "breaks", "accused"),
    [
        (PITCH, labels_shuffled, "power-filterbank should be supported and is refuted"),
        (HOLISM, subsets_shuffled, "power-filterbank should be refuted and is supported"),
        (ALIAS, channels_dropped, "polyphase should be refuted and is supported"),
    ],
    ids=["labels-shuffled", "subsets-shuffled", "channels-dropped"],
)
def test_a_broken_probe_judges_nobody(
    monkeypatch: pytest.MonkeyPatch, claim: Claim, breaks: Callable[[pytest.MonkeyPatch], None], accused: str
) -> None:
    breaks(monkeypatch)
    # On trial are the controls themselves: whatever the broken probe finds, it is not passed on.
    record = Bench(seed=0, effort="quick").record(claim, claim.controls[0].encoder, "latent")
    assert (record["verdict"], record["agrees"]) == ("invalid", None)
    assert accused in record["reason"]
    assert record["effect"] is not None


def test_the_same_probe_unbroken_judges() -> None:
    record = Bench(seed=0, effort="quick").record(HOLISM, HOLISM.controls[0].encoder, "latent")
    assert (record["verdict"], record["agrees"]) == ("supported", True)
