"""How the bundled encoders were trained, for whoever wants to repeat it, or to train them on other music.

==============  ==========================================================================
`__main__`      ``python -m testtone.models.training NAME --data synth --minutes 60``
`material`      what is heard: rendered music, a folder of recordings, FMA small
`loop`          the loop: seeded, timed by the clock, killed and resumed at any moment
`optimiser`     orthogonalised momentum
`codec`         the task of `encodec-mini`, and its held-out figures
`tagger`        the task of `samplecnn`, and its held-out figures
`gallery`       held-out clips as they come back from `encodec-mini`, to be heard
==============  ==========================================================================
"""
