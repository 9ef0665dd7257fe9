"""What testtone costs beside what cannot be avoided, and beside other ways to the same numbers: `make bench`.

Two ways are timed in turn, in one process, on the same sounds; the table gives the median of each and their ratio.
Nothing is asserted. A ratio holds where its absolute times do not: other work slows both ways.

Of a claim check, what cannot be avoided is forward passes of its sounds, of each once through each encoder on trial
and each control, at the sites that are asked for and in full batches, and readers that are fitted (`probes.decoding`);
both are made again with nothing around them. All else is testtone's: silence, margins and rates found out, checks of
what comes back, rendering, readouts, resampling and intervals, the report.

The flow of the nearest published peer is re-enacted after its description: a process for every stimulus, which opens a
synthesizer, plays to a stereo file at 44.1 kHz with reverb and chorus, and ends; the file read again, mixed down and
resampled; then one clip a pass, gradients on, the time mean of one site. It is given what it does not have: its process
is a fork, which costs a tenth of starting a program.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fluidsynth
import numpy as np
import pretty_midi
import pytest
import scipy.signal
import soundfile
import torch

from testtone.models.listening import BATCH, Listener
from testtone.models.specs import resolve
from testtone.models.threads import held
from testtone.probes import decoding, hearing
from testtone.probes.hearing import Listen, ear_of, hear
from testtone.probes.readouts import mean
from testtone.stimuli import Stimulus, renders
from testtone.stimuli.renders import note_render
from testtone.tests.check import check

ROUNDS = 5
NOTES = 30
"""With silence four batches, all but one place of which are taken: a claim plays some hundred sounds of a length."""

SECONDS = 1.0
CLAIMS = ("pitch_direction", "separable", "selectivity_limited")
ENCODER = "encodec-mini"
GROWTH = Path(__file__).with_name("growth.py")


def timed(way: Callable[[], Any]) -> float:
    """Return how many seconds of the processor one call takes, children included."""
    began = _spent()
    way()
    return _spent() - began


def _spent() -> float:
    # os.times() counts in hundredths, half of what a render takes.
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def in_turn(*ways: Callable[[], Any], rounds: int = ROUNDS) -> list[float]:
    """Return the median seconds of each way, taken in turn after one round that does not count."""
    with held():
        for way in ways:
            way()
        times = [[timed(way) for way in ways] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def notes() -> list[tuple[int, int]]:
    """Return the notes of every comparison: (key, program)."""
    rng = np.random.default_rng(3)
    return [(int(rng.integers(48, 80)), int(rng.choice([0, 11, 24, 40, 56, 73]))) for _ in range(NOTES)]


def sounds() -> tuple[Stimulus, ...]:
    return tuple(Stimulus.of(note_render(key, program), seconds=SECONDS) for key, program in notes())


def played_by_peer(folder: Path) -> list[np.ndarray]:
    """Return the notes at 24 kHz as they come to an encoder by way of a process and a file each."""
    waves = []
    font = str(renders._default_soundfont())
    for number, (key, program) in enumerate(notes()):
        path = folder / f"{number}.wav"
        child = os.fork()
        if child == 0:
            synth = fluidsynth.Synth(samplerate=44100.0, gain=0.5)
            handle = synth.sfload(font)
            synth.program_select(0, handle, 0, program)
            synth.noteon(0, key, 100)
            soundfile.write(path, synth.get_samples(round(44100 * SECONDS)).reshape(-1, 2), 44100)
            os._exit(0)
        os.waitpid(child, 0)
        wave, _ = soundfile.read(path)
        waves.append(scipy.signal.resample_poly(wave.mean(axis=1), 80, 147))
    return waves


def forgotten(way: Callable[[], Any]) -> Callable[[], Any]:
    """Return a way that plays every note anew."""

    def play() -> Any:
        renders._cache.clear()
        return way()

    return play


def heard_by_us(listener: Listener, sites: tuple[str, ...]) -> None:
    def probe() -> Any:
        yield [Listen(sounds(), mean)]
        return {}

    hear(listener, {"it": (ear_of(listener, sites), probe())})


def heard_by_peer(encoder: Any, waves: list[np.ndarray], passes: int) -> None:
    for wave in waves:
        for _ in range(passes):
            clip = torch.from_numpy(wave.astype(np.float32))[None, None].requires_grad_()
            encoder.module(clip).mean(dim=2).detach().numpy()


@pytest.mark.skipif(not renders.available(), reason="FluidSynth is not installed")
def test_against_a_process_and_a_file_for_each_stimulus(ratios: Callable[..., None], tmp_path: Path) -> None:
    encoder = resolve(ENCODER)
    listener = Listener(encoder)
    everywhere = ("first_conv", "stack_end", "latent", "quantised")
    heard_by_us(listener, everywhere)
    ours, theirs = in_turn(
        forgotten(lambda: [each.render(24_000) for each in sounds()]), lambda: played_by_peer(tmp_path)
    )
    ratios("rendering: peer's flow / testtone", theirs, ours)
    for name, sites, passes in (("one site", ("latent",), 1), ("four sites", everywhere, 4)):
        ours, theirs = in_turn(
            forgotten(lambda sites=sites: heard_by_us(listener, sites)),
            lambda passes=passes: heard_by_peer(encoder, played_by_peer(tmp_path), passes),
        )
        ratios(f"{name}: peer's flow / testtone", theirs, ours)


@pytest.mark.skipif(not renders.available(), reason="FluidSynth is not installed")
@pytest.mark.filterwarnings("ignore")
def test_against_pretty_midi(ratios: Callable[..., None]) -> None:
    def one_by_one() -> None:
        for key, program in notes():
            piece = pretty_midi.PrettyMIDI()
            instrument = pretty_midi.Instrument(program)
            instrument.notes.append(pretty_midi.Note(100, key, 0.0, SECONDS))
            piece.instruments.append(instrument)
            piece.fluidsynth(fs=24_000)

    ours, theirs = in_turn(forgotten(lambda: [each.render(24_000) for each in sounds()]), one_by_one)
    ratios("rendering: pretty_midi.fluidsynth / testtone", theirs, ours)


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_check_against_what_it_cannot_avoid(
    ratios: Callable[..., None], monkeypatch: pytest.MonkeyPatch, claim: str
) -> None:
    """The passes and the fits of one check are written down and then made again, with nothing around them."""
    passes: list[tuple[Any, torch.Tensor, tuple[str, ...]]] = []
    fits: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    beside, learned = hearing._Silence.beside, decoding._learned

    def heard(
        silence: Any, sounds: np.ndarray, variant: str | None = None, sites: Any = None, all_sites: Any = None
    ) -> Any:
        listener = hearing._variant(silence._listener, variant)
        wanted = tuple(site for site in listener.sites if sites is None or site in sites)
        passes.append((listener.encoder, torch.from_numpy(sounds.copy()), wanted))
        return beside(silence, sounds, variant, sites, all_sites)

    def fitted(*arguments: Any, **options: Any) -> Any:
        fits.append((arguments, options))
        return learned(*arguments, **options)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(hearing._Silence, "beside", heard)
        meanwhile.setattr(decoding, "_learned", fitted)
        check(claim, ENCODER, effort="quick")

    def bare() -> None:
        with torch.no_grad():
            for encoder, clips, sites in passes:
                encoder.listen_at(clips, sites) if hasattr(encoder, "listen_at") else encoder.listen(clips)

    def learn() -> None:
        for arguments, options in fits:
            learned(*arguments, **options)

    whole, forward, fitting = in_turn(forgotten(lambda: check(claim, ENCODER, effort="quick")), bare, learn)
    said = f"{claim} on {ENCODER}, controls included"
    ratios(f"{said} / its passes and fits", whole, forward + fitting)
    ratios(f"{said} / its passes", whole, forward)


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_second_check_with_a_store(ratios: Callable[..., None], tmp_path: Path, claim: str) -> None:
    folders = iter(tmp_path / str(number) for number in range(100))

    def first() -> None:
        nonlocal last
        last = next(folders)
        check(claim, ENCODER, effort="quick", store=last)

    last = tmp_path
    cold, warm = in_turn(forgotten(first), lambda: check(claim, ENCODER, effort="quick", store=last))
    ratios(f"{claim} on {ENCODER}: second run with a store / first", warm, cold)


@pytest.mark.parametrize("batch", [1, 4, 8, 16, 32])
def test_clips_a_batch(ratios: Callable[..., None], batch: int) -> None:
    """What a batch of another size would cost, per clip."""
    encoder = resolve(ENCODER)
    clips = 0.1 * torch.randn(BATCH * 4, round(0.5 * encoder.sample_rate))

    def listen(size: int) -> Callable[[], None]:
        def way() -> None:
            with torch.no_grad():
                for start in range(0, len(clips), size):
                    encoder.listen(clips[start : start + size])

        return way

    other, usual = in_turn(listen(batch), listen(BATCH), rounds=3)
    ratios(f"{ENCODER}, half-second clips: {batch} a batch / {BATCH}", other, usual)


@pytest.mark.parametrize("count", [1_000, 10_000, 100_000])
def test_time_and_memory_by_the_number_of_sounds(ratios: Callable[..., None], count: int) -> None:
    """Seconds per thousand sounds, and the peak memory of a fresh process. The last takes some minutes."""
    done = subprocess.run([sys.executable, GROWTH, str(count)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{GROWTH.name} {count} failed: {done.stderr[-2000:]}")
    told = json.loads(done.stdout)
    said = f"{count} sounds of 0.15 s through {ENCODER}, peak {told['peak_mb']:.0f} MB ({told['before_mb']:.0f} before)"
    ratios(f"{said} / sounds, thousands", told["seconds"], count / 1e3)
