"""How many threads torch computes with: one, unless somebody wished otherwise.

The encoders that claims are checked on are small. Two threads on two idle processors hear them no faster than one;
where the processors have other work, threads wait for each other, and two were forty times slower than one. The count
also moves the last bits of a result. So it is set, and recorded, and given back.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

WISHES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables by which a user says how many threads there should be."""

_lock = threading.Lock()
_before: list[int] = []
"""What held before each of those that hold now, outermost first."""


@contextmanager
def held(threads: int | None = None) -> Iterator[int]:
    """Compute with so many threads meanwhile, and yield their number; afterwards there are as many as before.

    Args:
        threads: how many. None: one, or what the environment says where it says anything (`WISHES`).

    Raises:
        ValueError: if ``threads`` is not a positive whole number.
    """
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
        raise ValueError(f"threads={threads!r} must be a whole number, 1 or more")
    if threads is None and not any(os.environ.get(name) for name in WISHES):
        threads = 1
    with _lock:
        # One number for the whole process: of holders that overlap, the last to leave gives back what was first.
        _before.append(torch.get_num_threads())
        if threads is not None:
            torch.set_num_threads(threads)
    try:
        yield torch.get_num_threads()
    finally:
        with _lock:
            before = _before.pop()
            torch.set_num_threads(before)
