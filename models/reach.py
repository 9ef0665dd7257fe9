"""How far around a frame a network listens: what of a clip's edges its frames hear.

A convolution of k taps, d samples apart, and stride s that is padded with p values on the left reads, for its frame m,
its inputs from m s - p to m s - p + (k - 1) d. Beyond the frame's own hop, inputs m s to (m + 1) s - 1, that is p
inputs back and (k - 1) d - (s - 1) - p ahead; each is worth as many samples as the strides before it multiply to.
Along a chain these add up. What recalls (an LSTM, attention) reaches further than can be counted, so it is measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

SETTLED = 1e-3
"""A frame has forgotten where its clip began when that moves it by less than this share of what moves over time."""


@dataclass(frozen=True)
class Reach:
    """How many samples beyond its own hop a frame hears, before it and after it."""

    back: int
    ahead: int

    def seconds(self, sample_rate: int) -> tuple[float, float]:
        """Return the reach as margins, (start, end) in seconds."""
        return self.back / sample_rate, self.ahead / sample_rate


def reach(chain: Iterable[tuple[nn.Conv1d, int]]) -> Reach:
    """Return the reach of a chain of convolutions, each given with the values that pad it on the left."""
    back, ahead, step = 0, 0, 1
    for convolution, left in chain:
        taps, gap, stride = convolution.kernel_size[0], convolution.dilation[0], convolution.stride[0]
        back += left * step
        ahead += ((taps - 1) * gap - (stride - 1) - left) * step
        step *= stride
    return Reach(max(0, back), max(0, ahead))


def padding_left(convolution: nn.Conv1d, *, causal: bool) -> int:
    """Return the values on the left where padding makes the output length / stride, as SEANet pads it.

    All of them if causal; else half, the odd one on the left.
    """
    taps, gap, stride = convolution.kernel_size[0], convolution.dilation[0], convolution.stride[0]
    total = (taps - 1) * gap - (stride - 1)
    return total if causal else total - total // 2


def memory_seconds(
    recall: Callable[[Tensor], Tensor], frames: Tensor, *, frame_rate: float, limit: float = math.inf
) -> float:
    """Return how long what comes out of `recall` tells where its input began, in fifths of a second, rounded up.

    Its second half is heard with what came before it, and as if it began there.

    Args:
        recall: 'batch channels frames' -> the same with as many frames.
        frames: what `recall` is given when the encoder hears noise, '1 channels frames'.
        frame_rate: Hz.
        limit: seconds; no more is returned. The second half of `frames` is a limit too.
    """
    half = frames.shape[-1] // 2
    with torch.no_grad():
        known = recall(frames)[0, :, half:].double().cpu()
        fresh = recall(frames[..., half:])[0].double().cpu()
    size = (known - known.mean(dim=1, keepdim=True)).square().sum(dim=0).mean().sqrt()
    moved = (known - fresh).square().sum(dim=0).sqrt() > SETTLED * size
    last = int(moved.nonzero()[-1, 0]) + 1 if bool(moved.any()) else 0
    return min(limit, math.ceil(5 * last / frame_rate) / 5)
