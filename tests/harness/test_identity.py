"""Who an encoder is: whatever could change its answers changes its identity, and what cannot be told is said."""

import importlib
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from testtone.models import identity as module
from testtone.models import listening, specs, tap
from testtone.models.identity import UnknownError, identity, sources_of, state_of
from testtone.models.listening import Listener
from testtone.models.threads import held

SOURCE = """
import helper
import torch
from testtone.models.weights import sha256_of_state

class Mine:
    name = "mine"
    sample_rate = 8000

    def __init__(self):
        self.filters = torch.linspace(-1, 1, 8 * 80).reshape(8, 1, 80)
        self.scale = 1.0
        self.options = {"window": "hann", "eps": (1e-6, 2)}

    @property
    def weights_sha256(self):
        return sha256_of_state({"filters": self.filters})

    def listen(self, waveforms):
        sound = helper.prepared(waveforms * self.scale)
        return {"latent": torch.nn.functional.conv1d(sound[:, None], self.filters, stride=80)}

def build():
    return Mine()
"""

HELPER = """
def prepared(waveforms):
    import late
    return waveforms + late.OFFSET
"""

LATE = "OFFSET = 0.0\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stranger's folder: an encoder, a helper that it imports, and one that the helper imports late."""
    (tmp_path / "mine.py").write_text(SOURCE)
    (tmp_path / "helper.py").write_text(HELPER)
    (tmp_path / "late.py").write_text(LATE)
    monkeypatch.syspath_prepend(str(tmp_path))
    # As if each was written before this process began.
    monkeypatch.setattr(module, "BEGAN", time.time() + 1e6)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def who(folder: Path, change: Callable[[Any], None] = lambda encoder: None, **attributes: Any) -> dict[str, str]:
    """Return the identity of the encoder in a folder, loaded anew, with attributes changed."""
    for name in ("helper", "late"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    encoder = specs.resolve(f"{folder / 'mine.py'}:build")
    for name, value in attributes.items():
        setattr(encoder, name, value)
    change(encoder)
    return identity(Listener(encoder))


def differ(one: dict[str, str], other: dict[str, str]) -> set[str]:
    return {name for name in one if one[name] != other[name]}


def test_the_same_encoder_is_the_same(folder: Path) -> None:
    assert who(folder) == who(folder)


def test_changed_weights_show_thrice(folder: Path) -> None:
    def change(encoder: Any) -> None:
        encoder.filters[3, 0, 40] += 1e-6

    assert differ(who(folder), who(folder, change)) == {"weights", "state", "heard"}


def test_changed_weights_show_under_a_hash_that_lies(folder: Path) -> None:
    text = SOURCE.replace('return sha256_of_state({"filters": self.filters})', f'return "{"0" * 64}"')
    (folder / "mine.py").write_text(text)

    def change(encoder: Any) -> None:
        # Too little for a sound to tell.
        encoder.filters[3, 0, 40] = torch.nextafter(encoder.filters[3, 0, 40], torch.tensor(9.0))

    assert differ(who(folder), who(folder, change)) >= {"state"}


@pytest.mark.parametrize(
    "attributes",
    [
        {"scale": 1.0000001},
        {"options": {"window": "hamming", "eps": (1e-6, 2)}},
        {"options": {"window": "hann", "eps": (1e-6, 3)}},
        {"options": {"window": "hann", "eps": [1e-6, 2]}},
        {"filters": torch.linspace(-1, 1, 8 * 80).reshape(8, 1, 80).double().float().requires_grad_() * 1.0000002},
        {"scale": np.float32(1.0)},
        {"scale": 1},
        {"window": np.hanning(8)},
    ],
    ids=["scale", "option", "option within", "kind of container", "weights", "kind of number", "whole", "added"],
)
def test_a_changed_attribute_shows(folder: Path, attributes: dict[str, Any]) -> None:
    assert "state" in differ(who(folder), who(folder, **attributes))


def test_another_sample_rate_shows(folder: Path) -> None:
    assert "sample_rate" in differ(who(folder), who(folder, sample_rate=16000))


def test_another_dtype_shows(folder: Path) -> None:
    def change(encoder: Any) -> None:
        encoder.filters = encoder.filters.half().float()

    assert differ(who(folder), who(folder, change)) >= {"weights", "state"}


@pytest.mark.parametrize("file", ["mine.py", "helper.py", "late.py"])
def test_changed_source_shows_however_late_it_is_imported(folder: Path, file: str) -> None:
    before = who(folder)
    path = folder / file
    path.write_text(path.read_text() + "\n# another thought\n")
    assert differ(before, who(folder)) == {"sources"}


def test_what_neither_source_nor_state_betrays_is_heard(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = who(folder)
    whole = nn.functional.conv1d
    monkeypatch.setattr(nn.functional, "conv1d", lambda *args, **options: whole(*args, **options) + 1e-7)
    assert differ(before, who(folder)) == {"heard"}


def test_threads_batch_and_switches_show(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with held(1):
        before = who(folder)
    with held(2):
        assert "platform" in differ(before, who(folder))
    monkeypatch.setattr(module, "BATCH", 4)
    with held(1):
        assert {"platform", "heard"} <= differ(before, who(folder))


def test_a_switch_of_a_library_shows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = who(folder)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    assert differ(before, who(folder)) == {"platform"}


def test_another_version_of_anything_installed_shows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = who(folder)
    monkeypatch.setattr(module, "_versions", lambda: "torch==9.9.9")
    assert differ(before, who(folder)) == {"platform"}


def test_without_a_hash_of_its_weights_nobody_is_known(folder: Path) -> None:
    (folder / "mine.py").write_text(SOURCE.replace("weights_sha256", "weights"))
    with pytest.raises(UnknownError, match="does not tell weights_sha256, 64 hex digits over its weights"):
        who(folder)


@pytest.mark.parametrize("told", ["abc", "A" * 64, "g" * 64])
def test_a_hash_that_is_none_is_none(folder: Path, told: str) -> None:
    (folder / "mine.py").write_text(
        SOURCE.replace('return sha256_of_state({"filters": self.filters})', f"return {told!r}")
    )
    with pytest.raises(UnknownError, match="is not 64 hex digits"):
        who(folder)


def test_state_that_cannot_be_told_is_named(folder: Path) -> None:
    with pytest.raises(UnknownError, match=r"Mine\.options\['lock'\] is a _thread.lock, whose state cannot be told"):
        who(folder, options={"lock": threading.Lock()})


def test_source_changed_under_a_running_process_is_not_trusted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    who(folder)
    monkeypatch.setattr(module, "BEGAN", time.time() - 10)
    with pytest.raises(UnknownError, match="was changed since this process began"):
        who(folder)


def test_this_process_began_before_now_and_after_boot() -> None:
    assert 0 < time.time() - module._began() < 1e6


def test_a_class_without_a_file_is_not_known() -> None:
    here: dict[str, Any] = {"__name__": "prompt"}
    exec("class Prompt:\n    pass", here)
    _, modules = state_of(here["Prompt"]())
    with pytest.raises(UnknownError, match="prompt has no source in a file"):
        sources_of(modules)


def test_lambdas_are_told_apart_by_code_and_by_what_they_close_over() -> None:
    def gain(by: float) -> Callable[[float], float]:
        return lambda x: by * x

    assert state_of(gain(1.0)) == state_of(gain(1.0))
    assert len({state_of(f)[0] for f in (gain(1.0), gain(2.0), lambda x: x, lambda x: x + 1)}) == 4


def test_modules_with_hooks_are_the_same_each_time_they_are_made() -> None:
    def make() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(torch.nn.utils.parametrizations.weight_norm(nn.Conv1d(1, 2, 3)), nn.LSTM(2, 2), nn.ELU())

    one, other = make(), make()
    for each in (one, other):
        each[0].register_forward_hook(lambda *_: None)
    assert state_of(one)[0] == state_of(other)[0]
    other[2].alpha = 0.9
    assert state_of(one)[0] != state_of(other)[0]
    other = make()
    assert state_of(one)[0] != state_of(other)[0]


def test_a_module_in_training_is_another() -> None:
    one = nn.Sequential(nn.Conv1d(1, 2, 3), nn.Dropout(0.5))
    before = state_of(one)[0]
    one.eval()
    assert state_of(one)[0] != before


def test_a_loop_of_references_ends() -> None:
    one: list[Any] = []
    one.append(one)
    assert state_of(one)[0] == state_of(one)[0]


@pytest.mark.parametrize("spec", ["power-filterbank", "power-filterbank:bandwidth=16", "samplecnn", "encodec-mini"])
def test_bundled_encoders_are_known_and_the_same_each_time(spec: str) -> None:
    first, second = (identity(Listener(specs.resolve(spec))) for _ in range(2))
    assert first == second


def test_options_of_a_reference_show() -> None:
    one, other = (identity(Listener(specs.resolve(f"power-filterbank{o}"))) for o in ("", ":bandwidth=16"))
    assert {"state", "heard"} <= differ(one, other)


def test_a_reference_has_the_source_of_all_that_it_imports() -> None:
    _, modules = state_of(specs.resolve("power-filterbank"))
    assert {"testtone.models.references", "testtone.models", "testtone.models.protocol"} <= module._closure(
        modules
    ).keys()


def test_a_tapped_module_is_known_by_its_source_and_taps(folder: Path) -> None:
    (folder / "net.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.body = nn.Conv1d(1, 4, 80, 80)\n\n    def forward(self, x):\n        return self.body(x)\n"
    )
    net = importlib.import_module("net")
    model = net.Net()
    one = identity(Listener(tap(model, sample_rate=8000, latent="body")))
    assert one == identity(Listener(tap(model, sample_rate=8000, latent="body")))
    other = identity(Listener(tap(model, sample_rate=8000, stack_end="body")))
    assert differ(one, other) >= {"state", "heard"}
    assert listening.BATCH == module.BATCH


def test_a_source_is_read_again_when_it_says_something_else(folder: Path) -> None:
    (folder / "upper.py").write_text("import lower\n")
    (folder / "lower.py").write_text("")
    (folder / "lowest.py").write_text("")
    assert set(module._closure(["upper"])) == {"upper", "lower"}
    (folder / "lower.py").write_text("import lowest\n")
    assert set(module._closure(["upper"])) == {"upper", "lower", "lowest"}
