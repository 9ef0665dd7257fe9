"""The search finds flaws that a random draw would miss, shrinks them to what a musician reads, and knows its place.

Encoders here carry one hidden flaw each: a pitch class, an octave, a level at which they break a rule that they keep
everywhere else. The margins on trial are a toy that takes a moment, and those of the claims themselves.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plugin_toys import check, furnish, report
from scipy import signal
from toy_claims import claim

from testtone.models import specs
from testtone.models.listening import Listener
from testtone.probes import margins
from testtone.probes.hearing import Answer, Ear, Interview, Listen, Probe, ear_of
from testtone.probes.margins import Case, Choice, Margin, Recipe, Unfit, Whole
from testtone.probes.readouts import mean
from testtone.probes.records import Effect, Measurement
from testtone.reports import render, validate
from testtone.stimuli import Stimulus, note, pitch
from testtone.tests import search
from testtone.tests.check import claims
from testtone.tests.claim import Claim, Control
from testtone.tests.ledger import Ledger
from testtone.tests.trial import FAULT, Bench, entry

RATE, HOP, WINDOW = 8000, 160, 1024


# --- encoders with a hidden flaw ------------------------------------------------------------------------------------

Flaw = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Pitch (MIDI) and level (dB) of frames -> whether the encoder does not answer there."""


class Tuner:
    """Answers 1 where anything sounds, but for its flaw; it hears pitch and level of the strongest partial."""

    name, sample_rate = "tuner", RATE

    def __init__(self, flaw: Flaw = lambda midi, db: midi < 0) -> None:
        self.flaw = flaw
        self.heard = 0

    def listen(self, waveforms: torch.Tensor) -> Mapping[str, Any]:
        """Return 'batch 1 frames' at 'stack_end' and 'latent'."""
        waves = waveforms.numpy().astype(np.float64)
        self.heard += len(waves)
        padded = np.pad(waves, ((0, 0), (WINDOW // 2, WINDOW // 2)))
        frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=1)[:, : waves.shape[1] : HOP]
        spectra = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), 2 * WINDOW))
        peak = spectra.max(axis=2)
        hz = np.maximum(spectra.argmax(axis=2), 1) * RATE / 2 / WINDOW
        db = 20 * np.log10(np.maximum(peak, 1e-9) / (WINDOW / 4))
        answers = np.where(self.flaw(69 + 12 * np.log2(hz / 440), db), 0.0, 1.0) * (peak > 1e-3)
        return {"stack_end": answers[:, None], "latent": answers[:, None]}


def in_one_octave(midi: np.ndarray, db: np.ndarray) -> np.ndarray:
    return (midi > 83.5) & (midi < 95.5)


def in_one_pitch_class(midi: np.ndarray, db: np.ndarray) -> np.ndarray:
    return np.round(midi) % 12 == 3


def when_loud(midi: np.ndarray, db: np.ndarray) -> np.ndarray:
    return db > -12.5


# --- a margin that takes a moment -----------------------------------------------------------------------------------


def answered(ear: Ear, recipe: Recipe, rng: np.random.Generator, readings: Mapping[str, str]) -> Case:
    """One sine: the mean of the code where it sounds."""
    midi, db = int(recipe["midi"]), int(recipe["db"])
    if midi == 60:
        raise Unfit("middle C is not played here")
    tone = note(float(midi), "sine", rms=10 ** (db / 20) / math.sqrt(2), rng=rng)
    sound = Stimulus.of(tone, seconds=0.3, label=f"{pitch.name(midi)} at {db} dB")

    def values(answers: Sequence[Answer]) -> Mapping[str, float]:
        return {site: ear.unit(site) * float(answer[0, 0]) for site, answer in answers[0].items()}

    return Case(sound.label, (Listen((sound,), mean),), values, ((sound.label, sound),))


ANSWERED = Margin(
    name="answer to one tone",
    unit="",
    fields=lambda ear: {
        "midi": Whole(55, 100, 69, "(MIDI)"),
        "db": Whole(-40, -1, -20),
        "room": Choice(("hall", "booth")),
    },
    play=answered,
)


