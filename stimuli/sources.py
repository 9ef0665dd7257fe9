"""What a stimulus is made of: tones, noise and rendered notes, as frozen records.

``Partial``    one sinusoid, ``amplitude * cos(2 pi hz t + phase)``
``Tone``       partials that belong together, with a pitch and a timbre as labels
``Noise``      white Gaussian noise from a seed
``Note``       one note on the clock of a render
``Render``     notes played by FluidSynth with one program of a SoundFont
``Recording``  an excerpt of an audio file

Records hold numbers and labels, never samples. Labels (``midi`` of a tone, ``timbre``, ``role``) change no sample.
"""

import dataclasses
import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from testtone.stimuli.multisines import Multisine

TWO_PI = 2.0 * math.pi
OFFSET_SECONDS = 0.05  # a drawn start inside a render lies up to this much later: several periods of any note


@dataclass(frozen=True)
class Partial:
    """One sinusoid: ``amplitude * cos(2 pi hz t + phase)``, amplitude re full scale 1, phase in radians."""

    hz: float
    amplitude: float
    phase: float = 0.0

    def __post_init__(self) -> None:
        number(self, "hz", above=0.0, unit="Hz")
        number(self, "amplitude", least=0.0, unit="re full scale 1")
        number(self, "phase", unit="radians")


@dataclass(frozen=True)
class Tone:
    """Partials that belong together; ``midi``, ``timbre`` and ``role`` are labels of the ground truth."""

    partials: tuple[Partial, ...]
    midi: float | None = None
    timbre: str | None = None
    role: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "partials", tuple(self.partials))
        if not self.partials:
            raise ValueError("partials=() is empty; silence is a Stimulus without sources")
        for each in self.partials:
            if not isinstance(each, Partial):
                raise TypeError(f"partials must hold Partial, not {type(each).__name__}")
        if self.midi is not None:
            number(self, "midi", unit="MIDI number, 69 is A4")

    @property
    def rms(self) -> float:
        """RMS re full scale 1 of partials at distinct frequencies, over many periods."""
        return math.sqrt(sum(each.amplitude**2 for each in self.partials) / 2.0)

    def scaled(self, db: float) -> "Tone":
        """Return the tone with every amplitude changed by ``db`` dB."""
        gain = 10.0 ** (db / 20.0)
        partials = (dataclasses.replace(each, amplitude=gain * each.amplitude) for each in self.partials)
        return dataclasses.replace(self, partials=tuple(partials))

    def with_phases(self, rng: np.random.Generator) -> "Tone":
        """Return the tone with start phases drawn uniformly in [0, 2 pi)."""
        phases = rng.uniform(0.0, TWO_PI, len(self.partials))
        partials = (
            dataclasses.replace(each, phase=phase) for each, phase in zip(self.partials, phases.tolist(), strict=True)
        )
        return dataclasses.replace(self, partials=tuple(partials))

    def truth(self) -> dict[str, Any]:
        """Return the ground truth as plain JSON."""
        return {"kind": "tone", **dataclasses.asdict(self), "partials": [dataclasses.asdict(p) for p in self.partials]}


@dataclass(frozen=True)
class Noise:
    """White Gaussian noise, the same for the same seed and number of samples.

    Give exactly one level: ``rms``, the standard deviation re full scale 1, or ``snr_db``, the RMS of everything else
    in the stimulus (measured over the whole clip, before the ramps) re that standard deviation, in dB.
    """

    seed: int
    snr_db: float | None = None
    rms: float | None = None

    def __post_init__(self) -> None:
        whole(self, "seed", least=0)
        if (self.snr_db is None) == (self.rms is None):
            raise ValueError(f"snr_db={self.snr_db}, rms={self.rms}: give exactly one of the two")
        if self.rms is not None:
            number(self, "rms", least=0.0, unit="re full scale 1")
        else:
            number(self, "snr_db", unit="dB")

    def scaled(self, db: float) -> "Noise":
        """Return the noise changed by ``db`` dB; a noise at an SNR follows the sounds around it and stays as it is."""
        return self if self.rms is None else dataclasses.replace(self, rms=self.rms * 10.0 ** (db / 20.0))

    def with_phases(self, rng: np.random.Generator) -> "Noise":
        """Return the noise itself: it has no start phases, and another seed would be another noise."""
        return self

    def samples(self, count: int) -> np.ndarray:
        """Return noise of standard deviation 1, float64 ``samples``."""
        return np.random.default_rng(self.seed).standard_normal(count)

    def truth(self) -> dict[str, Any]:
        """Return the ground truth as plain JSON."""
        return {"kind": "noise", **dataclasses.asdict(self)}


