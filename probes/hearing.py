"""Many questions, one pass: probes ask, the encoder listens once to each sound.

A probe is a generator. It yields a list of :class:`Listen` requests and receives their answers, as often as it likes,
and returns its measurements::

    def probe(ear, rng, effort):
        loud, soft = yield [Listen(tones, mean), Listen(quiet_tones, mean)]
        return {site: Measurement(...) for site in ear.sites}

:func:`hear` runs any number of probes on one encoder in step. In each round it collects what all of them ask, renders
each sound once, lets the encoder listen to it once, and keeps only what the readouts keep. All sites come from the same
pass.

A search, whose next sound depends on the last answer, has `Ear.respond` and, where the encoder offers a gradient,
`Ear.differentiate`; one for stimuli asks an `Interview`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from testtone.models.listening import BATCH, LAYERS, EncoderFault, Listener, Margin
from testtone.models.protocol import CODES
from testtone.stimuli import Chain, Stimulus
from testtone.stimuli.sources import Recording

from .readouts import Readout
from .records import Measurement

Answer = Mapping[str, NDArray[Any]]
"""Site -> ``'stimuli ...'``: what the readout kept of each stimulus, in the order asked."""

Respond = Callable[[NDArray[Any]], Mapping[str, NDArray[np.float64]]]
Differentiate = Callable[[Any], Mapping[str, Any]]

Probe = Generator[Sequence["Listen"], Sequence[Answer], Mapping[str, Measurement]]


@dataclass(frozen=True)
class Listen:
    """A request: these sounds, and what to keep of the answer at every site.

    All values are relative to silence, the encoder's answer to silence of the same length being subtracted frame by
    frame, and in units of the site (`Listener.sizes`): in whatever units an encoder answers, what is small is small by
    comparison. A variant keeps the units of the encoder. Codes are names, not values, and stay as they are; they are
    heard where ``sites`` names them.
    """

    stimuli: tuple[Stimulus, ...]
    readout: Readout
    sites: tuple[str, ...] | None = None
    """Only at these sites; None: at all that the probe was given."""
    variant: str | None = None
    """Ask this variant of the encoder, one of `Ear.variants`; None: the encoder itself."""


@dataclass(frozen=True)
class Ear:
    """What a probe may know of the encoder before it asks."""

    sample_rate: int
    sites: tuple[str, ...]
    """Sites asked for that the encoder offers."""
    frame_rates: Mapping[str, float]
    margins: Mapping[str, Margin]
    missing_frames: Mapping[str, int]
    """By how many frames a clip falls short of its length times the frame rate."""
    strides: tuple[int, ...] | None
    least_seconds: float = 0.0
    """Length of the shortest clip that the encoder hears, where that matters."""
    first_conv_filters: NDArray[np.float64] | None = None
    """Filters of the first convolution, 'channels taps', where the encoder tells them."""
    backgrounds: tuple[Recording, ...] = ()
    """Recordings of the user's own, for probes that can use natural sound (`stimuli.backgrounds`); mostly none."""
    shifted: tuple[str, ...] = ()
    """Sites of one frame a clip, heard in shifted windows: how many frames a second they have is our choice."""
    respond: Respond | None = field(default=None, compare=False, repr=False)
    """Waveforms that are no stimulus, 'clips samples' -> site -> 'clips channels frames', all frames, relative to
    silence and in units of the site: for searches, whose next sound depends on the last answer."""
    differentiate: Differentiate | None = field(default=None, compare=False, repr=False)
    """The encoder as a function with a gradient, tensor 'clips samples' -> site -> tensor 'clips channels frames', in
    units of the site, not relative to silence; None where it offers none."""
    variants: tuple[str, ...] = ()
    """Variants of the encoder with the same weights that it offers: without strides, or linear, or both."""
    layers: Mapping[str, float] = field(default_factory=dict)
    """Sites of the variant `LAYERS` in order, and their frame rates in Hz: the layers that stride, where it tells."""
    strided_kernels: tuple[NDArray[np.float64], ...] | None = None
    """The correlations before each of the strides, 'out in taps' each, where the encoder tells them."""
    members: Mapping[str, tuple[int, int]] | None = None
    """Where the code holds many encoders side by side: the channels of each, first and beyond the last."""
    composes_as: Mapping[str, str] = field(default_factory=dict)
    """Whose composition is to be counted as whose, if not as its own."""

    unit: Callable[[str], float] = field(default=lambda site: 1.0, compare=False, repr=False)
    """What activations of a site are told in units of, in the encoder's own: a power of two (`Listener.sizes`)."""
    codes: bool = False
    """Whether the encoder gives codes: they are heard at the site 'codes'."""
    dequantise: Callable[[NDArray[np.int64]], NDArray[np.float64]] | None = None
    """Codes 'batch codebooks frames', or the first codebooks -> 'batch channels frames' in units of the site
    'quantised', where the encoder says."""

    def chain(self, site: str) -> Chain:
        """The strides from the waveform to a site: as far as the encoder tells them, else one stride."""
        hop = self.sample_rate / self.frame_rates[site]
        strides = (self.strides or ()) if site not in self.shifted else ()
        for upto in range(1, len(strides) + 1):
            if math.prod(strides[:upto]) == round(hop):
                return Chain(self.sample_rate, strides[:upto])
        return Chain(self.sample_rate, (max(1, round(hop)),))

    def seconds(self, frames: int, *, sites: Sequence[str] | None = None, ramp_seconds: float = 0.02) -> float:
        """Length of a clip with at least ``frames`` frames free of edges and ramps at each of the sites.

        A whole number of frames of the slowest site, so that clips of one probe share their length.
        """
        longest = self.least_seconds
        for site in sites or self.sites:
            left, right = self.free(site, ramp_seconds=ramp_seconds)
            longest = max(longest, (left + frames + right + self.missing_frames[site]) / self.frame_rates[site])
        slowest = min(self.frame_rates[site] for site in sites or self.sites)
        return float(np.ceil(longest * slowest - 1e-9) / slowest)

    def free(self, site: str, *, ramp_seconds: float = 0.02) -> tuple[int, int]:
        """Frames to leave out at the left and at the right of a clip: margin and ramp."""
        return _free(self.margins[site], self.frame_rates[site], ramp_seconds)


