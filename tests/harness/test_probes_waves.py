"""Waveforms, spectra and names: what the probes must find where the answer follows from the construction."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from testtone.models import references, resolve, waveform_references
from testtone.models.listening import Listener
from testtone.probes import likeness, local_similarity, many_to_one, search, spectral_to_semantic, waveform_proxy
from testtone.probes.hearing import ear_of, hear
from testtone.probes.records import Effect, Measurement
from testtone.probes.statistics import verdict
from testtone.stimuli import labels, waveshapes
from testtone.tests.claim import Claim
from testtone.tests.claims.test_local_similarity import CLAIM as LOCAL
from testtone.tests.claims.test_many_to_one import CLAIM as MANY
from testtone.tests.claims.test_spectral_to_semantic import CLAIM as NAMES
from testtone.tests.claims.test_waveform_proxy import CLAIM as PROXY

CLAIMS = {claim.id: claim for claim in (PROXY, LOCAL, MANY, NAMES)}
SEEDS = (0, 1, 2)
SITES = ("stack_end", "latent", "quantised")

TOLERANCE = 0.05
"""How near a graded reference's effect must be recovered: that of the claims' definition."""

ROUNDED = 2e-4
"""What a gain or an orthogonal map may change an effect by: the rounding of its output to float32."""

Floats = NDArray[np.float64]


def measure(claim: Claim, encoder: Any, *, seed: int = 0, effort: str = "quick") -> dict[str, Measurement]:
    listener = Listener(resolve(encoder) if isinstance(encoder, str) else encoder)
    ear = ear_of(listener, SITES)
    heard = hear(listener, {"it": (ear, claim.probe(ear, np.random.default_rng(seed), effort))})["it"]
    if heard.error is not None:
        raise heard.error
    assert heard.fault is None, heard.fault
    assert heard.measurements is not None
    return dict(heard.measurements)


@cache
def known(claim_id: str, spec: str, seed: int = 0) -> Measurement:
    return measure(CLAIMS[claim_id], spec, seed=seed)["latent"]


def effect_of(measurement: Measurement) -> Effect:
    assert measurement.effect is not None
    return measurement.effect


def part(measurement: Measurement, name: str) -> Effect:
    (found,) = [each.effect for each in measurement.parts if each.name == name]
    assert found is not None
    return found


class Toy:
    """An encoder of one function: float64 'batch hops samples' -> 'batch hops channels', from whole hops of sound."""

    def __init__(self, name: str, code: Callable[[Floats], Floats], *, sample_rate: int = 24_000, hop: int = 320):
        self.name, self.sample_rate, self.hop, self.code = name, sample_rate, hop, code

    def listen(self, waveforms: Any) -> dict[str, NDArray[np.float32]]:
        """Return 'batch channels frames'."""
        waves = np.asarray(waveforms, dtype=np.float64)
        frames = -(-waves.shape[1] // self.hop)
        whole = np.pad(waves, ((0, 0), (0, frames * self.hop - waves.shape[1])))
        return {"latent": self.code(whole.reshape(len(waves), frames, self.hop)).swapaxes(1, 2).astype(np.float32)}


# --- controls -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("claim", "control"),
    [(claim, control) for claim in CLAIMS.values() for control in claim.controls],
    ids=lambda each: each.id if isinstance(each, Claim) else each.encoder,
)
def test_controls_come_out_as_expected(claim: Claim, control: Any, seed: int) -> None:
    assert verdict(known(claim.id, control.encoder, seed).effect, claim.threshold) == control.expected


# --- waveform_proxy -------------------------------------------------------------------------------------------------


def test_powers_do_not_know_phases_and_samples_know_little_else() -> None:
    assert effect_of(known(PROXY.id, "power-filterbank")).value < 1e-3
    assert effect_of(known(PROXY.id, "polyphase")).value > 0.85


@pytest.mark.parametrize("weight", [0.05, 0.15, 0.5])
def test_the_share_of_phases_is_that_of_the_waveform(weight: float) -> None:
    """Samples of energy `weight` beside powers of unit energy: variances add, block by block.

    Those of the blocks are read off the reference's own channels, by textbook sums of squares.
    """
    seed, spec = 4, f"waveform-and-power:weight={weight}"
    found = effect_of(measure(PROXY, spec, seed=seed)["latent"])
    listener = Listener(resolve(spec))
    ear = ear_of(listener, ("latent",))
    design = waveshapes.phase_factorial(
        np.random.default_rng(seed),
        **waveform_proxy.SIZES["quick"],
        seconds=ear.seconds(1),
        sample_rate=24_000,
        frame_rate=75.0,
    )
    left, _ = ear.free("latent")
    codes = np.array(
        [
            [listener.encoder.listen(pattern[0].render(24_000)[None])["latent"][0, :, left] for pattern in spectrum]
            for spectrum in design.stimuli
        ],
        dtype=np.float64,
    )
    spectra, patterns, _ = codes.shape
    between = within = 0.0
    for block in (codes[..., :320], codes[..., 320:]):
        means = block.mean(axis=1)
        ms_within = np.square(block - means[:, None]).sum() / (spectra * (patterns - 1))
        ms_between = patterns * np.square(means - means.mean(axis=0)).sum() / (spectra - 1)
        within += ms_within
        between += (ms_between - ms_within) / patterns
    assert found.value == pytest.approx(within / (between + within), abs=TOLERANCE)


def test_distances_of_samples_are_ordered_as_waveforms_and_those_of_powers_as_spectra() -> None:
    assert part(known(PROXY.id, "polyphase"), "order of distances").value > 0.8
    assert part(known(PROXY.id, "power-filterbank"), "order of distances").value < -0.5
    for spec, least, most in (("polyphase", 0.0, 0.01), ("power-filterbank", 0.02, 1.0)):
        null = known(PROXY.id, spec).null
        assert null is not None
        assert least <= null.p <= most


@pytest.mark.parametrize(("rate", "repeat"), [(75.0, 1), (100.0, 1), (10.0, 1), (500.0, 4), (22_050 / 729, 1)])
def test_every_frame_or_every_nth_sees_the_same_piece_of_a_wave(rate: float, repeat: int) -> None:
    found, hz = waveshapes.fundamentals(rate)
    assert found <= repeat + 2
    assert len(hz) >= waveshapes.FUNDAMENTALS
    assert min(hz) >= waveshapes.LOWEST_F0_HZ - 1e-6
    periods = np.array(hz) * found / rate
    np.testing.assert_allclose(periods, np.round(periods), atol=1e-9)


def test_sounds_of_one_spectrum_have_one_spectrum() -> None:
    design = waveshapes.phase_factorial(
        np.random.default_rng(0), spectra=3, patterns=4, offsets=2, seconds=0.4, sample_rate=24_000, frame_rate=75.0
    )
    for spectrum in design.stimuli:
        waves = np.stack([each.render(24_000)[2400:7200] for pattern in spectrum for each in pattern])
        magnitude = np.abs(np.fft.rfft(waves))
        assert np.abs(magnitude - magnitude[0]).max() < 2e-3 * magnitude.max()
        apart = likeness.distance(waves[:, None], waves[None])[np.triu_indices(len(waves), 1)]
        assert apart.min() > 0.1


# --- local_similarity -----------------------------------------------------------------------------------------------


def test_distances_of_samples_are_those_of_waveforms() -> None:
    found = known(LOCAL.id, "polyphase")
    for name in ("near: noise", "near: shift", "near: rotation"):
        assert part(found, name).value == pytest.approx(1.0, abs=1e-9)
    for name in ("far: shift", "far: rotation"):
        assert part(found, name).value == pytest.approx(0.0, abs=1e-9)
    distances = found.figures["distances"]
    for family in distances.values():
        np.testing.assert_allclose(family["code"], family["waveform"], atol=2e-6)


@pytest.mark.parametrize("samples_too", [0.0, 0.2, 0.6])
def test_order_far_away_comes_back_with_the_waveform(samples_too: float) -> None:
    """Features and samples side by side: the mean over other draws of the features, by SciPy, on the same sounds."""
    seed, features = 3, 64
    spec = f"waveform-features:features={features},samples_too={samples_too}"
    found = measure(LOCAL, spec, seed=seed, effort="standard")["latent"]
    ear = ear_of(Listener(resolve(spec)), ("latent",))
    design = waveshapes.neighbours(
        np.random.default_rng(seed), **local_similarity.SIZES["standard"], seconds=ear.seconds(4)
    )
    left, _ = ear.free("latent")
    hops = np.stack([each.render(24_000)[left * 320 : (left + 4) * 320] for each in design.flat]).astype(np.float64)
    hops = hops.reshape(len(hops), 4, 320)
    unit = hops / np.linalg.norm(hops, axis=-1, keepdims=True)
    count = sum(local_similarity.SIZES["standard"][each] for each in ("near", "far"))
    near = local_similarity.SIZES["standard"]["near"]
    fars = []
    for draw in range(12):
        rng = np.random.default_rng(100 + draw)
        weights, offsets = 6.0 * rng.standard_normal((320, features)), rng.uniform(0, 2 * np.pi, features)
        code = np.cos(unit @ weights + offsets) - np.cos(offsets)
        code = np.concatenate([code, np.sqrt(samples_too * features / 2) * unit], axis=-1).reshape(len(hops), -1)
        at = len(design.base)
        for tone in range(len(design.base)):
            at += near
            for _ in ("shift", "rotation"):
                rows = np.arange(at + near, at + count)
                at += count
                flat = hops.reshape(len(hops), -1)
                dw = [relative(flat[row], flat[tone]) for row in rows]
                dz = [relative(code[row], code[tone]) for row in rows]
                fars.append(1 - stats.spearmanr(dw, dz).statistic)
    far = np.mean([part(found, name).value for name in ("far: shift", "far: rotation")])
    # One draw of 64 features says little about far sounds: the tolerance is widened by its own standard error.
    assert far == pytest.approx(np.mean(fars), abs=TOLERANCE + 2 * np.std(fars) / np.sqrt(len(fars) / 12))
    assert part(found, "near: noise").value > 0.95


def relative(first: Floats, second: Floats) -> float:
    return float(np.linalg.norm(first - second) / np.sqrt(first @ first + second @ second))


@pytest.mark.parametrize(
    ("steps", "verdicts"), [(None, ("refuted", "inconclusive")), (2.0**14, ("refuted",))], ids=["signs", "samples"]
)
def test_a_hash_is_not_local(steps: float | None, verdicts: tuple[str, ...]) -> None:
    """Codes that have nothing to do with each other for any two sets of signs, or of rounded samples."""

    def hashed(hops: Floats) -> Floats:
        words = (hops > 0 if steps is None else np.round(hops * steps).astype(np.int16)).reshape(-1, hops.shape[-1])
        keys = [np.frombuffer(word.tobytes(), np.uint8) for word in words]
        codes = [np.random.default_rng(key).standard_normal(32) for key in keys]
        return np.array(codes).reshape(*hops.shape[:2], 32)

    found = measure(LOCAL, Toy("hash", hashed))["latent"]
    assert verdict(found.effect, LOCAL.threshold) in verdicts


def test_the_least_of_two_is_supported_by_both_and_refuted_by_one() -> None:
    def of(value: float, half: float) -> Effect:
        return Effect(name="", value=value, low=value - half, high=value + half, confidence=0.9, unit="", n=12)

    found = local_similarity.least([of(0.8, 0.1), of(0.3, 0.1)], [of(0.8, 0.15), of(0.3, 0.15)], name="both")
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0.3, 0.2, 0.45))
    assert local_similarity.least([of(0.8, 0.1), None], [of(0.8, 0.1), None], name="both") is None


def test_neighbours_are_as_far_as_they_were_made() -> None:
    design = waveshapes.neighbours(np.random.default_rng(0), tones=4, near=4, far=4, seconds=0.5)
    for base, families in zip(design.base, design.others, strict=True):
        wave = base.render(24_000)[2400:9600]
        for name, family in zip(design.families, families, strict=True):
            apart = [float(likeness.distance(each.render(24_000)[2400:9600], wave)) for each in family]
            assert all(0.005 < each < 0.3 for each in apart[:4]), (name, apart)
            assert all(each > 0.8 for each in apart[4:]), (name, apart)


# --- many_to_one ----------------------------------------------------------------------------------------------------


def test_aliases_share_the_code_of_a_decimator() -> None:
    assert part(known(MANY.id, "bare-decimator"), "disguise: alias").value == pytest.approx(1.0, abs=1e-3)


def test_phases_and_polarity_share_the_code_of_a_filterbank() -> None:
    found = known(MANY.id, "power-filterbank")
    assert part(found, "disguise: polarity").value == pytest.approx(1.0, abs=1e-3)
    assert verdict(found.effect, MANY.threshold) == "supported"


@pytest.mark.parametrize("keep", [40, 319])
def test_what_is_not_kept_may_be_anything(keep: int) -> None:
    """What is not kept may be anything up to full scale: of 280 samples in 320 that is plenty, of one it is not."""
    found = known(MANY.id, f"polyphase:keep={keep}")
    if keep == 40:
        assert effect_of(found).value == pytest.approx(1.0, abs=1e-3)
    else:
        # One sample in 320, at most full scale: not far enough to be distinct.
        assert verdict(found.effect, MANY.threshold) != "supported"


@pytest.mark.parametrize("gain", [0.3, 0.1, 0.02])
def test_the_nearest_code_of_a_linear_encoder_is_found(gain: float) -> None:
    """Half of the samples of each hop are kept, half are a `gain` as loud: the least change is known.

    A change u of the quiet half alone moves the code by gain |u|, and d_w = .93 asks for |u|^2 = share / (1 - share)
    times the energy of both sounds' other part; checked against a general solver on the very sounds.
    """
    scale = np.where(np.arange(320) < 160, 1.0, gain)
    toy = Toy("half", lambda hops: hops * scale)
    found = effect_of(measure(MANY, toy)["latent"])
    ear = ear_of(Listener(toy), ("latent",))
    place = many_to_one._place(ear, "latent").shorter(4)
    design = waveshapes.disguises(
        np.random.default_rng(0), sounds=12, seconds=ear.seconds(13), sample_rate=24_000, frame_rate=75.0
    )
    base = np.stack([each.render(24_000)[place.samples] for each in design.base]).astype(np.float64)
    weights = np.tile(scale, 4)
    expected = []
    for index, sound in enumerate(base):
        loud, quiet = weights == 1.0, weights < 1.0
        # On each half the best change lies along the sound: two numbers, on a grid.
        a, b = np.linalg.norm(sound[loud]), np.linalg.norm(sound[quiet])
        u, v = np.meshgrid(np.linspace(-1.0, 0.0, 401), -np.geomspace(0.05, 60.0, 2000))
        moved = np.hypot(u * a, v * b)
        met = moved**2 >= 0.93**2 * (a**2 + b**2 + ((1 + u) * a) ** 2 + ((1 + v) * b) ** 2)
        least = np.where(met, np.hypot(u * a, gain * v * b), np.inf).min()
        others = [np.linalg.norm(weights * (np.roll(base, by, axis=0)[index] - sound)) for by in (1, 2, 3)]
        expected.append(1 - least / np.median(others))
    assert found.value == pytest.approx(np.mean(expected), abs=TOLERANCE)


def test_a_bent_waveform_that_can_be_read_back_is_shared_by_no_other() -> None:
    """Samples through a gentle tanh: not linear, and a linear reader still has the waveform."""
    found = measure(MANY, Toy("bent", lambda hops: np.tanh(4 * hops)))["latent"]
    assert part(found, "ceiling").high < 0.7
    assert verdict(found.effect, MANY.threshold) == "refuted"


def test_no_argument_no_refutation() -> None:
    """Samples nearly clipped: nothing is found, and nothing says that there is nothing."""
    found = measure(MANY, Toy("clipped", lambda hops: np.tanh(60 * hops)))["latent"]
    assert effect_of(found).value < 0.9
    assert effect_of(found).high == 1.0
    assert verdict(found.effect, MANY.threshold) == "inconclusive"


def test_a_long_hop_is_tried_along_some_directions() -> None:
    """Ten frames a second of 16 values: linear, far too long to try every sample of, and shared by nearly anything."""
    weights = np.random.default_rng(0).standard_normal((2400, 16))
    found = measure(MANY, Toy("slow", lambda hops: hops @ weights, hop=2400))["latent"]
    assert verdict(found.effect, MANY.threshold) == "supported"
    assert not found.figures["nothing_better_exists"]


def test_a_search_downhill_finds_what_counting_promises() -> None:
    """320 samples a hop, 40 bent mixtures of them: far from linear, and full of other sounds with the same code."""
    import torch

    weights = torch.as_tensor(np.random.default_rng(0).standard_normal((320, 40)) / 18, dtype=torch.float32)

    class Bent:
        name, sample_rate, frame_rates, margin_seconds = "bent", 24_000, {"latent": 75.0}, {"latent": 0.0}

        def listen_with_gradient(self, waves: torch.Tensor) -> dict[str, torch.Tensor]:
            hops = torch.nn.functional.pad(waves, (0, -waves.shape[1] % 320)).unfold(1, 320, 320)
            return {"latent": torch.tanh(20 * hops @ weights).swapaxes(1, 2)}

        def listen(self, waves: torch.Tensor) -> dict[str, torch.Tensor]:
            return self.listen_with_gradient(waves)

    found = measure(MANY, Bent())["latent"]
    assert found.effect is not None
    # How sure that is of other sounds is another question: a dozen of them are few where one is hard.
    assert found.effect.value > 0.95
    assert verdict(found.effect, MANY.threshold) != "refuted"
    assert part(found, "search: metamers").value > 0.95


def test_lbfgs_goes_to_the_bottom_of_a_valley() -> None:
    rng = np.random.default_rng(0)
    curvature, bottom = np.geomspace(1.0, 1e3, 30), rng.uniform(-0.5, 0.5, (3, 30))

    def valley(at: Floats) -> tuple[Floats, Floats, Floats]:
        off = at - bottom
        return 0.5 * (curvature * off**2).sum(axis=1), curvature * off, np.linalg.norm(off, axis=1)

    found, path = search.metamers(valley, np.zeros((3, 30)), evaluations=120)
    np.testing.assert_allclose(found, bottom, atol=1e-3)
    assert path[-1] < 2e-3 * path[0]


# --- spectral_to_semantic -------------------------------------------------------------------------------------------


def test_chroma_knows_names_and_a_texture_does_not() -> None:
    assert effect_of(known(NAMES.id, "oracle-chroma")).value == pytest.approx(-0.35, abs=0.02)
    assert effect_of(known(NAMES.id, "holistic-features")).value > 0.05


def test_chroma_is_the_pitch_class_in_any_octave_and_timbre() -> None:
    design = labels.named_sounds(
        np.random.default_rng(5), timbres=2, triads=2, voicings=3, seconds=0.4, harmonics_below_hz=8000.0
    )
    oracle = waveform_references.oracle_chroma(noise=1e-6)
    for sounds in (design.notes, design.triads):
        for stimulus, label in list(zip(sounds.stimuli, sounds.label, strict=True))[::5]:
            chroma = oracle.listen(stimulus.render(24_000)[None])["latent"][0, :, 15]
            expected = {round(each) % 12 for each in stimulus.pitches}
            assert set(np.argsort(chroma)[-len(expected) :]) == expected, (stimulus.label, label)


@pytest.mark.parametrize("weight", [0.02, 0.1])
def test_names_count_as_far_as_chroma_does(weight: float) -> None:
    """Squared distances of chroma, times `weight`, plus those of spectra: the area counted pair by pair."""
    seed, spec = 2, f"chroma-and-spectrum:weight={weight}"
    found = measure(NAMES, spec, seed=seed)["latent"]
    listener = Listener(resolve(spec))
    ear = ear_of(listener, ("latent",))
    design = labels.named_sounds(
        np.random.default_rng(seed),
        **spectral_to_semantic.SIZES["quick"],
        seconds=ear.seconds(19),
        harmonics_below_hz=8000.0,
    )
    left, _ = ear.free("latent")
    areas = []
    for sounds in (design.notes, design.triads):
        waves = np.stack([each.render(24_000) for each in sounds.stimuli])
        frames = listener.listen(waves).values["latent"][:, :, left : left + 19].astype(np.float64)
        code = np.concatenate([frames.mean(axis=2), frames.std(axis=2)], axis=1)
        pairs = spectral_to_semantic._Pairs(sounds, likeness.ear_spectra(waves, sample_rate=24_000))
        total = weight_sum = 0.0
        for stratum in set(pairs.stratum[pairs.stratum >= 0]):
            members = [
                (sounds.label[i] == sounds.label[j], lean, np.linalg.norm(code[i] - code[j]))
                for i, j, where, lean in zip(pairs.first, pairs.second, pairs.stratum, pairs.lean, strict=True)
                if where == stratum
            ]
            own = [distance for shared, _, distance in members if shared]
            nearer = [distance for shared, lean, distance in members if not shared and lean < 0.5]
            farther = [distance for shared, lean, distance in members if not shared and lean > -0.5]
            if own and nearer and farther:
                wins = np.mean([np.mean([[a < b for b in side] for a in own]) for side in (nearer, farther)])
                total, weight_sum = total + len(own) * wins, weight_sum + len(own)
        areas.append(total / weight_sum)
    assert effect_of(found).value == pytest.approx(0.65 - np.mean(areas), abs=1e-3)
    assert -0.35 < effect_of(found).value < 0.25


def test_height_alone_tells_no_names() -> None:
    """Pairs that share a name lie in the middle of those that do not: a code of height is no better than chance."""
    design = labels.named_sounds(
        np.random.default_rng(0), timbres=4, triads=24, voicings=3, seconds=0.4, harmonics_below_hz=8000.0
    )
    for sounds in (design.notes, design.triads):
        waves = np.stack([each.render(24_000) for each in sounds.stimuli])
        pairs = spectral_to_semantic._Pairs(sounds, likeness.ear_spectra(waves, sample_rate=24_000))
        height = pairs.distances(np.array(sounds.height)[:, None])
        assert pairs.area(height, np.arange(pairs.names)) == pytest.approx(0.5, abs=0.05)


def test_a_spectrum_knows_names_until_spectra_are_made_equal() -> None:
    area = known(NAMES.id, "power-filterbank").figures["area"]
    assert np.mean(list(area["stratified"].values())) < 0.65
    assert area["plain"]["notes"] > area["stratified"]["notes"]


# --- what a search may ask of an encoder -----------------------------------------------------------------------------


def test_a_search_hears_waveforms_relative_to_silence() -> None:
    ear = ear_of(Listener(Toy("moved", lambda hops: hops[..., :3] + 5.0)), ("latent",))
    waves = np.random.default_rng(0).uniform(-0.5, 0.5, (11, 3200))
    assert ear.respond is not None
    heard = ear.unit("latent") * ear.respond(waves)["latent"]
    np.testing.assert_allclose(heard, waves.reshape(11, 10, 320)[..., :3].swapaxes(1, 2), atol=1e-5)
    assert ear.differentiate is None


def test_an_encoder_that_breaks_during_a_search_is_at_fault() -> None:
    class Breaks(Toy):
        def listen(self, waveforms: Any) -> dict[str, NDArray[np.float32]]:
            """Return 'batch channels frames', of sounds that are not too loud."""
            # The impulses of the search are louder than any disguise.
            if np.abs(np.asarray(waveforms)).max() == 0.5:
                raise RuntimeError("too loud")
            return super().listen(waveforms)

    listener = Listener(Breaks("breaks", lambda hops: hops))
    ear = ear_of(listener, ("latent",))
    heard = hear(listener, {"it": (ear, MANY.probe(ear, np.random.default_rng(0), "quick"))})["it"]
    assert heard.error is None
    assert heard.fault is not None
    assert "too loud" in heard.fault


# --- what must not matter, and strange encoders ---------------------------------------------------------------------


class Variants:
    """One encoder four ways: as it is, turned, louder and in another order, moved by a constant."""

    def __init__(self, inner: Any, channels: int) -> None:
        self.inner, self.name, self.sample_rate = inner, "variants", inner.sample_rate
        (rate,) = inner.frame_rates.values()
        (margin,) = inner.margin_seconds.values()
        self.frame_rates, self.margin_seconds = dict.fromkeys(SITES, rate), dict.fromkeys(SITES, margin)
        rng = np.random.default_rng(0)
        self.turn = np.linalg.qr(rng.standard_normal((channels, channels)))[0]
        self.order, self.rest = rng.permutation(channels), rng.standard_normal((channels, 1))

    def listen(self, waveforms: Any) -> dict[str, Any]:
        """Return three variants of one code."""
        code = np.asarray(self.inner.listen(waveforms)["latent"], np.float64)
        return {
            "stack_end": code.astype(np.float32),
            "latent": np.einsum("ij,bjf->bif", self.turn, code).astype(np.float32),
            "quantised": (3 * code[:, self.order] + self.rest).astype(np.float32),
        }


@pytest.mark.parametrize(
    ("claim", "spec", "channels"),
    [
        (PROXY, "waveform-and-power", 448),
        (LOCAL, "waveform-features:features=64", 64),
        (MANY, "polyphase:keep=300", 300),
    ],
    ids=lambda each: each.id if isinstance(each, Claim) else None,
)
def test_units_axes_and_the_order_of_channels_do_not_matter(claim: Claim, spec: str, channels: int) -> None:
    found = measure(claim, Variants(resolve(spec), channels))
    plain, turned, moved = (effect_of(found[site]) for site in SITES)
    for other in (turned, moved):
        assert (other.value, other.low, other.high) == pytest.approx((plain.value, plain.low, plain.high), abs=0.01)
        assert other.value == pytest.approx(plain.value, abs=max(ROUNDED, 1e-3))


@pytest.mark.parametrize("value", [0.0, 3.0])
@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_an_encoder_that_never_moves_settles_nothing(claim: Claim, value: float) -> None:
    found = measure(claim, Toy("dead", lambda hops: np.full((*hops.shape[:2], 4), value)))["latent"]
    assert verdict(found.effect, claim.threshold) == "insufficient"
    assert found.reason
    assert not found.not_applicable


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_one_channel_is_enough_to_ask(claim: Claim) -> None:
    toy = Toy("peak", lambda hops: np.abs(hops).max(axis=-1, keepdims=True))
    found = measure(claim, toy)["latent"]
    assert verdict(found.effect, claim.threshold) in ("supported", "refuted", "inconclusive", "insufficient")
    assert (found.effect is None) == (found.reason is not None)


KNOWN = {
    PROXY.id: [(references.polyphase, "supported"), (references.power_filterbank, "refuted")],
    LOCAL.id: [(waveform_references.waveform_features, "supported"), (references.polyphase, "refuted")],
    MANY.id: [(references.bare_decimator, "supported"), (references.polyphase, "refuted")],
    NAMES.id: [(references.holistic_features, "supported"), (waveform_references.oracle_chroma, "refuted")],
}


@pytest.mark.parametrize(("sample_rate", "hop"), [(16_000, 160), (8_000, 80), (44_100, 441)], ids=["16k", "8k", "44k"])
@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_other_clocks_give_the_same_answers(claim: Claim, sample_rate: int, hop: int) -> None:
    for build, expected in KNOWN[claim.id]:
        if claim is NAMES and (sample_rate == 44_100 or expected == "supported"):
            continue
        found = measure(claim, build(sample_rate=sample_rate, hop=hop))["latent"]
        assert verdict(found.effect, claim.threshold) == expected, build.__name__


def test_the_same_seed_finds_the_same_and_another_seed_another() -> None:
    for claim in (PROXY, LOCAL, MANY):
        again = measure(claim, "polyphase")["latent"]
        first = known(claim.id, "polyphase")
        assert (again.effect, again.parts, again.null) == (first.effect, first.parts, first.null)
    assert known(PROXY.id, "polyphase", 1).effect != known(PROXY.id, "polyphase").effect


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_figures_are_plain_numbers(claim: Claim) -> None:
    import json

    spec = claim.controls[0].encoder
    found = known(claim.id, spec)
    json.dumps(found.figures, allow_nan=False)
    assert 2 <= len(found.sounds) <= 4


def test_where_one_direction_costs_nothing_a_double_moves_along_it_alone() -> None:
    """A code deaf to one direction: the nearest code to a sound is the sound's own, however far the waveform goes."""
    rng = np.random.default_rng(0)
    turned = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    matrix, sounds, least = np.diag([0.0, 0.5, 1.0, 2.0]) @ turned.T, rng.standard_normal((6, 4)), 0.3
    moved = search.nearest_codes(matrix, sounds, least=least)
    np.testing.assert_allclose(matrix @ moved.T, 0.0, atol=1e-9)
    apart = np.square(moved).sum(axis=1)
    both = np.square(sounds).sum(axis=1) + np.square(sounds + moved).sum(axis=1)
    assert (apart >= least**2 * both * (1 - 1e-9)).all()
    # Against the sound: the shorter way.
    assert ((moved * sounds).sum(axis=1) < 0).all()


