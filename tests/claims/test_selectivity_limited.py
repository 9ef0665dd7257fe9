"""Filters deep in the stack are an octave or more wider than the ear's."""

import pytest

from testtone.probes import margins
from testtone.probes import selectivity_limited as probe
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

CLAIM = Claim(
    id="selectivity_limited",
    title="Deep filters lack selectivity",
    source="Post 0, section 0.3",
    quote="deep filters generally lack the selectivity",
    proposition="The filters at this site are an octave or more wider than the ear's.",
    stance="holds",
    sites=("stack_end", "latent"),
    probe=probe.selectivity_limited,
    threshold=probe.THRESHOLD,
    margin=margins.SELECTIVITY_LIMITED,
    controls=(
        Control(encoder="bare-decimator", expected="supported"),
        Control(encoder="power-filterbank", expected="refuted"),
    ),
    explanation=(
        "Sweep a pure tone from the bottom of the keyboard to the top and watch one channel of the code. If the "
        "channel is a filter like those of the ear, it wakes up for a couple of semitones and sleeps through the rest. "
        "If it answers to most of the keyboard, it cannot say which note was played. We watch every channel and ask "
        "what share of the ear's frequency axis it answers to, against what one filter of the ear does."
    ),
    method=(
        "Tones spread evenly on the ERB-number scale, one in each cell at random, at two levels 6 dB apart. A "
        "channel's tuning is the RMS of its answer, raised so that a channel that grows with the square of amplitude "
        "compares with one that grows in proportion. Coverage is the participation ratio of squared tuning: 1 if all "
        "frequencies are alike, 1 / N if it answers to one of N. The effect is the mean over channels of its "
        "logarithm, less that of the ear's filters (rounded exponentials one ERB wide) on the same tones: octaves by "
        "which the site is wider. Every lobe counts, and so does every alias. Above one octave the claim holds; below "
        "half an octave it does not. Interval: jackknife over channels and over blocks of tones, variances added."
    ),
)


@pytest.mark.claims(CLAIM)
def test_selectivity_limited(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
