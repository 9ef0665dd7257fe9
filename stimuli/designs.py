"""Designs: crossed factors and matched controls, written once and reused by the claims.

=====================  ==============================================================================================
`pitches_in_contexts`  pitches x contexts x timbres x tokens: the same pitch beside different company
`presence_factorial`   every subset of a set of partials: what each adds, and what only their company adds
`alias_sets`           pairs of frequencies that fold onto each other, beside matched pairs that do not
`alias_battery`        all frequencies of some alias classes, one of each class a clip
`spaced_frequencies`   random frequencies some ERB apart, whose alias frequencies are apart as well
`erb_hz`, `erb_rate`   bandwidth and scale of the ear's filters
=====================  ==============================================================================================

A *token* is one performance: new start phases, the rest the same. One set of sounds serves two readings: *frozen*,
where a component keeps its waveform bit for bit wherever it sounds, and *roved*, where every start phase is redrawn.
What a design must know of an encoder comes in as numbers: sample rate, strides, frame rate.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testtone.stimuli import pitch
from testtone.stimuli.folding import Chain
from testtone.stimuli.sources import Noise, Partial, Source, Tone
from testtone.stimuli.stimulus import Stimulus
from testtone.stimuli.timbre import note

LEVEL = 0.05
"""RMS of a note and amplitude of a partial, re full scale 1: mixtures of a few stay far from clipping."""

SUSTAINED_PROGRAMS = (16, 19, 20, 40, 42, 56, 60, 61, 68, 70, 71, 73, 75)
"""General MIDI programs (from 0) that hold a tone: organs, bowed strings, brass, reeds, flutes."""

RESOLUTION_FRAMES = 24
"""Frames in which two alias frequencies must be told apart; they are kept more than rate / 24 from each other."""

_TRIES = 20_000


class NoSuchDesignError(ValueError):
    """The rates and ranges asked for leave no sounds that fulfil the design; the message says which."""


def erb_hz(hz: float) -> float:
    """Equivalent rectangular bandwidth of the ear at ``hz``, in Hz (Glasberg & Moore 1990, eq. 3)."""
    return 24.7 * (4.37e-3 * hz + 1.0)


def erb_rate(hz: float) -> float:
    """Number of ERBs below ``hz`` (Glasberg & Moore 1990, eq. 4)."""
    return 21.4 * math.log10(4.37e-3 * hz + 1.0)


def hz_from_erb_rate(erbs: float) -> float:
    """Inverse of `erb_rate`, in Hz."""
    return (10.0 ** (erbs / 21.4) - 1.0) / 4.37e-3


def spaced_frequencies(
    rng: np.random.Generator, count: int, *, low_hz: float, high_hz: float, erbs: float, chain: Chain
) -> tuple[float, ...]:
    """Draw ``count`` frequencies at least ``erbs`` ERB apart whose alias frequencies can be told apart as well.

    Each alias frequency stays a resolvable distance from 0 and from half the frame rate (there the response depends on
    the start phase alone) and from the alias frequencies of the others (no two partials share an alias class).
    Raises NoSuchDesignError where no such set is found.
    """
    for _ in range(_TRIES):
        scale = np.sort(rng.uniform(erb_rate(low_hz), erb_rate(high_hz), count))
        if np.diff(scale).min(initial=np.inf) < erbs:
            continue
        found = tuple(hz_from_erb_rate(each) for each in scale)
        if aliases_apart(found, chain=chain):
            return found
    raise NoSuchDesignError(
        f"count={count} frequencies {erbs} ERB apart do not fit between low_hz={low_hz} and high_hz={high_hz} "
        f"with alias frequencies apart at {chain.rate:g} frames a second; ask for fewer, or a wider range"
    )


def aliases_apart(frequencies_hz: Sequence[float], *, chain: Chain) -> bool:
    """Whether the alias frequencies of some frequencies can be told apart, and from 0 and half the frame rate."""
    rate = chain.rate
    apart = min(rate / RESOLUTION_FRAMES, rate / 2 / (len(frequencies_hz) + 2))
    return _told_apart([chain.alias(hz) for hz in frequencies_hz], rate, apart)


def _told_apart(lines: Sequence[float], rate: float, apart: float) -> bool:
    ordered = np.sort(np.concatenate([[0.0], lines, [rate / 2]]))
    return bool(np.diff(ordered).min() >= apart)


# Pitches in contexts


@dataclass(frozen=True)
class Column:
    """A context in which pitches sound, in one timbre of those pitches."""

    context: int
    """Index of the context: columns of one context share its sounds."""
    label: str
    timbre: str
    timbre_name: str
    """As a person would say it: sine, tilt, or the family of the render."""


@dataclass(frozen=True)
class PitchesInContexts:
    """``alone[column][token]`` is the context, ``together[pitch][column][token]`` the context with the pitch in it.

    In token 0 a pitch is frozen: one waveform in all contexts (of one timbre). In every later token it has start phases
    of its own in every context. The context of a token is the same whichever pitch joins it.
    """

    midi: tuple[float, ...]
    columns: tuple[Column, ...]
    tokens: int
    alone: tuple[tuple[Stimulus, ...], ...]
    together: tuple[tuple[tuple[Stimulus, ...], ...], ...]

    @property
    def unrelated(self) -> NDArray[np.bool_]:
        """Which pitches share few partials, ``'pitches pitches'``: no unison, octave, fifth or fourth apart."""
        distance = np.abs(np.subtract.outer(self.midi, self.midi)) % 12
        return np.minimum.reduce([np.abs(distance - step) for step in (0, 5, 7, 12)]) >= 0.5

    @property
    def stimuli(self) -> tuple[Stimulus, ...]:
        """All of them: the contexts first, then pitch by pitch."""
        contexts = tuple(each for column in self.alone for each in column)
        return contexts + tuple(each for row in self.together for column in row for each in column)


def pitches_in_contexts(
    rng: np.random.Generator,
    *,
    pitches: int,
    contexts: int,
    tokens: int,
    seconds: float,
    frame_rate: float,
    crossed: bool,
    harmonics_below_hz: float,
    low_midi: int = 48,
    high_midi: int = 84,
    backgrounds: Sequence[tuple[str, tuple[Source, ...]]] = (),
) -> PitchesInContexts:
    """Put each of ``pitches`` into each of ``contexts``, in three timbres: sine, additive (tilt) and FluidSynth.

    Contexts are, in turn: silence, single notes, dyads, triads, noise, and a chord of another timbre. Context notes lie
    a quarter tone off the pitches, so that no partial of one coincides with a partial of the other. With ``crossed``
    every context meets every timbre, else the timbres take turns over the contexts. A pitch is drawn as a key and
    shifted by up to 10 cents to keep its first harmonics clear of multiples of the frame rate, where an alias stands
    still. ``backgrounds``, a label and sources each, are further contexts beside those.
    """
    low, high = low_midi, high_midi
    if pitches > high - low + 1:
        raise ValueError(f"pitches={pitches} exceeds the {high - low + 1} keys from low_midi={low} to high_midi={high}")
    keys = np.sort(rng.choice(np.arange(low, high + 1), pitches, replace=False))
    midi = tuple(float(key) + clear_offset(float(key), frame_rate, rng) for key in keys)
    program = f"program:{rng.choice(SUSTAINED_PROGRAMS)}"
    timbres = (("sine", "sine"), ("tilt", "additive"), (program, "FluidSynth"))
    companies = _companies(rng, contexts, low, high)
    companies += [_Company(label, found=sources) for label, sources in backgrounds]
    # What the further contexts draw comes from a generator of their own: the other sounds stay what they were.
    draws = [rng] * contexts + (rng.spawn(1) * len(backgrounds) if backgrounds else [])
    contexts = len(companies)
    pairs = [
        (context, timbre)
        for context in range(contexts)
        for index, timbre in enumerate(timbres)
        if crossed or context % len(timbres) == index
    ]
    columns = tuple(Column(context, companies[context].label, timbre, said) for context, (timbre, said) in pairs)

    def sound(midi: float, timbre: str, drawn: np.random.Generator = rng) -> Source:
        return note(midi, timbre, rms=LEVEL, rng=drawn, max_hz=harmonics_below_hz)

    company = [[companies[c].sources(sound, draws[c]) for _ in range(tokens)] for c in range(contexts)]
    frozen: dict[tuple[float, str], Source] = {
        (each, timbre): sound(each, timbre) for each in midi for timbre, _ in timbres
    }

    def stimulus(column: Column, token: int, voice: Source | None, label: str) -> Stimulus:
        sources = company[column.context][token] + ((voice,) if voice else ())
        return Stimulus(sources, seconds, label=label)

    alone = tuple(tuple(stimulus(column, t, None, column.label) for t in range(tokens)) for column in columns)
    together = tuple(
        tuple(
            tuple(
                stimulus(
                    column,
                    t,
                    sound(each, column.timbre, draws[column.context]) if t else frozen[each, column.timbre],
                    f"{pitch.name(each)} ({column.timbre_name}) in {column.label}",
                )
                for t in range(tokens)
            )
            for column in columns
        )
        for each in midi
    )
    return PitchesInContexts(midi, columns, tokens, alone, together)


@dataclass(frozen=True)
class _Company:
    """What else sounds: notes in a timbre, or noise, or nothing."""

    label: str
    midi: tuple[float, ...] = ()
    timbre: str = "tilt"
    noise: bool = False
    found: tuple[Source, ...] = ()

    def sources(self, sound: Callable[[float, str], Source], rng: np.random.Generator) -> tuple[Source, ...]:
        if self.noise:
            return (Noise(int(rng.integers(2**31)), rms=LEVEL),)
        if self.found:
            return tuple(each.with_phases(rng) for each in self.found)
        return tuple(sound(each, self.timbre) for each in self.midi)


def _companies(rng: np.random.Generator, count: int, low: int, high: int) -> list[_Company]:
    """Contexts: silence, note, dyad, triad, noise, other timbre; then notes, dyads and triads."""
    order = ["silence", "note", "dyad", "triad", "noise", "other", "note", "dyad", "triad", "note", "dyad", "note"]
    companies = []
    for index in range(count):
        kind = order[index % len(order)] if index < len(order) else order[1 + index % 3]
        root = float(rng.integers(low, high - 8)) + 0.5
        name = pitch.name(root)
        match kind:
            case "silence":
                companies.append(_Company("silence"))
            case "note":
                companies.append(_Company(name, (root,)))
            case "dyad":
                other = root + float(rng.integers(3, 10))
                companies.append(_Company(f"{name} and {pitch.name(other)}", (root, other)))
            case "triad":
                quality = str(rng.choice(["major", "minor"]))
                companies.append(_Company(f"a {quality} triad on {name}", pitch.chord(root, quality)))
            case "noise":
                companies.append(_Company("noise", noise=True))
            case "other":
                other = root + float(rng.integers(3, 10))
                companies.append(_Company(f"{name} and {pitch.name(other)} (formant)", (root, other), timbre="formant"))
    return companies


def clear_offset(midi: float, frame_rate: float, rng: np.random.Generator, harmonics: int = 4) -> float:
    """Offset in semitones, within 10 cents, that keeps the first harmonics off multiples of the frame rate."""
    offsets = rng.uniform(-0.1, 0.1, 64)
    hz = np.array([pitch.hz_from_midi(midi + offset) for offset in offsets])
    folded = np.mod(np.outer(hz, np.arange(1, harmonics + 1)), frame_rate)
    clearance = np.minimum(folded, frame_rate - folded).min(axis=1)
    return float(offsets[np.argmax(clearance)])


# Presence factorial


@dataclass(frozen=True)
class PresenceFactorial:
    """``stimuli[set][token][subset]``: bit i of the subset's index says whether partial i sounds."""

    frequencies: tuple[tuple[float, ...], ...]
    stimuli: tuple[tuple[tuple[Stimulus, ...], ...], ...]

    @property
    def flat(self) -> tuple[Stimulus, ...]:
        """Set by set, token by token, subset by subset."""
        return tuple(each for per_set in self.stimuli for per_token in per_set for each in per_token)


