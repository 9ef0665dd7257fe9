"""EnCodec, DAC and Mimi as the package `transformers` runs them, from the Hugging Face hub or from a folder.

    hf:facebook/encodec_24khz        a repository on the hub, fetched once
    hf:kyutai/mimi@REV               the same at a revision: a branch, a tag or a commit
    hf:./folder                      a folder with config.json and model.safetensors, as save_pretrained writes it
    hf:descript/dac_16khz,codebooks=4

Where the sites are:

=========  ==================================  ==================================  ===============================
site       EnCodec (Défossez et al. 2023)      DAC (Kumar et al. 2023)             Mimi (Défossez et al. 2024)
=========  ==================================  ==================================  ===============================
first_conv first convolution                   first convolution                   first convolution
stack_end  last strided convolution, before    last strided convolution            last strided convolution before
           the LSTM                                                                the transformer (25 Hz)
latent     what the quantiser receives         what the quantiser receives         what the quantiser receives, one
                                                                                   more strided convolution behind
                                                                                   the transformer (12.5 Hz)
quantised  sum of the codebooks' entries       sum of the projected entries        sum of both quantisers, the
                                                                                   semantic and the acoustic
=========  ==================================  ==================================  ===============================

Mimi's last stride lies behind its transformer. Its `stack_end` is the end of the convolutions all the same: what lies
behind has heard seconds of context, as behind EnCodec's LSTM.

Safetensors only: nothing is unpickled, and no code of a repository is run.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ._torchaudio import torchaudio_or_placeholder
from .encodec import _convolutions, _last_strided
from .protocol import CODES, SITES
from .reach import Reach, memory_seconds, padding_left, reach
from .segments import Segments, normalised
from .weights import WeightsError, sha256_of_state

FILES = ("config.json", "*.safetensors", "*.safetensors.index.json")
ENCODEC_KBPS = 6.0
"""EnCodec's codebooks in use are those of this bit rate, as in `encodec`."""

MEMORY_LIMIT_SECONDS = 1.0
"""Mimi's attention looks back ten seconds; what it recalls is sound, and no margin could be that long."""

NOISE_SECONDS = 4


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """One architecture, taken apart."""

    encoder: nn.Module
    """All that lies between the waveform and the latent."""
    quantiser: nn.Module
    first_conv: nn.Conv1d
    stack_end: nn.Module
    strides: tuple[int, ...]
    stack_strides: int
    """How many of the strides lie before `stack_end`."""
    encode: Callable[[Tensor], Tensor]
    """'batch channels samples' -> latent."""
    codes: Callable[[Tensor, int], Tensor]
    """Latent and number of codebooks -> 'batch codebooks frames'."""
    dequantise: Callable[[Tensor], Tensor]
    """'batch codebooks frames' -> 'batch channels frames'."""
    reaches: tuple[Reach, Reach, Reach]
    """Of first_conv, stack_end and latent, memory aside."""
    recall: Callable[[Tensor], Tensor] | None
    """What remembers, from the stack's end on: 'batch channels frames' of it to as many."""
    codebooks: int
    """As many as there are."""
    default_codebooks: int
    bits: int
    """Per codebook and frame."""
    channels: int = 1
    segments: Segments | None = None
    normalises: str | None = None


