"""Notes rendered with FluidSynth: reproducible to the bit, without room, free of aliases.

A synthesizer that stays open keeps tails of earlier notes, so each render gets a fresh one; renders are kept in memory
and reused by content. Samples come as floats, because the 16-bit path adds dither from the C library's random numbers.
Reverb and chorus are off. Left and right are averaged. FluidSynth plays at four times the rate asked for, and what
lies above Nyquist is cut away. Notes start on its grid of 64 of those samples (0.7 ms at 4 x 24 000 Hz) and sound on
its grid of whole cents. The recordings of a SoundFont have tunings of their own, and gaps. Measured on 16 sustained
programs of the default one, keys 46 to 85: nine notes in ten within 8 cents, all within 16, and key 64 of program 65 is
missing. A missing note is an error. Where a frequency must be exact, measure it or use a tone.

A SoundFont goes by the SHA-256 of its file; the default is the General MIDI SoundFont inside the pretty_midi package.
FluidSynth itself is a system library: without it this module imports, and a render raises ``FluidSynthMissingError``.
"""

import contextlib
import ctypes
import functools
import hashlib
import importlib
import importlib.util
import math
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.fft
import scipy.signal

from testtone.stimuli.sources import OFFSET_SECONDS, Note, Render, Source

if TYPE_CHECKING:
    import pretty_midi

    from testtone.stimuli.stimulus import Stimulus

GAIN = 0.2  # FluidSynth's own default; every render is scaled to its rms afterwards
BEND_STEPS_PER_SEMITONE = 4096  # 14 bits over +-2 semitones, the default range of a pitch wheel
PERCUSSION_CHANNEL = 9
CHANNELS = 256
SUBSONIC_HZ = 12.0  # corner of a causal high-pass: 0.2 dB at the lowest key of a piano (27.5 Hz), gone after 0.3 s
VOICES_PER_NOTE = 16  # more than any preset takes; FluidSynth's 256 in all would cut long pieces without a word
MAX_VOICES = 65535
CACHE_BYTES = 256 * 2**20
MIN_RATE, MAX_RATE = 8000, 96000  # Hz, FluidSynth's own limits
OVERSAMPLING = 4
GUARD_SECONDS = 0.02

INSTALL_HINT = (
    "FluidSynth is not installed, and this stimulus needs it. Debian, Ubuntu: sudo apt-get install libfluidsynth3; "
    "macOS: brew install fluid-synth; Python side: pip install pyfluidsynth"
)


class FluidSynthMissingError(RuntimeError):
    """Raised by a render when FluidSynth cannot be loaded; the message says what to install."""


def available() -> bool:
    """Return whether FluidSynth can be loaded."""
    try:
        _binding()
    except FluidSynthMissingError:
        return False
    return True


def fluidsynth_version() -> str:
    """Return the version of the FluidSynth library, such as ``"2.3.1"``."""
    parts = [ctypes.c_int() for _ in range(3)]
    _binding().fluid_version(*(ctypes.byref(part) for part in parts))
    return ".".join(str(part.value) for part in parts)


def soundfont(path: str | Path | None = None) -> str:
    """Return the SHA-256 of a SoundFont file and remember where it lies; without a path, of the default SoundFont."""
    return _hashed(_default_soundfont() if path is None else Path(path).resolve())


def note_render(
    midi: float,
    program: int,
    *,
    rms: float = 0.05,
    velocity: int = 100,
    skip_seconds: float = 0.2,
    offset_seconds: float = 0.0,
    soundfont_sha256: str | None = None,
    role: str | None = None,
) -> Render:
    """Return one held note of a General MIDI program, from ``skip_seconds`` after its onset."""
    return Render(
        (Note(midi, velocity),),
        program,
        soundfont_sha256 or soundfont(),
        rms,
        skip_seconds,
        offset_seconds,
        timbre=f"program:{program}",
        role=role,
    )


def waveform(render: Render, samples: int, *, sample_rate: int) -> np.ndarray:
    """Return a render without ramps, at its rms, float64 ``samples``.

    Raises:
        FluidSynthMissingError: if FluidSynth is not installed.
        ValueError: if the SoundFont is unknown or lacks the program, or if the part used is silent.
    """
    skip = round((render.skip_seconds + render.offset_seconds) * sample_rate)
    # One length for all starts that may be drawn, so that they share a render.
    longest = round((render.skip_seconds + max(render.offset_seconds, OFFSET_SECONDS)) * sample_rate) + samples
    wave = _rendered(render, longest, sample_rate)[skip : skip + samples]
    rms = math.sqrt(float(np.mean(wave**2))) if samples else 0.0
    if rms < 1e-7:
        raise ValueError(
            f"render of program {render.program} is silent from {skip / sample_rate:.3f} s for "
            f"{samples / sample_rate:.3f} s; it may have decayed, try a smaller skip_seconds={render.skip_seconds}"
        )
    return wave * (render.rms / rms)


