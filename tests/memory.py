"""What is remembered of an encoder between runs, and under which keys.

``Answers``       what a readout kept of a sound, one entry for each sound and readout, all sites together
``measurements``  what a probe found, one entry for each claim on an encoder, whole

An entry is found again only where everything is the same that could have changed it: the encoder (`models.identity`),
the sound by content, the readout and its source, whatever renders and listens, seed, effort, recordings; for a
measurement the source of all of testtone, and of the claim's own module. Where one of them cannot be told, nothing is
kept and nothing looked up, and a note says so once.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtone.models.identity import UnknownError, identity, source_of, sources_of, state_of
from testtone.models.listening import EncoderFault, Listener
from testtone.probes.readouts import Readout
from testtone.probes.records import Effect, Measurement, Null, Part, Threshold
from testtone.stimuli import Stimulus, renders

from .claim import Claim
from .store import Store

RECORDS = {each.__name__: each for each in (Effect, Measurement, Null, Part, Threshold)}


class UnkeptError(ValueError):
    """A measurement that holds something which does not come back from a file as it was."""


class Answers:
    """What one encoder answered, for `probes.hearing.hear`."""

    def __init__(self, store: Store, encoder: Mapping[str, str]) -> None:
        self._store = store
        self._encoder = {"name": encoder["name"], "sha256": _sha256(dict(encoder))}
        self._known: dict[Readout, Mapping[str, str] | None] = {}
        self._short: dict[str, dict[str, NDArray[Any]]] = {}
        """Entries that lack a site which is asked for: by key, what they have."""

    def recall(
        self, stimulus: Stimulus, variant: str | None, readout: Readout, sites: Sequence[str]
    ) -> Mapping[str, NDArray[Any]] | None:
        """Return what the readout kept of a sound at these sites; None unless all of it is remembered."""
        key = self._key(stimulus, variant, readout)
        found = None if key is None else self._store.get(key)
        if found is not None and not set(sites) <= found.keys():
            self._short[_sha256(key)] = found
            return None
        return found

    def keep(
        self, stimulus: Stimulus, variant: str | None, readout: Readout, values: Mapping[str, NDArray[Any]]
    ) -> None:
        """Remember what the readout kept of a sound, beside what is remembered of other sites."""
        key = self._key(stimulus, variant, readout)
        if key is not None and all(value.dtype.kind in "biufc" for value in values.values()):
            self._store.put(key, self._short.pop(_sha256(key), {}) | dict(values))

    def _key(self, stimulus: Stimulus, variant: str | None, readout: Readout) -> dict[str, Any] | None:
        if readout not in self._known:
            try:
                state, modules = state_of(readout)
                self._known[readout] = {
                    "what": repr(readout)[:200],
                    "state": state,
                    "source": sources_of(modules),
                    "hearing": _hearing(),
                }
            except UnknownError:
                self._known[readout] = None
        known = self._known[readout]
        if known is None:
            return None
        return {
            "kind": "answer",
            "encoder": self._encoder,
            "stimulus": stimulus.sha256,
            "variant": variant,
            "readout": known,
        }


class Memory:
    """The store as a claim check uses it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.notes: dict[str, None] = {}
        self._sources: dict[str, dict[str, str] | None] = {}
        self._encoders: dict[int, tuple[Listener, dict[str, str] | None]] = {}

    @property
    def used(self) -> bool:
        """Whether anything was looked up, or could not be."""
        return bool(self.store.hits or self.store.misses or self.notes or self.store.notes)

    def said(self) -> list[str]:
        """What a person should know, a line each: what came from the store, and what could not."""
        return [self.store.said(), *self.notes, *self.store.notes]

    def answers(self, listener: Listener) -> Answers | None:
        """Return what is remembered of an encoder; None if too little is known of it to remember anything."""
        encoder = self._identity(listener)
        return None if encoder is None else Answers(self.store, encoder)

    def recall(self, listener: Listener, key: Mapping[str, Any]) -> dict[str, Measurement] | None:
        """Return the measurements that were kept under a key (`measurement_key`)."""
        encoder = self._identity(listener)
        found = None if encoder is None else self.store.get(_of_encoder(encoder, key))
        if found is None:
            return None
        try:
            revived: dict[str, Measurement] = _revived(json.loads(found["text"].tobytes()))
        except (KeyError, TypeError, ValueError) as error:
            self.notes[f"a measurement could not be read ({error}) and is made anew"] = None
            return None
        return revived

    def keep(self, listener: Listener, key: Mapping[str, Any], measurements: Mapping[str, Measurement]) -> None:
        """Remember measurements, if they come back as they are."""
        encoder = self._identity(listener)
        if encoder is None:
            return
        try:
            text = written(measurements)
        except UnkeptError as error:
            self.notes[f"{key['claim']}: its measurement is not kept: {error}"] = None
            return
        self.store.put(_of_encoder(encoder, key), {"text": np.frombuffer(text.encode(), np.uint8)})

    def measurement_key(
        self, claim: Claim, *, seed: int, effort: str, place: int, audio_sha256: str | None
    ) -> dict[str, Any] | None:
        """Everything but the encoder that a claim's measurement depends on; None where that cannot be told."""
        if claim.id not in self._sources:
            try:
                probe, modules = state_of(claim.probe)
                source = sources_of(modules)
                self._sources[claim.id] = {
                    "probe": probe,
                    "probe_source": source,
                    "testtone": all_sources(),
                    "hearing": _hearing(),
                }
            except UnknownError as error:
                self.notes[f"{claim.id}: its measurements are not kept: {error}"] = None
                self._sources[claim.id] = None
        sources = self._sources[claim.id]
        return sources and {
            "kind": "measurement",
            "claim": claim.id,
            "sites": [*claim.sites, "", *claim.beside],
            "family": claim.family,
            "seed": seed,
            "effort": effort,
            "place": place,
            "audio": audio_sha256,
            **sources,
        }

    def _identity(self, listener: Listener) -> dict[str, str] | None:
        if id(listener) not in self._encoders:
            try:
                self._encoders[id(listener)] = listener, identity(listener)
            except UnknownError as unknown:
                self.notes[f"{listener.spec}: nothing is kept of it: {unknown}"] = None
                self._encoders[id(listener)] = listener, None
            except EncoderFault:
                # Said where it is heard.
                self._encoders[id(listener)] = listener, None
        return self._encoders[id(listener)][1]


