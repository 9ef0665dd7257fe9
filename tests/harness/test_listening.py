"""Listening: whoever the encoder is, the same clip has the same answer, and edges and faults have their names."""

import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from toy_encoders import HOP, SAMPLE_RATE, Faulty, Meter

from testtone.models.listening import BATCH, EncoderFault, Listener, Margin
from testtone.models.references import REFERENCES

RNG = np.random.default_rng(20)


class Taps(Meter):
    """FIR filters, a frame every `hop` samples: frame m weighs samples m hop - left to m hop + right, without the last.

    Beyond the clip they hear zeros.
    """

    def __init__(self, *, left: int, right: int, hop: int = HOP, channels: int = 1) -> None:
        super().__init__()
        self.hop, self.pad = hop, (left, max(0, right - hop))
        self.weight = torch.from_numpy(RNG.standard_normal((channels, 1, left + right)).astype(np.float32))

    def listen(self, waveforms: Tensor) -> dict[str, Any]:
        """Return 'latent', one frame per whole hop."""
        padded = torch.nn.functional.pad(waveforms[:, None], self.pad)
        frames = torch.nn.functional.conv1d(padded, self.weight, stride=self.hop)
        return {"latent": frames[..., : waveforms.shape[1] // self.hop]}


class Answers(Meter):
    """Says what it is told to say of the level."""

    def __init__(self, say: Callable[[NDArray[np.float32]], Any]) -> None:
        super().__init__()
        self.say = say

    def listen(self, waveforms: Tensor) -> Any:
        """Return what was told, for the RMS of every hop."""
        return self.say(super().listen(waveforms)["latent"].numpy())


def noise(clips: int, *, seconds: float = 0.5) -> NDArray[np.float32]:
    return (0.1 * RNG.standard_normal((clips, round(seconds * SAMPLE_RATE)))).astype(np.float32)


# --- some sites alone -----------------------------------------------------------------------------------------------


class Shortcut(Meter):
    """A meter that answers at some sites alone, with something added there."""

    def __init__(self, *, more: float = 0.0, early: float = 0.0) -> None:
        super().__init__()
        self.more, self.early, self.calls = more, early, [0, 0]

    def listen(self, waveforms: Tensor) -> dict[str, Any]:
        """Return both sites."""
        self.calls[0] += 1
        return super().listen(waveforms)

    def listen_at(self, waveforms: Tensor, sites: Sequence[str]) -> dict[str, Any]:
        """Return some sites."""
        self.calls[1] += 1
        heard = {site: values + self.more for site, values in super().listen(waveforms).items() if site in sites}
        for values in heard.values():
            values[..., :3] += self.early
        return heard


def test_some_sites_are_asked_for_alone_once_that_has_given_the_same() -> None:
    encoder = Shortcut()
    listener, clips = Listener(encoder), noise(3)
    whole = listener.listen(clips).values
    for _ in range(3):
        heard = listener.listen(clips, sites=("latent", "codes")).values
        np.testing.assert_array_equal(heard["latent"], whole["latent"])
    # The first time both are asked, beside the answer to the clips and the look at the sites.
    assert encoder.calls == [3, 3]
    assert set(listener.listen(clips, sites=("latent",)).values) == {"latent"}
    # The first batch of several is no exception.
    many = listener.listen(noise(2 * BATCH + 1), sites=("stack_end",)).values
    assert {site: values.shape for site, values in many.items()} == {"stack_end": (2 * BATCH + 1, 1, 50)}
    assert set(listener.listen(clips).values) == {"stack_end", "latent"}


def test_a_shortcut_that_gives_something_else_is_not_taken() -> None:
    encoder = Shortcut(more=1e-6)
    listener, clips = Listener(encoder), noise(3)
    whole = listener.listen(clips).values
    for _ in range(3):
        np.testing.assert_array_equal(listener.listen(clips, sites=("latent",)).values["latent"], whole["latent"])
    assert encoder.calls == [5, 1]


@pytest.mark.parametrize(
    ("declared", "taken"), [({"latent": (0.03, 0.0)}, True), ({"latent": 0.02}, False), ({}, False)]
)
def test_a_shortcut_may_say_anything_within_declared_margins_alone(declared: Any, taken: bool) -> None:
    encoder = Shortcut(early=1.0)
    encoder.margin_seconds = declared  # type: ignore[attr-defined]
    listener, clips = Listener(encoder), noise(3)
    whole = listener.listen(clips).values["latent"]
    for _ in range(2):
        heard = listener.listen(clips, sites=("latent",)).values["latent"]
        np.testing.assert_array_equal(heard[..., 3:], whole[..., 3:])
    assert (encoder.calls[1] == 2) == taken
    assert np.array_equal(heard, whole) != taken


def test_a_shortcut_that_lacks_a_site_is_a_fault() -> None:
    encoder = Shortcut()
    encoder.listen_at = lambda waveforms, sites: {}  # type: ignore[method-assign]
    with pytest.raises(EncoderFault, match=re.escape("meter: listen_at() was asked for latent and gave no latent")):
        Listener(encoder).listen(noise(1), sites=("latent",))
    encoder.listen_at = None  # type: ignore[assignment, method-assign]
    assert set(Listener(encoder).listen(noise(1), sites=("latent",)).values) == {"stack_end", "latent"}


# --- the same clip, the same answer ---------------------------------------------------------------------------------


@pytest.mark.parametrize("clips", [1, 3, BATCH, 11, 2 * BATCH])
def test_a_clip_answers_the_same_whoever_is_in_its_batch(clips: int) -> None:
    listener = Listener(Taps(left=300, right=300, channels=64))
    heard = noise(clips)
    together = listener.listen(heard).values["latent"]
    assert together.shape == (clips, 64, 50)
    for clip in range(clips):
        # To the bit.
        np.testing.assert_array_equal(together[clip], listener.listen(heard[clip : clip + 1]).values["latent"][0])


def test_the_order_of_clips_is_kept() -> None:
    levels = np.linspace(0.01, 0.2, 11, dtype=np.float32)
    heard = Listener(Meter()).listen(np.repeat(levels[:, None], 800, axis=1)).values["latent"]
    np.testing.assert_allclose(heard[:, 0], levels[:, None].repeat(10, axis=1), rtol=1e-6)


def test_an_encoder_that_writes_to_its_input_spoils_nobody_elses() -> None:
    class Scribbler(Meter):
        def listen(self, waveforms: Tensor) -> dict[str, Any]:
            heard = super().listen(waveforms)
            waveforms.fill_(1.0)
            return heard

    clips = noise(3)
    before = clips.copy()
    listener = Listener(Scribbler())
    first, second = (listener.listen(clips).values["latent"] for _ in range(2))
    np.testing.assert_array_equal(clips, before)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, Listener(Meter()).listen(clips).values["latent"])


def test_an_encoder_that_reuses_its_output_spoils_no_earlier_answer() -> None:
    class Thrifty(Meter):
        buffer = np.zeros((BATCH, 1, 50), np.float32)

        def listen(self, waveforms: Tensor) -> dict[str, Any]:
            self.buffer[:] = super().listen(waveforms)["latent"].numpy()
            return {"latent": self.buffer}

    listener = Listener(Thrifty())
    first = listener.listen(noise(1)).values["latent"]
    kept = first.copy()
    listener.listen(noise(1))
    np.testing.assert_array_equal(first, kept)


def test_nothing_is_learned_while_listening() -> None:
    weight = torch.nn.Parameter(torch.ones(1))

    class Learner(Meter):
        def listen(self, waveforms: Tensor) -> dict[str, Any]:
            return {site: weight * z for site, z in super().listen(waveforms).items()}

    heard = Listener(Learner()).listen(noise(1)).values["latent"]
    assert heard.dtype == np.float32
    assert weight.grad is None


@pytest.mark.parametrize(
    "convert",
    [
        lambda z: z.astype(np.float64),
        lambda z: torch.from_numpy(z).half(),
        lambda z: torch.from_numpy(z).bfloat16(),
        lambda z: z.tolist(),
    ],
    ids=["float64", "half", "bfloat16", "lists"],
)
def test_real_values_of_any_kind_come_back_as_float32(convert: Callable[[Any], Any]) -> None:
    clips = noise(2)
    heard = Listener(Answers(lambda z: {"latent": convert(z)})).listen(clips).values["latent"]
    assert heard.dtype == np.float32
    np.testing.assert_allclose(heard, Listener(Meter()).listen(clips).values["latent"], rtol=1e-2)


def test_codes_are_integers_and_stand_last() -> None:
    def say(z: NDArray[np.float32]) -> Mapping[str, Any]:
        return {"codes": (100 * z).astype(np.uint8), "quantised": z, "extra": "what nobody asked for"}

    listener = Listener(Answers(say))
    assert listener.sites == ("quantised", "codes")
    assert listener.listen(noise(1)).values["codes"].dtype == np.int64
    assert listener.margins["codes"] == listener.margins["quantised"]


# --- faults ---------------------------------------------------------------------------------------------------------

FAULTS: dict[str, tuple[Callable[[NDArray[np.float32]], Any], str]] = {
    "nothing": (lambda z: None, "listen() returned NoneType, not a mapping of sites to arrays"),
    "an array": (lambda z: z, "listen() returned ndarray, not a mapping of sites to arrays"),
    "no site": (
        lambda z: {"layer4": z},
        "listen() returned none of the sites first_conv, stack_end, latent, quantised (got: layer4)",
    ),
    "codes alone": (lambda z: {"codes": z.astype(int)}, "listen() returned none of the sites"),
    "no channels": (
        lambda z: {"latent": z[:, 0]},
        "site 'latent' has shape (8, 100); it must be 'batch channels frames'",
    ),
    "four axes": (lambda z: {"latent": z[..., None]}, "site 'latent' has shape (8, 1, 100, 1); it must be"),
    "half the batch": (lambda z: {"latent": z[:4]}, "site 'latent' has shape (4, 1, 100): 4 answers to 8 clips"),
    "no frames": (lambda z: {"latent": z[..., :0]}, "site 'latent' has shape (8, 1, 0): nothing to measure"),
    "integers": (
        lambda z: {"latent": z.astype(np.int32)},
        "site 'latent' holds int32; it must be real floating point (integers belong under 'codes')",
    ),
    "booleans": (lambda z: {"latent": z > 0}, "site 'latent' holds bool; it must be real floating point"),
    "complex": (lambda z: {"latent": z * 1j}, "site 'latent' holds complex64; it must be real floating point"),
    "words": (lambda z: {"latent": z.astype(str)}, "site 'latent' holds <U"),
    "one NaN": (
        lambda z: {"latent": np.where(np.arange(z.size).reshape(z.shape) == 3, np.nan, z)},
        "site 'latent' holds 1 values of 800 that are NaN or infinite",
    ),
    "infinite": (lambda z: {"latent": z + np.inf}, "site 'latent' holds 800 values of 800 that are NaN or infinite"),
    "real codes": (lambda z: {"latent": z, "codes": z}, "site 'codes' holds float32; codes are integers"),
    "flat codes": (
        lambda z: {"latent": z, "codes": z[:, 0].astype(int)},
        "site 'codes' has shape (8, 100); it must be 'batch codebooks frames'",
    ),
    "an error": (lambda z: 1 / 0, "listen() raised ZeroDivisionError: division by zero"),
    "an error of many lines": (lambda z: int("no\n number"), "listen() raised ValueError: invalid literal for int"),
    "an error of many words": (lambda z: z.reshape([7] * 60), "listen() raised ValueError: cannot reshape array"),
}


@pytest.mark.parametrize(("say", "message"), FAULTS.values(), ids=FAULTS)
def test_every_fault_has_a_name(say: Callable[[NDArray[np.float32]], Any], message: str) -> None:
    listener = Listener(Answers(say), spec="mine.py:build")
    with pytest.raises(EncoderFault, match="^mine.py:build: " + re.escape(message)) as fault:
        listener.listen(noise(8, seconds=1.0))
    assert "\n" not in str(fault.value)
    assert len(str(fault.value)) < 260


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "fewer sites": (lambda z: {"latent": z["latent"]}, "listen() gave stack_end, latent before and latent now"),
    "more sites": (lambda z: z | {"quantised": z["latent"]}, "before and stack_end, latent, quantised now"),
    "more channels": (lambda z: {s: v.repeat(1, 2, 1) for s, v in z.items()}, "had 1 channels before and 2 now"),
    "fewer frames": (
        lambda z: {s: v[..., 1:] for s, v in z.items()},
        "two batches of one length came back with other sites, channels or frame counts",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), CHANGES.values(), ids=CHANGES)
