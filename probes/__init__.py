"""What we measure: activations in, measurements with an interval out.

``hearing``     probes ask, the encoder listens once: requests, answers, one pass for many probes
``readouts``    what is kept of an activation
``decoding``    what a linear reader finds in a code, on sounds that it did not learn from
``tuning``      how a unit's answer depends on frequency
``likeness``    how far apart two sounds are, by waveform and by ear
``natural``     the same question in music: recordings of the user's own, or ensembles
``search``      sounds that an encoder cannot tell apart
``presence``    which partials of a mixture a reader finds, in company that it knows and in other company
``alias_lines`` what becomes of the members of an alias class
``margins``     how far a single case is from contradicting a claim: what a search for counterexamples minimises
``statistics``  intervals over clusters, nulls, the verdict rule
``records``     Effect, Threshold, Part, Measurement: what crosses the wall to a claim

Every other module is the probe of the claim of its name, and opens with what it asks.

Conventions. A probe is a generator (see ``hearing``) called with an ear, a random generator and an effort; it returns
one measurement per site. Effects are oriented: larger means that the proposition is more true. All codes are relative
to silence. A probe carries a version, which rises only when its numbers move. No probe knows a concrete encoder.
"""
