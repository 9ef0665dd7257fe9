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

With testtone installed, ``st.from_type(Stimulus)`` and ``@given(...: Stimulus)`` draw from `stimuli`.
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
