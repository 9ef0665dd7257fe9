"""Claims that take a moment: the code follows the level of three short tones."""

import numpy as np
import pytest

from testtone.probes.hearing import Ear, Listen, Probe
from testtone.probes.readouts import mean
from testtone.probes.records import Effect, Measurement, Part, Threshold
from testtone.stimuli import Partial, Stimulus, Tone
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

THRESHOLD = Threshold(0.75, 0.25)


def follows_level(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure the code's change per change of level: the gain of a meter."""
    levels = np.array([0.1, 0.2, 0.4])
    hz = rng.uniform(500, 3000, len(levels))
    tones = tuple(
        Stimulus.of(Tone((Partial(float(f), float(level)),)), seconds=0.3, label=f"{f:.0f} Hz")
        for f, level in zip(hz, levels, strict=True)
    )
    (answer,) = yield [Listen(tones, mean)]
    found = {}
    for site in ear.sites:
        gains = ear.unit(site) * answer[site].mean(axis=1) / (levels / np.sqrt(2))
        value, low, high = float(gains.mean()), float(gains.min() - 0.1), float(gains.max() + 0.1)
        effect = Effect(name="gain", value=value, low=low, high=high, confidence=0.9, unit="", n=len(gains))
        found[site] = Measurement(
            site=site,
            probe="follows_level",
            version=1,
            effect=effect,
            parts=(Part(name="the same, again", effect=effect, threshold=THRESHOLD),),
            sounds=tuple((tone.label, tone) for tone in tones),
            figures={"gains": gains.tolist()},
        )
    return found


def claim(**changes: object) -> Claim:
    """Return the claim that the code follows the level, with other words where told."""
    fields: dict = {
        "id": "level_holds",
        "title": "The code follows the level",
        "source": "A post, section 1",
        "quote": "louder is more",
        "proposition": "The code follows the level.",
        "stance": "holds",
        "sites": ("stack_end", "latent"),
        "probe": follows_level,
        "threshold": THRESHOLD,
        "controls": (
            Control(encoder="toy_encoders.py:full", expected="supported"),
            Control(encoder="toy_encoders.py:none", expected="refuted"),
        ),
        "explanation": "Play louder.",
        "method": "Three tones, three levels.",
    }
    return Claim(**fields | changes)


HOLDS = claim()
DENIED = claim(id="level_denied", stance="does-not-hold", sites=("latent",))
OPEN = claim(id="level_open", stance="open", sites=("latent",))


@pytest.mark.claims(HOLDS)
def test_level_holds(trial: Trial) -> None:
    """The source says that it holds."""
    trial.settle()


@pytest.mark.claims(DENIED)
def test_level_denied(trial: Trial) -> None:
    """The source says that it does not."""
    trial.settle()


@pytest.mark.claims(OPEN)
def test_level_open(trial: Trial) -> None:
    """The source leaves it open."""
    trial.settle()
