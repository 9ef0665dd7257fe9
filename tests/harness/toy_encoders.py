"""Encoders of a few lines, good and bad, as a stranger might write them.

A good one answers with the RMS of every hop of 10 ms, times a gain. A bad one breaks one promise of the contract.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

SAMPLE_RATE = 8000
HOP = 80


def rms(waveforms: Tensor) -> Tensor:
    """Return the RMS of each hop, 'batch 1 frames'."""
    clips = waveforms[:, : waveforms.shape[1] // HOP * HOP]
    return clips.reshape(len(clips), 1, -1, HOP).square().mean(dim=3).sqrt()


class Meter:
    """Reads the level of the sound at two sites, times a gain."""

    name = "meter"
    sample_rate = SAMPLE_RATE

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def listen(self, waveforms: Tensor) -> dict[str, Any]:
        """Return gain times level at 'stack_end' and 'latent'."""
        level = self.gain * rms(waveforms)
        return {"stack_end": level, "latent": level}


class Faulty(Meter):
    """A meter that spoils its answers from a certain call on."""

    def __init__(self, spoil: Callable[[dict[str, Any]], Any], *, after: int = 0) -> None:
        super().__init__()
        self.spoil, self.after, self.calls = spoil, after, 0
        self.frame_rates = {"stack_end": 100.0, "latent": 100.0}

    def listen(self, waveforms: Tensor) -> Any:
        """Return a meter's answer, spoilt after the first calls."""
        self.calls += 1
        answer = super().listen(waveforms)
        return answer if self.calls <= self.after else self.spoil(answer)


def full() -> Meter:
    """Return the meter on which 'the code follows the level' is supported."""
    return Meter(1.0)


def none() -> Meter:
    """Return the meter on which it is refuted."""
    return Meter(0.0)


def half() -> Meter:
    """Return the meter that lies between the thresholds."""
    return Meter(0.5)


def latent_only() -> Meter:
    """Return a meter without 'stack_end'."""
    return Faulty(lambda answer: {"latent": answer["latent"]})


def drops_in() -> Meter:
    """Return a meter that counts the times it was asked, for all to see."""
    return Faulty(lambda answer: answer)


def nan() -> Meter:
    """Return a meter whose latent holds NaN."""
    return Faulty(lambda answer: answer | {"latent": answer["latent"] * float("nan")})


def flat() -> Meter:
    """Return a meter that forgets the axis of channels."""
    return Faulty(lambda answer: answer | {"latent": answer["latent"][:, 0]})


def whole() -> Meter:
    """Return a meter with integers where real values belong."""
    return Faulty(lambda answer: answer | {"latent": (1000 * answer["latent"]).long()})


def imaginary() -> Meter:
    """Return a meter with complex values where real ones belong."""
    return Faulty(lambda answer: answer | {"latent": answer["latent"] * 1j})


def mute() -> Meter:
    """Return a meter that answers with nothing."""
    return Faulty(lambda answer: {})


def listing() -> Meter:
    """Return a meter that answers with a list."""
    return Faulty(lambda answer: list(answer.values()))


def restless() -> Meter:
    """Return a meter that gives one frame fewer each time it is asked, once it was looked over."""
    encoder = Faulty(lambda answer: answer, after=6)
    encoder.spoil = lambda answer: {site: z[..., : z.shape[2] - encoder.calls] for site, z in answer.items()}
    return encoder


def breaks_down() -> Meter:
    """Return a meter that is well for some calls and then raises."""

    def spoil(answer: dict[str, Any]) -> Any:
        raise RuntimeError("out of\n memory")

    return Faulty(spoil, after=4)


def drifts() -> Meter:
    """Return a meter whose every frame depends on all before it."""

    def spoil(answer: dict[str, Any]) -> Any:
        frames = torch.arange(1, 1 + answer["latent"].shape[2])
        return {site: z.cumsum(dim=2) / frames for site, z in answer.items()}

    return Faulty(spoil)


def stands_still() -> Meter:
    """Return an encoder of clips, not of time: one frame whatever it hears."""
    return Faulty(lambda answer: {site: z.mean(dim=2, keepdim=True) for site, z in answer.items()})


class Silent:
    """An object that cannot listen."""

    sample_rate = SAMPLE_RATE


class Timeless(Meter):
    """A meter at no sample rate."""

    sample_rate = 0


def raises() -> Meter:
    """Raise, instead of giving an encoder."""
    raise FileNotFoundError("weights.th is not\nhere")


answer = np.float64(42)


class Dice(Meter):
    """A meter with noise of its own on every answer."""

    def listen(self, waveforms: Tensor) -> dict[str, Any]:
        """Return the level, give or take."""
        return {site: z + 1e-3 * torch.randn(z.shape) for site, z in super().listen(waveforms).items()}


def dice() -> Meter:
    """Return a meter that never says the same twice."""
    return Dice()
