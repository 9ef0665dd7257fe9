"""Pairs of sounds with a relation, each a `Pair`.

What an encoder does to frequencies that fold onto each other follows from two numbers, the sample rate and the hop (or
the strides): see `testtone.stimuli.folding`. Controls are as far apart as the pair they are matched to, and stand in no
alias relation.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from testtone.stimuli import pitch
from testtone.stimuli.complexes import harmonic_complex
from testtone.stimuli.folding import Chain, fold
from testtone.stimuli.sources import TWO_PI, Partial, Tone
from testtone.stimuli.stimulus import Stimulus
from testtone.stimuli.strategies import bounds, sounds
from testtone.stimuli.strategies.sounds import HIGH_DB, HIGH_MIDI, LOW_DB, LOW_MIDI, SAMPLE_RATE, SECONDS
from testtone.stimuli.timbre import TIMBRES

CLEAR = 1 / 24
"""Alias frequencies keep so many frame rates from 0, from half the frame rate, and (controls) from each other."""


@dataclass(frozen=True)
class Pair:
    """Two sounds and what relates them; ``control`` are two that are matched but not related.

    ``alone`` are what the two sounds are made of, where the relation is about parts.
    """

    relation: str
    first: Stimulus
    second: Stimulus
    control: tuple[Stimulus, Stimulus] | None = None
    alone: tuple[Stimulus, ...] = ()

    @property
    def label(self) -> str:
        """As a person would say it."""
        return f"{self.relation}: {self.first.label} | {self.second.label}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(f"<Pair {self.label}>")


def same_pitch_pairs(
    *,
    low_midi: int = LOW_MIDI,
    high_midi: int = HIGH_MIDI,
    additive: Sequence[str] = tuple(TIMBRES),
    sample_rate: int = SAMPLE_RATE,
    seconds: float = SECONDS,
) -> SearchStrategy[Pair]:
    """The same note, to the sample, in two contexts; ``alone`` are the note and the two contexts.

    A context is a chord, another note, or noise; the second one is another than the first.

    Raises:
        ValueError: for bounds that leave nothing.
    """
    options: dict[str, Any] = {"sample_rate": sample_rate, "seconds": seconds}
    note = sounds.notes(low_midi=low_midi, high_midi=high_midi, additive=additive, **options)
    context = st.one_of(
        sounds.chords(high_db=-32, **options),
        sounds.notes(high_db=-26, **options),
        sounds.noises(high_db=-32, seconds=seconds),
    )

    def pair(played: Stimulus, contexts: tuple[Stimulus, Stimulus]) -> Pair:
        first, second = (sounds._over(played, each) for each in contexts)
        return Pair("same pitch in two contexts", first, second, alone=(played, *contexts))

    different = st.tuples(context, context).filter(lambda two: two[0].sha256 != two[1].sha256)
    return st.builds(pair, note, different)


def alias_pairs(
    *,
    hop: int | None = None,
    strides: Sequence[int] = (),
    sample_rate: int = SAMPLE_RATE,
    low_midi: int = LOW_MIDI,
    high_midi: int = HIGH_MIDI,
    high_hz: float | None = None,
    low_db: int = LOW_DB,
    high_db: int = HIGH_DB,
    seconds: float = SECONDS,
) -> SearchStrategy[Pair]:
    """Two sinusoids that the encoder's frames fold onto one, the second a whole number of frame rates higher.

    ``control`` is a pair about as far apart (within half a frame rate) that stays two.

    Args:
        hop: samples per frame; or
        strides: the strides whose product it is.
        sample_rate: of the encoder, Hz.
        low_midi: lowest key of the lower sinusoid.
        high_midi: its highest key; up to 50 cents above it.
        high_hz: no sinusoid lies above it; 0.45 of the sample rate unless given.
        low_db: lowest level, RMS re full scale 1, the same for all.
        high_db: highest level.
        seconds: length.

    Raises:
        ValueError: for bounds that leave nothing, or where no second sinusoid fits below ``high_hz``.
    """
    return _folded("alias", _chain(hop, strides, sample_rate), low_midi, high_midi, high_hz, low_db, high_db, seconds)


def mirror_pairs(
    *,
    hop: int | None = None,
    strides: Sequence[int] = (),
    sample_rate: int = SAMPLE_RATE,
    low_midi: int = LOW_MIDI,
    high_midi: int = HIGH_MIDI,
    high_hz: float | None = None,
    low_db: int = LOW_DB,
    high_db: int = HIGH_DB,
    seconds: float = SECONDS,
) -> SearchStrategy[Pair]:
    """Two sinusoids that the frames fold onto one, the second mirrored: their frequencies add up to whole frame rates.

    ``control`` is a pair as far apart to the rounding that stays two. Arguments and errors are those of `alias_pairs`.
    """
    return _folded("mirror", _chain(hop, strides, sample_rate), low_midi, high_midi, high_hz, low_db, high_db, seconds)


def control_pairs(
    *,
    hop: int | None = None,
    strides: Sequence[int] = (),
    sample_rate: int = SAMPLE_RATE,
    low_midi: int = LOW_MIDI,
    high_midi: int = HIGH_MIDI,
    high_hz: float | None = None,
    low_db: int = LOW_DB,
    high_db: int = HIGH_DB,
    seconds: float = SECONDS,
) -> SearchStrategy[Pair]:
    """Two sinusoids like those of `alias_pairs` and `mirror_pairs` that no stride folds onto one.

    Their alias frequencies are at least a 24th of the frame rate apart. Arguments and errors are those of
    `alias_pairs`.
    """
    chain = _chain(hop, strides, sample_rate)
    related = (
        _folded(kind, chain, low_midi, high_midi, high_hz, low_db, high_db, seconds) for kind in ("alias", "mirror")
    )

    def pair(of: Pair) -> Pair:
        assert of.control is not None  # an alias pair has one
        return Pair("no alias of each other", *of.control)

    return st.one_of(*related).map(pair)


def same_spectrum_pairs(
    *,
    low_midi: int = LOW_MIDI,
    high_midi: int = HIGH_MIDI,
    max_harmonics: int = 12,
    low_db: int = LOW_DB,
    high_db: int = HIGH_DB,
    sample_rate: int = SAMPLE_RATE,
    seconds: float = SECONDS,
) -> SearchStrategy[Pair]:
    """Two waveforms of one spectrum: a complex of at least two harmonics, and the same partials with other phases.

    Raises:
        ValueError: for bounds that leave nothing or allow more than full scale, or fewer than two harmonics.
    """
    bounds.keys(low_midi, high_midi, 0)
    bounds.whole(max_harmonics, "max_harmonics", least=2)
    bounds.levels(low_db, high_db, crest=math.sqrt(2.0 * max_harmonics), voices=f"{max_harmonics} harmonics in phase")
    most = bounds.audible(high_midi + 12, sample_rate)
    bounds.seconds(seconds)
    # Sine phase against itself is one waveform: the two patterns must be two.
    patterns = st.tuples(sounds.phase_patterns(), sounds.phase_patterns())

    @st.composite
    def pair(draw: DrawFn) -> Pair:
        midi = draw(sounds.pitches(low_midi=low_midi, high_midi=high_midi))
        harmonics = draw(st.integers(2, max_harmonics))
        tilt, db = draw(st.integers(-6, 0)), draw(sounds.levels_db(low_db=low_db, high_db=high_db))
        tone = harmonic_complex(
            pitch.hz_from_midi(midi), harmonics=harmonics, tilt_db_per_octave=tilt, rms=sounds.ratio(db), midi=midi,
            max_hz=most,
        )  # fmt: skip
        said = f"{pitch.name(midi)} with harmonics up to {harmonics} at {db} dB, {tilt} dB per octave"
        amplitudes = [each.amplitude for each in tone.partials]

        def unlike(two: tuple[sounds.PhasePattern, sounds.PhasePattern]) -> bool:
            one, other = (each.radians(amplitudes) for each in two)
            return bool(max(abs(math.remainder(a - b, TWO_PI)) for a, b in zip(one, other, strict=True)) > 0.5)

        first, second = (
            Stimulus((pattern.on(tone),), seconds, label=f"{said}, {pattern}")
            for pattern in draw(patterns.filter(unlike))
        )
        return Pair("same spectrum, other waveform", first, second)

    return pair()


def moved_partial_pairs(
    *,
    cents: tuple[int, int] = (1, 50),
    low_midi: int = LOW_MIDI,
    high_midi: int = HIGH_MIDI,
    max_harmonics: int = 8,
    low_db: int = LOW_DB,
    high_db: int = HIGH_DB,
    sample_rate: int = SAMPLE_RATE,
    seconds: float = SECONDS,
) -> SearchStrategy[Pair]:
    """A complex, and the same with one partial moved by whole cents, up or down; levels and start phases stay.

    Args:
        cents: least and largest distance, at least 1 and at most 50.
        low_midi: lowest key of the fundamental.
        high_midi: highest key of the fundamental.
        max_harmonics: the highest harmonic number; those above 0.45 of the sample rate are left out.
        low_db: lowest level, RMS re full scale 1.
        high_db: highest level.
        sample_rate: lowest rate in Hz at which the sounds are rendered.
        seconds: length.

    Raises:
        ValueError: for bounds that leave nothing, or that allow more than full scale.
    """
    bounds.keys(low_midi, high_midi, 0)
    for value in cents:
        bounds.whole(value, "cents", least=1, most=50)
    bounds.ordered(*cents, ("cents[0]", "cents[1]"), unit="cents")
    bounds.whole(max_harmonics, "max_harmonics", least=1)
    bounds.levels(low_db, high_db, crest=math.sqrt(2.0 * max_harmonics), voices=f"{max_harmonics} harmonics in phase")
    most = bounds.audible(high_midi, sample_rate, above_cents=cents[1]) / 2 ** (cents[1] / 1200)
    bounds.seconds(seconds)

    @st.composite
    def pair(draw: DrawFn) -> Pair:
        midi = draw(sounds.pitches(low_midi=low_midi, high_midi=high_midi))
        harmonics, db = draw(st.integers(1, max_harmonics)), draw(sounds.levels_db(low_db=low_db, high_db=high_db))
        tone = harmonic_complex(
            pitch.hz_from_midi(midi), harmonics=harmonics, rms=sounds.ratio(db), midi=midi, max_hz=most
        )
        place = draw(st.integers(0, len(tone.partials) - 1))
        by = draw(st.integers(*cents)) * draw(st.sampled_from([1, -1]))
        moved = dataclasses.replace(tone.partials[place], hz=tone.partials[place].hz * 2 ** (by / 1200))
        other = dataclasses.replace(tone, partials=(*tone.partials[:place], moved, *tone.partials[place + 1 :]))
        said = f"{pitch.name(midi)} with harmonics up to {harmonics} at {db} dB"
        return Pair(
            f"partial {place + 1} moved by {by:+d} cents",
            Stimulus((tone,), seconds, label=said),
            Stimulus((other,), seconds, label=f"{said}, partial {place + 1} {by:+d} c"),
        )

    return pair()


def pairs(*, hop: int = 320, sample_rate: int = SAMPLE_RATE, seconds: float = SECONDS) -> SearchStrategy[Pair]:
    """Any pair of this module, aliases included for an encoder of ``hop`` samples per frame."""
    options: dict[str, Any] = {"sample_rate": sample_rate, "seconds": seconds}
    return st.one_of(
        same_pitch_pairs(**options),
        moved_partial_pairs(**options),
        same_spectrum_pairs(**options),
        alias_pairs(hop=hop, **options),
        mirror_pairs(hop=hop, **options),
        control_pairs(hop=hop, **options),
    )


def _chain(hop: int | None, strides: Sequence[int], sample_rate: int) -> Chain:
    if (hop is None) == (not strides):
        raise ValueError(f"hop={hop}, strides={tuple(strides)}: give exactly one of the two")
    if hop is not None and (hop != int(hop) or hop < 1):
        raise ValueError(f"hop={hop!r} must be a whole number of samples, 1 or more")
    return Chain(sample_rate, tuple(strides) if hop is None else (hop,))


def _folded(
    kind: str,
    chain: Chain,
    low_midi: int,
    high_midi: int,
    high_hz: float | None,
    low_db: int,
    high_db: int,
    seconds: float,
) -> SearchStrategy[Pair]:
    """Pairs whose frequencies are a whole number of frame rates apart, or add up to one."""
    rate, cents = chain.rate, 50
    bounds.keys(low_midi, high_midi, cents)
    bounds.levels(low_db, high_db, crest=math.sqrt(2.0))
    audible = bounds.audible(high_midi, chain.sample_rate, above_cents=cents)
    bounds.seconds(seconds)
    most = audible if high_hz is None else high_hz
    if not most <= audible:
        raise ValueError(f"high_hz={high_hz} must not exceed {audible:.1f} Hz, 0.45 of sample_rate={chain.sample_rate}")
    highest = pitch.hz_from_midi(high_midi + cents / 100)
    # A control may lie half a frame rate further out than the pair.
    if highest + 1.5 * rate > most:
        raise ValueError(
            f"high_midi={high_midi} (up to {highest:.1f} Hz) and a frame rate of {rate:g} Hz leave no second sinusoid "
            f"below {most:.1f} Hz; lower high_midi, or use an encoder of a longer hop"
        )

    def clear(midi: float) -> bool:
        return chain.clearance(pitch.hz_from_midi(midi)) >= CLEAR * rate

    def sinusoid(hz: float, midi: float, db: int) -> Stimulus:
        tone = Tone((Partial(hz, math.sqrt(2.0) * sounds.ratio(db), -math.pi / 2),), midi=midi, timbre="sine")
        return Stimulus((tone,), seconds, label=f"{pitch.name(midi)} ({hz:.2f} Hz) at {db} dB")

    @st.composite
    def pair(draw: DrawFn) -> Pair:
        midi = draw(sounds.pitches(low_midi=low_midi, high_midi=high_midi, cents=cents).filter(clear))
        low = pitch.hz_from_midi(midi)
        db = draw(sounds.levels_db(low_db=low_db, high_db=high_db))
        if kind == "alias":
            high = low + rate * draw(st.integers(1, math.floor((most - rate / 2 - low) / rate)))
        else:
            first = math.floor(2 * low / rate) + 1
            high = rate * draw(st.integers(first, math.floor((most - rate / 2 + low) / rate))) - low
        off = _control(chain, low, high, stretch=kind == "alias")
        said = f"{'aliases' if kind == 'alias' else 'mirror images'} at {rate:g} frames a second"
        sounding = [sinusoid(hz, pitch.midi_from_hz(hz), db) for hz in (low, high, *off)]
        return Pair(said, sounding[0], sounding[1], control=(sounding[2], sounding[3]))

    return pair()


def _control(chain: Chain, low: float, high: float, *, stretch: bool) -> tuple[float, float]:
    """The pair moved off every alias relation, by the least that does so best: a function of the pair alone.

    A translated pair is one wherever it stands, so its control is wider by less than half a frame rate.
    """
    rate = chain.rate
    shifts = [place * rate / 24 for place in range(1, 12)]
    wider = shifts if stretch else [0.0]

    def apart(candidate: tuple[float, float]) -> float:
        one, other = (fold(hz, rate) for hz in candidate)
        return min(abs(one - other), *(fold(hz, rate / 2) for hz in candidate))

    candidates = [(low + shift, high + shift + more) for shift in (0.0, *shifts) for more in wider]
    inside = [each for each in candidates if each[1] <= high + rate / 2]
    best = max(inside, key=apart)
    if apart(best) < CLEAR * rate * (1 - 1e-9):
        raise RuntimeError(f"no control for {low} and {high} Hz at {rate} frames a second")
    return best
