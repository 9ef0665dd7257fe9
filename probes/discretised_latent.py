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
from .presence import Code, Design
from .readouts import log_power, mean
from .records import Effect, Measurement, Null, Part, Threshold
from .statistics import auc, jackknife, singular_vectors

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]

VERSION = 2
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
    design = presence.draw(ear, rng, effort)
    performances = _notes(rng, seconds=design.total.flat[0].seconds, sample_rate=ear.sample_rate)
    requests = list(presence.ask(ear, design))
    count = len(requests)
    if ear.codes:
        requests += [
            Listen(design.total.flat, CodesAsTheyAre(), sites=(CODES,)),
            Listen(performances, CodesAsTheyAre(), sites=(CODES,)),
        ]
    answers = yield requests
    codes = presence.codes(ear, design, answers[:count])
    if not codes[before].answers:
        return {SITE: _none(f"the {before} does not change with the sound", sounds=design.sounds)}
    latent, kept = (_read(codes[site], design) for site in (before, SITE))
    parts = []
    figures: dict[str, Any] = {
        "hz": [float(hz) for hz in design.total.candidates.hz[: design.main]],
        "before": before,
        "auc_before": [float(each) for each in latent.areas],
        "auc_quantised": [float(each) for each in kept.areas],
    }
    if ear.codes:
        said, played = answers[count][CODES], answers[count + 1][CODES]
        perplexity = _perplexity(said)
        figures["perplexity"] = perplexity
        parts = [
            *_prefixes(ear, said, design, latent.areas, figures),
            *_bags(said, design, latent.areas),
            *_agreement(played, perplexity),
        ]
    return {SITE: _measure(design, before, latent, kept, tuple(parts), figures, rng)}


@dataclass(frozen=True)
class Read:
    """Areas of the partials that stand alone in their alias class, 'partials'; and what readers of one family said."""

    areas: Floats
    said: Floats


def _read(code: Code, design: Design) -> Read:
    return _separate(code.sequence, design)


def _separate(sequence: Floats, design: Design) -> Read:
    found = presence.separate(sequence, design.total.present)
    return Read(found.endless[: design.main], found.said[..., : design.main])


def _measure(
    design: Design,
    before: str,
    latent: Read,
    kept: Read,
    parts: tuple[Part, ...],
    figures: dict[str, Any],
    rng: np.random.Generator,
) -> Measurement:
    separates = jackknife(lambda each: float(latent.areas[each].mean()), len(latent.areas), name="AUC", unit="AUC")
    if not separates.low > SEPARATES:
        reason = (
            f"readers of the {before} reach an area of {separates.value:.2f} [{separates.low:.2f}, "
            f"{separates.high:.2f}], not above {SEPARATES}: there is nothing to keep"
        )
        return replace(_none(reason, sounds=design.sounds), parts=parts, figures=figures)
    labels = design.total.present[..., : design.main]
    null = presence.permuted_areas(kept.said, labels, rng, NULL_DRAWS)
    observed = float(np.nanmean(presence.area_by_family(kept.said, labels)))
    return Measurement(
        site=SITE,
        probe="discretised_latent",
        version=VERSION,
        effect=ratio("share of separation kept", kept.areas, latent.areas),
        parts=parts,
        null=Null(
            kind="labels permuted within families and folds",
            draws=NULL_DRAWS,
            p=float((1 + (null >= observed).sum()) / (1 + NULL_DRAWS)),
        ),
        sounds=design.sounds,
        figures=figures,
    )


def ratio(name: str, kept: Floats, before: Floats) -> Effect:
    """Return (mean of kept - .5) / (mean of before - .5), with an interval over partials in order of frequency."""
    return presence.ratio_over_partials(name, kept - 0.5, before - 0.5)


def _prefixes(
    ear: Ear, codes: NDArray[np.int64], design: Design, before: Floats, figures: dict[str, Any]
) -> list[Part]:
    """What the first codebooks alone keep, up to all but all of them."""
    books = codes.shape[1]
    if ear.dequantise is None or books < 2:
        return []
    parts = []
    counts = [2**power for power in range(books.bit_length()) if 2**power < books]
    kept = {}
    for count in counts:
        values = np.concatenate([ear.dequantise(each[None, :count]) for each in codes])
        rate = ear.frame_rates[SITE]
        features = sequence_features(
            np.stack([mean(each, rate) for each in values]), np.stack([log_power(each, rate) for each in values])
        )
        areas = _separate(_by_family(features, design), design).areas
        kept[str(count)] = float(areas.mean())
        name = f"the first {count} codebooks" if count > 1 else "the first codebook"
        parts.append(Part(name=name, effect=ratio(name, areas, before), threshold=THRESHOLD))
    figures["auc_by_codebooks"] = kept
    return parts


def _bags(codes: NDArray[np.int64], design: Design, before: Floats) -> list[Part]:
    """What is kept in how often each code occurs (RO4)."""
    bags = _bag(codes).reshape(len(codes), -1)
    bags = bags - bags.mean(axis=0)
    # Ridge readers see rotations alike: the directions stand for the bags, all but the faintest.
    left, singular, _ = singular_vectors(bags)
    areas = _separate(_by_family(left[:, :DIRECTIONS] * singular[:DIRECTIONS], design, scale=False), design).areas
    name = "how often each code occurs (RO4)"
    return [Part(name=name, effect=ratio(name, areas, before), threshold=THRESHOLD)]


def _by_family(features: Floats, design: Design, *, scale: bool = True) -> Floats:
    shaped = features.reshape(*design.total.present.shape[:2], -1)
    if scale:
        return presence.scaled(shaped)
    return np.asarray(shaped / max(float(shaped.std()), 1e-300))


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
