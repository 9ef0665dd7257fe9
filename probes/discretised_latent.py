"""Does quantising keep what the latent separated?

Source: Post 0, section 0.3, on the discretised latent space: "this stage could preserve or recombine them". What the
codes of a codec, or the last hidden layer of a classifier, still tell of single partials, next to what the latent
before them tells.

Stimuli   mixtures of partials that are there or not, and their readers, as in `separable` (`presence`).
Formula   A = mean over partials of the area under the ROC curve of linear readers of RO1 and RO2.
          effect = (A of quantised - .5) / (A of latent - .5): 1 keeps all, 0 nothing. Where there is no latent, the
          end of the stack stands for it.
Interval  over partials, from differences between neighbours, and no nearer than that of a share of partials that keep
          all (`presence.ratio_over_partials`). On the logarithm of the ratio, where it was, it reached too little down:
          where a share of .8 of the partials keep all, it lay above .8 in 2 of 16 draws; now in none of 30.
Null      labels permuted within families and folds, for readers of the quantised code.
Parts     the first 1, 2, 4, 8, ... codebooks alone, where the encoder dequantises them; how often each code occurs
          (RO4), read by the same readers from the 256 directions in which these bags differ most; and for the first
          codebooks, whether two performances of a note have more codes in common than two notes: area under the ROC
          curve of the overlap of their bags, with the perplexity of the codebook.
Threshold above .8 four fifths of what was told apart is still told apart; below .6 two fifths are lost.
Traps     A latent that separates nothing leaves nothing to keep: no effect where the lower end of its area is not above
          .6. Codes are names: their numbers are never averaged. Deeper codebooks hold what is left over by the first,
          and say little alone. A codebook with few entries in use agrees with everything: its perplexity says so.
Sources   Defossez et al. 2022 (residual vector quantisation); Liu et al. 2024, arXiv 2409.19283 (codes of one sound in
          different contexts).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtone.models.protocol import CODES
from testtone.stimuli import Stimulus, pitch
from testtone.stimuli.timbre import note

from . import presence
from .decoding import sequence_features
from .hearing import Ear, Listen, Probe
from .presence import Heard
from .readouts import log_power, mean
from .records import Effect, Measurement, Part, Threshold
from .statistics import auc, jackknife, singular_vectors

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]

VERSION = 3
SITE = "quantised"
BEFORE = ("latent", "stack_end")
THRESHOLD = Threshold(0.8, 0.6)
AGREEMENT = Threshold(0.75, 0.6)
SIZES = presence.SIZES

SEPARATES = 0.6
"""Area below which the latent has nothing that could be kept."""

DIRECTIONS = 256
NULL_DRAWS = 199
NOTES = 12
TIMBRES = ("tilt", "formant")
PERFORMANCES = 4
BOOKS = 4
"""Codebooks whose agreement is looked at, the first ones."""


@dataclass(frozen=True)
class CodesAsTheyAre:
    """Codes of all frames that are free of edges, 'codebooks frames'."""

    def __call__(self, frames: NDArray[Any], rate: float) -> NDArray[np.int64]:
        """'codebooks frames' -> the same."""
        return frames.astype(np.int64)


def lacking(ear: Ear) -> dict[str, str]:
    """Return the site where the question cannot be asked, and why, of what the encoder says of itself; else nothing."""
    if SITE not in ear.sites:
        return {SITE: f"the encoder has no site {SITE} to compare"}
    if not set(BEFORE) & set(ear.sites):
        return {SITE: f"the encoder has no site {' or '.join(BEFORE)} to compare"}
    return {}


def discretised_latent(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure what share of the latent's separation is left when it is quantised; see the module."""
    before = next((site for site in BEFORE if site in ear.sites), None)
    if before is None or lacking(ear):
        yield []
        return {site: _none(why, not_applicable=True) for site, why in lacking(ear).items()}
    # No part speaks of recordings: they are not heard.
    ear = replace(ear, backgrounds=())
    designs = presence.draws_of(ear, rng, effort)
    sounds = designs[0].sounds
    performances = _notes(rng, seconds=designs[0].total.flat[0].seconds, sample_rate=ear.sample_rate)
    requests = [each for design in designs for each in presence.ask(ear, design)]
    count = len(requests)
    if ear.codes:
        requests += [Listen(design.total.flat, CodesAsTheyAre(), sites=(CODES,)) for design in designs]
        requests.append(Listen(performances, CodesAsTheyAre(), sites=(CODES,)))
    answers = yield requests
    heard = presence.heard(ear, designs, answers[:count])
    if not presence.answering(heard[before]):
        return {SITE: _none(f"the {before} does not change with the sound", sounds=sounds)}
    latent, kept = (_read(heard[site]) for site in (before, SITE))
    parts: list[Part] = []
    figures: dict[str, Any] = {
        "hz": [float(hz) for hz in np.sort(presence.hz_of(latent.draws))],
        "before": before,
        "auc_before": [float(each) for each in latent.areas],
        "auc_quantised": [float(each) for each in kept.areas],
    }
    if ear.codes:
        *said, played = (each[CODES] for each in answers[count:])
        perplexity = _perplexity(np.concatenate(said))
        figures["perplexity"] = perplexity
        parts = [
            *_prefixes(ear, said, latent, figures),
            *_bags(said, latent),
            *_agreement(played, perplexity),
        ]
    return {SITE: replace(_measure(before, latent, kept, rng), parts=tuple(parts), figures=figures, sounds=sounds)}


