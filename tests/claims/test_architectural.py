"""A trained encoder and its untrained twins behave alike."""

from collections.abc import Mapping

import pytest

from testtone.models.specs import TWINS
from testtone.probes import architectural as probe
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

SEEDS = (11, 12, 13, 14, 15, 16)
"""Of the untrained encoders that every encoder is compared with: six draws of the same architecture."""

WIDTHS: Mapping[str, tuple[str, ...]] = {
    "encodec-mini-gain": tuple(f"width={each}" for each in (4, 5, 7, 9, 12, 16)),
    "samplecnn-gain": tuple(f"width={each}" for each in (0.5, 0.66, 0.87, 1.15, 1.52, 2)),
    "holistic-features": tuple(f"features={each}" for each in (128, 169, 223, 294, 388, 512)),
}
"""And a width of its own for each: half to twice the usual, in equal steps of a logarithmic scale."""


def company(spec: str) -> tuple[str, ...]:
    """Return the untrained encoders that one is compared with; none where none are known.

    An untrained encoder is compared with others of its kind where its seed is named. Named alone it is a twin on trial,
    and has none. Random features of a spectrum are an architecture without training, too: that of the controls.
    """
    name, colon, _ = spec.partition(":")
    if name in TWINS:
        kin = next(twin for twin in TWINS[name] if twin.endswith("-gain"))
    elif colon and any(name in twins for twins in TWINS.values()):
        kin = name
    elif name in ("holistic-features", "power-filterbank"):
        kin = "holistic-features"
    else:
        return ()
    widths = WIDTHS.get(kin, ("",) * len(SEEDS))
    return tuple(",".join(filter(None, (f"{kin}:seed={s}", w))) for s, w in zip(SEEDS, widths, strict=True))


CLAIM = Claim(
    id="architectural",
    title="Architecture, not training",
    source="Post 0, section 0.3",
    quote="I chose these models to prove that the effects were architectural and not model-specific",
    proposition="A trained encoder and untrained ones of the same architecture behave alike.",
    stance="holds",
    # What the quantiser or the linear layers receive is all that the rest of a model ever hears.
    sites=("latent",),
    probe=probe.architectural,
    threshold=probe.THRESHOLD,
    company=company,
    compare=probe.compare,
    controls=(
        Control(encoder="holistic-features:seed=101", expected="supported"),
        Control(encoder="power-filterbank", expected="refuted"),
    ),
    explanation=(
        "An instrument sounds the way it does partly because of how it is built, and partly because of who plays it. "
        "Here the instrument is the architecture and the player is training. Take six copies of the encoder that never "
        "heard anything, and ask the trained one and them the same questions: does a note add the same thing to every "
        "chord, is a mixture more than its parts, how wide do its units listen? If the answers are the same, it is "
        "the build that speaks."
    ),
    method=(
        "Stability of pitch directions, holism and width of tuning, as in the claims of these names, on the frames "
        "themselves and with fewer sounds. Each score is stated on the scale between the controls of its claim, from 0 "
        "to 1. "
        "The untrained are six draws of the same architecture, of half to twice its width where it can be built so, "
        "with weights of such size that sound passes all layers at its level. The effect is .15 minus the largest "
        "difference between the trained encoder and their mean: above 0 every behaviour stays within .15 of the scale; "
        "below -.15 one of them differs by more than .30. Interval: the six draws, each of a seed and a width of its "
        "own, are the clusters, and the uncertainty of the trained encoder's own score is added. The controls: random "
        "textures of the whole spectrum against six other draws of them, in other numbers, and a filterbank against "
        "the same six."
    ),
)


@pytest.mark.claims(CLAIM)
def test_architectural(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