def from_midi(
    midi: "pretty_midi.PrettyMIDI",
    *,
    rms: float = 0.05,
    seconds: float | None = None,
    soundfont_sha256: str | None = None,
    label: str = "",
) -> "Stimulus":
    """Return a stimulus that plays a MIDI piece: one ``Render`` for each program and name.

    Each render gets the same ``rms``: the balance of a piece is not kept. Control changes are not played. A pitch bend
    in force when a note starts becomes part of its pitch.

    Args:
        midi: the piece.
        rms: RMS of each render re full scale 1.
        seconds: length; by default to the end of the last note.
        soundfont_sha256: the SoundFont; by default the one inside pretty_midi.
        label: label of the stimulus.

    Raises:
        ValueError: if the piece has no notes, or a pitch bend moves while a note sounds.
    """
    from testtone.stimuli.stimulus import Stimulus  # a stimulus plays renders: the import runs the other way

    parts: dict[tuple[int, int, str], list[Note]] = defaultdict(list)
    for instrument in midi.instruments:
        part = (instrument.program, 128 if instrument.is_drum else 0, instrument.name)
        parts[part].extend(_notes_of(instrument))
    sha256 = soundfont_sha256 or soundfont()
    sources = tuple(
        Render(
            tuple(sorted(notes, key=lambda each: (each.start_seconds, each.midi))),
            program,
            sha256,
            rms,
            bank=bank,
            timbre=name or ("percussion" if bank else f"program:{program}"),
        )
        for (program, bank, name), notes in parts.items()
        if notes
    )
    if not sources:
        raise ValueError("midi has no notes")
    return Stimulus(sources, midi.get_end_time() if seconds is None else seconds, label=label)


def to_midi(sources: Iterable[Source], *, seconds: float) -> "pretty_midi.PrettyMIDI":
    """Return the notes of renders as MIDI, on the clock of the renders, held notes ending with the stimulus.

    Notes between the keys need a channel of their own pitch bend: an instrument for each bend, of one name.

    Raises:
        ValueError: for a source that is not a render, since MIDI has no sound of its own.
    """
    import pretty_midi

    piece = pretty_midi.PrettyMIDI(resolution=9600)  # half the default's 2 ms tick would already be heard in a spectrum
    for render in sources:
        if not isinstance(render, Render):
            raise ValueError(f"only a Render goes into MIDI, not {type(render).__name__}: MIDI names notes, not sounds")
        end = render.skip_seconds + render.offset_seconds + seconds
        by_bend: dict[int, list[Note]] = defaultdict(list)
        for note in render.notes:
            by_bend[_key_and_bend(note.midi)[1]].append(note)
        for bend, notes in by_bend.items():
            name = render.timbre or f"program:{render.program}"
            instrument = pretty_midi.Instrument(render.program, is_drum=render.bank == 128, name=name)
            if bend:
                instrument.pitch_bends.append(pretty_midi.PitchBend(bend, 0.0))
            for note in notes:
                stop = end if note.end_seconds is None else note.end_seconds
                instrument.notes.append(
                    pretty_midi.Note(note.velocity, _key_and_bend(note.midi)[0], note.start_seconds, stop)
                )
            piece.instruments.append(instrument)
    return piece


def _notes_of(instrument: "pretty_midi.Instrument") -> list[Note]:
    """Return the notes of one instrument, its pitch bends taken into their pitches."""
    bends = sorted(instrument.pitch_bends, key=lambda each: each.time)
    notes = []
    for note in instrument.notes:
        moved = [each.pitch for each in bends if note.start < each.time < note.end]
        before = [each.pitch for each in bends if each.time <= note.start]
        bend = before[-1] if before else 0
        if any(each != bend for each in moved):
            raise ValueError(f"a pitch bend moves during the note at {note.start:.3f} s; only steady bends are played")
        notes.append(Note(note.pitch + bend / BEND_STEPS_PER_SEMITONE, note.velocity, note.start, note.end))
    return notes


def _key_and_bend(midi: float) -> tuple[int, int]:
    """Return the nearest key and the pitch bend that together play a fractional MIDI number, to the nearest cent.

    FluidSynth cuts a pitch down to whole cents (measured: a bend of 25 cents plays 24), so the bend aims at the middle
    of the cent meant.
    """
    key = round(midi)
    cents = round(100.0 * (midi - key))
    return key, 0 if cents == 0 else round((cents + 0.5) / 100.0 * BEND_STEPS_PER_SEMITONE)


