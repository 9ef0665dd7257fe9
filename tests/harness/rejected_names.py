"""What the calls of ``rejected_calls.toml`` are written with."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pretty_midi
import soundfile
import torch
from toy_encoders import SAMPLE_RATE, Faulty

from testtone import stimuli
from testtone.models import resolve, tap
from testtone.models.listening import Listener
from testtone.models.weights import fetch, load_state
from testtone.stimuli import strategies
from testtone.stimuli.recordings import folder
from testtone.tests.adversary import challenge
from testtone.tests.check import check
from testtone.tests.sweep import sweep


class Answering(Faulty):
    """A meter whose answers are made over."""

    name = "answering"


def hear(make: Callable[[dict[str, Any]], Any]) -> object:
    """Hear eight clips of a second by a meter whose answers are made over."""
    waves = 0.1 * np.random.default_rng(0).standard_normal((8, SAMPLE_RATE)).astype(np.float32)
    return Listener(Answering(make), spec="mine.py:build").listen(waves)


def furnish(place: Path) -> None:
    """Put into a folder what the calls name: an empty folder, one with a spoilt sound, files that are none."""
    for name in ("empty", "broken"):
        (place / name).mkdir()
    sound = io.BytesIO()
    soundfile.write(sound, 0.1 * np.random.default_rng(0).standard_normal(8_000), 8_000, format="WAV")
    (place / "broken" / "cut.wav").write_bytes(sound.getvalue()[:20])
    (place / "spoilt.json").write_text("{'schema': 1}\n")
    (place / "object.json").write_text("{}\n")
    (place / "spoilt.py").write_text("def build(:\n")
    (place / "a-file").write_text("")


def tree(place: Path) -> dict[str, bytes]:
    """Return all that lies in a folder, without what Python keeps of what it compiled."""
    files = (each for each in sorted(place.rglob("*")) if "__pycache__" not in each.parts)
    return {str(each.relative_to(place)): each.read_bytes() if each.is_file() else b"" for each in files}


PLUGIN = "testtone.tests.plugin"


def names() -> dict[str, Any]:
    """Return the public names of the stimuli, the other doors, and a few values."""
    found = {name: getattr(stimuli, name) for name in vars(stimuli) if not name.startswith("_")}
    tone = stimuli.Stimulus((stimuli.partial_tone(440.0, amplitude=0.1),), 0.5)
    return found | {
        "MODEL": torch.nn.Sequential(torch.nn.Conv1d(1, 8, 8, stride=4)),
        "RNG": np.random.default_rng(0),
        "TONE": tone,
        "challenge": challenge,
        "check": check,
        "fetch": fetch,
        "folder": folder,
        "hear": hear,
        "load_state": load_state,
        "pretty_midi": pretty_midi,
        "resolve": resolve,
        "stimuli": stimuli,
        "strategies": strategies,
        "sweep": sweep,
        "tap": tap,
    }