def _free(margin: Margin, rate: float, ramp_seconds: float) -> tuple[int, int]:
    ramp = int(np.ceil(ramp_seconds * rate))
    return margin.left + ramp, margin.right + ramp


def ear_of(listener: Listener, sites: Sequence[str], backgrounds: tuple[Recording, ...] = ()) -> Ear:
    """What probes may know of a listener, for those of ``sites`` that it offers."""
    offered = tuple(site for site in sites if site in listener.sites)
    return Ear(
        sample_rate=listener.sample_rate,
        sites=offered,
        frame_rates={site: listener.frame_rates[site] for site in offered},
        margins={site: listener.margins[site] for site in offered},
        missing_frames={site: listener.missing_frames[site] for site in offered},
        strides=listener.strides,
        least_seconds=listener.least_seconds,
        first_conv_filters=listener.first_conv_filters,
        backgrounds=backgrounds,
        shifted=tuple(site for site in offered if site in listener.shifted),
        respond=_respond(listener, offered),
        differentiate=_differentiate(listener, offered),
        variants=tuple(each for each in listener.variants if each != LAYERS),
        layers=listener.layers,
        strided_kernels=listener.strided_kernels,
        codes=CODES in listener.sites,
        dequantise=_dequantise(listener),
        members=getattr(listener.encoder, "members", None),
        composes_as=getattr(listener.encoder, "composes_as", None) or {},
        unit=lambda site: listener.sizes[site],
    )


def _respond(listener: Listener, sites: Sequence[str]) -> Respond:
    """An ear for waveforms: through the listener, in batches of one shape and checked like any other sound."""
    silence = _Silence(listener)

    def respond(waves: NDArray[Any]) -> Mapping[str, NDArray[np.float64]]:
        parts = []
        for start in range(0, len(waves), BATCH):
            part, quiet = silence.beside(np.ascontiguousarray(waves[start : start + BATCH], np.float32))
            parts.append(part)
        return {
            site: (np.concatenate([part[site] for part in parts]) - quiet[site]) / listener.sizes[site]
            for site in sites
            if site != CODES
        }

    return respond


def _dequantise(listener: Listener) -> Callable[[NDArray[np.int64]], NDArray[np.float64]] | None:
    """What codes stand for, in the units of the site that holds it."""
    if getattr(listener.encoder, "dequantise", None) is None:
        return None
    return lambda codes: listener.dequantise(codes) / listener.sizes.get("quantised", 1.0)


