"""The filters of the first layer are as narrow as the ear's."""

import pytest

from testtone.probes import first_layer_isolates as probe
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

CLAIM = Claim(
    id="first_layer_isolates",
    title="The first layer isolates partials",
    source="Post 0, section 0.3",
    quote="It is natural to look for partials here",
    proposition="The filters of the first layer isolate partials: they are as narrow as the ear's.",
    stance="does-not-hold",
    sites=("first_conv",),
    probe=probe.first_layer_isolates,
    threshold=probe.THRESHOLD,
    controls=(
        Control(encoder="erb-filters", expected="supported"),
        Control(encoder="short-filters", expected="refuted"),
    ),
    explanation=(
        "The ear hears out a partial because somewhere in the cochlea a filter lets it pass and keeps its neighbours "
        "out; such a filter is a semitone or two wide where melodies lie. An encoder's first layer is a bank of "
        "filters, too, but each looks at a handful of samples, a fraction of a millisecond. In so short a time a tone "
        "of 440 Hz has hardly moved, and one of 880 Hz looks much the same. So we click once, look at what every "
        "filter answers, and ask how wide it is next to the ear's filter at the same place."
    ),
    method=(
        "A click at each sample of the stride; the answers, in order, are the filters. Their equivalent noise "
        "bandwidth (the width of the rectangle of equal height and area under the power response) is divided by the "
        "ear's equivalent rectangular bandwidth at the frequency of largest gain (Glasberg & Moore 1990). The effect "
        "is the mean over filters of minus the logarithm of that ratio, in octaves: 0 is as narrow as the ear, -1 "
        "twice as wide, which is the line between the verdicts. A filter of k taps cannot be narrower than the sample "
        "rate over 2 k. Interval: jackknife over filters."
    ),
)


@pytest.mark.claims(CLAIM)
def test_first_layer_isolates(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
