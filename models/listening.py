"""Listening: waveforms in, checked activations out, whoever the encoder is.

A :class:`Listener` asks an encoder in batches of one fixed shape, checks every answer against the contract, and finds
out what the encoder did not say: its frame rates, and how many frames at each edge of a clip hear its padding or its
memory rather than the sound. Whatever is wrong with an encoder ends in an :class:`EncoderFault` that names it in one
line.

Batches have one shape because the last bits of a result may depend on it: a clip then answers the same whichever clips
share its batch.

An encoder that takes clips of one length (`input_samples`) is never given another: `windows` says how it hears more.
"""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .isolation import LIMIT_SECONDS, OverdueError, isolated, overdue_after
from .protocol import CODES, SITES, Encoder
from .windows import SHIFTS, Windows

BATCH = 8
"""Clips a batch: the fastest shape for EnCodec on a laptop, whose working set leaves the cache at 16."""

SETTLED = 1e-3
"""A frame counts as free of an edge when what lies beyond it moves the frame by less than this share of its size."""

MAX_MARGIN_SECONDS = 1.0
"""An encoder whose frames still hear an edge after this long has no frames that are free of it."""

LONGEST_SECONDS = 16
"""An encoder that hears no clip of this length hears none."""


VARIANTS: Mapping[str, tuple[bool, bool]] = {
    "linear": (False, True),
    "full_rate": (True, False),
    "full_rate_linear": (True, True),
}
"""Variants of an encoder by name: whether its strides are removed, and whether it is linearised."""


LAYERS = "layers"
"""The variant whose sites are the outputs of the encoder's strided layers, named 'layer 1' and so on."""


class EncoderFault(Exception):
    """The encoder broke the contract; the message is one line that says how."""


@dataclass(frozen=True)
class Activation:
    """What an encoder answered to a batch of clips: site -> ``'batch channels frames'``, float32 (codes: int64)."""

    values: Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Margin:
    """Frames to leave out at either end of a clip."""

    left: int
    right: int


