"""EnCodec at 48 kHz: published, and untrained in the two ways of `encodec`.

Défossez et al., High Fidelity Neural Audio Compression, TMLR 2023, section 4.1; the classes are those of the package
`encodec`. It is the stereo model of the paper, for music: the network of the 24 kHz model, but not causal, and with a
normalisation over channels and time (GroupNorm with one group) after every convolution instead of on the weights. 150
frames a second; 6 kbps are 4 codebooks of 1024 entries.

It hears sound in segments of one second, 1 % of which the next one shares, and divides each by its RMS: see `segments`.
So it tells how a second of sound is made up, and hardly how loud it was (the package sends that beside the codes), and
a loud tone makes the code of all else in its second smaller. Frames near the ends of a segment hear padding; clips of
more than a second have such ends inside.

A mono waveform is given to both channels.
"""

from __future__ import annotations

import math
import warnings
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ._torchaudio import import_encodec
from .encodec import (
    BANDWIDTH_KBPS,
    GAIN,
    EncodecEncoder,
    _convolutions,
    load_published,
    refuse_unfitted,
)
from .initialisation import draw_with_gain, own_random_numbers, twin_name
from .reach import Reach, memory_seconds, padding_left, reach
from .segments import Segments, normalised

CHECKPOINT = "encodec_48khz-7e698e3e.th"
"""File name of the published weights in the package; after the dash stands how their SHA-256 begins."""

NORMALISES = "each second of sound is divided by its RMS, and what each convolution makes of it by its spread"
NOISE_SECONDS = 4


class Encodec48Encoder(EncodecEncoder):
    """EnCodec at 48 kHz behind the contract; options as of `EncodecEncoder`.

    All sites are those of the normalised segments. ``first_conv`` is the output of the first convolution itself, before
    the normalisation that follows it.
    """

    normalises = NORMALISES

    def __init__(self, model: Any, **options: Any) -> None:
        super().__init__(model, **options)
        first, *rest = self.module
        self.module = nn.Sequential(_Stereo(first), *rest)
        self._segments = Segments(length=model.segment_length, step=model.segment_stride)

    @property
    def margin_seconds(self) -> dict[str, tuple[float, float]]:
        """Seconds to ignore at the start and at the end of a clip.

        What the convolutions reach, and for the sites behind the LSTM how long it remembers, which is measured. That
        a segment is normalised as a whole is no matter of its edges: every frame hears it alike.
        """
        chains = [
            self._reach_to(0),
            self._reach_to(self._stack_end),
            self._reach_to(len(self.module) - 1),
        ]
        first, stack_end, latent = (each.seconds(self.sample_rate) for each in chains)
        deeper = ("latent",) if self._quantizer is None else ("latent", "quantised")
        behind = (max(latent[0], self._memory_seconds), latent[1])
        return {"first_conv": first, "stack_end": stack_end} | dict.fromkeys(deeper, behind)

    @cached_property
    def first_conv_filters(self) -> NDArray[np.float32]:
        """The first convolution as a correlation with a mono waveform, 'channels taps': both channels hear the same."""
        weight = self._first_convolution.weight.data.sum(dim=1)
        filters: NDArray[np.float32] = weight.cpu().numpy().copy()
        return filters

    def by_layer(self) -> None:
        """Layers are not offered: between segments, each normalised as a whole, they have no frames of their own."""

    def to(self, device: str | torch.device) -> Encodec48Encoder:
        """Return this encoder, computing on `device` from now on."""
        super().to(device)
        return self

    @property
    def _first_convolution(self) -> nn.Conv1d:
        convolution: nn.Conv1d = _convolutions(self.module[0])[0]
        return convolution

    def _reach_to(self, index: int) -> Reach:
        convolutions = [each for layer in list(self.module)[: index + 1] for each in _convolutions(layer)]
        return reach((each, padding_left(each, causal=False)) for each in convolutions)

    def _forward(self, samples: Tensor, *, deepest: int = 2) -> dict[str, Tensor]:
        """Return the real-valued sites of 'batch samples', all of them, as copies that no later layer writes on."""
        hop = math.prod(self.strides)
        hops = {"first_conv": 1, "stack_end": hop, "latent": hop}
        return self._segments.hear(samples[:, None], self._hear_segment, hops=hops)

    def _hear_segment(self, segment: Tensor) -> dict[str, Tensor]:
        sites: dict[str, Tensor] = {}
        values = normalised(segment)
        # Its layer hands on only what its normalisation has made of it.
        hook = self._first_convolution.register_forward_hook(
            lambda layer, inputs, output: sites.update(first_conv=output.clone())
        )
        try:
            for index, layer in enumerate(self.module):
                values = layer(values)
                if index == self._stack_end:
                    sites["stack_end"] = values.clone()
        finally:
            hook.remove()
        sites["latent"] = values
        return sites

    @cached_property
    def _memory_seconds(self) -> float:
        """How long the LSTM remembers where its segment began; longer than half of one is no use to know."""
        noise = 0.1 * np.random.default_rng(0).standard_normal((1, NOISE_SECONDS * self.sample_rate))
        with torch.no_grad():
            frames = self._forward(torch.from_numpy(noise.astype(np.float32)).to(self.device))["stack_end"]
        limit = self._segments.length / self.sample_rate / 2
        recall = self.module[self._stack_end + 1]
        return memory_seconds(recall, frames, frame_rate=self._frame_rate, limit=limit)


