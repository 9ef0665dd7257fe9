"""Encoders that cut sound into segments, hear each by itself, and normalise it: EnCodec at 48 kHz.

A clip becomes segments of one length that overlap a little, as the overlapping windows of its decoder need them; the
last one is as short as the clip leaves it. Frames of the clip are taken from the earliest segment that holds them, so
that what overlaps counts once::

    clip      0 . . . . 5 . . . . 10 . . .       one figure a hop, segments of 6 hops, one every 5
    segment   0 1 2 3 4 5
                        0 1 2 3 4  5             the first frame of the second segment is left out

Where the step is no whole number of hops (47 520 samples against hops of 320 at 48 kHz), frames of every other segment
stand half a hop early. A clip no longer than a segment is one segment, and none of this matters to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

NORMALISES = "each second of sound is divided by its RMS before it is heard"
QUIET = 1e-8
"""Added to the RMS, so that silence stays silence."""


@dataclass(frozen=True)
class Segments:
    """Where a clip is cut, in samples.

    Args:
        length: of a segment.
        step: from one segment to the next.
    """

    length: int
    step: int

    def starts(self, samples: int) -> list[int]:
        """Return where the segments of a clip begin, without those that would lie within the one before."""
        return [start for start in range(0, samples, self.step) if start == 0 or start + self.overlap < samples]

    @property
    def overlap(self) -> int:
        """Samples that two neighbours share."""
        return self.length - self.step

    def hear(
        self, clips: Tensor, listen: Callable[[Tensor], Mapping[str, Tensor]], *, hops: Mapping[str, int]
    ) -> dict[str, Tensor]:
        """Return what `listen` says of each segment, joined to 'batch channels frames' per site.

        Args:
            clips: 'batch channels samples'.
            listen: hears one segment.
            hops: samples per frame of each site that it answers with.
        """
        samples = clips.shape[-1]
        pieces: dict[str, list[Tensor]] = {site: [] for site in hops}
        for start in self.starts(samples):
            answer = listen(clips[..., start : start + self.length])
            for site, hop in hops.items():
                done = sum(piece.shape[-1] for piece in pieces[site])
                # Frame `done` of the clip begins at `done * hop`; of this segment it is the frame at or before there.
                first = (done * hop - start) // hop
                last = -(-min(samples, start + self.length) // hop) - done + first
                pieces[site].append(answer[site][..., first:last])
        return {site: torch.cat(parts, dim=-1) for site, parts in pieces.items()}


def normalised(segment: Tensor) -> Tensor:
    """Return 'batch channels samples' divided by the RMS of the mean of its channels."""
    volume = segment.mean(dim=1, keepdim=True).square().mean(dim=2, keepdim=True).sqrt()
    return segment / (QUIET + volume)
