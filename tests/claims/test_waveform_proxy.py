"""The code follows the waveform more than the spectrum."""

import pytest

from testtone.probes import margins
from testtone.probes import waveform_proxy as probe
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

CLAIM = Claim(
    id="waveform_proxy",
    title="The waveform as a proxy",
    source="Post 0, section 0.2",
    quote="it uses waveforms as a proxy by which oscillatory structure is implicitly manipulated during compression",
    proposition="The code follows the waveform more than the spectrum.",
    stance="holds",
    sites=("stack_end", "latent", "quantised"),
    probe=probe.waveform_proxy,
    threshold=probe.THRESHOLD,
    margin=margins.WAVEFORM_PROXY,
    controls=(
        Control(encoder="polyphase", expected="supported"),
        Control(encoder="power-filterbank", expected="refuted"),
    ),
    explanation=(
        "A tone is a recipe of partials: how strong each is, and where in its cycle each starts. Change only where "
        "they start, and the wave on the screen looks altogether different while the ear hears nearly the same tone. "
        "So we play one recipe with many start positions, and many recipes, and ask what moves the code: a new recipe, "
        "or a new picture of the same recipe. An encoder that listens as we do hardly notices the second. One that "
        "looks at the picture takes every such wave for another sound."
    ),
    method=(
        "Harmonic sounds of eight partials and one level: spectra (fundamental and envelope) crossed with phase "
        "patterns (sine, cosine, Schroeder, random) and start offsets; fundamentals fit the frame rate, so that every "
        "frame sees the same piece of each wave. The effect is the share of the phase pattern in the variance of the "
        "code vector, patterns nested in spectra: 0 where phases do not count, 1 where one spectrum in two phase "
        "patterns differs as much as two spectra. Above .3 phases make up about a third of what the code tells apart; "
        "below .2 a fifth at most. Beside it: whether distances between codes are ordered as those between waveforms "
        "or as those between ear-wide spectra. Interval: jackknife over spectra."
    ),
)


@pytest.mark.claims(CLAIM)
def test_waveform_proxy(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
