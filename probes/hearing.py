"""Many questions, one pass: probes ask, the encoder listens once to each sound.

A probe is a generator. It yields a list of :class:`Listen` requests and receives their answers, as often as it likes,
and returns its measurements::

    def probe(ear, rng, effort):
        loud, soft = yield [Listen(tones, mean), Listen(quiet_tones, mean)]
        return {site: Measurement(...) for site in ear.sites}

:func:`hear` runs any number of probes on one encoder in step. In each round it collects what all of them ask, renders
each sound once, lets the encoder listen to it once, and keeps only what the readouts keep. All sites come from the same
pass.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtone.models.listening import BATCH, EncoderFault, Listener, Margin
from testtone.models.protocol import CODES
from testtone.stimuli import Chain, Stimulus

from .readouts import Readout
from .records import Measurement

Answer = Mapping[str, NDArray[Any]]
"""Site -> ``'stimuli ...'``: what the readout kept of each stimulus, in the order asked."""

Probe = Generator[Sequence["Listen"], Sequence[Answer], Mapping[str, Measurement]]


@dataclass(frozen=True)
class Listen:
    """A request: these sounds, and what to keep of the answer at every site.

    All values are relative to silence: the encoder's answer to silence of the same length is subtracted frame by frame.
    """

    stimuli: tuple[Stimulus, ...]
    readout: Readout
    sites: tuple[str, ...] | None = None
    """Only at these sites; None: at all that the probe was given."""


@dataclass(frozen=True)
class Ear:
    """What a probe may know of the encoder before it asks."""

    sample_rate: int
    sites: tuple[str, ...]
    """Sites asked for that the encoder offers; real values, not codes."""
    frame_rates: Mapping[str, float]
    margins: Mapping[str, Margin]
    strides: tuple[int, ...] | None

    def chain(self, site: str) -> Chain:
        """The strides from the waveform to a site: as far as the encoder tells them, else one stride."""
        hop = self.sample_rate / self.frame_rates[site]
        strides = self.strides or ()
        for upto in range(1, len(strides) + 1):
            if math.prod(strides[:upto]) == round(hop):
                return Chain(self.sample_rate, strides[:upto])
        return Chain(self.sample_rate, (max(1, round(hop)),))

    def seconds(self, frames: int, *, sites: Sequence[str] | None = None, ramp_seconds: float = 0.02) -> float:
        """Length of a clip with at least ``frames`` frames free of edges and ramps at each of the sites.

        A whole number of frames of the slowest site, so that clips of one probe share their length.
        """
        longest = 0.0
        for site in sites or self.sites:
            left, right = self.free(site, ramp_seconds=ramp_seconds)
            longest = max(longest, (left + frames + right) / self.frame_rates[site])
        slowest = min(self.frame_rates[site] for site in sites or self.sites)
        return float(np.ceil(longest * slowest - 1e-9) / slowest)

    def free(self, site: str, *, ramp_seconds: float = 0.02) -> tuple[int, int]:
        """Frames to leave out at the left and at the right of a clip: margin and ramp."""
        ramp = int(np.ceil(ramp_seconds * self.frame_rates[site]))
        return self.margins[site].left + ramp, self.margins[site].right + ramp


def ear_of(listener: Listener, sites: Sequence[str]) -> Ear:
    """What probes may know of a listener, for those of ``sites`` that it offers."""
    offered = tuple(site for site in sites if site in listener.sites)
    return Ear(
        sample_rate=listener.sample_rate,
        sites=offered,
        frame_rates={site: listener.frame_rates[site] for site in offered},
        margins={site: listener.margins[site] for site in offered},
        strides=listener.strides,
    )


@dataclass(frozen=True)
class Heard:
    """What came of a probe: measurements per site, or the fault that stopped it."""

    measurements: Mapping[str, Measurement] | None
    fault: str | None
    error: Exception | None
    """What a probe itself raised: our fault, to be raised again where the probe is asked about."""
    seconds: float
    """This probe's share of the time: its own, and of each pass in proportion to the clips it asked for."""