def _differentiate(listener: Listener, sites: Sequence[str]) -> Differentiate | None:
    """The encoder's own function with a gradient, where it has one and hears clips of any length."""
    listen = getattr(listener.encoder, "listen_with_gradient", None)
    if not callable(listen) or listener.window_samples is not None:
        return None

    def differentiate(waves: Any) -> Mapping[str, Any]:
        answer = listen(waves.to(getattr(listener.encoder, "device", None) or "cpu"))
        return {site: answer[site] / listener.sizes[site] for site in sites if site in answer}

    return differentiate


@dataclass(frozen=True)
class Heard:
    """What came of a probe: measurements per site, or the fault that stopped it."""

    measurements: Mapping[str, Measurement] | None
    fault: str | None
    error: Exception | None
    """What a probe itself raised: our fault, to be raised again where the probe is asked about."""
    seconds: float
    """This probe's share of the time: its own, and of each pass in proportion to the clips it asked for."""


Key = TypeVar("Key", bound=Hashable)
"""What probes are called by whoever runs them."""

_Name = tuple[str, str | None]
"""A sound by its content hash, and the variant of the encoder that hears it."""

Progress = Callable[[int, int], None]
"""Told after each batch: sounds heard so far in this round, and sounds in all."""


class Answers(Protocol):
    """What is remembered of an encoder's answers from earlier runs."""

    def recall(
        self, stimulus: Stimulus, variant: str | None, readout: Readout, sites: Sequence[str]
    ) -> Mapping[str, NDArray[Any]] | None:
        """Return what a readout kept of a sound at each of the sites; None unless it is remembered of all of them."""

    def keep(
        self, stimulus: Stimulus, variant: str | None, readout: Readout, values: Mapping[str, NDArray[Any]]
    ) -> None:
        """Remember what a readout kept of a sound, site by site."""


def hear(
    listener: Listener,
    probes: Mapping[Key, tuple[Ear, Probe]],
    *,
    progress: Progress | None = None,
    answers_before: Answers | None = None,
) -> dict[Key, Heard]:
    """Run probes on one encoder in step, each sound listened to once a round; not at all where it is remembered.

    A fault of the encoder (:class:`~testtone.models.listening.EncoderFault`) ends the probes that asked for the round
    in which it happened. It is returned, not raised; so is an error of a probe, which leaves the other probes alone.
    """
    done: dict[Key, Heard] = {}
    spent = dict.fromkeys(probes, 0.0)
    answers: dict[Key, Sequence[Answer] | None] = dict.fromkeys(probes, None)
    silence = _Silence(listener)
    while answers:
        asked: dict[Key, Sequence[Listen]] = {}
        for key, answer in answers.items():
            started = time.perf_counter()
            try:
                asked[key] = next(probes[key][1]) if answer is None else probes[key][1].send(answer)
            except StopIteration as stop:
                spent[key] += time.perf_counter() - started
                done[key] = Heard(stop.value, None, None, spent[key])
            except EncoderFault as broken:
                # A search asks the encoder itself (`Ear.respond`).
                done[key] = Heard(None, str(broken), None, spent[key])
            except Exception as error:
                done[key] = Heard(None, None, error, spent[key])
            else:
                spent[key] += time.perf_counter() - started
        started = time.perf_counter()
        this_round = _Round(listener, {key: (probes[key][0], requests) for key, requests in asked.items()})
        try:
            this_round.listen(silence, progress, answers_before)
            fault = None
        except EncoderFault as broken:
            fault = str(broken)
        elapsed = time.perf_counter() - started
        clips = {key: sum(len(request.stimuli) for request in requests) for key, requests in asked.items()}
        answers = {}
        for key in asked:
            spent[key] += elapsed * clips[key] / max(1, sum(clips.values()))
            ours = this_round.errors.get(key)
            if fault is not None or ours is not None:
                probes[key][1].close()
                done[key] = Heard(None, fault, None if fault else ours, spent[key])
            else:
                answers[key] = this_round.answers(key)
    return {key: done[key] for key in probes}


