"""Near waveforms get near codes, far ones do not: similarity is local."""

import pytest

from testtone.probes import local_similarity as probe
from testtone.probes import margins
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

CLAIM = Claim(
    id="local_similarity",
    title="Similarity is local",
    source="Post 0, section 0.2",
    quote="The first assumption may hold locally, when waveform shapes are sufficiently similar.",
    proposition="Near waveforms get near codes; far ones do not: similarity is local.",
    stance="holds",
    sites=("stack_end", "latent"),
    probe=probe.local_similarity,
    threshold=probe.THRESHOLD,
    margin=margins.LOCAL_SIMILARITY,
    controls=(
        Control(encoder="waveform-features", expected="supported"),
        Control(encoder="polyphase", expected="refuted"),
    ),
    explanation=(
        "Take a tone and change its wave a little: a breath of noise, a shift by a fraction of a millisecond, one "
        "partial started a little later. Then change it more and more. If the code follows small changes, near waves "
        "get near codes. If it went on following them however large they grow, the code would be a map of all waves, "
        "true at any distance. Similarity that is only local is like a photograph of a street: it shows what is near "
        "in its true order, and beyond the corner nothing at all."
    ),
    method=(
        "Tones with neighbours in three families (noise added, shifted in time, one partial turned), near and far. "
        "Within each tone and family, rank correlations between the distances of the waveforms and those of the codes: "
        "over neighbours nearer than .3, and over those farther than .8 (independent sounds are at 1). The effect is "
        "the smaller of the first and of one minus the second. Above one half order is kept near by and lost far "
        "away. A code that is the waveform keeps order everywhere, and refutes; so does one that keeps none. Interval: "
        "jackknife over tones."
    ),
)


@pytest.mark.claims(CLAIM)
def test_local_similarity(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
