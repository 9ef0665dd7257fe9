"""Imagined encoders: a function from a stimulus, its ground truth in full view, to a code. Nothing is rendered.

What no encoder could compute from a waveform, a test may: the effect of such a code follows from its definition, and a
probe hears hundreds of them in seconds.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtone.models.listening import Listener, Margin
from testtone.probes.hearing import Ear, ear_of, hear
from testtone.probes.records import Measurement
from testtone.stimuli import Stimulus

FRAMES = 24
Said = NDArray[np.float64] | Mapping[str, NDArray[np.float64]]
"""What a code says of a sound at all sites, or at each: 'channels' (held for all frames) or 'channels frames'."""

Code = Callable[[Stimulus], Said]

EAR = Ear(
    sample_rate=24_000,
    sites=("latent",),
    frame_rates={"latent": 75.0},
    margins={"latent": Margin(0, 0)},
    missing_frames={"latent": 0},
    strides=(320,),
)
PER_SITE = ("frame_rates", "margins", "missing_frames")


def imagine(
    probe: Any,
    code: Code,
    *,
    seed: int = 0,
    effort: str = "quick",
    sites: tuple[str, ...] = ("latent",),
    ear: Ear = EAR,
) -> Measurement:
    """The measurement of a probe on an imagined code, at the last of the sites.

    A code says of a stimulus, or for each site, 'channels' (held for all frames) or 'channels frames'.
    """
    ear = replace(ear, sites=sites, **{each: dict.fromkeys(sites, getattr(ear, each)["latent"]) for each in PER_SITE})
    asking = probe(ear, np.random.default_rng(seed), effort)
    kept: dict[str, Mapping[str, NDArray[np.float64]]] = {}

    def hear_site(stimulus: Stimulus, site: str) -> NDArray[np.float64]:
        if stimulus.sha256 not in kept:
            said = code(stimulus)
            kept[stimulus.sha256] = said if isinstance(said, Mapping) else dict.fromkeys(sites, said)
        values = np.asarray(kept[stimulus.sha256][site], dtype=np.float64)
        return values if values.ndim == 2 else np.repeat(values[:, None], FRAMES, axis=1)

    answers = None
    while True:
        try:
            requests = next(asking) if answers is None else asking.send(answers)
        except StopIteration as stop:
            return stop.value[sites[-1]]
        answers = [
            {
                site: np.stack([ask.readout(hear_site(sound, site), 75.0) for sound in ask.stimuli])
                for site in ask.sites or sites
            }
            for ask in requests
        ]


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
