"""Golden numbers: what all controls measure at ``quick``, seed 0, and what is made by makers of sounds.

The controls are references: closed filters, seeded and never trained, whose verdicts are known. Their numbers say that
the same seed still plays the same sounds and that a probe still makes the same of the same answers. They are no truth:
each was measured by this code. Where there is a closed form it stands in the tests of its probe; where numbers move on
purpose, the version of the probe rises and they are written again:

    python -m testtone.tests.harness.golden                 all claims, 90 seconds on one core
    python -m testtone.tests.harness.golden alias_collapse separable

and the difference is read before it is committed: it is what the change did to published numbers.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from testtone import stimuli
from testtone.models.listening import Listener
from testtone.models.threads import held
from testtone.probes.hearing import Ear, Interview, Listen, Probe, ear_of
from testtone.probes.margins import Choice, Margin, Recipe, Unfit, Whole
from testtone.probes.records import Effect, Measurement
from testtone.stimuli import music, portraits
from testtone.stimuli.backgrounds import ensemble
from testtone.tests.check import claims
from testtone.tests.claim import Claim
from testtone.tests.trial import Bench

FILE = Path(__file__).parent / "golden.json"
EFFORT, SEED = "quick", 0
CASES = 8
"""Single cases of a claim that a search could put to an encoder."""

ABSOLUTE = 2e-3
"""Effects, ends of intervals and means of figures: a fifth of the hundredth that the README's tables are rounded to."""
RELATIVE = 2e-3
"""The same, where numbers exceed 1. What float32, another BLAS or another order of a sum may do to them is smaller."""
LONG = ("compositionality_condition", "density_scaling")
"""Claims whose two controls take more than ten seconds each, and run the same lines."""

EXACT = 1e-6
"""Relative: what is counted of the sounds, which are made in float64."""


def measured(claim: Claim, spec: str) -> dict[str, Any]:
    """Return what a claim's probe asked of one control and made of its answers, as plain numbers."""
    played: list[Listen] = []
    bench = Bench(seed=SEED, effort=EFFORT)
    watched = replace(claim, probe=_watched(claim, played))
    found = bench._hear(watched, spec)
    if found.fault is not None:
        raise RuntimeError(f"{claim.id} on {spec}: {found.fault}")
    sites = {site: _numbers(bench._compared(watched, spec, each)) for site, each in (found.measurements or {}).items()}
    said = {} if claim.margin is None else {"cases": _cases(claim, claim.margin, bench._listener(spec))}
    return {"played": _counted(played), "sites": sites} | said


