"""Of the properties of a note, a linear reader reads pitch best."""

import pytest

from testtone.probes import pitch_most_separable as probe
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

CLAIM = Claim(
    id="pitch_most_separable",
    title="Pitch is read best",
    source="Paek, Zang, Yang & Leistikow 2025, Learning interpretable features in audio latent spaces via sparse "
    "autoencoders (arXiv 2510.23802)",
    quote="(paraphrase) of pitch, amplitude and timbre, pitch is the property with the highest linear separability",
    proposition="Of pitch, level and timbre, a linear reader of the code reads pitch best.",
    stance="holds",
    sites=("stack_end", "latent", "quantised"),
    probe=probe.pitch_most_separable,
    threshold=probe.THRESHOLD,
    controls=(
        Control(encoder="pitch-alone", expected="supported"),
        Control(encoder="level-and-colour", expected="refuted"),
    ),
    explanation=(
        "Three questions about one note: which of twelve keys, which of twelve dynamics, which of twelve instruments? "
        "Somebody answers all three from an encoder's code, with nothing but a straight ruler, and has never heard "
        "this key at this dynamic, or this instrument in this register. The claim is that the key is named right most "
        "often. A code may well know one of the three and not the others; this one says which."
    ),
    method=(
        "Isolated notes that cross twelve pitches three semitones apart, twelve levels three decibels apart and "
        "twelve timbres, six of them FluidSynth instruments. For each property a linear discriminant learns from "
        "averages over time and from how much each channel oscillates, and is tested on notes that differ from all it "
        "has learned in both other properties. Its score is the share of right answers, with chance at 0 and "
        "certainty at 1. The effect is the score of pitch less the better of the other two. A lead of more than .05 "
        "counts; below 0 another property is read better. Where two are read without error there is no best, and no "
        "verdict. How far classes stand apart decides how hard each question is, and these steps are a choice: the "
        "three scores stand beside. Interval: three-way over the classes of all properties."
    ),
)


@pytest.mark.claims(CLAIM)
def test_pitch_most_separable(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
