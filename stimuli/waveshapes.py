"""Waveshapes: designs in which waveform and spectrum vary apart.

`phase_factorial`  magnitude spectra x phase patterns x start offsets: one spectrum, many waveforms
`neighbours`       a tone and its neighbours: with noise, shifted in time, one partial turned; from very near to far
`disguises`        other waveforms that some encoder might take for the same sound

What a design must know of an encoder comes in as numbers: sample rate, frame rate.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from testtone.stimuli import pitch
from testtone.stimuli.complexes import harmonic_complex
from testtone.stimuli.designs import LEVEL
from testtone.stimuli.sources import TWO_PI, Noise, Partial, Tone
from testtone.stimuli.stimulus import Stimulus
from testtone.stimuli.timbre import TIMBRES

LOWEST_F0_HZ, HIGHEST_F0_HZ = 70.0, 420.0
FUNDAMENTALS = 4
"""Fundamentals that a factorial wants at least."""

HARMONICS = 8
"""The first eight are resolved by the ear: their relative phases are nearly inaudible to it."""

PATTERNS = ("sine", "schroeder+", "random", "random", "cosine", "schroeder-", "random", "random")
"""Phase patterns in the order in which a smaller design leaves them out, last first."""

_RMS = 2 * LEVEL


def fundamentals(frame_rate: float) -> tuple[int, tuple[float, ...]]:
    """Return (n, fundamentals in Hz): multiples of an n-th of the frame rate, n the least that gives enough of them.

    With n = 1 every frame sees the same piece of the waveform; else every n-th frame does.
    """
    for n in range(1, 1000):
        step = frame_rate / n
        first, last = math.ceil(LOWEST_F0_HZ / step - 1e-9), math.floor(HIGHEST_F0_HZ / step + 1e-9)
        if last - first + 1 >= FUNDAMENTALS:
            return n, tuple(step * k for k in range(first, last + 1))
    raise ValueError(f"frame_rate={frame_rate} Hz leaves no fundamentals between {LOWEST_F0_HZ} and {HIGHEST_F0_HZ} Hz")


@dataclass(frozen=True)
class PhaseFactorial:
    """``stimuli[spectrum][pattern][offset]``; sounds of one spectrum have the same partials and other start phases."""

    f0_hz: tuple[float, ...]
    patterns: tuple[str, ...]
    repeat: int
    """Frames after which every waveform stands to the frames as before."""
    stimuli: tuple[tuple[tuple[Stimulus, ...], ...], ...]

    @property
    def flat(self) -> tuple[Stimulus, ...]:
        """Spectrum by spectrum, pattern by pattern, offset by offset."""
        return tuple(each for spectrum in self.stimuli for pattern in spectrum for each in pattern)


def phase_factorial(
    rng: np.random.Generator,
    *,
    spectra: int,
    patterns: int,
    offsets: int,
    seconds: float,
    sample_rate: int,
    frame_rate: float,
) -> PhaseFactorial:
    """Cross ``spectra`` magnitude spectra with ``patterns`` phase patterns and ``offsets`` start offsets.

    A spectrum is a fundamental (in turn from those that fit the frame rate, in an order drawn anew) and an envelope of
    harmonics 1 to 8: a tilt and one resonance, both drawn. All have one RMS. Phase patterns are sine, cosine, both
    Schroeder phases and random ones, the random ones drawn for each spectrum. An offset moves a sound in time; it is
    the same for all sounds of a block.
    """
    repeat, grid = fundamentals(frame_rate)
    order = np.concatenate([rng.permutation(len(grid)) for _ in range(-(-spectra // len(grid)))])[:spectra]
    f0_hz = tuple(grid[index] for index in order)
    names = PATTERNS[:patterns]
    shifts = rng.uniform(0.0, repeat / frame_rate, offsets)
    stimuli = []
    for number, f0 in enumerate(f0_hz):
        tilt = float(rng.uniform(-9.0, 0.0))
        centre = float(np.exp(rng.uniform(np.log(300.0), np.log(2400.0))))
        tones = [
            harmonic_complex(
                f0,
                harmonics=HARMONICS,
                tilt_db_per_octave=tilt,
                formant_hz=((centre, 0.4 * centre),),
                phases=name,
                rng=rng,
                rms=_RMS,
                max_hz=0.45 * sample_rate,
            )
            for name in names
        ]
        stimuli.append(
            tuple(
                tuple(
                    Stimulus.of(
                        moved(tone, shift), seconds=seconds, label=f"{f0:.0f} Hz, envelope {number + 1}, {name} phase"
                    )
                    for shift in shifts
                )
                for name, tone in zip(names, tones, strict=True)
            )
        )
    return PhaseFactorial(f0_hz, names, repeat, tuple(stimuli))


def moved(tone: Tone, seconds: float) -> Tone:
    """Return the tone as it would sound had it begun ``seconds`` earlier, by its phases; exact between samples too."""
    return dataclasses.replace(
        tone,
        partials=tuple(
            Partial(each.hz, each.amplitude, math.remainder(each.phase + TWO_PI * each.hz * seconds, TWO_PI))
            for each in tone.partials
        ),
    )


FAMILIES = ("noise", "shift", "rotation")
DOMINATED = ("tilt", "odd")
"""Timbres of which one partial holds most of the power: turning it alone makes another waveform."""

NEAREST, NEAR, FAR = 0.01, 0.28, 0.82
"""Distances |x - x'| / sqrt(|x|^2 + |x'|^2) that neighbours are made for: from, up to; and from."""


@dataclass(frozen=True)
class Neighbours:
    """``base[tone]`` and ``others[tone][family][neighbour]``, each family from near to far."""

    base: tuple[Stimulus, ...]
    families: tuple[str, ...]
    others: tuple[tuple[tuple[Stimulus, ...], ...], ...]

    @property
    def flat(self) -> tuple[Stimulus, ...]:
        """The base tones, then tone by tone and family by family their neighbours."""
        return self.base + tuple(each for tone in self.others for family in tone for each in family)


def neighbours(
    rng: np.random.Generator,
    *,
    tones: int,
    near: int,
    far: int,
    seconds: float,
    of: Sequence[tuple[float, str]] | None = None,
    max_hz: float | None = None,
) -> Neighbours:
    """Put ``near`` neighbours in each family, and ``far`` ones in those that reach so far, around each of ``tones``.

    noise     white noise is added, another for each neighbour: -37 to -8 dB re the tone
    shift     the tone begins earlier, by a fraction of its period
    rotation  the start phase of its strongest partial is another

    Distances are aimed at by formula, evenly on a logarithmic scale near by and on a linear one far away, and drawn a
    little off that. Tones are harmonic, between C3 and C5 at any tuning, in timbres that one partial dominates;
    or those of ``of``, a MIDI number and a timbre each.
    """
    aims_near = np.geomspace(NEAREST, NEAR, near)
    base, others = [], []
    for index in range(tones):
        midi, timbre = of[index] if of else (float(rng.uniform(48.0, 72.0)), DOMINATED[index % len(DOMINATED)])
        tone = TIMBRES[timbre](midi, rms=_RMS, rng=rng, max_hz=max_hz)
        label = f"{pitch.name(midi)} ({timbre})"
        shares = np.square([each.amplitude for each in tone.partials])
        shares = shares / shares.sum()
        turns = np.arange(1, 4000) / 4000.0
        by_shift = np.sqrt(
            (
                shares * (1.0 - np.cos(TWO_PI * np.outer(turns, [p.hz for p in tone.partials]) / tone.partials[0].hz))
            ).sum(axis=1)
        )
        strongest = int(np.argmax(shares))
        by_rotation = np.sqrt(shares[strongest] * (1.0 - np.cos(TWO_PI * turns)))
        sound = Stimulus.of(tone, seconds=seconds, label=label)
        noisy = []
        for aim in _jittered(aims_near, rng):
            ratio = aim * math.sqrt(2.0 / (1.0 - aim**2))
            noisy.append(
                dataclasses.replace(
                    sound.with_noise(seed=int(rng.integers(2**31)), snr_db=-20.0 * math.log10(ratio)),
                    label=f"{label} in noise at {20.0 * math.log10(ratio):.0f} dB",
                )
            )
        shifted = []
        for turn in _turns(rng, by_shift, turns, aims_near, far):
            earlier = turn / tone.partials[0].hz
            shifted.append(
                Stimulus.of(moved(tone, earlier), seconds=seconds, label=f"{label}, {1e3 * earlier:.2f} ms earlier")
            )
        rotated = []
        for turn in _turns(rng, by_rotation, turns, aims_near, far):
            partial = tone.partials[strongest]
            partials = list(tone.partials)
            partials[strongest] = Partial(partial.hz, partial.amplitude, partial.phase + TWO_PI * turn)
            rotated.append(
                Stimulus.of(
                    dataclasses.replace(tone, partials=tuple(partials)),
                    seconds=seconds,
                    label=f"{label}, partial {strongest + 1} turned by {360 * turn:.0f} degrees",
                )
            )
        base.append(sound)
        others.append((tuple(noisy), tuple(shifted), tuple(rotated)))
    return Neighbours(tuple(base), FAMILIES, tuple(others))


def _jittered(aims: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.asarray(np.minimum(aims * np.exp(rng.uniform(-0.1, 0.1, len(aims))), NEAR))


def _turns(
    rng: np.random.Generator, distances: np.ndarray, turns: np.ndarray, near: np.ndarray, far: int
) -> list[float]:
    """Fractions of a cycle at which a distance comes nearest to what is aimed at: the first near by, any far away."""
    first = int(np.argmax(distances > NEAR)) + 1
    found = [float(turns[np.argmin(np.abs(distances[:first] - aim))]) for aim in _jittered(near, rng)]
    for aim in np.linspace(FAR, 0.99 * distances.max(), far):
        close = np.flatnonzero(np.abs(distances - aim) <= np.sort(np.abs(distances - aim))[3])
        found.append(float(turns[rng.choice(close)]))
    return found


QUIETER_DB = -26.0
"""A sound and the same so much softer are .95 apart."""


@dataclass(frozen=True)
class Disguises:
    """``base[sound]`` and ``others[sound][disguise]``, each of a kind named in ``kinds``."""

    base: tuple[Stimulus, ...]
    kinds: tuple[str, ...]
    others: tuple[tuple[Stimulus, ...], ...]

    @property
    def flat(self) -> tuple[Stimulus, ...]:
        """The base sounds, then sound by sound their disguises."""
        return self.base + tuple(each for sound in self.others for each in sound)


def disguises(
    rng: np.random.Generator, *, sounds: int, seconds: float, sample_rate: int, frame_rate: float
) -> Disguises:
    """Give each of ``sounds`` (notes and pairs of notes in turn) other waveforms which some encoder might not notice.

    phases      all start phases redrawn, twice
    polarity    turned upside down
    reversal    backwards in time
    shift       begun earlier by part of its period, twice
    alias       every partial moved by one and by three frame rates, and mirrored about a multiple of the frame rate:
                at multiples of the hop the samples are the same
    softer      26 dB softer
    noise       other sound of the same level: white noise
    """
    base, others, kinds = [], [], []
    for index in range(sounds):
        names = tuple(TIMBRES)
        notes = [
            TIMBRES[names[(index + part) % len(names)]](
                float(rng.uniform(48.0, 76.0)), rms=LEVEL / math.sqrt(1 + index % 2), rng=rng, max_hz=0.4 * sample_rate
            )
            for part in range(1 + index % 2)
        ]
        tone = Tone(tuple(each for note in notes for each in note.partials))
        label = " and ".join(f"{pitch.name(pitch.midi_from_hz(note.partials[0].hz))} ({note.timbre})" for note in notes)
        period = 1.0 / tone.partials[0].hz
        variants = [
            *(("phases", _otherwise(tone, rng)) for _ in range(2)),
            ("polarity", _rephased(tone, lambda each: each.phase + math.pi)),
            ("reversal", _rephased(tone, lambda each: -each.phase)),
            *(("shift", moved(tone, float(turn) * period)) for turn in (0.5, rng.uniform(0.3, 0.7))),
            *(("alias", _aliased(tone, by * frame_rate, sample_rate)) for by in (1, 3)),
            ("alias", _mirrored(tone, frame_rate, sample_rate)),
            ("softer", tone.scaled(QUIETER_DB)),
        ]
        base.append(Stimulus.of(tone, seconds=seconds, label=label))
        others.append(
            (
                *(Stimulus.of(each, seconds=seconds, label=f"{label}, {kind}") for kind, each in variants),
                Stimulus.of(Noise(int(rng.integers(2**31)), rms=LEVEL), seconds=seconds, label="noise"),
            )
        )
        kinds = [*(kind for kind, _ in variants), "noise"]
    return Disguises(tuple(base), tuple(kinds), tuple(others))


def _otherwise(tone: Tone, rng: np.random.Generator) -> Tone:
    """Return the tone with other start phases, drawn until the waveform is at least .92 away."""
    shares = np.square([each.amplitude for each in tone.partials])
    before = np.array([each.phase for each in tone.partials])
    while True:
        other = tone.with_phases(rng)
        alike = np.cos(before - np.array([each.phase for each in other.partials]))
        if float(shares @ (1.0 - alike) / shares.sum()) > 0.92**2:
            return other


def _rephased(tone: Tone, phase: Callable[[Partial], float]) -> Tone:
    partials = (Partial(each.hz, each.amplitude, phase(each)) for each in tone.partials)
    return dataclasses.replace(tone, partials=tuple(partials))


def _aliased(tone: Tone, hz: float, sample_rate: int) -> Tone:
    """Return the tone with every partial moved up by ``hz``, or down, or left where it is, as Nyquist allows."""

    def to(each: Partial) -> float:
        return next((new for new in (each.hz + hz, each.hz - hz) if 0.0 < new < 0.49 * sample_rate), each.hz)

    return dataclasses.replace(tone, partials=tuple(Partial(to(p), p.amplitude, p.phase) for p in tone.partials))


def _mirrored(tone: Tone, frame_rate: float, sample_rate: int) -> Tone:
    """Return the tone with every partial mirrored about a multiple of half the frame rate near it, phases reversed."""

    def to(each: Partial) -> Partial:
        for beyond in (1, 2, 0):
            new = (math.ceil(2.0 * each.hz / frame_rate) + beyond) * frame_rate - each.hz
            if 0.0 < new < 0.49 * sample_rate:
                return Partial(new, each.amplitude, -each.phase)
        return each

    return dataclasses.replace(tone, partials=tuple(to(each) for each in tone.partials))
