"""Windows that overlap by all but one frame, through layers that each window would pad for itself: shared work once.

A layer here is a convolution of three taps, padded with a zero at either end of a window, then the maximum over each
three samples, then a ReLU. Most of what a window passes on is what its neighbours pass on as well: sample k of a window
that starts at frame s is sample k - 1 of the one that starts a hop later. Only what a window's own zeros reach is its
own, at each depth its first and its last sample. So the samples in between are computed once for all windows, with taps
``gap`` frames apart, and the two ends for each::

    depth 0     s s s s s s s s s    all shared, 3 ** depths samples a window
    depth 1     o     s     o        o: a window's own
    depth 2           o

At four depths that is an eighth of the multiplications, and the same sums: what comes back differs from windows heard
one by one by the rounding of float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

Layer = tuple[Tensor, Tensor]
"""Weights 'out in 3' and biases 'out' of a convolution, its batch norm folded in."""


def folded(convolution: Any, norm: Any) -> Layer:
    """Return a convolution and the batch norm behind it, in eval mode, as one convolution: weights and biases."""
    gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return convolution.weight * gain[:, None, None], (convolution.bias - norm.running_mean) * gain + norm.bias


def pooled(values: Tensor, layer: Layer) -> Tensor:
    """Return what a layer makes of 'batch in samples' as one clip: 'batch out samples / 3'."""
    return nn.functional.max_pool1d(nn.functional.conv1d(values, *layer, padding=1), 3).relu_()


def ends(frames: Tensor, layers: Sequence[Layer]) -> Tensor:
    """Return the one sample that layers leave of each window within a clip, 'batch out windows'.

    Args:
        frames: 'batch in frames'.
        layers: n of them, for windows of 3 ** n frames.
    """
    count, length, gap = frames.shape[2] - 3 ** len(layers) + 1, 3 ** len(layers), 1
    shared, before = frames, 0
    first = last = None
    for weight, bias in layers:

        def sample(place: int, values: Tensor) -> Tensor:
            """Sample `place` of each window."""
            start = gap * place - before  # noqa: B023  (called in this turn of the loop)
            return values[..., start : start + count]

        def own(*terms: tuple[int, Tensor]) -> Tensor:
            """Convolve samples that are each window's own: (tap, 'batch in windows')."""
            taps = torch.cat([weight[:, :, tap] for tap, _ in terms], dim=1)  # noqa: B023
            return torch.matmul(taps, torch.cat([values for _, values in terms], dim=1)) + bias[:, None]  # noqa: B023

        left = [sample(0, shared) if first is None else first, sample(1, shared)]
        right = [sample(length - 2, shared), sample(length - 1, shared) if last is None else last]
        if length == 3:
            middle = own((0, left[0]), (1, left[1]), (2, right[1]))
            edges = own((1, left[0]), (2, left[1])), own((0, right[0]), (1, right[1]))
            return torch.maximum(middle, torch.maximum(*edges)).relu_()
        convolved = nn.functional.conv1d(shared, weight, bias, dilation=gap)
        inner, before = shared, before + gap
        one = sample(1, convolved)
        other = sample(length - 2, convolved)
        if first is not None and last is not None:
            before -= gap
            beyond, within = sample(2, inner), sample(length - 3, inner)
            before += gap
            one = own((0, left[0]), (1, left[1]), (2, beyond))
            other = own((0, within), (1, right[0]), (2, right[1]))
        zero = own((1, left[0]), (2, left[1]))
        final = own((0, right[0]), (1, right[1]))
        first = torch.maximum(torch.maximum(zero, one), sample(2, convolved)).relu_()
        last = torch.maximum(torch.maximum(sample(length - 3, convolved), other), final).relu_()
        reach = convolved.shape[2] - 2 * gap
        shared = torch.maximum(convolved[..., :reach], convolved[..., gap : gap + reach])
        shared = torch.maximum(shared, convolved[..., 2 * gap :]).relu_()
        length, gap = length // 3, 3 * gap
    raise ValueError("layers=() is empty: windows have at least one layer")
