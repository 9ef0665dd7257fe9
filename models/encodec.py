"""EnCodec at 24 kHz: published, untrained with the package's own initialisation, and untrained with gain.

Défossez et al., High Fidelity Neural Audio Compression, TMLR 2023; the classes are those of the package `encodec`.
A first convolution, four blocks that downsample by 2, 4, 5 and 8 (75 frames a second), an LSTM around which the signal
also passes directly, a last convolution to 128 channels, and a residual quantiser. All of it is causal.

One forward pass taps every site. The bit rate decides how many codebooks there are, and is explicit: 6 kbps are 8
codebooks of 1024 entries.

The default initialisation is close to a linear system at ordinary levels, because its signals are small against its
biases. The initialisation with gain keeps signals at their size from layer to layer, so that its nonlinearities act.
Neither has seen a sound; their codebooks are fitted to latents of `quantisers.calibration_waveforms`.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ._torchaudio import import_encodec
from .ablation import AblatedEncoder, derivative_at_rest, without_strides
from .initialisation import draw_with_gain, effective_weight, own_random_numbers, twin_name
from .protocol import CODES
from .quantisers import Codebooks, calibration_waveforms, fit_residual_codebooks
from .seanet import quantised, through
from .weights import WeightsError, fetch, load_state, sha256_of_file, sha256_of_state

CHECKPOINT = "encodec_24khz-d7cc33bc.th"
"""File name of the published weights in the package; after the dash stands how their SHA-256 begins."""

BANDWIDTH_KBPS = 6.0
GAIN = 1.3
"""Standard deviation of a weight of the gain initialisation, times the square root of its fan-in."""

SETTLED = 1e-3
"""A frame has forgotten how its clip began when that moves it by less than this share of the response to a sound."""

CALIBRATION_BATCH = 4

DEPTHS = {"first_conv": 0, "stack_end": 1, "latent": 2, "quantised": 3, CODES: 3}
"""How far into the network a site lies."""


class EncodecEncoder:
    """EnCodec behind the contract: four sites and codes from one forward pass, without gradients, in eval mode.

    Args:
        model: an `encodec.EncodecModel`.
        name: what reports call it.
        bandwidth_kbps: one of the model's target bandwidths.
        fit: fit the codebooks, which are zeros in an untrained model, before they are first used.
        quantise: offer ``quantised`` and ``codes``.

    Raises:
        ValueError: if the model has no such bandwidth.
    """

    reference = False

    def __init__(
        self,
        model: Any,
        *,
        name: str,
        bandwidth_kbps: float = BANDWIDTH_KBPS,
        fit: bool = False,
        quantise: bool = True,
    ) -> None:
        if bandwidth_kbps not in model.target_bandwidths:
            raise ValueError(f"bandwidth_kbps={bandwidth_kbps} must be one of {model.target_bandwidths}")
        self.name = name
        self.sample_rate: int = model.sample_rate
        self.bandwidth_kbps = bandwidth_kbps
        self.device = torch.device("cpu")
        self.module: nn.Sequential = model.encoder.model.eval().requires_grad_(False)
        self.strides: tuple[int, ...] = tuple(int(ratio) for ratio in model.encoder.ratios)
        self._frame_rate: int = model.frame_rate
        self._quantizer = model.quantizer.eval().requires_grad_(False) if quantise else None
        self._needs_fit = fit and quantise
        self._stack_end = _last_strided(self.module)

    @property
    def codebooks(self) -> int:
        """Number of codebooks in use at this bandwidth; 0 without quantiser."""
        if self._quantizer is None:
            return 0
        used: int = self._quantizer.get_num_quantizers_for_bandwidth(self._frame_rate, self.bandwidth_kbps)
        return used

    @property
    def frame_rates(self) -> dict[str, float]:
        """Frames per second at each site, Hz."""
        hop = math.prod(self.strides)
        rates = {"first_conv": float(self.sample_rate), "stack_end": self.sample_rate / hop}
        deeper = ("latent",) if self._quantizer is None else ("latent", "quantised", "codes")
        return rates | dict.fromkeys(deeper, self.sample_rate / hop)

    @property
    def margin_seconds(self) -> dict[str, tuple[float, float]]:
        """Seconds to ignore at the start and at the end of a clip.

        The start is what the convolutions reach back, and for the sites behind the LSTM how long it remembers the
        start, which is measured. Causal as the encoder is, the end needs none if the clip is a whole number of hops.
        """
        reach = [samples / self.sample_rate for samples in _reach_back(self.module)]
        starts = {"first_conv": reach[0], "stack_end": reach[self._stack_end]}
        deeper = ("latent",) if self._quantizer is None else ("latent", "quantised")
        starts |= dict.fromkeys(deeper, max(reach[-1], self._memory_seconds))
        return {site: (seconds, 0.0) for site, seconds in starts.items()}

    @cached_property
    def first_conv_filters(self) -> NDArray[np.float32]:
        """The first convolution as a correlation, 'channels taps'."""
        weight = effective_weight(_convolution(self.module[0]))
        filters: NDArray[np.float32] = weight[:, 0].cpu().numpy().copy()
        return filters

    @property
    def parameters(self) -> int:
        """Number of weights between the waveform and the codes, codebooks in use included."""
        weights = sum(_effective_size(layer) for layer in self.module.modules())
        entries = sum(layer.codebook.numel() for layer in self._layers())
        return weights + entries

    @cached_property
    def weights_sha256(self) -> str:
        """SHA-256 over the encoder's state and the codebooks in use, fitted ones included."""
        self._ensure_fitted()
        state = {f"encoder.model.{name}": value for name, value in self.module.state_dict().items()}
        state |= {f"codebooks.{index}": layer.codebook for index, layer in enumerate(self._layers())}
        return sha256_of_state(state)

    @cached_property
    def perplexities(self) -> tuple[float, ...] | None:
        """Effective entries in use per codebook on the calibration set, where the codebooks were fitted to it."""
        self._ensure_fitted()
        return self._fitted.perplexities if self._fitted is not None else None

    def to(self, device: str | torch.device) -> EncodecEncoder:
        """Return this encoder, computing on `device` from now on."""
        self.device = torch.device(device)
        self.module.to(self.device)
        if self._quantizer is not None:
            self._quantizer.to(self.device)
        return self

    def listen(self, waveforms: Tensor) -> Mapping[str, Tensor]:
        """Return first_conv, stack_end, latent, quantised ('batch channels frames') and codes, on the CPU.

        Args:
            waveforms: 'batch samples', mono, at 24 kHz. A last partial hop is filled by reflection.

        Raises:
            ValueError: if the waveforms are not a non-empty 'batch samples'.
        """
        return self.listen_at(waveforms, tuple(self.frame_rates))

    def listen_at(self, waveforms: Tensor, sites: Sequence[str]) -> Mapping[str, Tensor]:
        """Return what `listen` gives at these sites, no layer heard that lies behind the last of them."""
        deepest = max(DEPTHS[site] for site in sites)
        with torch.no_grad():
            if deepest == DEPTHS[CODES]:
                self._ensure_fitted()
            heard = self._forward(_as_input(waveforms, self.device), deepest=deepest)
            if deepest == DEPTHS[CODES]:
                # Inside, codes are 'codebooks batch frames'.
                codes, heard["quantised"] = quantised(self._layers(), heard["latent"])
                heard["codes"] = codes.transpose(0, 1).contiguous()
        return {site: values.cpu() for site, values in heard.items() if site in sites}

    def listen_with_gradient(self, waveforms: Tensor) -> Mapping[str, Tensor]:
        """Return first_conv, stack_end and latent as functions of `waveforms` that can be differentiated."""
        # cuDNN's LSTM has no backward pass in eval mode.
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=self.device.type != "cuda"):
            return self._forward(_as_input(waveforms, self.device))

    def ablated(self, *, full_rate: bool, linear: bool) -> AblatedEncoder:
        """Return stack_end and latent of the same weights, at the sample rate if `full_rate`, linearised if `linear`.

        The full rate is exact: every hop-th frame is a frame of this encoder. It costs a hop as much. The linear one is
        the derivative at silence, of every ELU and of the LSTM.
        """
        names = {self._stack_end: "stack_end", len(self.module) - 1: "latent"}
        # Differences in float64, and their own weights: this encoder is left as it is.
        layers = copy.deepcopy(self.module).double() if linear else self.module

        def function(samples: Tensor) -> Mapping[str, Tensor]:
            if full_rate:
                short = -samples.shape[1] % math.prod(self.strides)
                whole = nn.functional.pad(samples, (0, short))[:, None]
                kept, _, _ = without_strides(layers, whole, keep=names)
                return {site: values[..., : samples.shape[1]] for site, values in kept.items()}
            sites, values = {}, samples[:, None]
            for index, layer in enumerate(layers):
                values = layer(values)
                if index in names:
                    sites[names[index]] = values.clone()
            return sites

        said = [word for word, chosen in (("full rate", full_rate), ("linear", linear)) if chosen]
        rates = self.frame_rates
        return AblatedEncoder(
            name=f"{self.name} ({', '.join(said) or 'as it is'})",
            sample_rate=self.sample_rate,
            frame_rates={site: float(self.sample_rate) if full_rate else rates[site] for site in names.values()},
            margin_seconds={site: self.margin_seconds[site] for site in names.values()},
            function=derivative_at_rest(function) if linear else function,
            device=self.device,
        )

    @cached_property
    def strided_kernels(self) -> tuple[NDArray[np.float64], ...]:
        """The convolutions that stride, as correlations 'out in taps', in order."""
        found = [c for layer in self.module for c in _convolutions(layer) if c.stride[0] > 1]
        return tuple(effective_weight(each).double().cpu().numpy().copy() for each in found)

    def by_layer(self) -> AblatedEncoder | None:
        """Return an encoder whose sites are what each strided convolution of this one gives, 'layer 1' and so on."""
        names = {
            index: f"layer {count}"
            for count, index in enumerate(
                (i for i, layer in enumerate(self.module) if any(c.stride[0] > 1 for c in _convolutions(layer))),
                start=1,
            )
        }
        hops = [math.prod(self.strides[:count]) for count in range(1, 1 + len(names))]

        def function(samples: Tensor) -> Mapping[str, Tensor]:
            sites, values = {}, samples[:, None]
            for index, layer in enumerate(list(self.module)[: self._stack_end + 1]):
                values = layer(values)
                if index in names:
                    sites[names[index]] = values.clone()
            return sites

        reach = _reach_back(self.module)
        return AblatedEncoder(
            name=f"{self.name} (layers)",
            sample_rate=self.sample_rate,
            frame_rates={name: self.sample_rate / hop for name, hop in zip(names.values(), hops, strict=True)},
            margin_seconds={name: (reach[index] / self.sample_rate, 0.0) for index, name in names.items()},
            function=function,
            device=self.device,
        )

    def dequantise(self, codes: Any) -> Tensor:
        """Return the sum of the entries that `codes` name, 'batch channels frames'.

        Args:
            codes: integers 'batch codebooks frames'; the first few codebooks alone will do.
        """
        if self._quantizer is None:
            raise ValueError(f"{self.name} was built without its quantiser (quantise=False)")
        self._ensure_fitted()
        indices = torch.as_tensor(codes, device=self.device)
        if indices.ndim != 3 or not 1 <= indices.shape[1] <= self.codebooks:
            raise ValueError(
                f"codes of shape {tuple(indices.shape)} must be 'batch codebooks frames' with 1 to {self.codebooks} "
                "codebooks"
            )
        with torch.no_grad():
            quantised: Tensor = self._quantizer.decode(indices.transpose(0, 1))
        return quantised.cpu()

    def _forward(self, samples: Tensor, *, deepest: int = 2) -> dict[str, Tensor]:
        """Return the real-valued sites of 'batch samples', as deep as that; no later layer writes on them."""
        sites = {}
        values = samples[:, None]
        last = (0, self._stack_end, len(self.module) - 1)[min(deepest, 2)]
        for index, layer in enumerate(list(self.module)[: last + 1]):
            values = through(layer, values, owned=index - 1 not in (-1, 0, self._stack_end))
            if index == 0:
                sites["first_conv"] = values
            if index == self._stack_end:
                sites["stack_end"] = values
            if index == len(self.module) - 1:
                sites["latent"] = values
        return sites

    @cached_property
    def _memory_seconds(self) -> float:
        """How long the latent tells that its clip began there, in fifths of a second, rounded up.

        Noise at RMS .1 is heard from its beginning and after a second of silence; `SETTLED` says when they agree.
        """
        rest, sound = self.sample_rate, 2 * self.sample_rate
        noise = 0.1 * np.random.default_rng(0).standard_normal(sound)
        clips = np.zeros((2, rest + sound), np.float32)
        clips[0, :sound] = noise
        clips[1, rest:] = noise
        with torch.no_grad():
            fresh, rested = self._forward(torch.from_numpy(clips).to(self.device))["latent"].double().cpu()
        silence = rested[:, self._frame_rate - 1 : self._frame_rate]
        frames = 2 * self._frame_rate
        fresh, rested = fresh[:, :frames], rested[:, self._frame_rate : self._frame_rate + frames]
        response = (rested - silence).square().sum(dim=0).mean().sqrt()
        moved = (fresh - rested).square().sum(dim=0).sqrt() > SETTLED * response
        last = int(moved.nonzero()[-1, 0]) + 1 if bool(moved.any()) else 0
        return math.ceil(5 * last / self._frame_rate) / 5

    def _layers(self) -> list[Any]:
        """Return the quantiser's layers in use."""
        return [] if self._quantizer is None else list(self._quantizer.vq.layers[: self.codebooks])

    _fitted: Codebooks | None = None

    def _ensure_fitted(self) -> None:
        if not self._needs_fit:
            return
        self._needs_fit = False
        self._fitted = fit_residual_codebooks(
            self._calibration_latents(), codebooks=self.codebooks, entries=self._layers()[0].codebook_size
        )
        for layer, entries, counts in zip(self._layers(), self._fitted.entries, self._fitted.counts, strict=True):
            codebook = layer._codebook
            codebook.embed.data.copy_(entries)
            codebook.embed_avg.data.copy_(entries * counts[:, None])
            codebook.cluster_size.data.copy_(counts)
            codebook.inited.data.fill_(1.0)

    def _calibration_latents(self) -> Tensor:
        """Return latents of the calibration set, 'vectors channels', without the frames that hear the padding."""
        waveforms = torch.from_numpy(calibration_waveforms(sample_rate=self.sample_rate))
        first = math.ceil(self.margin_seconds["latent"][0] * self._frame_rate)
        with torch.no_grad():
            latents = [
                self._forward(batch.to(self.device))["latent"][..., first:].cpu()
                for batch in torch.split(waveforms, CALIBRATION_BATCH)
            ]
        return torch.cat(latents).transpose(1, 2).flatten(0, 1)


