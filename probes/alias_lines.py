"""What becomes of the members of an alias class: responses to each alone, and what a linear reader finds of all.

Shared by `degrade_or_mix` and `unequal_and_predictable`, which play the same sounds (`stimuli.alias_classes`).

Response    v(f): complex response of the channels at the alias line to a unit partial at f, from soft sounds that hold
            one member of each class: (E(eps x) - E(-eps x)) / 2 eps; where the even part of the answer is negligible
            at that level (checked), one polarity does. A derivative exists where the answer to a sound twice as loud
            is twice as large. For a linear encoder v(f) is at the same time the response of its twin without strides,
            heard at every sample: a lone partial meets no other on its line, and decimation moves its line and changes
            nothing else.
Reader      linear, complex: the members' amplitudes from the channels at their line. Two of them.
            Least squares on the leading principal components (all, unless there are more than `MOST` of the sounds),
            with 1 - R2 of the sounds learned from multiplied by n / (n - d), d components and n sounds (adjusted R2,
            Wherry 1931): what a reader finds that has heard endlessly many sounds. Held out, a reader of n sounds finds
            less by 1 - R2 times d / (n - d), which would count against codes of many channels. Where all the components
            cannot be used it errs a little to the low side (by .02 for 512 channels and 400 sounds of 256 members).
            The amplitudes' mean square is drawn like the rest, and what is left re it comes out too large by
            (1 - share left) / n: corrected, or one in twelve intervals of a code that keeps nine tenths would miss it.
            Ridge regression, one strength for all members of a class, chosen by leave-one-out error and held out the
            same way: its R2 is that of n sounds, but less noisy from member to member.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtone.stimuli.alias_classes import FRAMES, AliasClasses, Alone, Performances, dense, draw_classes, lone
from testtone.stimuli.folding import Chain

from .hearing import Answer, Ear, Listen

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]

STRENGTHS = 10.0 ** np.arange(-7.0, 2.1, 0.75)
"""Of the penalty, re the mean squared singular value of what is read."""

MOST = 0.85
"""Components that a least-squares reader uses at most, re the number of sounds."""

LINEAR = 0.01
"""Share of power by which answers to soft sounds may miss those of a linear system: 20 dB down."""

EVEN = 1e-3
"""Share of power of the even part of the answer below which one polarity says it all: 30 dB down."""

TWICE_DB = 20.0 * np.log10(2.0)


@dataclass(frozen=True)
class GridLines:
    """Complex amplitudes at multiples of the frame rate / ``count``, over the first ``count`` frames.

    z(m) = sum_i Re(c_i exp(2 pi j h_i m / count)): exact for sounds that repeat every ``count`` frames.
    """

    count: int
    harmonics: tuple[int, ...]

    def __call__(self, frames: NDArray[np.float64], rate: float) -> NDArray[np.complex64]:
        """``'channels frames'`` -> ``'channels lines'``."""
        if frames.shape[1] < self.count:
            raise ValueError(
                f"count={self.count} frames were asked for and {frames.shape[1]} are free of edges; "
                "ask for a longer clip (Ear.seconds)"
            )
        spectrum = np.fft.rfft(frames[:, : self.count], axis=1)[:, list(self.harmonics)]
        return (spectrum * (2.0 / self.count)).astype(np.complex64)


@dataclass(frozen=True)
class Derivative:
    """Whether an encoder has a derivative at rest, as far as soft sounds tell: shares of the answer's power."""

    doubled: float
    """By which the answer to twice the sound misses twice the answer."""
    summed: float
    """By which the answer to two sounds together misses the sum of the answers."""
    even: float
    """Power of the even part of the answer re its odd part."""
    deaf: bool = False
    """Whether soft sounds move nothing at all, at the lines looked at."""

    @property
    def missed(self) -> float:
        """The largest of the three."""
        return max(self.doubled, self.summed, self.even)

    @property
    def exists(self) -> bool:
        """Whether the answers to soft sounds are those of a linear system."""
        return self.missed < LINEAR

    @property
    def polarities(self) -> int:
        """How many polarities must be played: both, unless the even part is negligible."""
        return 1 if self.even < EVEN else 2

    @classmethod
    def of(cls, soft: Complex, inverted: Complex, twice: Complex, together: Complex) -> Derivative:
        """From answers ``'clips channels lines'`` to sounds, upside down, twice as loud, and with the next one each."""
        odd, even = (soft - inverted) / 2, (soft + inverted) / 2
        power, sums = _power(odd), soft + np.roll(soft, -1, axis=0)
        if not power > 0:
            return cls(np.inf, np.inf, np.inf, deaf=not _power(even) > 0)
        return cls(
            _power(twice - 2 * soft) / (4 * power),
            _power(together - sums) / max(_power(sums), np.finfo(float).tiny),
            _power(even) / power,
        )

    def reason(self) -> str:
        """Why there is no derivative, in words."""
        if self.deaf:
            return "the code does not move with soft sounds"
        if not np.isfinite(self.missed):
            return "the code has no derivative at rest: its answer to a soft sound does not depend on the sound's sign"
        said = {
            self.doubled: "to a soft sound played twice as loud misses twice the answer",
            self.summed: "to two soft sounds together misses the sum of the answers",
            self.even: "to a soft sound upside down misses the answer upside down",
        }[self.missed]
        return (
            f"the code has no derivative at rest: its answer {said} by {100 * self.missed:.3g} % of the power "
            f"(limit {100 * LINEAR:g} %)"
        )


