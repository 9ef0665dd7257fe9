"""Isolation: what an encoder does while it listens stays with it, and it does not listen for ever.

An encoder is code of a stranger's. It may set the number of threads, torch's default type, numpy's handling of
overflow or the working directory for purposes of its own; all that is put back after each answer, or what is measured
next would depend on who was heard before. Global random generators are left to it: testtone draws from none of them,
and an encoder that draws from one is to be seen doing so (`Listener.unrepeatable`).

This is no sandbox. An encoder can do whatever its user can.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import numpy as np
import torch

LIMIT_SECONDS = 300.0
"""An encoder that takes longer for one batch of clips is taken to hang."""


class OverdueError(Exception):
    """An encoder took longer than it may."""


@contextmanager
def isolated() -> Iterator[None]:
    """Put back what is global to the process: threads, default type, floating point errors, working directory."""
    threads, kind, errors, place = torch.get_num_threads(), torch.get_default_dtype(), np.geterr(), _place()
    try:
        yield
    finally:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        if torch.get_default_dtype() != kind:
            torch.set_default_dtype(kind)
        np.seterr(**errors)
        if place is not None and _place() != place:
            os.chdir(place)


def _place() -> str | None:
    """Return the working directory; None where it has been removed."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


@contextmanager
def overdue_after(seconds: float) -> Iterator[None]:
    """Raise `OverdueError` in what runs longer; where no alarm can be set (Windows, other threads) there is no limit.

    An alarm that somebody else has set (a time limit for tests) goes on as if it had not been touched.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise OverdueError(f"took longer than {seconds:g} s for one batch of clips")

    began = time.monotonic()
    handler = signal.signal(signal.SIGALRM, ring)
    left, again = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        if 0 < left < seconds:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, handler)
            signal.setitimer(signal.ITIMER_REAL, left, again)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - began), 1e-3), again)