@dataclass(frozen=True)
class Read:
    """Areas of the partials that stand alone in their alias class, 'partials', of all draws in order of frequency."""

    draws: Sequence[Heard]
    areas: Floats
    said: Sequence[Floats]
    """What readers of one family said, draw by draw."""


def _read(draws: Sequence[Heard]) -> Read:
    return _separate(draws, [each.code.sequence for each in draws])


def _separate(draws: Sequence[Heard], sequences: Sequence[Floats]) -> Read:
    """Let readers read what was kept of each draw's tokens, 'families tokens features'."""
    mains = [each.design.main for each in draws]
    found = [
        presence.separate(sequence, each.design.total.present) for sequence, each in zip(sequences, draws, strict=True)
    ]
    areas = presence.together(draws, [each.endless[:main] for each, main in zip(found, mains, strict=True)])
    return Read(draws, areas, [each.said[..., :main] for each, main in zip(found, mains, strict=True)])


def _measure(before: str, latent: Read, kept: Read, rng: np.random.Generator) -> Measurement:
    separates = jackknife(lambda each: float(latent.areas[each].mean()), len(latent.areas), name="AUC", unit="AUC")
    if not separates.low > SEPARATES:
        return _none(
            f"readers of the {before} reach an area of {separates.value:.2f} [{separates.low:.2f}, "
            f"{separates.high:.2f}], not above {SEPARATES}: there is nothing to keep"
        )
    said = [
        (said, each.design.total.present[..., : each.design.main])
        for said, each in zip(kept.said, kept.draws, strict=True)
    ]
    return Measurement(
        site=SITE,
        probe="discretised_latent",
        version=VERSION,
        effect=ratio("share of separation kept", kept.areas, latent.areas),
        null=presence.null_of(
            [float(np.nanmean(presence.area_by_family(*each))) for each in said],
            [presence.permuted_areas(*each, rng, NULL_DRAWS) for each in said],
            "labels permuted within families and folds",
        ),
    )


def ratio(name: str, kept: Floats, before: Floats) -> Effect:
    """Return (mean of kept - .5) / (mean of before - .5), with an interval over partials in order of frequency."""
    return presence.ratio_over_partials(name, kept - 0.5, before - 0.5)


def _prefixes(ear: Ear, said: Sequence[NDArray[np.int64]], latent: Read, figures: dict[str, Any]) -> list[Part]:
    """What the first codebooks alone keep, up to all but all of them."""
    books = said[0].shape[1]
    if ear.dequantise is None or books < 2:
        return []
    parts = []
    kept = {}
    for count in (2**power for power in range(books.bit_length()) if 2**power < books):
        sequences = [_first(ear, codes, count) for codes in said]
        areas = _separate(latent.draws, _by_family(sequences, latent.draws)).areas
        kept[str(count)] = float(areas.mean())
        name = f"the first {count} codebooks" if count > 1 else "the first codebook"
        parts.append(Part(name=name, effect=ratio(name, areas, latent.areas), threshold=THRESHOLD))
    figures["auc_by_codebooks"] = kept
    return parts


def _first(ear: Ear, codes: NDArray[np.int64], count: int) -> Floats:
    """Sequence features of what the first codebooks stand for, 'sounds features'."""
    assert ear.dequantise is not None
    values, rate = np.concatenate([ear.dequantise(each[None, :count]) for each in codes]), ear.frame_rates[SITE]
    return sequence_features(
        np.stack([mean(each, rate) for each in values]), np.stack([log_power(each, rate) for each in values])
    )


