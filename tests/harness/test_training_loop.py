"""Training goes on where it stopped, hears what it would have heard, and says plainly why it cannot."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from testtone.models import encodec_mini
from testtone.models.training import codec, loop
from testtone.models.training.optimiser import Optimiser, orthogonalised


class Toy:
    """Learns a linear map from numbers that follow from the step; stops the clock after some steps of a call."""

    name = "toy"
    learning_rate = 1e-2

    def __init__(self, stop_after: int | None = None) -> None:
        torch.manual_seed(0)
        self.layer = nn.Linear(6, 4)
        self.heard: list[int] = []
        self.stop_after = stop_after

    def modules(self) -> dict[str, nn.Module]:
        """Return what learns."""
        return {"layer": self.layer}

    def loss(self, step: int, progress: float) -> torch.Tensor:
        """Return the squared error of a step."""
        self.heard.append(step)
        if self.stop_after is not None and len(self.heard) >= self.stop_after:
            loop.signal.raise_signal(loop.signal.SIGTERM)
        x = torch.randn(16, 6, generator=torch.Generator().manual_seed(step))
        return (self.layer(x) - x[:, :4]).square().mean()

    def schedule(self, progress: float) -> float:
        """Return the factor on the learning rate."""
        return loop.cooled_down(progress)

    def figures(self) -> dict[str, float]:
        """Return the size of what was learned."""
        return {"weight": float(self.layer.weight.detach().square().sum())}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock takes a second: the learning rate follows time, which a test must own."""
    ticks = iter(range(10**6))
    monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(ticks)))


def run(task: Toy, folder: Path, *, minutes: float = 1.0, seed: int = 0, recipe: dict | None = None) -> loop.State:
    return loop.train(
        task, folder=folder, seed=seed, minutes=minutes, recipe=recipe or {"data": "toy"}, show_progress=False
    )


@pytest.mark.usefixtures("clock")
def test_a_killed_run_goes_on_with_the_next_step(tmp_path: Path) -> None:
    whole = Toy()
    end = run(whole, tmp_path / "whole")
    first = Toy(stop_after=7)
    stopped = run(first, tmp_path / "parts")
    assert stopped.step == 7
    assert stopped.seconds < end.seconds
    second = Toy()
    run(second, tmp_path / "parts")
    assert first.heard + second.heard == whole.heard[: len(first.heard) + len(second.heard)]
    assert len(second.heard) > 3


@pytest.mark.usefixtures("clock")
def test_weights_and_momenta_come_back(tmp_path: Path) -> None:
    first = Toy(stop_after=12)
    run(first, tmp_path)
    again = Toy(stop_after=1)
    optimiser = Optimiser([again.layer], learning_rate=1e-2)
    state = loop._resume(tmp_path / loop.CHECKPOINT, again, optimiser, loop.State(task="toy", recipe='{"data": "toy"}'))
    assert state.step == 12
    torch.testing.assert_close(again.layer.weight, first.layer.weight)
    assert all(bool(value.abs().sum() > 0) for value in optimiser.state().values())


@pytest.mark.usefixtures("clock")
def test_it_learns_and_the_log_says_so(tmp_path: Path) -> None:
    run(Toy(), tmp_path, minutes=8.0)
    lines = [json.loads(line) for line in (tmp_path / loop.LOG).read_text().splitlines()]
    assert lines[0]["step"] == 1
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]
    assert "weight" in lines[-1]


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("change", "says"),
    [({"seed": 1}, "begun with seed=0, now seed=1"), ({"recipe": {"data": "other"}}, "begun with recipe=")],
)
def test_another_seed_or_material_is_refused(change: dict, says: str, tmp_path: Path) -> None:
    run(Toy(stop_after=2), tmp_path)
    with pytest.raises(loop.TrainingError, match=says):
        run(Toy(), tmp_path, **change)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / loop.CHECKPOINT).write_bytes(b"half a file")
    with pytest.raises(loop.TrainingError, match="is no checkpoint"):
        run(Toy(), tmp_path)


def test_the_learning_rate_stays_and_falls_to_zero() -> None:
    assert [loop.cooled_down(progress) for progress in (0.0, 0.5, 1.0)] == [1.0, 1.0, 0.0]
    assert loop.cooled_down(0.85) == pytest.approx(0.5)


@pytest.mark.usefixtures("clock")
def test_a_loss_that_is_no_number_ends_the_run_and_spares_the_checkpoint(tmp_path: Path) -> None:
    run(Toy(stop_after=5), tmp_path)
    kept = (tmp_path / loop.CHECKPOINT).read_bytes()
    broken = Toy()
    broken.loss = lambda step, progress: broken.layer.weight.sum() * math.nan
    with pytest.raises(loop.TrainingError, match="the loss is nan at step 5"):
        run(broken, tmp_path)
    assert (tmp_path / loop.CHECKPOINT).read_bytes() == kept


