"""Which partials survive aliasing is predicted by signal and architecture."""

import pytest

from testtone.models.specs import TWINS
from testtone.probes import alias_lines
from testtone.probes import unequal_and_predictable as probe
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

SEED = 11
"""Of the untrained encoder whose answers stand for those of another draw of the architecture."""


def company(spec: str) -> tuple[str, ...]:
    """Return an untrained encoder of the same architecture, whose weights predict what weights do not decide."""
    name = spec.partition(":")[0]
    kin = next((twin for twin in TWINS.get(name, ()) if twin.endswith("-gain")), None)
    return () if kin is None else (f"{kin}:seed={SEED}",)


CLAIM = Claim(
    id="unequal_and_predictable",
    title="Unequal and predictable",
    source="Post 0, section 0.3",
    quote=(
        "original narrowband components from different kinds of signals are preserved unequally under harsh aliasing "
        "(I show that this representability is predictable from the interaction of the signal and the architecture "
        "design)"
    ),
    proposition="Which partials survive aliasing is predicted by signal and architecture.",
    stance="holds",
    sites=("stack_end", "latent"),
    probe=probe.unequal_and_predictable,
    lacking=alias_lines.nothing_folds,
    threshold=probe.THRESHOLD,
    company=company,
    compare=probe.compare,
    same_draws=True,
    company_is_optional=True,
    controls=(
        Control(encoder="graded-decimator", expected="supported"),
        Control(encoder="drifting-decimator", expected="refuted"),
    ),
    family="alias_classes",
    explanation=(
        "Where hundreds of tones fold onto one another they compete for room in the code, as in an auction. A tone "
        "bids with how loud it is, and with how unlike its rivals the encoder hears it. We first play each tone by "
        "itself, very softly, and note how the encoder answers. From these answers and the loudness of all tones we "
        "predict who will win. Then we play all of them at once, hundreds of times, and count who can be read from the "
        "code. That loud tones win surprises nobody; the question is whether, among tones as loud and as high as each "
        "other, the prediction still tells winners from losers."
    ),
    method=(
        "256 members of each of 12 alias classes, in flat, harmonic and pink dense sounds. Prediction: the share of a "
        "partial's variance that the best linear reader can recover, given the encoder's small-signal responses, the "
        "spectrum, and noise as strong as what is not linear in other sounds; nothing is fitted to the sounds that are "
        "predicted. Measurement: R2 of each partial's complex amplitude from the channels at its alias line, by least "
        "squares, corrected for the finite number of sounds. The effect is their rank correlation within a class, "
        "given power and frequency of the partials. Above .3 the architecture's part is real; below .1 it is not. On "
        "the reference whose answers to soft sounds belong to other frequencies it must vanish. Where the code has "
        "more channels than there are members, or no derivative at rest, there is no verdict. Interval: jackknife over "
        "alias classes."
    ),
)


@pytest.mark.claims(CLAIM)
def test_unequal_and_predictable(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