def presence_factorial(
    rng: np.random.Generator,
    *,
    sets: int,
    partials: int,
    tokens: int,
    seconds: float,
    chain: Chain,
    low_hz: float = 150.0,
    high_hz: float | None = None,
    level_db: float = 0.0,
    rove_db: float = 3.0,
) -> PresenceFactorial:
    """All subsets of ``sets`` sets of partials at least 3 ERB apart, each set with levels of its own.

    The amplitude of a partial is 0.05 full scale, ``level_db`` louder, +- ``rove_db`` drawn once per set and partial.
    """
    high = high_hz or min(8000.0, 0.42 * chain.sample_rate)
    frequencies, stimuli = [], []
    for _ in range(sets):
        hz = spaced_frequencies(rng, partials, low_hz=low_hz, high_hz=high, erbs=3.0, chain=chain)
        amplitude = LEVEL * 10.0 ** ((level_db + rng.uniform(-rove_db, rove_db, partials)) / 20.0)
        per_token = []
        for _ in range(tokens):
            phase = rng.uniform(0.0, 2.0 * np.pi, partials)
            tones = [Tone((Partial(*each),)) for each in zip(hz, amplitude.tolist(), phase.tolist(), strict=True)]
            per_token.append(
                tuple(
                    Stimulus(
                        tuple(tone for bit, tone in enumerate(tones) if subset >> bit & 1),
                        seconds,
                        label=_said(hz, subset),
                    )
                    for subset in range(2**partials)
                )
            )
        frequencies.append(hz)
        stimuli.append(tuple(per_token))
    return PresenceFactorial(tuple(frequencies), tuple(stimuli))