@pytest.mark.parametrize("shape", [(8, 40), (40, 8)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape: tuple[int, int]) -> None:
    values = torch.linalg.svdvals(orthogonalised(torch.randn(shape, generator=torch.Generator().manual_seed(0))))
    assert float(values.min()) > 0.5
    assert float(values.max()) < 1.4


# --- the codec's task ---------------------------------------------------------------------------------------------


class Tones:
    """Material without a synthesizer."""

    def chunk(self, index: int, *, seconds: float, sample_rate: int) -> list:
        """Return tones."""
        generator = torch.Generator().manual_seed(index)
        time = torch.arange(round(seconds * sample_rate)) / sample_rate
        hz = 100.0 + 900.0 * torch.rand(codec_clips, 1, generator=generator)
        return list((0.1 * torch.sin(2 * math.pi * hz * time)).numpy())

    def recipe(self) -> dict:
        """Return what decides the clips."""
        return {"data": "tones"}


codec_clips = 8


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "WINDOWS", 4)
    monkeypatch.setattr(codec, "WINDOW_SAMPLES", 1600)
    monkeypatch.setattr(codec, "FIT_SAMPLE", 2048)
    monkeypatch.setattr(codec, "FIT_ITERATIONS", 1)
    monkeypatch.setattr(codec, "LATENT_CHUNKS", 1)


@pytest.mark.usefixtures("small")
def test_first_an_autoencoder_then_the_decoder_alone_learns_from_codes() -> None:
    task = codec.CodecTask(Tones(), seed=0)
    task.loss(0, 0.1).backward()
    assert not task._codebooks.fitted
    assert any(bool(each.grad.any()) for each in task.model.encoder.parameters())
    for part in (task.model.encoder, task.model.decoder):
        part.zero_grad()
    task.loss(2, codec.QUANTISED_FROM).backward()
    assert task._codebooks.fitted
    assert all(each.grad is None or not each.grad.any() for each in task.model.encoder.parameters())
    assert any(bool(each.grad.any()) for each in task.model.decoder.parameters())


def test_the_codecs_learning_rate_falls_twice() -> None:
    schedule = codec.CodecTask.schedule
    rates = [schedule(None, progress) for progress in (0.0, codec.COOL_FROM, codec.QUANTISED_FROM - 1e-9)]
    assert rates == [1.0, 1.0, pytest.approx(codec.COOL_TO)]
    assert schedule(None, codec.QUANTISED_FROM) == pytest.approx(codec.DECODER_FACTOR)
    assert schedule(None, 1.0) == 0.0


@pytest.mark.usefixtures("small")
def test_what_is_exported_is_what_listens(tmp_path: Path) -> None:
    task = codec.CodecTask(Tones(), seed=3)
    task.loss(0, codec.QUANTISED_FROM)
    path = tmp_path / "weights.safetensors"
    task.export(path, metadata={})
    encoder = encodec_mini.trained(path=path)
    sound = torch.from_numpy(Tones().chunk(0, seconds=0.5, sample_rate=24_000)[0])[None]
    heard = encoder.listen(sound)
    with torch.no_grad():
        latent = task.model.encoder.eval()(sound[:, None])
        codes = task.model.quantizer.encode(latent, task.model.frame_rate, encoder.bandwidth_kbps)
    torch.testing.assert_close(heard["latent"], latent)
    assert torch.equal(heard["codes"], codes.transpose(0, 1))


def test_si_sdr_forgets_scale_and_counts_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    sound, noise = torch.randn(2, 1, 48_000, generator=generator)
    noise -= (noise * sound).sum() / sound.square().sum() * sound
    noise *= sound.norm() / noise.norm()
    measured = codec.si_sdr_db(3.0 * (sound + 0.1 * noise), sound)
    assert float(measured) == pytest.approx(20.0, abs=0.05)


def test_log_mel_distance_is_the_level_in_db_and_zero_for_itself() -> None:
    sound = torch.randn(1, 24_000, generator=torch.Generator().manual_seed(0))
    assert float(codec.log_mel_distance_db(sound, sound)) == 0.0
    assert float(codec.log_mel_distance_db(2.0 * sound, sound)) == pytest.approx(6.02, abs=0.05)


def test_perplexity_counts_the_entries_in_use() -> None:
    assert codec.perplexity(torch.arange(200).repeat(7)) == pytest.approx(200.0)
    assert codec.perplexity(torch.zeros(100, dtype=torch.int64)) == pytest.approx(1.0)


def test_held_out_clips_are_fixed_and_sound() -> None:
    first, again = codec.held_out_clips(4, seconds=0.5), codec.held_out_clips(6, seconds=0.5)
    assert first.shape == (4, 12_000)
    assert (first == again[:4]).all()
    assert (first.std(axis=1) > 1e-3).all()
