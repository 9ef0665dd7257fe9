"""From what a person types after `--encoder` to an encoder.

========================================  ============================================================================
``encodec-24khz-gain``                    a bundled name; `available` lists them
``encodec-24khz-gain:seed=3``             a bundled name with options, comma-separated
``encodec-24khz:weights.th``              the published encoder with its weights in a file
``hf:ORG/NAME@REV``                       a codec of the Hugging Face hub (the revision may be left out)
``hf:./folder``                           the same in a folder; options may follow, as in ``hf:./folder,codebooks=4``
``mine.py:build``                         a file, and in it an encoder, or a function or class that gives one
``package.module:build``                  the same in an importable module
``some-name``                             an entry point that an installed package offers in `testtone.encoders`
========================================  ============================================================================
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import importlib
import importlib.util
import inspect
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from .basis_references import BASIS_REFERENCES
from .fold_references import FOLD_REFERENCES
from .layered_references import LAYERED_REFERENCES
from .note_references import NOTE_REFERENCES
from .presence_references import PRESENCE_REFERENCES
from .protocol import Encoder
from .quantised_references import QUANTISED_REFERENCES
from .references import REFERENCES
from .steering_references import STEERING_REFERENCES
from .waveform_references import WAVEFORM_REFERENCES

GROUP = "testtone.encoders"
"""Entry points in this group are encoders, or functions or classes that give one."""


class EncoderSpecError(ValueError):
    """A spec that leads to no encoder. The message is one line that says what is wrong and what to do."""


@dataclass(frozen=True)
class Bundled:
    """Where a bundled encoder is made: a function in a module of this package, imported only when asked for."""

    module: str
    function: str
    argument: str | None = None
    """The option that a bare word after the colon is for."""


BUNDLED: Mapping[str, Bundled] = {
    "encodec-mini": Bundled("encodec_mini", "trained", argument="path"),
    "encodec-mini-default": Bundled("encodec_mini", "untrained_default"),
    "encodec-mini-gain": Bundled("encodec_mini", "untrained_gain"),
    "encodec-24khz": Bundled("encodec", "published", argument="path"),
    "encodec-24khz-default": Bundled("encodec", "untrained_default"),
    "encodec-24khz-gain": Bundled("encodec", "untrained_gain"),
    "encodec-48khz": Bundled("encodec48", "published", argument="path"),
    "encodec-48khz-default": Bundled("encodec48", "untrained_default"),
    "encodec-48khz-gain": Bundled("encodec48", "untrained_gain"),
    "samplecnn": Bundled("samplecnn", "trained", argument="path"),
    "samplecnn-default": Bundled("samplecnn", "untrained_default"),
    "samplecnn-gain": Bundled("samplecnn", "untrained_gain"),
    "crepe-tiny": Bundled("crepe", "tiny", argument="path"),
    "crepe-full": Bundled("crepe", "full", argument="path"),
    "zoo": Bundled("zoo", "zoo"),
    **{name: Bundled("references", build.__name__) for name, build in REFERENCES.items()},
    **{name: Bundled("layered_references", build.__name__) for name, build in LAYERED_REFERENCES.items()},
    **{name: Bundled("waveform_references", build.__name__) for name, build in WAVEFORM_REFERENCES.items()},
    **{name: Bundled("fold_references", build.__name__) for name, build in FOLD_REFERENCES.items()},
    **{name: Bundled("basis_references", build.__name__) for name, build in BASIS_REFERENCES.items()},
    **{name: Bundled("quantised_references", build.__name__) for name, build in QUANTISED_REFERENCES.items()},
    **{name: Bundled("presence_references", build.__name__) for name, build in PRESENCE_REFERENCES.items()},
    **{name: Bundled("steering_references", build.__name__) for name, build in STEERING_REFERENCES.items()},
    **{name: Bundled("note_references", build.__name__) for name, build in NOTE_REFERENCES.items()},
}

TWINS: Mapping[str, tuple[str, ...]] = {
    name: (f"{name}-default", f"{name}-gain") for name in BUNDLED if f"{name}-default" in BUNDLED
}
"""Trained encoder -> the same architecture untrained, initialised as its package does it and with gain."""

PREFIXED: Mapping[str, Bundled] = {"hf": Bundled("huggingface", "pretrained", argument="repository_or_folder")}
"""As `BUNDLED`, but no encoder without what follows the colon."""


def available() -> list[str]:
    """Return the names that `resolve` knows: the bundled ones, then those of installed packages."""
    return [*BUNDLED, *sorted(set(_installed()) - set(BUNDLED))]


def resolve(spec: str) -> Encoder:
    """Return the encoder that `spec` names.

    >>> resolve("bare-decimator").sample_rate
    24000

    An encoder without a `name` is given the spec as its name.

    Raises:
        EncoderSpecError: one line that says what is wrong with the spec and what to do about it.
    """
    if not isinstance(spec, str) or not spec.strip():
        raise EncoderSpecError(f"encoder spec {spec!r} is empty; {_known()}")
    spec = spec.strip()
    name, colon, rest = spec.partition(":")
    if name in BUNDLED:
        return _checked(_bundled(spec, BUNDLED[name], rest if colon else None), spec)
    if name in PREFIXED:
        return _checked(_bundled(spec, PREFIXED[name], rest), spec)
    if spec in (installed := _installed()):
        return _checked(_made(spec, _imported(spec, installed[spec].load)), spec)
    target, colon, attribute = spec.rpartition(":")
    if not colon:
        raise EncoderSpecError(_unknown(spec))
    if not target or not attribute:
        raise EncoderSpecError(f"encoder spec {spec!r} needs both sides of the colon, as in mine.py:build")
    with _importable(Path.cwd()):
        if target.endswith(".py") or "/" in target or "\\" in target:
            path = Path(target).expanduser()
            if not path.is_file():
                raise EncoderSpecError(f"encoder spec {spec!r}: there is no file {path} (seen from {Path.cwd()})")
            with _importable(path.resolve().parent):
                module = _imported(spec, lambda: _load_file(path))
                return _checked(_made(spec, _attribute(spec, module, attribute)), spec)
        if not all(part.isidentifier() for part in target.split(".")):
            raise EncoderSpecError(
                f"encoder spec {spec!r}: {target!r} is neither a file that ends in .py nor a module name; {_known()}"
            )
        if (near := difflib.get_close_matches(target, BUNDLED, n=1)) and not _module_exists(target):
            raise EncoderSpecError(f"encoder spec {spec!r}: there is no module {target}; did you mean {near[0]}?")
        module = _imported(spec, lambda: importlib.import_module(target))
        return _checked(_made(spec, _attribute(spec, module, attribute)), spec)


def _bundled(spec: str, entry: Bundled, rest: str | None) -> Any:
    """Return a bundled encoder, with the options after its colon."""
    build = getattr(importlib.import_module(f".{entry.module}", __package__), entry.function)
    options = _options(spec, entry, rest, build) if rest is not None else {}
    try:
        return build(**options)
    except Exception as error:
        # What the builders raise is already one line that says what to do.
        raise EncoderSpecError(f"encoder spec {spec!r}: {_line(error)}") from error


def _options(spec: str, entry: Bundled, rest: str, build: Any) -> dict[str, Any]:
    """Return keyword options from ``a=1,b=2``, after a bare word where the encoder takes one."""
    options: dict[str, Any] = {}
    known = _parameters(build)
    items = rest.split(",")
    if entry.argument is not None and not rest.startswith(starts := tuple(f"{name}=" for name in known)):
        # A path may hold commas; options begin where the first of them does.
        words = next((index for index, item in enumerate(items) if item.strip().startswith(starts)), len(items))
        bare, items = ",".join(items[:words]), items[words:]
        if not bare:
            raise EncoderSpecError(f"encoder spec {spec!r} needs a {entry.argument} after the colon")
        options[entry.argument] = bare
    for item in items:
        key, equals, text = item.partition("=")
        key = key.strip()
        if not equals or key not in known:
            raise EncoderSpecError(f"encoder spec {spec!r}: {item!r} is not an option; options are {_listed(known)}")
        try:
            options[key] = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError):
            options[key] = text.strip()
    return options


def _parameters(build: Any) -> list[str]:
    """Return the options that a bundled builder and the one it hands them on to take."""
    signature = inspect.signature(build)
    names = [name for name, p in signature.parameters.items() if p.kind is not p.VAR_KEYWORD]
    if len(names) < len(signature.parameters):
        general = importlib.import_module(build.__module__).untrained
        names += [name for name in inspect.signature(general).parameters if name not in (*names, "init")]
    return names


def checked(encoder: Any, spec: str) -> Encoder:
    """Return an encoder that is there already, with a name; ``spec`` is what messages call it.

    Raises:
        EncoderSpecError: one line that says which part of the contract it lacks.
    """
    return _checked(encoder, spec)


def _made(spec: str, found: Any) -> Any:
    """Return `found` if it is an encoder already, else what it returns when called."""
    if not inspect.isclass(found) and callable(getattr(found, "listen", None)):
        return found
    if _is_torch_module(found):
        raise EncoderSpecError(
            f"encoder spec {spec!r} names a torch module, not an encoder; wrap it: testtone.models.tap(module, "
            "sample_rate=..., latent='...')"
        )
    if not callable(found):
        raise EncoderSpecError(
            f"encoder spec {spec!r} names a {type(found).__name__}; it must be an encoder, or a function or class that "
            "gives one"
        )
    try:
        return found()
    except Exception as error:
        reason = f"{type(error).__name__}: {_line(error)}"
        raise EncoderSpecError(f"encoder spec {spec!r}: calling it raised {reason}") from error


def _checked(encoder: Any, spec: str) -> Encoder:
    """Return `encoder` with a name, or say which part of the contract it lacks."""
    if _is_torch_module(encoder) and not callable(getattr(encoder, "listen", None)):
        raise EncoderSpecError(
            f"encoder spec {spec!r} gives a torch module, not an encoder; return testtone.models.tap(module, "
            "sample_rate=..., latent='...') instead"
        )
    kind = type(encoder).__name__
    if not callable(getattr(encoder, "listen", None)):
        raise EncoderSpecError(f"encoder spec {spec!r} gives a {kind} without a method listen(waveforms)")
    if not hasattr(encoder, "sample_rate"):
        raise EncoderSpecError(f"encoder spec {spec!r} gives a {kind} without the attribute sample_rate (Hz)")
    rate = encoder.sample_rate
    if isinstance(rate, bool) or not hasattr(rate, "__float__") or not (math.isfinite(rate) and rate > 0):
        raise EncoderSpecError(f"encoder spec {spec!r} has sample_rate={rate!r}; it must be a positive number of Hz")
    if not getattr(encoder, "name", None):
        try:
            encoder.name = spec
        except (AttributeError, TypeError):
            return _Named(encoder, spec)
    result: Encoder = encoder
    return result


class _Named:
    """An encoder that cannot be given a name, with a name."""

    def __init__(self, encoder: Any, name: str) -> None:
        self._encoder = encoder
        self.name = name
        self.sample_rate: int = encoder.sample_rate

    def listen(self, waveforms: Any) -> Mapping[str, Any]:
        """Return what the encoder returns."""
        answer: Mapping[str, Any] = self._encoder.listen(waveforms)
        return answer

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._encoder, attribute)


def _imported(spec: str, load: Any) -> Any:
    """Return what `load` imports, or say in one line why it does not."""
    try:
        return load()
    except ModuleNotFoundError as error:
        raise EncoderSpecError(
            f"encoder spec {spec!r}: there is no module {error.name} here; install it, or name a file (mine.py:build)"
        ) from error
    except Exception as error:
        reason = f"{type(error).__name__}: {_line(error)}"
        raise EncoderSpecError(f"encoder spec {spec!r}: importing it raised {reason}") from error


def _load_file(path: Path) -> ModuleType:
    """Return the module in a file, under a name of its own so that it shadows nothing."""
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    name = f"_testtone_encoder_{path.stem}_{digest}"
    module_spec = importlib.util.spec_from_file_location(name, path)
    if module_spec is None or module_spec.loader is None:
        raise ImportError(f"{path} is not a file of Python; its name must end in .py")
    module = importlib.util.module_from_spec(module_spec)
    # Dataclasses and pickle look their module up by name.
    sys.modules[name] = module
    try:
        module_spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _attribute(spec: str, module: Any, dotted: str) -> Any:
    """Return the attribute `dotted` of a module."""
    found = module
    for part in dotted.split("."):
        if not hasattr(found, part):
            names = [name for name in vars(found) if not name.startswith("_")] if hasattr(found, "__dict__") else []
            near = difflib.get_close_matches(part, names, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; it has {_listed(names)}" if names else ""
            raise EncoderSpecError(f"encoder spec {spec!r}: there is no {dotted!r} in it{hint}")
        found = getattr(found, part)
    return found


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let a stranger's encoder import what lies beside it, as `python mine.py` does."""
    entry = str(folder)
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        sys.path.remove(entry)


def _installed() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _module_exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _is_torch_module(found: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(found, torch.nn.Module)


def _unknown(spec: str) -> str:
    if spec.endswith(".py"):
        return f"encoder spec {spec!r} names a file but nothing in it; add a colon and a callable, as in {spec}:build"
    near = difflib.get_close_matches(spec, available(), n=3)
    guess = f"did you mean {' or '.join(near)}? " if near else ""
    return f"there is no encoder {spec!r}; {guess}{_known()}"


def _known() -> str:
    names = ", ".join([*available(), *(f"{prefix}:..." for prefix in PREFIXED)])
    return f"name one of {names}, or your own as mine.py:build or package.module:build"


def _listed(names: list[str], limit: int = 12) -> str:
    return ", ".join(names[:limit]) + (", ..." if len(names) > limit else "") if names else "none"


def _line(error: BaseException) -> str:
    """Return an exception's message on one line."""
    return " ".join(str(error).split()) or type(error).__name__