def test_an_encoder_may_not_change_its_mind(spoil: Callable[[dict[str, Any]], Any], message: str) -> None:
    listener = Listener(Faulty(spoil, after=1))
    with pytest.raises(EncoderFault, match=re.escape(message)):
        listener.listen(noise(BATCH + 1))


def test_a_warning_is_no_fault() -> None:
    # In this very session warnings are errors; an encoder that gives one keeps its verdict.
    def say(z: NDArray[np.float32]) -> Mapping[str, Any]:
        warnings.warn("this layer is deprecated", DeprecationWarning, stacklevel=1)
        return {"latent": z}

    with warnings.catch_warnings(record=True):
        warnings.simplefilter("error")
        assert Listener(Answers(say)).sites == ("latent",)


# --- frame rates ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hop", [1, 2, 80, 100, 160, 320])
def test_frame_rates_are_counted(hop: int) -> None:
    assert Listener(Taps(left=0, right=hop, hop=hop)).frame_rates == {"latent": SAMPLE_RATE / hop}


@pytest.mark.parametrize("lost", [0, 1, 3])
def test_frames_lost_at_the_edges_do_not_count(lost: int) -> None:
    listener = Listener(Answers(lambda z: {"latent": z[..., lost:]}))
    assert listener.frame_rates == {"latent": 100.0}


