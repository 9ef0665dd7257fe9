"""The code of a pitch alone does not find it in a mixture."""

import pytest

from testtone.probes import pitch_not_in_mixture as probe
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

CLAIM = Claim(
    id="pitch_not_in_mixture",
    title="A pitch alone is not a pitch in a mixture",
    source="Post 0, section 0.3",
    quote="these could not be semantically equated to pitches within mixtures",
    proposition="The code of a pitch alone does not find it in a mixture.",
    stance="holds",
    sites=("stack_end", "latent", "quantised"),
    probe=probe.pitch_not_in_mixture,
    threshold=probe.THRESHOLD,
    controls=(
        Control(encoder="holistic-features", expected="supported"),
        Control(encoder="power-filterbank", expected="refuted"),
    ),
    explanation=(
        "Teach somebody the notes of an instrument one at a time, then play chords and ask which of the notes are in "
        "them. A musician hears them out. A listener to whom each chord is one indivisible colour does not, though the "
        "same listener may learn to recognise every chord by heart. This claim asks which of the two a code is like."
    ),
    method=(
        "Twenty-four pitches alone, in four timbres and with new start phases and levels each time; mixtures of two, "
        "three and four of them at the level of one. A linear detector for each pitch learns from the notes alone and "
        "listens to the mixtures. The effect is .6 minus the area under its ROC curve among mixtures of as many notes, "
        "averaged over pitches: .1 is chance, negative says that notes find their like. Above 0 a detector is of no "
        "use; below -.15 it names the mixture with the pitch in three of four comparisons. To be judged at all, a code "
        "must let detectors that learned from mixtures find pitches in new performances of the same mixtures (area "
        "above .8). Interval: two-way over pitches and mixtures. A part lets the same detectors find notes in music: "
        "recordings given with --claims-audio, else ensembles."
    ),
)


@pytest.mark.claims(CLAIM)
def test_pitch_not_in_mixture(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
