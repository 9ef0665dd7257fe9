"""Each partial of a mixture can be read off the code."""

import pytest

from testtone.probes import separable as probe
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

CLAIM = Claim(
    id="separable",
    title="Separable partials",
    source="Post 0, section 0.2",
    quote=(
        "narrowband oscillatory components must be represented in a way that is both separable and stable across "
        "contexts"
    ),
    proposition="Each partial of a mixture can be read off the code linearly.",
    stance="does-not-hold",
    sites=("stack_end", "latent", "quantised"),
    probe=probe.separable,
    threshold=probe.THRESHOLD,
    controls=(
        Control(encoder="power-filterbank", expected="supported"),
        Control(encoder="two-numbers", expected="refuted"),
    ),
    family="presence",
    explanation=(
        "Sixteen pure tones sound or keep silent, each as a coin falls, over a drone. Can one tell from the code, for "
        "each of the sixteen, whether it is there? An ear tells, for every tone has its own place on the cochlea. A "
        "code that mixes them, as paints are mixed, gives away a colour and keeps the tubes to itself."
    ),
    method=(
        "Mixtures of partials at least one ear-bandwidth apart, each on or off at random, at one level in all, so that "
        "loudness does not tell how many there are. For each partial a ridge regression learns from the mean and the "
        "log power of every channel which mixtures hold it, and is scored on mixtures that it did not learn from: the "
        "area under its ROC curve is the probability that of two mixtures, one with the partial and one without, it "
        "picks the right one. Readers that had heard endless mixtures would do better still; how much follows from "
        "readers that heard half of them. The mean over partials must exceed .75, half way from guessing to certainty. "
        "Interval: over partials, from differences between neighbours. A control that knows only level and brightness "
        "must fail."
    ),
)


@pytest.mark.claims(CLAIM)
def test_separable(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