def hunt(
    encoder: Any, margin: Margin = ANSWERED, *, sites: tuple[str, ...] = ("latent",), **more: Any
) -> search.Search:
    listener = Listener(encoder, spec="toy")
    ear = ear_of(listener, sites)
    given = {"refuted_below": 0.5, "readings": {}, "claims_seed": 0, "effort": "quick"} | more
    return search.Search(claim="toy", margin=margin, listener=listener, ear=ear, sites=ear.sites, **given)


# --- finding --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flaw", "label"),
    [
        (in_one_octave, "C6 at -20 dB"),
        (in_one_pitch_class, "D#5 at -20 dB"),
        (when_loud, "A4 at -12 dB"),
        (lambda midi, db: in_one_octave(midi, db) & when_loud(midi, db), "C6 at -12 dB"),
    ],
    ids=["one octave", "one pitch class", "loud sounds", "loud sounds of one octave"],
)
def test_a_hidden_flaw_is_found_and_shrinks_to_its_nearest_case(flaw: Flaw, label: str) -> None:
    found = hunt(Tuner(flaw), effort="standard").run()["latent"]
    assert found.counterexample
    assert found.worst is not None
    # D#4 is as near to A4 as D#5: either is the simplest.
    assert found.worst.label == label or (label.startswith("D#5") and found.worst.label == "D#4 at -20 dB")
    assert found.worst.recipe["room"] == "hall"
    assert found.worst.mean == pytest.approx(-0.5, abs=0.05)
    assert [said for said, _ in found.worst.case.sounds] == [found.worst.label]


def test_a_flawless_encoder_survives() -> None:
    found = hunt(Tuner()).run()["latent"]
    assert not found.counterexample
    assert found.examples >= 50
    assert found.worst is not None
    assert found.worst.mean == pytest.approx(0.5, abs=0.02)
    # Nothing is any worse than the simplest case.
    assert found.worst.label == "A4 at -20 dB"


@pytest.mark.parametrize(("effort", "least"), [("quick", 50), ("standard", 200), ("thorough", 2000)])
def test_at_least_as_many_cases_are_tried_as_promised(effort: str, least: int) -> None:
    assert search.EXAMPLES[effort] >= least


def test_no_case_is_counted_twice_and_unfit_ones_not_at_all() -> None:
    at_work = hunt(Tuner(), effort="standard")
    found = at_work.run(shrink=False)["latent"]
    tried = {json.dumps(recipe) for recipe in at_work._speaking("latent")}
    assert found.examples == len(tried) >= 200
    assert not any(recipe["midi"] == 60 for recipe in at_work._speaking("latent"))


def test_it_is_steered_and_not_only_drawn() -> None:
    # A pit of one key and one dB in 46 x 40 x 2 cases, at the bottom of a long slope.
    def slope(ear: Ear, recipe: Recipe, rng: np.random.Generator, readings: Mapping[str, str]) -> Case:
        case = answered(ear, recipe | {"midi": 69}, rng, readings)
        value = 0.6 + (abs(int(recipe["midi"]) - 93) + abs(int(recipe["db"]) + 4)) / 20
        deep = value - 0.6 < 0.04
        return dataclasses.replace(case, values=lambda answers: {"latent": 0.0 if deep else value})

    steered = hunt(Tuner(), dataclasses.replace(ANSWERED, play=slope), effort="standard").run()["latent"]
    assert steered.counterexample
    assert steered.worst is not None
    assert (steered.worst.recipe["midi"], steered.worst.recipe["db"]) == (93, -4)


def test_the_same_seed_gives_the_same_search_and_another_another() -> None:
    first, second, other = (hunt(Tuner(in_one_octave), claims_seed=seed) for seed in (0, 0, 1))
    results = [each.run()["latent"] for each in (first, second, other)]
    assert first._order == second._order != other._order
    assert [each.worst.recipe for each in results[:2]] == [results[0].worst.recipe] * 2
    assert results[0].worst.fresh == results[1].worst.fresh


def test_sites_are_searched_together_and_judged_apart() -> None:
    class Half(Tuner):
        def listen(self, waveforms: torch.Tensor) -> Mapping[str, Any]:
            return super().listen(waveforms) | {"latent": (waveforms[:, ::HOP] != 0)[:, None].float() * 0 + 1.0}

    encoder = Tuner(in_one_octave)
    both = hunt(encoder, sites=("stack_end", "latent")).run(shrink=False)
    assert {site: each.counterexample for site, each in both.items()} == {"stack_end": True, "latent": True}
    assert both["stack_end"].examples == both["latent"].examples


