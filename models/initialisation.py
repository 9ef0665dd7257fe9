"""Untrained twins: how their weights are drawn, and what they are called.

``default`` is the initialisation of the network's own package. ``gain`` keeps signals at their size from layer to
layer, so that nonlinearities act: every weight of a convolution, linear layer or LSTM from N(0, gain^2 / fan-in), every
bias zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

Init = Literal["default", "gain"]


def twin_name(base: str, *, init: str, seed: int, gain: float, usual_gain: float) -> str:
    """Return what a twin is called: its initialisation, and whatever is not as usual.

    Raises:
        ValueError: for an initialisation that does not exist, or a gain that is not positive.
    """
    if init not in ("default", "gain"):
        raise ValueError(f"init={init!r} must be 'default' or 'gain'")
    if not gain > 0:
        raise ValueError(f"gain={gain} must be positive")
    settings = [f"seed={seed}"] if seed else []
    settings += [f"gain={gain:g}"] if init == "gain" and gain != usual_gain else []
    return f"{base}-{init}" + (f"({', '.join(settings)})" if settings else "")


@contextmanager
def own_random_numbers(seed: int) -> Iterator[None]:
    """Draw from `seed` inside, and leave the global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def draw_with_gain(*modules: nn.Module, gain: float, seed: int) -> None:
    """Draw every weight from N(0, gain^2 / fan-in) and set every bias to zero, in order of the modules."""
    generator = torch.Generator().manual_seed(seed)
    for layer in (layer for module in modules for layer in module.modules()):
        if isinstance(layer, nn.Conv1d | nn.Linear):
            shape = tuple(effective_weight(layer).shape)
            weight = torch.randn(shape, generator=generator) * gain / math.prod(shape[1:]) ** 0.5
            set_weight(layer, weight)
            if layer.bias is not None:
                layer.bias.data.zero_()
        elif isinstance(layer, nn.LSTM):
            for name, values in layer.named_parameters():
                if name.startswith("bias"):
                    values.data.zero_()
                else:
                    weight = torch.randn(values.shape, generator=generator)
                    values.data.copy_(weight * gain / values.shape[1] ** 0.5)


def is_normalised(layer: nn.Module) -> bool:
    """Tell whether the weight is a direction `weight_v` times a length `weight_g`, as torch's weight_norm makes it."""
    return hasattr(layer, "weight_g") and hasattr(layer, "weight_v")


def effective_weight(layer: Any) -> Tensor:
    """Return the weight that a convolution or linear layer multiplies by."""
    if is_normalised(layer):
        return torch._weight_norm(layer.weight_v.data, layer.weight_g.data, 0)
    weight: Tensor = layer.weight.data
    return weight


def set_weight(layer: Any, weight: Tensor) -> None:
    """Make `weight` the effective weight of a layer."""
    if is_normalised(layer):
        layer.weight_v.data.copy_(weight)
        layer.weight_g.data.copy_(weight.flatten(1).norm(dim=1).reshape(layer.weight_g.shape))
    # A normalised layer keeps its last effective weight as a plain attribute, renewed at each forward.
    layer.weight.data.copy_(weight)
