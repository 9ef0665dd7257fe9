"""Make an encoder of any `torch.nn.Module` by naming its modules.

    encoder = tap(net, sample_rate=16_000, first_conv="conv.0", stack_end="conv.8", latent="proj")

What the named modules return while a waveform passes through is what the sites are. A dotted name is one of
`module.named_modules()`; the empty name is the module itself, so its own output.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .ablation import (
    AblatedEncoder,
    can_be_spread,
    derivative_at_rest,
    hop_of,
    mean_pools,
    strided,
    without_strides,
)
from .initialisation import effective_weight
from .protocol import CODES, SITES
from .weights import sha256_of_state

INPUT_SHAPES = ("batch 1 samples", "batch samples")

AXES = ("batch", "channels", "frames")


class TappedEncoder:
    """A torch module behind the contract; made by `tap`."""

    reference = False

    def __init__(
        self,
        module: nn.Module,
        *,
        name: str,
        sample_rate: int,
        taps: Mapping[str, str],
        layouts: Mapping[str, tuple[str, ...]],
        input_shape: str,
        **attributes: Any,
    ) -> None:
        self.module = module
        self.name = name
        self.sample_rate = sample_rate
        self._taps = dict(taps)
        self._layouts = dict(layouts)
        self._input_shape = input_shape
        # Only what is known is set: an absent attribute means that it is measured, or that a claim is not applicable.
        for attribute, value in attributes.items():
            if value is not None:
                setattr(self, attribute, value)

    @property
    def device(self) -> torch.device:
        """Where the module's weights are; the CPU if it has none."""
        return next((values.device for values in self.module.parameters()), torch.device("cpu"))

    @property
    def parameters(self) -> int:
        """Number of weights of the whole module."""
        return sum(values.numel() for values in self.module.parameters())

    @cached_property
    def weights_sha256(self) -> str:
        """SHA-256 over the module's state."""
        return sha256_of_state(self.module.state_dict())

    def to(self, device: str | torch.device) -> TappedEncoder:
        """Return this encoder, computing on `device` from now on."""
        self.module.to(device)
        return self

    def listen(self, waveforms: Tensor) -> Mapping[str, Tensor]:
        """Return what the named modules gave for 'batch samples', in eval mode and without gradients.

        Raises:
            ValueError: if a named module was not called exactly once, or gave something of another shape than was said.
        """
        with torch.no_grad():
            sites = self._hear(waveforms)
        return {site: values.cpu() for site, values in sites.items()}

    def listen_with_gradient(self, waveforms: Tensor) -> Mapping[str, Tensor]:
        """Return the real-valued sites as functions of `waveforms` that can be differentiated."""
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=self.device.type != "cuda"):
            return {site: values for site, values in self._hear(waveforms).items() if site != CODES}

    def ablated(self, *, full_rate: bool, linear: bool) -> AblatedEncoder | None:
        """Return the same weights without strides, or linear; None unless the module is a chain whose layers are sites.

        A chain is a `torch.nn.Sequential` of convolutions, pools and layers without a stride. Pools of maxima become
        means where it is to be linear.
        """
        chain, names = self.module, {}
        for site, target in self._taps.items():
            if not target.isdigit() or site in (CODES, "first_conv") or self._layouts[site] != AXES:
                continue
            names[int(target)] = site
        if not isinstance(chain, nn.Sequential) or not names or self._input_shape != INPUT_SHAPES[0]:
            return None
        if not can_be_spread(chain) or getattr(self, "input_samples", None) is not None:
            return None
        layers = mean_pools(chain).double() if linear else chain

        def function(samples: Tensor) -> Mapping[str, Tensor]:
            with _evaluating(layers):
                if full_rate:
                    return without_strides(layers, samples[:, None], keep=names)[0]
                sites, values = {}, samples[:, None].clone()
                for index, layer in enumerate(layers):
                    values = layer(values)
                    if index in names:
                        sites[names[index]] = values.clone()
                return sites

        said = [word for word, chosen in (("full rate", full_rate), ("linear", linear)) if chosen]
        rates = getattr(self, "frame_rates", {})
        return AblatedEncoder(
            name=f"{self.name} ({', '.join(said) or 'as it is'})",
            sample_rate=self.sample_rate,
            frame_rates={
                site: float(self.sample_rate) if full_rate else rates[site]
                for site in names.values()
                if full_rate or site in rates
            },
            margin_seconds={k: v for k, v in getattr(self, "margin_seconds", {}).items() if k in names.values()},
            function=derivative_at_rest(function) if linear else function,
            device=self.device,
        )

    @cached_property
    def strided_kernels(self) -> tuple[NDArray[np.float64], ...] | None:
        """The chain's strided convolutions, correlations 'out in taps'; None where a pool strides, or none is known."""
        strides = getattr(self, "strides", None)
        if strides is None or not isinstance(self.module, nn.Sequential):
            return None
        layers = [inner for inner in self.module.modules() if hop_of(inner) > 1 and not list(inner.children())]
        plain = [layer for layer in layers if isinstance(layer, nn.Conv1d) and layer.groups == 1]
        if len(plain) < len(layers) or tuple(hop_of(layer) for layer in plain) != tuple(strides):
            return None
        return tuple(_spread(effective_weight(layer).double().cpu().numpy(), layer.dilation[0]) for layer in plain)

    def by_layer(self) -> AblatedEncoder | None:
        """Return an encoder whose sites are the outputs of the chain's strided layers; None unless it is a chain."""
        chain = self.module
        if not isinstance(chain, nn.Sequential) or self._input_shape != INPUT_SHAPES[0]:
            return None
        if not can_be_spread(chain) or getattr(self, "input_samples", None) is not None:
            return None
        names: dict[int, str] = {}
        rates: dict[str, float] = {}
        hop = 1
        for index, layer in enumerate(chain):
            if strided(layer):
                hop *= hop_of(layer)
                names[index] = f"layer {1 + len(names)}"
                rates[names[index]] = self.sample_rate / hop
        if not names:
            return None

        def function(samples: Tensor) -> Mapping[str, Tensor]:
            dtype = next((v.dtype for v in chain.parameters() if v.is_floating_point()), torch.float32)
            sites, values = {}, samples[:, None].to(dtype, copy=True)
            with _evaluating(chain):
                for index, layer in enumerate(chain):
                    values = layer(values)
                    if index in names:
                        sites[names[index]] = values.clone()
            return sites

        return AblatedEncoder(
            name=f"{self.name} (layers)",
            sample_rate=self.sample_rate,
            frame_rates=rates,
            margin_seconds={},
            function=function,
            device=self.device,
        )

    def _hear(self, waveforms: Tensor) -> dict[str, Tensor]:
        dtype = next((v.dtype for v in self.module.parameters() if v.is_floating_point()), torch.float32)
        samples = torch.as_tensor(waveforms).to(device=self.device, dtype=dtype)
        if samples.ndim != 2 or 0 in samples.shape:
            raise ValueError(f"waveforms of shape {tuple(samples.shape)} must be 'batch samples', neither of them zero")
        # A module may write on its input; the caller's samples are not its own.
        heard = samples[:, None].clone() if self._input_shape == "batch 1 samples" else samples.clone()
        with _evaluating(self.module), _listening_in(self.module, self._taps) as outputs:
            self.module(heard)
        return {site: self._arranged(site, outputs[site], batch=len(samples)) for site in self._taps}

    def _arranged(self, site: str, outputs: list[Any], *, batch: int) -> Tensor:
        """Return a module's one output as 'batch channels frames'."""
        where = f"{site}={self._taps[site]!r}"
        if len(outputs) != 1:
            raise ValueError(f"{where} was called {len(outputs)} times in a forward pass; name one that is called once")
        values = outputs[0]
        if not isinstance(values, Tensor):
            raise ValueError(f"{where} returned a {type(values).__name__}, not a tensor; name a module inside it")
        layout = self._layouts[site]
        said = " ".join(layout)
        if values.ndim != len(layout):
            raise ValueError(f"{where} returned shape {tuple(values.shape)}, but its layout was said to be {said!r}")
        if "batch" in layout and values.shape[layout.index("batch")] != batch:
            raise ValueError(
                f"{where} returned shape {tuple(values.shape)} for {batch} clips, but its layout was said to be "
                f"{said!r}"
            )
        present = [axis for axis in AXES if axis in layout]
        values = values.permute([layout.index(axis) for axis in present])
        for index, axis in enumerate(AXES):
            if axis not in layout:
                values = values.unsqueeze(index)
        if values.dtype in (torch.float16, torch.bfloat16):
            values = values.float()
        return values


