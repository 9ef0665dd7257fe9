"""A stimulus: sources, a length and ramps; what it sounds like, what is true of it, and its name as a hash.

The order of synthesis is fixed: all partials, then renders, recordings, multisines, clicks and noise, all in float64;
ramps over the sum; one cast to float32. Sources of one kind are added in the order given.
"""

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from testtone.stimuli import pitch, recordings, renders
from testtone.stimuli.multisines import LineSpectrum, Multisine
from testtone.stimuli.sources import TWO_PI, Click, Noise, Note, Partial, Recording, Render, Source, Tone, number

if TYPE_CHECKING:
    import pretty_midi

SYNTHESIS_VERSION = 1  # rises when the same recipe gives other samples


@dataclass(frozen=True)
class Stimulus:
    """Sources that sound together for ``seconds``, with raised-cosine ramps of ``ramp_seconds`` at both ends.

    ``label`` and ``chord`` are for people; they change neither the samples nor the hash. Without sources it is silence.

    >>> from testtone.stimuli import Stimulus, partial_tone
    >>> low = Stimulus(sources=(partial_tone(440.0, amplitude=0.1),), seconds=0.5)
    >>> high = Stimulus(sources=(partial_tone(660.0, amplitude=0.1),), seconds=0.5)
    >>> (low + high).render(24_000).shape
    (12000,)
    """

    sources: tuple[Source, ...]
    seconds: float
    ramp_seconds: float = 0.02
    label: str = ""
    chord: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", tuple(self.sources))
        for each in self.sources:
            if not isinstance(each, Source):
                raise TypeError(
                    f"sources must hold Tone, Noise, Click, Render, Multisine or Recording, not {type(each).__name__}"
                )
        number(self, "seconds", above=0.0, unit="s")
        number(self, "ramp_seconds", least=0.0, most=self.seconds / 2.0, unit="s, half of seconds")
        if len(self._noises(at_snr=True)) > 1:
            raise ValueError("two noises with snr_db: each would be relative to the other; give one of them rms=")

    @classmethod
    def of(
        cls, *sources: Source, seconds: float, ramp_seconds: float = 0.02, label: str = "", chord: str | None = None
    ) -> "Stimulus":
        """Return the stimulus of the sources listed."""
        return cls(sources, seconds, ramp_seconds, label, chord)

    @classmethod
    def from_truth(cls, truth: Mapping[str, Any]) -> "Stimulus":
        """Return the stimulus that ``truth()`` describes: a sound in a report can be played again.

        Raises:
            ValueError: if something is missing, or no sound is like that.
        """
        missing = [key for key in ("sources", "seconds", "ramp_seconds", "label", "chord") if key not in truth]
        if missing:
            raise ValueError(f"truth lacks {', '.join(missing)}; give what Stimulus.truth() returned, whole")
        sources = tuple(_source(each) for each in truth["sources"])
        return cls(sources, truth["seconds"], truth["ramp_seconds"], truth["label"], truth["chord"])

    def render(self, sample_rate: int) -> np.ndarray:
        """Return the waveform at ``sample_rate`` Hz, float32 ``samples``, ``round(seconds * sample_rate)`` of them.

        Raises:
            ValueError: if a partial is not below Nyquist, if the peak exceeds full scale, if a noise at an SNR has
                nothing to be relative to, or if the sample rate is not a positive whole number.
            testtone.stimuli.FluidSynthMissingError: if a render needs FluidSynth and it is not installed.
        """
        if sample_rate != int(sample_rate) or sample_rate < 1:
            raise ValueError(f"sample_rate={sample_rate!r} must be a positive whole number of Hz")
        sample_rate = int(sample_rate)
        samples = round(self.seconds * sample_rate)
        wave = additive(self.partials, samples, sample_rate=sample_rate)
        for each in self.sources:
            if isinstance(each, Render):
                wave += renders.waveform(each, samples, sample_rate=sample_rate)
            elif isinstance(each, Recording):
                wave += recordings.waveform(each, samples, sample_rate=sample_rate)
        for each in self.sources:
            if isinstance(each, Multisine):
                wave += each.waveform(samples, sample_rate=sample_rate)
        for each in self.sources:
            if isinstance(each, Click):
                if round(each.at_seconds * sample_rate) >= samples:
                    raise ValueError(f"at_seconds={each.at_seconds} lies behind the end of {self.seconds} s")
                wave[round(each.at_seconds * sample_rate)] += each.amplitude
        for noise in self._noises(at_snr=False):
            wave += noise.rms * noise.samples(samples)
        for noise in self._noises(at_snr=True):
            wave += _rms_for(noise, wave) * noise.samples(samples)
        wave *= _ramps(samples, round(self.ramp_seconds * sample_rate))
        peak = float(np.max(np.abs(wave), initial=0.0))
        if peak > 1.0 + 1e-9:
            hint = math.ceil(200.0 * math.log10(peak)) / 10.0
            raise ValueError(
                f"peak={peak:.3f} exceeds full scale (1.0) in stimulus {self.label!r}; try .scaled(-{hint:.1f})"
            )
        return wave.astype(np.float32)

    @functools.cached_property
    def sha256(self) -> str:
        """Hash of everything that changes the samples at a given rate, and of nothing else."""
        content = {
            "synthesis": SYNTHESIS_VERSION,
            "seconds": self.seconds,
            "ramp_seconds": self.ramp_seconds,
            "partials": [[p.hz, p.amplitude, p.phase] for p in self.partials],
            "renders": [_unlabelled(each) for each in self.sources if isinstance(each, Render)],
            "noises": [each.truth() for each in self.sources if isinstance(each, Noise)],
        }
        clicks = [each.truth() for each in self.sources if isinstance(each, Click)]
        content |= {"clicks": clicks} if clicks else {}
        multisines = [each.identity() for each in self.sources if isinstance(each, Multisine)]
        content |= {"multisines": multisines} if multisines else {}
        recorded = [_unlabelled(each) for each in self.sources if isinstance(each, Recording)]
        content |= {"recordings": recorded} if recorded else {}
        text = json.dumps(content, sort_keys=True, allow_nan=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def partials(self) -> tuple[Partial, ...]:
        """All partials of all tones, in order."""
        return tuple(p for each in self.sources if isinstance(each, Tone) for p in each.partials)

    @property
    def pitches(self) -> tuple[float, ...]:
        """MIDI numbers, fractional, of the tones that have one and of the notes of renders, in order."""
        found: list[float] = []
        for each in self.sources:
            if isinstance(each, Tone) and each.midi is not None:
                found.append(each.midi)
            elif isinstance(each, Render):
                found.extend(each.pitches)
        return tuple(found)

    @property
    def timbres(self) -> tuple[str, ...]:
        """Timbre names of the sources that have one, in order."""
        return tuple(
            each.timbre for each in self.sources if isinstance(each, Tone | Render) and each.timbre is not None
        )

    def truth(self) -> dict[str, Any]:
        """Return the complete ground truth as plain JSON: every partial, note, seed and level, and the labels."""
        return {
            "sha256": self.sha256,
            "synthesis": SYNTHESIS_VERSION,
            "label": self.label,
            "seconds": self.seconds,
            "ramp_seconds": self.ramp_seconds,
            "chord": self.chord,
            "pitches": list(self.pitches),
            "pitch_names": [pitch.name(each) for each in self.pitches],
            "timbres": list(self.timbres),
            "sources": [each.truth() for each in self.sources],
        }

    def __add__(self, other: "Stimulus") -> "Stimulus":
        """Mix two stimuli of equal length and ramps; the waveforms add before the cast to float32."""
        if not isinstance(other, Stimulus):
            return NotImplemented
        for name in ("seconds", "ramp_seconds"):
            if getattr(self, name) != getattr(other, name):
                raise ValueError(f"{name}={getattr(self, name)} and {getattr(other, name)} differ: only equal ones mix")
        if self._noises(at_snr=True) or other._noises(at_snr=True):
            raise ValueError("a noise with snr_db would change its level in the mixture; mix, then .with_noise(...)")
        label = " + ".join(each.label for each in (self, other) if each.label)
        chord = self.chord if self.chord == other.chord else None
        return Stimulus(self.sources + other.sources, self.seconds, self.ramp_seconds, label, chord)

    def with_noise(self, *, seed: int, snr_db: float | None = None, rms: float | None = None) -> "Stimulus":
        """Return the stimulus with white noise added, at an SNR in dB or with an RMS re full scale 1."""
        return dataclasses.replace(self, sources=(*self.sources, Noise(seed, snr_db=snr_db, rms=rms)))

    def scaled(self, db: float) -> "Stimulus":
        """Return the stimulus with every level changed by ``db`` dB; SNRs stay."""
        return dataclasses.replace(self, sources=tuple(each.scaled(db) for each in self.sources))

    def roved(self, rng: np.random.Generator, *, db: float = 3.0) -> "Stimulus":
        """Return the stimulus with a level offset per source, uniform within +-``db`` dB; SNRs stay."""
        offsets = rng.uniform(-db, db, len(self.sources)).tolist()
        sources = (each.scaled(offset) for each, offset in zip(self.sources, offsets, strict=True))
        return dataclasses.replace(self, sources=tuple(sources))

    def with_phases(self, rng: np.random.Generator) -> "Stimulus":
        """Return the stimulus with the start phase of every partial, and the start of every render, drawn anew."""
        return dataclasses.replace(self, sources=tuple(each.with_phases(rng) for each in self.sources))

    def to_midi(self) -> "pretty_midi.PrettyMIDI":
        """Return the notes of the renders as a ``pretty_midi.PrettyMIDI``; see ``renders.to_midi``."""
        return renders.to_midi(self.sources, seconds=self.seconds)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Print the label: hypothesis and notebooks show a sound as a person would say it."""
        printer.text(f"<Stimulus {self.label}, {self.seconds:g} s>" if self.label else repr(self))

    def _noises(self, *, at_snr: bool) -> list[Noise]:
        return [each for each in self.sources if isinstance(each, Noise) and (each.rms is None) == at_snr]


def silence(seconds: float) -> Stimulus:
    """Return silence: a stimulus without sources."""
    return Stimulus((), seconds, ramp_seconds=0.0, label="silence")


def additive(partials: tuple[Partial, ...], samples: int, *, sample_rate: int) -> np.ndarray:
    """Return the sum of the partials without ramps, float64 ``samples``.

    With n = block * q + r, exp(i w n) = exp(i w block q) * exp(i w r): a partial costs two short tables and two
    multiplications a sample instead of a cosine, and all partials are one product of matrices. The cycles are reduced
    before they are multiplied by 2 pi, so the phase keeps its digits: the error stays below -240 dB re the partial.
    """
    for each in partials:
        if 2.0 * each.hz >= sample_rate:
            raise ValueError(
                f"hz={each.hz} is at or above Nyquist ({sample_rate / 2} Hz at sample_rate={sample_rate}); "
                "leave the partial out, e.g. with max_hz="
            )
    block = math.isqrt(max(samples - 1, 0)) + 1
    if not partials:
        return np.zeros(samples)
    hz, amplitude, phase = np.array([(p.hz, p.amplitude, p.phase) for p in partials]).T[:, :, None]
    slow = TWO_PI * np.mod(hz * (block * np.arange(-(-samples // block))) / sample_rate, 1.0) + phase
    fast = TWO_PI * np.mod(hz * np.arange(block) / sample_rate, 1.0)
    left = np.concatenate([amplitude * np.cos(slow), -amplitude * np.sin(slow)])
    return (left.T @ np.concatenate([np.cos(fast), np.sin(fast)])).ravel()[:samples]


@functools.lru_cache(maxsize=32)
def _ramps(samples: int, ramp_samples: int) -> np.ndarray:
    """Return the envelope ``samples``: raised cosines at both ends, 1 between them."""
    envelope = np.ones(samples)
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(ramp_samples) + 0.5) / max(ramp_samples, 1))
    envelope[:ramp_samples] *= rise
    envelope[samples - ramp_samples :] *= rise[::-1]
    envelope.flags.writeable = False
    return envelope


def _rms_for(noise: Noise, wave: np.ndarray) -> float:
    """Return the standard deviation that puts the noise at its SNR re the RMS of ``wave``."""
    rms = math.sqrt(float(np.mean(wave**2)))
    if rms == 0.0 or noise.snr_db is None:
        raise ValueError(f"snr_db={noise.snr_db} has no sound to be relative to; give the noise rms= instead")
    return rms * math.pow(10.0, -noise.snr_db / 20.0)


def _unlabelled(source: Render | Recording) -> dict[str, Any]:
    return {name: value for name, value in source.truth().items() if name not in ("timbre", "role", "title")}


def _source(truth: Mapping[str, Any]) -> Source:
    """Return the source that its ground truth describes."""
    fields = {name: value for name, value in truth.items() if name != "kind"}
    match truth["kind"]:
        case "tone":
            return Tone(**{**fields, "partials": tuple(Partial(**each) for each in fields["partials"])})
        case "noise":
            return Noise(**fields)
        case "click":
            return Click(**fields)
        case "multisine":
            return Multisine(**{**fields, "spectrum": LineSpectrum(**fields["spectrum"])})
        case "render":
            return Render(**{**fields, "notes": tuple(Note(**each) for each in fields["notes"])})
        case "recording":
            return Recording(**fields)
        case kind:
            raise ValueError(f"kind={kind!r} is unknown; known: tone, noise, click, render, multisine, recording")
