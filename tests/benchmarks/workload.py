"""What every encoder is given: eight clips of two seconds of noise, as a claim would hand them to it."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from testtone.models.listening import Listener
from testtone.models.specs import resolve

CLIPS = 8
SECONDS = 2.0
"""Length of a clip; that of its window for an encoder that hears no shorter clip."""

RMS = 0.1


def build(name: str) -> Listener:
    """Return a bundled encoder behind a listener, made without the network.

    Raises:
        EncoderSpecError: if it cannot be made from what is here; one line that says why.
    """
    with _offline():
        return Listener(resolve(name))


def clips(listener: Listener) -> NDArray[np.float32]:
    """Return noise for an encoder, float32 'clips samples'."""
    samples = round(max(SECONDS, listener.least_seconds) * listener.sample_rate)
    return np.random.default_rng(0).normal(scale=RMS, size=(CLIPS, samples)).astype(np.float32)


@contextmanager
def _offline() -> Iterator[None]:
    """Let every download fail: a benchmark measures what is here."""

    def refuse(url: object, *_: object, **__: object) -> None:
        raise urllib.error.URLError("benchmarks download nothing")

    kept = urllib.request.urlopen
    urllib.request.urlopen = refuse  # type: ignore[assignment]
    try:
        yield
    finally:
        urllib.request.urlopen = kept