# --- luck refutes nothing -------------------------------------------------------------------------------------------


def chance(low: float, spread: float) -> Margin:
    def play(ear: Ear, recipe: Recipe, rng: np.random.Generator, readings: Mapping[str, str]) -> Case:
        value = low + float(rng.normal(0.0, spread))
        return dataclasses.replace(answered(ear, recipe, rng, readings), values=lambda answers: {"latent": value})

    return dataclasses.replace(ANSWERED, play=play)


def test_a_margin_below_zero_by_luck_is_no_counterexample() -> None:
    at_work = hunt(Tuner(), chance(0.8, 0.25))
    found = at_work.run()["latent"]
    assert min(at_work._at(recipe, "latent") for recipe in at_work._speaking("latent")) < -0.1
    assert not found.counterexample
    assert found.worst is not None
    # On average .3 above: eight fresh performances may come out low, and are then not sure enough.
    assert found.worst.upper > 0


def test_a_knifes_edge_is_no_counterexample() -> None:
    assert not hunt(Tuner(), chance(0.47, 0.0)).run()["latent"].counterexample
    assert hunt(Tuner(), chance(0.43, 0.0)).run()["latent"].counterexample


def test_a_case_that_says_nothing_is_none() -> None:
    silent = dataclasses.replace(
        ANSWERED, play=lambda *given: dataclasses.replace(answered(*given), values=lambda _: {"latent": math.nan})
    )
    found = hunt(Tuner(), silent).run()["latent"]
    assert found == search.Found(0, None, False)


# --- in the record --------------------------------------------------------------------------------------------------


