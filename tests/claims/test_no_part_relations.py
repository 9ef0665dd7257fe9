"""A learner over the codes cannot use one part of a mixture apart from the rest."""

import pytest

from testtone.probes import no_part_relations as probe
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

CLAIM = Claim(
    id="no_part_relations",
    title="No relations between parts",
    source="Post 0, section 0.3",
    quote="that same model cannot learn semantic relationships between parts of those textures",
    proposition="A learner over the codes cannot use one part of a mixture apart from the rest.",
    stance="holds",
    sites=("stack_end", "latent", "quantised"),
    probe=probe.no_part_relations,
    threshold=probe.THRESHOLD,
    controls=(
        Control(encoder="holistic-codebook", expected="supported"),
        Control(encoder="power-filterbank", expected="refuted"),
    ),
    explanation=(
        "Two voices play together. What the first plays next follows from what it plays now; the second plays as it "
        "pleases. Somebody who hears the first voice out of the two learns the rule once and for all. Somebody to whom "
        "each pair is a sound of its own can learn by heart what follows each pair, and is lost when a pair comes that "
        "was never heard, though both of its notes were."
    ),
    method=(
        "All 144 pairs of twelve notes by twelve, the voices alike in timbre, register and level. A linear learner "
        "reads averages over time and how much each channel oscillates. It learns two thirds of the pairs, so that it "
        "hears each note with eight others, and is asked about new performances of those and about the remaining "
        "third; every pair is left out once. Learners that met each note in half the company tell how much more "
        "endless company would "
        "teach. The effect is the share of what it learned that does not carry over to pairs it has not heard: 0 if it "
        "takes parts as parts, 1 if it knows pairs only. Above .8 next to nothing "
        "carries over, below .2 nearly all of it does. It must know at least half of the pairs it has learned, or it "
        "is not judged. Interval: two-way jackknife over the notes of either voice."
    ),
)


@pytest.mark.claims(CLAIM)
def test_no_part_relations(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
