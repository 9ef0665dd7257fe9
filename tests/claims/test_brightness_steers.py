"""Brightness can be steered in the code, single partials cannot."""

import pytest

from testtone.probes import brightness_steers as probe
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

CLAIM = Claim(
    id="brightness_steers",
    title="Brightness steers, partials do not",
    source="Post 0, section 0.3",
    quote=(
        'help us better steer things that can be expressed as broad oscillatory mixtures (e.g., "make this brighter" '
        'or "make this more pop-like"), but we may continue struggling to steer seemingly basic things like partials'
    ),
    proposition="A code can be steered towards brighter better than towards one partial.",
    stance="holds",
    sites=("stack_end", "latent"),
    probe=probe.brightness_steers,
    threshold=probe.THRESHOLD,
    controls=(
        Control(encoder="two-numbers", expected="supported"),
        Control(encoder="linear-stft", expected="refuted"),
    ),
    explanation=(
        "Make many sounds a little brighter and note where their codes move. If they all move the same way, that way "
        "is a knob: turn it for another sound, and its code becomes that of the brighter sound. Do the same for one "
        "partial, like pulling a single drawbar of an organ. An encoder that hears mixtures as a whole could have a "
        "knob for brightness and none for drawbars: pulling any of them would only make the sound brighter or duller."
    ),
    method=(
        "Sixteen spectra over one set of 24 partials are made brighter, louder, and rippled in six ways that leave "
        "level and centroid where they were; and sixteen of their partials, in two sets of eight, are made louder, one "
        "at a time. All edits change the waveform by the same amount. The direction of an edit is learned from half of "
        "the spectra. On the "
        "other half it must explain that edit, and do so better than the best of the seven others of its kind, each "
        "used with any strength up to its own. The effect is how much of brightening is hit in this way, minus how "
        "much of a partial. Averages over time with start phases drawn anew decide where they hold anything; else the "
        "frames themselves, with every partial's waveform frozen. From a fifth of the change upwards brightness has "
        "the advantage; below nothing it has none. A decoder is not asked. Interval: two-way over spectra and "
        "partials. A part repeats it with music under the spectra: recordings given with --claims-audio, else "
        "ensembles."
    ),
    needs_level="louder is one of the edits, and a sound divided by its level is as loud as before",
)


@pytest.mark.claims(CLAIM)
def test_brightness_steers(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
