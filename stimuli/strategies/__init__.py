"""Strategies for hypothesis: sounds with known contents, drawn and shrunk until a failure is one that a musician reads.

``sounds``     partials, harmonic complexes, notes in named timbres (additive or FluidSynth), chords, phase patterns,
               multisines, noise, mixtures: each draws a `Stimulus`
``relations``  two sounds with a relation: the same pitch in two contexts, aliases and mirror images for an encoder
               given as numbers and their matched controls, one spectrum in two waveforms, one partial moved
``crossed``    whole designs, small ones
``profiles``   how many examples: quick, standard, thorough

A pitch is drawn as a key and whole cents, a level in whole dB (RMS re full scale 1: a sine of amplitude 1 has -3 dB), a
start phase in sixteenths of a turn. So a failure shrinks towards ``A4 sine at -20 dB``. Bounds are keyword-only, and
those that leave nothing, or that could exceed full scale, raise ValueError where the strategy is made. Every sound can
be rendered at any rate from ``sample_rate`` on. Nothing here needs FluidSynth unless ``programs`` are asked for.

With testtone installed, ``st.from_type(Stimulus)`` draws from `stimuli`. Three examples, each a test file once your own
tracker, codec or resampler stands in place of the one shown.

A pitch tracker: any note of a harmonic timbre, on the key or beside it::

    import math

    import numpy as np
    from hypothesis import given
    from testtone.stimuli import midi_from_hz, strategies

    def track(wave, sample_rate):  # yours
        spectrum = np.abs(np.fft.rfft(wave * np.hanning(wave.size), 2**18))
        multiples = [spectrum[: 2**14 * n : n] for n in (1, 2, 3, 4, 5)]
        hz = np.arange(2**14) * sample_rate / 2**18
        return hz[np.argmax(np.prod(multiples, axis=0))]

    @strategies.settings_for("quick")
    @given(strategies.notes(additive=["tilt", "flat"], cents=50, low_midi=57, high_midi=79))
    def test_the_pitch_is_heard(sound):
        heard = midi_from_hz(track(sound.render(24_000), 24_000))
        assert abs(heard - sound.pitches[0]) < 0.2  # semitones

A codec: one sound over another, at any level, comes back at 24 dB or more::

    import numpy as np
    from hypothesis import given
    from testtone.stimuli import strategies

    def there_and_back(wave):  # yours; here 8 bits of mu-law
        squeezed = np.sign(wave) * np.log1p(255 * np.abs(wave)) / np.log(256)
        coded = np.round(squeezed * 127) / 127
        return np.sign(coded) * np.expm1(np.abs(coded) * np.log(256)) / 255

    @strategies.settings_for("quick")
    @given(strategies.mixtures())
    def test_what_comes_back_is_what_went_in(sound):
        wave = sound.render(24_000).astype(float)
        left = wave - there_and_back(wave)
        assert 10 * np.log10(np.mean(wave**2) / np.mean(left**2)) > 24

A resampler: from 48 to 16 kHz a partial above 8 kHz is gone, not folded down::

    import numpy as np
    import scipy.signal
    from hypothesis import given
    from testtone.stimuli import strategies

    def resample(wave):  # yours, 48 to 16 kHz
        return scipy.signal.resample(wave, wave.size // 3)

    @strategies.settings_for("quick")
    @given(strategies.partials(low_midi=122, high_midi=127, sample_rate=48_000))
    def test_nothing_folds_down(sound):
        wave = sound.render(48_000).astype(float)
        assert 10 * np.log10(np.mean(resample(wave) ** 2) / np.mean(wave**2)) < -60
"""

from testtone.stimuli.designs import SUSTAINED_PROGRAMS as SUSTAINED_PROGRAMS
from testtone.stimuli.strategies import profiles as profiles
from testtone.stimuli.strategies.crossed import Design as Design
from testtone.stimuli.strategies.crossed import designs as designs
from testtone.stimuli.strategies.profiles import settings_for as settings_for
from testtone.stimuli.strategies.relations import Pair as Pair
from testtone.stimuli.strategies.relations import alias_pairs as alias_pairs
from testtone.stimuli.strategies.relations import control_pairs as control_pairs
from testtone.stimuli.strategies.relations import mirror_pairs as mirror_pairs
from testtone.stimuli.strategies.relations import moved_partial_pairs as moved_partial_pairs
from testtone.stimuli.strategies.relations import pairs as pairs
from testtone.stimuli.strategies.relations import same_pitch_pairs as same_pitch_pairs
from testtone.stimuli.strategies.relations import same_spectrum_pairs as same_spectrum_pairs
from testtone.stimuli.strategies.sounds import PhasePattern as PhasePattern
from testtone.stimuli.strategies.sounds import chords as chords
from testtone.stimuli.strategies.sounds import harmonic_complexes as harmonic_complexes
from testtone.stimuli.strategies.sounds import levels_db as levels_db
from testtone.stimuli.strategies.sounds import mixtures as mixtures
from testtone.stimuli.strategies.sounds import multisines as multisines
from testtone.stimuli.strategies.sounds import noises as noises
from testtone.stimuli.strategies.sounds import notes as notes
from testtone.stimuli.strategies.sounds import partials as partials
from testtone.stimuli.strategies.sounds import phase_patterns as phase_patterns
from testtone.stimuli.strategies.sounds import pitches as pitches
from testtone.stimuli.strategies.sounds import stimuli as stimuli
from testtone.stimuli.strategies.sounds import timbres as timbres
