"""Aliasing arithmetic against samples that are really thrown away."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testtone.stimuli import Chain, Collision, fold
from testtone.stimuli.alias_classes import draw_classes

ENCODEC = Chain(24000, (2, 4, 5, 8))
SAMPLECNN = Chain(22050, (3,) * 10)
CHAINS = pytest.mark.parametrize("chain", [ENCODEC, SAMPLECNN], ids=["encodec", "samplecnn"])
# cos of a phase of up to 1e5 radians, in float64
ARITHMETIC = 1e-8


def decimated(hz, phase, rate, stride, count=64):
    """Return every ``stride``-th sample of a cosine, formed at the full rate."""
    n = np.arange(count) * stride
    return np.cos(2 * np.pi * math.fmod(hz, rate) * n / rate + phase)


def test_the_worked_examples():
    assert ENCODEC.hop == 320
    assert ENCODEC.rates == (12000.0, 3000.0, 600.0, 75.0)
    assert ENCODEC.cascade(440.0) == (440.0, 440.0, 160.0, 10.0)
    assert ENCODEC.cascade(2093.0) == (2093.0, 907.0, 293.0, 7.0)
    assert SAMPLECNN.hop == 59049
    assert SAMPLECNN.rates[:2] == (7350.0, 2450.0)
    assert fold(9000.0, 75.0) == 0.0


@settings(max_examples=60, deadline=None)
@given(hertz=st.integers(1, 11999), thousandths=st.integers(0, 999), turn=st.integers(0, 15))
def test_folding_is_what_dropping_samples_does(hertz, thousandths, turn):
    """After each stride the samples are those of the alias, run backwards if it is a mirror image."""
    hz, phase = hertz + thousandths / 1000, turn * math.pi / 8
    for index, rate in enumerate(ENCODEC.rates):
        prefix = Chain(24000, ENCODEC.strides[: index + 1])
        folded = decimated(prefix.alias(hz), prefix.orientation(hz) * phase, rate, 1)
        np.testing.assert_allclose(decimated(hz, phase, 24000, prefix.hop), folded, atol=ARITHMETIC)
        assert ENCODEC.cascade(hz)[index] == pytest.approx(prefix.alias(hz), abs=1e-9)


@pytest.mark.parametrize("alias_hz", [11.3, 0.001, 37.4])
def test_members_are_the_whole_class(alias_hz):
    """On a fine grid of all audible frequencies, exactly the members look like the alias once decimated."""
    members = ENCODEC.members(alias_hz)
    assert len(members) == len(set(members)) == ENCODEC.hop
    assert list(members) == sorted(members)
    for hz in members:
        same = decimated(hz, 0.7, 24000, 320)
        np.testing.assert_allclose(same, decimated(alias_hz, ENCODEC.orientation(hz) * 0.7, 75.0, 1), atol=ARITHMETIC)
    assert sum(ENCODEC.orientation(hz) for hz in members) == 0


def test_members_leave_nobody_out():
    members = set(ENCODEC.members(11.25))
    grid = np.arange(1, 4 * 12000) / 4
    assert {hz for hz in grid if ENCODEC.alias(hz) == 11.25} == members
    assert ENCODEC.members(440.0) == ENCODEC.members(10.0)


@pytest.mark.parametrize(("alias_hz", "count"), [(0.0, 159), (37.5, 160)])
def test_at_the_edges_of_a_band_mirror_and_translation_meet(alias_hz, count):
    members = ENCODEC.members(alias_hz)
    assert len(members) == len(set(members)) == count
    assert all(ENCODEC.orientation(hz) == 1 for hz in members)


def test_edges_of_a_band_are_counted_once_where_rates_are_not_exact():
    """22050 / 729 Hz is no binary number: the two signs give neighbouring floats, and one frequency."""
    chain = Chain(22050, (3,) * 6)
    members = chain.members(chain.rate / 2)
    assert len(members) == 364
    assert np.diff(members) == pytest.approx(chain.rate)


def test_an_odd_hop_has_as_many_members_as_samples():
    assert len(SAMPLECNN.members(0.1)) == 59049


@CHAINS
def test_collisions_begin_once_and_never_end(chain):
    rng = np.random.default_rng(0)
    for alias_hz in rng.uniform(0.1, 0.9, 20) * chain.rate / 2:
        members = chain.members(float(alias_hz))
        first, second = (members[index] for index in rng.integers(0, len(members), 2))
        if first == second:
            continue
        stride = chain.first_collision(first, second)
        together = [
            abs(one - other) < 1e-6 for one, other in zip(chain.cascade(first), chain.cascade(second), strict=True)
        ]
        assert together == [index >= stride for index in range(len(chain.strides))]
        assert chain.same_class(first, second)
        mirrored = chain.orientation(first) != chain.orientation(second)
        assert chain.relation(first, second) == ("mirror" if mirrored else "translation")


@pytest.mark.parametrize(
    ("first", "second", "stride", "relation"),
    [
        (5900.0, 6100.0, 0, "mirror"),
        (1400.0, 1600.0, 1, "mirror"),
        (290.0, 310.0, 2, "mirror"),
        (440.0, 515.0, 3, "translation"),
        (440.0, 460.0, 3, "mirror"),
        (440.0, 1040.0, 2, "translation"),
        (440.0, 441.0, None, None),
        (440.0, 440.0, 0, "translation"),
    ],
)
def test_where_two_frequencies_first_meet(first, second, stride, relation):
    assert ENCODEC.first_collision(first, second) == stride
    assert ENCODEC.relation(first, second) == relation
    assert ENCODEC.same_class(first, second) == (stride is not None)


def test_equal_tempered_accidents_show_up_within_their_tolerance():
    """A4 and F#5 differ by 300 Hz to within 0.03 Hz: translations of each other at 75 frames a second."""
    a4, f5 = 440.0, 440.0 * 2 ** (9 / 12)
    assert not ENCODEC.same_class(a4, f5)
    assert ENCODEC.same_class(a4, f5, tolerance_hz=0.03)