def test_where_the_free_direction_is_silent_a_double_still_goes_far_enough_along_it() -> None:
    """A sound with nothing along the direction that costs nothing: |u|^2 = least^2 (|x|^2 + |x + u|^2), u across x."""
    least, sound = 0.3, np.array([0.0, 0.0, 2.0])
    for matrix, free in ((np.diag([0.0, 1.0, 1.0]), 1), (np.diag([0.0, 0.0, 1.0]), 2)):
        (moved,) = search.nearest_codes(matrix, sound[None], least=least)
        np.testing.assert_allclose(matrix @ moved, 0.0, atol=1e-9)
        shortest = least * np.sqrt(2.0 / (1.0 - least**2)) * 2.0
        # Lengths are tried in steps of less than two percent.
        assert shortest * (1 - 1e-9) <= np.linalg.norm(moved) <= 1.02 * shortest
        np.testing.assert_allclose(np.abs(moved[:free]), np.linalg.norm(moved) / np.sqrt(free))


def test_no_correlation_lies_beyond_one() -> None:
    """The end of an interval that Fisher's transform carries to infinity."""
    assert local_similarity._from_fisher(50.0) == 1.0
    assert local_similarity._from_fisher(-50.0) == -1.0
    for rho in (-0.9, 0.0, 0.3):
        assert local_similarity._from_fisher(local_similarity._to_fisher(rho)) == pytest.approx(rho, abs=1e-12)


def test_a_search_downhill_learns_how_a_loss_curves() -> None:
    """A valley a thousand times as steep across as along: without what steps teach, 60 of them do not reach the end."""
    steep = np.geomspace(1.0, 1000.0, 8)
    ends = np.linspace(-0.5, 0.5, 24).reshape(3, 8)

    def objective(at):
        off = at - ends
        return (steep * off**2).sum(axis=1) / 2, steep * off, np.linalg.norm(off, axis=1)

    found, path = search.metamers(objective, np.zeros((3, 8)), evaluations=60)
    np.testing.assert_allclose(found, ends, atol=1e-4)
    assert path[0] == pytest.approx(np.linalg.norm(ends, axis=1).mean())
    assert len(path) == 60
    # One sound at its end already is not moved, nor does it hold up the others.
    found, _ = search.metamers(objective, np.stack([ends[0], np.zeros(8), np.zeros(8)]), evaluations=60)
    np.testing.assert_allclose(found, ends, atol=1e-4)
