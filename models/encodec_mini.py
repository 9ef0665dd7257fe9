"""EnCodec at a quarter of its width: its own classes and strides, small enough to ship and to train on two cores.

SEANet encoder and decoder (first convolution 8 channels instead of 32, end of the stack 128 instead of 512), strides
2, 4, 5, 8 at 24 kHz, two layers of LSTM, a latent of 128 channels as in the full model, and a residual quantiser of up
to 32 codebooks of 1024 entries, 0.75 kbps each. Convolutions are not weight-normalised. The architecture is that of
Défossez et al., High Fidelity Neural Audio Compression, TMLR 2023, section 3; how this one was trained stands beside
its weights.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ._torchaudio import import_encodec
from .encodec import BANDWIDTH_KBPS, GAIN, EncodecEncoder
from .initialisation import draw_with_gain, own_random_numbers, twin_name
from .weights import WeightsError, bundled, sha256_of_file

NAME = "encodec-mini"
SAMPLE_RATE = 24_000
WIDTH = 8
DIMENSION = 128
RATIOS = (8, 5, 4, 2)
BANDWIDTHS_KBPS = (1.5, 3.0, 6.0, 12.0, 24.0)
CODEBOOKS = 32
ENTRIES = 1024


class EncodecMini(EncodecEncoder):
    """The encoder behind the contract, with its decoder: what goes in can be heard as it comes out."""

    def __init__(self, model: Any, *, name: str, bandwidth_kbps: float = BANDWIDTH_KBPS, fit: bool = False) -> None:
        super().__init__(model, name=name, bandwidth_kbps=bandwidth_kbps, fit=fit)
        # Of codebooks that have to be fitted, only those in use are.
        self._highest_kbps = bandwidth_kbps if fit else max(BANDWIDTHS_KBPS)
        self._decoder = model.decoder.eval().requires_grad_(False)
        self._quantiser = model.quantizer

    def reconstruct(self, waveforms: Tensor, *, bandwidth_kbps: float | None = None) -> Tensor:
        """Return 'batch samples' as they come back from the codes at a bit rate (default: the encoder's own).

        Raises:
            ValueError: if the model has no such bit rate, or no codebooks for it.
        """
        rate = self.bandwidth_kbps if bandwidth_kbps is None else bandwidth_kbps
        if rate not in BANDWIDTHS_KBPS:
            raise ValueError(f"bandwidth_kbps={rate} must be one of {BANDWIDTHS_KBPS}")
        if rate > self._highest_kbps:
            raise ValueError(
                f"bandwidth_kbps={rate} is above {self._highest_kbps}, for which {self.name} has codebooks; build it "
                f"with bandwidth_kbps={rate}"
            )
        self._ensure_fitted()
        samples = torch.as_tensor(waveforms, dtype=torch.float32, device=self.device)
        with torch.no_grad():
            latent = self._forward(samples)["latent"]
            codes = self._quantiser.encode(latent, self._frame_rate, rate)
            sound: Tensor = self._decoder(self._quantiser.decode(codes))[:, 0, : samples.shape[1]]
        return sound.cpu()

    def to(self, device: str | torch.device) -> EncodecMini:
        """Return this encoder, computing on `device` from now on."""
        super().to(device)
        self._decoder.to(self.device)
        return self


def empty_model(*, seed: int = 0, width: int = WIDTH) -> Any:
    """Return an `encodec.EncodecModel` of this architecture with the package's own initialisation.

    Args:
        seed: of the initialisation.
        width: channels of the first layer; the others follow.
    """
    package = import_encodec()
    options = {
        "channels": 1,
        "dimension": DIMENSION,
        "n_filters": width,
        "ratios": list(RATIOS),
        "norm": "none",
        "causal": True,
        "lstm": 2,
    }
    with own_random_numbers(seed), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        encoder = package.modules.SEANetEncoder(**options)
        decoder = package.modules.SEANetDecoder(**options)
        quantizer = package.quantization.ResidualVectorQuantizer(dimension=DIMENSION, n_q=CODEBOOKS, bins=ENTRIES)
    return package.EncodecModel(encoder, decoder, quantizer, list(BANDWIDTHS_KBPS), SAMPLE_RATE, 1, name=NAME)


def trained(*, path: str | Path | None = None, bandwidth_kbps: float = BANDWIDTH_KBPS) -> EncodecMini:
    """Return the trained encoder: the bundled weights, or those in a file that `testtone.models.training` wrote.

    Raises:
        WeightsError: if the file is missing, damaged, or of another architecture. One line, which says what to do.
    """
    if path is None:
        source, name = bundled(NAME), NAME
    else:
        source = Path(path).expanduser()
        if not source.is_file():
            raise WeightsError(f"{source} is not a file")
        name = f"{NAME}({source.name}, sha256 {sha256_of_file(source)[:12]})"
    model = empty_model()
    load(model, source)
    return EncodecMini(model, name=name, bandwidth_kbps=bandwidth_kbps)


def untrained(
    *,
    init: Literal["default", "gain"] = "default",
    seed: int = 0,
    gain: float = GAIN,
    width: int = WIDTH,
    bandwidth_kbps: float = BANDWIDTH_KBPS,
) -> EncodecMini:
    """Return the twin that was never trained, with codebooks fitted to it; see `encodec.untrained`."""
    name = twin_name(NAME, init=init, seed=seed, gain=gain, usual_gain=GAIN)
    if width < 1:
        raise ValueError(f"width={width} channels of the first layer; at least 1")
    if width != WIDTH:
        name += f"(width={width})"
    model = empty_model(seed=seed, width=width)
    if init == "gain":
        draw_with_gain(model.encoder, model.decoder, gain=gain, seed=seed)
    return EncodecMini(model, name=name, bandwidth_kbps=bandwidth_kbps, fit=True)


def untrained_default(*, seed: int = 0, **options: Any) -> EncodecMini:
    """Return `untrained` with the package's own initialisation."""
    return untrained(init="default", seed=seed, **options)


def untrained_gain(*, seed: int = 0, **options: Any) -> EncodecMini:
    """Return `untrained` with the initialisation with gain."""
    return untrained(init="gain", seed=seed, **options)


def codebooks_of(model: Any) -> list[Any]:
    """Return the codebooks of a model, first to last."""
    return [layer._codebook for layer in model.quantizer.vq.layers]


def set_codebooks(model: Any, entries: Tensor) -> None:
    """Put entries 'codebooks entries channels' into a model and mark them as fitted."""
    for codebook, values in zip(codebooks_of(model), entries, strict=True):
        codebook.embed.data.copy_(values)
        codebook.embed_avg.data.copy_(values)
        codebook.cluster_size.data.fill_(1.0)
        codebook.inited.data.fill_(1.0)


def save(model: Any, path: Path, *, metadata: dict[str, Any]) -> None:
    """Write a trained model: weights in float32, codebooks in float16."""
    tensors = {
        f"{part}.{name}": value.detach().cpu().contiguous()
        for part in ("encoder", "decoder")
        for name, value in getattr(model, part).state_dict().items()
    }
    tensors["codebooks"] = torch.stack([each.embed for each in codebooks_of(model)]).half().cpu()
    save_file(tensors, path, metadata={"testtone": json.dumps(metadata)})


def load(model: Any, path: Path) -> None:
    """Put the weights of a file into a model.

    Raises:
        WeightsError: if the file is no such file, or of another architecture.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
    except Exception as error:
        raise WeightsError(f"{path} is not a safetensors file ({type(error).__name__})") from error
    try:
        for part in ("encoder", "decoder"):
            prefix = f"{part}."
            state = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
            getattr(model, part).load_state_dict(state, strict=True)
        set_codebooks(model, tensors["codebooks"].float())
    except (RuntimeError, KeyError, ValueError) as error:
        raise WeightsError(f"{path} holds no weights of {NAME} ({type(error).__name__})") from error