class _Stereo(nn.Module):
    """A layer for two channels, that is given one twice."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, waveforms: Tensor) -> Tensor:
        """Return what the layer makes of 'batch 1 samples' in both channels."""
        answer: Tensor = self.layer(waveforms.expand(-1, 2, -1))
        return answer


def published(*, path: str | Path | None = None, bandwidth_kbps: float = BANDWIDTH_KBPS) -> EncodecEncoder:
    """Return EnCodec at 48 kHz with its published weights, downloaded once, or with those in a file.

    Args:
        path: a state dict of the package's model. If it bears the published name it must have the published hash;
            otherwise the encoder's name tells its hash.
        bandwidth_kbps: bit rate, which decides how many codebooks are used.

    Raises:
        WeightsError: if the weights cannot be had, are damaged, or do not fit. One line, which says what to do.
    """
    model = _empty_model()
    name = load_published(model, checkpoint=CHECKPOINT, name="encodec-48khz", title="EnCodec at 48 kHz", path=path)
    return refuse_unfitted(Encodec48Encoder(model, name=name, bandwidth_kbps=bandwidth_kbps))


def untrained(
    *,
    init: Literal["default", "gain"] = "default",
    seed: int = 0,
    gain: float = GAIN,
    bandwidth_kbps: float = BANDWIDTH_KBPS,
    quantise: bool = True,
) -> Encodec48Encoder:
    """Return EnCodec at 48 kHz as it is before training, with codebooks fitted to it.

    Args:
        init: ``default``, the package's own; or ``gain``, every weight of a convolution or LSTM drawn from
            N(0, gain^2 / fan-in) and every bias zero. Normalised as its layers are, the two differ less than at 24 kHz.
        seed: of the weights. Global generators are left as they were.
        gain: of the initialisation with gain.
        bandwidth_kbps: bit rate, which decides how many codebooks are used.
        quantise: offer ``quantised`` and ``codes``; without, nothing is fitted, and the first `listen` is faster.
    """
    name = twin_name("encodec-48khz", init=init, seed=seed, gain=gain, usual_gain=GAIN)
    model = _empty_model(seed=seed)
    if init == "gain":
        draw_with_gain(model.encoder, gain=gain, seed=seed)
    return Encodec48Encoder(model, name=name, bandwidth_kbps=bandwidth_kbps, fit=True, quantise=quantise)


def untrained_default(*, seed: int = 0, **options: Any) -> Encodec48Encoder:
    """Return `untrained` with the package's own initialisation."""
    return untrained(init="default", seed=seed, **options)


def untrained_gain(*, seed: int = 0, **options: Any) -> Encodec48Encoder:
    """Return `untrained` with the initialisation with gain."""
    return untrained(init="gain", seed=seed, **options)


def _empty_model(*, seed: int = 0) -> Any:
    """Return an `EncodecModel` at 48 kHz with the package's own initialisation."""
    package = import_encodec()
    with own_random_numbers(seed), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return package.EncodecModel.encodec_model_48khz(pretrained=False)