def hear(listener: Listener, probes: Mapping[str, tuple[Ear, Probe]]) -> dict[str, Heard]:
    """Run probes on one encoder in step, each sound listened to once a round.

    A fault of the encoder (:class:`~testtone.models.listening.EncoderFault`) ends the probes that asked for the round
    in which it happened. It is returned, not raised; so is an error of a probe, which leaves the other probes alone.
    """
    done: dict[str, Heard] = {}
    spent = dict.fromkeys(probes, 0.0)
    answers: dict[str, Sequence[Answer] | None] = dict.fromkeys(probes, None)
    silence = _Silence(listener)
    while answers:
        asked: dict[str, Sequence[Listen]] = {}
        for key, answer in answers.items():
            started = time.perf_counter()
            try:
                asked[key] = next(probes[key][1]) if answer is None else probes[key][1].send(answer)
            except StopIteration as stop:
                spent[key] += time.perf_counter() - started
                done[key] = Heard(stop.value, None, None, spent[key])
            except Exception as error:
                done[key] = Heard(None, None, error, spent[key])
            else:
                spent[key] += time.perf_counter() - started
        started = time.perf_counter()
        try:
            answers = dict(_listen_once(listener, silence, {key: (probes[key][0], asked[key]) for key in asked}))
        except EncoderFault as fault:
            answers = {}
            for key in asked:
                probes[key][1].close()
                done[key] = Heard(None, str(fault), None, spent[key])
        elapsed = time.perf_counter() - started
        clips = {key: sum(len(request.stimuli) for request in requests) for key, requests in asked.items()}
        for key in asked:
            spent[key] += elapsed * clips[key] / max(1, sum(clips.values()))
    return {key: done[key] for key in probes}


def _listen_once(
    listener: Listener, silence: _Silence, asked: Mapping[str, tuple[Ear, Sequence[Listen]]]
) -> dict[str, list[Answer]]:
    """One round: unique stimuli by length, one pass each, every readout applied to it while it is at hand."""
    unique: dict[str, Stimulus] = {}
    wanted: dict[str, dict[tuple[str, Readout], None]] = {}
    for ear, requests in asked.values():
        for request in requests:
            for stimulus in request.stimuli:
                unique.setdefault(stimulus.sha256, stimulus)
                keep = wanted.setdefault(stimulus.sha256, {})
                keep.update(dict.fromkeys((site, request.readout) for site in ear.sites))
    kept: dict[tuple[str, str, Readout], NDArray[Any]] = {}
    by_length: dict[int, list[str]] = {}
    for sha256, stimulus in unique.items():
        by_length.setdefault(round(stimulus.seconds * listener.sample_rate), []).append(sha256)
    for samples, names in by_length.items():
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            waveforms = np.stack([unique[name].render(listener.sample_rate) for name in batch])
            heard = listener.listen(waveforms).values
            for row, name in enumerate(batch):
                for site, readout in wanted[name]:
                    left, right = _free(listener, site, unique[name].ramp_seconds)
                    frames = heard[site][row]
                    quiet = silence.of(samples)[site]
                    if frames.shape != quiet.shape:
                        raise EncoderFault(
                            f"{listener.spec}: site {site!r} gave {frames.shape[1]} frames for a sound and "
                            f"{quiet.shape[1]} for silence of the same length"
                        )
                    inner = (frames.astype(np.float64) - quiet)[:, left : frames.shape[1] - right]
                    if inner.shape[1] < 1:
                        raise EncoderFault(
                            f"{listener.spec}: site {site!r} gave {frames.shape[1]} frames for "
                            f"{unique[name].seconds:.3g} s; {left + right} of them hear the edges and none is left"
                        )
                    kept[name, site, readout] = readout(inner, listener.frame_rates[site])
    return {
        key: [
            {
                site: np.stack([kept[stimulus.sha256, site, request.readout] for stimulus in request.stimuli])
                for site in request.sites or ear.sites
            }
            for request in requests
        ]
        for key, (ear, requests) in asked.items()
    }


def _free(listener: Listener, site: str, ramp_seconds: float) -> tuple[int, int]:
    return ear_of(listener, (site,)).free(site, ramp_seconds=ramp_seconds)


class _Silence:
    """The encoder's answers to silence, one per clip length."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._answers: dict[int, dict[str, NDArray[Any]]] = {}

    def of(self, samples: int) -> dict[str, NDArray[Any]]:
        if samples not in self._answers:
            heard = self._listener.listen(np.zeros((1, samples), np.float32)).values
            self._answers[samples] = {
                site: values[0].astype(np.float64) for site, values in heard.items() if site != CODES
            }
        return self._answers[samples]
