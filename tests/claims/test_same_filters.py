"""The same channels respond to a pitch, whatever surrounds it."""

import pytest

from testtone.probes import margins
from testtone.probes import same_filters as probe
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

CLAIM = Claim(
    id="same_filters",
    title="The same filters for a pitch",
    source="Post 0, section 0.2",
    quote="the same subset of filters would activate for a given pitch, regardless of context",
    proposition="The same channels respond to a pitch whatever surrounds it.",
    stance="does-not-hold",
    sites=("stack_end", "latent"),
    # Clips are as long as those of `pitch_direction`, so that both hear one set of sounds.
    beside=("quantised",),
    probe=probe.same_filters,
    threshold=probe.THRESHOLD,
    margin=margins.SAME_FILTERS,
    universal="regardless of context",
    controls=(
        Control(encoder="power-filterbank", expected="supported"),
        Control(encoder="holistic-features", expected="refuted"),
    ),
    explanation=(
        "Think of an encoder's channels as the strings of a piano with the lid open. Sing a note into it, and a few "
        "strings answer. Sing it again while a chord sounds, or noise, and ask whether the same strings answer as "
        "before. If so, the note has strings of its own; if not, which strings answer depends on the company, and "
        "nobody who looks at the strings can say which note it was."
    ),
    method=(
        "Each pitch is added to twelve kinds of company a quarter tone off it, as a sine, a harmonic tone and a "
        "FluidSynth instrument, with start phases drawn anew. The tenth of the channels that the addition moves most, "
        "each measured against its own spread, is the active set. The effect is the probability that two sets of one "
        "pitch in different company overlap more than two sets of different pitches (octaves, fifths and fourths left "
        "out): one half is chance. What counts is how far a channel's mean moves, where that repeats from performance "
        "to performance, else how much more it oscillates. Above .8 four of five comparisons name the pitch; below .7 "
        "three of ten go to another one. Interval: two-way over pitches and contexts. A part repeats it with music as "
        "the company: recordings given with --claims-audio, else ensembles."
    ),
    family="pitch_direction",
)


@pytest.mark.claims(CLAIM)
def test_same_filters(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
