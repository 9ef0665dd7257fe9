"""SampleCNN, a network on raw samples with very small filters: trained as a tagger of music, and untrained in two ways.

Lee, Park, Kim & Nam, SampleCNN: End-to-End Deep Convolutional Neural Networks Using Very Small Filters for Music
Classification, Applied Sciences 8 (2018), section 3 and table 1. A clip of 59 049 = 3^10 samples at 22 050 Hz meets
a convolution of three taps and stride three, nine modules (convolution of three taps, batch norm, ReLU, max-pool by
three), a convolution of one tap, and linear layers. Only the first convolution strides; the pools do the rest.

What differs from the paper: widths. Where it has 128 (three times), 256 (six times), 512 and 512 channels, this has
`WIDTHS` and `HIDDEN`: half, but a quarter in the second to fourth layer and an eighth in the first, which cost
most, so that a processor without a GPU can train it (on one core 30 ms a clip and step; 125 ms at half width
throughout). One linear layer with a ReLU stands between the convolution of one tap and the tags, so that the vector
that the linear layers receive and the last hidden layer are two sites.

Longer clips are heard densely. The first convolution and five modules run over the whole clip, which leaves a frame
every 729 samples (30.25 Hz). The last four modules look at windows of 81 such frames, one around each frame; a window
is padded as a clip would be, and what windows have in common is computed once (`overlaps`). Frame 40 of a clip of
exactly 59 049 samples is the network of the paper; frames nearer to an edge see zeros in place of the frames beyond it,
as `margin_seconds` says.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from . import overlaps
from .ablation import AblatedEncoder, linear_at_rest
from .initialisation import draw_with_gain, own_random_numbers, twin_name
from .protocol import SITES
from .quantisers import calibration_waveforms
from .weights import WeightsError, bundled, sha256_of_file, sha256_of_state

NAME = "samplecnn"
SAMPLE_RATE = 22_050
SAMPLES = 3**10
"""Samples of the clip that the network was made for."""

SECONDS = SAMPLES / SAMPLE_RATE
CALIBRATION_CLIPS = 16
MOMENTUM = 0.1
"""Of the batch norms, torch's own."""

WIDTHS = (16, 32, 32, 64, 128, 128, 128, 128, 128, 256)
"""Channels of the first convolution and of the nine modules."""

HIDDEN = 256
"""Channels of the convolution of one tap, and of the hidden linear layer."""

DENSE_MODULES = 5
"""Modules that run over the whole clip; the others run on windows of their frames."""

HOP = 3 ** (1 + DENSE_MODULES)
WINDOW = SAMPLES // HOP
WINDOWS_AT_ONCE = 64
"""Windows per pass: 2.5 MB of values, which a processor's cache holds."""

GAIN = 1.25
"""Standard deviation of a weight of the gain initialisation, times the square root of its fan-in."""


