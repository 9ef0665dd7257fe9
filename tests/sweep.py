"""Many claims on many encoders, on any executor: this machine's processes, or those of a cluster.

    from concurrent.futures import ProcessPoolExecutor
    from testtone.tests.sweep import sweep

    with ProcessPoolExecutor() as executor:
        report = sweep(["pitch_direction", "separable"], ["encodec-mini", "mine.py:build"], executor=executor)

The unit of work is one claim on one encoder, controls and company included, so that each comes back judged. What a
unit finds depends on nothing but itself: not on the machine beside it, nor on the order. Units come back as text and
are put together in the order in which they were asked for. With a store that all workers reach, what one heard another
need not.

Any `concurrent.futures.Executor` will do. That of `dask.distributed` is `Client("tcp://...").get_executor()`; a worker
that dies there costs only the units that it was at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testtone.models.threads import held
from testtone.stimuli.recordings import folder

from .check import _found, claims
from .claim import Claim
from .ledger import Ledger, writable
from .memory import Memory
from .plugin import EFFORTS
from .store import Store
from .trial import Bench, entry


@dataclass(frozen=True)
class Unit:
    """One claim on one encoder: all that a worker has to be told. It can be pickled."""

    claim: str | Claim
    """Its id, or a claim of the user's own; then its probe must be importable where the work is done."""
    encoder: str
    effort: str
    seed: int
    device: str
    threads: int | None
    audio: str | None
    store: str | None


def work(unit: Unit) -> str:
    """Do one unit, and return its payloads (record, encoders, environment), one a site, as JSON."""
    claim = _found(unit.claim)
    with held(unit.threads):
        store = None if unit.store is None else Store(unit.store)
        bench = Bench(
            seed=unit.seed,
            effort=unit.effort,
            device=unit.device,
            threads=unit.threads,
            audio=None if unit.audio is None else folder(unit.audio),
            audio_path=unit.audio,
            memory=None if store is None else Memory(store),
        )
        bench.want(claim, unit.encoder)
        payloads = [entry(bench, claim, unit.encoder, site) for site in claim.sites]
        if store is not None:
            store.close()
    return json.dumps(payloads, allow_nan=False)


def sweep(
    asked: Iterable[str | Claim] | None,
    encoders: Sequence[str],
    *,
    executor: Executor | None = None,
    effort: str = "standard",
    seed: int = 0,
    device: str = "cpu",
    threads: int | None = None,
    audio: str | Path | None = None,
    store: str | Path | None = None,
    page: str | Path | None = None,
    command: str = "testtone.tests.sweep",
    progress: Callable[[Unit], None] = lambda unit: None,
) -> dict[str, Any]:
    """Put claims to encoders, and return the report that ``pytest -m claims --claims-report`` would have written.

    Args:
        asked: ids of claims, or claims; None: all that are shipped.
        encoders: their specs, as ``--encoder`` takes them; files are looked up where the work is done.
        executor: who does the work; None: this process.
        effort: how much is played: quick, standard or thorough.
        seed: redraws everything random.
        device: torch device for the encoders, where they can be moved.
        threads: that torch computes with; by default one, or what OMP_NUM_THREADS says.
        audio: folder with recordings of the user's own, for claims that can use them.
        store: folder in which answers and measurements are kept.
        page: also write the page here, and its data beside it.
        command: what the report says about how it was made.
        progress: told of each unit when it is done, in the order asked.

    Raises:
        ValueError: for a claim, an effort, a seed or a folder that there is not, or no encoder.
        RuntimeError: if a worker process died and the executor does not replace it.
    """
    if effort not in EFFORTS:
        raise ValueError(f"effort={effort!r} must be one of {', '.join(EFFORTS)}")
    if not encoders:
        raise ValueError("encoders is empty; name one as --encoder would")
    if asked is not None and not asked:
        raise ValueError("asked is empty; name a claim, or give None for all")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed={seed!r} must be a whole number, 0 or more")
    if page is not None:
        # Said now, not when all the work is done.
        writable(Path(page), "page")
    if audio is not None and executor is None:
        try:
            folder(audio)
        except ValueError as error:
            raise ValueError(f"audio={str(audio)!r}: {error}") from error
    found = [_found(each) for each in (claims() if asked is None else asked)]
    shipped = claims()
    units = [
        (
            claim,
            Unit(
                claim=claim.id if shipped.get(claim.id) == claim else claim,
                encoder=spec,
                effort=effort,
                seed=seed,
                device=device,
                threads=threads,
                audio=None if audio is None else str(audio),
                store=None if store is None else str(store),
            ),
        )
        for claim in found
        for spec in claim.on_trial or dict.fromkeys(encoders)
    ]
    ledger = Ledger()
    ledger.expect((claim, unit.encoder, site) for claim, unit in units for site in claim.sites)
    with held(threads):
        waiting = None if executor is None else [executor.submit(work, unit) for _, unit in units]
        for index, (claim, unit) in enumerate(units):
            try:
                payloads = work(unit) if waiting is None else waiting[index].result()
            except BrokenProcessPool as error:
                raise RuntimeError(
                    f"a worker process died while {claim.id} was put to {unit.encoder} or beside it (out of memory?); "
                    "fewer workers, or a store, which keeps what was done"
                ) from error
            for payload in json.loads(payloads):
                ledger.enter(payload)
            progress(unit)
    if page is not None:
        ledger.write(Path(page), command=command, seed=seed, effort=effort)
    return ledger.report(command=command, seed=seed, effort=effort)
