"""What the README shows works as it stands there."""

import ast
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from testtone.models import check
from testtone.models.specs import GROUP, available, resolve

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def rows(heading: str) -> list[str]:
    """Return the first cells of the table after a line of the README, without their backticks."""
    table = README.split(heading, 1)[1].lstrip().split("\n\n")[0]
    return [line.split("|")[1].strip().strip("`") for line in table.splitlines()[2:]]


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_encoder_from_the_readme_keeps_the_contract(tmp_path: Path, number: int) -> None:
    (tmp_path / "mine.py").write_text(EXAMPLES[number])
    encoder = resolve(f"{tmp_path / 'mine.py'}:build")
    report = check(encoder)
    assert report.ok, str(report)
    clips = np.random.default_rng(7).normal(scale=0.1, size=(2, encoder.sample_rate)).astype(np.float32)
    heard = encoder.listen(torch.from_numpy(clips))
    # 16 kHz over strides of 4 and 8 is 500 frames a second, less what the last window lacks.
    shapes = {"first_conv": (2, 32, 3999), "stack_end": (2, 64, 498), "latent": (2, 64, 498)}
    codec = {"quantised": (2, 64, 498), "codes": (2, 4, 498)} if "codes" in heard else {}
    assert {site: np.shape(values) for site, values in heard.items()} == shapes | codec


def test_there_are_two_examples_and_one_has_codes() -> None:
    assert ["codes" in example for example in EXAMPLES] == [False, True]


def test_the_entry_point_of_the_readme_is_of_the_group_that_is_read() -> None:
    (toml,) = re.findall(r"^```toml\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
    (group,) = tomllib.loads(toml)["project"]["entry-points"]
    assert group == GROUP


def test_the_encoders_of_the_readme_are_bundled() -> None:
    named = set(re.findall(r"`(encodec-[a-z0-9-]+)`", README))
    assert named
    assert named <= set(available())


def test_the_claims_of_the_readme_are_the_claims_that_run() -> None:
    claims = {
        node.name.removeprefix("test_")
        for path in (ROOT / "tests/claims").glob("test_*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    assert claims == set(rows("Sites: F `first_conv`, E `stack_end`, L `latent`, Q `quantised` and `codes`."))
