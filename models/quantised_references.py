"""References that quantise: what their codes keep of the filterbank before them is known.

===================  ====================================================================================
`band_codebooks`     each band's power in one of sixteen steps: nothing that counts is lost
`whole_codebook`     the nearest of 64 whole spectra: of parts nothing is left but what spectra share
`kept_bands`         the bands below a frequency as they are, the others not at all
===================  ====================================================================================

Each offers ``latent``, the powers of `references.power_filterbank`; ``quantised``, what is left of them; and the first
two ``codes`` with `dequantise`.

Sources: Lloyd, Least squares quantization in PCM, IEEE Trans. Inf. Theory 28 (1982), for the 64 spectra.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .references import Floats, ReferenceEncoder, _check_positive, _name, power_filterbank

STEPS = 16
STEP_DB = 5.0
LOWEST_DB = -85.0
"""Of the first step, re full scale 1 as mean square; the last one is at -10 dB, a full tone at -3."""

SPECTRA = 64
CALIBRATION_CLIPS = 96
LLOYD_ROUNDS = 30


@dataclass(frozen=True, kw_only=True)
class Quantising:
    """A filterbank and what is left of it: `encode` makes codes of powers, `decode` powers of codes."""

    name: str
    bank: ReferenceEncoder
    encode: Callable[[Floats], NDArray[np.int64]] | None = field(repr=False)
    """'batch channels frames' -> 'batch codebooks frames'."""
    decode: Callable[[NDArray[Any]], Floats] = field(repr=False)
    """Codes 'batch codebooks frames' (or, without `encode`, powers) -> 'batch channels frames'."""
    reference: bool = True
    parameters: int = 0

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.bank.sample_rate

    @property
    def frame_rates(self) -> dict[str, float]:
        """Frames per second at both sites, Hz."""
        return dict.fromkeys(("latent", "quantised"), self.bank.frame_rates["latent"])

    @property
    def margin_seconds(self) -> dict[str, float]:
        """Seconds to ignore at either edge of a clip."""
        return dict.fromkeys(("latent", "quantised"), self.bank.margin)

    @property
    def strides(self) -> tuple[int, ...]:
        """The downsampling chain, one stride long."""
        return self.bank.strides

    def listen(self, waveforms: Any) -> Mapping[str, NDArray[Any]]:
        """Return latent, quantised and, where there are any, codes, for real waveforms 'batch samples'."""
        latent = self.bank.listen(waveforms)["latent"]
        if self.encode is None:
            return {"latent": latent, "quantised": self.decode(latent).astype(np.float32)}
        codes = self.encode(latent.astype(np.float64))
        return {"latent": latent, "quantised": self.decode(codes).astype(np.float32), "codes": codes}


@dataclass(frozen=True, kw_only=True)
class QuantisingWithCodes(Quantising):
    """A `Quantising` that says what its codes stand for."""

    def dequantise(self, codes: Any) -> NDArray[np.float32]:
        """Return float32 'batch channels frames' of 'batch codebooks frames', or of the first of the codebooks."""
        told = codes.detach().cpu().numpy() if hasattr(codes, "detach") else np.asarray(codes)
        return self.decode(told).astype(np.float32)


def band_codebooks(*, sample_rate: int = 24_000, hop: int = 320) -> QuantisingWithCodes:
    """Return the filterbank with one codebook of 16 entries for each band: powers in steps of 5 dB.

    A partial more or less in a band is a matter of tens of dB. The first n codebooks are the lowest n bands.
    """
    bank = power_filterbank(sample_rate=sample_rate, hop=hop)
    bands = len(bank.centres_hz or ())

    def encode(powers: Floats) -> NDArray[np.int64]:
        level = 10.0 * np.log10(np.maximum(powers, 1e-12))
        return np.clip(np.round((level - LOWEST_DB) / STEP_DB), 0, STEPS - 1).astype(np.int64)

    def decode(codes: NDArray[Any]) -> Floats:
        powers = 10.0 ** ((LOWEST_DB + STEP_DB * codes) / 10.0)
        full = np.zeros((codes.shape[0], bands, codes.shape[2]))
        full[:, : codes.shape[1]] = powers
        return full

    return QuantisingWithCodes(name="band-codebooks", bank=bank, encode=encode, decode=decode)


def whole_codebook(
    *, sample_rate: int = 24_000, hop: int = 320, spectra: int = SPECTRA, seed: int = 0
) -> QuantisingWithCodes:
    """Return the filterbank and, of each frame, the nearest of a few whole spectra, by level in dB in each band.

    The spectra are means of clusters (Lloyd) of frames of mixtures of partials at random frequencies, with noise.
    """
    _check_positive(spectra=spectra)
    bank = power_filterbank(sample_rate=sample_rate, hop=hop)
    book = _spectra(sample_rate, hop, spectra, seed)

    def encode(powers: Floats) -> NDArray[np.int64]:
        level = _level(powers)
        distance = -2 * np.einsum("bcm,kc->bkm", level, book) + np.square(book).sum(axis=1)[None, :, None]
        return distance.argmin(axis=1)[:, None].astype(np.int64)

    def decode(codes: NDArray[Any]) -> Floats:
        return np.asarray((10.0 ** (book / 10.0))[codes[:, 0]].swapaxes(1, 2))

    return QuantisingWithCodes(
        name=_name("whole-codebook", spectra=(spectra, SPECTRA), seed=(seed, 0)),
        bank=bank,
        encode=encode,
        decode=decode,
    )


def kept_bands(*, to_hz: float = 2000.0, sample_rate: int = 24_000, hop: int = 320) -> Quantising:
    """Return the filterbank and, as quantised, its bands centred below `to_hz`: the share of partials there is kept."""
    _check_positive(to_hz=to_hz)
    bank = power_filterbank(sample_rate=sample_rate, hop=hop)
    kept = (np.array(bank.centres_hz) < to_hz)[None, :, None]
    return Quantising(
        name=_name("kept-bands", to_hz=(to_hz, 2000.0)),
        bank=bank,
        encode=None,
        decode=lambda powers: np.where(kept, powers, 0.0),
    )


def _level(powers: Floats) -> Floats:
    """Return band powers in dB, floored where a soft sound ends."""
    return 10.0 * np.log10(np.maximum(powers, 10.0 ** (LOWEST_DB / 10.0)))


@lru_cache(maxsize=8)
def _spectra(sample_rate: int, hop: int, count: int, seed: int) -> Floats:
    """Return the spectra of `whole_codebook`, 'entries channels', dB."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(0.3 * sample_rate)) / sample_rate
    top = min(10_000.0, 0.42 * sample_rate)
    clips = []
    for _ in range(CALIBRATION_CLIPS):
        hz = np.exp(rng.uniform(math.log(100.0), math.log(top), rng.integers(4, 16)))
        tones = np.cos(2 * np.pi * hz[:, None] * time + rng.uniform(0, 2 * np.pi, (len(hz), 1))).sum(axis=0)
        clip = tones + 0.1 * rng.standard_normal(len(time))
        clips.append(0.1 * clip / clip.std())
    bank = power_filterbank(sample_rate=sample_rate, hop=hop)
    powers = bank.transform(np.array(clips))
    edge = math.ceil(bank.margin * sample_rate / hop)
    frames = _level(powers[:, :, edge : powers.shape[2] - edge].swapaxes(1, 2).reshape(-1, powers.shape[1]))
    book = frames[rng.choice(len(frames), count, replace=False)]
    for _ in range(LLOYD_ROUNDS):
        nearest = (np.square(book).sum(axis=1) - 2 * frames @ book.T).argmin(axis=1)
        # An entry that no frame is nearest to stays where it is.
        book = np.stack([frames[nearest == k].mean(axis=0) if (nearest == k).any() else book[k] for k in range(count)])
    return book


QUANTISED_REFERENCES: Mapping[str, Callable[..., Quantising]] = {
    "band-codebooks": band_codebooks,
    "whole-codebook": whole_codebook,
    "kept-bands": kept_bands,
}
"""The references that quantise, by name."""