class HuggingFaceEncoder:
    """A codec of transformers behind the contract: four sites and codes from one forward pass, in eval mode.

    Args:
        anatomy: of its model.
        name: what reports call it.
        sample_rate: Hz.
        codebooks: how many are used; the default is that of the architecture.

    Raises:
        ValueError: if it has not so many codebooks.
    """

    reference = False

    def __init__(self, anatomy: Anatomy, *, name: str, sample_rate: int, codebooks: int | None = None) -> None:
        used = anatomy.default_codebooks if codebooks is None else codebooks
        if isinstance(used, bool) or not isinstance(used, int) or not 1 <= used <= anatomy.codebooks:
            raise ValueError(f"codebooks={used!r} must be a number from 1 to {anatomy.codebooks}")
        self.name = name
        self.sample_rate = sample_rate
        self.codebooks = used
        self.device = torch.device("cpu")
        self.strides = anatomy.strides
        self._anatomy = anatomy
        for part in (anatomy.encoder, anatomy.quantiser):
            part.eval().requires_grad_(False)
        if anatomy.normalises is not None:
            self.normalises = anatomy.normalises

    @property
    def frame_rates(self) -> dict[str, float]:
        """Frames per second at each site, Hz."""
        hops = self._hops
        return {site: self.sample_rate / hops[site] for site in hops} | dict.fromkeys(
            ("quantised", "codes"), self.sample_rate / hops["latent"]
        )

    @property
    def bandwidth_kbps(self) -> float:
        """Bit rate of the codebooks in use."""
        return self.codebooks * self._anatomy.bits * self.frame_rates["codes"] / 1000

    @cached_property
    def margin_seconds(self) -> dict[str, tuple[float, float]]:
        """Seconds to ignore at the start and at the end of a clip.

        What the convolutions reach, and behind an LSTM or a transformer how long it remembers the start, which is
        measured and at most `MEMORY_LIMIT_SECONDS`.
        """
        first, stack_end, latent = (each.seconds(self.sample_rate) for each in self._anatomy.reaches)
        behind = (max(latent[0], self._memory_seconds), latent[1])
        return {"first_conv": first, "stack_end": stack_end, "latent": behind, "quantised": behind}

    @cached_property
    def first_conv_filters(self) -> NDArray[np.float32]:
        """The first convolution as a correlation with a mono waveform, 'channels taps'."""
        weight = self._anatomy.first_conv.weight.detach().sum(dim=1)
        filters: NDArray[np.float32] = weight.cpu().numpy().copy()
        return filters

    @property
    def parameters(self) -> int:
        """Number of weights between the waveform and the codes, all codebooks included."""
        parts = (self._anatomy.encoder, self._anatomy.quantiser)
        # The lengths of weight_norm (original0) are no weights of their own.
        weights = sum(
            values.numel()
            for part in parts
            for name, values in part.named_parameters()
            if not name.endswith("parametrizations.weight.original0")
        )
        entries = sum(
            values.numel()
            for name, values in self._anatomy.quantiser.named_buffers()
            if name.endswith((".embed", ".embed_sum"))
        )
        return weights + entries

    @cached_property
    def weights_sha256(self) -> str:
        """SHA-256 over the state of the encoder and of its quantiser."""
        state = {f"encoder.{name}": values for name, values in self._anatomy.encoder.state_dict().items()}
        state |= {f"quantiser.{name}": values for name, values in self._anatomy.quantiser.state_dict().items()}
        return sha256_of_state(state)

    def to(self, device: str | torch.device) -> HuggingFaceEncoder:
        """Return this encoder, computing on `device` from now on."""
        self.device = torch.device(device)
        for part in (self._anatomy.encoder, self._anatomy.quantiser):
            part.to(self.device)
        layer: Any
        for layer in self._anatomy.quantiser.modules():
            # Mimi keeps the entries that it has computed where `to` does not find them.
            if isinstance(getattr(layer, "_embed", None), Tensor):
                layer._embed = None
        return self

    def listen(self, waveforms: Tensor) -> Mapping[str, Tensor]:
        """Return first_conv, stack_end, latent, quantised ('batch channels frames') and codes, on the CPU.

        Args:
            waveforms: 'batch samples', mono; given to every channel of a stereo model.

        Raises:
            ValueError: if the waveforms are not a non-empty 'batch samples'.
        """
        return self.listen_at(waveforms, (*SITES, CODES))

    def listen_at(self, waveforms: Tensor, sites: Sequence[str]) -> Mapping[str, Tensor]:
        """Return what `listen` gives at these sites; nothing is quantised that nobody asks for."""
        with torch.no_grad():
            heard = self._forward(self._as_input(waveforms))
            if not {"quantised", CODES}.isdisjoint(sites):
                codes = self._anatomy.codes(heard["latent"], self.codebooks)
                heard |= {"quantised": self._anatomy.dequantise(codes), CODES: codes}
        return {site: values.cpu() for site, values in heard.items() if site in sites}

    def listen_with_gradient(self, waveforms: Tensor) -> Mapping[str, Tensor]:
        """Return first_conv, stack_end and latent as functions of `waveforms` that can be differentiated."""
        # cuDNN's LSTM has no backward pass in eval mode.
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=self.device.type != "cuda"):
            return self._forward(self._as_input(waveforms))

    def dequantise(self, codes: Any) -> Tensor:
        """Return the quantised vectors that `codes` name, 'batch channels frames'.

        Args:
            codes: integers 'batch codebooks frames'; the first few codebooks alone will do.
        """
        indices = torch.as_tensor(codes, device=self.device)
        if indices.ndim != 3 or not 1 <= indices.shape[1] <= self.codebooks:
            raise ValueError(
                f"codes of shape {tuple(indices.shape)} must be 'batch codebooks frames' with 1 to {self.codebooks} "
                "codebooks"
            )
        with torch.no_grad():
            return self._anatomy.dequantise(indices).cpu()

    @property
    def _hops(self) -> dict[str, int]:
        """Samples per frame of each site that is real and not quantised."""
        strides = self._anatomy.strides
        return {
            "first_conv": 1,
            "stack_end": math.prod(strides[: self._anatomy.stack_strides]),
            "latent": math.prod(strides),
        }

    def _forward(self, samples: Tensor) -> dict[str, Tensor]:
        """Return the real-valued sites of 'batch samples'; copies, so that no later layer can write on them."""
        clips = samples[:, None].expand(-1, self._anatomy.channels, -1)
        if self._anatomy.segments is None:
            return self._hear(clips)
        return self._anatomy.segments.hear(clips, self._hear, hops=self._hops)

    def _hear(self, clips: Tensor) -> dict[str, Tensor]:
        sites: dict[str, Tensor] = {}

        def keep(site: str) -> Any:
            return lambda layer, inputs, output: sites.update({site: output.clone()})

        hooks = [
            self._anatomy.first_conv.register_forward_hook(keep("first_conv")),
            self._anatomy.stack_end.register_forward_hook(keep("stack_end")),
        ]
        try:
            latent = self._anatomy.encode(normalised(clips) if self._anatomy.normalises else clips)
        finally:
            for hook in hooks:
                hook.remove()
        return {"first_conv": sites["first_conv"], "stack_end": sites["stack_end"], "latent": latent}

    @cached_property
    def _memory_seconds(self) -> float:
        """How long whatever remembers tells that its clip began there."""
        if self._anatomy.recall is None:
            return 0.0
        noise = 0.1 * np.random.default_rng(0).standard_normal((1, NOISE_SECONDS * self.sample_rate))
        with torch.no_grad():
            frames = self._forward(torch.from_numpy(noise.astype(np.float32)).to(self.device))["stack_end"]
        rate = self.frame_rates["stack_end"]
        return memory_seconds(self._anatomy.recall, frames, frame_rate=rate, limit=MEMORY_LIMIT_SECONDS)

    def _as_input(self, waveforms: Any) -> Tensor:
        samples = torch.as_tensor(waveforms).to(device=self.device, dtype=torch.float32)
        if samples.ndim != 2 or 0 in samples.shape:
            raise ValueError(f"waveforms of shape {tuple(samples.shape)} must be 'batch samples', neither of them zero")
        return samples


