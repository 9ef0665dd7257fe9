"""The tagger's task: tags that say what sounds, areas that count pairs, steps that can be heard again."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from testtone.models import samplecnn
from testtone.models.samplecnn import SAMPLE_RATE, SAMPLES, SampleCNN
from testtone.models.training import tagger
from testtone.models.training.loop import TrainingError, train
from testtone.models.training.material import Folder, Synth
from testtone.models.training.optimiser import Optimiser
from testtone.models.training.tagger import (
    CHUNK_CLIPS,
    GROUPS,
    TAGS,
    TaggedMusic,
    TaggerTask,
    aucs,
    coloured,
    grouped,
    held_out_clips,
    tags_of,
)
from testtone.stimuli import music, renders
from testtone.stimuli.sources import Note

needs_fluidsynth = pytest.mark.skipif(not renders.available(), reason="FluidSynth is not installed")


def piece(*keys: float, program: int = 0, percussion: bool = False, **settings) -> music.Piece:
    """Return a piece that holds some keys throughout."""
    parts = [music.Part(program, tuple(Note(key, 80, 0.0, 2.0) for key in keys))]
    if percussion:
        parts.append(music.Part(0, tuple(Note(36.0, 80, tick / 8, tick / 8 + 0.1) for tick in range(20)), bank=128))
    return music.Piece(tuple(parts), 2.678, 0.05, 0, **settings)


PIPE_ORGAN = piece(69.0, program=19)


def borne(each: music.Piece) -> set[str]:
    return {tag for tag, value in zip(TAGS, tags_of(each), strict=True) if value}


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        pytest.param(
            piece(60.0, 64.0, 67.0, quality="major"),
            {
                "instrument: plucked or struck strings",
                "register: middle",
                "polyphony: three or more",
                "chord: triad",
                "texture: few onsets",
                "texture: dying away",
            },
            id="a held chord",
        ),
        pytest.param(
            piece(40.0, 80.0, program=73, percussion=True),
            {
                "instrument: blown",
                "register: low",
                "register: high",
                "texture: percussion",
                "texture: many onsets",
            },
            id="a flute in two registers, with a drum",
        ),
        pytest.param(
            piece(60.0, program=48),
            {"instrument: bowed, voices, pads", "register: middle", "polyphony: one", "texture: few onsets"},
            id="one note of strings",
        ),
    ],
)
def test_tags_say_what_sounds(each, expected):
    assert borne(each) == expected


def test_every_tag_belongs_to_a_group_and_is_neither_rare_nor_everywhere():
    assert [tag.split(": ")[0] for tag in TAGS] == [group for group, names in GROUPS.items() for _ in names]
    pieces = [each for index in range(16) for each in TaggedMusic(seed=0).pieces(index)]
    shares = dict(zip(TAGS, np.mean([tags_of(each) for each in pieces], axis=0), strict=True))
    assert len(pieces) == 16 * CHUNK_CLIPS
    assert 0.05 < min(shares.values()) < max(shares.values()) < 0.8, shares


def test_pieces_follow_from_seed_and_chunk():
    source = TaggedMusic(seed=4)
    assert source.pieces(2) == TaggedMusic(seed=4).pieces(2)
    assert source.pieces(2) != source.pieces(3)
    assert source.pieces(2) != TaggedMusic(seed=5).pieces(2)


def test_held_out_programs_and_tonics_stay_out_of_training():
    pieces = TaggedMusic(seed=0).pieces(0) + TaggedMusic(seed=1).pieces(1)
    programs = {part.program for each in pieces for part in each.parts if part.bank != 128}
    assert not programs & music.HELD_OUT_PROGRAMS
    assert not {each.tonic for each in pieces} & music.HELD_OUT_TONICS
    assert all(each.families() for each in pieces)


@needs_fluidsynth
def test_held_out_clips_are_fixed_and_of_held_out_programs(monkeypatch):
    monkeypatch.setattr(tagger, "CHUNK_CLIPS", 8)
    heard = []
    render = music.play
    monkeypatch.setattr(tagger.music, "play", lambda pieces, **how: heard.extend(pieces) or render(pieces, **how))
    clips, tags = held_out_clips(3)
    assert clips.shape == (3, SAMPLES)
    assert tags.shape == (3, len(TAGS))
    assert np.array_equal(held_out_clips(2)[0], clips[:2])
    assert {part.program for each in heard for part in each.parts if part.bank != 128} <= music.HELD_OUT_PROGRAMS
    assert {each.tonic for each in heard} == music.HELD_OUT_TONICS


def naive_auc(scores, tags) -> float:
    """Return the share of pairs (with, without the tag) in order, one pair after the other."""
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[tags == 1] for b in scores[tags == 0]]
    return float(np.mean(pairs)) if pairs else math.nan


def test_areas_count_pairs_in_order():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, (40, 3)).astype(np.float32)
    tags = (rng.random((40, 3)) < 0.3).astype(np.float32)
    tags[:, 2] = 0.0
    expected = [naive_auc(scores[:, k], tags[:, k]) for k in range(3)]
    assert aucs(scores, tags) == pytest.approx(expected, nan_ok=True)
    assert aucs(tags[:, :2], tags[:, :2]) == pytest.approx([1.0, 1.0])
    assert aucs(-tags[:, :2], tags[:, :2]) == pytest.approx([0.0, 0.0])


def test_groups_are_means_of_their_tags():
    areas = np.array([0.9 if tag.startswith("chord") else 0.6 for tag in TAGS])
    figures = grouped(areas)
    assert figures["auc chord"] == 0.9
    assert figures["auc register"] == 0.6
    assert figures["auc"] == pytest.approx(0.6 + 0.3 * len(GROUPS["chord"]) / len(TAGS), abs=1e-3)


def test_a_colour_is_smooth_and_keeps_the_level():
    generator = np.random.default_rng(0)
    clips = (0.05 * generator.standard_normal((4, SAMPLES))).astype(np.float32)
    heard = coloured(clips, np.random.default_rng(1))
    assert np.sqrt(np.mean(heard**2, axis=1)) == pytest.approx(np.sqrt(np.mean(clips**2, axis=1)), rel=1e-3)
    db = 20 * np.log10(np.abs(np.fft.rfft(heard)) / np.abs(np.fft.rfft(clips)))
    hz = np.fft.rfftfreq(SAMPLES, 1 / SAMPLE_RATE)
    octaves = np.stack([db[:, (hz > f) & (hz < 1.05 * f)].mean(axis=1) for f in (100, 200, 400, 800, 1600, 3200, 6400)])
    assert 1.0 < octaves.std(axis=0).mean() < 6.0
    assert np.abs(np.diff(db[:, hz > 1000], axis=1)).max() < 0.1
    assert np.array_equal(heard, coloured(clips, np.random.default_rng(1)))


@needs_fluidsynth
def test_any_step_is_heard_again_after_a_kill(monkeypatch):
    monkeypatch.setattr(tagger, "CHUNK_CLIPS", 8)
    monkeypatch.setattr(tagger, "CLIPS", 2)
    first, second = TaggerTask(Synth(seed=0), seed=0), TaggerTask(Synth(seed=0), seed=0)
    in_turn = [first._batch(step) for step in range(6)]
    for step in (5, 0, 3):
        again = second._batch(step)
        assert all(np.array_equal(a, b) for a, b in zip(again, in_turn[step], strict=True))
    assert not np.array_equal(in_turn[0][0], in_turn[1][0])
    assert all(torch.equal(a, b) for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True))


@needs_fluidsynth
def test_silent_pieces_are_left_out(monkeypatch):
    source = TaggedMusic(seed=0)
    render = music.play

    def muted(pieces, **how):
        waves = render(pieces[:3], **how)
        waves[1][:] = 0.0
        return waves

    monkeypatch.setattr(tagger.music, "play", muted)
    monkeypatch.setattr(source, "pieces", lambda index: TaggedMusic(seed=0).pieces(index)[:3])
    clips, tags = source.chunk(0)
    assert len(clips) == len(tags) == 2
    assert np.array_equal(tags[1], tags_of(TaggedMusic(seed=0).pieces(0)[2]))


class Cheap:
    """Two tags that a few steps can learn: low or high noise."""

    tags = ("low", "high")

    def chunk(self, index):
        """Return eight clips and their tags."""
        rng = np.random.default_rng((9, index))
        tags = np.eye(2, dtype=np.float32)[rng.integers(2, size=8)]
        steps = np.cumsum(0.02 * rng.standard_normal((8, SAMPLES)), axis=1)
        low = steps - steps.mean(axis=1, keepdims=True)
        high = 0.3 * rng.standard_normal((8, SAMPLES))
        clips = np.where(tags[:, :1] == 1, low / np.abs(low).max(axis=1, keepdims=True), high)
        return (0.1 * clips).astype(np.float32), tags


@pytest.fixture
def cheap_task(monkeypatch):
    """Return a function that gives tasks of small batches on cheap clips."""
    monkeypatch.setattr(tagger, "CLIPS", 4)
    monkeypatch.setattr(tagger, "TaggedMusic", lambda **recipe: Cheap())
    return lambda seed=0: TaggerTask(Synth(seed=0), seed=seed)


def test_it_learns(cheap_task):
    task = cheap_task()
    optimiser = Optimiser([task.model], learning_rate=task.learning_rate)
    task.model.train()
    losses = []
    for step in range(16):
        optimiser.zero_grad()
        loss = task.loss(step, step / 16)
        loss.backward()
        optimiser.step(1.0 - step / 16)
        losses.append(float(loss.detach()))
    assert np.mean(losses[-4:]) < 0.85 * np.mean(losses[:4]), losses


def test_a_checkpoint_holds_all_that_was_learned(cheap_task, tmp_path: Path):
    task, again = cheap_task(), cheap_task()
    options = {"folder": tmp_path, "seed": 0, "minutes": 1e-4, "recipe": {}, "show_progress": False}
    assert train(task, **options).step == train(again, **options).step == 1
    clips, _ = Cheap().chunk(10_000)
    assert np.array_equal(tagger.scores(again.model, clips), tagger.scores(task.model, clips))
    assert not np.array_equal(tagger.scores(cheap_task().model.eval(), clips), tagger.scores(task.model, clips))


def test_it_begins_with_how_common_each_tag_is(cheap_task):
    task = cheap_task()
    clips, tags = Cheap().chunk(0)
    share = (tags.sum(axis=0) + 0.5) / (len(tags) + 1.0)
    begins = 1.0 / (1.0 + np.exp(-tagger.scores(task.model.eval(), clips)))
    assert begins == pytest.approx(np.tile(share, (len(clips), 1)), abs=1e-6)


def test_what_it_exports_is_an_encoder(cheap_task, tmp_path: Path):
    task = cheap_task()
    path = tmp_path / "tagger.safetensors"
    task.export(path, metadata={"seed": 0})
    encoder = samplecnn.trained(path=path)
    assert encoder.tags == ("low", "high")
    assert all(torch.equal(a, b) for a, b in zip(encoder.model.parameters(), task.model.parameters(), strict=True))
    # Held-out music bears other tags than this model knows.
    assert TaggerTask.held_out_figures(path, soundfonts=[]) == {}


@needs_fluidsynth
def test_held_out_figures_name_every_tag_and_soundfont():
    model = SampleCNN(tags=len(TAGS)).eval()
    figures = tagger.held_out_figures(model, soundfonts=[("default", renders.soundfont())], clips=CHUNK_CLIPS)
    one = figures["soundfonts"]["default"]
    assert set(one["tags"]) == set(TAGS)
    assert {f"auc {group}" for group in GROUPS} <= set(one)
    assert 0.2 < one["auc"] < 0.8, "untrained, it guesses"
    assert json.loads(json.dumps(figures)) == figures


def test_recordings_without_tags_are_refused(tmp_path: Path):
    (tmp_path / "one.wav").write_bytes(b"")
    with pytest.raises(TrainingError, match="learns tags, and these recordings have none"):
        TaggerTask(Folder(tmp_path, seed=0), seed=0)


@needs_fluidsynth
def test_a_chunk_may_be_out_of_tune(monkeypatch):
    monkeypatch.setattr(tagger, "CHUNK_CLIPS", 1)
    heard = {}
    for cents in (0.0, 80.0):
        source = TaggedMusic(seed=1, tuning_cents=cents)
        monkeypatch.setattr(source, "_piece", lambda rng, seconds: dataclasses.replace(PIPE_ORGAN, seconds=seconds))
        clips, _ = source.chunk(0)
        assert clips.shape == (1, SAMPLES)
        heard[cents] = np.abs(np.fft.rfft(clips[0] * np.hanning(len(clips[0]))))[: SAMPLES // 20].argmax()
        rate = source._rate(0)
    moved = 1200 * math.log2(heard[80.0] / heard[0.0])
    assert moved == pytest.approx(1200 * math.log2(SAMPLE_RATE / rate), abs=3.0)
    assert 10.0 < abs(moved) <= 80.0


def test_levels_stay_in_their_range():
    levels = [20 * math.log10(each.rms) for each in TaggedMusic(seed=0).pieces(0)]
    low, high = tagger.LEVELS_DB
    assert low <= min(levels) < max(levels) <= high
    assert max(levels) - min(levels) > 0.8 * (high - low)
