"""At equal spectral distance the code does not tell pitch class or chord."""

import pytest

from testtone.probes import spectral_to_semantic as probe
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

CLAIM = Claim(
    id="spectral_to_semantic",
    title="From spectrum to meaning",
    source="Post 0, section 0.2",
    quote="similar spectral structures always map to similar semantic meanings",
    proposition="At equal spectral distance the code does not tell pitch class or chord.",
    stance="holds",
    sites=("stack_end", "latent", "quantised"),
    probe=probe.spectral_to_semantic,
    threshold=probe.THRESHOLD,
    controls=(
        Control(encoder="holistic-features", expected="supported"),
        Control(encoder="oracle-chroma", expected="refuted"),
    ),
    explanation=(
        "An A is an A in any octave and on any instrument, and a C major triad is one in any voicing. Sounds with one "
        "name often share partials too, so that whoever hears only the colour of a sound will seem to know its name. "
        "To be fair we compare pairs that are equally alike in colour and equally far apart in height: an A3 and an A4 "
        "with an A3 and a G4 or a B4. If the code knows names, the first two are nearer to each other in it."
    ),
    method=(
        "All pitch classes in two octaves and several timbres (additive and FluidSynth), and triads in several "
        "voicings. Pairs across octaves or voicings, in strata of their distance in ear-wide spectrum, in height and "
        "of same or other timbre. The effect is .65 minus the probability that, within a stratum, a pair with one name "
        "is nearer in the code than a pair with two (.5: chance); notes and triads count alike. Above 0 names are "
        "hardly ahead; below -.10 they win three times in four. Interval: jackknife over names."
    ),
)


@pytest.mark.claims(CLAIM)
def test_spectral_to_semantic(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