class SampleCNN(nn.Module):
    """The network of the paper at `WIDTHS`: a clip in, a logit for each tag out.

    Args:
        tags: number of tags.
        width: channels of its convolutions but the last, re `WIDTHS`; what the linear layers receive stays as it is.
    """

    def __init__(self, *, tags: int, width: float = 1.0) -> None:
        super().__init__()
        widths = [max(1, round(width * each)) for each in WIDTHS]
        first = nn.Sequential(
            nn.Conv1d(1, widths[0], 3, stride=3), nn.BatchNorm1d(widths[0], momentum=MOMENTUM), nn.ReLU()
        )
        modules = [
            # The pool comes before the ReLU, which is the same to the bit and rectifies a third as much.
            nn.Sequential(
                nn.Conv1d(below, above, 3, padding=1),
                nn.BatchNorm1d(above, momentum=MOMENTUM),
                nn.MaxPool1d(3),
                nn.ReLU(),
            )
            for below, above in pairwise(widths)
        ]
        mixing = nn.Sequential(nn.Conv1d(widths[-1], HIDDEN, 1), nn.BatchNorm1d(HIDDEN, momentum=MOMENTUM), nn.ReLU())
        self.stack = nn.Sequential(first, *modules, mixing)
        self.hidden = nn.Sequential(nn.Linear(HIDDEN, HIDDEN), nn.ReLU())
        self.output = nn.Linear(HIDDEN, tags)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Return logits 'batch tags' of 'batch samples', `SAMPLES` of them.

        Raises:
            ValueError: for clips of another length.
        """
        if waveforms.ndim != 2 or waveforms.shape[1] != SAMPLES:
            raise ValueError(f"waveforms of shape {tuple(waveforms.shape)} must be 'batch samples', {SAMPLES} samples")
        logits: Tensor = self.output(self.hidden(self.stack(waveforms[:, None]).flatten(1)))
        return logits


class SampleCNNEncoder:
    """SampleCNN behind the contract: four sites, each frame in eval mode and without gradients.

    ``first_conv`` is the first convolution before its batch norm (7350 Hz). The other sites have a frame every 729
    samples: ``stack_end`` the ninth pool, ``latent`` the convolution of one tap after its ReLU, which the linear layers
    receive, ``quantised`` the hidden linear layer after its ReLU, which the tags read.

    Args:
        model: a `SampleCNN`; it is put in eval mode and its weights are frozen.
        name: what reports call it.
        tags: the names of its outputs, if they are known.
    """

    reference = False
    sample_rate = SAMPLE_RATE
    strides = (3,) * (1 + DENSE_MODULES)

    def __init__(self, model: SampleCNN, *, name: str, tags: tuple[str, ...] = ()) -> None:
        self.name = name
        self.tags = tags
        self.device = torch.device("cpu")
        self.model = model.eval().requires_grad_(False)
        self.module: nn.Sequential = self.model.stack
        convolution, *rest = self.module[0].children()
        assert isinstance(convolution, nn.Conv1d)
        self._first_conv, self._first_norm = convolution, nn.Sequential(*rest)
        self._dense = nn.Sequential(*list(self.module)[1 : 1 + DENSE_MODULES])
        self._windowed = self.module[1 + DENSE_MODULES : -1]

    @property
    def frame_rates(self) -> dict[str, float]:
        """Frames per second at each site, Hz."""
        deeper = dict.fromkeys(("stack_end", "latent", "quantised"), SAMPLE_RATE / HOP)
        return {"first_conv": SAMPLE_RATE / 3, **deeper}

    @property
    def margin_seconds(self) -> dict[str, float]:
        """Seconds to ignore at either edge of a clip: half a window, and what its outermost frames reach beyond it."""
        # Each module reaches one of its own samples further, and module l has one every 3^l samples of the waveform.
        reach = sum(3**level for level in range(1, 1 + DENSE_MODULES))
        deeper = dict.fromkeys(("stack_end", "latent", "quantised"), (WINDOW // 2 * HOP + reach) / SAMPLE_RATE)
        return {"first_conv": 0.0, **deeper}

    @cached_property
    def first_conv_filters(self) -> NDArray[np.float32]:
        """The first convolution as a correlation, 'channels taps'."""
        filters: NDArray[np.float32] = self._first_conv.weight[:, 0].cpu().numpy().copy()
        return filters

    @property
    def parameters(self) -> int:
        """Number of weights between the waveform and the hidden layer."""
        heard = (*self.module.parameters(), *self.model.hidden.parameters())
        return sum(values.numel() for values in heard)

    @cached_property
    def weights_sha256(self) -> str:
        """SHA-256 over the weights and the statistics of the batch norms."""
        return sha256_of_state(self.model.state_dict())

    def to(self, device: str | torch.device) -> SampleCNNEncoder:
        """Return this encoder, computing on `device` from now on."""
        self.device = torch.device(device)
        self.model.to(self.device)
        return self

    def listen(self, waveforms: Tensor) -> Mapping[str, Tensor]:
        """Return first_conv, stack_end, latent and quantised, 'batch channels frames', on the CPU.

        Args:
            waveforms: 'batch samples', mono, at 22 050 Hz, of any length. A last partial hop is filled with zeros.

        Raises:
            ValueError: if the waveforms are not a non-empty 'batch samples'.
        """
        return self._clip_by_clip(waveforms, SITES, whole=False)

    def listen_at(self, waveforms: Tensor, sites: Sequence[str]) -> Mapping[str, Tensor]:
        """Return what `listen` gives at these sites; zeros where a frame's window looks beyond the clip."""
        return self._clip_by_clip(waveforms, sites, whole=True)

    def _clip_by_clip(self, waveforms: Tensor, sites: Sequence[str], *, whole: bool) -> Mapping[str, Tensor]:
        with torch.no_grad():
            layers = self._layers()
            quiet: dict[str, Tensor] | None = None
            clips = []
            # Clip by clip: a clip's activations fit a processor's cache, and no other clip can touch its last bits.
            for clip in _as_input(waveforms, self.device):
                # Batches are filled up with silence, which is as expensive as any sound.
                silent = not bool(clip.any())
                heard = quiet if silent and quiet is not None else self._forward(clip[None], layers, sites, whole=whole)
                quiet = heard if silent else quiet
                clips.append(heard)
            return {site: torch.cat([clip[site] for clip in clips]).cpu() for site in clips[0]}

    def listen_with_gradient(self, waveforms: Tensor) -> Mapping[str, Tensor]:
        """Return the sites of `listen` as functions of `waveforms` that can be differentiated."""
        with torch.enable_grad():
            return self._forward(_as_input(waveforms, self.device), self._layers())

    def ablated(self, *, full_rate: bool, linear: bool) -> AblatedEncoder | None:
        """Return stack_end and latent of the same weights with rectifiers and pools as they stand at rest.

        The full rate is not offered: windows are padded inside, so each of the samples of a hop would need all of its
        window's layers anew, a thousand times what a clip costs.
        """
        if full_rate or not linear:
            return None

        def rest(model: nn.Module) -> None:
            assert isinstance(model, SampleCNN)
            SampleCNNEncoder(model, name=self.name)._window_by_window(torch.zeros(1, 2 * SAMPLES, device=self.device))

        inner = SampleCNNEncoder(linear_at_rest(self.model, rest), name=f"{self.name} (linear)")  # type: ignore[arg-type]
        sites = ("stack_end", "latent")
        return AblatedEncoder(
            name=inner.name,
            sample_rate=self.sample_rate,
            frame_rates={site: self.frame_rates[site] for site in sites},
            margin_seconds={site: self.margin_seconds[site] for site in sites},
            function=lambda samples: {
                site: values for site, values in inner._window_by_window(samples).items() if site in sites
            },
            device=self.device,
        )

    @cached_property
    def strided_kernels(self) -> tuple[NDArray[np.float64], ...]:
        """What is heard before each stride, 'out in taps': convolution and batch norm, then the mean of a pool.

        A maximum has no kernel; the mean stands for it, as in the linear variant.
        """
        kernels = [_normed(self._first_conv, self._first_norm[0])]
        for module in self._dense.children():
            own = _normed(*list(module.children())[:2])
            kernels.append(np.stack([[np.convolve(row, np.ones(3) / 3) for row in rows] for rows in own]))
        return tuple(kernels)

    def by_layer(self) -> AblatedEncoder:
        """Return an encoder whose sites are the first convolution and the modules behind it that run along the clip.

        'layer 1' is the convolution, the others are what a pool and its ReLU give.
        """

        def function(samples: Tensor) -> Mapping[str, Tensor]:
            values = self._first_conv(nn.functional.pad(samples, (0, -samples.shape[1] % HOP))[:, None])
            sites = {"layer 1": values[..., : math.ceil(samples.shape[1] / 3)].clone()}
            values = self._first_norm(values)
            for count, module in enumerate(self._dense.children(), start=2):
                values = module(values)
                sites[f"layer {count}"] = values[..., : math.ceil(samples.shape[1] / 3**count)].clone()
            return sites

        names = [f"layer {count}" for count in range(1, 2 + DENSE_MODULES)]
        reach = sum(3**level for level in range(1, 1 + DENSE_MODULES)) / SAMPLE_RATE
        return AblatedEncoder(
            name=f"{self.name} (layers)",
            sample_rate=self.sample_rate,
            frame_rates={name: SAMPLE_RATE / 3**count for count, name in enumerate(names, start=1)},
            margin_seconds=dict.fromkeys(names, (reach, reach)),
            function=function,
            device=self.device,
        )

    def _layers(self) -> list[overlaps.Layer]:
        """Return the convolutions of the nine modules and the one of one tap, each with its batch norm folded in."""
        return [overlaps.folded(*list(module.children())[:2]) for module in list(self.module.children())[1:]]

    def _forward(
        self,
        samples: Tensor,
        layers: Sequence[overlaps.Layer],
        sites: Sequence[str] = SITES,
        *,
        whole: bool = False,
    ) -> dict[str, Tensor]:
        """Return some sites of 'batch samples'; zeros for windows that look beyond the clip, if `whole`."""
        filtered = self._first_conv(nn.functional.pad(samples, (0, -samples.shape[1] % HOP))[:, None])
        heard = {}
        if "first_conv" in sites:
            heard["first_conv"] = filtered[..., : math.ceil(samples.shape[1] / 3)].clone()
        if not set(sites) - {"first_conv"}:
            return heard
        frames = self._first_norm(filtered)
        for layer in layers[:DENSE_MODULES]:
            frames = overlaps.pooled(frames, layer)
        half = WINDOW // 2
        if frames.shape[2] < WINDOW:
            return heard | self._deeper(frames, layers, sites, (half, half))
        # By themselves, windows that lie within the clip are the same to the bit whether the others are heard or not.
        inner = self._deeper(frames, layers, sites)
        if whole:
            return heard | {site: nn.functional.pad(values, (half, half)) for site, values in inner.items()}
        first = self._deeper(frames[..., : 2 * half], layers, sites, (half, 0))
        last = self._deeper(frames[..., -2 * half :], layers, sites, (0, half))
        return heard | {site: torch.cat([first[site], inner[site], last[site]], dim=2) for site in inner}

    def _deeper(
        self, frames: Tensor, layers: Sequence[overlaps.Layer], sites: Sequence[str], zeros: tuple[int, int] = (0, 0)
    ) -> dict[str, Tensor]:
        """Return some sites for each window of 'batch channels frames' with so many zeros before and after them."""
        frames = nn.functional.pad(frames, zeros) if any(zeros) else frames
        ends = overlaps.ends(frames, layers[DENSE_MODULES:-1])
        latents = nn.functional.conv1d(ends, *layers[-1]).relu_()
        hidden = self.model.hidden(latents.transpose(1, 2)).transpose(1, 2)
        return {s: v for s, v in (("stack_end", ends), ("latent", latents), ("quantised", hidden)) if s in sites}

    def _window_by_window(self, samples: Tensor) -> dict[str, Tensor]:
        """Return the same, each window through all of its layers: for layers that were replaced by others."""
        batch = len(samples)
        first = self._first_conv(nn.functional.pad(samples, (0, -samples.shape[1] % HOP))[:, None])
        frames = self._dense(self._first_norm(first))
        windows = nn.functional.pad(frames, (WINDOW // 2, WINDOW // 2)).unfold(2, WINDOW, 1)
        windows = windows.transpose(1, 2).flatten(0, 1)  # (batch frames) channels WINDOW
        ends = torch.cat([self._windowed(part.contiguous()) for part in windows.split(WINDOWS_AT_ONCE)])
        latents = self.module[-1](ends)
        hidden = self.model.hidden(latents.flatten(1))

        def timed(vectors: Tensor) -> Tensor:
            return vectors.reshape(batch, -1, vectors.shape[1]).transpose(1, 2)

        heard = first[..., : math.ceil(samples.shape[1] / 3)].clone()
        return {"first_conv": heard, "stack_end": timed(ends), "latent": timed(latents), "quantised": timed(hidden)}


def trained(*, path: str | Path | None = None) -> SampleCNNEncoder:
    """Return SampleCNN trained to tag rendered music, with the weights that come with the package or those in a file.

    Args:
        path: weights that `save` wrote. The encoder's name tells their hash.

    Raises:
        WeightsError: if the weights are missing, damaged, or do not fit. One line, which says what to do.
    """
    source = bundled(NAME) if path is None else Path(path).expanduser()
    if not source.is_file():
        raise WeightsError(f"{source} is not a file")
    model, tags = load(source)
    name = NAME if path is None else f"{NAME}({source.name}, sha256 {sha256_of_file(source)[:12]})"
    return SampleCNNEncoder(model, name=name, tags=tags)


def save(model: SampleCNN, path: Path, *, tags: Sequence[str], metadata: Mapping[str, Any]) -> None:
    """Write the weights, the statistics of the batch norms, the names of the tags and `metadata` (plain JSON)."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    save_file(tensors, path, metadata={"testtone": json.dumps({**metadata, "tags": list(tags)})})


def load(path: Path) -> tuple[SampleCNN, tuple[str, ...]]:
    """Return the model in a file, and the names of its tags.

    Raises:
        WeightsError: if the file is no such file, or of another architecture.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tags = tuple(json.loads(file.metadata()["testtone"])["tags"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
        with own_random_numbers(0):
            model = SampleCNN(tags=len(tags))
        model.load_state_dict(tensors, strict=True)
    except Exception as error:
        raise WeightsError(f"{path} holds no weights of {NAME} ({type(error).__name__})") from error
    return model, tags


def untrained(
    *, init: Literal["default", "gain"] = "default", seed: int = 0, gain: float = GAIN, width: float = 1.0
) -> SampleCNNEncoder:
    """Return SampleCNN as it is before training.

    Args:
        init: ``default``, torch's own, with batch norms that have heard `quantisers.calibration_waveforms` and nothing
            else, as in the first step of a training; or ``gain``, every weight drawn from N(0, gain^2 / fan-in) and
            every bias zero, with batch norms that have heard nothing and do nothing. The default without statistics
            would be deaf: its biases outweigh what any sound moves a hundred thousand times (measured at the latent).
        seed: of the weights. Global generators are left as they were.
        gain: of the initialisation with gain.
        width: channels of the convolutions re `WIDTHS`.
    """
    name = twin_name(NAME, init=init, seed=seed, gain=gain, usual_gain=GAIN)
    if not 0 < width < 100:
        raise ValueError(f"width={width} must be positive and less than 100 (1: the network as it is)")
    if width != 1.0:
        name += f"(width={width:g})"
    with own_random_numbers(seed):
        model = SampleCNN(tags=1, width=width)
    if init == "gain":
        draw_with_gain(model, gain=gain, seed=seed)
    else:
        _calibrate(model)
    return SampleCNNEncoder(model, name=name)


def untrained_default(*, seed: int = 0, **options: Any) -> SampleCNNEncoder:
    """Return `untrained` with torch's own initialisation."""
    return untrained(init="default", seed=seed, **options)


def untrained_gain(*, seed: int = 0, **options: Any) -> SampleCNNEncoder:
    """Return `untrained` with the initialisation with gain."""
    return untrained(init="gain", seed=seed, **options)


def _normed(convolution: Any, norm: Any) -> NDArray[np.float64]:
    """Return a convolution's correlations with the gains of the batch norm behind it, 'out in taps'."""
    gain = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    kernels: NDArray[np.float64] = (convolution.weight.double() * gain[:, None, None]).cpu().numpy().copy()
    return kernels


def _calibrate(model: SampleCNN) -> None:
    """Give every batch norm the statistics of what it hears of the calibration set."""
    clips = torch.from_numpy(calibration_waveforms(sample_rate=SAMPLE_RATE, clips=CALIBRATION_CLIPS, seconds=SECONDS))
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm1d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(clips)
    for norm in norms:
        norm.momentum = MOMENTUM


def _as_input(waveforms: Any, device: torch.device) -> Tensor:
    samples = torch.as_tensor(waveforms).to(device=device, dtype=torch.float32)
    if samples.ndim != 2 or 0 in samples.shape:
        raise ValueError(f"waveforms of shape {tuple(samples.shape)} must be 'batch samples', neither of them zero")
    return samples
