"""Many questions, one pass; and what is kept of an answer."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from toy_encoders import HOP, SAMPLE_RATE, Faulty, Meter

from testtone.models.listening import Listener, Margin
from testtone.probes.hearing import Ear, Heard, Listen, Probe, ear_of, hear
from testtone.probes.readouts import AliasLines, BagOfCodes, Frames, log_power, mean
from testtone.probes.records import Measurement
from testtone.stimuli import Partial, Stimulus, Tone, silence
from testtone.tests.harness.halfway import Halfway

RATE = SAMPLE_RATE / HOP
"""Frames a second of a meter, Hz."""

UNIT = 0.125
"""What a meter's answers are in units of: noise at an RMS of .1 moves it by .1, and 1/8 is the nearest power of two."""


def tone(hz: float = 1000.0, *, amplitude: float = 0.1, seconds: float = 0.3, label: str = "") -> Stimulus:
    return Stimulus.of(Tone((Partial(hz, amplitude),)), seconds=seconds, label=label)


@dataclass
class Diary(Meter):
    """A meter that notes every clip it hears."""

    offset: float = 0.0
    heard: list[bytes] = field(default_factory=list)
    gain: float = 1.0
    name = "diary"

    def listen(self, waveforms: Tensor) -> dict[str, Any]:
        """Return gain times level plus an offset."""
        self.heard += [clip.numpy().tobytes() for clip in waveforms if clip.any()]
        return {site: z + self.offset for site, z in super().listen(waveforms).items()}

    def times(self, stimulus: Stimulus) -> int:
        """Return how often a sound was heard."""
        return self.heard.count(stimulus.render(SAMPLE_RATE).tobytes())


def asks(*rounds: list[Listen], keep: list[Any] | None = None) -> Probe:
    """Ask round after round, and keep the answers."""
    for requests in rounds:
        answers = yield requests
        if keep is not None:
            keep.append(answers)
    return {"latent": Measurement(site="latent", probe="asks", version=1, effect=None)}


def hear_all(encoder: Meter, **probes: Probe) -> dict[Any, Heard]:
    listener = Listener(encoder)
    ear = ear_of(listener, ("stack_end", "latent"))
    return hear(listener, {name: (ear, probe) for name, probe in probes.items()})


# --- one pass -------------------------------------------------------------------------------------------------------


def test_a_sound_that_two_probes_ask_for_is_heard_once() -> None:
    diary, shared, own = Diary(), tone(500), tone(700)
    kept: dict[str, list[Any]] = {"one": [], "two": []}
    found = hear_all(
        diary,
        one=asks([Listen((shared, own), mean)], keep=kept["one"]),
        two=asks([Listen((shared,), mean), Listen((shared,), log_power)], keep=kept["two"]),
    )
    assert [diary.times(each) for each in (shared, own)] == [1, 1]
    assert kept["one"][0][0]["latent"][0] == kept["two"][0][0]["latent"][0]
    assert all(each.fault is None and each.error is None and "latent" in each.measurements for each in found.values())


def test_sounds_are_the_same_by_content_not_by_label() -> None:
    diary = Diary()
    hear_all(diary, one=asks([Listen((tone(500, label="a"), tone(500, label="b")), mean)]))
    assert diary.times(tone(500)) == 1


def test_answers_come_in_the_order_asked() -> None:
    # More than a batch, two lengths mixed, one sound twice: a meter's mean is the level.
    levels = [0.05 * (1 + index % 7) for index in range(19)]
    sounds = tuple(tone(amplitude=a, seconds=0.3 + 0.1 * (i % 2)) for i, a in enumerate(levels))
    kept: list[Any] = []
    hear_all(Diary(), one=asks([Listen(sounds, mean), Listen(sounds[::-1], mean)], keep=kept))
    for site in ("stack_end", "latent"):
        forwards, backwards = (answer[site] for answer in kept[0])
        assert forwards.shape == (19, 1)
        np.testing.assert_allclose(forwards[:, 0] * UNIT, np.array(levels) / math.sqrt(2), rtol=1e-5)
        np.testing.assert_array_equal(forwards, backwards[::-1])


def test_only_the_sites_asked_for_are_answered() -> None:
    kept: list[Any] = []
    hear_all(Diary(), one=asks([Listen((tone(),), mean, sites=("latent",)), Listen((tone(),), mean)], keep=kept))
    assert [list(answer) for answer in kept[0]] == [["latent"], ["stack_end", "latent"]]


