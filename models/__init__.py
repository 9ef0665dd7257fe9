"""Who listens: encoders behind one contract, and the references that put the probes on trial."""
