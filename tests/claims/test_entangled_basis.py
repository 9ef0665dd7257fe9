"""Filters neither tile the frequency axis evenly nor form a tight frame."""

import pytest

from testtone.probes import entangled_basis as probe
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

CLAIM = Claim(
    id="entangled_basis",
    title="No basis that tiles the spectrum",
    source="Post 0, section 0.3",
    quote="learned filters do not appear to form an orthogonal or evenly spaced basis",
    proposition="The filters at this site neither tile the frequency axis evenly nor form a tight frame.",
    stance="holds",
    sites=("first_conv", "stack_end"),
    # With the latent the tones are those of `stack_end_selectivity`, heard once for both.
    beside=("latent",),
    family="stack_end_selectivity",
    probe=probe.entangled_basis,
    threshold=probe.THRESHOLD,
    controls=(
        Control(encoder="clumped-filters", expected="supported"),
        Control(encoder="tiled-filters", expected="refuted"),
    ),
    explanation=(
        "Think of the filters as microphones along the cochlea. Well placed, they stand at equal distances, and each "
        "picks up what the others do not. Badly placed, some huddle together and hear the same thing several times, "
        "and stretches of the spectrum are heard by nobody. We look where each filter listens, how even the gaps are, "
        "and how much the filters have in common, and compare both with filters strewn at random."
    ),
    method=(
        "First layer: the kernels, told by the encoder or measured with a click at each sample of the stride. End of "
        "the stack: tuning curves on tones spread evenly on the ERB-number scale. Unevenness is the standard deviation "
        "over the mean of the gaps between centre frequencies: 0 for a lattice, about 1 at random. Overlap is the "
        "frame potential above the least it can be, over that of random filters of the same size and sign: 0 for a "
        "tight frame, 1 at random. The effect is the smaller of the two, less one half: above 0 both are more than "
        "half of chance; below -.25 one of them is a quarter of chance or less. Interval: gaps by inverting draws of "
        "gamma-distributed gaps, overlap by jackknife over filters; for the smaller of two, refuting costs half the "
        "error each."
    ),
)


@pytest.mark.claims(CLAIM)
def test_entangled_basis(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
