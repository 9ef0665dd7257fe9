"""Build one encoder in a process of its own, listen once, and print the peak memory as JSON: python fresh.py NAME."""

import importlib.util
import json
import resource
import sys
from pathlib import Path

if importlib.util.find_spec("testtone") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    import conftest  # noqa: F401  (gives a bare checkout its name)

from workload import build, clips


def peak_mb() -> float:
    """Return the largest resident memory of this process so far, in MB of a million bytes.

    `ru_maxrss` is not it on Linux: it starts from the memory of the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


if __name__ == "__main__":
    before = peak_mb()
    listener = build(sys.argv[1])
    listener.listen(clips(listener))
    print(json.dumps({"imports_mb": round(before, 1), "peak_mb": round(peak_mb(), 1)}))
