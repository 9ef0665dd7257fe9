"""Golden numbers: the same seed plays the same sounds, and what controls measure is what was written down.

Written by ``python -m testtone.tests.harness.golden``; its text says when to write them again.
"""

import json
import math

import pytest

from testtone.tests.check import claims
from testtone.tests.harness import golden
from testtone.tests.harness.golden import ABSOLUTE, CLOSE, EXACT, OTHER_RENDERS, RELATIVE, ROUNDING, differences

FILE = json.loads(golden.FILE.read_text(encoding="utf-8"))
WRITTEN = FILE["claims"]
AGAIN = "if that is meant, raise the version of the probe and run `python -m testtone.tests.harness.golden {}`"


def _plays_renders(written):
    return "program" in written["played"]


@pytest.mark.parametrize(("claim", "control"), golden.pairs())
def test_controls_measure_what_was_written_down(claim, control):
    written = WRITTEN[claim][control]
    found = json.loads(json.dumps(golden.measured(claims()[claim], control)))
    other = _plays_renders(written) and golden.fluidsynth() != FILE["fluidsynth"]
    absolute, relative = (OTHER_RENDERS, OTHER_RENDERS) if other else (ABSOLUTE, RELATIVE)
    apart = differences(written["played"], found["played"], absolute=1e-9, relative=EXACT, path="played")
    apart += differences(written["sites"], found["sites"], absolute=absolute, relative=relative)
    apart += differences(written["nulls"], found["nulls"], absolute=absolute, relative=relative, path="nulls")
    apart += differences(written.get("cases"), found.get("cases"), absolute=absolute, relative=relative, path="cases")
    assert not apart, "\n".join([*apart, AGAIN.format(claim)])


@pytest.mark.parametrize(("claim", "kind"), golden.speaking())
def test_between_the_ends_probes_measure_what_was_written_down(claim, kind):
    written = FILE["halfway"][claim][kind]
    if _plays_renders(written) and golden.fluidsynth() != FILE["fluidsynth"]:
        pytest.skip(f"written down with FluidSynth {FILE['fluidsynth']}; {golden.fluidsynth()} plays other samples")
    found = json.loads(json.dumps(golden.between(claims()[claim], kind)))
    apart = differences(written["played"], found["played"], absolute=1e-9, relative=EXACT)
    apart += differences(written["sites"], found["sites"], absolute=CLOSE, relative=CLOSE)
    apart += differences(written["nulls"], found["nulls"], absolute=CLOSE, relative=CLOSE, path="nulls")
    apart += differences(written.get("cases"), found.get("cases"), absolute=CLOSE, relative=CLOSE, path="cases")
    assert not apart, "\n".join([*apart, AGAIN.format(claim)])


@pytest.mark.parametrize("claim", golden.designing())
def test_other_ears_are_played_what_was_written_down(claim):
    found = json.loads(json.dumps(golden.designed(claims()[claim])))
    apart = differences(FILE["designs"][claim], found, absolute=1e-9, relative=EXACT)
    assert not apart, "\n".join([*apart, AGAIN.format(claim)])


def test_halfway_is_no_end_of_a_scale():
    """Numbers that stand at an end cannot move; most of these do not stand there."""
    effects = [
        site["effect"]
        for kinds in FILE["halfway"].values()
        for kind in kinds.values()
        for site in kind["sites"].values()
        if isinstance(site["effect"], list)
    ]
    assert len(effects) >= 80
    wide = [effect for effect in effects if effect[2] - effect[1] > 1e-3]
    assert len(wide) >= 0.9 * len(effects)


def test_sounds_are_made_as_they_were_written_down():
    found = json.loads(json.dumps(golden.sounds()))
    assert found.keys() == FILE["sounds"].keys()
    apart = []
    for name, written in FILE["sounds"].items():
        # A portrait is of float32 samples, in few digits; other samples are as exact as float32, renders as FluidSynth.
        other = name == "waveform, render" and golden.fluidsynth() != FILE["fluidsynth"]
        relative = CLOSE if name.startswith("waveform") else EXACT
        relative = RELATIVE if name.startswith("a portrait") else OTHER_RENDERS if other else relative
        apart += differences(written, found[name], absolute=1e-9, relative=relative, path=name)
    assert not apart, "\n".join([*apart, AGAIN.format("")])


def test_every_claim_and_control_was_written_down():
    assert {(claim, control) for claim, own in WRITTEN.items() for control in own} == set(golden.pairs())
    assert {(claim, kind) for claim, own in FILE["halfway"].items() for kind in own} == {*golden.speaking()}
    assert {*FILE["designs"]} == {*golden.designing()}
    assert len(WRITTEN) >= 26


@pytest.mark.parametrize(("claim", "control"), golden.pairs())
def test_what_was_written_down_is_what_the_controls_should_say(claim, control):
    expected = next(each.expected for each in claims()[claim].controls if each.encoder == control)
    for site in WRITTEN[claim][control]["sites"].values():
        _, low, high, _ = site["effect"]
        threshold = claims()[claim].threshold
        assert {"supported": low > threshold.supported_above, "refuted": high < threshold.refuted_below}[expected]


@pytest.mark.parametrize(
    ("written", "found", "said"),
    [
        ([0.5, 0.4, 0.6, 12], [0.51, 0.4, 0.6, 12], r"\[0\]"),
        ({"a": [0.5]}, {"b": [0.5]}, "only one"),
        (["A4 sine"], ["A4 harmonic"], "sine"),
        (3, 4, "3 was written"),
        ([0.5], None, "None is found"),
        ([0.5, 0.5], [0.5], "0.5"),
    ],
    ids=["value", "name", "words", "count", "nothing", "length"],
)
def test_a_difference_is_told(written, found, said):
    apart = differences(written, found, absolute=ABSOLUTE, relative=RELATIVE)
    with pytest.raises(AssertionError, match=said):
        assert not apart, apart


def test_hardly_a_number_hinges_on_rounding():
    text = golden.FILE.read_text(encoding="utf-8")
    assert 0 < text.count(ROUNDING) <= 40
    assert not differences({"a": ROUNDING}, {"a": [0.5]}, absolute=ABSOLUTE, relative=RELATIVE)
    close = {"absolute": ABSOLUTE, "relative": RELATIVE}
    assert golden.marked({"a": [0.5, 1], "b": 2.0}, {"a": [0.6, 1], "b": 2.0}, **close) == {"a": ROUNDING, "b": 2.0}


def test_what_another_machine_does_to_a_number_is_no_difference():
    assert not differences([0.5, 0.4, 0.6, 12], [0.5001, 0.4, 0.6, 12], absolute=ABSOLUTE, relative=RELATIVE)
    assert not differences([1000.0, math.nan], [1000.5, math.nan], absolute=ABSOLUTE, relative=RELATIVE)
