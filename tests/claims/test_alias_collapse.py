"""Frequencies that alias onto each other share a code."""

import pytest

from testtone.probes import alias_collapse as probe
from testtone.probes import alias_lines, margins
from testtone.tests.claim import Claim, Control
from testtone.tests.trial import Trial

CLAIM = Claim(
    id="alias_collapse",
    title="Aliased frequencies collapse",
    source="Post 0, section 0.3",
    quote="if they are aliased, distinct frequencies can collapse into shared representations",
    proposition="Frequencies that alias onto each other share a code.",
    stance="holds",
    sites=("stack_end", "latent", "quantised"),
    probe=probe.alias_collapse,
    lacking=alias_lines.nothing_folds,
    threshold=probe.THRESHOLD,
    margin=margins.ALIAS_COLLAPSE,
    controls=(
        Control(encoder="bare-decimator", expected="supported"),
        Control(encoder="polyphase", expected="refuted"),
    ),
    explanation=(
        "An encoder looks at sound in steps, some 75 a second for EnCodec. Two tones whose frequencies differ by a "
        "multiple of that rate go through the steps in lockstep, as the spokes of a wagon wheel seem to stand still in "
        "a film. If the steps were all the encoder kept, two such tones would be one and the same to it. Whether they "
        "are depends on how many different filters watch at each step. So we play pairs of tones that are in lockstep, "
        "next to pairs just as far apart that are not, and ask how well each pair can still be told apart in the code."
    ),
    method=(
        "Pairs a multiple of the frame rate apart, mirror images about it, and pairs folded about the Nyquist "
        "frequency of each stride, each beside a control pair as far apart in Hz that folds nowhere. An ideal observer "
        "of unknown phase tells the two tones of a pair apart by the code's mean and by its oscillation at the alias "
        "frequency, with noise 30 dB below the tones. The effect is the share of the control pairs' discriminability "
        "(d') that the alias pairs have lost: 0 none, 1 all, mean over the kinds of pairs. Above one half most is "
        "lost; below one fifth nearly nothing. Attenuated tones do not count. Interval: jackknife over sets of pairs."
    ),
)


@pytest.mark.claims(CLAIM)
def test_alias_collapse(trial: Trial) -> None:
    """Settle the claim for one encoder at one site."""
    trial.settle()