def _bags(said: Sequence[NDArray[np.int64]], latent: Read) -> list[Part]:
    """What is kept in how often each code occurs (RO4)."""
    sequences = []
    for codes in said:
        bags = _bag(codes).reshape(len(codes), -1)
        # Ridge readers see rotations alike: the directions stand for the bags, all but the faintest.
        left, singular, _ = singular_vectors(bags - bags.mean(axis=0))
        sequences.append(left[:, :DIRECTIONS] * singular[:DIRECTIONS])
    areas = _separate(latent.draws, _by_family(sequences, latent.draws, scale=False)).areas
    name = "how often each code occurs (RO4)"
    return [Part(name=name, effect=ratio(name, areas, latent.areas), threshold=THRESHOLD)]


def _by_family(sequences: Sequence[Floats], draws: Sequence[Heard], *, scale: bool = True) -> list[Floats]:
    found = []
    for sequence, each in zip(sequences, draws, strict=True):
        shaped = sequence.reshape(*each.design.total.present.shape[:2], -1)
        found.append(presence.scaled(shaped) if scale else shaped / max(float(shaped.std()), 1e-300))
    return found


def _bag(codes: NDArray[np.int64]) -> Floats:
    """Share of frames in which each code that occurs at all is chosen, 'sounds codes of all codebooks'."""
    columns = []
    for book in range(codes.shape[1]):
        names, where = np.unique(codes[:, book], return_inverse=True)
        counts = np.zeros((len(codes), len(names)))
        np.add.at(counts, (np.arange(len(codes))[:, None], where.reshape(codes[:, book].shape)), 1.0)
        columns.append(counts / codes.shape[2])
    return np.concatenate(columns, axis=1)


def _agreement(codes: NDArray[np.int64], perplexity: Sequence[float]) -> list[Part]:
    """Whether performances of one note have more codes in common than notes have, for each of the first codebooks."""
    sounds = NOTES * PERFORMANCES
    notes = np.arange(sounds) // PERFORMANCES
    parts = []
    for book in range(min(BOOKS, codes.shape[1])):
        bags = _bag(codes[:, [book]])
        common = np.array([np.minimum(each, bags).sum(axis=1) for each in bags])
        name = f"codebook {book + 1}: notes told by their codes"
        parts.append(
            Part(
                name=name,
                effect=_told(name, common, notes),
                threshold=AGREEMENT,
                note=f"perplexity {perplexity[book]:.1f}",
            )
        )
    return parts


def _told(name: str, common: Floats, notes: NDArray[np.intp]) -> Effect:
    """Area between pairs of sounds of one note and of two; the note is the cluster, and takes its pairs with it."""
    upper = np.triu(np.ones(common.shape, bool), 1)

    def statistic(kept: NDArray[np.intp]) -> float:
        inside = np.isin(notes, kept)
        pairs = upper & inside[:, None] & inside[None, :]
        same = notes[:, None] == notes[None, :]
        return auc(common[pairs & same], common[pairs & ~same])

    found = jackknife(statistic, NOTES, name=name, unit="AUC")
    return replace(found, high=min(found.high, 1.0), low=max(found.low, 0.0))


def _perplexity(codes: NDArray[np.int64]) -> list[float]:
    """How many entries of each codebook are in use, as if all were used alike: 2 to the entropy."""
    found = []
    for book in range(codes.shape[1]):
        share = np.unique(codes[:, book], return_counts=True)[1] / codes[:, book].size
        found.append(float(2.0 ** -(share * np.log2(share)).sum()))
    return found


def _notes(rng: np.random.Generator, *, seconds: float, sample_rate: int) -> tuple[Stimulus, ...]:
    """Notes, each performed in two timbres and with two sets of start phases: note by note."""
    keys = np.sort(rng.choice(np.arange(48, 84), NOTES, replace=False))
    return tuple(
        Stimulus.of(
            note(float(key), TIMBRES[performance % len(TIMBRES)], rms=0.1, rng=rng, max_hz=0.42 * sample_rate),
            seconds=seconds,
            label=f"{pitch.name(float(key))} ({TIMBRES[performance % len(TIMBRES)]})",
        )
        for key in keys
        for performance in range(PERFORMANCES)
    )


def _none(reason: str, *, not_applicable: bool = False, sounds: tuple[tuple[str, Stimulus], ...] = ()) -> Measurement:
    return Measurement(
        site=SITE,
        probe="discretised_latent",
        version=VERSION,
        effect=None,
        reason=reason,
        not_applicable=not_applicable,
        sounds=sounds,
    )