def published(*, path: str | Path | None = None, bandwidth_kbps: float = BANDWIDTH_KBPS) -> EncodecEncoder:
    """Return EnCodec with its published weights, downloaded once, or with those in a file.

    Args:
        path: a state dict of the package's model. If it bears the published name it must have the published hash;
            otherwise the encoder's name tells its hash.
        bandwidth_kbps: bit rate, which decides how many codebooks are used.

    Raises:
        WeightsError: if the weights cannot be had, are damaged, or do not fit. One line, which says what to do.
    """
    model = _empty_model()
    name = load_published(model, checkpoint=CHECKPOINT, name="encodec-24khz", title="EnCodec at 24 kHz", path=path)
    return refuse_unfitted(EncodecEncoder(model, name=name, bandwidth_kbps=bandwidth_kbps))


def refuse_unfitted(encoder: EncodecEncoder) -> EncodecEncoder:
    """Return a trained encoder, or raise WeightsError if codebooks that it uses were never fitted."""
    if not all(bool(layer._codebook.inited) for layer in encoder._layers()):
        raise WeightsError(f"{encoder.name} holds codebooks that were never fitted; all its codes would be 0")
    return encoder


def load_published(model: Any, *, checkpoint: str, name: str, title: str, path: str | Path | None) -> str:
    """Fill a model of the package with its published weights, and return what to call it.

    Args:
        model: an `encodec.EncodecModel`.
        checkpoint: file name of the published weights; after its dash stands how their SHA-256 begins.
        name: of the published encoder.
        title: what messages call the model.
        path: a file with the weights; None to have them downloaded once.

    Raises:
        WeightsError: if the weights cannot be had, are damaged, or do not fit. One line, which says what to do.
    """
    prefix = Path(checkpoint).stem.split("-")[1]
    if path is None:
        url = import_encodec().model.ROOT_URL + checkpoint
        source = fetch(url, file_name=checkpoint, sha256_prefix=prefix)
    else:
        source = Path(path).expanduser()
    own = path is not None and source.is_file() and source.name != checkpoint
    if own and not (digest := sha256_of_file(source)).startswith(prefix):
        name = f"{name}({source.name}, sha256 {digest[:12]})"
        state = load_state(source)
    else:
        state = load_state(source, sha256_prefix=prefix)
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise WeightsError(f"{source} holds no weights of {title} ({_first_complaint(error)})") from error
    return name