def test_a_declared_rate_is_taken_at_its_word() -> None:
    encoder = Meter()
    encoder.frame_rates = {"latent": 100.1}  # type: ignore[attr-defined]
    assert Listener(encoder).frame_rates == {"stack_end": 100.0, "latent": 100.1}


@pytest.mark.parametrize("rate", [8000, 8000.0, np.int64(8000), np.float32(8000)], ids=lambda rate: type(rate).__name__)
def test_a_whole_sample_rate_may_be_any_number(rate: Any) -> None:
    encoder = Meter()
    encoder.sample_rate = rate
    assert Listener(encoder).sample_rate == 8000
    assert type(Listener(encoder).sample_rate) is int


@pytest.mark.parametrize("rate", [0, -8000, 8000.5, math.nan, math.inf, True, None, "8k"])
def test_other_sample_rates_are_refused(rate: Any) -> None:
    encoder = Meter()
    encoder.sample_rate = rate
    with pytest.raises(EncoderFault, match=re.escape(f"sample_rate={rate!r} is not a positive whole number of Hz")):
        _ = Listener(encoder).sample_rate


# --- margins --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "right"),
    [
        # How many samples before its hop a frame hears, and up to where after the start of it.
        (0, HOP),
        (HOP, HOP),
        (5 * HOP, HOP),
        (0, 4 * HOP),
        (3 * HOP, 4 * HOP),
        (20 * HOP, 2 * HOP),
    ],
    ids=["its hop alone", "one hop back", "causal", "ahead", "centred", "long memory"],
)
def test_margins_are_how_far_a_frame_hears(left: int, right: int) -> None:
    listener = Listener(Taps(left=left, right=right))
    # Hops that a frame hears beyond its own; and one more, to be safe.
    assert listener.margins == {"latent": Margin(left // HOP + 1, (right - HOP) // HOP + 1)}


def test_frames_within_the_margins_hear_only_the_clip() -> None:
    # What the margins are for: whatever lies beyond the edges, the frames between them stay the same.
    encoder = Taps(left=3 * HOP + 10, right=2 * HOP + 10)
    margin = Listener(encoder).margins["latent"]
    middle, before, after = noise(3)
    alone = Listener(encoder).listen(middle[None]).values["latent"][0]
    among = Listener(encoder).listen(np.concatenate([before, middle, after])[None]).values["latent"][0, :, 50:100]
    free = slice(margin.left, 50 - margin.right)
    np.testing.assert_allclose(alone[:, free], among[:, free], atol=1e-5)
    assert np.abs(alone - among)[:, : margin.left].max() > 0.1
    assert np.abs(alone - among)[:, 50 - margin.right :].max() > 0.1


def test_a_memory_that_fades_has_a_margin() -> None:
    class Leaky(Meter):
        def listen(self, waveforms: Tensor) -> dict[str, Any]:
            level = super().listen(waveforms)["latent"].numpy()
            state, kept = np.zeros(level.shape[:2]), []
            for frame in range(level.shape[2]):
                state = 0.5 * state + level[:, :, frame]
                kept.append(state)
            return {"latent": np.stack(kept, axis=2)}

    margin = Listener(Leaky()).margins["latent"]
    # 2^-10 is about a thousandth.
    assert 7 <= margin.left <= 14
    assert margin.right == 1


def test_a_code_that_tips_late_does_not_condemn_a_codec() -> None:
    """A trace far below the tolerance tips a code 1.5 s on; the latent forgot long before, and the frames are good."""

    class Codec(Meter):
        def listen(self, waveforms: Tensor) -> dict[str, Any]:
            latent = super().listen(waveforms)["latent"]
            tipped = torch.zeros_like(latent)
            if latent.shape[2] > 350:
                tipped[..., 350] = (latent[..., 190] != latent[0, 0, 190]).to(latent.dtype)
            return {"latent": latent, "quantised": latent.round(decimals=1) + tipped, "codes": tipped.long()}

    listener = Listener(Codec())
    assert listener._measured_margins["quantised"].left > 100
    assert listener.margins["quantised"] == listener.margins["codes"] == listener.margins["latent"] == Margin(1, 1)


def test_a_margin_that_is_declared_is_not_measured() -> None:
    class Patient(Meter):
        margin_seconds: ClassVar[dict[str, float]] = {"latent": 0.2}

        def listen(self, waveforms: Tensor) -> dict[str, Any]:
            heard = super().listen(waveforms)
            return heard | {"latent": heard["latent"].cumsum(dim=2)}

    assert Listener(Patient()).margins == {"stack_end": Margin(1, 1), "latent": Margin(20, 20)}


def test_a_memory_that_stays_has_none() -> None:
    class Mean(Meter):
        def listen(self, waveforms: Tensor) -> dict[str, Any]:
            level = super().listen(waveforms)["latent"]
            return {"latent": level.cumsum(dim=2) / torch.arange(1, 1 + level.shape[2])}

    encoder = Mean()
    with pytest.raises(EncoderFault, match=r"site 'latent' still hears a change of sound after 2.00 s \(limit 1 s\)"):
        _ = Listener(encoder).margins
    # Whoever knows better may say so.
    encoder.margin_seconds = {"latent": 0.2}  # type: ignore[attr-defined]
    assert Listener(encoder).margins["latent"] == Margin(20, 20)


@pytest.mark.parametrize(
    ("declared", "margin"),
    [
        (0, Margin(0, 0)),
        (0.05, Margin(5, 5)),
        (0.051, Margin(6, 6)),
        ((0.1, 0.0), Margin(10, 0)),
        ([np.float32(0.25), 0], Margin(25, 0)),
    ],
    ids=["none", "seconds", "begun frames count", "a pair", "a list"],
)
def test_declared_margins_are_in_seconds(declared: Any, margin: Margin) -> None:
    encoder = Meter()
    encoder.margin_seconds = {"latent": declared}  # type: ignore[attr-defined]
    margins = Listener(encoder).margins
    assert margins["latent"] == margin
    # The other site is measured.
    assert margins["stack_end"] == Margin(1, 1)


@pytest.mark.parametrize("name", REFERENCES)
def test_the_references_declare_margins_that_hold(name: str) -> None:
    encoder = REFERENCES[name]()
    declared = Listener(encoder).margins["latent"]
    measured = Listener(encoder)._measured_margins["latent"]
    # The measured ones are a frame on the safe side.
    assert declared.left >= measured.left - 1
    assert declared.right >= measured.right - 1