class Interview:
    """An encoder that answers requests one after the other, relative to silence and free of edges, as a probe's."""

    def __init__(self, listener: Listener, ear: Ear) -> None:
        self.ear = ear
        self._listener = listener
        self._silence = _Silence(listener)

    def ask(self, requests: Sequence[Listen]) -> Sequence[Answer]:
        """Return the answers to requests, each sound listened to once.

        Raises:
            testtone.models.listening.EncoderFault: if the encoder breaks its promise.
        """
        this_round = _Round(self._listener, {None: (self.ear, requests)})
        this_round.listen(self._silence, None, None)
        if None in this_round.errors:
            raise this_round.errors[None]
        return this_round.answers(None)


class _Round(Generic[Key]):
    """What probes ask for at one time: each sound once, each readout of it once, whoever asks."""

    def __init__(self, listener: Listener, asked: Mapping[Key, tuple[Ear, Sequence[Listen]]]) -> None:
        self._listener = listener
        self._asked = asked
        self._stimuli: dict[_Name, Stimulus] = {}
        self._wanted: dict[_Name, dict[tuple[str, Readout], list[Key]]] = {}
        """Sound and variant -> (site, readout) -> the probes that want it."""
        self._kept: dict[tuple[_Name, str, Readout], NDArray[Any]] = {}
        self.errors: dict[Key, Exception] = {}
        """What went wrong with a sound or a readout, by the probe that asked for it: ours, not the encoder's."""
        for key, (ear, requests) in asked.items():
            for request in requests:
                for stimulus in request.stimuli:
                    name = stimulus.sha256, request.variant
                    self._stimuli.setdefault(name, stimulus)
                    keep = self._wanted.setdefault(name, {})
                    for site in request.sites or ear.sites:
                        keep.setdefault((site, request.readout), []).append(key)

    def listen(self, silence: _Silence, progress: Progress | None, before: Answers | None) -> None:
        """Let the encoder listen to every sound, in batches of one length, and keep what the readouts keep."""
        by_length: dict[tuple[str | None, int], list[_Name]] = {}
        for name, stimulus in self._stimuli.items():
            if before is not None and self._recall(name, before):
                continue
            by_length.setdefault((name[1], round(stimulus.seconds * self._listener.sample_rate)), []).append(name)
        done = len(self._stimuli) - sum(map(len, by_length.values()))
        for (variant, _), names in by_length.items():
            everywhere = {site for name in names for site, _ in self._wanted[name]}
            # Sounds that are wanted at the same sites share batches; the batch with room to spare has silence in it.
            names = sorted(names, key=self._sites)
            batches = [names[start : start + BATCH] for start in range(0, len(names), BATCH)]
            for batch in sorted(batches, key=len):
                waveforms = {name: wave for name in batch if (wave := self._render(name)) is not None}
                if waveforms:
                    here = {site for name in waveforms for site in self._sites(name)}
                    heard, quiet = silence.beside(np.stack(list(waveforms.values())), variant, here, everywhere)
                    for row, name in enumerate(waveforms):
                        self._read(name, {site: values[row] for site, values in heard.items()}, quiet)
                        if before is not None:
                            self._remember(name, before)
                done += len(batch)
                if progress is not None:
                    progress(done, len(self._stimuli))

    def _sites(self, name: _Name) -> list[str]:
        """The sites at which a sound is wanted, in one order."""
        return sorted({site for site, _ in self._wanted[name]})

    def _readouts(self, name: _Name) -> dict[Readout, list[str]]:
        """What is wanted of a sound: readouts, and each one's sites."""
        sites: dict[Readout, list[str]] = {}
        for site, readout in self._wanted[name]:
            sites.setdefault(readout, []).append(site)
        return sites

    def _recall(self, name: _Name, before: Answers) -> bool:
        """Whether all that is wanted of a sound is remembered; it is then as good as heard."""
        found: dict[tuple[_Name, str, Readout], NDArray[Any]] = {}
        for readout, sites in self._readouts(name).items():
            values = before.recall(self._stimuli[name], name[1], readout, sites)
            if values is None:
                return False
            found |= {(name, site, readout): values[site] for site in sites}
        self._kept |= found
        return True

    def _remember(self, name: _Name, before: Answers) -> None:
        for readout, sites in self._readouts(name).items():
            if all((name, site, readout) in self._kept for site in sites):
                values = {site: np.asarray(self._kept[name, site, readout]) for site in sites}
                before.keep(self._stimuli[name], name[1], readout, values)

    def answers(self, key: Key) -> list[Answer]:
        """What one probe asked for, in its order."""
        ear, requests = self._asked[key]
        return [
            {
                site: np.stack(
                    [self._kept[(each.sha256, request.variant), site, request.readout] for each in request.stimuli]
                )
                for site in request.sites or ear.sites
            }
            for request in requests
        ]

    def _render(self, name: _Name) -> NDArray[np.float32] | None:
        try:
            return self._stimuli[name].render(self._listener.sample_rate)
        except Exception as error:
            for askers in self._wanted[name].values():
                self._blame(askers, error)
            return None

    def _read(self, name: _Name, heard: Mapping[str, NDArray[Any]], silence: Mapping[str, NDArray[Any]]) -> None:
        listener = _variant(self._listener, name[1])
        for site in dict.fromkeys(site for site, _ in self._wanted[name]):
            if site not in heard:
                self._blame([key for each in self._wanted[name].values() for key in each], _no_such_site(name[1], site))
                continue
            frames = self._free_of_edges(name, site, heard[site], silence.get(site))
            for (where, readout), askers in self._wanted[name].items():
                if where != site:
                    continue
                try:
                    self._kept[name, site, readout] = readout(frames, listener.frame_rates[site])
                except Exception as error:
                    self._blame(askers, error)

    def _free_of_edges(self, name: _Name, site: str, frames: NDArray[Any], quiet: NDArray[Any] | None) -> NDArray[Any]:
        """The frames of a sound without those that hear an edge; values relative to silence, codes as they are."""
        stimulus, listener = self._stimuli[name], _variant(self._listener, name[1])
        if quiet is not None and frames.shape != quiet.shape:
            raise EncoderFault(
                f"{self._listener.spec}: site {site!r} gave {frames.shape[1]} frames for a sound and {quiet.shape[1]} "
                "for silence of the same length"
            )
        left, right = _free(listener.margins[site], listener.frame_rates[site], stimulus.ramp_seconds)
        if frames.shape[1] <= left + right:
            raise EncoderFault(
                f"{self._listener.spec}: site {site!r} gave {frames.shape[1]} frames for {stimulus.seconds:.3g} s; "
                f"{left + right} of them hear the edges and none is left"
            )
        kept = slice(left, frames.shape[1] - right)
        if quiet is None:
            return frames[:, kept]
        # A variant is in the units of the encoder, so that the two can be compared; its layers are in units of theirs.
        sizes = self._listener.sizes if site in self._listener.sizes else listener.sizes
        return (frames[:, kept].astype(np.float64) - quiet[:, kept]) / sizes[site]

    def _blame(self, askers: Sequence[Key], error: Exception) -> None:
        for key in askers:
            self.errors.setdefault(key, error)