def answers(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure the mean answer to six tones, none of them in the octave of the flaw."""
    tones = tuple(
        Stimulus.of(note(float(midi), "sine", rng=rng), seconds=0.5, label=pitch.name(midi))
        for midi in rng.choice(np.arange(62, 74), 6, replace=False)
    )
    (heard,) = yield [Listen(tones, mean)]
    found = {}
    for site in ear.sites:
        value = ear.unit(site) * float(heard[site].mean())
        effect = Effect(name="answer", value=value, low=value - 0.1, high=value + 0.1, confidence=0.9, unit="", n=6)
        found[site] = Measurement(site=site, probe="answers", version=1, effect=effect)
    return found


def mute(midi: np.ndarray, db: np.ndarray) -> np.ndarray:
    return midi > -1000


def universal(**changes: Any) -> Claim:
    given = {
        "id": "answers",
        "quote": "every tone is answered, whatever its pitch",
        "proposition": "Tones are answered.",
        "sites": ("latent",),
        "probe": answers,
        "margin": ANSWERED,
        "universal": "whatever its pitch",
        "controls": (Control(encoder="yes", expected="supported"), Control(encoder="no", expected="refuted")),
    }
    return claim(**given | changes)


@pytest.fixture
def cast(monkeypatch: pytest.MonkeyPatch) -> dict[str, Tuner]:
    known = {"yes": Tuner(), "no": Tuner(mute), "flawed": Tuner(in_one_octave), "flawless": Tuner()}
    monkeypatch.setattr(specs, "resolve", lambda spec: known[spec])
    return known


def bench(**more: Any) -> Bench:
    return Bench(**{"seed": 0, "effort": "quick", "search": True} | more)


def test_without_the_option_there_is_no_search(cast: dict[str, Tuner]) -> None:
    assert bench(search=False).record(universal(), "flawed", "latent")["search"] is None
    heard = cast["flawed"].heard
    bench().record(universal(), "flawed", "latent")
    assert cast["flawed"].heard > heard + 50


def test_a_counterexample_refutes_what_is_said_of_all_cases_and_leaves_the_interval(cast: dict[str, Tuner]) -> None:
    plain = bench(search=False).record(universal(), "flawed", "latent")
    found = bench().record(universal(), "flawed", "latent")
    assert (plain["verdict"], plain["agrees"]) == ("supported", True)
    assert (found["verdict"], found["agrees"]) == ("refuted", False)
    for untouched in ("effect", "parts", "controls", "null", "p", "threshold"):
        assert found[untouched] == plain[untouched]
    searched = found["search"]
    assert searched["refutes"]
    assert searched["valid"]
    assert searched["examples"] >= 50
    assert searched["stimulus"] == "C6 at -20 dB"
    assert searched["universal"] == "whatever its pitch"
    assert searched["said"] == found["reason"]
    assert searched["said"].startswith(f"counterexample in {searched['examples']} examples: margin -0.2")
    assert searched["said"].endswith('at C6 at -20 dB; it refutes what is said of all cases ("whatever its pitch")')
    assert searched["seconds"] > 0
    # Its sound is there to be heard.
    (sha256,) = searched["sounds"]
    assert found["sounds"][sha256]["truth"]["pitches"] == [84.0]
    assert {"sha256": sha256, "label": "counterexample: C6 at -20 dB"} in found["stimuli"]


def test_a_flawless_encoder_keeps_its_verdict(cast: dict[str, Tuner]) -> None:
    found = bench().record(universal(), "flawless", "latent")
    assert (found["verdict"], found["agrees"]) == ("supported", True)
    assert found["search"]["said"].startswith("no counterexample in 5")
    assert "worst margin 0.75 at" in found["search"]["said"]
    assert not found["search"]["refutes"]
    assert found["search"]["pin"] is None


def test_a_sentence_about_some_cases_is_not_refuted_by_one(cast: dict[str, Tuner]) -> None:
    found = bench().record(universal(universal=""), "flawed", "latent")
    assert found["search"]["counterexample"]
    assert not found["search"]["refutes"]
    assert found["verdict"] == "supported"


def test_a_search_that_refutes_the_supporting_control_refutes_nobody(cast: dict[str, Tuner]) -> None:
    cast["yes"].flaw = in_one_pitch_class
    found = bench().record(universal(), "flawed", "latent")
    assert found["verdict"] == "supported"
    assert found["search"]["counterexample"]
    assert not found["search"]["valid"]
    assert "the search may not judge: yes must be supported, and the search found one there" in found["search"]["said"]


def test_a_search_that_is_blind_on_the_refuted_control_refutes_nobody(cast: dict[str, Tuner]) -> None:
    # A margin that sees nothing above middle C but the octave in question sees nothing of an encoder mute below.
    def deaf(*given: Any) -> Case:
        case = answered(*given)
        low = int(given[1]["midi"]) < 84

        def values(heard: Sequence[Answer]) -> Mapping[str, float]:
            return {"latent": 1.0} if low else case.values(heard)

        return dataclasses.replace(case, values=values)

    cast["no"].flaw = lambda midi, db: midi < 80
    found = bench().record(universal(margin=dataclasses.replace(ANSWERED, play=deaf)), "flawed", "latent")
    assert found["verdict"] == "supported"
    assert "no must be refuted, and the search found none there" in found["search"]["said"]


def test_what_is_not_judged_is_not_searched(cast: dict[str, Tuner]) -> None:
    cast["yes"].flaw = mute
    invalid = bench().record(universal(), "flawed", "latent")
    assert (invalid["verdict"], invalid["search"]) == ("invalid", None)


def test_universal_words_stand_in_the_quote_and_have_a_margin() -> None:
    with pytest.raises(ValueError, match="must stand in its quote"):
        universal(universal="always")
    with pytest.raises(ValueError, match="needs a margin"):
        universal(margin=None)


def test_the_report_holds_the_search_by_its_schema_and_the_page_says_it(cast: dict[str, Tuner]) -> None:
    ledger = Ledger()
    ledger.enter(entry(bench(), universal(), "flawed", "latent"))
    whole = json.loads(json.dumps(ledger.report(command="pytest", seed=0, effort="quick"), allow_nan=False))
    validate(whole)
    searched = whole["claims"][0]["search"]
    assert set(searched["sounds"]) <= set(whole["sounds"])
    page = render(whole)
    assert "counterexample: C6 at -20 dB" in page
    assert f"counterexample in {searched['examples']} examples: margin -0.2" in page
    said = ledger.searches()
    assert said[1] == f"answers  flawed  latent: {searched['said']}"
    assert "python -m testtone.tests.search REPORT.json >> counterexamples.toml" in said[-1]


# --- pins -----------------------------------------------------------------------------------------------------------


def pinned(tmp_path: Path, text: str) -> Path:
    file = tmp_path / search.NAME
    file.write_text(text, encoding="utf-8")
    search.load.cache_clear()
    return file


def test_what_was_found_is_pinned_by_its_own_text_and_replayed_first(cast: dict[str, Tuner], tmp_path: Path) -> None:
    first = bench().record(universal(), "flawed", "latent")
    file = pinned(tmp_path, first["search"]["pin"])
    (pin,) = search.pins("answers", "flawed", [file])
    assert pin.recipe == first["search"]["recipe"]
    at_work = hunt(cast["flawed"])
    at_work.run([pin], shrink=False)
    assert at_work._order[0] == pin.recipe
    again = bench(pinned=(file,)).record(universal(), "flawed", "latent")
    assert [each["counterexample"] for each in again["search"]["pinned"]] == [True]
    assert again["verdict"] == "refuted"


def test_a_pin_finds_what_a_draw_misses(tmp_path: Path) -> None:
    needle = Tuner(lambda midi, db: (np.round(midi) == 97) & (np.round(db) == -37))
    assert not hunt(needle).run(examples=10)["latent"].counterexample
    pin = search.Pin("toy", "any", {"midi": 97, "db": -37, "room": "hall"})
    found = hunt(needle).run([pin], examples=10)["latent"]
    assert found.counterexample
    assert found.worst is not None
    assert found.worst.label == "C#7 at -37 dB"


def test_a_pin_that_is_none_any_more_is_said(cast: dict[str, Tuner], tmp_path: Path) -> None:
    file = pinned(tmp_path, search.pin_text("answers", "any", {"midi": 86, "db": -20, "room": "booth"}))
    found = bench(pinned=(file,)).record(universal(), "flawless", "latent")
    assert found["verdict"] == "supported"
    assert found["search"]["said"].endswith("; pinned, and no longer one: D6 at -20 dB")


BAD_PINS = {
    "no TOML": ("[[counterexample", "counterexamples.toml: "),
    "another table": ("[[exemple]]\nclaim = 'a'", r"holds exemple; it may hold \[\[counterexample\]\] tables only"),
    "a field too few": ("[[counterexample]]\nclaim = 'a'\nencoder = 'any'", "has claim, encoder, recipe; this one has"),
    "no recipe": ("[[counterexample]]\nclaim = 'a'\nencoder = 'any'\nrecipe = 3", "recipe=3 must be a table of fields"),
}


@pytest.mark.parametrize(("text", "says"), BAD_PINS.values(), ids=BAD_PINS)
def test_a_bad_file_of_pins_says_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        search.load(pinned(tmp_path, text))


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        ({"midi": 69}, "a recipe holds midi, db, room; this one holds midi"),
        ({"midi": 20, "db": -20, "room": "hall"}, "midi=20 must be a whole number from 55 to 100"),
        ({"midi": 69.5, "db": -20, "room": "hall"}, "midi=69.5 must be a whole number from 55 to 100"),
        ({"midi": True, "db": -20, "room": "hall"}, "midi=True must be a whole number"),
        ({"midi": 69, "db": -20, "room": "attic"}, "room='attic' must be one of hall, booth"),
    ],
)
def test_a_pin_that_cannot_be_played_ends_without_a_verdict(
    cast: dict[str, Tuner], tmp_path: Path, recipe: Recipe, says: str
) -> None:
    file = pinned(tmp_path, search.pin_text("answers", "any", recipe))
    found = bench(pinned=(file,)).record(universal(), "flawed", "latent")
    assert found["verdict"] is None
    assert says in found[FAULT]


def test_the_command_prints_every_counterexample_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = search.pin_text("answers", "flawed", {"midi": 86, "db": -20, "room": "hall"})
    records = [{"search": {"pin": text}}, {"search": {"pin": text}}, {"search": None}, {"search": {"pin": None}}]
    file = tmp_path / "report.json"
    file.write_text(json.dumps({"claims": records}))
    assert search.main([str(file)]) == 0
    printed = capsys.readouterr().out
    assert printed == text
    assert search.load(pinned(tmp_path, printed))[0].recipe == {"midi": 86, "db": -20, "room": "hall"}
    with pytest.raises(SystemExit):
        search.main([str(tmp_path / "none.json")])
    assert "none.json is no report" in capsys.readouterr().err


# --- from the command line ------------------------------------------------------------------------------------------


def test_the_option_is_all_it_takes(pytester: pytest.Pytester) -> None:
    furnish(pytester)
    text = (Path(__file__).parent / "toy_claims.py").read_text(encoding="utf-8")
    (pytester.path / "test_toys.py").write_text(
        text.replace("HOLDS = claim()", "HOLDS = claim(margin=__import__('toy_margin').LOUD)"), encoding="utf-8"
    )
    (pytester.path / "toy_margin.py").write_text(TOY_MARGIN, encoding="utf-8")
    pinned(pytester.path, search.pin_text("level_holds", "any", {"db": -9}))
    run = pytester.runpytest_inprocess(
        "-m", "claims", "--claims-search", "--claims-effort=quick", "--encoder=toy_encoders.py:full",
        "-k", "level_holds", "--claims-report=a.html", "test_toys.py",
    )  # fmt: skip
    run.assert_outcomes(passed=2)
    run.stdout.fnmatch_lines(
        [
            "searches for a counterexample, beside the intervals (* s on trial):",
            "level_holds  toy_encoders.py:full  stack_end: no counterexample in 5? examples; worst margin 0.*",
            "level_holds  toy_encoders.py:full  latent: no counterexample in 5? examples; worst margin 0.*",
        ]
    )
    first = report(pytester, "a.json")["claims"][0]
    assert len(first["search"]["pinned"]) == 1
    assert "--claims-search" in first["rerun"]


TOY_MARGIN = """
import numpy as np
from testtone.probes.hearing import Listen
from testtone.probes.margins import Case, Margin, Whole
from testtone.probes.readouts import mean
from testtone.stimuli import Stimulus, note

def play(ear, recipe, rng, readings):
    rms = 10 ** (recipe["db"] / 20) / 2 ** .5
    sound = Stimulus.of(note(69.0, "sine", rms=rms, rng=rng), seconds=0.3, label=f"A4 at {recipe['db']} dB")
    values = lambda answers: {site: ear.unit(site) * float(each.mean()) / rms for site, each in answers[0].items()}
    return Case(sound.label, (Listen((sound,), mean),), values, ((sound.label, sound),))

LOUD = Margin(name="gain", unit="", fields=lambda ear: {"db": Whole(-79, -1, -20)}, play=play)
"""


def test_a_bad_file_of_pins_is_refused_before_anything_runs(pytester: pytest.Pytester) -> None:
    pinned(pytester.path, "[[pin]]\n")
    run = check(pytester, "--claims-search")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    assert "counterexamples.toml holds pin; it may hold [[counterexample]] tables only" in run.stderr.str()


# --- the claims that are shipped ------------------------------------------------------------------------------------


def test_every_claim_has_a_margin_or_a_reason_why_not() -> None:
    shipped = claims()
    with_margin = {name for name, each in shipped.items() if each.margin is not None}
    assert with_margin | set(search.WITHOUT) == set(shipped)
    assert not with_margin & set(search.WITHOUT)
    assert len(with_margin) >= 8


def test_the_pins_that_are_shipped_belong_to_claims() -> None:
    search.load.cache_clear()
    shipped = claims()
    for pin in search.load(search.FILE):
        assert shipped[pin.claim].margin is not None


WITH_MARGIN = sorted(name for name, each in claims().items() if each.margin is not None)


@pytest.mark.parametrize("name", WITH_MARGIN)
def test_a_margin_is_right_on_the_controls_of_its_claim(name: str) -> None:
    # The simplest case and some drawn ones: above the refuting threshold on the one, below it on the other.
    each = claims()[name]
    assert each.margin is not None
    for control in each.controls:
        listener = Listener(specs.resolve(control.encoder), spec=control.encoder)
        ear = ear_of(listener, (*each.beside, *each.sites))
        interview = Interview(listener, ear)
        fields = each.margin.fields(ear)
        rng = np.random.default_rng(3)
        values: list[float] = []
        recipes = [{key: f.simplest if isinstance(f, Whole) else f.values[0] for key, f in fields.items()}]
        while len(values) < 8:
            recipe = recipes.pop() if recipes else _drawn(fields, rng)
            try:
                case = each.margin.play(ear, recipe, rng, {})
            except Unfit:
                continue
            values += [v for s, v in case.values(interview.ask(case.requests)).items() if s in each.sites]
        middle = float(np.nanmedian(values))
        above = middle > each.threshold.refuted_below
        assert above == (control.expected == "supported"), (control.encoder, values)


def _drawn(fields: Mapping[str, Whole | Choice], rng: np.random.Generator) -> Recipe:
    return {
        key: int(rng.integers(f.low, f.high + 1)) if isinstance(f, Whole) else str(rng.choice(f.values))
        for key, f in fields.items()
    }


class Bands:
    """Power in bands half a semitone apart; frames louder than a limit are turned by as much as their centroid says."""

    name, sample_rate = "bands", RATE

    def __init__(self, limit_db: float) -> None:
        self.limit = 10 ** (limit_db / 10)
        centres = 440 * 2 ** ((np.arange(40, 106, 0.5) - 69) / 12)
        bins = np.fft.rfftfreq(2 * WINDOW, 1 / RATE)
        self.weights = np.exp(-0.5 * ((bins - centres[:, None]) / np.maximum(centres / 34, 8.0)[:, None]) ** 2).T

    def listen(self, waveforms: torch.Tensor) -> Mapping[str, Any]:
        """Return 'batch bands frames' at 'latent'."""
        waves = waveforms.numpy().astype(np.float64)
        padded = np.pad(waves, ((0, 0), (WINDOW, WINDOW)))
        frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * WINDOW, axis=1)[:, : waves.shape[1] : 2 * HOP]
        spectra = np.square(np.abs(np.fft.rfft(frames * np.hanning(2 * WINDOW)))) / WINDOW**2
        powers, total = spectra @ self.weights, spectra.sum(axis=2)
        bands = np.arange(powers.shape[2])
        centroid = (powers @ bands) / np.maximum(powers.sum(axis=2), 1e-12)
        turned = np.where(total > self.limit, np.round(7 * centroid), 0)[..., None]
        return {"latent": np.moveaxis(np.take_along_axis(powers, ((bands - turned) % len(bands)).astype(int), 2), 2, 1)}


def test_additivity_that_breaks_only_when_loud_is_found_among_chords() -> None:
    # Two sines at the level of the claim come to -24.3 dB in a frame: only what is within 4 dB of it is turned.
    found = hunt(Bands(-28.0), margins.CHORD_ADDITIVITY, refuted_below=0.6).run(shrink=False)["latent"]
    assert found.counterexample
    assert found.worst is not None
    # Tones with many partials fill the frames as well and may be a little softer.
    assert int(found.worst.recipe["level"]) >= -6
    assert (
        not hunt(Bands(100.0), margins.CHORD_ADDITIVITY, refuted_below=0.6).run(shrink=False)["latent"].counterexample
    )


class Folding:
    """All samples of a hop as channels, which keeps aliases apart, but for one octave, which it decimates."""

    name, sample_rate = "folding", RATE

    def __init__(self, low_hz: float, high_hz: float) -> None:
        self.taps = signal.firwin(257, [low_hz, high_hz], pass_zero=False, fs=RATE)

    def listen(self, waveforms: torch.Tensor) -> Mapping[str, Any]:
        """Return 'batch hop frames' at 'latent'."""
        waves = waveforms.numpy().astype(np.float64)
        inside = signal.fftconvolve(waves, self.taps[None], mode="same")
        frames = waves.shape[1] // HOP
        outside = (waves - inside)[:, : frames * HOP].reshape(len(waves), frames, HOP)
        bare = inside[:, : frames * HOP : HOP]
        return {"latent": np.moveaxis(outside + bare[:, :, None], 2, 1)}


def test_aliases_kept_apart_but_in_one_octave_are_found_there() -> None:
    # The proposition that aliases do not collapse: the margin of the claim, turned round.
    collapse = margins.ALIAS_COLLAPSE

    def turned(*given: Any) -> Case:
        case = collapse.play(*given)
        return dataclasses.replace(case, values=lambda a: {site: 1 - v for site, v in case.values(a).items()})

    low, high = pitch.hz_from_midi(84), pitch.hz_from_midi(96)
    found = hunt(Folding(low, high), dataclasses.replace(collapse, play=turned)).run()["latent"]
    assert found.counterexample
    assert found.worst is not None
    heard = [each.partials[0].hz for _, each in found.worst.case.sounds[:2]]
    assert all(0.97 * low < hz < 1.03 * high for hz in heard), heard