def _power(values: Complex) -> float:
    return float((np.abs(values) ** 2).sum())


def responses(alone: Alone, heard: Complex, inverted: Complex | None = None) -> Complex:
    """Return v, ``'classes members channels'``, from answers to lone members, ``'clips channels classes'``."""
    odd = heard if inverted is None else (heard - inverted) / 2
    count = len(alone.members)
    found = np.full((count, int(alone.members.max()) + 1, heard.shape[1]), np.nan, dtype=np.complex128)
    for index in range(count):
        found[index, alone.members[index]] = odd[:, :, index] / alone.drawn[index][:, None]
    return found


@dataclass(frozen=True)
class Components:
    """Principal components of what is read at one line: unit vectors 'sounds components' and their power."""

    left: Complex
    power: Floats

    @classmethod
    def of(cls, features: Complex) -> Components:
        """From ``'sounds channels'``, weakest first."""
        sounds, channels = features.shape
        few = channels <= sounds
        gram = features.conj().T @ features if few else features @ features.conj().T
        power, directions = np.linalg.eigh(gram)
        kept = power > 1e-13 * max(float(power[-1]), 0.0)
        power, directions = power[kept], directions[:, kept]
        return cls(features @ directions / np.sqrt(power) if few else directions, power)

    def _errors(self, labels: Complex, shares: Iterable[Floats]) -> Iterator[Floats]:
        """Squared error of each sound when left out, with each component shrunk to a share; for each of the shares."""
        along, weights = self.left.conj().T @ labels, np.abs(self.left) ** 2
        for share in shares:
            leverage = np.minimum(weights @ share, 1.0 - 1e-9)
            residual = labels - self.left @ (share[:, None] * along)
            yield np.abs(residual / (1.0 - leverage)[:, None]) ** 2

    @property
    def used(self) -> int:
        """Components that a least-squares reader uses: the strongest."""
        return min(self.left.shape[1], int(MOST * len(self.left)))

    def r2(self, amplitudes: Complex) -> Floats:
        """R2 of a least-squares reader that has heard endlessly many sounds, 'members': adjusted R2."""
        sounds = len(self.left)
        error = self.residuals(amplitudes)[0].mean(axis=0) * sounds / (sounds - self.used)
        return np.asarray(1.0 - error * (1.0 - (1.0 - error) / sounds))

    def residuals(self, amplitudes: Complex) -> tuple[Floats, Floats]:
        """Squared residuals re the mean square of each member, 'sounds members', and leverages, 'sounds'."""
        left, labels = self.left[:, self.left.shape[1] - self.used :], _unit(amplitudes)
        return np.abs(labels - left @ (left.conj().T @ labels)) ** 2, (np.abs(left) ** 2).sum(axis=1)

    def held_out(self, amplitudes: Complex) -> Floats:
        """R2 of a ridge reader held out, scored on the even and on the odd sounds: '2 members'."""
        labels = _unit(amplitudes)
        if not self.left.shape[1]:
            return np.zeros((2, labels.shape[1]))
        shares = [self.power / (self.power + strength) for strength in STRENGTHS * float(self.power.mean())]
        best = shares[int(np.argmin([errors.mean() for errors in self._errors(labels[:, ::4], shares)]))]
        (squares,), power = self._errors(labels, [best]), np.abs(labels) ** 2
        # Each half re its own amplitudes: else one half's luck would be the other's loss.
        return 1.0 - np.stack([squares[half::2].sum(axis=0) / power[half::2].sum(axis=0) for half in (0, 1)])