def _watched(claim: Claim, played: list[Listen]) -> Any:
    """The claim's probe, which also notes what it asks, of the control and of its company."""

    def probe(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
        inner = claim.probe(ear, rng, effort)
        answers = None
        while True:
            try:
                asked = next(inner) if answers is None else inner.send(answers)
            except StopIteration as end:
                return end.value
            played.extend(asked)
            answers = yield asked

    return probe


def _cases(claim: Claim, margin: Margin, listener: Listener) -> list[Any]:
    """What the claim says of single cases: the simplest, and some drawn ones. Those that are unfit say nothing."""
    ear = ear_of(listener, (*claim.beside, *claim.sites))
    interview = Interview(listener, ear)
    fields = margin.fields(ear)
    rng = np.random.default_rng(SEED)
    recipes: list[Recipe] = [
        {key: each.simplest if isinstance(each, Whole) else each.values[0] for key, each in fields.items()}
    ]
    recipes += [{key: _drawn(each, rng) for key, each in fields.items()} for _ in range(CASES - 1)]
    found: list[Any] = []
    for recipe in recipes:
        try:
            case = margin.play(ear, recipe, rng, {})
        except Unfit:
            found.append({"recipe": recipe, "unfit": True})
            continue
        values = case.values(interview.ask(case.requests))
        heard = [sound for _, sound in case.sounds]
        said = {site: [value] for site, value in values.items()}
        found.append({"recipe": recipe, "label": case.label, "margins": said, "sounds": len(heard)})
    return found


def _drawn(field: Whole | Choice, rng: np.random.Generator) -> int | str:
    return int(rng.integers(field.low, field.high + 1)) if isinstance(field, Whole) else str(rng.choice(field.values))


def _counted(played: Sequence[Listen]) -> dict[str, Any]:
    """What there was to hear: requests, sounds, and for each number of their recipes how many, mean and size."""
    sounds = [sound for each in played for sound in each.stimuli]
    distinct = {each.sha256: each for each in sounds}
    numbers: dict[str, list[float]] = {}
    for sound in distinct.values():
        for name, value in _named(sound.truth(), ""):
            numbers.setdefault(name, []).append(value)
    asked = {"requests": len(played), "sounds": len(sounds), "distinct": len(distinct)}
    return asked | {name: _summary(each) for name, each in sorted(numbers.items())}


def _named(truth: Any, name: str) -> Iterator[tuple[str, float]]:
    """Every number of a recipe, by what it is called there; identities and pitches in words are no numbers."""
    if isinstance(truth, Mapping):
        for key, each in truth.items():
            yield from _named(each, str(key))
    elif isinstance(truth, (list, tuple)):
        for each in truth:
            yield from _named(each, name)
    elif isinstance(truth, (int, float)) and not isinstance(truth, bool):
        yield name, float(truth)


def _numbers(measurement: Measurement) -> dict[str, Any]:
    """What a measurement says in numbers."""
    parts = {part.name: _effect(part.effect) for part in measurement.parts}
    found: dict[str, Any] = {"version": measurement.version, "effect": _effect(measurement.effect), "parts": parts}
    if measurement.reason is not None:
        found["reason"] = measurement.reason
    if measurement.null is not None:
        found["p"] = measurement.null.p
    found["figures"] = {name: _summary(figure) for name, figure in sorted(measurement.figures.items())}
    found["examples"] = [label for label, _ in measurement.sounds]
    return found


def _effect(effect: Effect | None) -> list[float | int] | None:
    if effect is None:
        return None
    return [float(effect.value), float(effect.low), float(effect.high), int(effect.n)]


def _summary(figure: Any) -> list[float]:
    """How many numbers a figure shows, their mean and their root mean square."""
    numbers = [each for each in _leaves(figure) if math.isfinite(each)]
    if not numbers:
        return [0.0]
    mean = math.fsum(numbers) / len(numbers)
    return [len(numbers), mean, math.sqrt(math.fsum(each * each for each in numbers) / len(numbers))]


def _leaves(figure: Any) -> Iterator[float]:
    if isinstance(figure, Mapping):
        for each in figure.values():
            yield from _leaves(each)
    elif isinstance(figure, (list, tuple)):
        for each in figure:
            yield from _leaves(each)
    elif isinstance(figure, (int, float, np.number)):
        yield float(figure)


def sounds() -> dict[str, Any]:
    """Return what those parts of `testtone.stimuli` make that no control hears, or not as they are by default."""
    made: dict[str, Any] = {}
    for phases in stimuli.complexes.PHASES:
        rng = np.random.default_rng(SEED)
        tone = stimuli.harmonic_complex(220.0, phases=phases, inharmonicity=1e-4, rng=rng)
        made[f"harmonic complex, {phases} phase"] = _made([tone.truth()])
    for timbre in sorted(stimuli.TIMBRES):
        made[f"note, {timbre}"] = _made([stimuli.note(57.0, timbre).truth()])
    made["a render"] = _made([stimuli.renders.note_render(57.3, 40).truth()])
    rng = np.random.default_rng(SEED)
    pieces = [music.piece(rng, seconds=4.0, programs=range(128), tonics=range(12)) for _ in range(12)]
    pieces += [
        music.piece(rng, seconds=4.0, programs=range(128), tonics=range(12), quality=quality)
        for quality in music.QUALITIES
    ]
    made["pieces of music"] = _made([asdict(each) for each in pieces])
    made["ensembles"] = _made(
        [source.truth() for voices in (1, 3, 5) for source in ensemble(rng, voices=voices).sources]
    )
    made["the mixture of the page"] = _made([portraits.mixture()])
    sound = stimuli.Stimulus.of(stimuli.partial_tone(3000.0, amplitude=0.3), stimuli.Noise(1, rms=0.01), seconds=0.4)
    for sample_rate in (8000, 44100):
        seen = portraits.portrait(sound.render(sample_rate), sample_rate)
        rows = [[int(digit, 16) for digit in row] for row in seen["spectrogram"]["rows"]]
        low, high = ([int(each) for each in seen["waveform"][end].split()] for end in ("low", "high"))
        made[f"a portrait at {sample_rate} Hz"] = _made([{**seen["waveform"], "rows": rows, "low": low, "high": high}])
    return made


def _made(recipes: Sequence[Any]) -> dict[str, Any]:
    numbers: dict[str, list[float]] = {}
    for recipe in recipes:
        for name, value in _named(recipe, ""):
            numbers.setdefault(name, []).append(value)
    return {name: _summary(each) for name, each in sorted(numbers.items())}


def pairs() -> list[tuple[str, str]]:
    """Return every (claim id, control) that is written down; of a claim that takes long, the first control alone."""
    return [
        (claim.id, control.encoder)
        for claim in claims().values()
        for control in claim.controls[: 1 if claim.id in LONG else None]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m testtone.tests.harness.golden",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("claims", nargs="*", metavar="CLAIM", help="ids of claims; none: all")
    options = parser.parse_args()
    known = claims()
    for name in options.claims:
        if name not in known:
            parser.error(f"{name!r} is not a claim; there are {', '.join(known)}")
    written: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {"claims": {}}
    golden = written["claims"]
    with held(1):
        for name in options.claims or known:
            own: dict[str, Any] = {}
            for control in (control for claim, control in pairs() if claim == name):
                started = time.process_time()
                own[control] = measured(known[name], control)
                print(f"{name} on {control}: {time.process_time() - started:.1f} s of CPU", flush=True)
            golden[name] = own
            kept = {each: golden[each] for each in sorted(golden) if each in known}
            FILE.write_text(text({"claims": kept, "sounds": sounds()}), encoding="utf-8")


def text(golden: Mapping[str, Any]) -> str:
    """As the file holds it: nine digits, a line for each list."""
    raw = json.dumps(_rounded(golden), indent=1)
    return re.sub(r"\[[^\[\]{}]*\]", lambda found: json.dumps(json.loads(found[0])), raw) + "\n"


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