def untrained(
    *,
    init: Literal["default", "gain"] = "default",
    seed: int = 0,
    gain: float = GAIN,
    bandwidth_kbps: float = BANDWIDTH_KBPS,
    quantise: bool = True,
) -> EncodecEncoder:
    """Return EnCodec as it is before training, with codebooks fitted to it.

    Args:
        init: ``default``, the package's own; or ``gain``, every weight of a convolution or LSTM drawn from
            N(0, gain^2 / fan-in) and every bias zero.
        seed: of the weights. Global generators are left as they were.
        gain: of the initialisation with gain.
        bandwidth_kbps: bit rate, which decides how many codebooks are used.
        quantise: offer ``quantised`` and ``codes``; without, nothing is fitted, and the first `listen` is faster.
    """
    name = twin_name("encodec-24khz", init=init, seed=seed, gain=gain, usual_gain=GAIN)
    model = _empty_model(seed=seed)
    if init == "gain":
        draw_with_gain(model.encoder, gain=gain, seed=seed)
    return EncodecEncoder(model, name=name, bandwidth_kbps=bandwidth_kbps, fit=True, quantise=quantise)


def untrained_default(*, seed: int = 0, **options: Any) -> EncodecEncoder:
    """Return `untrained` with the package's own initialisation."""
    return untrained(init="default", seed=seed, **options)


