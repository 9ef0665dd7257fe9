"""Bounds of the strategies: what is asked for is checked where it is asked, before anything is drawn."""

import math

from testtone.stimuli.pitch import hz_from_midi, name

AUDIBLE = 0.45
"""Highest partial as a share of the sample rate: below Nyquist by a tenth, where resamplers still pass everything."""

CREST_RENDER = 8.0
"""Peak over RMS that a render stays below: 4.3 was the most in 13 sustained programs over three octaves."""

CREST_NOISE = 8.0
"""Peak over RMS that Gaussian noise stays below but for one clip in 10^9."""


def ordered(low: float, high: float, names: tuple[str, str], *, unit: str) -> None:
    """Raise where ``low`` exceeds ``high``."""
    for value, argument in zip((low, high), names, strict=True):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{argument}={value!r} must be a finite number ({unit})")
    if low > high:
        raise ValueError(f"{names[0]}={low} exceeds {names[1]}={high} ({unit}): nothing lies between them")


def whole(value: int, argument: str, *, least: int, most: int | None = None) -> None:
    """Raise where ``value`` is not a whole number within its limits."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
        limit = f"of at least {least}" if most is None else f"in {least}..{most}"
        raise ValueError(f"{argument}={value!r} must be a whole number {limit}")


def keys(low_midi: int, high_midi: int, cents: int) -> None:
    """Raise where no key lies between two MIDI numbers, or an offset in cents leaves its key."""
    whole(low_midi, "low_midi", least=0, most=127)
    whole(high_midi, "high_midi", least=0, most=127)
    ordered(low_midi, high_midi, ("low_midi", "high_midi"), unit="MIDI number, 69 is A4")
    whole(cents, "cents", least=0, most=50)


def levels(low_db: int, high_db: int, *, crest: float, voices: str = "a sound", argument: str = "high_db") -> None:
    """Raise where no whole dB lies between two levels, or the louder one could exceed full scale.

    ``crest`` is the peak over the RMS that ``voices`` may reach together.
    """
    for value, said in ((low_db, "low_db"), (high_db, argument)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{said}={value!r} must be a whole number (dB, RMS re full scale 1)")
    ordered(low_db, high_db, ("low_db", argument), unit="dB")
    peak = crest * 10.0 ** (high_db / 20.0)
    if peak > 1.0:
        raise ValueError(
            f"{argument}={high_db} lets {voices} reach a peak of {peak:.2f}, above full scale (1.0); "
            f"at most {math.floor(-20.0 * math.log10(crest))} dB"
        )


def audible(high_midi: float, sample_rate: int, *, above_cents: float = 0.0) -> float:
    """Return the frequency above which partials are left out, Hz, or raise where a pitch lies above it."""
    whole(sample_rate, "sample_rate", least=1)
    most = AUDIBLE * sample_rate
    highest = hz_from_midi(high_midi + above_cents / 100.0)
    if highest > most:
        raise ValueError(
            f"high_midi={high_midi} ({name(high_midi)}, up to {highest:.1f} Hz) exceeds {most:.1f} Hz, {AUDIBLE} of "
            f"sample_rate={sample_rate}; lower one or raise the other"
        )
    return most


def seconds(value: float, argument: str = "seconds") -> None:
    """Raise where a length is not positive."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value > 0):
        raise ValueError(f"{argument}={value!r} must be positive (s)")
