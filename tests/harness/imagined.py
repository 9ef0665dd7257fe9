"""Imagined encoders: a function from a stimulus, its ground truth in full view, to a code. Nothing is rendered.

What no encoder could compute from a waveform, a test may: the effect of such a code follows from its definition, and a
probe hears hundreds of them in seconds.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtone.models.listening import Listener, Margin
from testtone.probes.hearing import Ear, ear_of, hear
from testtone.probes.records import Measurement
from testtone.stimuli import Stimulus

FRAMES = 24
Code = Callable[[Stimulus], NDArray[np.float64]]

EAR = Ear(
    sample_rate=24_000,
    sites=("latent",),
    frame_rates={"latent": 75.0},
    margins={"latent": Margin(0, 0)},
    missing_frames={"latent": 0},
    strides=(320,),
)


def imagine(probe: Any, code: Code, *, seed: int = 0, effort: str = "quick", ear: Ear = EAR) -> Measurement:
    """The measurement of a probe on an imagined code: 'channels' (held for all frames) or 'channels frames'."""
    asking = probe(ear, np.random.default_rng(seed), effort)
    kept: dict[str, NDArray[np.float64]] = {}

    def read(stimulus: Stimulus, readout: Any) -> NDArray[Any]:
        if stimulus.sha256 not in kept:
            values = np.asarray(code(stimulus), dtype=np.float64)
            kept[stimulus.sha256] = values if values.ndim == 2 else np.repeat(values[:, None], FRAMES, axis=1)
        return readout(kept[stimulus.sha256], ear.frame_rates["latent"])

    answers = None
    while True:
        try:
            requests = next(asking) if answers is None else asking.send(answers)
        except StopIteration as stop:
            return stop.value["latent"]
        answers = [{"latent": np.stack([read(each, ask.readout) for each in ask.stimuli])} for ask in requests]


def measure(
    probe: Any, encoder: Any, *, seed: int = 0, effort: str = "quick", sites: tuple[str, ...] = ()
) -> Mapping[str, Measurement]:
    """The measurements of a probe on an encoder that hears, by site."""
    listener = Listener(encoder)
    ear = ear_of(listener, sites or ("stack_end", "latent", "quantised"))
    heard = hear(listener, {"it": (ear, probe(ear, np.random.default_rng(seed), effort))})["it"]
    if heard.error is not None:
        raise heard.error
    assert heard.fault is None, heard.fault
    return heard.measurements


def draws(*key: Any) -> np.random.Generator:
    """Random numbers that belong to a key, whoever asks and in whatever order."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype=np.uint32))


class Maps:
    """An encoder whose code is changed on its way out; its sound rate and clock may be changed too."""

    def __init__(self, inner: Any, change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> None:
        self.inner, self.change = inner, change
        self.name, self.sample_rate, self.strides = inner.name, inner.sample_rate, inner.strides
        self.frame_rates, self.margin_seconds = inner.frame_rates, inner.margin_seconds

    def listen(self, waveforms: Any) -> dict[str, NDArray[np.float32]]:
        """Return the inner code 'batch channels frames', changed, float32."""
        code = self.inner.listen(waveforms)["latent"].astype(np.float64)
        return {"latent": self.change(code).astype(np.float32)}


class Deaf:
    """An encoder that says the same whatever it hears."""

    name, sample_rate = "deaf", 24_000
    frame_rates, margin_seconds = {"latent": 75.0}, {"latent": 0.0}

    def __init__(self, channels: int = 32, value: float = 0.0) -> None:
        self.channels, self.value = channels, value

    def listen(self, waveforms: Any) -> dict[str, NDArray[np.float32]]:
        """Return a constant 'batch channels frames'."""
        frames = -(-waveforms.shape[1] // 320)
        return {"latent": np.full((len(waveforms), self.channels, frames), self.value, np.float32)}
