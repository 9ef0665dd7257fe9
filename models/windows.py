"""Encoders of one clip length: a longer sound is heard in windows that overlap.

An encoder with `input_samples` answers to clips of exactly that many samples. A longer sound is cut into such windows,
and what they say is put together as if one encoder of any length had heard it. A site is heard in one of two ways:

``slides``    It gives one frame a window, or every frame hears the whole window. The window moves on by
              `shift_samples`, and of each window one frame is kept, the middle one. Frame m hears the samples from
              m * shift to m * shift + window.
``stitched``  It gives many frames, and those away from the edges do not know where the window stands: the same sound a
              hop later gives the same frames, one earlier. The window moves on by as many hops as it has such frames,
              and they are laid end to end.

Which of the two is found by listening, and so is the hop, because one length alone does not tell it: 50 frames for
16 000 samples may stand 320 apart, or closer where convolutions without padding lose some.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .protocol import CODES

SHIFTS = 64
"""Shifts a window, unless the encoder says how far to shift."""

CANDIDATES = 64
"""Hops that are tried at most; where there would be more, a window has too few frames to tell them apart."""

Ask = Callable[[NDArray[np.float32]], Mapping[str, NDArray[Any]]]
"""Clips 'batch window' -> site -> 'batch channels frames', checked."""


@dataclass(frozen=True)
class View:
    """How one site is heard through windows."""

    frames: int
    """Frames that are kept of a window: one, or all."""
    hop: int
    """Samples from frame to frame."""
    left: int = 0
    """Frames at the start of a window that hear its edge."""
    right: int = 0
    """Frames at its end that do."""
    pick: int | None = None
    """Which frame is kept, where it is one."""

    @property
    def slides(self) -> bool:
        """Whether each window gives one frame."""
        return self.pick is not None

    def count(self, samples: int, window: int) -> int:
        """Frames for so many samples, at least a window of them."""
        return self.frames + (samples - window) // self.hop

    def missing(self, window: int) -> int:
        """Frames by which a clip of any length falls short of its length over the hop, at most."""
        return max(0, math.ceil((window + self.hop - 1) / self.hop - self.frames))

    def pieces(self, samples: int, window: int) -> list[tuple[int, slice, slice]]:
        """What is taken from where: (start of the window in samples, its frames, where they stand in the whole)."""
        last = (samples - window) // self.hop
        starts = [*range(0, last, self.frames - self.left - self.right), last]
        pieces = []
        for start, following in zip(starts, [*starts[1:], None], strict=True):
            low = self.left if start else 0
            high = self.frames if following is None else following + self.left - start
            offset = self.pick or 0
            pieces.append(
                (start * self.hop, slice(low + offset, high + offset), slice(start + low, start + high)),
            )
        return pieces


class Windows:
    """Hears longer sounds through an encoder of one clip length.

    Args:
        ask: the encoder, checked.
        samples: the length of its clips.
        shift: samples from window to window, for sites that give one frame each.
        hops: site -> samples from frame to frame, where the encoder tells; it is then not looked for.
        strides: the chain of strides, if the encoder tells it: hops to try first.
        margins: site -> frames that hear the window's edges, (start, end), where the encoder tells.
        settled: share of a frame's size that counts as no change.
    """

    def __init__(
        self,
        ask: Ask,
        *,
        samples: int,
        shift: int,
        hops: Mapping[str, float],
        strides: Sequence[int],
        margins: Mapping[str, tuple[float, float]],
        settled: float,
    ) -> None:
        self.samples, self.shift = samples, shift
        self._ask, self._settled = ask, settled
        self._hops, self._margins = hops, margins
        self._products = [math.prod(strides[: upto + 1]) for upto in range(len(strides))]
        one = ask(np.zeros((1, samples), np.float32))
        self.frames: Mapping[str, int] = {site: values.shape[2] for site, values in one.items()}
        """Frames that one window gives, per site."""
        self.views: Mapping[str, View] = self._looked_at()

    def count(self, samples: int) -> dict[str, int]:
        """Frames per site for so many samples."""
        return {site: view.count(samples, self.samples) for site, view in self.views.items()}

    def listen(self, waveforms: NDArray[np.float32], *, batch: int) -> dict[str, NDArray[Any]]:
        """Return what 'clips samples', at least a window long, give: site -> 'clips channels frames'."""
        pieces: dict[int, list[tuple[str, slice, slice]]] = {}
        for site, view in self.views.items():
            for start, taken, put in view.pieces(waveforms.shape[1], self.samples):
                pieces.setdefault(start, []).append((site, taken, put))
        asked = [(clip, start) for clip in range(len(waveforms)) for start in sorted(pieces)]
        counts = self.count(waveforms.shape[1])
        whole: dict[str, NDArray[Any]] = {}
        for first in range(0, len(asked), batch):
            rows = asked[first : first + batch]
            answer = self._ask(np.stack([waveforms[clip, start : start + self.samples] for clip, start in rows]))
            for site, values in answer.items():
                if site not in whole:
                    shape = (len(waveforms), values.shape[1], counts[site])
                    whole[site] = np.empty(shape, values.dtype)
            for row, (clip, start) in enumerate(rows):
                for site, taken, put in pieces[start]:
                    whole[site][clip, :, put] = answer[site][row][:, taken]
        return whole

    def _looked_at(self) -> dict[str, View]:
        views: dict[str, View] = {}
        for site, frames in self.frames.items():
            # A code tips where a latent moves by nothing to speak of; a quantiser works frame by frame anyway.
            follows = site in ("quantised", CODES) and self.frames.get("latent") == frames
            views[site] = views["latent"] if follows else self._view(site, frames)
        return views

    def _view(self, site: str, frames: int) -> View:
        slides = View(1, self.shift, pick=frames // 2)
        if frames < 4 or site == CODES:
            return slides
        best: View | None = None
        nearest = self._settled
        for hop in self._candidates(site, frames):
            off, left, right = self._shifted(site, frames, hop)
            if off <= nearest:
                nearest, best = off, View(frames, hop, left, right)
        if best is None:
            return slides
        if site in self._margins:
            left, right = (math.ceil(edge) for edge in self._margins[site])
        else:
            # A frame more, to be safe.
            left, right = best.left + 1, best.right + 1
        return View(frames, best.hop, left, right) if left + right < frames else slides

    def _candidates(self, site: str, frames: int) -> list[int]:
        if site in self._hops:
            hop = self._hops[site]
            return [round(hop)] if abs(hop - round(hop)) < 1e-6 else []
        # The same burst in two places: how many frames lie between its answers?
        length = max(1, self.samples // 16)
        burst = 0.3 * np.random.default_rng(0).standard_normal(length)
        places = [self.samples // 4, self.samples // 4 + self.samples // 3]
        clips = np.zeros((3, self.samples), np.float32)
        for clip, place in zip(clips[1:], places, strict=True):
            clip[place : place + length] = burst
        quiet, *answers = self._ask(clips)[site].astype(np.float64)
        energies = [np.square(answer - quiet).sum(axis=0) for answer in answers]
        if min(energy.sum() for energy in energies) <= 0:
            return []
        early, late = (float(energy @ np.arange(frames) / energy.sum()) for energy in energies)
        if late - early < 0.5:
            return []
        about = (places[1] - places[0]) / (late - early)
        spread = math.ceil(2 * about / frames)
        longest = (self.samples - 1) // (frames - 1)
        near = [hop for hop in range(math.floor(about) - spread, math.ceil(about) + spread + 1) if 1 <= hop <= longest]
        likely = [hop for hop in (*self._products, round(self.samples / frames)) if hop in near]
        return list(dict.fromkeys([*likely, *sorted(near, key=lambda hop: abs(hop - about))]))[:CANDIDATES]

    def _shifted(self, site: str, frames: int, hop: int) -> tuple[float, int, int]:
        """How far frames move when the sound comes some hops earlier: in the middle; and how many do at either edge.

        The distance is in shares of a frame's size. A window that stands some hops later hears its sound as much
        earlier, so its frame m should be frame m + hops of the other.
        """
        ahead = max(1, frames // 3)
        sound = 0.1 * np.random.default_rng(1).standard_normal(self.samples + ahead * hop)
        clips = np.stack([sound[: self.samples], sound[ahead * hop :]]).astype(np.float32)
        first, second = self._ask(clips)[site].astype(np.float64)
        size = np.sqrt(np.square(first - first.mean(axis=1, keepdims=True)).sum(axis=0).mean()) or 1.0
        distance = np.sqrt(np.square(second[:, : frames - ahead] - first[:, ahead:]).sum(axis=0)) / size
        low = high = len(distance) // 2
        while low > 0 and distance[low - 1] <= self._settled:
            low -= 1
        while high < len(distance) and distance[high] <= self._settled:
            high += 1
        return float(distance[len(distance) // 2]), low, len(distance) - high
