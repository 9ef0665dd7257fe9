"""Sounds with known contents, played into an encoder to learn what it does to them.

``pitch``      MIDI numbers, frequencies, names, chords
``sources``    what sounds are made of, as frozen records: Partial, Tone, Noise, Click, Note, Render, Recording
``stimulus``   sources that sound together: waveform, ground truth, content hash
``complexes``  harmonic and inharmonic complexes, multisines, single partials
``timbre``     named timbres, and one note in any of them
``renders``    notes and MIDI pieces played by FluidSynth
``recordings`` audio files as sources; ``backgrounds``, recordings or ensembles for tones to stand in
``multisines`` dense periodic sounds; ``alias_classes``, whole alias classes of them
``portraits``  what a sound looks like: spectrogram and waveform in a few digits
``folding``    which frequencies a chain of strides folds onto each other
``designs``    crossed factors and matched controls, shared by claims; those of groups of claims stand in
               ``presence`` (partials that are there or not), ``density`` (the same among companions),
               ``mixtures`` (chords, voices, notes by property), ``labels`` (named notes and triads),
               ``waveshapes`` (waveform and spectrum vary apart) and ``edits`` (brighter, louder, one partial more)
``strategies`` all of these for hypothesis, drawn and shrunk; imported by name, as it needs hypothesis

Conventions. Sounds are mono, float32 ``samples``, amplitude linear with 1.0 at full scale; a peak above 1 is an error.
A partial is ``amplitude * cos(2 pi hz t + phase)``, t = n / sample_rate, phase in radians: sine phase is -pi/2. A
stimulus has ``round(seconds * sample_rate)`` samples and raised-cosine ramps (20 ms unless told otherwise) at both
ends. It is formed in float64 and cast once. A level is an amplitude or an RMS, both re full scale 1, as each name says.
Random draws come from a generator that is handed in. Nothing here knows an encoder: rates and strides are numbers.
"""

import sys

from testtone.stimuli import complexes as complexes
from testtone.stimuli import designs as designs
from testtone.stimuli import folding as folding
from testtone.stimuli import pitch as pitch
from testtone.stimuli import renders as renders
from testtone.stimuli import timbre as timbre
from testtone.stimuli.complexes import harmonic_complex as harmonic_complex
from testtone.stimuli.complexes import multisine as multisine
from testtone.stimuli.complexes import partial_tone as partial_tone
from testtone.stimuli.folding import Chain as Chain
from testtone.stimuli.folding import Collision as Collision
from testtone.stimuli.folding import fold as fold
from testtone.stimuli.pitch import QUALITIES as QUALITIES
from testtone.stimuli.pitch import chord as chord
from testtone.stimuli.pitch import hz_from_midi as hz_from_midi
from testtone.stimuli.pitch import midi_from_hz as midi_from_hz
from testtone.stimuli.renders import FluidSynthMissingError as FluidSynthMissingError
from testtone.stimuli.renders import from_midi as from_midi
from testtone.stimuli.renders import note_render as note_render
from testtone.stimuli.renders import soundfont as soundfont
from testtone.stimuli.sources import Click as Click
from testtone.stimuli.sources import Noise as Noise
from testtone.stimuli.sources import Note as Note
from testtone.stimuli.sources import Partial as Partial
from testtone.stimuli.sources import Render as Render
from testtone.stimuli.sources import Source as Source
from testtone.stimuli.sources import Tone as Tone
from testtone.stimuli.stimulus import Stimulus as Stimulus
from testtone.stimuli.stimulus import silence as silence
from testtone.stimuli.timbre import TIMBRES as TIMBRES
from testtone.stimuli.timbre import note as note

if sys.modules.get("hypothesis") is not None:
    # hypothesis came first, and its entry point found nothing to register.
    from testtone.stimuli.registration import register

    register()
    del register
