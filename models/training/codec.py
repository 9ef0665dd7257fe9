"""How `encodec-mini` is trained, and what it reaches on music that it never heard.

First a plain autoencoder, without quantiser, until its learning rate has fallen. Then encoder and codebooks stand
still, the codebooks fitted by k-means to the latents of many clips, and the decoder goes on learning from codes, at a
bit rate drawn for each step as in Défossez et al. 2023, section 3.2.

Why not the recipe of the paper: codebooks that follow by moving averages need some vectors per entry and step, and a
step on two cores has 320 vectors for 1024 entries. Nor does the encoder learn through the quantiser: with the gradient
passed straight through (van den Oord et al. 2017) and codebooks that stand still, its latent grew without bound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from testtone.models import encodec_mini as mini
from testtone.models.quantisers import fit_to_many
from testtone.stimuli import music

from .material import Material, Synth, Windows

WINDOWS = 16
WINDOW_SAMPLES = 6400
SPECTRA = (256, 1024)
QUANTISED_FROM = 0.72
"""Share of the run after which encoder and codebooks stand still."""

COOL_FROM = 0.4
"""Share of the run after which the autoencoder's learning rate falls, to `COOL_TO` of what it was."""

COOL_TO = 0.05
DECODER_FACTOR = 0.4
"""Learning rate at which the decoder begins to learn from codes, relative to the autoencoder's; it falls to zero."""

LATENT_CHUNKS = 3
FIT_SAMPLE = 24_000
FIT_ITERATIONS = 8
HELD_OUT_SEED = 20_261
HELD_OUT_SECONDS = 2.0


