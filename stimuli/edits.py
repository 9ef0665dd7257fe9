"""Edits: one sound made louder, brighter, or stronger in one of its partials, each by the same amount.

`spectral_edits`  contexts over one set of partials, and in each of them the same broad and the same local edits; the
                  local ones in families, for comparisons among as many as there are broad ones

An edit multiplies the amplitudes of the partials and leaves their phases: the waveform changes by a sum of the partials
themselves. How much it changes, the RMS of the difference, is the same for every edit of a context. The broad edits are
a gain, a tilt, and patterns that are neither: they leave the power and the centre of gravity of the spectrum (of power
or of amplitude, in Hz or in octaves) where they were, and so are no change of brightness.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testtone.stimuli.designs import NoSuchDesignError, erb_rate, hz_from_erb_rate
from testtone.stimuli.sources import TWO_PI, Partial, Tone
from testtone.stimuli.stimulus import Stimulus

Floats = NDArray[np.float64]

RMS = 0.1
"""Of every context, re full scale 1."""

BRIGHTER, LOUDER = 0, 1
"""Where the two stand among the broad edits."""

PIVOT_HZ = 1000.0
CLEAR_HZ = 4.0
"""Least distance of a partial from multiples of half the frame rate, where an alias stands still."""

LEAST_GAIN = 0.1
_TRIES = 1000


@dataclass(frozen=True)
class SpectralEdits:
    """``plain[context][token]``, and ``edited[context][token][edit]``: first the broad edits, then the local ones.

    In token 0 every partial has one start phase in all contexts: its waveform is frozen but for its amplitude. In every
    later token the start phases of a context are its own. An edit never changes a phase.
    """

    hz: tuple[float, ...]
    names: tuple[str, ...]
    """What each edit is called."""
    broad: int
    """How many of the edits are broad; each family of local ones is as large."""
    local: tuple[int, ...]
    """The partial of each local edit, family by family; lowest first within a family."""
    amplitudes: tuple[tuple[tuple[float, ...], ...], ...]
    """``[context][1 + edit][partial]``: first as it is, then after each edit."""
    plain: tuple[tuple[Stimulus, ...], ...]
    edited: tuple[tuple[tuple[Stimulus, ...], ...], ...]

    @property
    def flat(self) -> tuple[Stimulus, ...]:
        """Context by context, token by token: the sound as it is, then each edit of it."""
        return tuple(
            each
            for plain, edited in zip(self.plain, self.edited, strict=True)
            for sound, edits in zip(plain, edited, strict=True)
            for each in (sound, *edits)
        )


def spectral_edits(
    rng: np.random.Generator,
    *,
    contexts: int,
    tokens: int,
    seconds: float,
    sample_rate: int,
    frame_rate: float,
    partials: int = 24,
    edits: int = 8,
    families: int = 1,
    rove_db: float = 6.0,
    low_hz: float = 150.0,
    high_hz: float | None = None,
) -> SpectralEdits:
    """Draw ``contexts`` over one set of ``partials``; make ``edits`` broad and ``families`` times as many local edits.

    The partials stand about evenly on the ERB-rate scale, each off its place by up to a quarter of a step, and so that
    it keeps clear of multiples of half the frame rate as far as it can. A context gives each a level of its own, up to
    ``rove_db`` up or down, and all together the RMS of 0.1. Every edit changes the waveform by the RMS of one partial
    at the mean level: a local edit then adds 6 dB to a partial of that level.

    Args:
        rng: draws everything.
        contexts: how many sounds are edited.
        tokens: performances of each, with start phases of their own.
        seconds: length of a clip.
        sample_rate: of the encoder, Hz; partials stay below 0.42 of it.
        frame_rate: of the slowest site, Hz.
        partials: in the common set.
        edits: broad ones, and as many local ones in each family.
        families: of local edits, each of partials that stand evenly; no partial is in two of them.
        rove_db: range of the level of a partial, either way.
        low_hz: lowest partial, about.
        high_hz: highest partial, about; 8 kHz, or 0.42 of a sample rate below 19 kHz.
    """
    if not 2 <= edits <= partials // 2:
        raise ValueError(f"edits={edits} must lie in 2..{partials // 2}, half of partials={partials}")
    hz = _support(rng, partials, low_hz, high_hz or min(8000.0, 0.42 * sample_rate), frame_rate)
    step = partials // edits
    if not 1 <= families <= step:
        raise ValueError(f"families={families} must lie in 1..{step}, partials={partials} over edits={edits}")
    start = int(rng.integers(step))
    local = np.concatenate([np.arange(edits) * step + (start + number) % step for number in range(families)])
    names = (
        "brighter",
        "louder",
        *(f"ripple of {n} half-cycles" for n in range(2, edits - 1)),
        *(("odd against even",) if edits > 2 else ()),
        *(f"more of {hz[i]:.0f} Hz" for i in local),
    )
    frozen = rng.uniform(0.0, TWO_PI, partials)
    amplitudes, plain, edited = [], [], []
    for context in range(contexts):
        amplitude, gains = _levels(rng, hz, edits, local, rove_db)
        versions = np.concatenate([amplitude[None], amplitude * gains])
        amplitudes.append(tuple(tuple(float(a) for a in version) for version in versions))
        sounds, changed = [], []
        for token in range(tokens):
            phase = frozen if token == 0 else rng.uniform(0.0, TWO_PI, partials)
            first, *others = (
                Stimulus((_tone(hz, version, phase),), seconds, label=f"spectrum {context + 1}, {name}")
                for name, version in zip(("as it is", *names), versions, strict=True)
            )
            sounds.append(first)
            changed.append(tuple(others))
        plain.append(tuple(sounds))
        edited.append(tuple(changed))
    return SpectralEdits(
        tuple(float(each) for each in hz),
        names,
        edits,
        tuple(int(each) for each in local),
        tuple(amplitudes),
        tuple(plain),
        tuple(edited),
    )


def _support(rng: np.random.Generator, count: int, low_hz: float, high_hz: float, frame_rate: float) -> Floats:
    """Frequencies about evenly on the ERB-rate scale, the clearest of several draws each."""
    low, high = erb_rate(low_hz), erb_rate(high_hz)
    step = (high - low) / count
    found = []
    for index in range(count):
        draws = [hz_from_erb_rate(low + (index + 0.5 + u) * step) for u in rng.uniform(-0.25, 0.25, 64)]
        half = frame_rate / 2
        clear = min(CLEAR_HZ, half / 3)
        found.append(next((hz for hz in draws if clear <= hz % half <= half - clear), draws[0]))
    return np.array(found)


def _levels(
    rng: np.random.Generator, hz: Floats, broad: int, local: NDArray[np.intp], rove_db: float
) -> tuple[Floats, Floats]:
    """Amplitudes of a context, and the gains of its edits; drawn again where an edit would all but mute a partial."""
    for _ in range(_TRIES):
        amplitude = 10.0 ** (rng.uniform(-rove_db, rove_db, len(hz)) / 20.0)
        amplitude *= RMS / math.sqrt(float(np.sum(amplitude**2)) / 2.0)
        gains = np.concatenate([_broad(hz, amplitude, broad), _local(amplitude, local)])
        if gains.min() > LEAST_GAIN:
            return amplitude, gains
    raise NoSuchDesignError(
        f"rove_db={rove_db} leaves partials too weak for edits of the size of one in {len(hz)}; rove less"
    )


def _broad(hz: Floats, amplitude: Floats, count: int) -> Floats:
    """Gains ``'edits partials'`` of the broad edits, each of them a change of one size."""
    power = amplitude**2 / np.sum(amplitude**2)
    size = 1.0 / math.sqrt(len(hz))
    brighter = _tilt(hz, power, size)
    # What a rival must leave alone: power, and the centre of the spectrum by every usual definition.
    octaves = np.log2(hz / PIVOT_HZ)
    centre = np.sum(amplitude * hz) / np.sum(amplitude)
    kept = np.stack([np.ones(len(hz)), brighter - 1.0, octaves, hz, (hz - centre) / amplitude])
    place = (np.arange(len(hz)) + 0.5) / len(hz)
    patterns = [np.cos(np.pi * n * place) for n in range(2, count - 1)]
    patterns += [(-1.0) ** np.arange(len(hz))] if count > 2 else []
    weight = np.sqrt(power)
    basis = np.linalg.qr((kept * weight).T)[0]
    rivals = []
    for pattern in patterns:
        weighted = pattern * weight
        for _ in range(2):  # twice is enough (Parlett 1980)
            weighted = weighted - basis @ (basis.T @ weighted)
        unit = weighted / np.linalg.norm(weighted)
        basis = np.column_stack([basis, unit])
        rivals.append(1.0 + size * unit / weight)
    return np.stack([brighter, np.full(len(hz), 1.0 + size), *rivals])


def _tilt(hz: Floats, power: Floats, size: float) -> Floats:
    """Gains of a tilt about 1 kHz that keeps the RMS, as many dB per octave as change the waveform by ``size``."""

    def gains(db_per_octave: float) -> Floats:
        gain = 10.0 ** (db_per_octave * np.log2(hz / PIVOT_HZ) / 20.0)
        return gain / math.sqrt(float(np.sum(power * gain**2)))

    low, high = 0.0, 24.0
    for _ in range(60):
        middle = (low + high) / 2
        if math.sqrt(float(np.sum(power * (gains(middle) - 1.0) ** 2))) < size:
            low = middle
        else:
            high = middle
    return gains(high)


def _local(amplitude: Floats, chosen: NDArray[np.intp]) -> Floats:
    """Gains ``'edits partials'``: one partial louder, by as much waveform as any other edit."""
    added = math.sqrt(float(np.mean(amplitude**2)))
    gains = np.ones((len(chosen), len(amplitude)))
    gains[np.arange(len(chosen)), chosen] += added / amplitude[chosen]
    return gains


def _tone(hz: Floats, amplitude: Floats, phase: Floats) -> Tone:
    partials = zip(hz.tolist(), amplitude.tolist(), phase.tolist(), strict=True)
    return Tone(tuple(Partial(*each) for each in partials))
