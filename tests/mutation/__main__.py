"""Faults put into testtone on purpose, one line at a time, to see whether its tests notice.

``faults``   which faults a line can have, drawn by a seed
``covered``  which tests run which lines, and how long they take
``ideas``    worse ones, written by hand

From the root of a checkout, with ``coverage`` installed (nothing else needs it):

    python -m testtone.tests.mutation map --work DIR        # once: which tests run which lines
    python -m testtone.tests.mutation run --work DIR        # the drawn faults and the ideas; goes on where it stopped
    python -m testtone.tests.mutation report --work DIR     # the share that was noticed, and what was not

Nothing in the checkout changes: faults are put into a copy. It is not part of ``make test``.
"""

import argparse
from pathlib import Path

from testtone.tests.mutation import covered, trials

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m testtone.tests.mutation", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("task", choices=["map", "trace", "run", "report"])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--count", type=int, default=120, help="drawn faults")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="a folder whose lines alone are drawn from")
    parser.add_argument("--without", default="", help="modules whose path begins so are not drawn from")
    parser.add_argument("--ideas", action="store_true", help="the faults written by hand, instead of drawn ones")
    parser.add_argument("--budget", type=float, default=300.0, help="CPU seconds of tests for a fault, at most")
    parser.add_argument("--reverse", action="store_true", help="from the last to the first, beside another process")
    parser.add_argument("--again", action="store_true", help="try those that nothing noticed once more")
    options = parser.parse_intermixed_args()  # files may stand before or behind the options
    work = options.work.resolve()
    if options.task == "trace":
        for file in options.files:
            covered.trace(ROOT, file.resolve(), work / "map" / f"{file.stem}.json")
    elif options.task == "map":
        covered.trace_all(ROOT, work, options.files or covered.test_files(ROOT))
    elif options.task == "run":
        chosen = (
            trials.ideas(ROOT)
            if options.ideas
            else trials.drawn(ROOT, count=options.count, seed=options.seed, without=options.without, only=options.only)
        )
        chosen = chosen[::-1] if options.reverse else chosen
        trials.run(ROOT, work, chosen, again=options.again, budget=options.budget)
    else:
        print(trials.report(work))


if __name__ == "__main__":
    main()
