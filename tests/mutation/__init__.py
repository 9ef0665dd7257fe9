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
