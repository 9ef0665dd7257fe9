"""What a docstring shows is what a reader gets."""

import doctest
import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import pytest

PACKAGES = ("testtone.stimuli", "testtone.models", "testtone.probes", "testtone.reports", "testtone.tests")


def modules() -> Iterator[ModuleType]:
    """Yield all modules that ship; commands by their name alone, as they run when they are imported."""
    for name in PACKAGES:
        package = importlib.import_module(name)
        yield package
        for each in pkgutil.walk_packages(package.__path__, f"{name}."):
            # What stays at home is no module of the packages; registration works once, for hypothesis.
            if not {"harness", "mutation", "benchmarks", "registration"} & set(each.name.split(".")):
                yield importlib.import_module(each.name)


def examples() -> list[doctest.DocTest]:
    """Return the examples of all docstrings."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [each for module in modules() for each in finder.find(module, module.__name__) if each.examples]


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_an_example_prints_what_it_says(example: doctest.DocTest, capsys: pytest.CaptureFixture[str]) -> None:
    failed, tried = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example)
    assert tried
    assert not failed, capsys.readouterr().out


def test_examples_are_found() -> None:
    assert len(examples()) >= 10