_cache: OrderedDict[tuple[Any, ...], np.ndarray] = OrderedDict()
_cache_lock = threading.Lock()


def _rendered(render: Render, samples: int, sample_rate: int) -> np.ndarray:
    """Return the unscaled render, read-only float64 ``samples``, from memory if it was played before."""
    key = (render.notes, render.program, render.bank, render.soundfont_sha256, render.max_hz, samples, sample_rate)
    with _cache_lock:
        if key in _cache:
            _cache.move_to_end(key)
            return _cache[key]
    wave = _band_limited(render, samples, sample_rate)
    wave.flags.writeable = False
    with _cache_lock:
        _cache[key] = wave
        while sum(each.nbytes for each in _cache.values()) > CACHE_BYTES and len(_cache) > 1:
            _cache.popitem(last=False)
    return wave


def _band_limited(render: Render, samples: int, sample_rate: int) -> np.ndarray:
    """Return the notes at ``sample_rate`` without what lies above Nyquist or ``max_hz``, float64 ``samples``.

    FluidSynth reads a sample recorded at 44 100 Hz without a low-pass: played at 24 000 Hz, bright programs alias
    (bowed strings at -50 dB). So it plays at up to four times the rate, and the spectrum is cut: flat to 95 % of the
    limit, zero above it, zero phase. A tail faded to zero keeps the two ends of the block apart. What lies below
    hearing goes as well: some recordings carry an offset (program 65 of TimGM6mb: 61 % of its RMS), which nobody hears
    and which fills a linear encoder's mean.
    """
    times = max(1, min(OVERSAMPLING, MAX_RATE // sample_rate))
    block = scipy.fft.next_fast_len(samples + round(GUARD_SECONDS * sample_rate), real=True)
    wave = _play(render, times * block, times * sample_rate)
    tail = times * (block - samples)
    wave[-tail:] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, tail + 1) / tail)
    hz = np.arange(block // 2 + 1) * (sample_rate / block)
    limit = sample_rate / 2.0 if render.max_hz is None else min(render.max_hz, sample_rate / 2.0)
    skirt = np.clip((limit - hz) / (0.05 * limit), 0.0, 1.0)
    spectrum = scipy.fft.rfft(wave)[: len(hz)] * np.sin(0.5 * np.pi * skirt) ** 2
    band = scipy.fft.irfft(spectrum, block)[:samples] / times
    filtered: np.ndarray = scipy.signal.sosfilt(_high_pass(sample_rate), band)
    return filtered


@functools.cache
def _high_pass(sample_rate: int) -> np.ndarray:
    """Return what takes away the subsonic, in second-order sections."""
    sections: np.ndarray = scipy.signal.butter(2, SUBSONIC_HZ, "highpass", fs=sample_rate, output="sos")
    return sections


def _play(render: Render, samples: int, sample_rate: int) -> np.ndarray:
    """Return the notes as a fresh synthesizer plays them, float64 ``samples``."""
    polyphony = min(VOICES_PER_NOTE * len(render.notes), MAX_VOICES)
    channels = _channels(render.notes)
    highest = max(channels.values())
    with _synthesizer(sample_rate, render.soundfont_sha256, polyphony=polyphony, highest=highest) as (synth, font):
        for bend, channel in channels.items():
            if synth.program_select(channel, font, render.bank, render.program) != 0:
                raise ValueError(
                    f"program={render.program} of bank {render.bank} is not in the SoundFont {_named(render)}"
                )
            synth.pitch_bend(channel, bend)
        left, right = np.zeros((2, samples), np.float32)
        done = 0
        for sample, begins, note in _events(render.notes, sample_rate):
            upto = min(sample, samples)
            _write(synth, left[done:upto], right[done:upto])
            done = upto
            key, bend = _key_and_bend(note.midi)
            if not begins:
                synth.noteoff(channels[bend], key)
                continue
            voices = synth.get_active_voice_count()
            synth.noteon(channels[bend], key, note.velocity)
            if synth.get_active_voice_count() <= voices < polyphony:
                raise ValueError(
                    f"program={render.program} has no sound for key {key} (midi={note.midi}) in {_named(render)}"
                )
        _write(synth, left[done:], right[done:])
    return 0.5 * (left.astype(np.float64) + right)


def in_turn(
    pieces: Sequence[tuple[Sequence[tuple[int, int, tuple[Note, ...]]], int]],
    *,
    sample_rate: int,
    soundfont_sha256: str,
) -> list[np.ndarray]:
    """Return pieces as one fresh synthesizer plays them one after the other, each float32 ``samples``, unscaled.

    Faster than a render each by far, and less exact: FluidSynth's own resampling (no oversampling, see
    `_band_limited`), whole keys only, and a key that the SoundFont lacks is silent.

    Args:
        pieces: for each its parts (program, bank, notes), at most 15 of them besides percussion, and its samples.
        sample_rate: Hz.
        soundfont_sha256: hash of the SoundFont.

    Raises:
        FluidSynthMissingError: if FluidSynth is not installed.
        ValueError: if the SoundFont is unknown, or FluidSynth cannot play at this rate.
    """
    waves = []
    with _synthesizer(sample_rate, soundfont_sha256, polyphony=256) as (synth, font):
        for parts, samples in pieces:
            channels = iter(channel for channel in range(CHANNELS) if channel % 16 != PERCUSSION_CHANNEL)
            events = []
            for program, bank, notes in parts:
                channel = PERCUSSION_CHANNEL if bank == 128 else next(channels)
                synth.program_select(channel, font, bank, program)
                events += [(sample, begins, note, channel) for sample, begins, note in _events(notes, sample_rate)]
            left, right = np.zeros((2, samples), np.float32)
            done = 0
            for sample, begins, note, channel in sorted(events, key=lambda event: event[:2]):
                upto = min(sample, samples)
                _write(synth, left[done:upto], right[done:upto])
                done = upto
                if begins:
                    synth.noteon(channel, round(note.midi), note.velocity)
                else:
                    synth.noteoff(channel, round(note.midi))
            _write(synth, left[done:], right[done:])
            synth.system_reset()
            mono = 0.5 * (left.astype(np.float64) + right)
            waves.append(scipy.signal.sosfilt(_high_pass(sample_rate), mono).astype(np.float32))
    return waves


@contextlib.contextmanager
def _synthesizer(
    sample_rate: int, soundfont_sha256: str, *, polyphony: int, highest: int = CHANNELS - 1
) -> Iterator[tuple[Any, int]]:
    """Yield a fresh synthesizer without room and the number of its SoundFont; both are gone afterwards.

    It has the channels up to the `highest`: to make a channel costs as much as to play some milliseconds.

    To load a SoundFont takes longer than to play a second of it. It is loaded once a process and lent to each
    synthesizer in turn, which keeps its own state: the samples are those of a SoundFont loaded anew, to the bit.
    """
    options = {
        "synth.reverb.active": 0,
        "synth.chorus.active": 0,
        "synth.dynamic-sample-loading": 1,
        "synth.polyphony": polyphony,
    }
    with _font_lock:
        synth = _binding().Synth(gain=GAIN, samplerate=sample_rate, channels=16 * (highest // 16 + 1), **options)
        try:
            if synth.get_setting("synth.sample-rate") != sample_rate:
                # FluidSynth answers a rate out of range with 44 100 Hz and goes on.
                raise ValueError(f"FluidSynth cannot play at {sample_rate} Hz: it plays {MIN_RATE} to {MAX_RATE} Hz")
            font = _font(soundfont_sha256)
            number = _lend()(synth.synth, font)
            try:
                yield synth, number
            finally:
                with _without_warnings():
                    _take_back()(synth.synth, font)
        finally:
            synth.delete()


_font_lock = threading.RLock()
"""Who holds it has the SoundFonts to himself: FluidSynth counts their users without a lock of its own."""

_fonts: dict[str, tuple[Any, int]] = {}
"""SoundFonts that are loaded, by hash: the synthesizer that owns one, and its address."""


def _font(soundfont_sha256: str) -> int:
    """Return the address of a SoundFont, loaded unless it is."""
    if soundfont_sha256 not in _fonts:
        path = _soundfont_path(soundfont_sha256)
        owner = _binding().Synth(**{"synth.dynamic-sample-loading": 1, "synth.polyphony": 16})
        number = owner.sfload(str(path))
        if number < 0:
            owner.delete()
            raise ValueError(f"FluidSynth cannot load the SoundFont {path}")
        _fonts[soundfont_sha256] = owner, _address()(owner.synth, number)
    return _fonts[soundfont_sha256][1]


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep FluidSynth from warning of each channel that it has no preset for once a SoundFont is taken back."""
    before = _logger()(_WARNING, None, None)
    try:
        yield
    finally:
        _logger()(_WARNING, before, None)


_WARNING = 2  # FLUID_WARN


def _bound(name: str, result: Any, *arguments: tuple[str, Any]) -> Any:
    """Return a function of FluidSynth that pyfluidsynth leaves unbound."""
    return _binding().cfunc(name, result, *((each, kind, 1) for each, kind in arguments))


@functools.cache
def _address() -> Any:
    return _bound("fluid_synth_get_sfont_by_id", ctypes.c_void_p, ("synth", ctypes.c_void_p), ("id", ctypes.c_int))


@functools.cache
def _lend() -> Any:
    return _bound("fluid_synth_add_sfont", ctypes.c_int, ("synth", ctypes.c_void_p), ("sfont", ctypes.c_void_p))


@functools.cache
def _take_back() -> Any:
    return _bound("fluid_synth_remove_sfont", ctypes.c_int, ("synth", ctypes.c_void_p), ("sfont", ctypes.c_void_p))


@functools.cache
def _logger() -> Any:
    pointer = ctypes.c_void_p
    return _bound("fluid_set_log_function", pointer, ("level", ctypes.c_int), ("function", pointer), ("data", pointer))


def _channels(notes: tuple[Note, ...]) -> dict[int, int]:
    """Return a MIDI channel for each pitch bend among the notes; percussion's channels stay free."""
    free = [channel for channel in range(CHANNELS) if channel % 16 != PERCUSSION_CHANNEL]
    bends = sorted({_key_and_bend(note.midi)[1] for note in notes})
    if len(bends) > len(free):
        raise ValueError(f"notes have {len(bends)} different offsets from the keys; a render plays at most {len(free)}")
    return dict(zip(bends, free, strict=False))


def _events(notes: tuple[Note, ...], sample_rate: int) -> list[tuple[int, bool, Note]]:
    """Return (sample, whether it begins, note) in order of time, ends before beginnings."""
    begins = [(round(note.start_seconds * sample_rate), True, note) for note in notes]
    ends = [(round(note.end_seconds * sample_rate), False, note) for note in notes if note.end_seconds is not None]
    return sorted(begins + ends, key=lambda event: event[:2])


def _write(synth: Any, left: np.ndarray, right: np.ndarray) -> None:
    """Let the synthesizer fill two contiguous float32 arrays."""
    count = len(left)
    if count and _float_writer()(synth.synth, count, left.ctypes.data, 0, 1, right.ctypes.data, 0, 1) != 0:
        raise RuntimeError("FluidSynth failed to render")


@functools.cache
def _binding() -> Any:
    """Return the module ``fluidsynth`` of pyfluidsynth."""
    try:
        # In some environments (CI is set) pyfluidsynth prints where it looks for the library.
        with contextlib.redirect_stdout(None):
            fluidsynth = importlib.import_module("fluidsynth")
    except (ImportError, OSError) as error:
        raise FluidSynthMissingError(INSTALL_HINT) from error
    if not hasattr(fluidsynth, "cfunc"):
        place = getattr(fluidsynth, "__file__", "an unknown place")
        raise FluidSynthMissingError(f"the module fluidsynth at {place} is not pyfluidsynth. {INSTALL_HINT}")
    return fluidsynth


@functools.cache
def _float_writer() -> Any:
    """Return FluidSynth's function that writes float samples, which pyfluidsynth leaves unbound."""
    whole, pointer = ctypes.c_int, ctypes.c_void_p
    arguments = (
        ("synth", pointer, 1),
        ("len", whole, 1),
        ("lout", pointer, 1),
        ("loff", whole, 1),
        ("lincr", whole, 1),
        ("rout", pointer, 1),
        ("roff", whole, 1),
        ("rincr", whole, 1),
    )
    return _binding().cfunc("fluid_synth_write_float", whole, *arguments)


_soundfonts: dict[str, Path] = {}


@functools.cache
def _hashed(path: Path) -> str:
    try:
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ValueError(f"cannot read the SoundFont {path}: {error.strerror}") from error
    _soundfonts[sha256] = path
    return sha256


def _default_soundfont() -> Path:
    """Return where pretty_midi keeps its SoundFont, without importing it."""
    spec = importlib.util.find_spec("pretty_midi")
    if spec is None or not spec.submodule_search_locations:
        raise ValueError("the default SoundFont comes with pretty_midi; pip install pretty-midi")
    return Path(spec.submodule_search_locations[0]) / "TimGM6mb.sf2"


def _named(render: Render) -> str:
    """Return the file name of a render's SoundFont."""
    return _soundfont_path(render.soundfont_sha256).name


def _soundfont_path(sha256: str) -> Path:
    if sha256 not in _soundfonts:
        soundfont()
    if sha256 not in _soundfonts:
        raise ValueError(f"soundfont_sha256={sha256[:12]}... is unknown here; name its file with soundfont(path) first")
    return _soundfonts[sha256]
