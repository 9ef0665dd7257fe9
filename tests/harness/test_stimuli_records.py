"""A stimulus as a record: its hash, its ground truth, what may be drawn anew, and what it refuses."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from testtone.stimuli import Noise, Note, Partial, Render, Stimulus, Tone, note, silence

REPOSITORY = Path(__file__).parents[2]
SHA = "0" * 64


def mixture(**changes):
    """Return a stimulus with every kind of source; ``changes`` replace single values."""
    value = {
        "hz": 440.0,
        "amplitude": 0.1,
        "phase": 0.5,
        "seed": 3,
        "snr_db": 20.0,
        "midi": 60.25,
        "velocity": 90,
        "program": 48,
        "soundfont": SHA,
        "rms": 0.05,
        "skip": 0.2,
        "offset": 0.01,
        "max_hz": None,
        "seconds": 0.8,
        "ramp": 0.02,
        "label": "",
        "chord": None,
        "tone_midi": 69.0,
        "timbre": "tilt",
        "role": None,
        **changes,
    }
    tone = Tone(
        (Partial(value["hz"], value["amplitude"], value["phase"]), Partial(880.0, 0.05)),
        value["tone_midi"],
        value["timbre"],
        value["role"],
    )
    render = Render(
        (Note(value["midi"], value["velocity"]),),
        value["program"],
        value["soundfont"],
        value["rms"],
        value["skip"],
        value["offset"],
        max_hz=value["max_hz"],
        timbre=value["timbre"],
    )
    noise = Noise(value["seed"], snr_db=value["snr_db"])
    return Stimulus((tone, render, noise), value["seconds"], value["ramp"], value["label"], value["chord"])


@pytest.mark.parametrize(
    "change",
    [
        {"hz": 440.0000001},
        {"amplitude": 0.1000001},
        {"phase": 0.50001},
        {"seed": 4},
        {"snr_db": 20.5},
        {"midi": 60.5},
        {"velocity": 91},
        {"program": 49},
        {"soundfont": "1" * 64},
        {"rms": 0.06},
        {"skip": 0.3},
        {"offset": 0.02},
        {"max_hz": 4000.0},
        {"seconds": 0.9},
        {"ramp": 0.01},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_changes_the_samples_changes_the_hash(change):
    assert mixture(**change).sha256 != mixture().sha256


@pytest.mark.parametrize(
    "change", [{"label": "A4"}, {"chord": "minor"}, {"tone_midi": 57.0}, {"timbre": "odd"}, {"role": "x"}]
)
def test_labels_do_not_change_the_hash(change):
    changed = mixture(**change)
    assert changed != mixture()
    assert changed.sha256 == mixture().sha256


def test_equal_numbers_hash_alike_however_they_are_spelled():
    plain = Stimulus((Tone((Partial(440.0, 1.0, 0.0),)),), 1.0)
    spelled = Stimulus([Tone([Partial(440, np.float32(1), -0.0)])], np.float64(1), ramp_seconds=np.float64(0.02))
    assert spelled == plain
    assert spelled.sha256 == plain.sha256
    assert hash(spelled) == hash(plain)


def test_grouping_into_tones_does_not_change_the_hash():
    one, other = Partial(440.0, 0.1), Partial(660.0, 0.1)
    assert Stimulus((Tone((one, other)),), 1).sha256 == Stimulus((Tone((one,)), Tone((other,))), 1).sha256


def test_the_hash_is_the_same_in_another_process_and_next_year():
    """Activations are stored under this name: if it moves, SYNTHESIS_VERSION must rise with it."""
    code = (
        "import conftest; from testtone.stimuli import *; "
        "print(Stimulus((Tone((Partial(440.0, 0.1, 0.3),)), Noise(7, snr_db=30)), 0.8).sha256)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60
    )
    here = Stimulus((Tone((Partial(440.0, 0.1, 0.3),)), Noise(7, snr_db=30)), 0.8).sha256
    assert run.stdout.strip() == here == "db463f046951aa1c792a6c2c56c470d4f01bab0fddf6f17ed334e107e16150f2"


def test_importing_stimuli_loads_neither_fluidsynth_nor_torch():
    code = (
        "import sys; sys.modules['fluidsynth'] = None; import conftest, testtone.stimuli as s; "
        "s.Stimulus.of(s.note(69, 'tilt'), seconds=0.1).render(24000); "
        "print([name for name in ('torch', 'pretty_midi') if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.strip() == "[]"


def test_truth_is_plain_json_and_complete():
    stimulus = mixture(label="A4 in company", chord="minor")
    truth = stimulus.truth()
    assert json.loads(json.dumps(truth, allow_nan=False)) == truth
    tone, render, noise = truth["sources"]
    assert tone["partials"][0] == {"hz": 440.0, "amplitude": 0.1, "phase": 0.5}
    assert (tone["midi"], tone["timbre"]) == (69.0, "tilt")
    assert render["notes"] == [{"midi": 60.25, "velocity": 90, "start_seconds": 0.0, "end_seconds": None}]
    assert (render["program"], render["soundfont_sha256"]) == (48, SHA)
    assert (noise["seed"], noise["snr_db"]) == (3, 20.0)
    assert truth["pitches"] == [69.0, 60.25]
    assert truth["pitch_names"] == ["A4", "C4 +25 c"]
    assert (truth["chord"], truth["label"], truth["sha256"]) == ("minor", "A4 in company", stimulus.sha256)


@pytest.mark.parametrize("stimulus", [mixture(label="x", chord="major"), silence(0.5)], ids=["mixture", "silence"])
def test_a_stimulus_comes_back_from_its_truth(stimulus):
    assert Stimulus.from_truth(json.loads(json.dumps(stimulus.truth()))) == stimulus


def test_drawing_phases_changes_phases_only():
    stimulus = mixture()
    drawn = stimulus.with_phases(np.random.default_rng(1))
    assert [(p.hz, p.amplitude) for p in drawn.partials] == [(p.hz, p.amplitude) for p in stimulus.partials]
    assert all(one.phase != other.phase for one, other in zip(drawn.partials, stimulus.partials, strict=True))
    assert drawn.sources[1].skip_seconds == stimulus.sources[1].skip_seconds
    assert 0.0 <= drawn.sources[1].offset_seconds <= 0.05
    assert drawn.sources[2] == stimulus.sources[2]
    assert drawn == stimulus.with_phases(np.random.default_rng(1))


def test_drawn_phases_are_uniform_round_the_circle():
    tone = Tone(tuple(Partial(100.0 + n, 0.001) for n in range(2000)))
    angles = np.array([p.phase for p in tone.with_phases(np.random.default_rng(2)).partials])
    assert abs(np.mean(np.exp(1j * angles))) < 0.06
    assert np.histogram(angles, 4, (0, 2 * math.pi))[0].min() > 430


def test_roving_moves_each_source_by_its_own_offset_within_bounds():
    stimulus = Stimulus(tuple(note(midi, "tilt") for midi in range(48, 88)), 0.5)
    roved = stimulus.roved(np.random.default_rng(0), db=3.0)
    db = [20 * math.log10(a.rms / b.rms) for a, b in zip(roved.sources, stimulus.sources, strict=True)]
    assert -3.0 <= min(db) < -2.0
    assert 2.0 < max(db) <= 3.0
    within = [
        p.amplitude / q.amplitude for p, q in zip(roved.sources[0].partials, stimulus.sources[0].partials, strict=True)
    ]
    assert np.ptp(within) < 1e-12


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Partial(0.0, 0.1), ValueError, r"hz=0.0 must be above 0.0 \(Hz\)"),
        (lambda: Partial(math.nan, 0.1), ValueError, r"hz=nan must be finite \(Hz\)"),
        (lambda: Partial("A4", 0.1), TypeError, r"hz='A4' must be a number \(Hz\), not str"),
        (lambda: Partial(440.0, -0.1), ValueError, r"amplitude=-0.1 must be at least 0.0 \(re full scale 1\)"),
        (lambda: Partial(440.0, 0.1, math.inf), ValueError, r"phase=inf must be finite \(radians\)"),
        (lambda: Tone(()), ValueError, r"partials=\(\) is empty; silence is a Stimulus without sources"),
        (lambda: Tone((440.0,)), TypeError, "partials must hold Partial, not float"),
        (lambda: Noise(1), ValueError, "give exactly one of the two"),
        (lambda: Noise(1, snr_db=3, rms=0.1), ValueError, "give exactly one of the two"),
        (lambda: Noise(1.5, rms=0.1), TypeError, "seed=1.5 must be a whole number, not float"),
        (lambda: Noise(-1, rms=0.1), ValueError, "seed=-1 must be at least 0"),
        (lambda: Note(128.5), ValueError, r"midi=128.5 must be at most 127.0"),
        (lambda: Note(60, 0), ValueError, r"velocity=0 must lie in 1\.\.127"),
        (lambda: Note(60, 100, 0.5, 0.4), ValueError, r"end_seconds=0.4 must be above 0.5"),
        (lambda: Render((), 0, SHA, 0.1), ValueError, r"notes=\(\) is empty"),
        (lambda: Render((Note(60),), 128, SHA, 0.1), ValueError, r"program=128 must lie in 0\.\.127"),
        (
            lambda: Stimulus((Partial(440.0, 0.1),), 1.0),
            TypeError,
            "sources must hold Tone, Noise, Click, Render, Multisine or Recording, not Partial",
        ),
        (lambda: Stimulus((), 0.0), ValueError, r"seconds=0.0 must be above 0.0 \(s\)"),
        (lambda: Stimulus((), 0.1, 0.06), ValueError, r"ramp_seconds=0.06 must be at most 0.05"),
        (
            lambda: Stimulus((Noise(1, snr_db=3), Noise(2, snr_db=3)), 1.0),
            ValueError,
            "two noises with snr_db: each would be relative to the other",
        ),
        (lambda: silence(1.0) + Stimulus((), 2.0, 0.0), ValueError, "seconds=1.0 and 2.0 differ: only equal ones mix"),
        (lambda: silence(1.0) + Stimulus((), 1.0), ValueError, "ramp_seconds=0.0 and 0.02 differ"),
        (
            lambda: mixture() + Stimulus((), 0.8),
            ValueError,
            r"a noise with snr_db would change its level in the mixture; mix, then .with_noise\(",
        ),
        (lambda: silence(1.0) + 1.0, TypeError, "unsupported operand"),
        (
            lambda: Stimulus.from_truth({**silence(1.0).truth(), "sources": [{"kind": "dog"}]}),
            ValueError,
            "kind='dog' is unknown",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()