class Listener:
    """Asks one encoder, and answers for it.

    Args:
        encoder: anything that fulfils :class:`~testtone.models.protocol.Encoder`.
        spec: how the user named it; stands in every message.
        limit_seconds: how long it may take for one batch.
        sites: what the sites are called; those of the contract, unless it is an encoder's layers that are heard.

    Raises:
        EncoderFault: from any method, at the first broken promise.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        spec: str | None = None,
        limit_seconds: float = LIMIT_SECONDS,
        sites: tuple[str, ...] = SITES,
    ) -> None:
        self.encoder = encoder
        self._names = sites
        self.limit_seconds = limit_seconds
        self.spec = spec or encoder.name
        self._channels: dict[str, int] = {}
        self._counts: dict[int, Mapping[str, int]] = {}
        self._offered: tuple[str, ...] | None = None
        self._shortcuts: dict[tuple[str, ...], bool] = {}
        """Whether `listen_at` gave what `listen` gives, by the sites asked for."""
        self.unknown: tuple[str, ...] = ()
        """What the last answer held beside sites; nobody reads it."""

    @cached_property
    def sample_rate(self) -> int:
        """Hz."""
        rate = self.encoder.sample_rate
        if (
            isinstance(rate, bool)
            or not isinstance(rate, (int, float, np.integer, np.floating))
            or not (math.isfinite(rate) and rate > 0 and rate == int(rate))
        ):
            raise self._fault(f"sample_rate={rate!r} is not a positive whole number of Hz")
        return int(rate)

    @cached_property
    def sites(self) -> tuple[str, ...]:
        """The sites the encoder offers, in the order of the contract; 'codes' last if it gives codes."""
        offered = self._frames(self._unit)
        return tuple(site for site in (*self._names, CODES) if site in offered)

    @cached_property
    def shifted(self) -> tuple[str, ...]:
        """The sites of one frame a window, for encoders of one clip length: their frame rate is that of the windows."""
        return tuple(s for s in self.sites if self._windows is not None and self._windows.views[s].slides)

    @cached_property
    def window_samples(self) -> int | None:
        """The one length of clips that the encoder takes; None if it takes any."""
        samples = getattr(self.encoder, "input_samples", None)
        return None if samples is None else self._whole("input_samples", samples, most=samples)

    @cached_property
    def shift_samples(self) -> int | None:
        """Samples from window to window, for an encoder of one clip length."""
        window = self.window_samples
        if window is None:
            return None
        shift = getattr(self.encoder, "shift_samples", None)
        return max(1, round(window / SHIFTS)) if shift is None else self._whole("shift_samples", shift, most=window)

    @cached_property
    def least_seconds(self) -> float:
        """Length of the shortest clip that the encoder hears; 0 where a second is long enough."""
        if self._windows is not None:
            return self._windows.samples / self.sample_rate
        low, high = self._unit // 2, self._unit
        if self._unit == self.sample_rate:
            return 0.0
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._hears(middle) is None else (middle, high)
        return high / self.sample_rate

    @cached_property
    def _unit(self) -> int:
        """Samples of a clip that is long enough for the encoder: a second, unless that is too short; then 2, 4 ..."""
        if self._windows is not None:
            return max(self._windows.samples, self.sample_rate)
        fault = self._hears(self.sample_rate)
        seconds = 1
        while fault is not None:
            seconds *= 2
            if seconds > LONGEST_SECONDS:
                raise fault
            if self._hears(seconds * self.sample_rate) is None:
                break
        return seconds * self.sample_rate

    def _hears(self, samples: int) -> EncoderFault | None:
        """What is wrong with the answer to so short a clip; None if nothing is."""
        try:
            self._frames(samples)
        except EncoderFault as fault:
            return fault
        return None

    @cached_property
    def _windows(self) -> Windows | None:
        """How an encoder of one clip length is heard; None for an encoder of any length."""
        if self.window_samples is None or self.shift_samples is None:
            return None
        hops = {site: self.sample_rate / rate for site, rate in self._declared_rates().items()}
        edges = {site: self._declared_edges(site) for site in self._declared("margin_seconds", "seconds")}
        return Windows(
            self._listen_in_batches,
            samples=self.window_samples,
            shift=self.shift_samples,
            hops=hops,
            strides=self.strides or (),
            margins={
                site: (left * self.sample_rate / hops[site], right * self.sample_rate / hops[site])
                for site, (left, right) in edges.items()
                if site in hops
            },
            settled=SETTLED,
        )

    def _whole(self, attribute: str, value: Any, *, most: Any) -> int:
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not whole or not 0 < value <= most:
            limit = f", {most} at most" if whole and value > 0 else ""
            raise self._fault(f"{attribute}={value!r} is not a positive whole number of samples{limit}")
        return int(value)

    @cached_property
    def frame_rates(self) -> Mapping[str, float]:
        """Frames a second, per site: as declared, else counted."""
        declared = self._declared_rates()
        if self._windows is not None:
            return {site: self.sample_rate / self._windows.views[site].hop for site in self.sites}
        rates = {}
        for site in self.sites:
            short, long = self.counts(site)
            counted = (long - short) / 4
            if counted <= 0:
                raise self._fault(
                    f"site {site!r} gives {short} frames for {self._unit // self.sample_rate} s and {long} "
                    f"for {self._unit // self.sample_rate + 4} s: no frame rate can be counted"
                    + ("; if it takes clips of one length, set input_samples" if short == 1 else "")
                )
            rates[site] = float(declared[site]) if site in declared else self.counted_rate(site)
            if abs(rates[site] - counted) > 0.5:
                said = (
                    f"frame_rates[{site!r}]={rates[site]:g} Hz" if site in declared else f"site {site!r} keeps no rate"
                )
                raise self._fault(f"{said}, but four seconds more of sound give {4 * counted:g} frames more")
        return rates

    @cached_property
    def missing_frames(self) -> Mapping[str, int]:
        """Frames by which a clip falls short of its length times the rate: convolutions without padding lose some."""
        if self._windows is not None:
            return {site: view.missing(self._windows.samples) for site, view in self._windows.views.items()}
        missing = {}
        for site in self.sites:
            short = [
                samples / self.sample_rate * self.frame_rates[site] - self._frames(samples)[site]
                for samples in (self._unit, self._unit + 4 * self.sample_rate)
            ]
            missing[site] = max(0, math.ceil(max(short) - 1e-6))
        return missing

    def counted_rate(self, site: str) -> float:
        """Frames a second, exact: from the lengths at which one frame, and some hundred frames later another, is added.

        Where alias orders are high a rate that is off by a thousandth is off by a class, so a count will not do.
        """
        short, long = self.counts(site)
        about = (long - short) / 4
        hop, more = self.sample_rate / about, max(1, round(about))
        frames, first = self._next_frame(site, hop)
        guess = first + more * hop
        second = self._least_length(site, frames + more, math.floor(guess - 3 * hop), math.ceil(guess + 3 * hop))
        return self.sample_rate * more / (second - first)

    def keeps_rate(self, site: str, hz: float) -> bool:
        """Whether frames come at so many a second: about a second of them later the next one comes to the sample."""
        hop, more = self.sample_rate / hz, max(1, round(hz))
        frames, first = self._next_frame(site, hop)
        at, slack = first + more * hop, 0 if hop == round(hop) else 1
        late, early = math.ceil(at - 1e-6) + slack, math.floor(at + 1e-6) - slack - 1
        return self._frames(late)[site] >= frames + more > self._frames(early)[site]

    def _next_frame(self, site: str, hop: float) -> tuple[int, int]:
        """One frame more than an ordinary clip gives, and the least number of samples that gives it."""
        start, frames = self._unit, self._frames(self._unit)[site] + 1
        return frames, self._least_length(site, frames, start, start + math.ceil(2 * hop))

    def counts(self, site: str) -> tuple[int, int]:
        """Frames for a clip of a second (or more, where that is too short), and for one that is four seconds longer."""
        return self._frames(self._unit)[site], self._frames(self._unit + 4 * self.sample_rate)[site]

    def _least_length(self, site: str, frames: int, low: int, high: int) -> int:
        """The least number of samples that gives so many frames; ``low`` gives fewer, ``high`` enough."""
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._frames(middle)[site] < frames else (low, middle)
        return high

    @cached_property
    def strides(self) -> tuple[int, ...] | None:
        """The chain of strides, if the encoder tells it."""
        strides = getattr(self.encoder, "strides", None)
        try:
            return None if strides is None else tuple(operator.index(stride) for stride in strides)
        except TypeError:
            raise self._fault(f"strides={strides!r} is not a sequence of whole numbers") from None

    @cached_property
    def first_conv_filters(self) -> NDArray[np.float64] | None:
        """The filters of the first convolution, ``'channels taps'``, if the encoder tells them."""
        told = getattr(self.encoder, "first_conv_filters", None)
        if told is None:
            return None
        try:
            filters = np.asarray(told.detach().cpu() if isinstance(told, torch.Tensor) else told, dtype=np.float64)
        except (TypeError, ValueError):
            raise self._fault(f"first_conv_filters is a {type(told).__name__}, not 'channels taps'") from None
        if filters.ndim != 2 or 0 in filters.shape or not np.isfinite(filters).all():
            raise self._fault(f"first_conv_filters of shape {filters.shape} must be finite 'channels taps'")
        return filters

    def dequantise(self, codes: NDArray[np.int64]) -> NDArray[np.float64]:
        """What codes 'batch codebooks frames', or the first of their codebooks, stand for: 'batch channels frames'."""
        told = getattr(self.encoder, "dequantise", None)
        if told is None:
            raise self._fault("it has no dequantise()")
        try:
            with torch.no_grad():
                values = told(torch.from_numpy(np.ascontiguousarray(codes)))
        except Exception as error:
            raise self._fault(f"dequantise() raised {type(error).__name__}: {one_line(error)}") from error
        return np.asarray(values.detach().cpu() if isinstance(values, torch.Tensor) else values, dtype=np.float64)

    @cached_property
    def variants(self) -> Mapping[str, Listener]:
        """The same weights without strides, or linear, or both: those of `VARIANTS` that the encoder offers.

        And its strided layers one by one (`LAYERS`), where it tells them.
        """
        if self._by_layer is None:
            return self._ablated
        spec = f"{self.spec} (layers)"
        layers = Listener(self._by_layer, spec=spec, limit_seconds=self.limit_seconds, sites=tuple(self.layers))
        return {**self._ablated, LAYERS: layers}

    @cached_property
    def layers(self) -> Mapping[str, float]:
        """The strided layers that the encoder tells, in order, and the frame rates in Hz that it says they have."""
        return {} if self._by_layer is None else dict(self._by_layer.frame_rates)

    @cached_property
    def _by_layer(self) -> Any:
        by_layer = getattr(self.encoder, "by_layer", None)
        try:
            return None if by_layer is None else by_layer()
        except Exception as error:
            raise self._fault(f"by_layer() raised {type(error).__name__}: {one_line(error)}") from error

    @cached_property
    def strided_kernels(self) -> tuple[NDArray[np.float64], ...] | None:
        """The correlations before each stride, ``'out in taps'`` each, if the encoder tells them."""
        told = getattr(self.encoder, "strided_kernels", None)
        if told is None:
            return None
        try:
            kernels = tuple(np.asarray(each, dtype=np.float64) for each in told)
        except (TypeError, ValueError) as error:
            raise self._fault(f"strided_kernels cannot be read as arrays: {one_line(error)}") from None
        if len(kernels) != len(self.strides or ()) or any(k.ndim != 3 or 0 in k.shape for k in kernels):
            raise self._fault(
                f"strided_kernels has shapes {[k.shape for k in kernels]}; it must be 'out in taps' for each of "
                f"strides={self.strides}"
            )
        return kernels

    @cached_property
    def _ablated(self) -> Mapping[str, Listener]:
        ablated = getattr(self.encoder, "ablated", None)
        if ablated is None:
            return {}
        try:
            made = {name: ablated(full_rate=full, linear=linear) for name, (full, linear) in VARIANTS.items()}
        except Exception as error:
            raise self._fault(f"ablated() raised {type(error).__name__}: {one_line(error)}") from error
        return {
            name: Listener(each, spec=f"{self.spec} ({name.replace('_', ' ')})", limit_seconds=self.limit_seconds)
            for name, each in made.items()
            if each is not None
        }

    @cached_property
    def margins(self) -> Mapping[str, Margin]:
        """Frames to leave out at the edges, per site: from margin_seconds if declared, else measured.

        A quantiser works frame by frame, so its site has the margins of the latent it quantises. Measured by itself it
        could seem to remember for ever: a fading trace too small to matter can still tip one code.
        """
        if self._windows is not None:
            # No window reaches beyond the clip.
            return {site: Margin(view.left, view.right) for site, view in self._windows.views.items()}
        declared = self._declared("margin_seconds", "seconds")
        margins: dict[str, Margin] = {}
        for site in self.sites:
            if site == CODES:
                continue
            if site not in declared:
                follows = site == "quantised" and CODES in self.sites and "latent" in margins
                margins[site] = margins["latent"] if follows else self._settled_margin(site)
                continue
            left, right = self._declared_edges(site)
            rate = self.frame_rates[site]
            margins[site] = Margin(math.ceil(left * rate), math.ceil(right * rate))
        if CODES in self.sites:
            beside = "quantised" if "quantised" in margins else next(reversed(margins))
            margins[CODES] = margins[beside]
        return margins

    def _settled_margin(self, site: str) -> Margin:
        margin = self._measured_margins[site]
        longest = (max(margin.left, margin.right) - 1) / self.frame_rates[site]
        if longest > MAX_MARGIN_SECONDS:
            raise self._fault(
                f"site {site!r} still hears a change of sound after {longest:.2f} s (limit {MAX_MARGIN_SECONDS:g} s): "
                "no frame is free of the clip's edges; if that is meant, set margin_seconds"
            )
        return margin

    @cached_property
    def _measured_margins(self) -> Mapping[str, Margin]:
        """How far a change of sound reaches: clips agree in part, and some frames beyond that still differ.

        Left: from where the second half begins, to the first frame that hears it alone. Right: from the first frame
        that hears the second half to the last frame that a clip of the first half alone has.
        """
        return {site: Margin(left + 1, right + 1) for site, (left, right) in self.reach(SETTLED).items()}

    def reach(self, settled: float) -> Mapping[str, tuple[int, int]]:
        """Frames at the start and the end of a clip that are moved by more than a share of their size by an edge."""
        distances, repeats = self._distances
        half = self._unit + self.sample_rate
        found = {}
        for site, (late, early) in distances.items():
            tolerance = max(settled, 3 * repeats[site])
            frames = half / self.sample_rate * self.frame_rates[site]
            hears_past = np.flatnonzero(late > tolerance)
            hears_future = np.flatnonzero(early > tolerance)
            left = int(hears_past[-1]) + 1 - math.ceil(frames - 1e-6) if hears_past.size else 0
            alone = math.floor(frames + 1e-6) - self.missing_frames[site]
            right = alone - int(hears_future[0]) if hears_future.size else 0
            found[site] = (max(0, left), max(0, right))
        return found

    @cached_property
    def _distances(self) -> tuple[Mapping[str, tuple[NDArray[Any], NDArray[Any]]], Mapping[str, float]]:
        """How far each frame moves with what sounds before, and after, the middle of a clip; and with nothing."""
        rng = np.random.default_rng(0)
        half = self._unit + self.sample_rate
        clips = 0.1 * rng.standard_normal((3, 2 * half))
        late, early = clips[1].copy(), clips[2].copy()
        late[half:] = clips[0, half:]
        early[:half] = clips[0, :half]
        batch = np.stack([clips[0], clips[0], late, early]).astype(np.float32)
        answer = self.ask(batch)
        distances, repeats = {}, {}
        for site in self.sites:
            if site == CODES:
                continue
            z = answer[site].astype(np.float64)
            size = np.sqrt(np.square(z[0] - z[0].mean(axis=1, keepdims=True)).sum(axis=0).mean()) or 1.0
            distance = np.sqrt(np.square(z - z[0]).sum(axis=1)) / size
            repeats[site] = float(distance[1].max())
            distances[site] = (distance[2], distance[3])
        return distances, repeats

    @cached_property
    def sizes(self) -> Mapping[str, float]:
        """How large activations are, per site: the power of two nearest the RMS of what noise adds to silence.

        A power of two, so that dividing by it rounds nothing: an encoder whose weights are twice as large answers the
        same, to the bit. 1 where noise adds nothing.
        """
        noise = 0.1 * np.random.default_rng(2).standard_normal((1, self._unit))
        clips = np.concatenate([noise, np.zeros_like(noise)]).astype(np.float32)
        sizes = {}
        for site, values in self.listen(clips).values.items():
            if site == CODES:
                continue
            rms = float(np.sqrt(np.square(np.subtract(*values.astype(np.float64))).mean()))
            sizes[site] = 2.0 ** round(math.log2(rms)) if rms > 0 else 1.0
        return sizes

    @cached_property
    def unrepeatable(self) -> float:
        """How far apart the answers to one and the same batch are, asked twice; a share of their size, 0 if equal."""
        clip = 0.1 * np.random.default_rng(1).standard_normal((1, self.window_samples or self._unit))
        first, second = (self.ask(clip.astype(np.float32)) for _ in range(2))
        shares = [0.0]
        for site, values in first.items():
            if values.shape != second[site].shape:
                return 1.0
            if site == CODES:
                shares.append(float((values != second[site]).mean()))
                continue
            size = float(np.abs(values).max()) or 1.0
            shares.append(float(np.abs(values - second[site]).max()) / size)
        return max(shares)

    def listen(self, waveforms: NDArray[np.float32], *, sites: Collection[str] | None = None) -> Activation:
        """The encoder's checked answer to ``'batch samples'`` of any batch size, asked in batches of one shape.

        With ``sites``, at these at least, where it offers them; what lies within their margins may be anything.
        """
        if self._windows is None:
            return Activation(self._listen_in_batches(waveforms, sites))
        if waveforms.shape[1] < self._windows.samples:
            raise self._fault(
                f"a clip of {waveforms.shape[1]} samples is shorter than input_samples={self._windows.samples}"
            )
        return Activation(self._windows.listen(waveforms, batch=BATCH))

    def _listen_in_batches(
        self, waveforms: NDArray[np.float32], sites: Collection[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        pieces = []
        for start in range(0, len(waveforms), BATCH):
            clips = waveforms[start : start + BATCH]
            padded = np.zeros((BATCH, waveforms.shape[1]), np.float32)
            padded[: len(clips)] = clips
            answer = self.ask(padded) if sites is None else self._ask_at(padded, sites)
            pieces.append({site: values[: len(clips)] for site, values in answer.items()})
        first = pieces[0]
        if len(pieces) == 1:
            return first
        for piece in pieces[1:]:
            if piece.keys() != first.keys() or any(piece[s].shape[1:] != first[s].shape[1:] for s in first):
                raise self._fault("two batches of one length came back with other sites, channels or frame counts")
        return {site: np.concatenate([piece[site] for piece in pieces]) for site in first}

    def _frames(self, samples: int) -> Mapping[str, int]:
        """How many frames each site gives for so many samples, found with silence."""
        if self._windows is not None:
            return self._windows.count(samples)
        if samples not in self._counts:
            answer = self.ask(np.zeros((1, samples), np.float32))
            self._counts[samples] = {site: int(values.shape[2]) for site, values in answer.items()}
        return self._counts[samples]

    def ask(self, batch: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """The encoder's checked answer to one batch as it is."""
        answer = self._answer("listen", batch)
        self.unknown = tuple(str(site) for site in answer if site not in (*self._names, CODES))
        known = {site: answer[site] for site in (*self._names, CODES) if site in answer}
        if not set(known) & set(self._names):
            raise self._fault(
                f"listen() returned none of the sites {', '.join(self._names)} (got: "
                f"{', '.join(map(str, answer)) or 'nothing'})"
            )
        if self._offered is None:
            self._offered = tuple(known)
        elif set(known) != set(self._offered):
            raise self._fault(f"listen() gave {', '.join(self._offered)} before and {', '.join(known)} now")
        return {site: self._checked(site, value, len(batch)) for site, value in known.items()}

    def ask_at(self, batch: NDArray[np.float32], sites: Sequence[str]) -> dict[str, NDArray[Any]]:
        """The checked answer of `listen_at`, at sites that the encoder offers, to one batch as it is."""
        answer = self._answer("listen_at", batch, tuple(sites))
        lacking = [site for site in sites if site not in answer]
        if lacking:
            raise self._fault(f"listen_at() was asked for {', '.join(sites)} and gave no {', '.join(lacking)}")
        return {site: self._checked(site, answer[site], len(batch)) for site in sites}

    def _ask_at(self, batch: NDArray[np.float32], sites: Collection[str]) -> dict[str, NDArray[Any]]:
        """The answer at some sites at least, in less time where `listen_at` gave what `listen` gives when first asked.

        Where it did not, `listen` has the word.
        """
        wanted = tuple(site for site in self.sites if site in sites)
        if not wanted or not callable(getattr(self.encoder, "listen_at", None)):
            return self.ask(batch)
        if self._shortcuts.get(wanted):
            return self.ask_at(batch, wanted)
        whole = self.ask(batch)
        if wanted not in self._shortcuts:
            self._shortcuts[wanted] = not self.astray(whole, self.ask_at(batch, wanted))
        return {site: whole[site] for site in wanted}

    def astray(self, whole: Mapping[str, NDArray[Any]], some: Mapping[str, NDArray[Any]]) -> tuple[str, ...]:
        """The sites at which an answer of `listen_at` is not that of `listen`, to the bit and free of margins."""
        declared = self._declared("margin_seconds", "seconds")
        wrong = []
        for site, values in some.items():
            # Where margins are measured, every frame has to be right.
            told = ("quantised" if site == CODES else site) in declared
            margin = self.margins[site] if told else Margin(0, 0)
            kept = slice(margin.left, max(margin.left, values.shape[2] - margin.right))
            same = values.shape == whole[site].shape and values.dtype == whole[site].dtype
            if not same or not np.array_equal(values[..., kept], whole[site][..., kept]):
                wrong.append(site)
        return tuple(wrong)

    def _answer(self, method: str, batch: NDArray[np.float32], *more: Any) -> Mapping[str, Any]:
        """What a method of the encoder's returns for a batch: a mapping."""
        try:
            # A stranger's encoder may warn; whether warnings are errors is the business of the session, not of its
            # verdict.
            with isolated(), overdue_after(self.limit_seconds), torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("default")
                clips = torch.from_numpy(batch.copy()).to(getattr(self.encoder, "device", None) or "cpu")
                answer = getattr(self.encoder, method)(clips, *more)
        except EncoderFault:
            raise
        except OverdueError as error:
            raise self._fault(f"{method}() {error}; if that is meant, allow more with --claims-timeout") from None
        except Exception as error:
            raise self._fault(f"{method}() raised {type(error).__name__}: {one_line(error)}") from error
        if not isinstance(answer, Mapping):
            raise self._fault(f"{method}() returned {type(answer).__name__}, not a mapping of sites to arrays")
        return answer

    def _declared(self, attribute: str, unit: str) -> dict[str, Any]:
        """What the encoder says of its sites under an optional attribute."""
        declared = getattr(self.encoder, attribute, None)
        if declared is None:
            return {}
        if not isinstance(declared, Mapping):
            raise self._fault(f"{attribute}={declared!r} is not a mapping of sites to {unit}")
        return dict(declared)

    def _declared_rates(self) -> dict[str, float]:
        declared = self._declared("frame_rates", "Hz")
        for site, rate in declared.items():
            if not (isinstance(rate, (int, float, np.number)) and math.isfinite(rate) and rate > 0):
                raise self._fault(f"frame_rates[{site!r}]={rate!r} is not a positive number of Hz")
        return {site: float(rate) for site, rate in declared.items()}

    def _declared_edges(self, site: str) -> tuple[float, float]:
        """Seconds to ignore at the start and at the end of a clip."""
        declared = self._declared("margin_seconds", "seconds")[site]
        edges = declared if isinstance(declared, (tuple, list)) else (declared,) * 2
        if len(edges) != 2 or not all(isinstance(e, (int, float, np.number)) and 0 <= e < math.inf for e in edges):
            raise self._fault(f"margin_seconds[{site!r}]={declared!r} is not a number of seconds, or two of them")
        return float(edges[0]), float(edges[1])

    def _checked(self, site: str, value: Any, batch: int) -> NDArray[Any]:
        if isinstance(value, torch.Tensor):
            value = value.detach().cpu()
            value = value.float() if value.dtype in (torch.bfloat16, torch.float16) else value
        array = np.asarray(value)
        wanted = "'batch codebooks frames'" if site == CODES else "'batch channels frames'"
        if array.ndim != 3:
            raise self._fault(f"site {site!r} has shape {array.shape}; it must be {wanted}")
        if array.shape[0] != batch:
            raise self._fault(f"site {site!r} has shape {array.shape}: {array.shape[0]} answers to {batch} clips")
        if 0 in array.shape:
            raise self._fault(f"site {site!r} has shape {array.shape}: nothing to measure")
        if site == CODES:
            if array.dtype.kind not in "iu":
                raise self._fault(f"site {site!r} holds {array.dtype}; codes are integers")
            array = array.astype(np.int64)
        else:
            if array.dtype.kind != "f":
                raise self._fault(
                    f"site {site!r} holds {array.dtype}; it must be real floating point"
                    + (" (integers belong under 'codes')" if array.dtype.kind in "iu" else "")
                )
            array = np.array(array, dtype=np.float32)
            bad = ~np.isfinite(array)
            if bad.any():
                raise self._fault(f"site {site!r} holds {int(bad.sum())} values of {bad.size} that are NaN or infinite")
        channels = self._channels.setdefault(site, array.shape[1])
        if array.shape[1] != channels:
            raise self._fault(f"site {site!r} had {channels} channels before and {array.shape[1]} now")
        return array

    def _fault(self, what: str) -> EncoderFault:
        return EncoderFault(f"{self.spec}: {what}")


def one_line(error: BaseException, limit: int = 200) -> str:
    """What an error says, on one line, cut where it goes on."""
    text = " ".join(str(error).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."
