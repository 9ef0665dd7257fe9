"""A claim check with a store: the same report, without listening; and never an answer of somebody else."""

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plugin_toys import check_apart, report
from toy_claims import HOLDS, claim, follows_level

from testtone.models import identity
from testtone.models.listening import Listener
from testtone.models.specs import resolve
from testtone.probes.hearing import Listen, ear_of, hear
from testtone.probes.readouts import Frames, log_power, mean
from testtone.probes.records import Effect, Measurement, Null, Part, Threshold
from testtone.stimuli import Noise, Partial, Stimulus, Tone
from testtone.tests import memory as module
from testtone.tests.check import check
from testtone.tests.claim import Control
from testtone.tests.memory import Memory, UnkeptError, written
from testtone.tests.store import Store

BUNDLED = claim(
    id="level_bundled",
    sites=("first_conv", "latent"),
    controls=(
        Control(encoder="power-filterbank:bandwidth=16", expected="supported"),
        Control(encoder="polyphase", expected="refuted"),
    ),
)


@pytest.fixture(autouse=True)
def _sources_of_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever edits testtone while its tests run is not to see them fail."""
    monkeypatch.setattr(identity, "BEGAN", time.time() + 1e6)
    caches = module._hearing, module.all_sources
    for each in caches:
        each.cache_clear()
    yield
    for each in caches:
        each.cache_clear()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def tones(count: int = 5) -> tuple[Stimulus, ...]:
    hz = np.linspace(400, 3000, count)
    return tuple(Stimulus.of(Tone((Partial(float(f), 0.2),)), seconds=0.5, label=f"{f:.0f} Hz") for f in hz)


def heard(
    store: Store, *asks: Listen, spec: str = "power-filterbank", sites: tuple[str, ...] = ("first_conv", "latent")
) -> list[dict[str, np.ndarray]]:
    """Return the answers to requests, through a store."""
    kept: list[Any] = []

    def probe(ear: Any) -> Any:
        kept.extend((yield list(asks)))
        return {}

    listener = Listener(resolve(spec))
    answers = Memory(store).answers(listener)
    found = hear(listener, {"it": (ear_of(listener, sites), probe(ear_of(listener, sites)))}, answers_before=answers)
    assert found["it"].error is None
    assert found["it"].fault is None
    return kept


def equal(one: list[dict[str, np.ndarray]], other: list[dict[str, np.ndarray]]) -> bool:
    return all(
        a.keys() == b.keys() and all(a[s].dtype == b[s].dtype and np.array_equal(a[s], b[s]) for s in a)
        for a, b in zip(one, other, strict=True)
    )


def test_what_was_heard_is_not_heard_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asks = Listen(tones(), mean), Listen(tones(3), Frames(4))
    first = heard(store, *asks)
    assert (store.hits, store.misses, store.written) == (0, 5, 8)
    monkeypatch.setattr(Stimulus, "render", lambda *_: pytest.fail("a sound was rendered again"))
    again = Store(store.folder)
    assert equal(heard(again, *asks), first)
    assert (again.hits, again.misses, again.written) == (8, 0, 0)


def test_only_new_sounds_are_heard(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    heard(store, Listen(tones(), mean))
    rendered = []
    whole = Stimulus.render
    monkeypatch.setattr(Stimulus, "render", lambda self, rate: (rendered.append(self.label), whole(self, rate))[1])
    new = Stimulus.of(Tone((Partial(555.0, 0.2),)), seconds=0.5, label="new")
    asked = Listen((*tones()[:2], new, *tones()), mean)
    mixed = heard(store, asked)
    assert rendered == ["new"]
    assert equal(mixed, heard(Store(store.folder.with_name("fresh")), asked))


def test_a_site_that_was_not_asked_for_before_is_heard_and_kept_beside(store: Store) -> None:
    spec = "polyphase"
    heard(store, Listen(tones(), mean), spec=spec, sites=("latent",))
    both = heard(store, Listen(tones(), mean), spec=spec)
    again = Store(store.folder)
    assert equal(heard(again, Listen(tones(), mean), spec=spec), both)
    assert equal(
        heard(again, Listen(tones(), mean), spec=spec, sites=("latent",)), [{"latent": each["latent"]} for each in both]
    )
    assert again.misses == 0


@pytest.mark.parametrize(
    "ask",
    [
        Listen(tones(), log_power),
        Listen(tuple(dataclasses.replace(each, seconds=0.51) for each in tones()), mean),
        Listen(tuple(each.scaled(-0.001) for each in tones()), mean),
        Listen(tuple(dataclasses.replace(each, ramp_seconds=0.021) for each in tones()), mean),
        Listen(tuple(each.with_noise(seed=1, snr_db=60.0) for each in tones()), mean),
    ],
    ids=["readout", "length", "level", "ramp", "noise"],
)
def test_another_question_is_not_answered_from_memory(store: Store, ask: Listen) -> None:
    heard(store, Listen(tones(), mean))
    again = Store(store.folder)
    heard(again, ask)
    assert again.hits == 0


def test_another_encoder_is_not_answered_for(store: Store) -> None:
    heard(store, Listen(tones(), mean))
    again = Store(store.folder)
    heard(again, Listen(tones(), mean), spec="power-filterbank:bandwidth=16")
    assert again.hits == 0


def test_labels_change_no_answer(store: Store) -> None:
    heard(store, Listen(tones(), mean))
    again = Store(store.folder)
    heard(again, Listen(tuple(dataclasses.replace(each, label="x") for each in tones()), mean))
    assert again.misses == 0


def plain(report: Any) -> Any:
    """Return a report without what differs from run to run: times, and the command line."""
    if isinstance(report, dict):
        return {k: plain(v) for k, v in report.items() if k not in ("seconds", "started", "date", "generated", "when")}
    return [plain(each) for each in report] if isinstance(report, list) else report


def records(store: Store | None, **options: Any) -> str:
    spec = options.pop("encoder", "power-filterbank")
    return json.dumps(plain(check(options.pop("claim", BUNDLED), spec, store=store, **options).to_json()))


def test_the_second_check_gives_the_same_records_and_asks_nobody(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    without, first = records(None), records(store)
    again = Store(store.folder)
    monkeypatch.setattr(Stimulus, "render", lambda *_: pytest.fail("a sound was rendered again"))
    # The page plays its sounds; those are rendered for it alone.
    monkeypatch.setattr("testtone.tests.ledger._playable", dict)
    second = records(again)
    assert without == first == second
    # One measurement each of the encoder and its two controls.
    assert (again.hits, again.misses) == (3, 0)


@pytest.mark.parametrize(
    "options",
    [{"seed": 1}, {"effort": "quick"}, {"claim": dataclasses.replace(BUNDLED, family="other")}],
    ids=["seed", "effort", "family"],
)
def test_another_run_is_measured_anew(store: Store, options: dict[str, Any]) -> None:
    records(store)
    again = Store(store.folder)
    assert records(again, **options) == records(None, **options)
    assert sum(1 for _, key in again.contents() if key["kind"] == "measurement") == 6


CHANGES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "testtone's source": lambda patch: patch.setattr(module, "all_sources", lambda: "0" * 64),
    "what hears": lambda patch: patch.setattr(module, "_hearing", lambda: "0" * 64),
    "what is installed": lambda patch: patch.setattr(identity, "_versions", lambda: "0" * 64),
    "a module of the probe": lambda patch: patch.setattr(module, "sources_of", lambda modules: "0" * 64),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_other_code_measures_anew(store: Store, monkeypatch: pytest.MonkeyPatch, change: Callable[..., None]) -> None:
    records(store)
    change(monkeypatch)
    again = Store(store.folder)
    records(again)
    assert sum(1 for _, key in again.contents() if key["kind"] == "measurement") == 6


def test_every_source_of_a_number_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(module, "source_of", lambda path: seen.append(path.name) or "0")
    module.all_sources.cache_clear()
    module.all_sources()
    assert {"decoding.py", "statistics.py", "listening.py", "renders.py", "trial.py", "test_pitch_direction.py"} <= {
        *seen
    }
    assert "test_memory.py" not in seen


def test_a_probe_that_closes_over_a_number_is_told_by_it(store: Store) -> None:
    def by(gain: float) -> Any:
        def probe(ear: Any, rng: Any, effort: str) -> Any:
            found = yield from follows_level(ear, rng, effort)
            return {
                site: dataclasses.replace(each, effect=dataclasses.replace(each.effect, value=gain * each.effect.value))
                for site, each in found.items()
            }

        return dataclasses.replace(BUNDLED, probe=probe)

    one, two = (check(by(gain), "power-filterbank", store=store)["latent"].effect for gain in (1.0, 2.0))
    assert two == pytest.approx(2 * one)


def test_a_spoilt_file_changes_no_record(store: Store) -> None:
    first = records(store)
    for entry in store.entries():
        data = bytearray(entry.path.read_bytes())
        data[-1] ^= 1
        entry.path.write_bytes(bytes(data))
    again = Store(store.folder)
    assert records(again) == first
    assert again.hits == 0
    assert all(note.endswith("does not match its checksum; it is deleted and computed anew") for note in again.notes)


def test_half_a_store_is_half_the_work_and_the_same_records(store: Store) -> None:
    first = records(store)
    for number, entry in enumerate(sorted(store.entries(), key=lambda each: each.path)):
        if number % 2:
            entry.path.unlink()
    for entry, key in store.contents():
        if key["kind"] == "measurement":
            entry.path.unlink()
    again = Store(store.folder)
    assert records(again) == first
    assert again.hits > 0


def test_a_fault_is_not_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "identity", lambda listener: {"name": "x"})
    spoilt = HOLDS.probe

    def stops(ear: Any, rng: Any, effort: str) -> Any:
        yield from ()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        check(dataclasses.replace(BUNDLED, probe=stops), "power-filterbank", store=store)
    assert store.written == 0
    assert spoilt is follows_level


STIMULUS = Stimulus.of(
    Tone((Partial(440.0, 0.1, 0.3),), midi=69.0), Noise(3, rms=0.01), seconds=0.5, label="a", chord="c"
)
EFFECT = Effect(name="gain", value=0.1 + 0.2, low=-0.0, high=float("inf"), confidence=0.9, unit="dB", n=7)


def measurement(**figures: Any) -> dict[str, Measurement]:
    return {
        "latent": Measurement(
            site="latent",
            probe="p",
            version=3,
            effect=EFFECT,
            parts=(Part(name="q", effect=None, threshold=Threshold(0.5, 0.2), note="é"),),
            null=Null(kind="permutation", draws=99, p=0.01),
            sounds=(("a", STIMULUS),),
            figures=figures,
        )
    }


def test_a_measurement_comes_back_as_it_was() -> None:
    figures = {
        "list": [1, 2.5, None, True, "x"],
        "tuple": (1, (2,)),
        "keys": {1: "a", ("b", 2): "c"},
        "array": np.arange(6, dtype=np.float32).reshape(2, 3),
        "complex": np.array([1 + 2j]),
        "number": np.float64(0.1),
        "words": np.array(["ab", "c"]),
        "nothing": float("nan"),
    }
    before = measurement(**figures)
    after = module._revived(json.loads(written(before)))
    assert written(after) == written(before)
    assert dataclasses.replace(after["latent"], figures={}) == dataclasses.replace(before["latent"], figures={})
    assert after["latent"].sounds[0][1].sha256 == STIMULUS.sha256
    found = after["latent"].figures
    assert {name: type(value) for name, value in found.items()} == {n: type(v) for n, v in figures.items()}
    assert found["keys"] == figures["keys"]
    assert found["array"].dtype == np.float32
    assert np.array_equal(found["array"], figures["array"])


@pytest.mark.parametrize("what", [object(), {1, 2}, b"ab", np.array([None])], ids=["object", "set", "bytes", "objects"])
def test_what_does_not_come_back_is_not_kept(what: Any) -> None:
    with pytest.raises(UnkeptError, match="it holds a "):
        written(measurement(what=what))


def test_a_stranger_without_a_hash_is_not_kept_and_that_is_said(pytester: pytest.Pytester) -> None:
    run = check_apart(pytester, "--claims-store=kept", "--claims-report=report.html", "-k", "open")
    run.stdout.fnmatch_lines(
        [
            "store *kept: 0 of 0 looked up were there, 0 written",
            "toy_encoders.py:full: nothing is kept of it: it does not tell weights_sha256, 64 hex digits *",
        ]
    )
    assert report(pytester)["claims"][0]["verdict"] == "supported"
    run.assert_outcomes(passed=1, deselected=3)
