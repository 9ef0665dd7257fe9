"""Complexes and timbres: where the partials lie, how strong they are, and what their phases do to the envelope."""

import math

import numpy as np
import pytest

from testtone.stimuli import TIMBRES, Stimulus, Tone, harmonic_complex, hz_from_midi, multisine, note


def crest_factor(tone):
    wave = Stimulus.of(tone, seconds=1.0, ramp_seconds=0.0).render(24000).astype(float)
    return np.abs(wave).max() / math.sqrt(np.mean(wave**2))


def db_re_first(tone):
    return [20 * math.log10(p.amplitude / tone.partials[0].amplitude) for p in tone.partials]


def test_harmonics_lie_on_multiples_and_fall_by_the_tilt():
    tone = harmonic_complex(200.0, harmonics=8, tilt_db_per_octave=-6.0)
    assert [p.hz for p in tone.partials] == pytest.approx([200.0 * n for n in range(1, 9)])
    assert db_re_first(tone) == pytest.approx([-6 * math.log2(n) for n in range(1, 9)])


def test_odd_harmonics_are_odd():
    assert [p.hz for p in harmonic_complex(100.0, harmonics=8, only="odd").partials] == pytest.approx(
        [100, 300, 500, 700]
    )


def test_stiff_string_stretches_the_partials():
    """f_n = n f0 sqrt(1 + B n^2): with B = 0.002 the eighth partial lies 104 cents above the eighth harmonic."""
    tone = harmonic_complex(100.0, harmonics=8, inharmonicity=0.002)
    assert tone.partials[0].hz == pytest.approx(100 * math.sqrt(1.002))
    assert 1200 * math.log2(tone.partials[7].hz / 800.0) == pytest.approx(104.3, abs=0.1)


def test_a_formant_lifts_its_neighbourhood_and_is_3_db_down_at_half_its_bandwidth():
    tone = harmonic_complex(100.0, harmonics=20, tilt_db_per_octave=0.0, formant_hz=[(1000.0, 200.0)])
    level = {round(p.hz): 20 * math.log10(p.amplitude) for p in tone.partials}
    assert max(level, key=level.get) == 1000
    assert level[1000] - level[1100] == pytest.approx(3.01, abs=0.01)
    assert level[1000] - level[900] == pytest.approx(3.01, abs=0.01)


@pytest.mark.parametrize("options", [{}, {"only": "odd"}, {"formant_hz": [(600, 100)]}, {"max_hz": 900.0}])
def test_rms_is_that_of_the_waveform(options):
    tone = harmonic_complex(220.0, rms=0.07, **options)
    wave = Stimulus.of(tone, seconds=1.0, ramp_seconds=0.0).render(24000)
    assert math.sqrt(np.mean(wave.astype(float) ** 2)) == pytest.approx(0.07, rel=1e-6)


def test_schroeder_phases_flatten_the_envelope():
    """A flat complex of 32 harmonics: crest factor near that of one sinusoid, below cosine phase (Schroeder 1970)."""
    options = {"harmonics": 32, "tilt_db_per_octave": 0.0}
    assert crest_factor(harmonic_complex(100.0, phases="cosine", **options)) == pytest.approx(8.0, rel=0.01)
    for phases in ("schroeder+", "schroeder-"):
        assert crest_factor(harmonic_complex(100.0, phases=phases, **options)) < 1.9


def test_schroeder_phases_of_a_flat_complex_are_the_textbook_ones():
    phase = [
        p.phase for p in harmonic_complex(100.0, harmonics=10, tilt_db_per_octave=0.0, phases="schroeder+").partials
    ]
    expected = [math.pi * n * (n - 1) / 10 for n in range(1, 11)]
    np.testing.assert_allclose(np.exp(1j * np.array(phase)), np.exp(1j * np.array(expected)), atol=1e-12)