def untrained_gain(*, seed: int = 0, **options: Any) -> EncodecEncoder:
    """Return `untrained` with the initialisation with gain."""
    return untrained(init="gain", seed=seed, **options)


def _empty_model(*, seed: int = 0) -> Any:
    """Return an `EncodecModel` at 24 kHz with the package's own initialisation."""
    package = import_encodec()
    with own_random_numbers(seed), warnings.catch_warnings():
        # The package normalises its weights in a way that torch has deprecated.
        warnings.simplefilter("ignore", FutureWarning)
        return package.EncodecModel.encodec_model_24khz(pretrained=False)


def _effective_size(layer: nn.Module) -> int:
    """Return how many numbers of its own a layer computes with; the lengths of weight_norm are no extra ones."""
    return sum(values.numel() for name, values in layer.named_parameters(recurse=False) if name != "weight_g")


def _convolution(layer: Any) -> nn.Conv1d:
    """Return the torch convolution inside the package's padding and normalising wrappers."""
    convolution: nn.Conv1d = layer.conv.conv
    return convolution


def _convolutions(layer: nn.Module) -> list[nn.Conv1d]:
    """Return the convolutions on a layer's longest path: of a residual block, those that are not its shortcut."""
    path = getattr(layer, "block", layer)
    return [inner for inner in path.modules() if isinstance(inner, nn.Conv1d)]