def _said(hz: Sequence[float], subset: int) -> str:
    present = [f"{each:.0f}" for bit, each in enumerate(hz) if subset >> bit & 1]
    return f"partials at {', '.join(present)} Hz" if present else "silence"


# Alias pairs and classes


@dataclass(frozen=True)
class AliasPair:
    """Two frequencies in ``alias_hz`` that fold onto one, and two in ``control_hz``, as far apart, that do not."""

    kind: str
    alias_hz: tuple[float, float]
    control_hz: tuple[float, float]
    spare_line_hz: float
    """An alias frequency at which neither alias sounds, as far from theirs as those of the control pair are apart: with
    it, both pairs are fitted with equally many lines."""


def alias_kinds(chain: Chain) -> tuple[str, ...]:
    """The kinds of pairs that a chain has: translation and mirror at its last rate, and a fold about each Nyquist."""
    return ("translation", "mirror", *(f"fold at {rate / 2:g} Hz" for rate in _folding(chain).rates))


def _folding(chain: Chain) -> Chain:
    """The chain without its strides of 1, which fold nothing."""
    return Chain(chain.sample_rate, tuple(stride for stride in chain.strides if stride > 1) or (1,))


def alias_sets(
    rng: np.random.Generator, *, sets: int, chain: Chain, low_hz: float = 150.0, high_hz: float | None = None
) -> tuple[Mapping[str, AliasPair], ...]:
    """Draw ``sets`` sets of one pair per kind, each with its matched control.

    translation: f and f + k rate; mirror: f and k rate - f; fold at N: n N - D/2 and n N + D/2, D about 10, 50, 200,
    800 Hz in turn, where the two first meet after the stride that makes N the Nyquist frequency. The control is the
    same pair moved off every alias relation, equally far apart to the Hz; a translated pair is an alias wherever it
    stands, so its control is wider or narrower by a fraction of the frame rate. Alias frequencies that should differ,
    and their doubles, can be told apart within `RESOLUTION_FRAMES` frames.
    Raises NoSuchDesignError where a kind cannot be had (a frame rate too near the sample rate).
    """
    high = high_hz or 0.45 * chain.sample_rate
    return tuple(
        {
            kind: _alias_pair(rng, kind, level - 2, index, _folding(chain), low_hz, high)
            for level, kind in enumerate(alias_kinds(chain))
        }
        for index in range(sets)
    )


