"""Is the code one texture of the whole mixture, or a sum of parts?

Source: Post 0, section 0.3: "a summary of the entire oscillatory mixture". In words: take five partials and play every
combination of them, 32 sounds. If the code is a sum of parts, each partial adds its own share whoever else sounds. If
the code is one texture of the whole, what a combination gives cannot be told from its members.

Stimuli   all subsets of sets of partials at least 3 ERB apart (`designs.presence_factorial`), amplitude fixed per
          component.
Formula   Walsh coefficients w_S of the code over the subsets (a 2^n factorial's effects; Yates 1937), power per order:
          V1 = sum over |S| = 1, V2 = sum over |S| >= 2.
          effect H = [V2 / (V1 + V2)] / [(2^n - 1 - n) / (2^n - 1)]: 0 is a sum of parts; 1 is a random function of the
          whole.
Readouts  Roved: RO1, mean over frames, powers as products of different tokens (start phases): unbiased by phase.
          Frozen: RO6, all frames of one token.
          Roved decides where its V1 + V2 clears its noise floor (more than 3 jackknife standard errors above 0); a
          linear encoder's mean over frames is nothing but noise, and there the frozen reading decides. Both are
          reported.
Interval  jackknife over sets of partials.
Traps     Normalising the total level makes interactions by itself: any encoder that does so is holistic to that degree,
          and rightly so. A smooth network played softly is additive: the parts repeat the frozen reading 20 dB softer
          and, where the sound stays below full scale, 12 dB louder.
"""

import numpy as np
from numpy.typing import NDArray

from testtone.stimuli import designs

from .hearing import Ear, Listen, Probe
from .readouts import Frames, mean
from .records import Effect, Measurement, Part, Threshold
from .statistics import above_noise, jackknife

VERSION = 1
FRAMES = 24
SIZES = {
    "quick": {"sets": 12, "partials": 4, "tokens": 2},
    "standard": {"sets": 12, "partials": 5, "tokens": 2},
    "thorough": {"sets": 24, "partials": 5, "tokens": 16},
}
LEVELS = {"quick": (), "standard": (-20.0, 12.0), "thorough": (-34.0, -20.0, 12.0)}
"""Levels of the sweep in dB relative to the deciding level; six sets each."""

THRESHOLD = Threshold(0.5, 0.2)


