"""Writes to a store in children that are killed at random moments: python store_killed.py DIR KILLS SEED.

Prints what the survivors find, as JSON. Imports no torch: a child is a fork, and starts at once.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

from testtone.tests.store import Store

ENTRIES = 40


def values(index: int) -> dict[str, np.ndarray]:
    """Return what belongs under a key, of a size that takes a while to write."""
    rng = np.random.default_rng(index)
    return {"latent": rng.standard_normal((64, 500)), "codes": rng.integers(0, 1024, (8, 300))}


def write(folder: str, seed: int) -> None:
    """Look up entries and write those that are not there, for ever."""
    store = Store(folder)
    order = random.Random(seed)
    while True:
        index = order.randrange(ENTRIES)
        found = store.get({"index": index})
        if found is None or order.random() < 0.5:
            store.put({"index": index}, values(index))


def killed(folder: str, seed: int, seconds: float) -> None:
    """Kill two writers at once after a moment."""
    children = []
    for each in range(2):
        child = os.fork()
        if child == 0:
            try:
                write(folder, 2 * seed + each)
            finally:
                os._exit(1)
        children.append(child)
    time.sleep(seconds)
    for child in children:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        # Not of an error of its own.
        assert os.WIFSIGNALED(status), status


if __name__ == "__main__":
    folder, kills, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    draw = random.Random(seed)
    Store(folder)
    for number in range(kills):
        killed(folder, number, draw.uniform(0.002, 0.05))
    store = Store(folder)
    right = wrong = missing = 0
    for index in range(ENTRIES):
        found = store.get({"index": index})
        if found is None:
            missing += 1
        elif all(np.array_equal(found[name], value) for name, value in values(index).items()) and len(found) == 2:
            right += 1
        else:
            wrong += 1
    # Work goes on.
    for index in range(ENTRIES):
        store.put({"index": index}, values(index))
    again = sum(store.get({"index": index}) is not None for index in range(ENTRIES))
    left = len(list(Path(folder).rglob("*.partial")))
    print(
        json.dumps(
            {
                "right": right,
                "wrong": wrong,
                "missing": missing,
                "again": again,
                "partial": left,
                "notes": list(store.notes),
                "damaged": len(store.verify()),
            }
        )
    )
