"""Detecting a partial gets worse with density, faster than in an ear-like bank."""

import pytest

from testtone.probes import density_scaling as probe
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

CLAIM = Claim(
    id="density_scaling",
    title="The denser, the harder to hear out",
    source="Post 0, section 0.3",
    quote="this problem scales with signal density",
    proposition="Detecting a partial gets worse as more of them sound, and faster than in a bank of ear-wide filters.",
    stance="holds",
    sites=("stack_end", "latent", "quantised"),
    probe=probe.density_scaling,
    threshold=probe.THRESHOLD,
    company=lambda spec: ("power-filterbank",),
    compare=probe.compare,
    controls=(
        Control(encoder="power-filterbank:bandwidth=16", expected="supported"),
        Control(encoder="power-filterbank", expected="refuted"),
    ),
    explanation=(
        "Listen for one quiet tone in a hiss. Alone you just about hear it. Now add two other tones, then eight, then "
        "thirty-two, none of them near enough to cover yours: for the ear little changes, for each stretch of the "
        "cochlea is busy with its own stretch of the spectrum. A listener with blunt filters hears all of them in "
        "everything, and yours drowns. We measure how fast it drowns in an encoder, and how fast in a bank of filters "
        "as wide as the ear's."
    ),
    method=(
        "Twelve target partials, there or not, in white noise among 0, 4 and 32 others at random frequencies at "
        "least one ear-bandwidth away (0 and 32 alone where an encoder needs long clips), levels fixed per partial "
        "and roved by 3 dB. A linear reader for each target and density learns from some hundred and twenty clips, "
        "from the mean of each channel, its log power or both, whichever serves the clips that it learns from "
        "best, and is scored on clips that it did not hear: d' from the area under the ROC curve. The effect is "
        "the d' lost per doubling of partials, stated for a d' of 2 for a lone partial, less what a bank of "
        "ear-wide filters loses that heard draws of its own through the same probe. .15 is a third of what there "
        "is to lose from none to 32; .05 is a quarter of a d' over the same way, and nobody would notice. The "
        "noise is set so that the bank hears a lone partial with a d' of about 2, and for an encoder that does not "
        "it is softened until it does; what is left of the difference is divided out. One that never reaches 1 has "
        "nothing to lose and gets no verdict. A mixture of channels that can be undone is undone, as far as so "
        "many clips allow. Interval: two-way jackknife over targets and blocks of clips, the variances of both "
        "encoders added."
    ),
)


@pytest.mark.claims(CLAIM)
def test_density_scaling(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
