"""The same weights without strides, or without nonlinearities: twins that tell what either of them costs.

`without_strides` runs a chain of layers at the full rate. Every stride is taken as 1, and every later layer reads its
input as far apart as the strides before it would have left it (à trous: Holschneider et al., 1989). A layer behind
strides that multiply to d sees its input as d interleaved sequences and treats each by itself; the first of them is
what it sees in the encoder as it is, padding, memory and all. So every hop-th frame is a frame of the encoder.

`derivative_at_rest` is the derivative of a function of waveforms at silence, by a central difference in float64.

`linear_at_rest` replaces rectifiers and maxima in a network of modules. A ReLU becomes a gain for each channel, 1 or 0
as it stands at silence. A maximum over a pool becomes the mean: where all inputs are equal, as at rest, it has no
derivative, and the mean is the centre of its subgradients; likewise one half for a ReLU that stands at 0.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

STEP = 1e-4
"""Of the central difference, re full scale: its error is of the order of the square."""


@dataclass(frozen=True, kw_only=True)
class AblatedEncoder:
    """An encoder made of one function: waveforms 'batch samples' -> site -> 'batch channels frames'."""

    name: str
    sample_rate: int
    frame_rates: Mapping[str, float]
    margin_seconds: Mapping[str, Any]
    function: Callable[[Tensor], Mapping[str, Tensor]]
    device: torch.device
    reference: bool = False

    def listen(self, waveforms: Tensor) -> Mapping[str, Tensor]:
        """Return the sites, clip by clip: at the full rate a clip's activations are large."""
        quiet: Mapping[str, Tensor] | None = None
        heard = []
        with torch.no_grad():
            for clip in torch.as_tensor(waveforms):
                # Batches are filled up with silence, which is as expensive as any sound.
                silent = not bool(clip.any())
                if not silent or quiet is None:
                    sites = self.function(clip[None].to(self.device))
                    own = {site: values.float().cpu() for site, values in sites.items()}
                    quiet = own if silent else quiet
                heard.append(quiet if silent and quiet is not None else own)
            return {site: torch.cat([clip[site] for clip in heard]) for site in heard[0]}


def strided(layer: nn.Module) -> bool:
    """Tell whether a layer, or one inside it, has a stride."""
    return any(_stride(inner) > 1 for inner in layer.modules())


def hop_of(layer: nn.Module) -> int:
    """Return what the strides of a layer, and of those inside it, multiply to."""
    return math.prod(_stride(inner) for inner in layer.modules())


def without_strides(
    layers: nn.Sequential, values: Tensor, *, keep: Mapping[int, str], spread: int = 1
) -> tuple[dict[str, Tensor], Tensor, int]:
    """Return outputs of layers at the full rate.

    Args:
        layers: a chain of convolutions (also SEANet's, which pad themselves), pools and whatever has no stride.
        values: 'batch channels samples', a whole number of hops.
        keep: index of a layer -> name of its output.
        spread: what the strides before the chain multiply to.

    Returns:
        The outputs kept, the output of the chain, and what all strides multiply to.

    Raises:
        ValueError: for a layer that has a stride inside and is neither convolution, pool nor chain.
    """
    kept: dict[str, Tensor] = {}
    for index, layer in enumerate(layers):
        if isinstance(layer, nn.Sequential) and strided(layer):
            _, values, spread = without_strides(layer, values, keep={}, spread=spread)
        else:
            phases = _phases(values, spread)
            heard = _at_stride_one(layer, phases) if strided(layer) else layer(phases)
            values = _interleaved(heard[..., : phases.shape[-1]], spread)
            spread *= hop_of(layer)
        if index in keep:
            kept[keep[index]] = values
    return kept, values, spread


def can_be_spread(layers: nn.Sequential) -> bool:
    """Tell whether `without_strides` knows every strided layer of a chain."""
    return all(
        can_be_spread(layer)
        if isinstance(layer, nn.Sequential)
        else not strided(layer)
        or (isinstance(layer, nn.Conv1d) and isinstance(layer.padding, tuple) and layer.padding_mode == "zeros")
        or (isinstance(layer, nn.MaxPool1d | nn.AvgPool1d) and layer.padding in (0, (0,)))
        or all(hasattr(layer, each) for each in ("pad_mode", "causal", "conv"))
        for layer in layers
    )


def derivative_at_rest(
    function: Callable[[Tensor], Mapping[str, Tensor]],
) -> Callable[[Tensor], Mapping[str, Tensor]]:
    """Return the derivative of a function of waveforms at silence, along a waveform; the function in float64."""

    def derivative(waveforms: Tensor) -> Mapping[str, Tensor]:
        step = STEP * waveforms.double()
        up, down = function(step), function(-step)
        return {site: (up[site] - down[site]) / (2 * STEP) for site in up}

    return derivative


