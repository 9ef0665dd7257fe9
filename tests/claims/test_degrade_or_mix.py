"""Downsampling and nonlinearity cost partial information."""

import pytest

from testtone.probes import alias_lines
from testtone.probes import degrade_or_mix as probe
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

CLAIM = Claim(
    id="degrade_or_mix",
    title="Degraded or mixed",
    source="Post 0, section 0.3",
    quote=(
        "repeated downsampling, convolution, and nonlinearities transform the spectral fingerprint of the signal in "
        "ways that degrade or mix spectral structure"
    ),
    proposition="Downsampling and nonlinearity cost what a code holds of single partials.",
    stance="holds",
    sites=("stack_end", "latent"),
    probe=probe.degrade_or_mix,
    lacking=alias_lines.nothing_folds,
    threshold=probe.THRESHOLD,
    controls=(
        Control(encoder="naive-bank", expected="supported"),
        Control(encoder="polyphase", expected="refuted"),
    ),
    family="alias_classes",
    explanation=(
        "Imagine a chord of three thousand tones, each as loud as chance has it, and someone who may look at the code "
        "only and must say how loud each tone was. Now imagine a twin of the encoder that never skips a sample and "
        "never bends a waveform, built from the same filters, and the same question asked of its output. If the twin "
        "tells more, that difference is what skipping and bending have cost. An encoder with few channels that skips "
        "hundreds of samples must lose most of the tones, however good its filters are; one that keeps every sample in "
        "some channel loses none."
    ),
    method=(
        "Dense sounds of 256 members of each of 12 alias classes, sizes and phases drawn anew in each sound. A linear "
        "reader learns each partial's complex amplitude from the channels at the partial's line: the alias line in the "
        "code, its own line in the twin. The twin's response to a partial is heard from outside, softly and one member "
        "at a time: a linear system answers a lone partial at its alias line as its full-rate twin does at its own. "
        "An encoder that is not linear even for soft sounds must offer a linear variant, or the claim does not apply. "
        "The effect is the difference in explained variance, mean over partials; R2 of the code is corrected for the "
        "finite number of sounds, so that many channels are no handicap. Above .1 a tenth of a partial's variance is "
        "lost; below .05 next to nothing. The parts tell apart what the strides and what the nonlinearities cost. "
        "Interval: two-way jackknife over alias classes and blocks of sounds."
    ),
)


@pytest.mark.claims(CLAIM)
def test_degrade_or_mix(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