def test_collisions_of_a_harmonic_sound():
    """Harmonics h and k of f0 meet if and only if (h + k) f0 or (h - k) f0 is a multiple of the frame rate."""
    f0 = 37.5 + 75.0 / 7
    found = {
        (round(c.first_hz / f0), round(c.second_hz / f0)) for c in ENCODEC.collisions([f0 * n for n in range(1, 16)])
    }
    expected = {
        (h, k)
        for h in range(1, 16)
        for k in range(h + 1, 16)
        if min(fold((h + k) * f0, 75.0), fold((h - k) * f0, 75.0)) < 1e-6
    }
    assert found == expected
    assert len(expected) > 5
    assert ENCODEC.collisions([100.0, 175.0]) == (Collision(100.0, 175.0, 3, 75.0, "translation"),)
    assert ENCODEC.collisions([100.0, 220.0, 333.0]) == ()


@pytest.mark.parametrize(("hz", "clearance"), [(9000.0, 0.0), (37.5, 0.0), (440.0, 10.0), (30.0, 7.5), (18.75, 18.75)])
def test_clearance_is_the_distance_to_where_an_alias_stands_still(hz, clearance):
    assert ENCODEC.clearance(hz) == pytest.approx(clearance, abs=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ENCODEC.alias(13000.0),
            r"hz=13000.0 must lie between 0 and Nyquist \(12000.0 Hz at sample_rate=24000\)",
        ),
        (lambda: ENCODEC.members(-1.0), "hz=-1.0 must lie between 0 and Nyquist"),
        (lambda: Chain(24000, ()), r"strides=\(\) must be whole numbers of at least 1, one or more"),
        (lambda: Chain(24000, (2, 0)), r"strides=\(2, 0\) must be whole numbers"),
        (lambda: Chain(0, (2,)), r"sample_rate=0 must be positive \(Hz\)"),
        (lambda: fold(440.0, 0.0), r"rate=0.0 must be positive \(Hz\)"),
    ],
    ids=["above Nyquist", "negative", "no strides", "zero stride", "zero rate", "fold at zero"],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_members_of_a_class_run_backwards_where_they_lie_below_a_multiple_of_the_rate():
    chain = Chain(24_000, (2, 4, 5, 8))
    classes = draw_classes(np.random.default_rng(0), chain=chain, classes=6, members=12)
    mirrored = np.array([[chain.orientation(hz) < 0 for hz in row] for row in classes.hz])
    np.testing.assert_array_equal(classes.mirrored, mirrored)
    assert 0 < mirrored.sum() < mirrored.size
    drawn = np.exp(1j * np.arange(mirrored.size)).reshape(mirrored.shape)
    np.testing.assert_array_equal(classes.at_the_line(drawn).imag, np.where(mirrored, -drawn.imag, drawn.imag))
