"""Golden numbers: what is measured on all controls and halfway between them, what is played, and what is made.

Four tables, all of seed 0:

``claims``   what the controls of each claim measure at ``quick``
``halfway``  what each claim measures of encoders whose answers lie at no end of its scale (`harness.halfway`)
``designs``  what each claim plays first at ``standard`` and ``thorough``, to ears of other rates; nothing is heard
``sounds``   what is made by makers of sounds

The controls are references: closed filters, seeded and never trained, whose verdicts are known. Their numbers say that
the same seed still plays the same sounds and that a probe still makes the same of the same answers. They are no truth:
each was measured by this code. Where there is a closed form it stands in the tests of its probe; where numbers move on
purpose, the version of the probe rises and they are written again:

    python -m testtone.tests.harness.golden                 all claims, three minutes on one core
    python -m testtone.tests.harness.golden alias_collapse separable

and the difference is read before it is committed: it is what the change did to published numbers. What hinges on
rounding is no number to compare. It is marked by measuring again, with the arithmetic of another processor and,
halfway, with the last bit of the samples changed:

    OPENBLAS_CORETYPE=Haswell python -m testtone.tests.harness.golden --shaken [CLAIM ...]
"""

from __future__ import annotations

import argparse
import atexit
import hashlib
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import soundfile
import torch

from testtone import stimuli
from testtone.models.listening import Listener
from testtone.models.listening import Margin as Margins
from testtone.models.threads import held
from testtone.probes import presence as presence_probe
from testtone.probes import statistics
from testtone.probes.hearing import Ear, Interview, Listen, Probe, ear_of
from testtone.probes.margins import Choice, Margin, Recipe, Unfit, Whole
from testtone.probes.records import Effect, Measurement
from testtone.stimuli import designs, edits, mixtures, music, portraits, presence, recordings
from testtone.stimuli.backgrounds import backgrounds, ensemble
from testtone.stimuli.multisines import LineSpectrum, Multisine
from testtone.tests.check import claims
from testtone.tests.claim import Claim
from testtone.tests.harness.halfway import SAMPLE_RATE, Halfway
from testtone.tests.trial import Bench

FILE = Path(__file__).parent / "golden.json"
EFFORT, SEED = "quick", 0
CASES = 12
"""Single cases of a claim that a search could put to an encoder."""

ABSOLUTE = 2e-3
"""Effects, ends of intervals and means of figures: a fifth of the hundredth that the README's tables are rounded to."""
RELATIVE = 2e-3
"""The same, where numbers exceed 1. What float32, another BLAS or another order of a sum may do to them is smaller."""
LONG = ("compositionality_condition", "density_scaling")
"""Claims whose two controls take more than ten seconds each, and run the same lines."""

EXACT = 1e-8
"""Relative: what is counted of the sounds, which are made in float64."""

CLOSE = 1e-5
"""Of what is measured halfway, where all but the samples themselves is float64: noise of the size of their last bit
moves no effect by more than 2e-7."""

OTHER_RENDERS = 2e-2
"""Of what controls measure of renders, under another FluidSynth than that of the file: the largest move seen was .007.
Halfway such numbers are not compared."""

SHAKE = 1e-7
"""Relative to a sample, about its last bit in float32."""

ROUNDING = "hinges on rounding"
"""What stands in the place of a number that another processor, or the last bit of the samples, moves visibly."""

HALFWAY: Mapping[str, Mapping[str, Any]] = {
    "coarse": {},
    "fine": {"channels": (24, 32, 48), "latent": 40, "gain": 4.0},
}
"""Encoders between the ends: one that blurs, and one in which nearly all claims find enough to speak."""

CLEAR = {"clear": {"channels": (48, 48, 48), "latent": 48, "gain": 20.0, "clear": True}}
"""And one for claims that want to see parts kept apart before they go on."""

GATED = ("discretised_latent", "no_part_relations", "pitch_not_in_mixture", "stable_across_contexts")

STANDARD = {"coarse, standard": {}}
"""And what is left out at ``quick``: full rate, and layer by layer."""

FULLER = ("alias_collapse", "degrade_or_mix")

RECORDED = {"clear, with recordings": CLEAR["clear"], "fine, with recordings": HALFWAY["fine"]}
"""And what is asked only beside recordings of the user's own."""

