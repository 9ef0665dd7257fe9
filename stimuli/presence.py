"""Mixtures in which each of many partials is there or not, in several kinds of company.

==================  =================================================================================================
`candidates`        frequencies that may sound: some an ERB or more apart, and alias partners of some of them
`families`          kinds of company: a drone, and with it a chord, a band of noise, an ensemble, denser, softer, louder
`recorded`          families in the company of a person's own recordings
`mixtures`          tokens: each candidate on or off by a coin, in the company of a family
`chords`            chords of harmonic notes in the company of families, no chord twice
==================  =================================================================================================

A *token* is one mixture with start phases, levels and noise of its own. All tokens of a *family* share their company:
a drone below the candidates, louder than each of them, and whatever else the family holds, always at one level. Each
candidate sounds in half of a family's tokens, in an order of its own, so that none tells of another.

Levels come in two ways. ``total``: the candidates of a token share one RMS among them, however many there are, so that
no level tells their number. ``component``: each has its own level, whoever else sounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from testtone.stimuli import pitch, renders
from testtone.stimuli.backgrounds import backgrounds
from testtone.stimuli.complexes import harmonic_complex, multisine
from testtone.stimuli.designs import SUSTAINED_PROGRAMS, erb_rate, hz_from_erb_rate
from testtone.stimuli.folding import fold
from testtone.stimuli.sources import Noise, Partial, Recording, Source, Tone
from testtone.stimuli.stimulus import Stimulus
from testtone.stimuli.timbre import note

LOW_HZ = 320.0
"""Lowest candidate: from here on an ERB is 60 Hz or more."""

HIGH_HZ = 10_000.0
HIGH = 0.42
"""Highest candidate, re the sample rate, where that lies below `HIGH_HZ`."""

LEAST_CELL_ERBS = 1.05
MAIN = 16
PARTNERS = 8

CANDIDATES_RMS = 0.08
"""RMS of all candidates of a token together, re full scale 1; of half of them, where each has its own level."""

ROVE_DB = 3.0
DRONE_AMPLITUDE = 0.11
DRONE_HZ = (90.0, 200.0)
CHORD_AMPLITUDE = 0.04
BAND_RMS = 0.04
BAND_PARTIALS = 24
ENSEMBLE_RMS = 0.03
RECORDING_RMS = 0.05
HISS_RMS = 0.02
NOISE_DB = 30.0
"""How far the white noise in every token lies below the rest."""

SOFT_DB, LOUD_DB = -12.0, 4.0
NOTES_PER_CHORD = 3
NOTE_RMS = 0.04
LOW_KEY = 64
"""MIDI number of the lowest note that chords may hold: above the drones."""

KINDS = ("drone", "chord", "noise band", "ensemble", "dense", "soft", "loud", "hiss")
"""Kinds of company, in the order in which families take them."""

FEWEST = 4
"""A token holds at least so many candidates, wherever coins can be found that fall so."""

_TRIES = 64


@dataclass(frozen=True)
class Candidates:
    """Frequencies in Hz that may sound; the first `main` stand alone in their alias class, the rest are partners."""

    hz: tuple[float, ...]
    main: int
    partner_of: tuple[int, ...]
    """For each partner, the index of the main candidate with which it shares its alias, one or more frame rates off."""
    gaps_hz: tuple[float, ...]
    """Frequencies midway between neighbours: room for company."""


@dataclass(frozen=True)
class Family:
    """One kind of company, the same in all tokens of the family."""

    kind: str
    label: str
    drone_hz: float
    company_hz: tuple[float, ...] = ()
    amplitude: float = 0.0
    """Of each of the company's partials, re full scale 1."""
    ensemble: tuple[tuple[float, str], ...] = ()
    """MIDI number and timbre of each note."""
    hiss_rms: float = 0.0
    level_db: float = 0.0
    """Of everything in a token."""
    natural: tuple[Source, ...] = ()
    """Sound that nobody computed; each token hears it from a little earlier or later."""