@dataclass(frozen=True)
class Click:
    """One sample of ``amplitude`` re full scale 1, ``at_seconds`` after the start (the nearest sample)."""

    at_seconds: float
    amplitude: float = 0.5

    def __post_init__(self) -> None:
        number(self, "at_seconds", least=0.0, unit="s")
        number(self, "amplitude", unit="re full scale 1")

    def scaled(self, db: float) -> "Click":
        """Return the click changed by ``db`` dB."""
        return dataclasses.replace(self, amplitude=self.amplitude * 10.0 ** (db / 20.0))

    def with_phases(self, rng: np.random.Generator) -> "Click":
        """Return the click itself: it has no start phase."""
        return self

    def truth(self) -> dict[str, Any]:
        """Return the ground truth as plain JSON."""
        return {"kind": "click", **dataclasses.asdict(self)}


@dataclass(frozen=True)
class Note:
    """One note on the clock of its render: fractional MIDI number, velocity 1 to 127, start and end in seconds.

    ``end_seconds=None`` holds the note to the end of the stimulus.
    """

    midi: float
    velocity: int = 100
    start_seconds: float = 0.0
    end_seconds: float | None = None

    def __post_init__(self) -> None:
        number(self, "midi", least=0.0, most=127.0, unit="MIDI number")
        whole(self, "velocity", least=1, most=127)
        number(self, "start_seconds", least=0.0, unit="s")
        if self.end_seconds is not None:
            number(self, "end_seconds", above=self.start_seconds, unit="s, start_seconds")


@dataclass(frozen=True)
class Render:
    """Notes played by FluidSynth with one program, scaled to ``rms`` re full scale 1 over the part used.

    The stimulus starts ``skip_seconds + offset_seconds`` into the render: ``skip_seconds`` leaves the attack out,
    ``offset_seconds`` is the drawn part, which stands for the start phase. ``bank`` 128 is percussion.
    ``max_hz`` takes away what lies above it.
    """

    notes: tuple[Note, ...]
    program: int
    soundfont_sha256: str
    rms: float
    skip_seconds: float = 0.0
    offset_seconds: float = 0.0
    bank: int = 0
    max_hz: float | None = None
    timbre: str | None = None
    role: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "notes", tuple(self.notes))
        if not self.notes:
            raise ValueError("notes=() is empty: a render has at least one Note")
        for each in self.notes:
            if not isinstance(each, Note):
                raise TypeError(f"notes must hold Note, not {type(each).__name__}")
        whole(self, "program", least=0, most=127)
        whole(self, "bank", least=0, most=128)
        number(self, "rms", least=0.0, unit="re full scale 1")
        number(self, "skip_seconds", least=0.0, unit="s")
        number(self, "offset_seconds", least=0.0, unit="s")
        if self.max_hz is not None:
            number(self, "max_hz", above=0.0, unit="Hz")

    @property
    def pitches(self) -> tuple[float, ...]:
        """MIDI numbers of the notes; percussion has none."""
        return () if self.bank == 128 else tuple(each.midi for each in self.notes)

    def scaled(self, db: float) -> "Render":
        """Return the render changed by ``db`` dB."""
        return dataclasses.replace(self, rms=self.rms * 10.0 ** (db / 20.0))

    def with_phases(self, rng: np.random.Generator) -> "Render":
        """Return the render with its start drawn anew, uniformly up to ``OFFSET_SECONDS`` after ``skip_seconds``."""
        return dataclasses.replace(self, offset_seconds=float(rng.uniform(0.0, OFFSET_SECONDS)))

    def truth(self) -> dict[str, Any]:
        """Return the ground truth as plain JSON."""
        return {"kind": "render", **dataclasses.asdict(self), "notes": [dataclasses.asdict(n) for n in self.notes]}