def test_silence_is_subtracted_frame_by_frame() -> None:
    class Warm(Diary):
        def listen(self, waveforms: Tensor) -> dict[str, Any]:
            heard = super().listen(waveforms)
            warm = torch.linspace(5.0, 6.0, heard["latent"].shape[2])
            return {site: z + warm for site, z in heard.items()}

    kept: list[Any] = []
    request = [Listen((tone(), silence(0.3)), Frames(20))]
    hear_all(Warm(), one=asks(request, keep=kept))
    hear_all(Diary(), two=asks(request, keep=kept))
    warm, cold = (answers[0]["latent"] for answers in kept)
    # An offset of 5 to 6 in float32 costs digits: half a step of it is 2.4e-7.
    np.testing.assert_allclose(warm[0], cold[0], atol=5e-7 / UNIT)
    assert not warm[1].any()


def test_each_length_has_its_own_silence() -> None:
    class Positional(Diary):
        def listen(self, waveforms: Tensor) -> dict[str, Any]:
            return {site: z + z.shape[2] for site, z in super().listen(waveforms).items()}

    kept: list[Any] = []
    hear_all(Positional(), one=asks([Listen((tone(seconds=0.3), tone(seconds=0.5)), mean)], keep=kept))
    np.testing.assert_allclose(kept[0][0]["latent"][:, 0] * UNIT, 0.1 / math.sqrt(2), rtol=1e-4)


def test_edges_and_ramps_are_left_out() -> None:
    # Ramps of 50 ms are five frames, and a frame more at each edge for the margin: within, the level is steady.
    sound = Stimulus.of(Tone((Partial(1000.0, 0.1),)), seconds=0.3, ramp_seconds=0.05)
    kept: list[Any] = []
    hear_all(Diary(), one=asks([Listen((sound,), Frames(18)), Listen((sound,), log_power)], keep=kept))
    np.testing.assert_allclose(kept[0][0]["latent"] * UNIT, 0.1 / math.sqrt(2), rtol=1e-5)
    # No variation left but rounding, whose power is far below the floor of 1e-12.
    assert kept[0][1]["latent"].item() == pytest.approx(math.log(1e-12), abs=0.01)


def test_a_probe_may_ask_again_when_it_knows_more() -> None:
    diary = Diary()

    def search(ear: Ear) -> Probe:
        """Find the amplitude that reads 0.2."""
        low, high = 0.0, 0.9
        for _ in range(12):
            amplitude = (low + high) / 2
            (answer,) = yield [Listen((tone(amplitude=amplitude),), mean)]
            low, high = (amplitude, high) if answer["latent"].item() * UNIT < 0.2 else (low, amplitude)
        return {"latent": low}  # type: ignore[dict-item]

    listener = Listener(diary)
    ear = ear_of(listener, ("latent",))
    other: list[Any] = []
    sound = tone(300)
    found = hear(listener, {"search": (ear, search(ear)), "other": (ear, asks([Listen((sound,), mean)], keep=other))})
    assert found["search"].measurements["latent"] == pytest.approx(0.2 * math.sqrt(2), abs=0.9 / 2**12)
    assert len(other) == 1
    assert diary.times(sound) == 1


def test_a_probe_that_asks_nothing_is_answered_nothing() -> None:
    def quiet() -> Probe:
        answers = yield []
        assert answers == []
        return {}

    found = hear_all(Diary(), one=quiet())
    assert (found["one"].measurements, found["one"].error) == ({}, None)