def _of_encoder(encoder: Mapping[str, str], key: Mapping[str, Any]) -> dict[str, Any]:
    return {**key, "encoder": {"name": encoder["name"], "sha256": _sha256(dict(encoder))}}


@functools.cache
def _hearing() -> str:
    """Hash of what renders a sound, hears it and cuts it free of its edges."""
    sources = sources_of(["testtone.probes.hearing", "testtone.stimuli", "testtone.models.identity", __name__])
    soundfile = sys.modules.get("soundfile")
    facts = [
        sources,
        renders.fluidsynth_version() if renders.available() else None,
        getattr(soundfile, "__libsndfile_version__", None),
    ]
    return _sha256(facts)


@functools.cache
def all_sources() -> str:
    """Hash of every source file of testtone that a number can pass through.

    Raises:
        UnknownError: if one of them was changed while this process ran.
    """
    house = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for room in ("stimuli", "models", "probes", "tests"):
        for path in sorted((house / room).rglob("*.py")):
            inside = path.relative_to(house)
            if inside.parts[:2] not in (("tests", "harness"), ("tests", "benchmarks")):
                digest.update(f"{inside.as_posix()} {source_of(path)}\n".encode())
    return digest.hexdigest()


def written(measurements: Mapping[str, Measurement]) -> str:
    """Return measurements as text from which they come back exactly: types, order, and the last bit of every number.

    Raises:
        UnkeptError: if they do not.
    """
    text = json.dumps(_plain(dict(measurements)), separators=(",", ":"))
    if json.dumps(_plain(_revived(json.loads(text))), separators=(",", ":")) != text:
        raise UnkeptError("it does not come back as it was")
    return text


def _plain(value: Any) -> Any:
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind is list:
        return ["list", *map(_plain, value)]
    if kind is tuple:
        return ["tuple", *map(_plain, value)]
    if kind is dict:
        return ["dict", *([_plain(name), _plain(each)] for name, each in value.items())]
    if kind.__name__ in RECORDS and kind is RECORDS[kind.__name__]:
        return ["record", kind.__name__, *(_plain(getattr(value, each.name)) for each in fields(value))]
    if kind is Stimulus:
        again = Stimulus.from_truth(value.truth())
        if again != value:
            raise UnkeptError(f"the sound {value.label!r} does not come back as it was")
        return ["stimulus", value.truth()]
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biufcU":
        array = np.asarray(value, order="C")
        form = "array" if isinstance(value, np.ndarray) else "number"
        return [form, array.dtype.str, list(array.shape), base64.b64encode(array.tobytes()).decode("ascii")]
    raise UnkeptError(f"it holds a {kind.__module__}.{kind.__qualname__}")


def _revived(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    kind, *rest = value
    match kind:
        case "list":
            return [_revived(each) for each in rest]
        case "tuple":
            return tuple(_revived(each) for each in rest)
        case "dict":
            return {_revived(name): _revived(each) for name, each in rest}
        case "record":
            record = RECORDS[rest[0]]
            names = [each.name for each in fields(record)]
            return record(**dict(zip(names, map(_revived, rest[1:]), strict=True)))
        case "stimulus":
            return Stimulus.from_truth(rest[0])
        case "array" | "number":
            array = np.frombuffer(base64.b64decode(rest[2]), rest[0]).reshape(rest[1])
            return array.copy() if kind == "array" else array[()]
        case _:
            raise ValueError(f"a value of kind {kind!r}")


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
