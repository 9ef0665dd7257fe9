"""The pytest plugin: options, who is on trial, and the table at the end.

pytest imports this module in every session of an environment in which testtone is installed. It therefore imports
pytest and the standard library only; what needs an encoder is imported when a claim is about to run.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from testtone.stimuli.recordings import Folder

    from .journal import Journal
    from .ledger import Ledger
    from .memory import Memory
    from .store import Store
    from .trial import Bench

DEFAULT_ENCODERS = ("encodec-mini", "samplecnn")
"""On trial when nobody else is named: one trained to reproduce sound, one to name what it hears."""

TWINS = "twins"
"""In place of a spec: the untrained twins of the encoders on trial."""

PROPERTY = "testtone"
"""Name of the user property that carries a record, as one JSON string, from a test to the report."""

NUMPYS_THREADS = ("OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS")
"""Environment variables by which numpy's linear algebra, whichever it was built with, takes its threads when loaded."""

EFFORTS = ("quick", "standard", "thorough")

numpy_key = pytest.StashKey[bool]()
"""Whether numpy's threads are as the user said or, where nothing was said, as many as torch's."""
audio_key = pytest.StashKey["Folder"]()
bench_key = pytest.StashKey["Bench"]()
journal_key = pytest.StashKey["Journal"]()
ledger_key = pytest.StashKey["Ledger"]()
store_key = pytest.StashKey["Store"]()
store_said_key = pytest.StashKey[list[str]]()
"""What the workers of xdist have to say of the store."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the options of a claim check."""
    group = parser.getgroup("testtone", "testtone: claims about audio encoders (pytest -m claims)")
    group.addoption(
        "--encoder",
        action="append",
        default=[],
        metavar="SPEC",
        help="encoder on trial, repeatable: a bundled name, file.py:callable, package.module:callable, or an entry "
        f"point in testtone.encoders (default: {', '.join(DEFAULT_ENCODERS)}); {TWINS} adds the untrained twins of "
        "the encoders on trial",
    )
    group.addoption(
        "--claims-report",
        metavar="PATH.html",
        default=None,
        help="write the report to this page, and its data to PATH.json beside it",
    )
    group.addoption(
        "--claims-seed",
        type=int,
        default=0,
        metavar="N",
        help="redraws everything random: stimuli, phases, noise, folds, nulls (default: 0)",
    )
    group.addoption(
        "--claims-effort",
        choices=EFFORTS,
        default="standard",
        help="how much is played: quick, standard or thorough (default: standard)",
    )
    group.addoption(
        "--claims-audio",
        metavar="DIR",
        default=None,
        help="recordings of your own, in any format that soundfile reads: further contexts for claims that need no "
        "exact frequencies",
    )
    group.addoption(
        "--claims-shard",
        metavar="I/N",
        default=None,
        help="run only the I-th of N parts of the claims, for several machines; python -m testtone.reports merge makes "
        "one report of theirs",
    )
    group.addoption(
        "--claims-store",
        metavar="DIR|off",
        default="off",
        help="keep answers and measurements between runs in this folder, and look them up there (default: off)",
    )
    group.addoption(
        "--claims-search",
        action="store_true",
        default=False,
        help="also search for a counterexample to every claim that says something of a single sound; pinned ones "
        "(counterexamples.toml) are replayed first",
    )
    group.addoption(
        "--claims-device",
        metavar="DEVICE",
        default="cpu",
        help="torch device for the encoders on trial, such as cpu or cuda (default: cpu)",
    )
    group.addoption(
        "--claims-timeout",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="an encoder that takes longer for one batch of clips is taken to hang (default: 300)",
    )
    group.addoption(
        "--claims-threads",
        type=int,
        default=None,
        metavar="N",
        help="threads that torch computes with, and numpy unless it is loaded already (default: 1, or what "
        "OMP_NUM_THREADS says)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Say what the marker means; refuse bad options before anything is collected."""
    config.addinivalue_line("markers", "claims(claim): a claim about audio encoders; run them with -m claims")
    if _asks_for_claims(config) and not config.option.help:
        config.stash[numpy_key] = _hold_numpy(config)
    if hasattr(config, "workerinput") or config.option.help:
        return
    _shard(config)
    if config.option.claims_seed < 0:
        raise pytest.UsageError(f"--claims-seed={config.option.claims_seed} must be 0 or more")
    if not config.option.claims_timeout > 0:
        raise pytest.UsageError(f"--claims-timeout={config.option.claims_timeout:g} must be above 0 (seconds)")
    if config.option.claims_threads is not None and config.option.claims_threads < 1:
        raise pytest.UsageError(f"--claims-threads={config.option.claims_threads} must be 1 or more")
    _store(config)
    if config.option.claims_report is not None:
        page = _page(config)
        if page.suffix.lower() not in (".html", ".htm"):
            raise pytest.UsageError(f"--claims-report={page} must end in .html; its data goes to PATH.json beside it")
        if not page.parent.is_dir():
            raise pytest.UsageError(f"--claims-report={page}: there is no folder {page.parent}; make it first")
    if config.option.claims_audio is not None:
        _audio(config)
    # Named encoders are made now: a bad name then costs a line, not a run.
    if config.option.encoder:
        for spec in _on_trial(config):
            _check_spec(config, spec)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per encoder and site of a claim."""
    if "trial" not in metafunc.fixturenames:
        return
    claim = _claim(metafunc.definition)
    cases = [(spec, site) for spec in claim.on_trial or _on_trial(metafunc.config) for site in claim.sites]
    metafunc.parametrize("trial", cases, indirect=True, ids=[f"{spec}-{site}" for spec, site in cases])


@pytest.fixture
def trial(request: pytest.FixtureRequest) -> Any:
    """The claim of this test, put to one encoder at one site."""
    from .trial import Trial

    spec, site = request.param
    return Trial(
        bench=_bench(request.config),
        claim=_claim(request.node),
        spec=spec,
        site=site,
        tell=lambda payload: request.node.user_properties.append((PROPERTY, json.dumps(payload, allow_nan=False))),
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the claims of this shard, after -k and -m have kept theirs. Claims of one family stay together."""
    shard = _shard(config)
    if shard is None:
        return
    from .ledger import shares

    index, of = shard
    cases = {item: case for item in items for case in _cases([item])}
    place = shares([(claim.family or claim.id) for claim, _, _ in cases.values()], of)
    if cases and of > len(set(place)):
        raise pytest.UsageError(
            f"--claims-shard={index}/{of}: there are only {len(set(place))} claims (or families of them) to share out"
        )
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    ledger = _ledger(config)
    ledger.shard = shard
    ledger.share_out(
        ((claim, spec, site), share) for (claim, spec, site), share in zip(cases.values(), place, strict=True)
    )
    shares_of = dict(zip(cases, place, strict=True))
    for item in items:
        # What is no claim is the first one's.
        (kept if shares_of.get(item, 1) == index else left).append(item)
    items[:] = kept
    if left:
        config.hook.pytest_deselected(items=left)


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Count the claims that were not asked for."""
    cases = {(claim.id, spec, site) for claim, spec, site in _cases(items)}
    if cases:
        ledger = _ledger(items[0].config)
        ledger.deselected += len(cases - set(ledger.elsewhere))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Tell the bench all that will be asked: one pass per encoder. Workers of xdist ask claim by claim."""
    config = session.config
    cases = list(_cases(session.items))
    _ledger(config).expect(cases)
    if not hasattr(config, "workerinput"):
        for claim, spec, _ in cases:
            _bench(config).want(claim, spec)


def pytest_report_header(config: pytest.Config) -> list[str] | None:
    """Name the encoders on trial, and what was found of the user's own audio."""
    if not (config.option.encoder or _asks_for_claims(config)):
        return None
    lines = [
        f"testtone: seed {config.option.claims_seed}, effort {config.option.claims_effort}, "
        f"on trial: {', '.join(_on_trial(config))}"
    ]
    if not config.stash.get(numpy_key, True):
        lines.append("testtone: numpy was loaded before and has threads of its own; OMP_NUM_THREADS=1 would hold them")
    audio = _audio(config)
    if audio is not None:
        lines.append(f"testtone: audio from {config.option.claims_audio}: {audio.said}")
    journal = _journal(config)
    for path in journal.left if journal is not None else ():
        lines.append(f"testtone: a run before this one did not end; {_recovers(path)}")
    return lines


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> list[str]:
    """Say who is on trial: rate, sites, weights."""
    specs = list(dict.fromkeys(spec for _, spec, _ in _cases(items)))
    if not specs or config.option.collectonly:
        return []
    from .ledger import introduction

    return [introduction(_bench(config).encoder(spec)) for spec in specs]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Let no test pass, be skipped or fail as expected whose probe may not judge: no mark and no handler excuses it."""
    report = yield
    if call.when == "call" and report.outcome != "failed":
        records = [json.loads(str(value))["record"] for name, value in item.user_properties if name == PROPERTY]
        unfit = next((each for each in records if each["verdict"] in ("invalid", None)), None)
        if unfit is not None:
            report.outcome = "failed"
            report.longrepr = f"{unfit['verdict'] or 'no verdict'}, and nothing excuses that: {unfit['reason']}"
            if hasattr(report, "wasxfail"):
                del report.wasxfail
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Take the record of a test into the ledger; under xdist this runs in the controller, too.

    Only the verdict stays with the test: other reports (--junitxml) would swell with records that have one of their
    own.
    """
    if _session_config is None:
        return
    properties: list[tuple[str, object]] = []
    for name, value in report.user_properties:
        if name != PROPERTY:
            properties.append((name, value))
            continue
        payload = json.loads(str(value))
        if report.when == "call":
            _ledger(_session_config).enter(payload)
            journal = _journal(_session_config)
            if journal is not None:
                journal.enter(payload)
        properties.append(("verdict", payload["record"]["verdict"] or "none"))
    # A worker's report has yet to reach the controller.
    if not (hasattr(_session_config, "workerinput") and report.when == "call"):
        report.user_properties = properties


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let one worker of xdist run all tests of a claim: dealt out one by one, each would hear its controls again."""
    if config.getvalue("dist") != "load" or not _asks_for_claims(config):
        return None
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    class ByClaim(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid.partition("[")[0]

    return ByClaim(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Learn from an xdist worker which tests it had collected."""
    if _session_config is not None:
        output = getattr(node, "workeroutput", {})
        ledger = _ledger(_session_config)
        ledger.expected.update((tuple(case), None) for case in output.get("testtone_expected", ()))
        ledger.learn(output.get("testtone_shard"))
        said = _session_config.stash.setdefault(store_said_key, [])
        said += output.get("testtone_store", ())


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(ids: list[str]) -> None:
    """Learn from the names of the tests what is going to run, should no worker live to tell."""
    if _session_config is not None:
        from .ledger import case_of

        ledger = _ledger(_session_config)
        ledger.named.update(dict.fromkeys(filter(None, map(case_of, ids))))


_session_config: pytest.Config | None = None
"""The configuration of the session: `pytest_runtest_logreport` is not told."""


@pytest.hookimpl(wrapper=True)
def pytest_sessionstart(session: pytest.Session) -> Generator[None, None, None]:
    """Remember the session's configuration for the hooks that are not told."""
    global _session_config
    previous, _session_config = _session_config, session.config
    session.config.add_cleanup(lambda: _restore(previous))
    if _journal(session.config) is not None:
        _end_in_order(session.config)
    return (yield)


class Terminated(KeyboardInterrupt):
    """SIGTERM, as schedulers send it at the end of the time that was asked for."""


def _end_in_order(config: pytest.Config) -> None:
    """Let SIGTERM end a run as Control-C does, with a report of what is finished."""
    import signal
    import threading

    def end(number: int, frame: Any) -> None:
        raise Terminated("SIGTERM")

    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        config.add_cleanup(functools.partial(_signalled, signal.signal(signal.SIGTERM, end)))


def _signalled(handler: Any) -> None:
    import signal

    signal.signal(signal.SIGTERM, handler)


def _restore(previous: pytest.Config | None) -> None:
    global _session_config
    _session_config = previous


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report for whatever ran; in an xdist worker only pass on what was expected."""
    config = session.config
    ledger = _ledger(config)
    if hasattr(config, "workeroutput"):
        config.workeroutput["testtone_expected"] = [list(case) for case in ledger.expected]
        config.workeroutput["testtone_shard"] = ledger.told()
        config.workeroutput["testtone_store"] = _said_of_store(config)
        return
    # Whatever another plugin made of a test: a run in which a probe may not judge has not passed.
    if session.exitstatus == pytest.ExitCode.OK and ledger.unfit:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if config.option.claims_report is not None and ledger.records:
        try:
            ledger.write(
                _page(config),
                command=_command(config),
                seed=config.option.claims_seed,
                effort=config.option.claims_effort,
            )
        except OSError as error:
            # The table is still worth showing; the run has failed, for there is no report of it.
            ledger.unwritten = f"--claims-report={_page(config)} could not be written: {error}"
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
    journal = _journal(config)
    if journal is not None:
        journal.close(reported=ledger.page is not None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """A line per claim, encoder and site; then what they add up to, and where the report is."""
    ledger = _ledger(config)
    if not ledger.records:
        return
    terminalreporter.section("claims")
    for line, markup in ledger.lines(terminalreporter._tw.fullwidth):
        terminalreporter.write_line(line, **markup)
    for line in ledger.searches():
        terminalreporter.write_line(line)
    journal = _journal(config)
    if ledger.unwritten is not None:
        terminalreporter.write_line(f"ERROR: {ledger.unwritten}", red=True)
        if journal is not None and journal.path is not None:
            terminalreporter.write_line(f"nothing is lost: {_recovers(journal.path)}")
    if journal is not None and journal.fault is not None:
        terminalreporter.write_line(f"testtone: {journal.fault}")
    for line in _said_of_store(config):
        terminalreporter.write_line(line)
    if ledger.page is not None:
        terminalreporter.write_line(f"report: {ledger.page}  data: {ledger.page.with_suffix('.json')}")


def _hold_numpy(config: pytest.Config) -> bool:
    """Let numpy compute with as many threads as torch, where nobody said how many; False where it is too late.

    numpy is asked for many small products, for which two threads wait for each other longer than one computes.
    """
    if any(os.environ.get(name) for name in ("OMP_NUM_THREADS", *NUMPYS_THREADS)):
        return True
    if "numpy" in sys.modules:
        return False
    for name in NUMPYS_THREADS:
        os.environ[name] = str(max(1, config.option.claims_threads or 1))
        config.add_cleanup(partial(_unset, name))
    return True


def _unset(name: str) -> None:
    os.environ.pop(name, None)


def _said_of_store(config: pytest.Config) -> list[str]:
    """Return what was looked up and kept, and what could not be, a line each; workers of xdist speak for themselves."""
    own = config.stash[bench_key].memory if bench_key in config.stash else None
    lines = [*config.stash.get(store_said_key, []), *(own.said() if own is not None and own.used else ())]
    return list(dict.fromkeys(lines))


def _on_trial(config: pytest.Config) -> list[str]:
    """Return the specs of the encoders on trial, without doubles, twins behind the encoders they are twins of.

    Raises:
        pytest.UsageError: if twins are asked for and nobody named has any.
    """
    asked = dict.fromkeys(config.option.encoder)
    named = [spec for spec in asked if spec != TWINS] or list(DEFAULT_ENCODERS)
    if TWINS not in asked:
        return named
    from testtone.models.specs import TWINS as TWINS_OF

    found = [twin for spec in named for twin in TWINS_OF.get(spec, ())]
    if not found:
        raise pytest.UsageError(
            f"--encoder: {', '.join(named)} has no {TWINS}; encoders that have: {', '.join(TWINS_OF)}"
        )
    return list(dict.fromkeys([*named, *found]))


def _shard(config: pytest.Config) -> tuple[int, int] | None:
    """Return the shard asked for, as index from 1 on and number of shards; None for all claims in one run.

    Raises:
        pytest.UsageError: if it is no shard.
    """
    text = config.option.claims_shard
    if text is None:
        return None
    index, _, of = text.partition("/")
    if not (index.isascii() and index.isdigit() and of.isascii() and of.isdigit() and 1 <= int(index) <= int(of)):
        raise pytest.UsageError(f"--claims-shard={text} must be I/N with 1 <= I <= N, such as 1/4")
    return int(index), int(of)


def _claim(node: Any) -> Any:
    marker = node.get_closest_marker("claims")
    if marker is None or not marker.args:
        raise pytest.UsageError(f"{node.nodeid} uses trial and has no claim: mark it @pytest.mark.claims(CLAIM)")
    return marker.args[0]


def _cases(items: Iterable[pytest.Item]) -> Iterable[tuple[Any, str, str]]:
    for item in items:
        params = getattr(getattr(item, "callspec", None), "params", {})
        if "trial" in params:
            yield (_claim(item), *params["trial"])


def _bench(config: pytest.Config) -> Bench:
    if bench_key not in config.stash:
        from testtone.models import threads

        from .trial import Bench

        meanwhile = ExitStack()
        meanwhile.enter_context(threads.held(config.option.claims_threads))
        config.add_cleanup(meanwhile.close)
        config.stash[bench_key] = Bench(
            seed=config.option.claims_seed,
            effort=config.option.claims_effort,
            device=config.option.claims_device,
            limit_seconds=config.option.claims_timeout,
            threads=config.option.claims_threads,
            memory=_memory(config),
            say=_progress(config),
            audio=_audio(config),
            audio_path=config.option.claims_audio,
            search=config.option.claims_search,
            pinned=_pinned(config),
            where=("--pyargs", *map(str, config.option.file_or_dir)) if config.option.pyargs else (),
        )
    return config.stash[bench_key]


def _pinned(config: pytest.Config) -> tuple[Path, ...]:
    """Return the files of cases to replay, each read once and found sound; none without a search."""
    if not config.option.claims_search:
        return ()
    from .search import FILE, NAME, load

    files = (FILE, config.rootpath / NAME)
    for file in files:
        try:
            load(file)
        except ValueError as error:
            raise pytest.UsageError(f"--claims-search: {error}") from error
    return files


def _store(config: pytest.Config) -> Store | None:
    """Return the store that the user keeps; None where nothing is kept."""
    if config.option.claims_store == "off":
        return None
    if store_key not in config.stash:
        from .store import Store, StoreError

        place = config.invocation_params.dir / Path(config.option.claims_store).expanduser()
        try:
            config.stash[store_key] = Store(place)
        except StoreError as error:
            raise pytest.UsageError(f"--claims-store={config.option.claims_store}: {error}") from error
        config.add_cleanup(config.stash[store_key].close)
    return config.stash[store_key]


def _memory(config: pytest.Config) -> Memory | None:
    store = _store(config)
    if store is None:
        return None
    from .memory import Memory

    return Memory(store)


def _audio(config: pytest.Config) -> Folder | None:
    """Return the recordings of the user's own; None where none were offered."""
    if config.option.claims_audio is None:
        return None
    if audio_key not in config.stash:
        from testtone.stimuli.recordings import folder

        try:
            # From where pytest was called, as a person sees it.
            place = config.invocation_params.dir / Path(config.option.claims_audio).expanduser()
            config.stash[audio_key] = folder(place)
        except ValueError as error:
            raise pytest.UsageError(f"--claims-audio={config.option.claims_audio}: {error}") from error
    return config.stash[audio_key]


def _progress(config: pytest.Config) -> Callable[[str, int, int], None]:
    """Tell the terminal how far an encoder has been heard: a line that counts, or one at the start."""

    def say(spec: str, done: int, total: int) -> None:
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        capture = config.pluginmanager.get_plugin("capturemanager")
        if reporter is None or capture is None or hasattr(config, "workerinput") or config.option.verbose < 0:
            return
        with capture.global_and_fixture_disabled():
            if reporter.isatty:
                reporter.rewrite(f"hearing {spec}: {done} of {total} sounds", erase=True)
            elif said.get(spec) != total:
                said[spec] = total
                reporter.ensure_newline()
                reporter.write_line(f"hearing {spec}: {total} sounds")

    said: dict[str, int] = {}
    return say


def _ledger(config: pytest.Config) -> Ledger:
    if ledger_key not in config.stash:
        from .ledger import Ledger

        config.stash[ledger_key] = Ledger()
    return config.stash[ledger_key]


def _journal(config: pytest.Config) -> Journal | None:
    """Return what keeps the finished records until the report is written; none without a report, or in a worker."""
    if config.option.claims_report is None or hasattr(config, "workerinput"):
        return None
    if journal_key not in config.stash:
        from .journal import Journal

        config.stash[journal_key] = Journal(
            _page(config),
            _ledger(config),
            command=_command(config),
            seed=config.option.claims_seed,
            effort=config.option.claims_effort,
        )
    return config.stash[journal_key]


def _recovers(path: Path) -> str:
    return f"what it finished: python -m testtone.tests recover {path} -o {path.name.partition('.')[0]}-recovered.html"


def _check_spec(config: pytest.Config, spec: str) -> None:
    fault = _bench(config).fault(spec)
    if fault is not None:
        raise pytest.UsageError(fault if fault.startswith("--") else f"--encoder: {fault}")


def _asks_for_claims(config: pytest.Config) -> bool:
    words = (config.option.markexpr or "").replace("(", " ").split()
    return any(word == "claims" and (index == 0 or words[index - 1] != "not") for index, word in enumerate(words))


def _page(config: pytest.Config) -> Path:
    return Path(config.invocation_params.dir, config.option.claims_report)


def _command(config: pytest.Config) -> str:
    import shlex

    return shlex.join(["pytest", *map(str, config.invocation_params.args)])
