"""Train a bundled encoder again, or on other music; or measure what one reaches on music it never heard."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from testtone.models.weights import WeightsError, sha256_of_file
from testtone.stimuli import renders

from .loop import LOG, State, TrainingError, train
from .material import Material, material

NAMES = ("encodec-mini", "samplecnn")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = _parser().parse_args(arguments)
    options.command = shlex.join(["python", "-m", "testtone.models.training", *(arguments or sys.argv[1:])])
    try:
        _check_gallery(options)
        return _evaluate(options) if options.evaluate else _train(options)
    except (TrainingError, WeightsError, renders.FluidSynthMissingError) as error:
        print(f"testtone: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m testtone.models.training",
        description=__doc__,
        epilog="A run can be stopped at any time: the same command goes on from its checkpoint.",
    )
    parser.add_argument("name", choices=NAMES, help="what to train")
    parser.add_argument(
        "--data",
        default="synth",
        metavar="synth|DIR|fma_small:DIR",
        help="rendered music without end, a folder of recordings, or FMA small as published (default: synth)",
    )
    parser.add_argument(
        "--minutes", type=float, default=60.0, help="of training in all, earlier calls included (default: 60)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (default: auto)")
    parser.add_argument("--threads", type=int, default=None, help="of the processor (default: as torch decides)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and material (default: 0)")
    parser.add_argument(
        "--folder", type=Path, default=None, help="for checkpoint, log and weights (default: runs/NAME)"
    )
    parser.add_argument("--evaluate", action="store_true", help="train nothing; print held-out figures as JSON")
    parser.add_argument(
        "--weights", type=Path, default=None, help="with --evaluate: weights of a run (default: the bundled ones)"
    )
    parser.add_argument(
        "--soundfont",
        type=Path,
        action="append",
        default=[],
        help="with --evaluate: further SoundFonts, repeatable, that share the clips with the default one",
    )
    parser.add_argument(
        "--gallery",
        type=Path,
        default=None,
        metavar="FILE.json",
        help="with --evaluate: also write held-out clips as they come back from the codec, to make a page of",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def _train(options: argparse.Namespace) -> int:
    if not options.minutes > 0:
        raise TrainingError(f"--minutes {options.minutes} must be more than 0")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    folder = options.folder or Path("runs") / options.name
    source = material(options.data, seed=options.seed)
    device = _device(options.device)
    task = _task(options.name, source, seed=options.seed, device=device)
    state = train(
        task,
        folder=folder,
        seed=options.seed,
        minutes=options.minutes,
        recipe=source.recipe(),
        commit=_commit(),
        show_progress=not options.quiet,
    )
    if state.seconds < 60.0 * options.minutes:
        print(f"stopped at step {state.step}, {state.seconds / 60:.1f} minutes; the same command goes on", flush=True)
        return 0
    weights = folder / f"{options.name}.safetensors"
    task.export(weights, metadata={"steps": state.step, "seed": options.seed})
    record = _provenance(options, source, state, device) | {"sha256": sha256_of_file(weights)}
    record["held_out"] = task.held_out_figures(weights, soundfonts=_soundfonts(options))
    weights.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    (folder / f"{options.name}.log.jsonl").write_bytes((folder / LOG).read_bytes())
    print(f"{weights} ({weights.stat().st_size / 1e6:.1f} MB) and its provenance beside it", flush=True)
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    task = _task_class(options.name)
    figures = task.held_out_figures(options.weights, soundfonts=_soundfonts(options))
    print(json.dumps(figures, indent=2))
    if options.gallery is not None:
        from .gallery import of_weights, write

        record = of_weights(options.weights, soundfonts=_soundfonts(options), figures=figures, command=options.command)
        write(record, options.gallery)
        page = f"python -m testtone.reports {shlex.quote(str(options.gallery))}"
        print(f"{options.gallery}; a page of it: {page}", file=sys.stderr)
    return 0


def _check_gallery(options: argparse.Namespace) -> None:
    """Say at once, not after minutes of listening, what is wrong with `--gallery`."""
    if options.gallery is None:
        return
    if options.name != "encodec-mini" or not options.evaluate:
        raise TrainingError(
            f"--gallery {options.gallery} goes with encodec-mini --evaluate: only a codec gives sound back"
        )
    if not options.gallery.parent.is_dir() or options.gallery.is_dir():
        raise TrainingError(f"--gallery {options.gallery} must be a file in a folder that exists")


def _task_class(name: str) -> Any:
    if name == "samplecnn":
        from .tagger import TaggerTask

        return TaggerTask
    from .codec import CodecTask

    return CodecTask


def _task(name: str, source: Material, *, seed: int, device: str) -> Any:
    return _task_class(name)(source, seed=seed, device=device)


def _soundfonts(options: argparse.Namespace) -> list[tuple[str, str]]:
    """Return the default SoundFont and those asked for, by file name and SHA-256."""
    return [("default", renders.soundfont())] + [(path.name, renders.soundfont(path)) for path in options.soundfont]


def _device(asked: str) -> str:
    if asked != "auto":
        try:
            torch.empty(1, device=asked)
        except (RuntimeError, AssertionError) as error:
            raise TrainingError(f"--device {asked}: {' '.join(str(error).split())[:160]}") from error
        return asked
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _provenance(options: argparse.Namespace, source: Material, state: State, device: str) -> dict[str, Any]:
    """Return where weights come from: command, data, seed, versions, hardware."""
    command = ["python", "-m", "testtone.models.training", options.name, "--data", options.data]
    command += ["--minutes", f"{options.minutes:g}", "--seed", str(options.seed), "--device", device]
    command += [] if options.threads is None else ["--threads", str(options.threads)]
    command += [word for path in options.soundfont for word in ("--soundfont", path.name)]
    record: dict[str, Any] = {
        "name": options.name,
        "command": " ".join(command),
        "data": source.recipe(),
        "broken_files": len(getattr(source, "broken", ())),
        "seed": options.seed,
        "steps": state.step,
        "minutes": round(state.seconds / 60, 1),
        "commit": state.commit,
        "hardware": f"{platform.machine()}, {os.cpu_count()} processors, {torch.get_num_threads()} threads, {device}",
        "versions": {name: metadata.version(name) for name in ("torch", "numpy", "encodec", "pretty-midi")}
        | {"fluidsynth": renders.fluidsynth_version() if renders.available() else None},
    }
    return record


def _commit() -> str | None:
    answer = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() or None


if __name__ == "__main__":
    sys.exit(main())
