"""Who an encoder is, as a hash: everything that could change what it answers.

A name says nothing, and weights alone say too little: an adapter that scales its input by another number gives other
answers with the same weights. So an identity holds

``weights``   the hash of the weights, as the encoder tells it
``state``     every attribute of the encoder and of what it is made of, down to the numbers
``sources``   the source of its class, and of every local module that it imports, however late and however far
``heard``     its answers to a few fixed sounds, to the last bit, in the batch shape in use
``platform``  versions of everything installed, threads, device, processor, and torch's switches

The first three are what it is made of, the fourth is what it does: a change that neither source nor state betrays, in a
system library say, still shows there. What cannot be told makes an encoder one without identity
(:class:`UnknownError`), and then nothing of it may be kept.
"""

from __future__ import annotations

import ast
import enum
import functools
import hashlib
import importlib.metadata
import os
import pickle
import platform
import re
import site
import sys
import sysconfig
import time
import types
import weakref
from collections.abc import Iterable, Mapping
from importlib.machinery import PathFinder
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from torch.utils.hooks import RemovableHandle

from .listening import BATCH, Listener
from .threads import WISHES


def _began() -> float:
    """When this process began, seconds since the epoch; where that is not told, when this module was loaded."""
    now = time.time()
    try:
        told = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        up = time.clock_gettime(time.CLOCK_BOOTTIME)
        return now - (up - int(told[19]) / os.sysconf("SC_CLK_TCK"))
    except (OSError, AttributeError, IndexError, ValueError):
        return now


BEGAN = _began()
SLACK_SECONDS = 0.05
"""The clock ticks in steps; no module of ours is loaded so soon after a process began."""

SWITCHES = (
    *WISHES,
    "OPENBLAS_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "NPY_DISABLE_CPU_FEATURES",
    "MKL_CBWR",
    "CUBLAS_WORKSPACE_CONFIG",
)
"""Environment variables that libraries take their threads and their code by."""

OURS = "testtone.models"
"""Encoders of this package need not tell the hash of their weights: their source and state are all there is."""


class UnknownError(Exception):
    """Something that could change the answers cannot be told; the message says what, in words."""


def identity(listener: Listener) -> dict[str, str]:
    """Return who an encoder is: name and class, for people, and a hash of each thing that could change its answers.

    Raises:
        UnknownError: if one of them cannot be told.
        EncoderFault: if it breaks the contract when it is asked.
    """
    encoder = listener.encoder
    kind = type(getattr(encoder, "_encoder", encoder)) if type(encoder).__name__ == "_Named" else type(encoder)
    weights = getattr(encoder, "weights_sha256", None)
    ours = kind.__module__.startswith(f"{OURS}.") and kind.__name__ != "TappedEncoder"
    known = isinstance(weights, str) and re.fullmatch(r"[0-9a-f]{64}", weights) is not None
    if not known and not (ours and weights is None):
        raise UnknownError(
            "it does not tell weights_sha256, 64 hex digits over its weights"
            if weights is None
            else f"weights_sha256={weights!r} is not 64 hex digits"
        )
    # Heard first: what an encoder makes when it is first asked is part of its state.
    heard = _heard(listener)
    state, modules = state_of(encoder)
    return {
        "name": str(encoder.name),
        "class": f"{kind.__module__}.{kind.__qualname__}",
        "sample_rate": str(listener.sample_rate),
        "weights": weights or "none",
        "state": state,
        "sources": sources_of(modules),
        "heard": heard,
        "platform": platform_of(getattr(encoder, "device", None) or "cpu"),
    }


