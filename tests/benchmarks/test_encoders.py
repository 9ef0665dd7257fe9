"""How fast each bundled encoder listens, and what it needs: `make bench`, or `pytest tests/benchmarks`.

Nothing is asserted: a number is worth what the machine was doing meanwhile. Every encoder hears eight clips of two
seconds in one batch, through the checks that a claim goes through.
"""

import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from workload import build, clips

from testtone.models.specs import BUNDLED, EncoderSpecError
from testtone.models.weights import BUNDLED_FOLDER

ROUNDS = 3
SLOW_SECONDS = 10.0
"""An encoder that takes longer to warm up than this is timed once."""

FRESH = Path(__file__).with_name("fresh.py")


@pytest.mark.parametrize("name", BUNDLED)
def test_listen(benchmark: Any, table: Callable[..., None], name: str) -> None:
    try:
        listener = build(name)
    except EncoderSpecError as error:
        table(name, left_out=str(error))
        pytest.skip(str(error))
    waveforms = clips(listener)
    began = time.perf_counter()
    listener.listen(waveforms)
    rounds = ROUNDS if time.perf_counter() - began < SLOW_SECONDS else 1
    benchmark.pedantic(listener.listen, args=(waveforms,), rounds=rounds)
    row = {
        "times_real_time": round(waveforms.size / listener.sample_rate / benchmark.stats.stats.median, 2),
        "seconds_a_clip": round(waveforms.shape[1] / listener.sample_rate, 3),
        "clips": len(waveforms),
        "sample_rate": listener.sample_rate,
        "parameters": getattr(listener.encoder, "parameters", None),
        "weights_mb": _weights_mb(listener.encoder),
        "file_mb": _file_mb(name),
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        **in_a_fresh_process(name),
    }
    benchmark.extra_info.update(row)
    table(name, **row)


def in_a_fresh_process(name: str) -> dict[str, float]:
    """Return the peak memory in MB of a process that builds an encoder and listens once, and that of its imports."""
    done = subprocess.run([sys.executable, FRESH, name], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{FRESH.name} {name} failed: {done.stderr[-2000:]}")
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def _weights_mb(encoder: Any) -> float | None:
    """Return the size of the weights that the sites depend on, as float32, in MB."""
    parameters = getattr(encoder, "parameters", None)
    return None if parameters is None else round(4 * parameters / 1e6, 2)


def _file_mb(name: str) -> float | None:
    """Return the size of the weights that ship with testtone, in MB; None for those that do not."""
    path = BUNDLED_FOLDER / f"{name}.safetensors"
    return round(path.stat().st_size / 1e6, 2) if path.is_file() else None