@dataclass(frozen=True)
class Mixtures:
    """Tokens ``stimuli[family][token]`` and what is in them, 'families tokens candidates'."""

    candidates: Candidates
    families: tuple[Family, ...]
    stimuli: tuple[tuple[Stimulus, ...], ...]
    present: NDArray[np.bool_]
    amplitude: NDArray[np.float64]
    """Re full scale 1, 0 where absent."""
    phase: NDArray[np.float64]
    """Start phase in radians, at the first sample of the clip."""

    @property
    def flat(self) -> tuple[Stimulus, ...]:
        """Family by family, token by token."""
        return tuple(each for family in self.stimuli for each in family)


def candidates(rng: np.random.Generator, *, sample_rate: int, frame_rates: Sequence[float]) -> Candidates:
    """Draw up to 16 + 8 frequencies, one in each of equal cells of the ERB scale, at least an ERB apart.

    Main candidates take, within their cells, the place that keeps their alias frequencies furthest from each other and
    from 0 and half the frame rate, at the slowest of the frame rates. A partner lies a whole number of those rates
    above or below its main candidate; a cell that has no room for any stays empty.

    Raises:
        ValueError: if the sample rate leaves no room for twelve main candidates.
    """
    low, high = erb_rate(LOW_HZ), erb_rate(min(HIGH_HZ, HIGH * sample_rate))
    cells = min(MAIN + PARTNERS, int((high - low) / LEAST_CELL_ERBS))
    if cells < 12:
        raise ValueError(
            f"sample_rate={sample_rate} Hz leaves room for {max(cells, 0)} partials an ERB apart above {LOW_HZ:g} Hz, "
            "and 12 are needed: 6500 Hz or more"
        )
    rate = min(frame_rates)
    width = (high - low) / cells
    centres = low + width * (np.arange(cells) + 0.5)
    slack = (width - 1.0) / 2.0
    # Partners need room to be moved by up to a frame rate: the upper cells are wider.
    # They stand evenly among them, from a random start: any cell as likely, and main candidates as many here as there.
    first, count = cells // 4, max(0, cells - MAIN)
    for_partners = first + ((np.arange(count) + rng.random()) * (cells - first) / max(count, 1)).astype(int)
    hz: dict[int, float] = {}
    lines = [0.0, rate / 2]
    for cell in rng.permutation(np.setdiff1d(np.arange(cells), for_partners)):
        tries = [hz_from_erb_rate(each) for each in centres[cell] + rng.uniform(-slack, slack, _TRIES)]
        clear = [float(np.abs(np.array(lines) - fold(each, rate)).min()) for each in tries]
        hz[int(cell)] = tries[int(np.argmax(clear))]
        lines.append(fold(hz[int(cell)], rate))
    main = sorted(hz)
    partners: dict[int, int] = {}
    for cell in for_partners:
        bottom, top = (hz_from_erb_rate(centres[cell] + each) for each in (-slack, slack))
        for index in rng.permutation(len(main)):
            if int(index) in partners.values():
                continue
            steps = np.ceil((bottom - hz[main[index]]) / rate)
            if steps and hz[main[index]] + steps * rate <= top:
                hz[int(cell)] = hz[main[index]] + float(steps) * rate
                partners[int(cell)] = int(index)
                break
    gaps = [hz_from_erb_rate(low + width * each) for each in range(1, cells)]
    order = [*main, *partners]
    return Candidates(tuple(hz[cell] for cell in order), len(main), tuple(partners.values()), tuple(gaps))


def families(rng: np.random.Generator, count: int, *, among: Candidates, sample_rate: int) -> tuple[Family, ...]:
    """Draw `count` families, of each kind in turn, each with a drone of its own."""
    low, high = np.log(DRONE_HZ)
    drones = rng.permutation(np.exp(low + (high - low) * (np.arange(count) + rng.uniform(0.3, 0.7, count)) / count))
    return tuple(
        _family(rng, KINDS[index % len(KINDS)], float(drones[index]), among, sample_rate) for index in range(count)
    )


def recorded(rng: np.random.Generator, count: int, *, seconds: float, found: Sequence[Recording]) -> tuple[Family, ...]:
    """Draw `count` families whose company is a recording each, with a drone as the others have."""
    low, high = np.log(DRONE_HZ)
    drawn = backgrounds(rng, count, seconds=seconds, found=found, rms=RECORDING_RMS)
    drones = np.exp(low + (high - low) * (np.arange(count) + rng.uniform(0.3, 0.7, count)) / count)
    return tuple(
        Family("recording", f"a drone at {hz:.0f} Hz and {each.label}", float(hz), natural=each.sources)
        for hz, each in zip(drones, drawn, strict=True)
    )