class CodecTask:
    """Training of `encodec-mini`."""

    name = mini.NAME
    learning_rate = 5e-3

    def __init__(self, material: Material, *, seed: int, device: str = "cpu") -> None:
        self.model = mini.empty_model(seed=seed)
        self.device = torch.device(device)
        for module in (self.model.encoder, self.model.decoder, self.model.quantizer):
            module.to(self.device)
        self.model.quantizer.requires_grad_(False)
        self._codebooks = _Codebooks(self.model)
        self._seed = seed
        self._windows = Windows(
            material, seed=seed, count=WINDOWS, samples=WINDOW_SAMPLES, sample_rate=mini.SAMPLE_RATE
        )
        self._tapers = {size: torch.hann_window(size, device=self.device) for size in SPECTRA}
        self._held_out: Tensor | None = None

    def modules(self) -> Mapping[str, nn.Module]:
        """Return encoder, decoder and codebooks."""
        return {"encoder": self.model.encoder, "decoder": self.model.decoder, "codebooks": self._codebooks}

    def loss(self, step: int, progress: float) -> Tensor:
        """Return the loss of a step: waveform and spectra, each relative to the window's own size."""
        # Its training mode would move the codebooks.
        self.model.quantizer.eval()
        if progress >= QUANTISED_FROM and not self._codebooks.fitted:
            self.fit_codebooks(step)
        sound = torch.from_numpy(self._windows.at(step)).to(self.device)[:, None]
        if not self._codebooks.fitted:
            return self._distance(self.model.decoder(self.model.encoder(sound)), sound)
        rate = float(np.random.default_rng((self._seed, 2, step)).choice(mini.BANDWIDTHS_KBPS))
        with torch.no_grad():
            codes = self.model.quantizer.encode(self.model.encoder(sound), self.model.frame_rate, rate)
            quantised = self.model.quantizer.decode(codes)
        return self._distance(self.model.decoder(quantised), sound)

    def schedule(self, progress: float) -> float:
        """Return the factor on the learning rate: one fall for the autoencoder, one for the decoder."""
        if progress < QUANTISED_FROM:
            return 1.0 - (1.0 - COOL_TO) * max(0.0, (progress - COOL_FROM) / (QUANTISED_FROM - COOL_FROM))
        return DECODER_FACTOR * max(0.0, (1.0 - progress) / (1.0 - QUANTISED_FROM))

    def figures(self) -> dict[str, float]:
        """Return the median SI-SDR in dB on 60 held-out clips: of the autoencoder, and at the top bit rate."""
        if self._held_out is None:
            self._held_out = torch.from_numpy(held_out_clips(60)).to(self.device)
        sound = self._held_out
        latent = self.model.encoder(sound[:, None])
        figures = {"si_sdr_db_continuous": _median(si_sdr_db(self._decoded(latent, sound), sound))}
        if self._codebooks.fitted:
            for rate in (mini.BANDWIDTHS_KBPS[2], mini.BANDWIDTHS_KBPS[-1]):
                codes = self.model.quantizer.encode(latent, self.model.frame_rate, rate)
                heard = self._decoded(self.model.quantizer.decode(codes), sound)
                figures[f"si_sdr_db_{rate:g}kbps"] = _median(si_sdr_db(heard, sound))
            figures["first_codebook_perplexity"] = round(perplexity(codes[0].cpu()), 1)
        return figures

    def fit_codebooks(self, step: int) -> None:
        """Fit all codebooks to latents of the chunks of clips around a step."""
        self.model.encoder.eval()
        latents = []
        first = step // self._windows.STEPS
        with torch.no_grad():
            for index in range(max(0, first - LATENT_CHUNKS + 1), first + 1):
                clips = torch.from_numpy(np.stack(self._windows.clips(index)))
                latents += [
                    self.model.encoder(batch[:, None].to(self.device)).cpu().transpose(1, 2).flatten(0, 1)
                    for batch in clips.split(8)
                ]
        fitted = fit_to_many(
            torch.cat(latents),
            codebooks=mini.CODEBOOKS,
            entries=mini.ENTRIES,
            sample=FIT_SAMPLE,
            iterations=FIT_ITERATIONS,
            seed=self._seed,
        )
        self._codebooks.take(fitted.entries)
        self.model.encoder.train()

    def export(self, path: Path, *, metadata: dict[str, Any]) -> None:
        """Write the weights."""
        mini.save(self.model, path, metadata=metadata)

    @staticmethod
    def held_out_figures(weights: Path | None, *, soundfonts: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """Return what weights in a file, or the bundled ones, reach on held-out clips; see `held_out_figures`."""
        twin = mini.untrained(bandwidth_kbps=mini.BANDWIDTHS_KBPS[-1])
        return held_out_figures(mini.trained(path=weights), twin, soundfonts=soundfonts)

    def _decoded(self, latent: Tensor, like: Tensor) -> Tensor:
        sound: Tensor = self.model.decoder(latent)[:, 0, : like.shape[1]]
        return sound

    def _distance(self, heard: Tensor, sound: Tensor) -> Tensor:
        """Return the error of windows 'batch 1 samples' relative to their power, plus that of their spectra."""
        power = sound.square().mean(dim=-1) + 1e-6
        loss = ((heard - sound).square().mean(dim=-1) / power).mean()
        for size, taper in self._tapers.items():
            ours, theirs = (
                torch.stft(each[:, 0], size, size // 4, window=taper, return_complex=True).abs()
                for each in (heard, sound)
            )
            loss = loss + 0.25 * ((ours - theirs).abs().mean(dim=(1, 2)) / (theirs.mean(dim=(1, 2)) + 1e-4)).mean()
        return loss


class _Codebooks(nn.Module):
    """The codebooks as they are stored, float16 'codebooks entries channels'.

    The package's quantiser keeps two copies in float32, three quarters of a checkpoint.
    """

    entries: Tensor

    def __init__(self, model: Any) -> None:
        super().__init__()
        self._model = [model]  # in a list: a module here would be saved with this one
        self.register_buffer("entries", torch.zeros(mini.CODEBOOKS, mini.ENTRIES, mini.DIMENSION, dtype=torch.float16))
        self.register_load_state_dict_post_hook(lambda module, _: module.take(module.entries))

    @property
    def fitted(self) -> bool:
        """Whether they were fitted; they are zeros at first."""
        return bool(self.entries.any())

    def take(self, entries: Tensor) -> None:
        """Keep entries, and hand them to the quantiser."""
        self.entries.copy_(entries)
        mini.set_codebooks(self._model[0], self.entries.float())


def held_out_clips(
    count: int, *, seconds: float = HELD_OUT_SECONDS, soundfont_sha256: str | None = None
) -> NDArray[np.float32]:
    """Return fixed clips of programs and keys that no training hears, 'count samples', none silent."""
    synth = Synth(
        seed=HELD_OUT_SEED,
        programs=sorted(music.HELD_OUT_PROGRAMS),
        tonics=sorted(music.HELD_OUT_TONICS),
        soundfont_sha256=soundfont_sha256,
    )
    clips: list[NDArray[np.float32]] = []
    chunk = 0
    while len(clips) < count:
        found = synth.chunk(chunk, seconds=seconds, sample_rate=mini.SAMPLE_RATE)
        clips += [clip for clip in found if float(np.sqrt(np.mean(np.square(clip)))) > 1e-3]
        chunk += 1
    return np.stack(clips[:count])


def si_sdr_db(estimate: Tensor, reference: Tensor) -> Tensor:
    """Return the scale-invariant signal-to-distortion ratio of 'batch samples', dB (Le Roux et al., ICASSP 2019)."""
    estimate = estimate.double() - estimate.double().mean(dim=-1, keepdim=True)
    reference = reference.double() - reference.double().mean(dim=-1, keepdim=True)
    scale = (estimate * reference).sum(dim=-1, keepdim=True) / reference.square().sum(dim=-1, keepdim=True)
    target = scale * reference
    distortion = (estimate - target).square().sum(dim=-1).clamp_min(1e-20)
    return 10.0 * torch.log10(target.square().sum(dim=-1).clamp_min(1e-20) / distortion)


def log_mel_distance_db(estimate: Tensor, reference: Tensor, *, bands: int = 80) -> Tensor:
    """Return the mean absolute difference of log-mel spectra of 'batch samples', dB, 60 dB down at most."""
    size = 1024
    filters = torch.from_numpy(_mel_filters(bands, size, mini.SAMPLE_RATE)).to(estimate.device)
    taper = torch.hann_window(size, device=estimate.device)
    spectra = [
        10.0
        * torch.log10(
            filters @ torch.stft(each.float(), size, size // 4, window=taper, return_complex=True).abs().square()
            + 1e-12
        )
        for each in (estimate, reference)
    ]
    floor = spectra[1].amax(dim=(1, 2), keepdim=True) - 60.0
    ours, theirs = (torch.maximum(each, floor) for each in spectra)
    return (ours - theirs).abs().mean(dim=(1, 2))


def perplexity(codes: Tensor) -> float:
    """Return how many entries are in use, effectively: two to the power of the entropy of the codes."""
    share = torch.bincount(codes.flatten(), minlength=mini.ENTRIES).double() / codes.numel()
    share = share[share > 0]
    return math.exp(float(-(share * share.log()).sum()))


def held_out_figures(
    encoder: mini.EncodecMini, twin: mini.EncodecMini, *, soundfonts: Sequence[tuple[str, str]], clips: int = 200
) -> dict[str, Any]:
    """Return what an encoder reaches on fixed held-out clips, its twin beside it where that says something.

    Args:
        encoder: the trained one.
        twin: the same architecture, untrained.
        soundfonts: (name, SHA-256) of the SoundFonts that play, which share the clips among them.
        clips: how many in all.
    """
    figures: dict[str, Any] = {"clips": clips, "seconds": HELD_OUT_SECONDS, "soundfonts": {}}
    everything: list[dict[str, list[Tensor]]] = []
    for index, (name, sha256) in enumerate(soundfonts):
        count = clips * (index + 1) // len(soundfonts) - clips * index // len(soundfonts)
        sound = torch.from_numpy(held_out_clips(count, soundfont_sha256=sha256))
        found = _measured(encoder, twin, sound)
        everything.append(found)
        figures["soundfonts"][name] = {"sha256": sha256, "clips": count, **_summary([found])}
    return figures | _summary(everything)


def _measured(encoder: mini.EncodecMini, twin: mini.EncodecMini, sound: Tensor) -> dict[str, list[Tensor]]:
    found: dict[str, list[Tensor]] = {}
    for batch in sound.split(8):
        for rate in mini.BANDWIDTHS_KBPS:
            heard = encoder.reconstruct(batch, bandwidth_kbps=rate)
            found.setdefault(f"si_sdr_db {rate:g} kbps", []).append(si_sdr_db(heard, batch))
            found.setdefault(f"log_mel_db {rate:g} kbps", []).append(log_mel_distance_db(heard, batch))
        top = twin.reconstruct(batch, bandwidth_kbps=mini.BANDWIDTHS_KBPS[-1])
        found.setdefault("log_mel_db untrained twin", []).append(log_mel_distance_db(top, batch))
        found.setdefault("codes", []).append(torch.as_tensor(encoder.listen(batch)["codes"]).transpose(1, 2))
    return found


def _summary(parts: Sequence[Mapping[str, list[Tensor]]]) -> dict[str, Any]:
    """Return medians over clips, and the perplexity of every codebook in use."""
    summary: dict[str, Any] = {}
    for key in parts[0]:
        values = torch.cat([each for part in parts for each in part[key]])
        if key == "codes":
            summary["perplexities"] = [round(perplexity(values[..., k]), 1) for k in range(values.shape[-1])]
        else:
            summary[key] = round(_median(values), 2)
    return summary


def _median(values: Tensor) -> float:
    return round(float(values.double().median()), 3)


def _mel_filters(bands: int, size: int, sample_rate: int) -> NDArray[np.float32]:
    """Return triangles 'bands frequencies' even on the mel scale (O'Shaughnessy 1987), each of sum 1."""
    hz = np.linspace(0.0, sample_rate / 2, size // 2 + 1)
    top = 2595.0 * np.log10(1.0 + sample_rate / 2 / 700.0)
    edges = 700.0 * (10.0 ** (np.linspace(0.0, top, bands + 2) / 2595.0) - 1.0)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    filters = np.clip(np.minimum((hz - low) / (centre - low), (high - hz) / (high - centre)), 0.0, None)
    return (filters / np.maximum(filters.sum(axis=1, keepdims=True), 1e-9)).astype(np.float32)
