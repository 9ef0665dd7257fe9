"""What we claim, and testtone on trial.

``claims``         the claims, shipped: they run on any encoder (pytest -m claims)
``claim``          a claim as a record: sentence, stance, probe, thresholds, controls
``trial``          encoders are heard, controls first, and a claim comes to a verdict
``disagreements``  verdicts known to contradict their source
``search``         hypothesis looks for a counterexample; what it found is pinned and replayed
``ledger``         records become a table and a report
``journal``        what a run has finished, kept until its report is written
``check``          one claim on one encoder from Python, without pytest
``scope``          sentences that no test of an encoder can decide
``plugin``         options, collection and summary, for pytest
``harness``        the tests of testtone itself; they stay in the repository
"""