class Gain(nn.Module):
    """A ReLU that is linear: its derivative where it stands when `rest` is told, 'channels 1' or 'channels samples'."""

    def __init__(self) -> None:
        super().__init__()
        self.recording = False
        self.gain: Tensor | None = None

    def forward(self, values: Tensor) -> Tensor:
        """Return 'batch channels ...' times the gain."""
        if self.recording:
            middle = values[values.shape[0] // 2].sign()
            self.gain = (middle + 1) / 2
            return nn.functional.relu(values)
        assert self.gain is not None
        gain = self.gain
        if gain.ndim == 2 and gain.shape[-1] != values.shape[-1]:
            # A layer that runs along the clip: its rest is that of the clip's middle, whatever the clip's length.
            gain = gain[:, gain.shape[-1] // 2, None]
        return values * gain


def linear_at_rest(module: nn.Module, rest: Callable[[nn.Module], Any]) -> nn.Module:
    """Return a copy of a module with linear rectifiers and pools; `rest` lets the copy hear silence once."""
    copied = copy.deepcopy(module)
    _replace_pools(copied)
    gains = []
    for parent in list(copied.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.ReLU):
                gains.append(Gain())
                setattr(parent, name, gains[-1])
    for each in gains:
        each.recording = True
    with torch.no_grad():
        rest(copied)
    for each in gains:
        each.recording = False
    return copied


def mean_pools(module: nn.Sequential) -> nn.Sequential:
    """Return a copy of a chain in which every maximum over a pool is a mean."""
    copied = copy.deepcopy(module)
    _replace_pools(copied)
    return copied


def _replace_pools(module: nn.Module) -> None:
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.MaxPool1d):
                setattr(parent, name, nn.AvgPool1d(child.kernel_size, child.stride, child.padding))


def _stride(layer: nn.Module) -> int:
    stride: Any = getattr(layer, "stride", 1) if isinstance(layer, nn.Conv1d | nn.MaxPool1d | nn.AvgPool1d) else 1
    return int(stride[0] if isinstance(stride, tuple | list) else stride)


def _phases(values: Tensor, spread: int) -> Tensor:
    """Return 'batch channels samples' as spread interleaved sequences: '(batch spread) channels samples / spread'."""
    # Layers that pad nothing leave fewer samples; what is filled up here lies beyond the last whole frame.
    values = nn.functional.pad(values, (0, -values.shape[-1] % spread))
    batch, channels, _ = values.shape
    return values.reshape(batch, channels, -1, spread).permute(0, 3, 1, 2).reshape(batch * spread, channels, -1)


def _interleaved(phases: Tensor, spread: int) -> Tensor:
    _, channels, samples = phases.shape
    return phases.reshape(-1, spread, channels, samples).permute(0, 2, 3, 1).reshape(-1, channels, samples * spread)


def _at_stride_one(layer: Any, values: Tensor) -> Tensor:
    """Return what a strided convolution or pool gives at every sample, as many as there are."""
    if isinstance(layer, nn.Conv1d) and isinstance(layer.padding, tuple) and layer.padding_mode == "zeros":
        left, gap = layer.padding[0], layer.dilation[0]
        padded = nn.functional.pad(values, (left, (layer.kernel_size[0] - 1) * gap))
        return nn.functional.conv1d(padded, layer.weight, layer.bias, 1, 0, gap, layer.groups)
    if isinstance(layer, nn.MaxPool1d | nn.AvgPool1d) and layer.padding in (0, (0,)):
        taps = layer.kernel_size if isinstance(layer.kernel_size, int) else layer.kernel_size[0]
        # The last windows reach beyond the clip; they repeat its end, which is inside the margin.
        padded = nn.functional.pad(values, (0, taps - 1), mode="replicate")
        pool = nn.functional.max_pool1d if isinstance(layer, nn.MaxPool1d) else nn.functional.avg_pool1d
        pooled: Tensor = pool(padded, taps, 1)
        return pooled
    if hasattr(layer, "pad_mode") and hasattr(layer, "causal") and hasattr(layer, "conv"):
        convolution = layer.conv.conv
        taps, gap, stride = convolution.kernel_size[0], convolution.dilation[0], convolution.stride[0]
        total = (taps - 1) * gap - (stride - 1)
        left = total if layer.causal else total - total // 2
        padded = nn.functional.pad(values, (left, 0), mode=layer.pad_mode)
        padded = nn.functional.pad(padded, (0, (taps - 1) * gap - left + stride))
        weight, bias = _weight(convolution), convolution.bias
        heard: Tensor = layer.conv.norm(nn.functional.conv1d(padded, weight, bias, 1, 0, gap, convolution.groups))
        return heard
    raise ValueError(f"{type(layer).__name__} has a stride inside and cannot be spread")


def _weight(convolution: Any) -> Tensor:
    if hasattr(convolution, "weight_g"):
        return torch._weight_norm(convolution.weight_v, convolution.weight_g, 0)
    weight: Tensor = convolution.weight
    return weight