class Sites(Diary):
    """A meter that can be asked for some sites, and notes for which it was asked, of how many sounds."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[tuple[str, ...], int]] = []

    def listen_at(self, waveforms: Tensor, sites: Sequence[str]) -> dict[str, Any]:
        """Return these sites."""
        self.asked.append((tuple(sites), int(waveforms.any(dim=1).sum())))
        return {site: values for site, values in self.listen(waveforms).items() if site in sites}


def test_an_encoder_is_asked_for_the_sites_that_are_wanted() -> None:
    encoder, kept, whole = Sites(), [], []
    few, many = tuple(tone(300 + 20 * n) for n in range(16)), tuple(tone(700 + 20 * n) for n in range(9))
    rounds = [Listen(few, mean, sites=("stack_end",)), Listen(many, mean), Listen(few[:1], mean, sites=("latent",))]
    hear_all(encoder, one=asks(rounds, keep=kept))
    hear_all(Diary(), one=asks(rounds, keep=whole))
    for ours, theirs in zip(kept[0], whole[0], strict=True):
        assert ours.keys() == theirs.keys()
        for site in ours:
            np.testing.assert_array_equal(ours[site], theirs[site])
    # One sound left over, with silence; ten sounds at both sites, beside them six, and then eight, at one of them.
    both, one = ("stack_end", "latent"), ("stack_end",)
    assert encoder.asked == [(both, 1), (both, 8), (both, 8), (one, 8)]
    assert encoder.times(many[0]) == 1


def test_silence_shares_a_batch_with_sounds() -> None:
    encoder, batches = Meter(), []
    listen = encoder.listen
    encoder.listen = lambda clips: batches.append(int(clips.any(dim=1).sum())) or listen(clips)  # type: ignore[method-assign]
    listener = Listener(encoder)
    ear, _ = ear_of(listener, ("latent",)), listener.sizes
    batches.clear()
    hear(listener, {"one": (ear, asks([Listen(tuple(tone(300 + 20 * n) for n in range(11)), mean)]))})
    assert batches == [3, 8]


# --- when something breaks ------------------------------------------------------------------------------------------


def later_fault() -> Meter:
    """Return a meter that breaks on its second sound: after three looks, sound and silence, and noise for its units."""

    def spoil(answer: dict[str, Any]) -> Any:
        raise RuntimeError("broken")

    return Faulty(spoil, after=5)


def test_a_fault_ends_those_who_ask_and_spares_those_who_are_done() -> None:
    closed: list[str] = []

    def tidy() -> Iterator[Any]:
        try:
            yield from asks([Listen((tone(500),), mean)], [Listen((tone(600),), mean)])
        finally:
            closed.append("tidy")

    found = hear_all(later_fault(), brief=asks([Listen((tone(500),), mean)]), long=tidy())
    assert found["brief"].fault is None
    assert "latent" in found["brief"].measurements
    assert found["long"].measurements is None
    assert found["long"].fault == "meter: listen() raised RuntimeError: broken"
    assert closed == ["tidy"]


def test_an_error_of_a_probe_leaves_the_others_alone() -> None:
    def clumsy() -> Probe:
        yield [Listen((tone(500),), mean)]
        raise ZeroDivisionError("our own mistake")

    def hasty() -> Probe:
        raise KeyError("before the first question")
        yield []

    found = hear_all(Diary(), clumsy=clumsy(), hasty=hasty(), fine=asks([Listen((tone(500),), mean)]))
    assert isinstance(found["clumsy"].error, ZeroDivisionError)
    assert isinstance(found["hasty"].error, KeyError)
    assert found["clumsy"].fault is None
    assert found["fine"].error is None
    assert "latent" in found["fine"].measurements


def test_other_frames_for_silence_are_a_fault() -> None:
    class Gated(Meter):
        def listen(self, waveforms: Tensor) -> dict[str, Any]:
            heard = super().listen(waveforms)
            alone = not waveforms.any(dim=1).all()
            return {site: z[..., 1:] for site, z in heard.items()} if alone else heard

    # Silence is heard with the ninth sound, in a batch with room to spare.
    found = hear_all(Gated(), one=asks([Listen(tuple(tone(300 + 40 * n) for n in range(9)), mean)]))
    assert found["one"].fault == (
        "meter: site 'stack_end' gave 30 frames for a sound and 29 for silence of the same length"
    )


def test_a_clip_that_is_all_edge_is_a_fault() -> None:
    encoder = Meter()
    encoder.margin_seconds = {"latent": 0.2, "stack_end": 0.0}  # type: ignore[attr-defined]
    found = hear_all(encoder, one=asks([Listen((tone(seconds=0.3),), mean)]))
    assert found["one"].fault == (
        "meter: site 'latent' gave 30 frames for 0.3 s; 44 of them hear the edges and none is left"
    )


# --- what a probe knows beforehand ----------------------------------------------------------------------------------


def ear(*, rates: dict[str, float], margins: dict[str, Margin], strides: tuple[int, ...] | None = None) -> Ear:
    return Ear(24000, tuple(rates), rates, margins, dict.fromkeys(rates, 0), strides)


def test_a_clip_is_as_long_as_its_frames_ask_for() -> None:
    one = ear(rates={"stack_end": 150.0, "latent": 75.0}, margins={"stack_end": Margin(10, 2), "latent": Margin(3, 2)})
    # 20 ms of ramp are 2 frames of the latent and 3 of the stack end.
    assert one.free("latent") == (5, 4)
    assert one.free("stack_end") == (13, 5)
    assert one.seconds(24) == pytest.approx((5 + 24 + 4) / 75)
    assert one.seconds(25, sites=["stack_end"]) == pytest.approx((13 + 25 + 5) / 150)
    assert one.seconds(24, ramp_seconds=0.0) == pytest.approx((3 + 24 + 2) / 75)
    # 93 frames of the faster site are 46.5 of the slower one, which has whole frames.
    slow = ear(rates={"stack_end": 150.0, "latent": 75.0}, margins={"stack_end": Margin(60, 2), "latent": Margin(3, 2)})
    assert slow.seconds(25) == pytest.approx(47 / 75)


@pytest.mark.parametrize("count", [1, 8, 25])
def test_a_clip_of_that_length_has_that_many_frames(count: int) -> None:
    listener = Listener(Meter())
    one = ear_of(listener, ("latent",))
    kept: list[Any] = []
    sound = tone(seconds=one.seconds(count))
    hear(listener, {"one": (one, asks([Listen((sound,), Frames(count))], keep=kept))})
    assert kept[0][0]["latent"].shape == (1, 1, count)


def test_the_chain_of_strides_ends_at_the_site() -> None:
    one = ear(
        rates={"first_conv": 24000.0, "stack_end": 75.0, "latent": 37.5},
        margins=dict.fromkeys(("first_conv", "stack_end", "latent"), Margin(1, 1)),
        strides=(2, 4, 5, 8),
    )
    assert one.chain("stack_end").strides == (2, 4, 5, 8)
    # Not told, or not in the chain: one stride.
    assert one.chain("latent").strides == (640,)
    assert one.chain("first_conv").strides == (1,)


def test_sites_that_the_encoder_lacks_are_not_for_the_probe() -> None:
    assert ear_of(Listener(Meter()), ("first_conv", "latent", "quantised")).sites == ("latent",)


# --- readouts -------------------------------------------------------------------------------------------------------


def lines(frames: int, *parts: tuple[float, complex], offset: float = 0.0) -> NDArray[np.float64]:
    """Return offset + sum of Re(v exp(j 2 pi f m / RATE)), `frames` of them: the naive sum."""
    m = np.arange(frames)
    return offset + sum((np.real(v * np.exp(2j * np.pi * f * m / RATE)) for f, v in parts), np.zeros(frames))


def test_the_mean_keeps_what_is_steady() -> None:
    frames = np.array([[1.0], [-2.0], [0.0]]).repeat(24, axis=1)
    np.testing.assert_allclose(mean(frames, RATE), [1.0, -2.0, 0.0], atol=1e-15)


@pytest.mark.parametrize("cycles", [3, 3.5, 7.25, 11.5])
def test_an_oscillation_does_not_leak_into_the_mean(cycles: float) -> None:
    # A plain mean of 3.5 cycles keeps up to 1 / (3.5 pi) = 9 % of the amplitude.
    for phase in np.linspace(0, np.pi, 8):
        oscillation = lines(24, (cycles * RATE / 24, np.exp(1j * phase)))
        assert abs(mean(oscillation[None], RATE)[0]) < 0.011


def test_log_power_is_that_of_the_variation() -> None:
    frames = np.stack([lines(24, (RATE * 3 / 24, 0.2), offset=5.0), np.full(24, 7.0)])
    # Of a cosine over whole cycles, half the square of its amplitude; of a constant, the floor.
    np.testing.assert_allclose(log_power(frames, RATE), [math.log(0.02), math.log(1e-12)], rtol=1e-9)


def test_frames_are_kept_as_they_are() -> None:
    frames = np.random.default_rng(1).standard_normal((3, 30))
    kept = Frames(24)(frames, RATE)
    assert kept.dtype == np.float32
    np.testing.assert_array_equal(kept, frames[:, :24].astype(np.float32))


def test_a_bag_of_codes_counts_each_book() -> None:
    codes = np.array([[0, 0, 3, 3], [1, 2, 1, 1]])
    np.testing.assert_array_equal(BagOfCodes(4)(codes, RATE), [[0.5, 0, 0, 0.5], [0, 0.75, 0.25, 0]])
    with pytest.raises(ValueError, match=r"entries=3 is too few: codes run from 0 to 3"):
        BagOfCodes(3)(codes, RATE)
    with pytest.raises(TypeError, match=r"codes are integers, not float64: ask for BagOfCodes at .* alone"):
        BagOfCodes(4)(codes.astype(float), RATE)


def test_codes_are_heard_as_they_are_beside_values_relative_to_silence() -> None:
    """Two books of a meter: 0, and whether the hop is loud. Silence has codes too, and they are not subtracted."""

    class Coder(Meter):
        def listen(self, waveforms: Tensor) -> dict[str, Any]:
            heard = super().listen(waveforms)
            loud = (heard["latent"] > 0.05).long()
            return heard | {"codes": torch.cat([torch.full_like(loud, 2), loud], dim=1)}

    kept: list[Any] = []
    listener = Listener(Coder())
    ear = ear_of(listener, ("latent", "codes"))
    requests = [Listen((tone(), silence(0.3)), BagOfCodes(3), ("codes",)), Listen((tone(),), mean, ("latent",))]
    assert hear(listener, {"one": (ear, asks(requests, keep=kept))})["one"].error is None
    bags, means = kept[0]
    np.testing.assert_array_equal(bags["codes"], [[[0, 0, 1], [0, 1, 0]], [[0, 0, 1], [1, 0, 0]]])
    assert means["latent"].shape == (1, 1)


def test_alias_lines_are_recovered_with_their_phases() -> None:
    rng = np.random.default_rng(2)
    hz = (5.0, 13.0, 31.0)
    v = rng.standard_normal((4, 3)) + 1j * rng.standard_normal((4, 3))
    offset = rng.standard_normal(4)
    frames = np.stack([lines(40, *zip(hz, v[c], strict=True), offset=offset[c]) for c in range(4)])
    kept = AliasLines((hz,), 40, 1)(frames, RATE)
    assert kept.shape == (1, 1, 4, 4)
    np.testing.assert_allclose(kept[0, 0, :, 0], offset, atol=1e-9)
    np.testing.assert_allclose(kept[0, 0, :, 1:], v, atol=1e-9)


def test_each_token_starts_its_own_clock() -> None:
    # The same line, 25 frames later: turned by 2 pi f 25 / rate.
    hz, v = 7.0, 0.3 - 0.4j
    kept = AliasLines(((hz,),), 25, 3)(lines(80, (hz, v))[None], RATE)
    turns = np.exp(2j * np.pi * hz * 25 * np.arange(3) / RATE)
    np.testing.assert_allclose(kept[0, :, 0, 1], v * turns, atol=1e-9)


def test_each_set_of_lines_is_a_fit_of_its_own() -> None:
    frames = lines(48, (10.0, 1.0), (20.0, 2.0j), offset=3.0)[None]
    kept = AliasLines(((10.0, 20.0), (20.0,), ()), 48, 1)(frames, RATE)
    np.testing.assert_allclose(kept[0, 0, 0], [3.0, 1.0, 2.0j], atol=1e-9)
    # One line alone answers for what it can; a short set ends in zeros.
    assert abs(kept[1, 0, 0, 1] - 2.0j) < 0.2
    assert kept[1, 0, 0, 2] == 0
    np.testing.assert_allclose(kept[2, 0, 0], [frames.mean(), 0, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("readout", "message"),
    [
        (Frames(31), "count=31 frames were asked for and 30 are free of edges; ask for a longer clip"),
        (AliasLines(((5.0,),), 16, 2), "tokens=2 of count=16 frames were asked for and 30 are free of edges"),
    ],
    ids=["frames", "lines"],
)
def test_too_short_a_clip_is_said_so(readout: Callable[..., Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        readout(np.zeros((2, 30)), RATE)


def test_readouts_are_values() -> None:
    assert Frames(24) == Frames(24) != Frames(25)
    assert len({AliasLines(((1.0,),), 24, 1), AliasLines(((1.0,),), 24, 1)}) == 1


def test_a_probe_is_told_what_the_encoder_tells_of_itself():
    """Layers are heard as a variant, and are none of the ablations that a probe may count on."""
    encoder = Halfway()
    ear = ear_of(Listener(encoder), ("latent", "first_conv", "no such site"))
    assert ear.sites == ("latent", "first_conv")
    assert sorted(ear.variants) == ["full_rate", "full_rate_linear", "linear"]
    assert list(ear.layers) == ["layer 1", "layer 2", "layer 3"]
    assert ear.strides == (4, 5, 8)
    assert ear.frame_rates == {"latent": 100.0, "first_conv": 4000.0}
    assert ear.codes
    assert ear.shifted == ()
    np.testing.assert_array_equal(ear.first_conv_filters, encoder.first_conv_filters)
    codes = np.arange(8).reshape(1, 2, 4)
    unit = Listener(encoder).sizes["quantised"]
    np.testing.assert_array_equal(ear.dequantise(codes), encoder.dequantise(codes) / unit)
    assert ear_of(Listener(Meter()), ("latent",)).dequantise is None