def pretrained(repository_or_folder: str, *, codebooks: int | None = None) -> HuggingFaceEncoder:
    """Return the codec in a repository of the hub, fetched once, or in a folder.

    Args:
        repository_or_folder: ``ORG/NAME``, ``ORG/NAME@REV``, or the path of a folder, which begins with ``/``,
            ``./``, ``../`` or ``~``.
        codebooks: how many are used. Else EnCodec has those of 6 kbps, DAC and Mimi all that they have.

    Raises:
        ImportError: if transformers is not installed. One line, as the others.
        WeightsError: if the files cannot be had, are incomplete, or hold none of the three codecs.
    """
    transformers, source = _transformers(), repository_or_folder
    folder = _folder(source) if source.startswith(("/", "./", "../", "~")) or source == "." else _fetched(source)
    kind = _kind(folder, source)
    model = _load(transformers, kind, folder, source)
    anatomy = KINDS[kind].dissect(model)
    other = codebooks not in (None, anatomy.default_codebooks)
    name = f"hf:{source}" + (f"(codebooks={codebooks})" if other else "")
    return HuggingFaceEncoder(anatomy, name=name, sample_rate=int(model.config.sampling_rate), codebooks=codebooks)


def dissect_encodec(model: Any) -> Anatomy:
    """Return the parts of an `EncodecModel`."""
    config, encoder, quantiser = model.config, model.encoder, model.quantizer
    layers = encoder.layers
    end = _last_strided(layers)
    bits = config.codebook_nbits

    def codes(latent: Tensor, used: int) -> Tensor:
        # The bit rate is floored to a number of codebooks; rounding must not cost one.
        kbps = used * bits * config.frame_rate / 1000 * (1 + 1e-9)
        found: Tensor = quantiser.encode(latent, kbps).transpose(0, 1).contiguous()
        return found

    length = config.chunk_length
    normalises = None
    if config.normalize:
        span = f"each {config.chunk_length_s:g} s of sound" if length else "each clip"
        normalises = f"{span} is divided by its RMS"
        if config.norm_type == "time_group_norm":
            normalises += ", and what each convolution makes of it by its spread"
    per_codebook = bits * config.frame_rate / 1000
    return Anatomy(
        encoder=encoder,
        quantiser=quantiser,
        first_conv=layers[0].conv,
        stack_end=layers[end],
        strides=tuple(reversed(config.upsampling_ratios)),
        stack_strides=len(config.upsampling_ratios),
        encode=encoder,
        codes=codes,
        dequantise=lambda indices: quantiser.decode(indices.transpose(0, 1)),
        reaches=_reaches(layers, end, causal=config.use_causal_conv),
        recall=layers[end + 1],
        codebooks=config.num_quantizers,
        default_codebooks=max(1, min(config.num_quantizers, math.floor(ENCODEC_KBPS / per_codebook + 1e-9))),
        bits=bits,
        channels=config.audio_channels,
        segments=Segments(length=length, step=config.chunk_stride or length) if length else None,
        normalises=normalises,
    )