def test_schroeder_signs_are_time_reversals():
    plus, minus = (
        Stimulus.of(harmonic_complex(100.0, harmonics=12, phases=phases), seconds=0.1, ramp_seconds=0.0).render(24000)
        for phases in ("schroeder+", "schroeder-")
    )
    np.testing.assert_allclose(plus[1:], minus[:0:-1], atol=1e-7)


def test_random_phases_come_from_the_generator_handed_in():
    one, same, other = (harmonic_complex(100.0, phases="random", rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_multisine_takes_one_amplitude_or_one_for_each():
    rng = np.random.default_rng(0)
    assert [p.amplitude for p in multisine([100.0, 230.0], amplitude=0.1, rng=rng).partials] == [0.1, 0.1]
    assert [p.amplitude for p in multisine([100.0, 230.0], amplitude=[0.1, 0.2], rng=rng).partials] == [0.1, 0.2]


@pytest.mark.parametrize("timbre", TIMBRES)
@pytest.mark.parametrize("midi", [45, 60.25, 84])
def test_a_note_has_its_pitch_level_and_labels(timbre, midi):
    tone = note(midi, timbre, rms=0.04)
    assert isinstance(tone, Tone)
    assert (tone.midi, tone.timbre) == (midi, timbre)
    assert tone.rms == pytest.approx(0.04, rel=1e-12)
    stretch = math.sqrt(1.002) if timbre == "inharmonic" else 1.0
    assert tone.partials[0].hz == pytest.approx(stretch * hz_from_midi(midi), rel=1e-12)


def test_timbres_are_told_apart_by_their_spectra():
    spectra = {name: tuple((p.hz, round(p.amplitude, 9)) for p in note(57, name).partials) for name in TIMBRES}
    assert len(set(spectra.values())) == len(TIMBRES) >= 5


@pytest.mark.parametrize("timbre", TIMBRES)
def test_max_hz_leaves_partials_out_and_keeps_the_level(timbre):
    tone = note(69, timbre, max_hz=1500.0)
    assert max(p.hz for p in tone.partials) <= 1500.0
    assert tone.rms == pytest.approx(0.05, rel=1e-12)


def test_a_generator_draws_the_start_phases_of_a_note():
    fixed, drawn = note(69, "tilt"), note(69, "tilt", rng=np.random.default_rng(0))
    assert {p.phase for p in fixed.partials} == {-math.pi / 2}
    assert len({p.phase for p in drawn.partials}) == 8
    assert [p.amplitude for p in fixed.partials] == [p.amplitude for p in drawn.partials]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: harmonic_complex(-5.0), "f0_hz=-5.0 must be a positive frequency in Hz"),
        (lambda: harmonic_complex(100.0, harmonics=0), "harmonics=0 must be a whole number of at least 1"),
        (lambda: harmonic_complex(100.0, only="even"), "only='even' is unknown; known: all, odd"),
        (lambda: harmonic_complex(100.0, inharmonicity=-1.0), "inharmonicity=-1.0 must be at least 0"),
        (lambda: harmonic_complex(100.0, phases="random"), "phases='random' needs rng="),
        (lambda: harmonic_complex(100.0, phases="zero"), r"phases='zero' is unknown; known: sine, cosine, random"),
        (lambda: harmonic_complex(100.0, max_hz=50.0), "max_hz=50.0 leaves no partial of f0_hz=100.00"),
        (
            lambda: harmonic_complex(100.0, formant_hz=[(500.0, 0.0)]),
            r"formant_hz=\(500.0, 0.0\): centre and bandwidth",
        ),
        (lambda: note(69, "oboe"), "timbre='oboe' is unknown; known: sine, tilt, .*program:0 to program:127"),
        (lambda: note(69, "program:x"), "timbre='program:x' is unknown"),
        (lambda: note(69, "program:128"), r"program=128 must lie in 0\.\.127"),
        (lambda: note(69, "program:0", max_hz=400.0), r"max_hz=400.0 lies below the pitch \(midi=69, 440.00 Hz\)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