class _Silence:
    """The encoder's answers to silence, and those of its variants, one per clip length; in the encoder's own units."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._answers: dict[tuple[str | None, int], dict[str, NDArray[Any]]] = {}
        self._asked: dict[tuple[str | None, int], set[str | None]] = {}

    def beside(
        self,
        sounds: NDArray[np.float32],
        variant: str | None = None,
        sites: Collection[str] | None = None,
        everywhere: Collection[str] | None = None,
    ) -> tuple[Mapping[str, NDArray[Any]], Mapping[str, NDArray[Any]]]:
        """Return what 'clips samples' give and what silence gives: the first time it is heard in one batch with them.

        Args:
            sounds: some clips.
            variant: who hears them.
            sites: at which sites the sounds are wanted; None: at all, frames within margins included.
            everywhere: at which sites silence will be wanted.
        """
        samples = sounds.shape[1]
        listener, asked = _variant(self._listener, variant), self._asked.setdefault((variant, samples), set())
        answers = self._answers.setdefault((variant, samples), {})
        wanted = {None} if everywhere is None else set(everywhere)
        if wanted <= asked:
            return listener.listen(sounds, sites=sites).values, answers
        heard = listener.listen(np.concatenate([sounds, np.zeros((1, samples), np.float32)]), sites=everywhere).values
        answers |= {site: values[-1].astype(np.float64) for site, values in heard.items() if site != CODES}
        asked |= wanted
        return {site: values[:-1] for site, values in heard.items()}, answers


def _variant(listener: Listener, variant: str | None) -> Listener:
    return listener if variant is None else listener.variants[variant]


def _no_such_site(variant: str | None, site: str) -> ValueError:
    return ValueError(f"variant {variant!r} was asked for at site {site!r}, which it lacks")
