"""Distinct waveforms share a code."""

import pytest

from testtone.probes import many_to_one as probe
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

CLAIM = Claim(
    id="many_to_one",
    title="Many waveforms, one code",
    source="Post 0, section 0.2",
    quote="because the encoder is compressive, distinct waveform segments can also map to similar embeddings",
    proposition="Distinct waveforms share a code.",
    stance="holds",
    sites=("stack_end", "latent", "quantised"),
    probe=probe.many_to_one,
    threshold=probe.THRESHOLD,
    controls=(
        Control(encoder="bare-decimator", expected="supported"),
        Control(encoder="polyphase", expected="refuted"),
    ),
    explanation=(
        "A code has room for less than a wave: so two different waves may get the same one, as two different crowds "
        "may have the same head count. We go looking for such doubles. For each sound we play others that an encoder "
        "might not notice: the same tones started elsewhere in their cycles, upside down, backwards, folded to other "
        "frequencies. And where the encoder lets us, we let a second sound change step by step until its code is that "
        "of the first, while its wave must stay as different as that of an unrelated sound."
    ),
    method=(
        "For each sound the best of many others that differ from it by more than .9 in waveform (independent sounds: "
        "1). The effect is one minus the distance of the two codes over that to unrelated sounds, as heard by the "
        "encoder itself. Above .9 the code is ten times nearer than that of an unrelated sound. Below .7 refutes only "
        "with an argument that nothing nearer exists: for a linear encoder the nearest code of all is computed; the "
        "waveform may be read back from the code, so that codes of different waves are known to differ; or two "
        "searches downhill must have come to a stop. Without one the interval stays open above. Interval: jackknife "
        "over sounds."
    ),
)


@pytest.mark.claims(CLAIM)
def test_many_to_one(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
