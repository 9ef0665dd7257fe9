"""How `samplecnn` is trained: to tag rendered music, and what it reaches on instruments and keys that it never heard.

Each clip is one piece of 2.678 s. Its recipe says which tags it bears. They come in groups:

==============  =============================================================================================
``instrument``  kinds of instrument that play; spectrum and envelope
``register``    where tonal notes sound; the spectrum
``polyphony``   largest number of tonal notes that sound together; the spectrum
``chord``       quality of the one chord of the piece, if it stays on one; the spectrum, and fine detail of it
``texture``     percussion, few or many onsets a second, only sounds that die away; the envelope will do
==============  =============================================================================================

Tags are as coarse as instruments allow that were never heard: of the twelve families of General MIDI, a classifier of
averaged log spectra told those of new pieces (mean area .81) but hardly those of held-out programs (.70).

Every chunk of clips is tuned anew, by up to half a semitone, and every clip coloured by a random smooth equalisation,
as if it came from another room, microphone or recording: what is learned must do without the exact pitches and spectra
of one SoundFont. Recordings with genres (FMA small) may take the place of rendered music; then genres are the tags.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor, nn

from testtone.models import samplecnn
from testtone.models.samplecnn import SAMPLE_RATE, SAMPLES, SECONDS, SampleCNN
from testtone.stimuli import music, renders

from .loop import TrainingError, cooled_down
from .material import FmaSmall, Material, Synth

Floats = NDArray[np.float32]

CLIPS = 16
"""Clips a step."""

CHUNK_CLIPS = 64
PASSES = 2
"""How often a chunk is heard, in other colours and company: rendering a clip costs half as much as learning from it."""


INSTRUMENTS: Mapping[str, tuple[str, ...]] = {
    "plucked or struck strings": ("keys", "guitar", "bass"),
    "mallets": ("mallets",),
    "bowed, voices, pads": ("bowed", "voice", "pad"),
    "blown": ("organ", "brass", "reed", "pipe", "lead"),
}
"""Families of `music.FAMILIES` by how their sounds begin and go on."""

DYING = frozenset({"keys", "mallets", "guitar", "bass"})
POLYPHONY = {"one": (0, 1), "three or more": (3, 99)}
CHORDS: Mapping[str, tuple[str, ...]] = {
    "open": ("octaves", "fifths"),
    "triad": ("major", "minor"),
    "symmetric": ("diminished", "augmented"),
    "cluster": ("cluster",),
}
ONSETS = {"few onsets": (0.0, 2.0), "many onsets": (5.0, 1e9)}
"""Onsets a second; other pieces lie between."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "instrument": tuple(INSTRUMENTS),
    "register": tuple(music.REGISTERS),
    "polyphony": tuple(POLYPHONY),
    "chord": tuple(CHORDS),
    "texture": ("percussion", *ONSETS, "dying away"),
}
TAGS = tuple(f"{group}: {name}" for group, names in GROUPS.items() for name in names)

ONE_CHORD = 0.6
"""Share of pieces that stay on one chord."""

PROGRAMS_PER_FAMILY = 12
LEVELS_DB = (-32.0, -16.0)
"""RMS re full scale. Narrower than other music: a batch norm has one scale for all clips, loud and soft."""

TUNING_CENTS = 50.0
COLOUR_DB = 3.0
"""Standard deviation of a clip's equalisation at each octave."""

OCTAVES_HZ = 43.0 * 2.0 ** np.arange(9)
HELD_OUT_SEED = 20_262


class Source(Protocol):
    """Clips with tags, in chunks."""

    tags: tuple[str, ...]

    def chunk(self, index: int) -> tuple[Floats, Floats]:
        """Return clips 'clips samples' and whether they bear each tag, 'clips tags', 0 or 1."""
        ...


