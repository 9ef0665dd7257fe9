"""The training loop: seeded, timed by the clock, and at any moment ready to be killed and to go on elsewhere.

What a step hears follows from the seed and the number of the step alone, so a run that goes on from its checkpoint
hears what it would have heard. The length of a run is given in minutes of training, not of waiting: the learning rate
rises over the first steps and then follows the share of the minutes that is over, and a run that was stopped knows how
far it had come. A checkpoint is one safetensors file, weights and momenta, written beside its place and moved there. A
loss that is no number ends the run before the next checkpoint.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from .optimiser import Optimiser

WARM_UP_STEPS = 100
COOL_DOWN = 0.3
"""Share of a run over which the learning rate falls to zero, unless the task has a schedule of its own."""

CHECKPOINT = "checkpoint.safetensors"
LOG = "log.jsonl"
CHECKPOINT_SECONDS = 120.0
FIGURES_SECONDS = 300.0
CLIP_NORM = 1.0


class Task(Protocol):
    """What is trained."""

    name: str
    learning_rate: float

    def modules(self) -> Mapping[str, nn.Module]:
        """Return what is trained and saved."""
        ...

    def loss(self, step: int, progress: float) -> Tensor:
        """Return the loss of a step on material that follows from seed and step; `progress` runs from 0 to 1."""
        ...

    def schedule(self, progress: float) -> float:
        """Return the factor on the learning rate; `cooled_down` will do."""
        ...

    def figures(self) -> dict[str, float]:
        """Return a few cheap numbers on held-out material, for the log."""
        ...


class TrainingError(ValueError):
    """A run that cannot begin or go on. The message is one line that says what to do."""


@dataclass
class State:
    """How far a run has come."""

    step: int = 0
    seconds: float = 0.0
    seed: int = 0
    task: str = ""
    recipe: str = ""
    """What is heard, as JSON: a run goes on with the material it began with."""
    commit: str | None = None
    """Of the code that it began with."""


def train(
    task: Task,
    *,
    folder: Path,
    seed: int,
    minutes: float,
    recipe: Mapping[str, Any],
    commit: str | None = None,
    show_progress: bool = True,
) -> State:
    """Train for `minutes` in all, what earlier calls trained included; go on from the checkpoint in `folder`.

    Returns:
        How far it came. After SIGINT or SIGTERM it is less than `minutes`; the checkpoint is written all the same.

    Raises:
        TrainingError: if the checkpoint is of another task, seed or material.
    """
    folder.mkdir(parents=True, exist_ok=True)
    optimiser = Optimiser(task.modules().values(), learning_rate=task.learning_rate)
    begun = State(seed=seed, task=task.name, recipe=json.dumps(recipe, sort_keys=True), commit=commit)
    state = _resume(folder / CHECKPOINT, task, optimiser, begun) if (folder / CHECKPOINT).exists() else begun
    total = 60.0 * minutes
    smooth: float | None = None
    saved = shown = time.monotonic()
    with (
        _polite_end() as ended,
        open(folder / LOG, "a", encoding="utf-8") as log,
        tqdm(
            total=round(total), initial=round(state.seconds), unit="s", desc=task.name, disable=not show_progress
        ) as bar,
    ):
        clock = time.monotonic()
        while state.seconds < total and not ended:
            progress = state.seconds / total
            for module in task.modules().values():
                module.train()
            loss = task.loss(state.step, progress)
            value = float(loss.detach())
            if not math.isfinite(value):
                raise TrainingError(f"the loss is {value} at step {state.step}; {folder / CHECKPOINT} is from before")
            optimiser.zero_grad()
            loss.backward()
            optimiser.clip(CLIP_NORM)
            optimiser.step(min(1.0, (state.step + 1) / WARM_UP_STEPS) * task.schedule(progress))
            smooth = value if smooth is None else 0.99 * smooth + 0.01 * value
            now = time.monotonic()
            state.step += 1
            state.seconds += now - clock
            bar.update(min(round(total), round(state.seconds)) - bar.n)
            bar.set_postfix(step=state.step, loss=f"{smooth:.3f}")
            clock = now
            done = ended or state.seconds >= total
            if now - shown > FIGURES_SECONDS or done or state.step == 1:
                shown = now
                for module in task.modules().values():
                    module.eval()
                with torch.no_grad():
                    figures = task.figures()
                line = {"step": state.step, "seconds": round(state.seconds, 1), "loss": round(smooth, 4), **figures}
                log.write(json.dumps(line) + "\n")
                log.flush()
                clock = time.monotonic()
            if now - saved > CHECKPOINT_SECONDS or done:
                saved = now
                save(folder / CHECKPOINT, task, optimiser, state)
                clock = time.monotonic()
    for module in task.modules().values():
        module.eval()
    return state


def save(path: Path, task: Task, optimiser: Optimiser, state: State) -> None:
    """Write a checkpoint: weights in float32, momenta in half the bits, which is what they are worth."""
    tensors = {f"weights.{name}": value for name, value in weights(task).items()}
    tensors |= {f"momenta.{name}": value.to(torch.bfloat16) for name, value in optimiser.state().items()}
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    partial = path.with_suffix(f".{os.getpid()}.partial")
    save_file(tensors, partial, metadata={"state": json.dumps(dataclasses.asdict(state))})
    os.replace(partial, path)


def weights(task: Task) -> dict[str, Tensor]:
    """Return the weights and buffers of a task by their full names."""
    return {
        f"{name}.{key}": value for name, module in task.modules().items() for key, value in module.state_dict().items()
    }


def load_weights(task: Task, tensors: Mapping[str, Tensor]) -> None:
    """Put weights by their full names into a task's modules."""
    for name, module in task.modules().items():
        prefix = f"{name}."
        module.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})


def _resume(path: Path, task: Task, optimiser: Optimiser, begun: State) -> State:
    try:
        with safe_open(path, framework="pt") as file:
            state = State(**json.loads(file.metadata()["state"]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
    except Exception as error:
        raise TrainingError(f"{path} is no checkpoint ({type(error).__name__}); remove it to begin anew") from error
    for what in ("task", "seed", "recipe"):
        if getattr(state, what) != getattr(begun, what):
            raise TrainingError(
                f"{path} was begun with {what}={getattr(state, what)!r}, now {what}={getattr(begun, what)!r}; "
                "go on as it began, or train in another folder"
            )
    load_weights(task, {k.removeprefix("weights."): v for k, v in tensors.items() if k.startswith("weights.")})
    optimiser.load({k.removeprefix("momenta."): v.float() for k, v in tensors.items() if k.startswith("momenta.")})
    return state


def cooled_down(progress: float) -> float:
    """Return 1, and over the last part of the run less and less, down to 0."""
    return min(1.0, max(0.0, (1.0 - progress) / COOL_DOWN))


@contextlib.contextmanager
def _polite_end() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them: the step is finished and the checkpoint written."""
    ended: list[int] = []
    try:
        previous = {
            each: signal.signal(each, lambda number, _: ended.append(number))
            for each in (signal.SIGINT, signal.SIGTERM)
        }
    except ValueError:  # only the main thread may ask
        previous = {}
    try:
        yield ended
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)
