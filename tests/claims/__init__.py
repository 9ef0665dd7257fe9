"""The claims, one file each, shipped with the package: they run on any encoder.

Source of those so far: Nicole Cosme, "Post 0: Machines on Music", cited by section.
"""
