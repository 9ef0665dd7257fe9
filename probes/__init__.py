"""What we measure: activations in, measurements with an interval out.

``hearing``           probes ask, the encoder listens once: requests, answers, one pass for many probes
``readouts``          what is kept of an activation
``statistics``        intervals over clusters, nulls, the verdict rule
``records``           Effect, Threshold, Part, Measurement: what crosses the wall to a claim
``pitch_direction``   does a pitch add the same direction whatever surrounds it
``holistic_texture``  is the code one texture of the whole mixture
``alias_collapse``    do frequencies that alias onto each other share a code

Conventions. A probe is a generator (see ``hearing``) called with an ear, a random generator and an effort; it returns
one measurement per site. Effects are oriented: larger means that the proposition is more true. All codes are relative
to silence. A probe carries a version, which rises only when its numbers move. No probe knows a concrete encoder.
"""