def holistic_texture(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure the share of interactions in the code at each site; see the module."""
    chain = ear.chain(min(ear.sites, key=lambda site: ear.frame_rates[site]))
    seconds = ear.seconds(FRAMES)
    size = SIZES[effort]
    design = designs.presence_factorial(rng, **size, seconds=seconds, chain=chain)
    sweep = [
        designs.presence_factorial(
            rng,
            sets=6,
            partials=min(size["partials"], 4),
            tokens=1,
            seconds=seconds,
            chain=chain,
            level_db=level,
            rove_db=0.0,
        )
        for level in LEVELS[effort]
    ]
    averages, frames, *levels = yield [
        Listen(design.flat, mean),
        Listen(design.flat, Frames(FRAMES)),
        *(Listen(each.flat, Frames(FRAMES)) for each in sweep),
    ]
    return {
        site: _measure(
            site,
            design,
            averages[site],
            frames[site],
            list(zip(LEVELS[effort], sweep, [level[site] for level in levels], strict=True)),
        )
        for site in ear.sites
    }


def _measure(
    site: str, design: designs.PresenceFactorial, averages: NDArray, frames: NDArray, levels: list
) -> Measurement:
    roved, frozen = powers(design, averages, roved=True), powers(design, frames, roved=False)
    partials = len(design.frequencies[0])
    by_roving = _holism("holism, phase-roved means", roved, partials)
    by_freezing = _holism("holism, frozen frames", frozen, partials)
    total = jackknife(lambda kept: float(roved[kept].sum(axis=1).mean()), len(roved), name="V1 + V2")
    heard = above_noise(total)
    effect = by_roving if heard else by_freezing
    parts = [
        Part(
            name="phase-roved means (RO1)",
            effect=by_roving if heard else None,
            threshold=THRESHOLD,
            note="decides" if heard else "the mean over frames holds nothing above its noise floor",
        ),
        Part(name="frozen frames (RO6)", effect=by_freezing, threshold=THRESHOLD, note="" if heard else "decides"),
        *(
            Part(
                name=f"frozen frames, {level:+.0f} dB",
                threshold=THRESHOLD,
                effect=_holism(
                    f"holism, frozen frames, {level:+.0f} dB",
                    powers(each, values, roved=False),
                    len(each.frequencies[0]),
                ),
            )
            for level, each, values in levels
        ),
    ]
    reason = None if np.isfinite(effect.value) else "the code does not change with the partials present"
    orders = frozen if not heard else roved
    spectrum = powers_by_order(design, averages if heard else frames, roved=heard).mean(axis=0)
    return Measurement(
        site=site,
        probe="holistic_texture",
        version=VERSION,
        effect=effect if reason is None else None,
        reason=reason,
        parts=tuple(parts),
        sounds=_sounds(design),
        figures={
            "power_by_order": {"one partial": float(orders[:, 0].mean()), "interactions": float(orders[:, 1].mean())},
            "walsh": {"power_by_order": spectrum.tolist()},
        },
    )


def _holism(name: str, powers: NDArray[np.float64], partials: int) -> Effect:
    """H over sets: a ratio of mean powers, so that a set with a weak code has a small say."""
    random = (2**partials - 1 - partials) / (2**partials - 1)

    def statistic(kept: NDArray[np.intp]) -> float:
        first, higher = powers[kept].mean(axis=0)
        return float(higher / (first + higher) / random) if first + higher > 0 else float("nan")

    return jackknife(statistic, len(powers), name=name, unit="share of interactions")


def powers(design: designs.PresenceFactorial, values: NDArray, *, roved: bool) -> NDArray[np.float64]:
    """V1 and V2 of each set, ``'stimuli ...'`` -> ``'sets 2'``, relative to the power of all the code's changes.

    That power, noise included, makes sets comparable and favours neither order. Roved powers are products of different
    tokens and may come out below zero where there is nothing to find.
    """
    power, scale, order = _spectrum(design, values, roved=roved)
    return np.stack([power[:, order == 1].sum(axis=1), power[:, order >= 2].sum(axis=1)], axis=1) / scale[:, None]


def powers_by_order(design: designs.PresenceFactorial, values: NDArray, *, roved: bool) -> NDArray[np.float64]:
    """The same for each order apart, ``'sets orders'``: single partials, pairs, triples and so on."""
    power, scale, order = _spectrum(design, values, roved=roved)
    return (
        np.stack([power[:, order == each].sum(axis=1) for each in range(1, order.max() + 1)], axis=1) / scale[:, None]
    )


def _spectrum(
    design: designs.PresenceFactorial, values: NDArray, *, roved: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Power of each Walsh coefficient ``'sets subsets'``, that of all changes ``'sets'``, and each subset's order."""
    sets, tokens, subsets = len(design.stimuli), len(design.stimuli[0]), len(design.stimuli[0][0])
    codes = values.reshape(sets, tokens, subsets, -1).astype(np.float64)
    walsh = walsh_transform(codes, axis=2)
    order = np.array([subset.bit_count() for subset in range(subsets)])
    gram = np.einsum("atsv,absv->atbs", walsh, walsh)
    same = gram[:, np.arange(tokens), np.arange(tokens)].mean(axis=1)
    power = (gram.sum(axis=(1, 2)) - tokens * same) / (tokens * (tokens - 1)) if roved else same
    scale = np.maximum(same[:, order > 0].sum(axis=1), np.finfo(float).tiny)
    return power, scale, order


def walsh_transform(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Walsh-Hadamard coefficients along an axis of length 2^n, index S: mean over x of (-1)^|S and x| values[x]."""
    moved = np.moveaxis(values, axis, 0)
    n = len(moved).bit_length() - 1
    if len(moved) != 2**n:
        raise ValueError(f"axis {axis} has length {len(moved)}; a factorial has a power of two")
    result = moved.reshape((2,) * n + moved.shape[1:])
    for bit in range(n):
        off, on = np.take(result, 0, axis=bit), np.take(result, 1, axis=bit)
        result = np.stack([off + on, off - on], axis=bit) / 2
    return np.moveaxis(result.reshape(moved.shape), 0, axis)


def _sounds(design: designs.PresenceFactorial) -> tuple:
    """A mixture, its strongest half, and one of its partials alone."""
    clips = design.stimuli[0][0]
    chosen = [clips[-1], clips[1], clips[len(clips) // 2]]
    return tuple((each.label, each) for each in chosen)