class TaggedMusic:
    """Rendered pieces without end: chunk c is drawn from (seed, c).

    Args:
        seed: of everything drawn.
        programs: General MIDI programs to draw from; families get equal shares. Programs of no family stay out.
        tonics: pitch classes to draw from.
        soundfont_sha256: the SoundFont; by default that of pretty_midi.
        tuning_cents: how far a chunk may be tuned up or down.
    """

    tags = TAGS

    def __init__(
        self,
        *,
        seed: int,
        programs: Sequence[int] = music.trained_programs(),
        tonics: Sequence[int] = music.trained_tonics(),
        soundfont_sha256: str | None = None,
        tuning_cents: float = 0.0,
    ) -> None:
        self.seed = seed
        self.tuning_cents = tuning_cents
        self.programs = _balanced(programs)
        self.tonics = tuple(tonics)
        self.soundfont_sha256 = soundfont_sha256 or renders.soundfont()

    def pieces(self, index: int) -> list[music.Piece]:
        """Return the pieces of a chunk."""
        rng = np.random.default_rng((self.seed, index))
        return [self._piece(rng, seconds=SAMPLES / self._rate(index)) for _ in range(CHUNK_CLIPS)]

    def chunk(self, index: int) -> tuple[Floats, Floats]:
        """Return clips 'clips samples' and tags 'clips tags'; pieces that came out silent are left out."""
        pieces = self.pieces(index)
        rate = self._rate(index)
        clips = np.stack(music.play(pieces, sample_rate=rate, soundfont_sha256=self.soundfont_sha256))
        sounds = np.abs(clips).max(axis=1) > 0
        return clips[sounds], np.stack([tags_of(piece) for piece in pieces])[sounds]

    def _rate(self, index: int) -> int:
        """Return the rate at which a chunk is played, Hz; heard at `SAMPLE_RATE` it is out of tune by the ratio."""
        cents = np.random.default_rng((self.seed, 5, index)).uniform(-self.tuning_cents, self.tuning_cents)
        return round(SAMPLE_RATE * 2.0 ** (cents / 1200.0))

    def _piece(self, rng: np.random.Generator, *, seconds: float) -> music.Piece:
        qualities = tuple(music.QUALITIES)
        piece = music.piece(
            rng,
            seconds=seconds,
            programs=self.programs,
            tonics=self.tonics,
            quality=qualities[int(rng.integers(len(qualities)))] if rng.random() < ONE_CHORD else None,
            max_polyphony=int(rng.integers(1, 7)),
        )
        return dataclasses.replace(piece, rms=float(10.0 ** (rng.uniform(*LEVELS_DB) / 20.0)))


class TaggedRecordings:
    """Excerpts of FMA small: chunk c is drawn from (seed, c), the tags are the genres."""

    def __init__(self, recordings: FmaSmall) -> None:
        self.recordings = recordings
        self.tags = recordings.genres

    def chunk(self, index: int) -> tuple[Floats, Floats]:
        """Return clips 'clips samples' and genres 'clips tags'."""
        rng = np.random.default_rng((self.recordings.seed, index))
        clips, genres = np.zeros((CHUNK_CLIPS, SAMPLES), np.float32), np.zeros((CHUNK_CLIPS, len(self.tags)))
        for row in range(CHUNK_CLIPS):
            path, clips[row] = self.recordings.excerpt(rng, seconds=SECONDS, sample_rate=SAMPLE_RATE)
            genres[row, self.tags.index(self.recordings.genre_of[path])] = 1.0
        return clips, genres.astype(np.float32)


def tags_of(piece: music.Piece) -> Floats:
    """Return 1 for each of `TAGS` that a piece bears, else 0."""
    families, polyphony, onsets = piece.families(), piece.polyphony, piece.onsets_per_second
    borne = {f"instrument: {name}" for name, members in INSTRUMENTS.items() if families & set(members)}
    borne |= {f"register: {name}" for name in piece.registers()}
    borne |= {f"polyphony: {name}" for name, (low, high) in POLYPHONY.items() if low <= polyphony <= high}
    borne |= {f"chord: {name}" for name, qualities in CHORDS.items() if piece.quality in qualities}
    borne |= {f"texture: {name}" for name, (low, high) in ONSETS.items() if low <= onsets <= high}
    if any(part.bank == 128 for part in piece.parts):
        borne.add("texture: percussion")
    if families <= DYING:
        borne.add("texture: dying away")
    return np.array([tag in borne for tag in TAGS], np.float32)


