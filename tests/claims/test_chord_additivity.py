"""A chord's code is the sum of its pitches' codes."""

import pytest

from testtone.probes import chord_additivity as probe
from testtone.probes import margins
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

CLAIM = Claim(
    id="chord_additivity",
    title="A chord is the sum of its notes",
    source="Post 0, section 0.2",
    quote="which could combine with others to form more complex structures such as chords",
    proposition="A chord's code is the sum of its pitches' codes.",
    stance="does-not-hold",
    sites=("stack_end", "latent", "quantised"),
    probe=probe.chord_additivity,
    threshold=probe.THRESHOLD,
    margin=margins.CHORD_ADDITIVITY,
    controls=(
        Control(encoder="power-filterbank", expected="supported"),
        Control(encoder="holistic-features", expected="refuted"),
    ),
    explanation=(
        "Listen to many chords made of twelve notes and learn what each note brings to a code. Then take chords that "
        "were never played and predict their codes by adding up what their notes bring, as the weight of a bag follows "
        "from what is put into it. If the predictions come true, chords are composed of notes in this code. If each "
        "chord is a colour of its own, the sum of its notes says nothing about it."
    ),
    method=(
        "Twelve notes (sines, harmonic tones and a FluidSynth instrument), alone, in pairs and in triads, every note "
        "at the same level in all of them. A ridge regression learns from five sixths of the chords and predicts the "
        "rest. The effect is the share of the variance between chords of one size that it predicts: 1 is a sum, 0 no "
        "better than the mean chord of as many notes. Squares are products of two performances with different start "
        "phases, so that phase neither helps nor hurts. Averages over time decide where they hold anything, else the "
        "frames themselves with every note's waveform frozen. Above four fifths a chord is its notes for most "
        "purposes; below three fifths too much of it is not. The parts repeat the sum far softer: there every smooth "
        "network adds up. Interval: jackknife over notes."
    ),
    needs_level=(
        "a chord is louder than its notes, and once each is divided by its level no code of a chord is the sum of "
        "those of its notes, whatever the encoder does with them"
    ),
)


@pytest.mark.claims(CLAIM)
def test_chord_additivity(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
