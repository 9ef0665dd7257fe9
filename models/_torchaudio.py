"""Import `encodec` whatever the state of torchaudio.

encodec 0.1.1 imports torchaudio on import, for helpers that resample and save; the model itself never uses it. Where
torchaudio is absent, or installed but unable to load beside the torch at hand, a placeholder stands in for it while
encodec is imported, and goes away again: whoever imports torchaudio afterwards meets the real one, or its real error.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType

NAME = "torchaudio"


def import_encodec() -> ModuleType:
    """Return the package `encodec`.

    Raises:
        ImportError: if encodec is not installed, or fails for a reason of its own.
    """
    if isinstance(loaded := sys.modules.get("encodec"), ModuleType):
        return loaded
    with torchaudio_or_placeholder(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = set(sys.modules)
        try:
            return importlib.import_module("encodec")
        except BaseException:
            _purge("encodec", keep=before)
            raise


@contextmanager
def torchaudio_or_placeholder() -> Iterator[None]:
    """Have something answer to `import torchaudio` inside; leave `sys.modules` as a plain import would have."""
    before = set(sys.modules)
    # None in sys.modules is how an import is forbidden; it is put back as it was.
    forbidden = NAME in sys.modules and sys.modules[NAME] is None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(NAME)
    except Exception as error:
        # A torchaudio built for another torch fails with OSError halfway, and leaves the first half behind.
        _purge(NAME, keep=before)
        placeholder = _Placeholder(error)
        sys.modules[NAME] = placeholder
        try:
            yield
        finally:
            if sys.modules.get(NAME) is placeholder:
                del sys.modules[NAME]
            if forbidden:
                sys.modules[NAME] = None  # type: ignore[assignment]
    else:
        yield


def _purge(name: str, *, keep: set[str]) -> None:
    for module in [module for module in sys.modules if module == name or module.startswith(f"{name}.")]:
        if module not in keep:
            del sys.modules[module]


class _Placeholder(ModuleType):
    """A torchaudio without contents: whatever is asked of it raises an ImportError that says why."""

    def __init__(self, error: Exception) -> None:
        super().__init__(NAME)
        self.__spec__ = ModuleSpec(NAME, loader=None)
        self._reason = f"{type(error).__name__}: {error}"

    def __getattr__(self, attribute: str) -> object:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        raise ImportError(f"torchaudio.{attribute} is needed here, but torchaudio did not load ({self._reason})")