class TaggerTask:
    """Training of `samplecnn`: binary cross-entropy, all tags alike.

    Args:
        material: rendered music, or FMA small with its genres.
        seed: of the weights, the clips and their colours.
        device: where it computes.

    Raises:
        TrainingError: for recordings without tags.
    """

    name = "samplecnn"
    learning_rate = 1e-2

    def __init__(self, material: Material, *, seed: int, device: str = "cpu") -> None:
        self.source: Source
        if isinstance(material, Synth):
            self.source = TaggedMusic(
                seed=material.seed,
                programs=material.programs,
                tonics=material.tonics,
                soundfont_sha256=material.soundfont_sha256,
                tuning_cents=TUNING_CENTS,
            )
        elif isinstance(material, FmaSmall):
            self.source = TaggedRecordings(material)
        else:
            raise TrainingError("samplecnn learns tags, and these recordings have none; use synth or fma_small:DIR")
        self.device = torch.device(device)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.model = SampleCNN(tags=len(self.source.tags)).to(self.device)
        self._seed = seed
        self._begin_with_the_odds()
        self._held_out: tuple[Floats, Floats] | None = None
        self._worker = ThreadPoolExecutor(max_workers=1)
        self._ahead: dict[int, Future[tuple[Floats, Floats]]] = {}

    def modules(self) -> Mapping[str, nn.Module]:
        """Return the network."""
        return {"model": self.model}

    def loss(self, step: int, progress: float) -> Tensor:
        """Return the loss of a step."""
        clips, tags = self._heard(step)
        logits = self.model(torch.from_numpy(clips).to(self.device))
        return nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(tags).to(self.device))

    def schedule(self, progress: float) -> float:
        """Return the factor on the learning rate."""
        return cooled_down(progress)

    def figures(self) -> dict[str, float]:
        """Return mean ROC-AUC per group on 256 held-out clips of rendered music; nothing for recordings."""
        if self.source.tags != TAGS:
            return {}
        if self._held_out is None:
            self._held_out = held_out_clips(256)
        clips, tags = self._held_out
        return grouped(aucs(scores(self.model, clips), tags))

    def export(self, path: Path, *, metadata: dict[str, Any]) -> None:
        """Write the weights, the statistics of the batch norms and the names of the tags."""
        samplecnn.save(self.model, path, tags=self.source.tags, metadata=metadata)

    @staticmethod
    def held_out_figures(weights: Path | None, *, soundfonts: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """Return what weights in a file, or the bundled ones, reach on held-out clips; see `held_out_figures`."""
        encoder = samplecnn.trained(path=weights)
        return held_out_figures(encoder.model, soundfonts=soundfonts) if encoder.tags == TAGS else {}

    def _begin_with_the_odds(self) -> None:
        """Let the network begin with how common each tag is, which would take a hundred steps to learn."""
        tags = torch.from_numpy(self._chunk(0)[1])
        share = (tags.sum(dim=0) + 0.5) / (len(tags) + 1.0)
        self.model.output.weight.data.zero_()
        self.model.output.bias.data.copy_(share.logit())

    def _heard(self, step: int) -> tuple[Floats, Floats]:
        """Return the batch of a step; the next is made meanwhile, on another core if there is one."""
        ready = self._ahead.pop(step, None)
        batch = ready.result() if ready is not None else self._batch(step)
        self._ahead = {step + 1: self._worker.submit(self._batch, step + 1)}
        return batch

    def _batch(self, step: int) -> tuple[Floats, Floats]:
        """Return the clips of a step, coloured, and their tags."""
        steps = CHUNK_CLIPS // CLIPS
        index, turn = divmod(step, steps * PASSES)
        clips, tags = self._chunk(index)
        order = np.random.default_rng((self._seed, 4, step // steps)).permutation(len(clips))
        # A chunk may be a few clips short.
        rows = np.resize(order, CHUNK_CLIPS).reshape(steps, CLIPS)[turn % steps]
        return coloured(clips[rows], np.random.default_rng((self._seed, 3, step))), tags[rows]

    @functools.lru_cache(maxsize=1)  # noqa: B019  (one object a run)
    def _chunk(self, index: int) -> tuple[Floats, Floats]:
        return self.source.chunk(index)


def coloured(clips: Floats, rng: np.random.Generator) -> Floats:
    """Return clips 'clips samples' through equalisers drawn at each octave and straight between, RMS and peak kept."""
    hz = np.fft.rfftfreq(clips.shape[1], 1.0 / SAMPLE_RATE)
    place = np.log2(np.maximum(hz, OCTAVES_HZ[0]))
    result = np.empty_like(clips)
    for row, clip in enumerate(clips):
        db = np.interp(place, np.log2(OCTAVES_HZ), rng.normal(0.0, COLOUR_DB, len(OCTAVES_HZ)))
        wave = np.fft.irfft(np.fft.rfft(clip) * 10.0 ** (db / 20.0), len(clip))
        rms = np.sqrt(np.mean(np.square(clip, dtype=np.float64)))
        result[row] = wave * min(rms / np.sqrt(np.mean(wave**2)), music.PEAK / np.abs(wave).max())
    return result


def held_out_clips(count: int, *, soundfont_sha256: str | None = None) -> tuple[Floats, Floats]:
    """Return fixed clips 'count samples' of programs and tonics that no training hears, and their tags 'count tags'."""
    source = TaggedMusic(
        seed=HELD_OUT_SEED,
        programs=sorted(music.HELD_OUT_PROGRAMS),
        tonics=sorted(music.HELD_OUT_TONICS),
        soundfont_sha256=soundfont_sha256,
    )
    return take(source, count)


def take(source: Source, count: int) -> tuple[Floats, Floats]:
    """Return the first `count` clips of a source and their tags."""
    clips: list[Floats] = []
    tags: list[Floats] = []
    for index in range(count):
        if sum(map(len, clips)) >= count:
            break
        chunk = source.chunk(index)
        clips.append(chunk[0])
        tags.append(chunk[1])
    return np.concatenate(clips)[:count], np.concatenate(tags)[:count]


def scores(model: SampleCNN, clips: Floats) -> Floats:
    """Return a model's logits 'clips tags'; it must be in eval mode."""
    device = next(model.parameters()).device
    with torch.no_grad():
        parts = [model(torch.from_numpy(clips[k : k + 16]).to(device)).cpu() for k in range(0, len(clips), 16)]
    logits: Floats = torch.cat(parts).numpy()
    return logits


def aucs(scores: Floats, tags: Floats) -> NDArray[np.float64]:
    """Return the area under the ROC curve of each tag: the share of pairs in order, ties half. NaN without pairs.

    Args:
        scores: 'clips tags'.
        tags: 'clips tags', 0 or 1.
    """
    ranks = rankdata(scores, axis=0)
    borne = tags.sum(axis=0, dtype=np.float64)
    pairs = borne * (len(tags) - borne)
    below = (ranks * tags).sum(axis=0) - borne * (borne + 1) / 2
    result: NDArray[np.float64] = np.divide(below, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
    return result


def grouped(areas: NDArray[np.float64]) -> dict[str, float]:
    """Return the mean area of each group of `TAGS`, and of all tags."""
    figures = {"auc": round(float(np.nanmean(areas)), 4)}
    for group in GROUPS:
        members = [area for tag, area in zip(TAGS, areas, strict=True) if tag.startswith(f"{group}: ")]
        figures[f"auc {group}"] = round(float(np.nanmean(members)), 4)
    return figures


def held_out_figures(model: SampleCNN, *, soundfonts: Sequence[tuple[str, str]], clips: int = 1024) -> dict[str, Any]:
    """Return what a model reaches on fixed held-out clips: ROC-AUC per tag, per group and in the mean.

    Args:
        model: in eval mode.
        soundfonts: (name, SHA-256) of the SoundFonts that play the clips, each all of them.
        clips: how many.
    """
    figures: dict[str, Any] = {"clips": clips, "seconds": round(SECONDS, 4), "soundfonts": {}}
    for name, sha256 in soundfonts:
        sound, tags = held_out_clips(clips, soundfont_sha256=sha256)
        areas = aucs(scores(model, sound), tags)
        each = {tag: round(float(area), 4) for tag, area in zip(TAGS, areas, strict=True)}
        figures["soundfonts"][name] = {"sha256": sha256, **grouped(areas), "tags": each}
    return figures


def _balanced(programs: Sequence[int]) -> tuple[int, ...]:
    """Return programs, repeated so that a draw from them gives each family about the same chance."""
    balanced: list[int] = []
    for members in music.FAMILIES.values():
        found = sorted(set(members) & set(programs))
        balanced += found * round(PROGRAMS_PER_FAMILY / max(1, len(found)))
    return tuple(balanced)