AMONG_RECORDINGS = {
    "brightness_steers": "fine, with recordings",
    **dict.fromkeys(
        (
            "contained_not_exposed",
            "pitch_direction",
            "pitch_not_in_mixture",
            "same_filters",
            "separable",
            "stable_across_contexts",
        ),
        "clear, with recordings",
    ),
}

LINEAR = {
    "linear": {"linear": True, "white": True, "last": 1, "channels": (12, 60, 60), "latent": 30},
    "linear and slow": {"linear": True, "white": True, "last": 80, "channels": (12, 60, 160), "latent": 120},
}
"""And linear ones, of which the nearest code of all is known, or one of the nearest."""

FOR_LINEAR = ("many_to_one",)

KIN = {"architectural": 6, "unequal_and_predictable": 1}
"""Claims that compare an encoder with untrained ones, and with how many."""


class Shaken:
    """An encoder that hears every sound with its last bits changed; all else is that encoder's."""

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def listen(self, waveforms: Any) -> Any:
        """Return what the encoder says of the sounds."""
        time = np.arange(waveforms.shape[-1])
        return self._encoder.listen(waveforms * torch.from_numpy((1.0 + SHAKE * np.cos(time)).astype(np.float32)))


def measured(claim: Claim, spec: str) -> dict[str, Any]:
    """Return what a claim's probe asked of one control and made of its answers, as plain numbers."""
    return _measured(claim, spec, Bench(seed=SEED, effort=EFFORT))


def between(claim: Claim, kind: str, *, changed: Callable[[Halfway], Any] | None = None) -> dict[str, Any]:
    """Return the same of an encoder halfway, compared with others of its kind where the claim compares.

    All of them `changed`, if that is given.
    """
    bench = Bench(seed=SEED, effort="standard" if kind in STANDARD else EFFORT)
    if kind in RECORDED:
        bench.audio = recorded()
        # A search hears no recordings: what it says stands with the other kinds.
        claim = replace(claim, margin=None, universal=None)
    kin = tuple(f"halfway {seed}" for seed in range(1, 1 + KIN.get(claim.id, 0)))
    for seed, spec in enumerate(("halfway", *kin)):
        encoder = Halfway(seed, **{**HALFWAY, **CLEAR, **STANDARD, **RECORDED, **LINEAR}[kind])
        bench._listeners[spec] = Listener(encoder if changed is None else changed(encoder), spec=spec)
    found = _measured(replace(claim, company=lambda spec: kin) if kin else claim, "halfway", bench)
    # Words stand with the controls, where they can be read.
    for site in found["sites"].values():
        site["said"] = _digest([json.dumps(site.pop(each)) for each in ("words", "notes", "thresholds", "examples")])
    return found