def _heard(listener: Listener) -> str:
    """Hash of the answers to a batch of fixed sounds: noise, a tone and clicks, loud and soft, a second of each."""
    samples = max(listener.sample_rate // 2, round(listener.least_seconds * listener.sample_rate))
    noise = np.random.default_rng(20).standard_normal((BATCH, samples))
    clips = noise * np.geomspace(1e-4, 0.25, BATCH)[:, None]
    clips[1] = 0.3 * np.sin(2 * np.pi * 0.0173 * np.arange(samples))
    clips[3, :: max(1, samples // 7)] = 0.9
    answer = listener.listen(np.clip(clips, -1.0, 1.0).astype(np.float32)).values
    digest = hashlib.sha256(f"{BATCH} {samples}".encode())
    for name in sorted(answer):
        digest.update(f"{name} {answer[name].dtype} {answer[name].shape}".encode())
        digest.update(np.ascontiguousarray(answer[name]).tobytes())
    return digest.hexdigest()


@functools.cache
def _versions() -> str:
    """Hash of the version of everything installed; what was installed from a folder or a commit, with where from."""
    lines = set()
    for each in importlib.metadata.distributions():
        lines.add(f"{each.metadata['Name']}=={each.version} {each.read_text('direct_url.json') or ''}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


@functools.cache
def _processor() -> str:
    """The processor and what it can do, where the system tells: libraries choose their code by it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    told = [line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))]
    return "\n".join(sorted(set(told)))


def platform_of(device: Any) -> str:
    """Hash of what computes: versions, processor, device, threads and switches of torch, as they are now."""
    device = torch.device(device)
    facts: list[Any] = [
        _versions(),
        sys.version,
        platform.system(),
        platform.machine(),
        _processor(),
        [(name, os.environ.get(name)) for name in SWITCHES],
        torch.backends.cpu.get_cpu_capability(),
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.get_float32_matmul_precision(),
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.mkldnn.is_available(),
        torch.backends.mkldnn.enabled,
        torch.get_flush_denormal() if hasattr(torch, "get_flush_denormal") else None,
        torch.__config__.show(),
        BATCH,
        device.type,
    ]
    if device.type == "cuda":
        facts += [
            torch.cuda.get_device_name(device),
            torch.version.cuda,
            torch.backends.cudnn.version(),
            torch.backends.cudnn.allow_tf32,
            torch.backends.cuda.matmul.allow_tf32,
        ]
    return hashlib.sha256("\n".join(map(str, facts)).encode()).hexdigest()


def state_of(value: Any) -> tuple[str, frozenset[str]]:
    """Return the hash of an object down to its numbers, and the names of the modules whose code it is made of.

    Attributes that a class computes once (`functools.cached_property`) are left out: they follow from the others.

    Raises:
        UnknownError: if part of it has no state that can be told.
    """
    walk = _Walk()
    try:
        walk.feed(value, type(value).__name__)
    except RecursionError:
        raise UnknownError(f"{type(value).__name__} holds objects within objects without end") from None
    return walk.digest.hexdigest(), frozenset(walk.modules)


class _Walk:
    """Feeds an object into a hash, depth first, each part once."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.modules: set[str] = set()
        self._seen: dict[int, int] = {}
        self._alive: list[Any] = []

    def feed(self, value: Any, path: str) -> None:
        if value is None or isinstance(value, (bool, int, float, complex, str, bytes, types.EllipsisType)):
            if type(value).__module__ not in ("builtins", "types"):
                self._class(type(value))
            self._say(type(value).__qualname__, repr(value))
            return
        # Whether two equal tuples are one object is up to Python, and changes nothing.
        if not isinstance(value, (tuple, frozenset)):
            if id(value) in self._seen:
                self._say("again", str(self._seen[id(value)]))
                return
            self._seen[id(value)] = len(self._seen)
            # Kept, or the next object may get this one's id.
            self._alive.append(value)
        self._object(value, path)

    def _object(self, value: Any, path: str) -> None:
        match value:
            case torch.Tensor():
                self._tensor(value, path)
            case np.ndarray() | np.generic():
                array = np.asarray(value)
                if array.dtype.hasobject:
                    raise UnknownError(f"{path} is an array of objects")
                self._say("array", f"{array.dtype.str} {array.shape}")
                self.digest.update(np.ascontiguousarray(array).tobytes())
            case torch.dtype() | torch.device() | torch.Size() | PurePath() | np.dtype() | range() | slice():
                self._say(type(value).__qualname__, str(value))
            case enum.Enum():
                self._class(type(value))
                self._say("enum", value.name)
            case type():
                self._class(value)
            case types.ModuleType():
                self.modules.add(value.__name__)
                self._say("module", value.__name__)
            case weakref.ReferenceType():
                self._say("reference", "")
                self.feed(value(), path)
            case functools.partial():
                self._say("partial", "")
                self._parts(path, function=value.func, arguments=value.args, options=value.keywords)
            case types.MethodType():
                self._say("method", value.__name__)
                self._parts(path, of=value.__self__, function=value.__func__)
            case types.FunctionType():
                self._function(value, path)
            case types.BuiltinFunctionType() | types.WrapperDescriptorType() | types.MethodDescriptorType():
                self._say("builtin", f"{value.__module__ if hasattr(value, '__module__') else ''}.{value.__qualname__}")
                owner = getattr(value, "__self__", None)
                if owner is not None and not isinstance(owner, types.ModuleType):
                    self.feed(owner, path)
            case RemovableHandle():
                self._say("handle", "")
            case property() | staticmethod() | classmethod():
                self._say(type(value).__qualname__, "")
            case _:
                self._composed(value, path)

    def _composed(self, value: Any, path: str) -> None:
        """A container, or an object with attributes; whatever else can at least be pickled."""
        kind = type(value)
        known = False
        if isinstance(value, (Mapping, list, tuple, set, frozenset)) or kind.__name__ in ("deque", "mappingproxy"):
            known = True
            self._say(f"{kind.__module__}.{kind.__qualname__}", str(len(value)))
            if isinstance(value, Mapping):
                # Hooks are numbered through all modules of a process, whoever was made before.
                numbered = re.search(r"_hooks\w*$", path) is not None and all(isinstance(key, int) for key in value)
                for index, (key, each) in enumerate(value.items()):
                    self.feed(index if numbered else key, f"{path}[{key!r}]"[:200])
                    self.feed(each, f"{path}[{key!r}]"[:200])
            elif isinstance(value, (set, frozenset)):
                for told in sorted(self._apart(each, path) for each in value):
                    self._say("member", told)
            else:
                for index, each in enumerate(value):
                    self.feed(each, f"{path}[{index}]")
        attributes = _attributes(value)
        if attributes is not None and not (known and not attributes):
            known = True
            self._class(kind)
            for name, each in attributes.items():
                self._say("attribute", name)
                self.feed(each, f"{path}.{name}")
        if known:
            return
        self._class(kind)
        try:
            pickled = pickle.dumps(value, protocol=4)
        except Exception:
            raise UnknownError(
                f"{path} is a {kind.__module__}.{kind.__qualname__}, whose state cannot be told"
            ) from None
        self._say("pickled", hashlib.sha256(pickled).hexdigest())

    def _apart(self, value: Any, path: str) -> str:
        walk = _Walk()
        walk.feed(value, path)
        self.modules |= walk.modules
        return walk.digest.hexdigest()

    def _parts(self, path: str, **parts: Any) -> None:
        for name, each in parts.items():
            self.feed(each, f"{path}.{name}")

    def _tensor(self, value: torch.Tensor, path: str) -> None:
        if value.layout != torch.strided or value.is_quantized or value.is_meta:
            raise UnknownError(f"{path} is a tensor of layout {value.layout}, whose numbers cannot be told")
        self._say("tensor", f"{value.dtype} {tuple(value.shape)}")
        plain = value.detach().cpu().contiguous().reshape(-1)
        self.digest.update((plain.view(torch.uint8) if plain.numel() else plain).numpy().tobytes())

    def _function(self, value: types.FunctionType, path: str) -> None:
        self.modules.add(value.__module__ or "")
        self._say("function", f"{value.__module__}.{value.__qualname__}")
        self._code(value.__code__)
        cells = []
        for cell in value.__closure__ or ():
            try:
                cells.append(cell.cell_contents)
            except ValueError:
                cells.append(None)
        self._parts(path, defaults=value.__defaults__, options=value.__kwdefaults__, closure=cells)

    def _code(self, code: types.CodeType) -> None:
        self._say("code", hashlib.sha256(code.co_code).hexdigest())
        self._say("names", repr(code.co_names))
        for each in code.co_consts:
            if isinstance(each, types.CodeType):
                self._code(each)
            elif isinstance(each, frozenset):
                self._say("constant", repr(sorted(map(repr, each))))
            else:
                self._say("constant", repr(each))

    def _class(self, kind: type) -> None:
        self._say("class", f"{kind.__module__}.{kind.__qualname__}")
        for each in kind.__mro__:
            self.modules.add(each.__module__)

    def _say(self, *words: str) -> None:
        for word in words:
            told = word.encode("utf-8", "surrogatepass")
            self.digest.update(len(told).to_bytes(8, "little"))
            self.digest.update(told)


def _attributes(value: Any) -> dict[str, Any] | None:
    """An object's own attributes, from its dictionary and its slots; None if it has neither."""
    found: dict[str, Any] = {}
    has = hasattr(value, "__dict__")
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else tuple(slots):
            if name not in ("__dict__", "__weakref__"):
                has = True
                mangled = f"_{kind.__name__.lstrip('_')}{name}" if name.startswith("__") else name
                if hasattr(value, mangled):
                    found[name] = getattr(value, mangled)
    if not has:
        return None
    follows = {
        name
        for kind in type(value).__mro__
        for name, each in vars(kind).items()
        if isinstance(each, functools.cached_property)
    }
    return found | {name: each for name, each in getattr(value, "__dict__", {}).items() if name not in follows}


def sources_of(modules: Iterable[str]) -> str:
    """Return the hash of the source of modules, and of every local module that they import, at any depth.

    Local is what lies neither in the standard library nor among installed packages, whose versions are known.

    Raises:
        UnknownError: if a module has no source in a file.
    """
    digest = hashlib.sha256()
    for name, path in sorted(_closure(modules).items()):
        digest.update(f"{name} {source_of(path)}\n".encode())
    return digest.hexdigest()


def source_of(path: Path) -> str:
    """Return the hash of a source file as this process may have loaded it.

    Raises:
        UnknownError: if it cannot be read, or was changed since the process began: what was loaded may be older.
    """
    try:
        told = path.stat()
        text = path.read_bytes()
    except OSError as error:
        raise UnknownError(f"its source {path} cannot be read: {error.strerror}") from error
    if max(told.st_mtime, told.st_ctime) > BEGAN + SLACK_SECONDS:
        raise UnknownError(f"{path} was changed since this process began, which may have loaded it before; start anew")
    return hashlib.sha256(text).hexdigest()


def _closure(modules: Iterable[str]) -> dict[str, Path]:
    """Module -> file, for local modules; of installed ones, only the file that was named."""
    found: dict[str, Path] = {}
    waiting: list[tuple[str, Path | None]] = [(name, None) for name in sorted(set(modules))]
    seen: set[str] = set()
    while waiting:
        name, importer = waiting.pop()
        if not name or name in seen or (name.split(".")[0] in sys.stdlib_module_names and name != "__main__"):
            continue
        seen.add(name)
        path = _file_of(name, importer)
        if path is None:
            if importer is None:
                raise UnknownError(f"{name} has no source in a file (a notebook, or a prompt)")
            continue
        found[name] = path
        if path.suffix == ".py" and _is_local(path):
            above = name.rpartition(".")[0]
            package = name if path.name == "__init__.py" else above
            # Packages are imported, and may act, before what lies in them.
            waiting.append((above, path))
            waiting += [(each, path) for each in _imported(path, package)]
    return found


def _file_of(name: str, importer: Path | None) -> Path | None:
    """Where a module's code is; None where there is no such module, or one without a file."""
    loaded = sys.modules.get(name)
    file = getattr(loaded, "__file__", None)
    if file is not None:
        return Path(file)
    if loaded is not None and not hasattr(loaded, "__path__"):
        return None
    top, *rest = name.split(".")
    spec = PathFinder.find_spec(top, [str(importer.parent), *sys.path] if importer is not None else sys.path)
    above = sys.modules.get(top)
    places = list(above.__path__) if above is not None and hasattr(above, "__path__") else None
    if places is None and spec is not None:
        places = list(spec.submodule_search_locations or ())
    for part in rest:
        spec = PathFinder.find_spec(part, places) if places else None
        if spec is None:
            return None
        places = list(spec.submodule_search_locations or ())
    origin = getattr(spec, "origin", None)
    return Path(origin) if origin is not None and Path(origin).is_file() else None


def _imported(path: Path, package: str) -> frozenset[str]:
    """Names that a module imports, at any depth of its code, with the packages that they lie in."""
    try:
        return _imported_in(path.read_bytes(), package)
    except (OSError, SyntaxError) as error:
        raise UnknownError(f"the source {path} cannot be read: {error}") from error


@functools.lru_cache(maxsize=1024)
def _imported_in(text: bytes, package: str) -> frozenset[str]:
    """The same of a text; remembered by all of the text, so that a file that was changed is read anew."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            names |= {base} | {f"{base}.{alias.name}" if base else alias.name for alias in node.names}
    parts = [name.split(".") for name in names]
    return frozenset(".".join(each[: upto + 1]) for each in parts for upto in range(len(each)))


@functools.cache
def _installed_places() -> tuple[Path, ...]:
    places = {sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    places |= {*site.getsitepackages(), site.getusersitepackages()}
    return tuple(Path(place).resolve() for place in places)


@functools.cache
def _is_local(path: Path) -> bool:
    resolved = path.resolve()
    return not any(resolved.is_relative_to(place) for place in _installed_places())
