"""The code is one texture of the whole mixture, not a sum of parts."""

import pytest

from testtone.probes import holistic_texture as probe
from testtone.probes import margins
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

CLAIM = Claim(
    id="holistic_texture",
    title="A holistic texture",
    source="Post 0, section 0.3",
    quote="Each pattern represents some holistic texture: a summary of the entire oscillatory mixture",
    proposition="The code is one texture of the whole mixture, not a sum of its parts.",
    stance="holds",
    sites=("stack_end", "latent", "quantised"),
    probe=probe.holistic_texture,
    threshold=probe.THRESHOLD,
    margin=margins.HOLISTIC_TEXTURE,
    controls=(
        Control(encoder="holistic-features", expected="supported"),
        Control(encoder="power-filterbank", expected="refuted"),
    ),
    explanation=(
        "Take five pure tones and play every combination of them, from silence to all five. If the code is a sum of "
        "parts, each tone makes its own contribution, and the code of a combination is the sum of what its tones "
        "contribute alone, as layers in a mixing desk. If the code is a texture, each combination is a colour of its "
        "own, and nothing about it follows from its members."
    ),
    method=(
        "Every subset of sets of partials at least three ear-bandwidths apart. The differences between the codes of "
        "the subsets are split into what single partials contribute and what only combinations do (Walsh analysis of "
        "the factorial). The effect is the share of combinations, scaled so that a sum of parts gives 0 and a random "
        "function of the whole gives 1. Averages over time with start phases drawn anew decide where they hold "
        "anything; else the frames themselves, with every partial's waveform frozen. Above one half the texture "
        "outweighs the parts; below one fifth the parts are nearly all there is. Interval: jackknife over sets of "
        "partials."
    ),
    # A power filterbank, a sum of parts by construction, comes to .26 when every clip is first divided by its RMS.
    needs_level=(
        "a whole is louder than its parts, and once each is divided by its level no code is the sum of those of its "
        "parts, whatever the encoder does with them"
    ),
)


@pytest.mark.claims(CLAIM)
def test_holistic_texture(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