def dissect_dac(model: Any) -> Anatomy:
    """Return the parts of a `DacModel`."""
    config, encoder, quantiser = model.config, model.encoder, model.quantizer

    def own_padding(layers: list[Any]) -> Reach:
        return reach((each, int(each.padding[0])) for layer in layers for each in _dac_convolutions(layer))

    stack = [encoder.conv1, *encoder.block]
    return Anatomy(
        encoder=encoder,
        quantiser=quantiser,
        first_conv=encoder.conv1,
        stack_end=encoder.block[-1],
        strides=tuple(config.downsampling_ratios),
        stack_strides=len(config.downsampling_ratios),
        encode=encoder,
        codes=lambda latent, used: quantiser(latent, used)[1],
        # Its forward pass adds and takes away the latent on the way; the sum of entries is what decoders are given.
        dequantise=lambda indices: quantiser.from_codes(indices)[0],
        reaches=(own_padding(stack[:1]), own_padding(stack), own_padding([*stack, encoder.conv2])),
        recall=None,
        codebooks=config.n_codebooks,
        default_codebooks=config.n_codebooks,
        bits=round(math.log2(config.codebook_size)),
    )


def dissect_mimi(model: Any) -> Anatomy:
    """Return the parts of a `MimiModel`."""
    config, quantiser = model.config, model.quantizer
    half = model.encoder if hasattr(model.encoder, "encoder_seanet") else model
    network = half.encoder_seanet if half is model.encoder else model.encoder
    transformer, downsample = half.encoder_transformer, half.downsample
    layers = network.layers
    end = _last_strided(layers)
    ratios = tuple(reversed(config.upsampling_ratios))
    last = () if downsample is None else (int(downsample.conv.stride[0]),)

    def attend(frames: Tensor) -> Tensor:
        heard: Tensor = transformer(frames.transpose(1, 2)).last_hidden_state.transpose(1, 2)
        return heard

    def encode(clips: Tensor) -> Tensor:
        heard = attend(network(clips))
        latent: Tensor = heard if downsample is None else downsample(heard)
        return latent

    def recall(frames: Tensor) -> Tensor:
        for layer in layers[end + 1 :]:
            frames = layer(frames)
        return attend(frames)

    tail = layers if downsample is None else [*layers, downsample]
    return Anatomy(
        encoder=nn.ModuleList([network, transformer, *([] if downsample is None else [downsample])]),
        quantiser=quantiser,
        first_conv=layers[0].conv,
        stack_end=layers[end],
        strides=ratios + last,
        stack_strides=len(ratios),
        encode=encode,
        codes=lambda latent, used: quantiser.encode(latent, used).transpose(0, 1).contiguous(),
        dequantise=quantiser.decode,
        reaches=_reaches(tail, end, causal=config.use_causal_conv),
        recall=recall,
        codebooks=config.num_quantizers,
        default_codebooks=config.num_quantizers,
        bits=round(math.log2(config.codebook_size)),
        channels=config.audio_channels,
    )


@dataclass(frozen=True)
class Kind:
    """A codec that transformers has."""

    model: str
    """Name of its class there."""
    dissect: Callable[[Any], Anatomy]


