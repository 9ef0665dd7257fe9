"""The end of the stack is an octave more selective than the first layer."""

import pytest

from testtone.probes import stack_end_selectivity as probe
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

CLAIM = Claim(
    id="stack_end_selectivity",
    title="Selectivity grows along the stack",
    source="Post 0, section 0.3",
    quote="receptive fields are generally long enough to exhibit spectral selectivity",
    proposition="This site is at least an octave more selective for frequency than the first layer.",
    stance="holds",
    sites=("stack_end", "latent"),
    beside=("first_conv",),
    probe=probe.stack_end_selectivity,
    lacking=probe.lacking,
    threshold=probe.THRESHOLD,
    controls=(
        Control(encoder="narrowing", expected="supported"),
        Control(encoder="wide-throughout", expected="refuted"),
    ),
    explanation=(
        "A filter needs time to tell two notes apart: the longer it listens, the finer it hears. The first layer of an "
        "encoder listens for a fraction of a millisecond, the last one for tens of milliseconds. So the last one could "
        "hear much more finely. Does it? We sweep a pure tone through the ear's range and ask what share of it a "
        "channel answers to, at the first layer and at the end."
    ),
    method=(
        "Tones spread evenly on the ERB-number scale, one in each cell at random, at two levels 6 dB apart. A "
        "channel's coverage is the participation ratio of its squared tuning (1 if all frequencies are alike), stated "
        "for equal answers so that squaring does not pass for selectivity. The effect is the mean logarithm of "
        "coverage at the first layer less that at the site, in octaves. Above one octave the claim holds; below half "
        "an octave it does not. Interval: jackknife over channels of both layers and over blocks of tones, variances "
        "added."
    ),
)


@pytest.mark.claims(CLAIM)
def test_stack_end_selectivity(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