def _unit(amplitudes: Complex) -> Complex:
    """Amplitudes 'sounds members' re their root mean square."""
    return np.asarray(amplitudes / np.sqrt((np.abs(amplitudes) ** 2).mean(axis=0)))


def best_r2(responses: Complex, power: Floats, noise: float) -> Floats:
    """Return R2 of the best linear reader of a class, 'members': p v^H C^-1 v with C = sum p v v^H + noise.

    With A the columns sqrt(p) v it is the diagonal of A^H (A A^H + noise)^-1 A, or of G (G + noise)^-1 with G = A^H A
    (by the matrix inversion lemma), whichever is smaller: then rounding adds nothing to its sum.

    Args:
        responses: v, 'members channels'.
        power: p, mean square of each member's amplitude.
        noise: mean square of what else is on a channel at the line.
    """
    scaled = responses * np.sqrt(power)[:, None]
    if scaled.shape[1] < scaled.shape[0]:
        value, vector = np.linalg.eigh(scaled.T @ scaled.conj())
        return np.asarray((np.abs(scaled @ vector.conj()) ** 2) @ (1.0 / (np.maximum(value, 0.0) + noise)))
    value, vector = np.linalg.eigh(scaled.conj() @ scaled.T)
    share = np.maximum(value, 0.0) / (np.maximum(value, 0.0) + noise)
    return np.asarray((np.abs(vector) ** 2) @ share)


PIECE = 2**13


def cascade(kernels: Sequence[Floats], strides: Sequence[int], hz: Floats, sample_rate: float) -> Floats:
    """Return the naive cascade Q of frequencies: how much of each the strided layers pass, re all that fold with it.

    Q(f) = product over the strides s of |H(w)|^2 / (sum over j < s of |H(w + 2 pi j / s)|^2), |H|^2 the squared
    Frobenius norm of the layer's response, w the frequency as the strides before have folded it. Each layer's factor is
    the share of its energy on the partial among the images of it, and Q sums to 1 over all images of a line. What
    knows nothing of interference between channels, of shares that rivals take, and of layers without a stride.

    Args:
        kernels: of each stride, correlations 'out in taps'.
        strides: one for each.
        hz: frequencies of any shape.
        sample_rate: Hz.
    """
    turn = 2 * np.pi * np.asarray(hz, dtype=np.float64) / sample_rate
    share = np.ones_like(turn)
    for kernel, stride in zip(kernels, strides, strict=True):
        images = turn[..., None] + 2 * np.pi * np.arange(stride) / stride
        power = _squared_norm(np.asarray(kernel, dtype=np.float64), images)
        total = power.sum(axis=-1)
        share *= np.divide(power[..., 0], total, out=np.zeros_like(total), where=total > 0)
        turn = turn * stride
    return share


