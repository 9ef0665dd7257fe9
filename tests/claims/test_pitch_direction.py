"""A pitch adds the same direction to the code, whatever surrounds it."""

import pytest

from testtone.probes import margins
from testtone.probes import pitch_direction as probe
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

CLAIM = Claim(
    id="pitch_direction",
    title="Pitch is a stable direction",
    source="Post 0, section 0.2",
    quote="This would make pitch a stable direction in activation space",
    proposition="A pitch adds the same direction to the code whatever surrounds it.",
    stance="does-not-hold",
    sites=("stack_end", "latent", "quantised"),
    probe=probe.pitch_direction,
    threshold=probe.THRESHOLD,
    margin=margins.PITCH_DIRECTION,
    controls=(
        Control(encoder="power-filterbank", expected="supported"),
        Control(encoder="holistic-features", expected="refuted"),
    ),
    explanation=(
        "Play a chord, then the same chord with one more note. Whatever changed in the encoder's code is what that "
        "note adds there. Now do it over another chord, over a single note, over noise, over nothing. If the encoder "
        "knows the note as a thing of its own, it adds the same change every time, as the same key does on a piano "
        "whatever else is held. If not, the note disappears into each new mixture in a new way."
    ),
    method=(
        "Each pitch sounds as a sine, as a harmonic tone and as a FluidSynth instrument, in twelve kinds of company a "
        "quarter tone off it, with start phases drawn anew for every sound. The effect compares the directions that "
        "one pitch adds in different contexts with those that different pitches add (octaves, fifths and fourths left "
        "out): 1 is one direction per pitch, 0 no more alike than any two pitches. It is stated for codes averaged "
        "over time and over sixteen start phases. Half of the full effect is the line between the two verdicts. "
        "Interval: two-way jackknife over pitches and contexts."
    ),
    family="pitch_direction",
)


@pytest.mark.claims(CLAIM)
def test_pitch_direction(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
