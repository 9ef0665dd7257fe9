"""Tones with partials that stand in a known relation: harmonic and inharmonic complexes, multisines, single partials.

Levels are RMS re full scale 1 (``rms``) or amplitudes re full scale 1 (``amplitude``); phases in radians on a cosine.
"""

import math
from collections.abc import Sequence

import numpy as np

from testtone.stimuli.sources import TWO_PI, Partial, Tone

SINE_PHASE = -math.pi / 2.0
PHASES = ("sine", "cosine", "random", "schroeder+", "schroeder-")


def harmonic_complex(
    f0_hz: float,
    *,
    harmonics: int = 8,
    tilt_db_per_octave: float = -6.0,
    only: str = "all",
    formant_hz: Sequence[tuple[float, float]] | None = None,
    inharmonicity: float = 0.0,
    phases: str = "sine",
    rng: np.random.Generator | None = None,
    rms: float = 0.1,
    midi: float | None = None,
    timbre: str | None = None,
    role: str | None = None,
    max_hz: float | None = None,
) -> Tone:
    """Return a complex of harmonics 1 to ``harmonics`` of ``f0_hz``.

    Args:
        f0_hz: fundamental in Hz.
        harmonics: the highest harmonic number.
        tilt_db_per_octave: level re the fundamental, dB for each octave above it.
        only: ``"all"`` harmonics or the ``"odd"`` ones among them.
        formant_hz: pairs (centre, bandwidth at -3 dB) in Hz; the amplitudes of these resonances add up and multiply the
            tilt.
        inharmonicity: B of a stiff string, f_n = n f0 sqrt(1 + B n^2) (Fletcher, Blackham and Stratton 1962, JASA 34).
        phases: ``"sine"``, ``"cosine"``, ``"random"`` (needs ``rng``), or ``"schroeder+"`` and ``"schroeder-"``, which
            make the envelope flat (Schroeder 1970, IEEE Trans. Inf. Theory 16); the two are time reversals.
        rng: draws random phases.
        rms: RMS of the whole complex re full scale 1.
        midi: label; by default none.
        timbre: label of the timbre.
        role: label of the part the tone plays, such as ``"target"``.
        max_hz: partials above it are left out before the level is set.

    Raises:
        ValueError: for options out of range, or if ``max_hz`` leaves no partial.
    """
    if not (math.isfinite(f0_hz) and f0_hz > 0):
        raise ValueError(f"f0_hz={f0_hz!r} must be a positive frequency in Hz")
    if not rms >= 0:
        raise ValueError(f"rms={rms!r} must be at least 0.0 (re full scale 1)")
    if harmonics < 1 or harmonics != int(harmonics):
        raise ValueError(f"harmonics={harmonics!r} must be a whole number of at least 1")
    if only not in ("all", "odd"):
        raise ValueError(f"only={only!r} is unknown; known: all, odd")
    if inharmonicity < 0:
        raise ValueError(f"inharmonicity={inharmonicity!r} must be at least 0 (B of a stiff string)")
    number = np.arange(1, int(harmonics) + 1, 1 if only == "all" else 2, dtype=float)
    hz = f0_hz * number * np.sqrt(1.0 + inharmonicity * number**2)
    if max_hz is not None:
        hz = hz[hz <= max_hz]
        if not hz.size:
            raise ValueError(f"max_hz={max_hz} leaves no partial of f0_hz={f0_hz:.2f}")
    amplitude = 10.0 ** (tilt_db_per_octave * np.log2(hz / f0_hz) / 20.0)
    if formant_hz is not None:
        amplitude = amplitude * _resonances(hz, formant_hz)
    amplitude = amplitude * (rms / math.sqrt(float(np.sum(amplitude**2)) / 2.0))
    phase = start_phases(phases, amplitude, rng)
    return Tone(_partials(hz, amplitude, phase), midi=midi, timbre=timbre, role=role)


def multisine(
    frequencies_hz: Sequence[float] | np.ndarray,
    *,
    amplitude: float | Sequence[float] | np.ndarray,
    rng: np.random.Generator,
    role: str | None = None,
) -> Tone:
    """Return sinusoids at the frequencies listed, with random start phases; one amplitude for all or one for each."""
    hz = np.asarray(frequencies_hz, dtype=float).ravel()
    if not hz.size:
        raise ValueError("frequencies_hz is empty; silence is a Stimulus without sources")
    levels = np.asarray(amplitude, dtype=float)
    if levels.size not in (1, hz.size):
        raise ValueError(f"amplitude has {levels.size} values for {hz.size} frequencies_hz; give one, or one for each")
    levels = np.broadcast_to(levels.ravel(), hz.shape)
    return Tone(_partials(hz, levels, rng.uniform(0.0, TWO_PI, hz.size)), role=role)


def partial_tone(
    hz: float, *, amplitude: float, phase: float = 0.0, midi: float | None = None, role: str | None = None
) -> Tone:
    """Return a tone of one partial."""
    return Tone((Partial(hz, amplitude, phase),), midi=midi, role=role)


def _partials(hz: np.ndarray, amplitude: np.ndarray, phase: np.ndarray) -> tuple[Partial, ...]:
    return tuple(Partial(*each) for each in zip(hz.tolist(), amplitude.tolist(), phase.tolist(), strict=True))


def _resonances(hz: np.ndarray, formant_hz: Sequence[tuple[float, float]]) -> np.ndarray:
    """Return the summed amplitude response of resonances in parallel, 1 at the centre of a lonely one."""
    for centre, bandwidth in formant_hz:
        if centre <= 0 or bandwidth <= 0:
            raise ValueError(f"formant_hz=({centre}, {bandwidth}): centre and bandwidth must be positive (Hz)")
    responses = [1.0 / np.sqrt(1.0 + (2.0 * (hz - centre) / bandwidth) ** 2) for centre, bandwidth in formant_hz]
    return np.sum(responses, axis=0)


def start_phases(phases: str, amplitude: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    """Return start phases, radians, one per partial.

    Schroeder's rule gives each partial a group delay in proportion to the power below it, which spreads the energy
    evenly over the period: phase_n = -+2 pi sum_{l<n} (n - l) p_l with p_l the share of power. For equal powers that is
    the familiar -+pi n (n - 1) / N.
    """
    if phases not in PHASES:
        raise ValueError(f"phases={phases!r} is unknown; known: {', '.join(PHASES)}")
    if phases == "random":
        if rng is None:
            raise ValueError("phases='random' needs rng=, a numpy Generator such as numpy.random.default_rng(0)")
        return rng.uniform(0.0, TWO_PI, amplitude.size)
    if phases.startswith("schroeder"):
        power = amplitude**2 / np.sum(amplitude**2)
        below = np.concatenate(([0.0], np.cumsum(power)[:-1]))
        turns = np.mod(np.cumsum(below), 1.0)
        return TWO_PI * turns * (1.0 if phases.endswith("+") else -1.0)
    return np.full(amplitude.size, SINE_PHASE if phases == "sine" else 0.0)
