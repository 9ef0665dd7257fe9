"""Notes compose only where components are both separable and stable."""

import pytest

from testtone.probes import compositionality_condition as probe
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

CLAIM = Claim(
    id="compositionality_condition",
    title="The condition for compositionality",
    source="Post 0, section 0.2",
    quote=(
        "This provides a clear condition for compositionality: narrowband oscillatory components must be represented "
        "in a way that is both separable and stable across contexts"
    ),
    proposition="Notes compose only where their components are both separable and stable.",
    stance="holds",
    sites=("latent",),
    probe=probe.compositionality_condition,
    threshold=probe.THRESHOLD,
    controls=(
        Control(encoder="zoo", expected="supported"),
        Control(encoder="zoo:shuffled=True", expected="refuted"),
    ),
    on_trial=("zoo",),
    explanation=(
        "To hear a chord as three notes one needs two things: the tones must be kept apart, and each must be the same "
        "thing whatever else sounds. Here is a zoo of seventy encoders. Some keep tones apart but write them "
        "differently in every company, some are steady but blur them, some do both, some neither. Whether they find "
        "notes in chords that they never heard should go with the worse of the two gifts, not with the better one."
    ),
    method=(
        "For each encoder of the zoo three numbers from three sets of sounds: how well single partials are read off "
        "mixtures, how much of what is read in one company is read in another, and how well readers find notes in "
        "chords and company that they have not heard. The effect is the rank correlation of the third with the "
        "smaller of the first two, minus the larger of its correlations with either alone. Above zero the conjunction "
        "says more than its halves. The zoo must hold encoders with one gift only, and those must not compose; else "
        "nothing is said. Interval: bootstrap over encoders. The control that must be refuted is the same zoo with "
        "labels changed, as if separability were enough."
    ),
)


@pytest.mark.claims(CLAIM)
def test_compositionality_condition(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