KINDS: Mapping[str, Kind] = {
    "encodec": Kind("EncodecModel", dissect_encodec),
    "dac": Kind("DacModel", dissect_dac),
    "mimi": Kind("MimiModel", dissect_mimi),
}
"""By the `model_type` of a config.json."""


def _reaches(layers: Any, end: int, *, causal: bool) -> tuple[Reach, Reach, Reach]:
    """Return the reaches of the first of SEANet's layers, of that at `end`, and of all."""

    def upto(index: int) -> Reach:
        convolutions = [each for layer in list(layers)[: index + 1] for each in _convolutions(layer)]
        return reach((each, padding_left(each, causal=causal)) for each in convolutions)

    return upto(0), upto(end), upto(len(layers) - 1)


def _dac_convolutions(layer: nn.Module) -> list[nn.Conv1d]:
    return [each for each in layer.modules() if isinstance(each, nn.Conv1d)]


def _transformers() -> ModuleType:
    try:
        return importlib.import_module("transformers")
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise ImportError("hf: needs the package transformers; type pip install 'testtone[hf]'") from error


def _folder(source: str) -> Path:
    folder = Path(source).expanduser()
    if not folder.is_dir():
        raise WeightsError(f"there is no folder {folder} (seen from {Path.cwd()})")
    return folder


def _fetched(source: str) -> Path:
    """Return the folder into which the hub's files of ``ORG/NAME[@REV]`` were put, once."""
    repository, _, revision = source.partition("@")
    organisation, slash, name = repository.partition("/")
    if not slash or not organisation or not name or "/" in name:
        hint = f"; for a folder say hf:./{source}" if Path(source).is_dir() else ""
        raise WeightsError(f"{source!r} must be ORG/NAME or ORG/NAME@REV on the Hugging Face hub{hint}")
    hub = importlib.import_module("huggingface_hub")
    try:
        return Path(hub.snapshot_download(repository, revision=revision or None, allow_patterns=list(FILES)))
    except Exception as error:
        reason = " ".join(str(error).split())
        reason = f"{type(error).__name__}: {reason[:100]}"
        at = f" at {revision}" if revision else ""
        raise WeightsError(
            f"{repository} could not be fetched from the Hugging Face hub ({reason}); fetch its config.json and "
            f"model.safetensors{at} yourself (the hub shows the sha256 of each), put them into a folder, and name it: "
            "hf:/path/to/folder"
        ) from error


def _kind(folder: Path, source: str) -> str:
    """Return which codec the files in a folder are."""
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise WeightsError(f"{source} has no config.json that can be read ({type(error).__name__})") from error
    if kind not in KINDS:
        raise WeightsError(f"{source} holds a model of type {kind!r}; it must be one of {', '.join(KINDS)}")
    if not list(folder.glob("*.safetensors")):
        raise WeightsError(f"{source} has no *.safetensors file; weights in other formats are not loaded")
    return str(kind)


def _load(transformers: ModuleType, kind: str, folder: Path, source: str) -> Any:
    """Return the model in a folder, every weight of its encoder and quantiser accounted for."""
    with _quiet(transformers), torchaudio_or_placeholder():
        try:
            model, notes = getattr(transformers, KINDS[kind].model).from_pretrained(
                os.fspath(folder),
                use_safetensors=True,
                local_files_only=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
        except Exception as error:
            reason = " ".join(str(error).split())[:160]
            raise WeightsError(f"{source} could not be loaded as {kind} ({type(error).__name__}: {reason})") from error
    # What is missing would be left as drawn at random, without a word.
    heard = [each for each in sorted(notes["missing_keys"]) if not each.startswith(("decoder", "upsample"))]
    torn = [str(each) for each in sorted(notes["mismatched_keys"])]
    if heard or torn:
        raise WeightsError(f"{source} lacks weights of {kind}: {', '.join([*heard, *torn][:3])}")
    return model


@contextmanager
def _quiet(transformers: ModuleType) -> Iterator[None]:
    """Have transformers load without progress bars, notes and warnings, and be as talkative as before afterwards."""
    talk = importlib.import_module("transformers.utils.logging")
    level, bars = talk.get_verbosity(), talk.is_progress_bar_enabled()
    talk.set_verbosity_error()
    talk.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        talk.set_verbosity(level)
        if bars:
            talk.enable_progress_bar()