def matched_pair(
    rng: np.random.Generator, kind: str, pair: tuple[float, float], *, chain: Chain, low_hz: float, high_hz: float
) -> AliasPair | None:
    """Draw a control and a spare line for two frequencies of one alias class; None for a draw that does not qualify.

    Args:
        rng: draws both.
        kind: one of `alias_kinds`.
        pair: Hz, the lower first.
        chain: the strides.
        low_hz: nothing sounds below half of it.
        high_hz: nothing sounds above it.
    """
    rate = chain.rate
    shift = rng.choice((-1, 1)) * rng.uniform(rate / 12, rate)
    stretch = rng.choice((-1, 1)) * rng.uniform(rate / 5, rate / 2) if kind == "translation" else 0.0
    control = pair[0] + shift, pair[1] + shift + stretch
    together = (*pair, *control)
    if min(together) < low_hz / 2 or max(together) > high_hz or control[1] - control[0] < 1.0:
        return None
    shared, first, second = (chain.alias(hz) for hz in (pair[0], *control))
    spare = float(rng.uniform(0, rate / 2))
    if not (_lines_resolvable((shared, spare), rate) and _lines_resolvable((first, second), rate)):
        return None
    (f, g), (h, i) = pair, control
    return AliasPair(kind, (float(f), float(g)), (float(h), float(i)), spare)


