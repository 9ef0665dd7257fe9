"""What testtone promises to keep: names, signatures, fields, options and formats, a line each.

``public_api.txt`` is the list as it was promised; ``python tests/harness/public.py --write`` writes it anew. What is
not in it may change without notice.
"""

import argparse
import ast
import dataclasses
import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

LIST = Path(__file__).with_name("public_api.txt")

MODULES = (
    "testtone.models",
    "testtone.models.protocol",
    "testtone.probes.records",
    "testtone.reports",
    "testtone.stimuli",
    "testtone.stimuli.strategies",
    "testtone.tests.adversary",
    "testtone.tests.check",
    "testtone.tests.claim",
    "testtone.tests.sweep",
)
"""Whatever these offer by a name of their own, or hand on with ``import X as X``."""


def lines() -> list[str]:
    """Return the promises, sorted within each kind."""
    found = [line for name in MODULES for line in sorted(set(_of(importlib.import_module(name))))]
    return [*found, *_options(), *_commands(), *_schema(), *_names()]


def _of(module: ModuleType) -> Iterator[str]:
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    for node in tree.body:
        for name in filter(lambda name: not name.startswith("_"), _offered(node)):
            yield from _said(f"{module.__name__}.{name}", getattr(module, name))


def _offered(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [each.name for each in node.names if each.asname == each.name]
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [each.id for each in targets if isinstance(each, ast.Name) and each.id.isupper()]


def _said(name: str, thing: Any) -> Iterator[str]:
    if isinstance(thing, ModuleType):
        yield f"{name} (module)"
    elif inspect.isclass(thing):
        yield f"{name} (class)"
        if dataclasses.is_dataclass(thing):
            for each in dataclasses.fields(thing):
                required = each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
                if not each.name.startswith("_"):
                    yield f"{name}.{each.name} (field{', required' if required else ''})"
        for member, value in vars(thing).items():
            if member.startswith("_"):
                continue
            value = value.__func__ if isinstance(value, classmethod | staticmethod) else value
            if inspect.isfunction(value):
                yield f"{name}.{member}{_signature(value)}"
            elif isinstance(value, property) or hasattr(value, "func"):
                yield f"{name}.{member} (property)"
        if getattr(thing, "_is_protocol", False):
            yield from (f"{name}.{each} (attribute)" for each in sorted(vars(thing).get("__annotations__", {})))
    elif inspect.isfunction(thing) or (callable(thing) and hasattr(thing, "__wrapped__")):
        yield f"{name}{_signature(inspect.unwrap(thing))}"
    elif isinstance(thing, Mapping):
        yield f"{name}: {', '.join(map(str, thing))}"
    else:
        plain = isinstance(thing, str | int | float | tuple)
        yield f"{name} = {thing!r}" if plain else f"{name} (type)"


def _signature(function: Any) -> str:
    """Return arguments and result as they are written: the same text under any Python."""
    node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(node, ast.FunctionDef)
    result = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    return f"({ast.unparse(node.args)}){result}"


def _options() -> Iterator[str]:
    from testtone.tests import plugin

    said: dict[str, str] = {}

    class Group:
        def addoption(self, name: str, **how: Any) -> None:
            choices = f" of {', '.join(how['choices'])}" if "choices" in how else ""
            said[name] = f"pytest {name}{choices} (default: {how['default']!r})"

    class Parser:
        def getgroup(self, *names: str) -> Group:
            return Group()

    plugin.pytest_addoption(Parser())  # type: ignore[arg-type]
    yield from (text for _, text in sorted(said.items()))


def _commands() -> Iterator[str]:
    from testtone.reports import __main__ as reports

    yield from (f"python -m testtone.reports {each}" for each in sorted(reports.COMMANDS))
    yield from (f"python -m testtone.tests {each}" for each in ("recover", "store", "sweep"))
    yield from ("python -m testtone.models", "python -m testtone.models.training")


def _schema() -> Iterator[str]:
    from testtone.reports.schema import schema

    def inside(place: str, node: Any) -> Iterator[str]:
        for name, each in sorted(node.get("properties", {}).items()):
            required = " (always)" if name in node.get("required", ()) else ""
            yield f"{place}.{name}{required}"
            yield from inside(f"{place}.{name}", each)
        for key in ("items", "additionalProperties"):
            if isinstance(node.get(key), dict):
                yield from inside(f"{place}[]", node[key])

    whole = schema()
    yield f"report.json is {whole['properties']['schema']['const']}"
    yield from inside("report", whole)
    for name, each in sorted(whole.get("$defs", {}).items()):
        yield from inside(f"report <{name}>", each)


def _names() -> Iterator[str]:
    from testtone.models import specs
    from testtone.tests.check import claims

    yield from (f"claim {each.id} at {', '.join(each.sites)}" for each in claims().values())
    yield from (f"encoder {each}" for each in specs.BUNDLED)


def main() -> None:
    """Print the promises as they are now, or write them down."""
    parser = argparse.ArgumentParser(description="What testtone promises to keep.")
    parser.add_argument("--write", action="store_true", help=f"write {LIST.name}")
    text = "\n".join(lines()) + "\n"
    if parser.parse_args().write:
        LIST.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