def _squared_norm(kernel: Floats, turn: Floats) -> Floats:
    """Squared Frobenius norm of the response of 'out in taps' at so many radians a sample, by its autocorrelation."""
    taps = kernel.shape[-1]
    rows = kernel.reshape(-1, taps)
    gram = rows.T @ rows
    lags = np.array([np.trace(gram, lag) for lag in range(taps)])
    lags[1:] *= 2.0
    # cos(k w) is the k-th Chebyshev polynomial of cos(w): a recurrence in place of a cosine for each lag, some
    # thousands of frequencies at a time, which the processor's cache holds.
    cosines = np.cos(turn).ravel()
    pieces = np.array_split(cosines, max(1, len(cosines) // PIECE))
    power = np.concatenate([np.polynomial.chebyshev.chebval(piece, lags) for piece in pieces])
    return np.asarray(np.maximum(power, 0.0).reshape(turn.shape))


SIZES: Mapping[str, Mapping[str, Any]] = {
    "quick": {"tokens": 320, "families": ("flat", "harmonic")},
    "standard": {"tokens": 320, "families": ("flat", "harmonic", "pink")},
    "thorough": {"tokens": 1200, "families": ("flat", "harmonic", "pink")},
}
"""Dense sounds per family. More than members, or an encoder that loses nothing would not be seen to."""

CLASSES = 12
MEMBERS = 256
"""Of each alias class sound together, or as many as it has: fewer would leave room in most codes for all of them."""

SOFT_RMS = (0.0002, 0.002)
"""Levels at which a derivative is looked for: 74 and 54 dB below full scale. The softer one is nearer to rest, the
louder one further above the rounding of a code that is large at rest."""

DENSE_RMS = 0.1
CHECKED = 8
"""Clips on which a derivative is checked."""

RESIDUALS = 16
"""Dense sounds per family, apart from those that are read, for what is not linear at their level."""


@dataclass(frozen=True)
class Group:
    """Sites of one frame rate, and the sounds played for them."""

    sites: tuple[str, ...]
    classes: AliasClasses
    alone: Alone
    dense: Mapping[str, Performances]
    residual: Mapping[str, Performances]
    seconds: float

    @property
    def readout(self) -> GridLines:
        """All alias lines, at the frame rate."""
        return GridLines(FRAMES, self.classes.lines)

    def check(self) -> list[Listen]:
        """Requests that tell whether there is a derivative at rest: each level, upside down, twice it, and sums."""
        few = [self.softly(level).first(CHECKED) for level in range(len(SOFT_RMS))]
        return [
            Listen(clips, self.readout, self.sites)
            for each in few
            for clips in (each.stimuli, each.inverted(), each.scaled(TWICE_DB), each.together())
        ]

    def derivatives(self, answers: Sequence[Answer]) -> tuple[int, dict[str, Derivative]]:
        """The level at which the sites' answers are most nearly linear, as an index, and what they are like there."""
        per_level = [
            {
                site: Derivative.of(*(np.asarray(answer[site], dtype=np.complex128) for answer in answers[at : at + 4]))
                for site in self.sites
            }
            for at in range(0, len(answers), 4)
        ]
        linear = [sum(each.exists for each in found.values()) for found in per_level]
        missed = [sum(each.missed for each in found.values()) for found in per_level]
        best = min(range(len(SOFT_RMS)), key=lambda level: (-linear[level], missed[level]))
        return best, per_level[best]

    def softly(self, level: int) -> Alone:
        """Members one at a time at one of the soft levels."""
        return self.alone.louder(20.0 * np.log10(SOFT_RMS[level] / SOFT_RMS[0]))


def folding(ear: Ear) -> tuple[list[tuple[tuple[str, ...], Chain]], dict[str, str]]:
    """Return the sites at which frequencies fold, by frame rate and with their strides; and why none do at the others.

    Of what the encoder says of itself alone: nothing is heard.
    """
    out = {
        site: "it gives one frame a clip: its frame rate is that of the windows it is heard in, and nothing folds there"
        for site in ear.shifted
    }
    places = []
    folding = [site for site in ear.sites if site not in ear.shifted]
    for rate in dict.fromkeys(ear.frame_rates[site] for site in folding):
        sites = tuple(site for site in folding if ear.frame_rates[site] == rate)
        chain = ear.chain(sites[0])
        if chain.hop < 2:
            out |= dict.fromkeys(sites, "the site keeps the sample rate, and nothing folds")
        elif abs(ear.sample_rate / rate - chain.hop) > 1e-6:
            out |= dict.fromkeys(
                sites, f"its hop of {ear.sample_rate / rate:.3f} samples is not whole, and no frequencies fold exactly"
            )
        else:
            places.append((sites, chain))
    return places, out


def nothing_folds(ear: Ear) -> dict[str, str]:
    """Return the sites at which nothing folds, and why."""
    return folding(ear)[1]


def groups(ear: Ear, rng: np.random.Generator, effort: str) -> tuple[list[Group], dict[str, str]]:
    """Return the sites by frame rate with their sounds, and why there are none for the others."""
    found: list[Group] = []
    places, out = folding(ear)
    for sites, chain in places:
        tokens, families = SIZES[effort]["tokens"], SIZES[effort]["families"]
        seconds = ear.seconds(FRAMES, sites=sites)
        classes = draw_classes(rng, chain=chain, classes=CLASSES, members=MEMBERS)
        alone = lone(rng, classes, seconds=seconds, rms=SOFT_RMS[0])
        played, apart = (
            {
                family: dense(rng, classes, family=family, tokens=count, seconds=seconds, rms=DENSE_RMS)
                for family in families
            }
            for count in (tokens, RESIDUALS)
        )
        found.append(Group(sites, classes, alone, played, apart, seconds))
    return found, out


LOUDER_DB = 20.0 * np.log10(DENSE_RMS / SOFT_RMS[0])
"""From soft to ordinary level: a linear variant needs no soft sounds."""


class Twin:
    """The linear twin of an encoder at the sites of one frame rate: what to play for it, and what it answers.

    Soft sounds stand for it where the code has a derivative at rest. Elsewhere the encoder's own linear variant does,
    where it offers one.
    """

    def __init__(self, ear: Ear, group: Group, level: int, derivatives: Mapping[str, Derivative]) -> None:
        self.group, self.derivatives = group, derivatives
        self.alone = group.softly(level)
        self.by_ear = tuple(site for site in group.sites if derivatives[site].exists)
        self.by_variant = tuple(
            site for site in group.sites if not derivatives[site].exists and "linear" in ear.variants
        )
        self.known = (*self.by_ear, *self.by_variant)
        """Sites at which it is known."""

    def requests(self) -> dict[str, Listen]:
        """What must be played, by name."""
        asked = {}
        if self.by_ear:
            asked["alone"] = Listen(self.alone.stimuli, self.group.readout, self.by_ear)
            if any(self.derivatives[site].polarities == 2 for site in self.by_ear):
                asked["inverted"] = Listen(self.alone.inverted(), self.group.readout, self.by_ear)
        if self.by_variant:
            louder = self.group.alone.scaled(LOUDER_DB)
            asked["variant"] = Listen(louder, self.group.readout, self.by_variant, "linear")
        return asked

    def responses(self, site: str, heard: Mapping[str, Answer]) -> Complex:
        """Return v, ``'classes members channels'``, at a site where it is known."""
        if site in self.by_ear:
            inverted = np.asarray(heard["inverted"][site], complex) if "inverted" in heard else None
            return responses(self.alone, np.asarray(heard["alone"][site], complex), inverted)
        gain = 10 ** (LOUDER_DB / 20)
        return responses(self.group.alone, np.asarray(heard["variant"][site], complex) / gain)

    def unknown(self, site: str) -> tuple[str, bool]:
        """Why it is not known at a site, and whether that is for want of something the encoder could offer."""
        derivative = self.derivatives[site]
        if derivative.deaf:
            return derivative.reason(), False
        return f"{derivative.reason()}, and the encoder offers no linear variant (`ablated`)", True

    def source(self, site: str) -> str:
        """What stands for it, in words."""
        return "soft sounds" if site in self.by_ear else "linear variant"


def by_class(heard: NDArray[Any], index: int) -> Complex:
    """Return the channels at one class's line, ``'clips channels lines'`` -> ``'clips channels'``."""
    return np.asarray(heard[:, :, index], dtype=np.complex128)