def tap(
    module: nn.Module,
    *,
    sample_rate: int,
    first_conv: str | None = None,
    stack_end: str | None = None,
    latent: str | None = None,
    quantised: str | None = None,
    codes: str | None = None,
    name: str | None = None,
    input_shape: str = "batch 1 samples",
    layout: str | Mapping[str, str] = "batch channels frames",
    strides: tuple[int, ...] | None = None,
    frame_rates: Mapping[str, float] | None = None,
    margin_seconds: Mapping[str, float | tuple[float, float]] | None = None,
    input_samples: int | None = None,
) -> TappedEncoder:
    """Return an encoder whose sites are the outputs of named modules. Of a tuple, the first item counts.

    Args:
        module: any torch module that takes waveforms.
        sample_rate: Hz, of the waveforms it takes.
        first_conv: name of the module whose output is that site; the same for the others. At least one is needed.
        stack_end: the last strided convolution or pool, before any recurrent layer.
        latent: what the quantiser or the linear layers receive.
        quantised: the dequantised embedding, or the last hidden layer of a classifier.
        codes: integers.
        name: what reports call it; the class of the module unless said.
        input_shape: ``batch 1 samples``, as convolutions take it, or ``batch samples``.
        layout: order of the axes of the outputs, for all sites or per site, such as ``batch frames channels`` for a
            transformer. An axis that is not there (``batch channels`` for one vector per clip) has length one.
        strides: the chain of downsampling factors, where known; the same for the attributes that follow.
        frame_rates: Hz per site.
        margin_seconds: per site, seconds to ignore at each edge, or (start, end).
        input_samples: the one length of clip that the module takes.

    Raises:
        TypeError: if `module` is not a torch module.
        ValueError: if a name is not one of its modules, or another argument cannot be; the message has close matches.

    >>> model = nn.Sequential(nn.Conv1d(1, 8, 8, stride=4), nn.ELU(), nn.Conv1d(8, 4, 16, stride=8))
    >>> encoder = tap(model, sample_rate=16_000, first_conv="0", latent="2")
    >>> {site: tuple(activation.shape) for site, activation in encoder.listen(torch.zeros(2, 16_000)).items()}
    {'first_conv': (2, 8, 3999), 'latent': (2, 4, 498)}
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module is a {type(module).__name__}; it must be a torch.nn.Module")
    if isinstance(sample_rate, bool) or not (math.isfinite(sample_rate) and sample_rate > 0):
        raise ValueError(f"sample_rate={sample_rate} must be a positive number of Hz")
    if input_shape not in INPUT_SHAPES:
        raise ValueError(f"input_shape={input_shape!r} must be one of {INPUT_SHAPES}")
    asked = dict(zip((*SITES, CODES), (first_conv, stack_end, latent, quantised, codes), strict=True))
    taps = {site: target for site, target in asked.items() if target is not None}
    if not set(taps) & set(SITES):
        raise ValueError(f"no site is named; give at least one of {', '.join(SITES)} the name of a module")
    if strides is not None and not (strides and all(each == int(each) and each >= 1 for each in strides)):
        raise ValueError(f"strides={strides} must be whole numbers of at least 1, one or more")
    if input_samples is not None and (input_samples != int(input_samples) or input_samples < 1):
        raise ValueError(f"input_samples={input_samples} must be a whole number of samples, 1 or more")
    known = [found for found, _ in module.named_modules()]
    for site, target in taps.items():
        if target not in known:
            raise ValueError(_no_such_module(site, target, known))
    return TappedEncoder(
        module,
        name=name or type(module).__name__,
        sample_rate=sample_rate,
        taps=taps,
        layouts={site: _axes(site, layout) for site in taps},
        input_shape=input_shape,
        strides=strides,
        frame_rates=frame_rates,
        margin_seconds=margin_seconds,
        input_samples=input_samples,
    )


@contextmanager
def _listening_in(module: nn.Module, taps: Mapping[str, str]) -> Iterator[dict[str, list[Any]]]:
    """Collect, per site, what its module returns inside the context."""
    outputs: dict[str, list[Any]] = {site: [] for site in taps}
    modules = dict(module.named_modules())

    def keep(site: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            first = output[0] if isinstance(output, tuple | list) and output else output
            # An activation that works in place would write on what was returned.
            outputs[site].append(first.clone() if isinstance(first, Tensor) else first)

        return hook

    with ExitStack() as hooks:
        for site, target in taps.items():
            hooks.callback(modules[target].register_forward_hook(keep(site)).remove)
        yield outputs


def _spread(kernels: NDArray[np.float64], gap: int) -> NDArray[np.float64]:
    """Return kernels 'out in taps' with their taps so far apart."""
    spread = np.zeros((*kernels.shape[:2], (kernels.shape[2] - 1) * gap + 1))
    spread[..., ::gap] = kernels
    return spread


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module and all inside it in eval mode, and each back as it was."""
    modes = [(inner, inner.training) for inner in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for inner, training in modes:
            inner.training = training


def _axes(site: str, layout: str | Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the axes of a site's output, in their order."""
    said = layout if isinstance(layout, str) else layout.get(site, " ".join(AXES))
    axes = tuple("channels" if axis == "codebooks" else axis for axis in said.split())
    if "batch" not in axes or len(set(axes)) != len(axes) or not set(axes) <= set(AXES):
        raise ValueError(
            f"layout={said!r} for {site} must name batch, channels (or codebooks) and frames, in the order they come; "
            "only channels or frames may be absent"
        )
    return axes


def _no_such_module(site: str, target: str, known: list[str]) -> str:
    near = difflib.get_close_matches(target, known, n=3)
    named = [found for found in known if found]
    listing = ", ".join(named[:12]) + (", ..." if len(named) > 12 else "")
    guess = f"did you mean {' or '.join(near)}?" if near else f"there are {listing}" if named else "it has none inside"
    return f"{site}={target!r} is not the name of a module; {guess}"