def _last_strided(layers: nn.Sequential) -> int:
    """Return the index of the last layer that downsamples."""
    strided = [index for index, layer in enumerate(layers) if any(c.stride[0] > 1 for c in _convolutions(layer))]
    return strided[-1]


def _reach_back(layers: nn.Sequential) -> list[int]:
    """Return per layer how many samples before a frame's own hop the convolutions reach.

    A causal convolution of k taps (d apart) and stride s is padded with (k - 1) d - (s - 1) values on the left, each
    worth as many samples as the strides before it multiply to.
    """
    reach, step, reaches = 0, 1, []
    for layer in layers:
        for convolution in _convolutions(layer):
            taps, gap, stride = convolution.kernel_size[0], convolution.dilation[0], convolution.stride[0]
            reach += ((taps - 1) * gap - (stride - 1)) * step
            step *= stride
        reaches.append(reach)
    return reaches


def _as_input(waveforms: Any, device: torch.device) -> Tensor:
    samples = torch.as_tensor(waveforms).to(device=device, dtype=torch.float32)
    if samples.ndim != 2 or 0 in samples.shape:
        raise ValueError(f"waveforms of shape {tuple(samples.shape)} must be 'batch samples', neither of them zero")
    return samples


def _first_complaint(error: Exception) -> str:
    """Return the first detail of torch's many-line complaint about a state dict."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    detail = lines[1] if len(lines) > 1 else lines[0]
    return detail if len(detail) <= 120 else detail[:117] + "..."