@dataclass(frozen=True)
class Recording:
    """An excerpt of an audio file, named by the SHA-256 of the file, scaled to ``rms`` re full scale 1.

    It starts ``start_seconds + offset_seconds`` into the file; ``offset_seconds`` is the drawn part, which stands for
    the start phase.
    """

    file_sha256: str
    start_seconds: float = 0.0
    rms: float = 0.05
    offset_seconds: float = 0.0
    title: str | None = None
    role: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{64}", self.file_sha256):
            raise ValueError(f"file_sha256={self.file_sha256!r} must be 64 hex digits, the SHA-256 of the file")
        number(self, "start_seconds", least=0.0, unit="s")
        number(self, "rms", least=0.0, unit="re full scale 1")
        number(self, "offset_seconds", least=0.0, unit="s")

    @property
    def timbre(self) -> str | None:
        """None: a recording may hold any number of them."""
        return None

    def scaled(self, db: float) -> "Recording":
        """Return the recording changed by ``db`` dB."""
        return dataclasses.replace(self, rms=self.rms * 10.0 ** (db / 20.0))

    def with_phases(self, rng: np.random.Generator) -> "Recording":
        """Return the recording with its start drawn anew, uniformly up to ``OFFSET_SECONDS`` after its place."""
        return dataclasses.replace(self, offset_seconds=float(rng.uniform(0.0, OFFSET_SECONDS)))

    def truth(self) -> dict[str, Any]:
        """Return the ground truth as plain JSON."""
        return {"kind": "recording", **dataclasses.asdict(self)}


Source = Tone | Noise | Click | Render | Multisine | Recording


def number(
    record: Any,
    name: str,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    unit: str = "",
) -> None:
    """Make field ``name`` a plain finite float in range, or raise with its name, value and limit.

    One spelling per number (-0.0 and numpy scalars included): equal sounds get equal hashes.
    """
    value = getattr(record, name)
    # A million numbers a run are as they should be.
    if (
        type(value) is float
        and value != 0.0
        and math.isfinite(value)
        and (least is None or value >= least)
        and (above is None or value > above)
        and (most is None or value <= most)
    ):
        return
    if isinstance(value, bool | str) or not isinstance(value, float | int | np.number):
        raise TypeError(f"{name}={value!r} must be a number ({unit}), not {type(value).__name__}")
    if not math.isfinite(value):
        raise ValueError(f"{name}={value!r} must be finite ({unit})")
    if least is not None and value < least:
        raise ValueError(f"{name}={value!r} must be at least {least} ({unit})")
    if above is not None and value <= above:
        raise ValueError(f"{name}={value!r} must be above {above} ({unit})")
    if most is not None and value > most:
        raise ValueError(f"{name}={value!r} must be at most {most} ({unit})")
    object.__setattr__(record, name, float(value) + 0.0)


def whole(record: Any, name: str, *, least: int, most: int | None = None) -> None:
    """Make field ``name`` a plain int in range, or raise with its name, value and limit."""
    value = getattr(record, name)
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name}={value!r} must be a whole number, not {type(value).__name__}")
    if value < least or (most is not None and value > most):
        limits = f"be at least {least}" if most is None else f"lie in {least}..{most}"
        raise ValueError(f"{name}={value} must {limits}")
    object.__setattr__(record, name, int(value))