def _alias_pair(
    rng: np.random.Generator, kind: str, level: int, index: int, chain: Chain, low: float, high: float
) -> AliasPair:
    for _ in range(_TRIES):
        pair = _folding_pair(rng, kind, level, index, chain, low, high)
        if pair is None:
            continue
        found = matched_pair(rng, kind, pair, chain=chain, low_hz=low, high_hz=high)
        if found is not None:
            return found
    raise NoSuchDesignError(
        f"no pair of kind {kind!r} between {low:g} and {high:g} Hz at {chain.rate:g} frames a second "
        f"(sample_rate={chain.sample_rate})"
    )


def _folding_pair(
    rng: np.random.Generator, kind: str, level: int, index: int, chain: Chain, low: float, high: float
) -> tuple[float, float] | None:
    """Two frequencies of one alias class, the lower first, or None for a draw that does not qualify."""
    rate = chain.rate
    if kind in ("translation", "mirror"):
        f = math.exp(rng.uniform(math.log(low), math.log(high)))
        k = rng.integers(1, max(2, int(f / rate) + 1))
        g = f + k * rate if kind == "translation" else (math.ceil(f / rate) + k) * rate - f
        return (min(f, g), max(f, g)) if max(f, g) < 2.2 * min(f, g) and abs(f - g) > rate / 12 else None
    fold = chain.rates[level] / 2
    # At fast frame rates 10 Hz would fall too near an alias of 0 to be told from it.
    distance = min(max((10.0, 50.0, 200.0, 800.0)[index % 4], rate / 10), fold) * rng.uniform(0.75, 1.25)
    n = rng.integers(1, max(2, int(high / fold) + 1))
    ratio = round(chain.rates[level - 1] / chain.rates[level]) if level else 0
    if ratio and n % ratio == 0:
        return None  # a fold of an earlier stride
    return fold * n - distance / 2, fold * n + distance / 2


def _lines_resolvable(lines: Sequence[float], rate: float) -> bool:
    """Whether alias frequencies and their doubles, folded, are all apart, and apart from 0 and half the rate."""
    return _told_apart([*lines, *(doubled(line, rate) for line in lines)], rate, rate / RESOLUTION_FRAMES)


def doubled(line: float, rate: float) -> float:
    """Where the second harmonic of an alias frequency folds to, at ``rate`` frames a second."""
    return min(2 * line % rate, rate - 2 * line % rate)


def alias_battery(
    rng: np.random.Generator, *, lines: int, seconds: float, chain: Chain
) -> tuple[tuple[float, ...], tuple[Stimulus, ...]]:
    """Every frequency of ``lines`` alias classes: each clip holds one member of each class, in random order.

    Returns the alias frequencies in Hz and ``chain.hop`` clips: class i, member j stands in clip j. The members of one
    clip never share an alias frequency, so their responses are read off one clip by their lines.
    """
    rate = chain.rate
    aliases = tuple(float(each) for each in (np.arange(lines) + 0.5) * rate / 2 / lines)
    members = [rng.permutation(chain.members(alias)) for alias in aliases]
    clips = []
    for each in zip(*members, strict=True):
        phase = rng.uniform(0.0, 2.0 * np.pi, lines)
        tones = tuple(
            Tone((Partial(float(hz), LEVEL / 2, float(angle)),)) for hz, angle in zip(each, phase, strict=True)
        )
        clips.append(Stimulus(tones, seconds, label=f"{lines} partials, one of each alias class"))
    return aliases, tuple(clips)
