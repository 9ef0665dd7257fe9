"""Hear so many short sounds in a process of its own, and print seconds and peak memory as JSON: python growth.py COUNT.

Additive sounds of two partials, a new one each, through one site of `encodec-mini`, of which the mean is kept.
"""

import json
import sys
import time

import numpy as np
from fresh import peak_mb

from testtone.models.listening import Listener
from testtone.models.specs import resolve
from testtone.models.threads import held
from testtone.probes.hearing import Listen, ear_of, hear
from testtone.probes.readouts import mean
from testtone.stimuli import Stimulus, partial_tone

ENCODER = "encodec-mini"
SITE = "stack_end"
SECONDS = 0.15


def sounds(count: int) -> tuple[Stimulus, ...]:
    """Return so many sounds, no two alike."""
    hz = np.random.default_rng(5).uniform(100.0, 8000.0, (count, 2))
    return tuple(Stimulus.of(*(partial_tone(float(f), amplitude=0.1) for f in pair), seconds=SECONDS) for pair in hz)


def listen(listener: Listener, count: int) -> None:
    """Let a listener hear them as a probe would."""

    def probe():
        yield [Listen(sounds(count), mean)]
        return {}

    hear(listener, {"it": (ear_of(listener, (SITE,)), probe())})


if __name__ == "__main__":
    with held():
        listener = Listener(resolve(ENCODER))
        listen(listener, 64)
        before, began = peak_mb(), time.process_time()
        listen(listener, int(sys.argv[1]))
        spent = time.process_time() - began
    print(json.dumps({"seconds": round(spent, 3), "before_mb": round(before, 1), "peak_mb": round(peak_mb(), 1)}))
