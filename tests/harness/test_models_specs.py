"""A spec leads to an encoder, or to one line that says what to do."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from testtone.models import specs
from testtone.models.protocol import OPTIONAL_ATTRIBUTES, Encoder
from testtone.models.references import REFERENCES
from testtone.models.specs import BUNDLED, EncoderSpecError, available, resolve

MINE = """
import beside
import numpy as np

class Mine:
    name = "mine"
    sample_rate = 16_000
    def listen(self, waveforms):
        return {"latent": np.asarray(waveforms)[:, None, ::beside.hop]}

class Nameless(Mine):
    name = None

class Sealed:
    __slots__ = ()
    sample_rate = 8000.0
    strides = (4,)
    def listen(self, waveforms):
        return {"latent": np.asarray(waveforms)[:, None]}

class Deaf:
    sample_rate = 16_000

class Timeless(Mine):
    sample_rate = "16k"

class Rateless:
    def listen(self, waveforms): ...

class Picky(Mine):
    def __init__(self, size): ...

def build():
    return Mine()

def fail():
    raise RuntimeError("no\\n  weights here")

def module():
    import torch
    return torch.nn.Identity()

ready = Mine()
number = 3

class Shelf:
    build = staticmethod(build)
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Return a file with encoders that imports what lies beside it."""
    (tmp_path / "beside.py").write_text("hop = 5")
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "torn.py").write_text("def build(:")
    (tmp_path / "needy.py").write_text("import absent_package")
    (tmp_path / "weights.txt").write_text("")
    yield tmp_path / "mine.py"
    sys.modules.pop("beside", None)
    sys.modules.pop("mine", None)


@pytest.mark.parametrize("attribute", ["build", "Mine", "ready", "Shelf.build"])
def test_a_function_a_class_and_an_encoder_will_do(mine: Path, attribute: str) -> None:
    encoder = resolve(f"{mine}:{attribute}")
    assert isinstance(encoder, Encoder)
    assert encoder.name == "mine"
    assert encoder.listen(np.zeros((2, 20)))["latent"].shape == (2, 1, 4)


def test_a_module_in_the_current_folder_will_do(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mine.parent)
    path = list(sys.path)
    assert resolve("mine:build").name == "mine"
    assert resolve("mine.py:build").name == "mine"
    assert sys.path == path


def test_an_encoder_without_a_name_is_called_by_its_spec(mine: Path) -> None:
    assert resolve(f"{mine}:Nameless").name == f"{mine}:Nameless"
    sealed = resolve(f"{mine}:Sealed")
    assert (sealed.name, sealed.sample_rate, sealed.strides) == (f"{mine}:Sealed", 8000.0, (4,))
    assert sealed.listen(np.zeros((2, 20)))["latent"].shape == (2, 1, 20)


@pytest.mark.parametrize("name", REFERENCES)
def test_references_are_bundled(name: str) -> None:
    assert name in available()
    assert resolve(name).name == name


def test_untrained_encoders_are_bundled() -> None:
    for kind in ("default", "gain"):
        encoder = resolve(f"encodec-24khz-{kind}:seed=2,quantise=False")
        assert encoder.name == f"encodec-24khz-{kind}(seed=2)"
        assert encoder.sample_rate == 24_000


def test_options_follow_a_colon() -> None:
    encoder = resolve("power-filterbank:bandwidth=4,sample_rate=16000")
    assert (encoder.name, encoder.sample_rate) == ("power-filterbank(bandwidth=4)", 16_000)


@pytest.mark.parametrize("name", [name for name in BUNDLED if name not in ("encodec-24khz", "encodec-48khz")])
def test_bundled_encoders_offer_what_is_documented(name: str) -> None:
    untrained = name.endswith(("khz-default", "khz-gain"))
    encoder = resolve(f"{name}:quantise=False" if untrained else name)
    contract = {"name", "sample_rate", "listen"}
    reference = {"hop", "margin", "transform", "centres_hz", "site", "first", "last", "bank", "encode", "decode"}
    extra = contract | reference | {"codebooks", "perplexities", "model"}
    offered = {attribute for attribute in dir(encoder) if not attribute.startswith("_")}
    assert offered <= extra | set(OPTIONAL_ATTRIBUTES)


def test_installed_packages_offer_encoders(monkeypatch: pytest.MonkeyPatch, mine: Path) -> None:
    monkeypatch.syspath_prepend(str(mine.parent))
    entries = [
        EntryPoint("theirs", "mine:build", specs.GROUP),
        EntryPoint("gone", "absent_package:build", specs.GROUP),
        EntryPoint("polyphase", "mine:build", specs.GROUP),
    ]
    monkeypatch.setattr(specs, "entry_points", lambda group: entries if group == "testtone.encoders" else [])
    assert available() == [*BUNDLED, "gone", "theirs"]
    assert resolve("theirs").name == "mine"
    assert resolve("polyphase").name == "polyphase"
    with pytest.raises(EncoderSpecError, match=r"'gone': there is no module absent_package here"):
        resolve("gone")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", r"spec '' is empty; name one of .*encodec-24khz, .* or your own as mine\.py:build"),
        ("encodec-24hz-gain", r"no encoder 'encodec-24hz-gain'; did you mean encodec-24khz-gain"),
        ("whisper", r"no encoder 'whisper'; name one of .*encodec-24khz, .*polyphase"),
        ("FOLDER/mine.py", r"names a file but nothing in it; add a colon .*mine\.py:build"),
        ("FOLDER/mine.py:", r"needs both sides of the colon"),
        (":build", r"needs both sides of the colon"),
        ("FOLDER/absent.py:build", r"there is no file FOLDER/absent\.py \(seen from "),
        ("FOLDER/mine.py:biuld", r"there is no 'biuld' in it; did you mean build\?"),
        ("FOLDER/mine.py:Shelf.absent", r"there is no 'Shelf\.absent' in it; it has build"),
        ("FOLDER/torn.py:build", r"importing it raised SyntaxError"),
        ("FOLDER/needy.py:build", r"there is no module absent_package here; install it"),
        ("FOLDER/weights.txt:build", r"importing it raised ImportError: .* must end in \.py"),
        ("FOLDER/mine.py:fail", r"calling it raised RuntimeError: no weights here"),
        ("FOLDER/mine.py:Picky", r"calling it raised TypeError: .*'size'"),
        ("FOLDER/mine.py:number", r"names a int; it must be an encoder, or a function or class"),
        ("FOLDER/mine.py:module", r"gives a torch module, not an encoder; return testtone\.models\.tap"),
        ("FOLDER/mine.py:Deaf", r"gives a Deaf without a method listen\(waveforms\)"),
        ("FOLDER/mine.py:Rateless", r"gives a Rateless without the attribute sample_rate \(Hz\)"),
        ("FOLDER/mine.py:Timeless", r"has sample_rate='16k'; it must be a positive number of Hz"),
        ("absent_package:build", r"there is no module absent_package here; install it, or name a file"),
        ("not a module:build", r"'not a module' is neither a file that ends in \.py nor a module name"),
        ("json:nothing", r"there is no 'nothing' in it; it has "),
        ("torch.nn:ReLU", r"gives a torch module"),
        ("polyphse:hop=3", r"there is no module polyphse; did you mean polyphase\?"),
        ("polyphase:hopp=3", r"'hopp=3' is not an option; options are sample_rate, hop"),
        ("polyphase:hop=-3", r"'polyphase:hop=-3': hop=-3 must be a positive number"),
        ("polyphase:hop=three", r"'polyphase:hop=three': hop='three' must be a positive number"),
        ("encodec-24khz-gain:seeds=1", r"'seeds=1' is not an option; options are seed, gain, bandwidth_kbps, quantise"),
        ("encodec-24khz:FOLDER/absent.th", r"'encodec-24khz:FOLDER/absent\.th': FOLDER/absent\.th is not a file"),
        ("encodec-24khz:", r"needs a path after the colon"),
    ],
)
def test_a_bad_spec_is_one_line(mine: Path, spec: str, message: str) -> None:
    folder = str(mine.parent)
    with pytest.raises(EncoderSpecError, match=message.replace("FOLDER", folder)) as caught:
        resolve(spec.replace("FOLDER", folder))
    assert "\n" not in str(caught.value)


def test_the_error_is_a_value_error() -> None:
    assert issubclass(EncoderSpecError, ValueError)
