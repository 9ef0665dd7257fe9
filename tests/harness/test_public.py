"""What testtone promises stays as promised, until the list of promises is changed on purpose."""

import importlib
import inspect

import public
import pytest

WRITE = "if that is meant: python tests/harness/public.py --write, a line in CHANGELOG.md, and see CONTRIBUTING.md"


def test_nothing_public_changes_unawares() -> None:
    promised = public.LIST.read_text(encoding="utf-8").splitlines()
    found = public.lines()
    gone = [line for line in promised if line not in found]
    new = [line for line in found if line not in promised]
    assert not gone, f"promised, and gone or changed: {gone}; {WRITE}"
    assert not new, f"public, and not on the list: {new}; {WRITE}"
    assert found == promised


def test_the_list_is_no_empty_promise() -> None:
    promised = public.LIST.read_text(encoding="utf-8")
    for needed in (
        "testtone.tests.check.check(claim: str | Claim, encoder: str | Encoder, *, effort: str='standard'",
        "testtone.models.Encoder.listen(self, ",
        "testtone.stimuli.strategies.notes(*, ",
        "pytest --claims-effort of quick, standard, thorough (default: 'standard')",
        "report.json is testtone-report/1",
        "report <claim>.verdict (always)",
        "claim pitch_direction at ",
        "encoder encodec-mini",
        "python -m testtone.reports compare",
    ):
        assert needed in promised, needed


@pytest.mark.parametrize("name", public.MODULES)
def test_whatever_is_public_says_what_it_is(name: str) -> None:
    module = importlib.import_module(name)
    for line in public._of(module):
        target = line.partition("(")[0].partition(" ")[0].removeprefix(f"{name}.").rstrip(":").split(".")
        thing = getattr(module, target[0])
        if inspect.isfunction(thing) or inspect.isclass(thing):
            assert inspect.getdoc(thing), line
