"""Units are the encoder's own affair: one that answers in other units is told the same, whatever the claim.

Answers of 1e-9 and of 1e+6 are heard alike: no floor, no threshold and no tolerance of a probe is in the units of an
activation.
"""

import json

import pytest

from testtone.models.listening import Listener
from testtone.tests.check import claims
from testtone.tests.harness import golden
from testtone.tests.harness.golden import CLOSE, differences
from testtone.tests.harness.halfway import Halfway

TIMES = {"first_conv": 2.0**-30, "stack_end": 2.0**20, "latent": 2.0**-25, "quantised": 2.0**-25}
"""Powers of two, which round nothing; a site's units have nothing to do with another's, but for what is quantised."""

KINDS = {claim: kind for claim, kind in golden.speaking() if kind in {**golden.HALFWAY, **golden.CLEAR}}
"""The last of the kinds without recordings on which a claim says something at ``quick``."""


class OtherUnits:
    """An encoder, or one of its variants, whose sites answer in other units."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def listen(self, waveforms):
        """Return every site in its units."""
        return {site: TIMES.get(site, 1) * values for site, values in self._inner.listen(waveforms).items()}

    def dequantise(self, codes):
        """Return what codes stand for, in the units of the quantised site."""
        return TIMES["quantised"] * self._inner.dequantise(codes)

    def ablated(self, **which):
        """Return a variant, in the units of the encoder."""
        return OtherUnits(self._inner.ablated(**which))


@pytest.mark.parametrize(("claim", "kind"), KINDS.items())
def test_units_of_activations_do_not_matter(claim, kind):
    plain = json.loads(json.dumps(golden.between(claims()[claim], kind)))
    other = json.loads(json.dumps(golden.between(claims()[claim], kind, changed=OtherUnits)))
    assert not differences(plain, other, absolute=CLOSE, relative=CLOSE)


def test_sizes_are_those_of_the_answer_to_noise():
    plain, other = Listener(Halfway()), Listener(OtherUnits(Halfway()))
    for site, times in TIMES.items():
        assert other.sizes[site] == times * plain.sizes[site]


def test_a_site_that_hears_nothing_keeps_its_units():
    class Deaf(Halfway):
        def listen(self, waveforms):
            return {site: 0.0 * values for site, values in super().listen(waveforms).items() if site != "codes"}

    assert set(Listener(Deaf()).sizes.values()) == {1.0}
