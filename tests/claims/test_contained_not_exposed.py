"""Partials are in the code but not linearly accessible across contexts."""

import pytest

from testtone.probes import contained_not_exposed as probe
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

CLAIM = Claim(
    id="contained_not_exposed",
    title="Contained but not exposed",
    source="Post 0, section 0.3",
    quote=(
        "These representations contain internal narrowband components, but they cannot reliably expose them as "
        "independently accessible or stable substructures"
    ),
    proposition="Partials are in the code, but a linear reader does not find them across contexts.",
    stance="holds",
    sites=("stack_end", "latent", "quantised"),
    probe=probe.contained_not_exposed,
    threshold=probe.THRESHOLD,
    controls=(
        Control(encoder="polyphase", expected="supported"),
        Control(encoder="power-filterbank", expected="refuted"),
    ),
    family="presence",
    explanation=(
        "A groove in a record holds every note of the piece, and no one can point at the notes in it. This asks "
        "whether the code is such a groove. One listener may use any trick to tell which tones sound; another may only "
        "weigh and add up what the code offers, in company that he has not heard before. If the first succeeds and the "
        "second fails, the tones are there, but not for the taking."
    ),
    method=(
        "The mixtures of the two claims on separable and stable partials. Contained: the area under the ROC curve of "
        "the best of several readers in company they know, linear ones and matched ones, which look for a learned "
        "direction at the partial's alias frequency, whatever its start phase. What linear readers of one family would"
        " reach with endless sounds follows from how much of the scatter of what they say is chance. Exposed: that of "
        "linear readers of mean and log power in a family of mixtures when they learned in all others. Contained means"
        " above .85, exposed above .65; the effect is the smaller of the two margins, and a tenth lies between yes and"
        " no. Interval: over partials, from differences between neighbours; refutation by either margin is corrected "
        "for there being two."
    ),
)


@pytest.mark.claims(CLAIM)
def test_contained_not_exposed(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
