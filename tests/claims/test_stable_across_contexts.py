"""What reads a partial in one context reads it in another."""

import pytest

from testtone.probes import stable_across_contexts as probe
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

CLAIM = Claim(
    id="stable_across_contexts",
    title="Stable across contexts",
    source="Post 0, section 0.2",
    quote=(
        "narrowband oscillatory components must be represented in a way that is both separable and stable across "
        "contexts"
    ),
    proposition="What reads a partial in one context reads it in another.",
    stance="does-not-hold",
    sites=("stack_end", "latent", "quantised"),
    probe=probe.stable_across_contexts,
    threshold=probe.THRESHOLD,
    controls=(
        Control(encoder="power-filterbank", expected="supported"),
        Control(encoder="context-scrambled-filterbank", expected="refuted"),
    ),
    family="presence",
    explanation=(
        "Learn to hear one tone out of a crowd above a bass drone. Then the band changes: another drone, a chord, a "
        "rush of noise, three winds, a softer room. If the tone is the same thing in the code wherever it sounds, what "
        "was learned still serves. If the code writes it differently in every company, one starts again from nothing."
    ),
    method=(
        "Six families of mixtures, each with company of its own (a drone, and with it a chord, a band of noise, an "
        "ensemble, more partials, or a lower level). Linear readers learn in one family which mixtures hold a partial,"
        " and are scored there, on mixtures held out, and in each of the others. The effect is what they find above "
        "chance abroad as a share of what they find at home, over all pairs of families. Four fifths count as stable, "
        "less than three fifths as not. Where little is read at home (an area of .7 or less) nothing is said. Readers "
        "may use means, log powers or both; which of them serves is learned in a third family. What readers of endless"
        " sounds would find is estimated, from readers of half the sounds: who has heard little finds less abroad for "
        "that alone; half of what this adds is left open on either side. Interval: over partials, for these six kinds "
        "of company. The control that must fail is a filterbank whose bands change places with the drone: as readable "
        "as the other in any one family."
    ),
)


@pytest.mark.claims(CLAIM)
def test_stable_across_contexts(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