@cache
def recorded() -> recordings.Folder:
    """Return three recordings at the rate of the encoders halfway, made of whole numbers: the same bytes everywhere."""
    place = tempfile.TemporaryDirectory(prefix="testtone-recordings-")
    atexit.register(place.cleanup)
    for number in range(3):
        rng = np.random.default_rng(number)
        # Three sawtooth voices in some hiss, other notes each half second.
        time = np.arange(SAMPLE_RATE // 2)
        notes = [sum((time % period) * (2000 // period) for period in rng.integers(20, 160, 3)) for _ in range(16)]
        sound = np.concatenate(notes) + rng.integers(-200, 200, 16 * len(time))
        soundfile.write(Path(place.name) / f"{number}.wav", (sound - 3000).astype(np.int16), SAMPLE_RATE)
    return recordings.folder(place.name)


def _measured(claim: Claim, spec: str, bench: Bench) -> dict[str, Any]:
    played: list[Listen] = []
    watched = replace(claim, probe=_watched(claim, played))
    with _nulls() as nulls:
        found = bench._hear(watched, spec)
    if found.fault is not None:
        raise RuntimeError(f"{claim.id} on {spec}: {found.fault}")
    sites = {site: _numbers(bench._compared(watched, spec, each)) for site, each in (found.measurements or {}).items()}
    said = {} if claim.margin is None else {"cases": _cases(claim, claim.margin, bench._listener(spec))}
    return {"played": _counted(played), "sites": sites, "nulls": nulls} | said


@contextmanager
def _nulls() -> Iterator[list[list[float]]]:
    """What is drawn under null hypotheses, draw by draw: of p alone one sees how many of them are large."""
    found: list[list[float]] = []

    def permutation(observed: float, draw: Any, **options: Any) -> float:
        drawn: list[float] = []

        def noted(rng: np.random.Generator) -> float:
            drawn.append(draw(rng))
            return drawn[-1]

        p = statistics.permutation(observed, noted, **options)
        found.append([*_summary(drawn), float(observed)])
        return p

    def permuted_areas(*given: Any) -> Any:
        areas = whole(*given)
        found.append(_summary(areas))
        return areas

    whole = presence_probe.permuted_areas
    homes = [probe for name, probe in sys.modules.items() if name.startswith("testtone.probes.")]
    with ExitStack() as stack:
        for home in homes:
            if home is not statistics and hasattr(home, "permutation"):
                stack.enter_context(mock.patch.object(home, "permutation", permutation))
        stack.enter_context(mock.patch.object(presence_probe, "permuted_areas", permuted_areas))
        yield found


def ears() -> dict[str, Ear]:
    """Return ears for which designs are made: other rates, chains and margins than those of the controls."""
    sites = ("first_conv", "stack_end", "latent", "quantised")

    def ear(sample_rate: int, strides: tuple[int, ...] | None, hop: int, first: int, **more: Any) -> Ear:
        rates = dict.fromkeys(sites, sample_rate / hop) | {"first_conv": sample_rate / first}
        margins = {"first_conv": Margins(5, 2), "stack_end": Margins(2, 1), "latent": Margins(6, 2)}
        return Ear(
            sample_rate=sample_rate,
            sites=sites,
            frame_rates=rates,
            margins=margins | {"quantised": margins["latent"]},
            missing_frames=dict.fromkeys(sites, 0) | {"latent": 1},
            strides=strides,
            **more,
        )

    return {
        "8 kHz, 4 strides": ear(8000, (2, 4, 4, 5), 160, 2),
        "44.1 kHz, strides untold": ear(44_100, None, 512, 4),
        "16 kHz, windows": ear(16_000, (4, 4, 4, 4), 256, 4, least_seconds=1.024, shifted=("latent", "quantised")),
    }


def designed(claim: Claim) -> dict[str, Any]:
    """Return what a claim plays first, for each ear and each effort beyond that of the controls."""
    found: dict[str, Any] = {}
    for name, whole in ears().items():
        own = tuple(site for site in (*claim.beside, *claim.sites) if site in whole.sites)
        # At thorough there is much to be made, and the same lines make it for every ear.
        for effort in ("standard", "thorough")[: 1 if found else 2]:
            asking = claim.probe(replace(whole, sites=own), np.random.default_rng(SEED), effort)
            try:
                found[f"{effort}, {name}"] = _counted(next(asking))
            except StopIteration:
                found[f"{effort}, {name}"] = "asks nothing"
            asking.close()
    return found


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
    kept: dict[str, int] = {}
    for each in played:
        at = f"{type(each.readout).__name__} at {', '.join(each.sites or ('all',))}"
        name = at if each.variant is None else f"{at}, {each.variant}"
        kept[name] = kept.get(name, 0) + len(each.stimuli)
        for field, value in _named(vars(each.readout), ""):
            numbers.setdefault(f"readout {field}", []).append(value)
    asked = {"requests": len(played), "sounds": len(sounds), "distinct": len(distinct), "kept": kept}
    asked["labels"] = _digest(each.label for each in sounds)
    return asked | {name: _summary(each) for name, each in sorted(numbers.items())}


def _digest(words: Iterable[str]) -> str:
    """Words, in their order, as a few letters."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:10]


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
    """What a measurement says, numbers first."""
    parts = {part.name: _effect(part.effect) for part in measurement.parts}
    found: dict[str, Any] = {"version": measurement.version, "effect": _effect(measurement.effect), "parts": parts}
    effects = [each for each in (measurement.effect, *(part.effect for part in measurement.parts)) if each is not None]
    found["words"] = list(dict.fromkeys(f"{each.name} [{each.unit}], {each.confidence:g}" for each in effects))
    found["notes"] = {part.name: part.note for part in measurement.parts if part.note}
    found["thresholds"] = [[each.threshold.supported_above, each.threshold.refuted_below] for each in measurement.parts]
    if measurement.reason is not None:
        found["reason"] = measurement.reason
    if measurement.null is not None:
        found["null"] = {"kind": measurement.null.kind, "draws": measurement.null.draws, "p": measurement.null.p}
    found["figures"] = {name: _summary(figure) for name, figure in sorted(measurement.figures.items())}
    found["captions"] = _digest(_texts(measurement.figures))
    found["examples"] = [label for label, _ in measurement.sounds]
    found["heard"] = _summary([value for _, sound in measurement.sounds for _, value in _named(sound.truth(), "")])
    return found


def _effect(effect: Effect | None) -> list[float | int] | None:
    if effect is None:
        return None
    return [float(effect.value), float(effect.low), float(effect.high), int(effect.n)]


def _summary(figure: Any) -> list[float]:
    """How many numbers a figure shows, their mean, their root mean square, and a mean that knows their order."""
    numbers = [(place, each) for place, each in enumerate(_leaves(figure)) if math.isfinite(each)]
    if not numbers:
        return [0.0]
    count = len(numbers)
    squares = math.fsum(each * each for _, each in numbers)
    ordered = math.fsum(each * math.cos(1.0 + place) for place, each in numbers)
    return [count, math.fsum(each for _, each in numbers) / count, math.sqrt(squares / count), ordered / count]


def _leaves(figure: Any) -> Iterator[float]:
    if isinstance(figure, Mapping):
        for each in figure.values():
            yield from _leaves(each)
    elif isinstance(figure, (list, tuple, np.ndarray)):
        for each in figure:
            yield from _leaves(each)
    elif isinstance(figure, (int, float, np.number)):
        yield float(figure)


def _texts(figure: Any) -> Iterator[str]:
    if isinstance(figure, Mapping):
        for name, each in figure.items():
            yield str(name)
            yield from _texts(each)
    elif isinstance(figure, (list, tuple)):
        for each in figure:
            yield from _texts(each)
    elif isinstance(figure, str):
        yield figure


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
    made |= _by_default()
    made |= _waveforms()
    made["the mixture of the page"] = _made([portraits.mixture()])
    sound = stimuli.Stimulus.of(stimuli.partial_tone(3000.0, amplitude=0.3), stimuli.Noise(1, rms=0.01), seconds=0.4)
    for sample_rate in (8000, 44100):
        seen = portraits.portrait(sound.render(sample_rate), sample_rate)
        rows = [[int(digit, 16) for digit in row] for row in seen["spectrogram"]["rows"]]
        low, high = ([int(each) for each in seen["waveform"][end].split()] for end in ("low", "high"))
        made[f"a portrait at {sample_rate} Hz"] = _made([{**seen["waveform"], "rows": rows, "low": low, "high": high}])
    return made


def _by_default() -> dict[str, Any]:
    """What makers of designs make where nothing is said that need not be: claims say more."""
    chain, kinds = stimuli.Chain(24_000, (2, 4, 5, 8)), {"seconds": 0.5, "frame_rate": 75.0}
    voiced = {**kinds, "harmonics_below_hz": 8000.0}

    def rng() -> np.random.Generator:
        return np.random.default_rng(SEED)

    among = presence.candidates(rng(), sample_rate=24_000, frame_rates=(75.0,))
    found = {
        "harmonic complex": stimuli.harmonic_complex(220.0),
        "partial tone": stimuli.partial_tone(220.0, amplitude=0.1),
        "note": stimuli.note(57.0, "tilt"),
        "note render": stimuli.note_render(57.0, 0),
        "backgrounds": backgrounds(rng(), 4, seconds=0.5),
        "pitches in contexts": designs.pitches_in_contexts(
            rng(), pitches=6, contexts=6, tokens=2, crossed=True, **voiced
        ),
        "alias sets": designs.alias_sets(rng(), sets=4, chain=chain),
        "presence factorial": designs.presence_factorial(rng(), sets=2, partials=3, tokens=2, seconds=0.5, chain=chain),
        "spectral edits": edits.spectral_edits(rng(), contexts=2, tokens=2, sample_rate=24_000, **kinds),
        "chords of notes": mixtures.chords_of_notes(rng(), notes=4, pairs=3, triads=3, tokens=2, **voiced),
        "notes by property": mixtures.notes_by_property(rng(), squares=1, **voiced),
        "notes in company": mixtures.notes_in_company(
            rng(), pitches=4, mixtures=4, alone_tokens=2, mixed_tokens=2, **voiced
        ),
        "spread pitches": mixtures.spread_pitches(rng(), 6, frame_rate=75.0),
        "two voices": mixtures.two_voices(rng(), notes=4, tokens=2, **voiced),
        "mixtures": presence.mixtures(
            rng(),
            among=among,
            company=presence.families(rng(), 6, among=among, sample_rate=24_000),
            tokens=2,
            seconds=0.5,
            sample_rate=24_000,
            level="component",
        ),
    }
    return {f"{name}, by default": _made([_plain(each)]) for name, each in found.items()}


def _waveforms() -> dict[str, Any]:
    """What each kind of source sounds like, and what is done to sounds: samples of a tenth of a second at 8 kHz."""
    rng = np.random.default_rng(SEED)
    tone = stimuli.harmonic_complex(220.0, phases="random", rng=rng, rms=0.05)
    lines = LineSpectrum(40.0, (5, 11, 23, 24), (0.02, 0.01, 0.04, 0.03))
    sources: dict[str, tuple[Any, ...]] = {
        "tone": (tone,),
        "tone, phases drawn anew": (tone.with_phases(rng),),
        "noise": (stimuli.Noise(3, rms=0.02),),
        "tone in noise": (tone, stimuli.Noise(4, snr_db=6.0)),
        "click": (stimuli.Click(0.03),),
        "multisine": (Multisine(lines, 5),),
        "multisine of fixed sizes": (Multisine(lines, 5, sized=False).scaled(-3.0),),
        "multisine, drawn anew and inverted": (Multisine(lines, 5).with_phases(rng).inverted(),),
        "render": (stimuli.note_render(57.0, 40),),
    }
    made = {}
    for name, own in sources.items():
        sound = stimuli.Stimulus(own, 0.1)
        samples = sound.render(8000).astype(np.float64)
        made[f"waveform, {name}"] = {"samples": _summary(samples), "softer": _summary(sound.scaled(-7.0).render(8000))}
    return made


def _plain(made: Any) -> Any:
    """A record of whatever kind as mappings, lists and numbers."""
    if hasattr(made, "truth"):
        return made.truth()
    if is_dataclass(made):
        return {field.name: _plain(getattr(made, field.name)) for field in fields(made)}
    if isinstance(made, Mapping):
        return {str(name): _plain(each) for name, each in made.items()}
    if isinstance(made, np.ndarray):
        return made.tolist()
    return [_plain(each) for each in made] if isinstance(made, (list, tuple)) else made


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


def speaking() -> list[tuple[str, str]]:
    """Return every (claim id, kind of encoder halfway); the two claims of `LONG` hear others alone."""
    own = [name for name in claims() if name not in LONG]
    more: dict[str, list[str]] = {name: [] for name in own}
    for names, kinds in ((GATED, CLEAR), (FULLER, STANDARD), (FOR_LINEAR, LINEAR)):
        for name in names:
            more[name] += kinds
    for name, kind in AMONG_RECORDINGS.items():
        more[name].append(kind)
    # One claim hears two encoders for ten seconds each: once is enough to run its lines.
    first = {"unequal_and_predictable": 1}
    return [(name, kind) for name in own for kind in (*list(HALFWAY)[: first.get(name)], *more[name])]


def designing() -> list[str]:
    """Return the claims whose first requests are written down: of a family, which plays the same, the first."""
    first: dict[str, str] = {}
    for claim in claims().values():
        first.setdefault(claim.family or claim.id, claim.id)
    return sorted(first.values())


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m testtone.tests.harness.golden",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("claims", nargs="*", metavar="CLAIM", help="ids of claims; none: all")
    parser.add_argument("--shaken", action="store_true", help="measure again, shaken, and mark what hinges on rounding")
    options = parser.parse_args()
    known = claims()
    for name in options.claims:
        if name not in known:
            parser.error(f"{name!r} is not a claim; there are {', '.join(known)}")
    tables = ("claims", "halfway", "designs")
    written = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    golden: dict[str, dict[str, Any]] = {name: written.get(name, {}) for name in tables}
    with held(1):
        for name in options.claims or known:
            started = time.process_time()
            controls = [control for claim, control in pairs() if claim == name]
            kinds = [kind for claim, kind in speaking() if claim == name]
            if options.shaken:
                # Ranks of controls have ties, which the last bit breaks: these are measured as they are.
                for control in controls:
                    own = golden["claims"][name]
                    again = _plain_json(measured(known[name], control))
                    own[control] = marked(own[control], again, absolute=ABSOLUTE, relative=RELATIVE)
                for kind in kinds:
                    own = golden["halfway"][name]
                    again = _plain_json(between(known[name], kind, changed=Shaken))
                    own[kind] = marked(own[kind], again, absolute=CLOSE, relative=CLOSE)
            else:
                golden["claims"][name] = {control: measured(known[name], control) for control in controls}
                if name in designing():
                    golden["designs"][name] = designed(known[name])
                if kinds:
                    golden["halfway"][name] = {kind: between(known[name], kind) for kind in kinds}
            print(f"{name}: {time.process_time() - started:.1f} s of CPU", flush=True)
            kept = {table: {each: own[each] for each in sorted(own) if each in known} for table, own in golden.items()}
            rest = {name: written[name] for name in ("sounds", "fluidsynth")} if options.shaken else {}
            rest = rest or {"sounds": sounds(), "fluidsynth": fluidsynth()}
            FILE.write_text(text({**kept, **rest}), encoding="utf-8")


def differences(written: Any, found: Any, *, absolute: float, relative: float, path: str = "") -> list[str]:
    """Return where two trees of numbers differ by more than the tolerance, in words; `ROUNDING` is like anything."""
    if isinstance(written, str) and written == ROUNDING:
        return []
    if isinstance(written, dict) and isinstance(found, dict):
        odd = [f"{path}/{name}: only one of the two has it" for name in sorted(written.keys() ^ found.keys())]
        return odd + [
            each
            for name in sorted(written.keys() & found.keys())
            for each in differences(
                written[name], found[name], absolute=absolute, relative=relative, path=f"{path}/{name}"
            )
        ]
    if isinstance(written, list) and isinstance(found, list) and len(written) == len(found):
        # A mean near zero of large numbers is as exact as they are.
        size = max((abs(each) for each in (*written[1:], *found[1:]) if isinstance(each, float)), default=0.0)
        return [
            each
            for index, pair in enumerate(zip(written, found, strict=True))
            for each in differences(
                *pair, absolute=max(absolute, relative * size), relative=relative, path=f"{path}[{index}]"
            )
        ]
    if isinstance(written, float) and isinstance(found, float | int):
        same = math.isclose(written, found, abs_tol=absolute, rel_tol=relative) or (
            math.isnan(written) and math.isnan(found)
        )
    else:
        same = written == found
    return [] if same else [f"{path}: {written!r} was written, {found!r} is found"]


def _plain_json(measured: dict[str, Any]) -> Any:
    return json.loads(json.dumps(measured))


def marked(written: Any, again: Any, *, absolute: float, relative: float) -> Any:
    """Return what was written, with `ROUNDING` in the place of whatever is measured otherwise when it is shaken."""
    if isinstance(written, dict) and isinstance(again, dict):
        return {
            key: marked(each, again[key], absolute=absolute, relative=relative) if key in again else ROUNDING
            for key, each in written.items()
        }
    if isinstance(written, list) and isinstance(again, list) and len(written) == len(again):
        if not differences(written, again, absolute=absolute, relative=relative):
            return written
        nested = any(isinstance(each, (list, dict)) for each in written)
        pairs = zip(written, again, strict=True)
        return [marked(*pair, absolute=absolute, relative=relative) for pair in pairs] if nested else ROUNDING
    return ROUNDING if differences(written, again, absolute=absolute, relative=relative) else written


def fluidsynth() -> str:
    """Return the version of FluidSynth that renders here."""
    return str(stimuli.renders.fluidsynth_version())


def text(golden: Mapping[str, Any]) -> str:
    """As the file holds it: eleven digits, a line for each list."""
    return _lines(_rounded(golden), "") + "\n"


def _lines(value: Any, margin: str) -> str:
    if isinstance(value, Mapping) and value:
        inner = margin + " "
        rows = [f"{inner}{json.dumps(name)}: {_lines(each, inner)}" for name, each in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{margin}}}"
    if isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        inner = margin + " "
        return "[\n" + ",\n".join(inner + _lines(each, inner) for each in value) + f"\n{margin}]"
    return json.dumps(value)


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return float(f"{value:.11g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
