"""Quantising keeps what the latent separated."""

import pytest

from testtone.probes import discretised_latent as probe
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

CLAIM = Claim(
    id="discretised_latent",
    title="What quantising keeps",
    source="Post 0, section 0.3",
    quote="this stage could preserve or recombine them into higher-level representations",
    proposition="Quantising keeps what the latent separated: partials are told apart as well after it as before.",
    stance="open",
    sites=("quantised",),
    # The sites of `separable`, so that both play the same sounds.
    beside=("stack_end", "latent"),
    family="presence",
    probe=probe.discretised_latent,
    lacking=probe.lacking,
    threshold=probe.THRESHOLD,
    controls=(
        Control(encoder="band-codebooks", expected="supported"),
        Control(encoder="whole-codebook", expected="refuted"),
    ),
    explanation=(
        "A codec writes each moment of sound as a handful of numbers from a table, as a printer reduces a painting to "
        "a few inks. If the inks are well chosen, whatever could be told apart in the painting can be told apart in "
        "the print. We ask whether single tones of a mixture can still be read off after the reduction as well as "
        "before it, with one table, with two, with all of them."
    ),
    method=(
        "Mixtures of partials that are on or off at random, and linear readers for each partial, as in the claim of "
        "separable partials. Their mean area under the ROC curve above one half, after quantising, is divided by that "
        "before. Above .8 four fifths of what was told apart still is; below .6 two fifths are lost. If the latent "
        "itself tells next to nothing (area not above .6) there is nothing to keep, and no verdict. Prefixes of the "
        "codebooks, how often codes occur, and whether codes tell notes across performances stand beside. Interval: "
        "jackknife over partials on the logarithm of the ratio."
    ),
)


@pytest.mark.claims(CLAIM)
def test_discretised_latent(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