def _family(rng: np.random.Generator, kind: str, drone: float, among: Candidates, sample_rate: int) -> Family:
    def gaps(count: int) -> tuple[float, ...]:
        return tuple(np.sort(rng.choice(among.gaps_hz, count, replace=False)).tolist())

    def band() -> tuple[float, ...]:
        place = int(rng.integers(len(among.gaps_hz) // 4, len(among.gaps_hz) // 2))
        return tuple(np.linspace(among.gaps_hz[place], among.gaps_hz[place + 2], BAND_PARTIALS).tolist())

    said = f"a drone at {drone:.0f} Hz"
    match kind:
        case "chord":
            return Family(kind, f"{said} and a chord", drone, gaps(4), CHORD_AMPLITUDE)
        case "noise band":
            amplitude = BAND_RMS * (2 / BAND_PARTIALS) ** 0.5
            return Family(kind, f"{said} and a band of noise", drone, band(), amplitude)
        case "ensemble":
            root = float(rng.integers(60, 70))
            programs = rng.choice(SUSTAINED_PROGRAMS, 3, replace=False)
            played = [f"program:{each}" if renders.available() else "formant" for each in programs]
            notes = tuple(zip(pitch.chord(root, str(rng.choice(["major", "minor"]))), played, strict=True))
            return Family(kind, f"{said} and an ensemble", drone, ensemble=notes)
        case "dense":
            return Family(kind, f"{said} and eight more partials", drone, gaps(8), CHORD_AMPLITUDE * 0.75)
        case "soft":
            return Family(kind, f"{said} and a chord, softer", drone, gaps(3), CHORD_AMPLITUDE, level_db=SOFT_DB)
        case "loud":
            amplitude = BAND_RMS * (2 / BAND_PARTIALS) ** 0.5
            return Family(kind, f"{said} and a band of noise, louder", drone, band(), amplitude, level_db=LOUD_DB)
        case "hiss":
            return Family(kind, f"{said} and hiss", drone, hiss_rms=HISS_RMS)
    return Family(kind, said, drone)


def mixtures(
    rng: np.random.Generator,
    *,
    among: Candidates,
    company: Sequence[Family],
    tokens: int,
    seconds: float,
    sample_rate: int,
    level: Literal["total", "component"],
    frozen: bool = False,
) -> Mixtures:
    """Draw `tokens` tokens of each family; with `frozen` a candidate starts with one phase wherever it sounds."""
    shape = (len(company), tokens, len(among.hz))
    present = np.stack([_coins(rng, tokens, len(among.hz)) for _ in company])
    rove = 10.0 ** (rng.uniform(-ROVE_DB, ROVE_DB, shape) / 20.0)
    phase = np.broadcast_to(rng.uniform(0.0, 2.0 * np.pi, shape[-1:] if frozen else shape), shape)
    amplitude = np.where(present, rove, 0.0)
    if level == "total":
        rms = np.sqrt(np.square(amplitude).sum(axis=-1, keepdims=True) / 2.0)
        amplitude *= CANDIDATES_RMS / np.maximum(rms, np.finfo(float).tiny)
    else:
        amplitude *= CANDIDATES_RMS * (4.0 / len(among.hz)) ** 0.5
    gain = np.array([10.0 ** (each.level_db / 20.0) for each in company])
    stimuli = tuple(
        tuple(
            _token(rng, family, among.hz, amplitude[index, token], phase[index, token], seconds, sample_rate)
            for token in range(tokens)
        )
        for index, family in enumerate(company)
    )
    return Mixtures(among, tuple(company), stimuli, present, amplitude * gain[:, None, None], phase)


def _coins(rng: np.random.Generator, tokens: int, count: int) -> NDArray[np.bool_]:
    """Presence 'tokens candidates': each in half of the tokens, at least `FEWEST` in each token where that is found."""
    half = np.arange(tokens) < tokens // 2
    coins = np.stack([rng.permutation(half) for _ in range(count)], axis=1)
    for _ in range(_TRIES):
        poor = np.flatnonzero(coins.sum(axis=1) < FEWEST)
        if not len(poor):
            break
        # Swapping a column's coin between two tokens keeps its half.
        column, rich = int(rng.integers(count)), int(rng.integers(tokens))
        if coins[rich, column] and not coins[poor[0], column] and coins[rich].sum() > FEWEST:
            coins[rich, column], coins[poor[0], column] = False, True
    return coins


def _token(
    rng: np.random.Generator,
    family: Family,
    hz: Sequence[float],
    amplitude: NDArray[np.float64],
    phase: NDArray[np.float64],
    seconds: float,
    sample_rate: int,
) -> Stimulus:
    each = zip(hz, amplitude.tolist(), phase.tolist(), strict=True)
    sounding = tuple(Partial(*one) for one in each if one[1] > 0)
    sources: list[Source] = [multisine([family.drone_hz], amplitude=DRONE_AMPLITUDE, rng=rng, role="drone")]
    if sounding:
        sources.append(Tone(sounding, role="candidates"))
    if family.company_hz:
        sources.append(multisine(family.company_hz, amplitude=family.amplitude, rng=rng, role="company"))
    for midi, timbre in family.ensemble:
        sources.append(note(midi, timbre, rms=ENSEMBLE_RMS, rng=rng, max_hz=HIGH * sample_rate))
    sources += [each.with_phases(rng) for each in family.natural]
    seed = int(rng.integers(2**31))
    sources.append(Noise(seed, rms=family.hiss_rms) if family.hiss_rms else Noise(seed, snr_db=NOISE_DB))
    label = f"{len(sounding)} partials with {family.label}"
    sound = Stimulus(tuple(sources), seconds, label=label)
    return sound.scaled(family.level_db) if family.level_db else sound


def chords(
    rng: np.random.Generator,
    *,
    among: Candidates,
    company: Sequence[Family],
    notes: int,
    tokens: int,
    seconds: float,
    sample_rate: int,
) -> Mixtures:
    """Draw chords of three of `notes` notes, no chord twice, `tokens` in the company of each family.

    A note is a harmonic complex of four partials; notes lie within two octaves, a whole number of semitones apart.

    Raises:
        ValueError: if there are not as many chords as tokens.
    """
    every = list(combinations(range(notes), NOTES_PER_CHORD))
    if len(every) < tokens * len(company):
        raise ValueError(f"notes={notes} make {len(every)} chords, and {tokens * len(company)} are needed")
    keys = np.sort(rng.choice(np.arange(LOW_KEY, LOW_KEY + 25), notes, replace=False)) + rng.uniform(-0.3, 0.3)
    hz = tuple(pitch.hz_from_midi(float(key)) for key in keys)
    order = rng.permutation(len(every))
    present = np.zeros((len(company), tokens, notes), dtype=bool)
    stimuli = []
    for index, family in enumerate(company):
        row = []
        for token in range(tokens):
            chord = every[order[index * tokens + token]]
            present[index, token, list(chord)] = True
            bare = _token(rng, replace(family, level_db=0.0), (), np.zeros(0), np.zeros(0), seconds, sample_rate)
            played = []
            for each in chord:
                rms = NOTE_RMS * 10.0 ** (rng.uniform(-ROVE_DB, ROVE_DB) / 20.0)
                tone = harmonic_complex(
                    hz[each], harmonics=4, phases="random", rng=rng, rms=rms, max_hz=HIGH * sample_rate
                )
                played.append(tone)
            label = f"{', '.join(pitch.name(float(keys[each])) for each in chord)} with {family.label}"
            sound = Stimulus((*played, *bare.sources), seconds, label=label)
            row.append(sound.scaled(family.level_db) if family.level_db else sound)
        stimuli.append(tuple(row))
    levels = np.where(present, NOTE_RMS, 0.0)
    kept = Candidates(hz, notes, (), among.gaps_hz)
    return Mixtures(kept, tuple(company), tuple(stimuli), present, levels, np.zeros(present.shape))
