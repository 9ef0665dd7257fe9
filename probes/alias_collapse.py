"""Do frequencies that alias onto each other share a code?

Source: Post 0, section 0.3: "if they are aliased, distinct frequencies can collapse into shared representations". In
words: after its strides an encoder gives one vector per hop, and frequencies a whole number of frame rates apart pass
through those frames in step. If nothing else tells them apart, they have become one. So play pairs of frequencies that
fold onto each other, beside pairs as far apart that do not, and ask how well an observer of the code can tell each pair
apart.

Stimuli   `designs.alias_sets`: translations, mirror images and a fold about each Nyquist frequency of the chain of
          strides; two clips a tone, with start phases of their own and white noise 30 dB below.
Readout   RO7: complex amplitudes at the alias frequency and at its double (a rectifier puts it there), and the mean.
Formula   The observer compares matched filters of unknown phase: |V_f^H y|^2 - |V_g^H y|^2, with V the principal
          direction of training tokens, unit length, y a token of the other clip, each at its tone's own alias
          frequency. d' = difference of the mean scores over their standard deviation, which follows from the noise
          between tokens; the three cues (mean, line, doubled line) add as squares. theta_pair = 1 - sum d'_alias / sum
          d'_control per kind; the mean over kinds decides. 0: aliases are told apart as well as any pair; 1: they are
          one. With coherence g = |V_f^H V_g| and a control apart by its line, theta = 1 - sqrt(1 - g^2), whatever the
          noise: in white noise d' is proportional to the sine of the angle. Templates carry noise of their own, as much
          as there are channels for it; what it adds to the variance of the scores follows from the noise and is taken
          off, so that d' is that of an observer who knows the tones.
Rules     A pair with a tone 20 dB below the median response is attenuated, not collapsed, and left out; so is one whose
          control cannot be told apart either (d' below 1).
Parts     Each kind. The share of pairs above .5. Whitened: channels scaled by their noise first, so that no gain of a
          channel decides. One frame: by the planes that the tones span in the channels. Class: 1 - rank / members of
          whole alias classes (`designs.alias_battery`; not at quick); by counting it cannot be below 1 - channels /
          hop.
Null      alias and control exchanged at random, pair by pair.
Interval  jackknife over sets of pairs; over alias classes for the rank.
Traps     Noise in the templates of an alias pair looks like collapse: it stays where what they share cancels. Where it
          has half the energy of the tone, a theta of .5 would read .72 and one of .2 .33.
          One channel has one number per line: its theta is 1 by construction. Channels that differ in phase keep mirror
          images apart. A filterbank that rectifies before it decimates has no carrier left to alias: its mean tells
          all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testtone.stimuli import Chain, Partial, Stimulus, Tone, designs

from .alias_lines import folding
from .hearing import Answer, Ear, Listen, Probe
from .readouts import AliasLines
from .records import Effect, Measurement, Null, Part, Threshold
from .statistics import jackknife, permutation, singular_vectors

VERSION = 4
FRAMES = designs.RESOLUTION_FRAMES
SNR_DB = 30.0
ATTENUATED_DB = -20.0
TOLD_APART = 1.0
"""d' below which a control pair says nothing about its alias pair."""

FLOOR = 1e-3
"""Standard deviation of a score, re the mean energy of a token, below which it counts as noiseless."""

LEAST_LEFT = 0.1
"""Of the variance of a score, what is left at least when the noise of the templates is taken off."""

RANK_TOLERANCE = 1e-2
"""A singular value counts towards the rank if it exceeds this share of the largest; rows have unit length."""

SIZES = {
    "quick": {"sets": 12, "tokens": 2, "lines": 0},
    "standard": {"sets": 32, "tokens": 3, "lines": 6},
    "thorough": {"sets": 80, "tokens": 8, "lines": 6},
}
POOL_TOKENS = 1000
"""Tokens of noise that are enough for its shape."""

DRAWS = 999
LARGEST_HOP = 640
"""Beyond it an alias class has too many members to play one by one."""

THRESHOLD = Threshold(0.5, 0.2)


def alias_collapse(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure how far alias pairs share a code, and the rank of alias classes, at each site; see the module."""
    return alias_collapse_of(ear, rng, **SIZES[effort])


def alias_collapse_of(ear: Ear, rng: np.random.Generator, *, sets: int, tokens: int, lines: int) -> Probe:
    """Measure the same with a number of sets of pairs, of tokens a clip, and of whole alias classes (0: none)."""
    places, out = folding(ear)
    measurements: dict[str, Measurement] = {site: _not_applicable(site, why) for site, why in out.items()}
    groups: list[_Group] = []
    for sites, chain in places:
        try:
            groups.append(_Group(ear, sites, chain, rng, sets=sets, tokens=tokens, lines=lines))
        except designs.NoSuchDesignError as error:
            measurements |= {site: _not_applicable(site, str(error)) for site in sites}
    answers = list((yield [request for group in groups for request in group.requests]))
    for group in groups:
        own, answers = answers[: len(group.requests)], answers[len(group.requests) :]
        for site in group.sites:
            measurements[site] = group.measure(site, own, np.random.default_rng(rng.integers(2**63)))
    return {site: measurements[site] for site in ear.sites}


def _not_applicable(site: str, reason: str) -> Measurement:
    return Measurement(
        site=site, probe="alias_collapse", version=VERSION, effect=None, reason=reason, not_applicable=True
    )


class _Group:
    """Sites of one frame rate, which share their stimuli."""

    def __init__(
        self,
        ear: Ear,
        sites: tuple[str, ...],
        chain: Chain,
        rng: np.random.Generator,
        *,
        sets: int,
        tokens: int,
        lines: int,
    ) -> None:
        self.sites, self.chain, self.rate = sites, chain, chain.rate
        self.pairs = designs.alias_sets(rng, sets=sets, chain=chain)
        self.kinds = tuple(self.pairs[0])
        seconds = ear.seconds(FRAMES * tokens, sites=sites)
        self.clips = {
            (index, kind): clips_of(pair, seconds, rng)
            for index, per_kind in enumerate(self.pairs)
            for kind, pair in per_kind.items()
        }
        self.requests = [
            Listen(clips, readout_of(self.pairs[index][kind], chain, tokens), sites)
            for (index, kind), clips in self.clips.items()
        ]
        self.aliases: tuple[float, ...] = ()
        if lines and chain.hop <= LARGEST_HOP:
            self.aliases, battery = designs.alias_battery(
                rng, lines=lines, seconds=ear.seconds(FRAMES, sites=sites), chain=chain
            )
            self.requests.append(Listen(battery, AliasLines((self.aliases,), FRAMES, 1), sites))

    def measure(self, site: str, answers: Sequence[Answer], rng: np.random.Generator) -> Measurement:
        heard = {
            key: _pairs(answer[site], _lines(self.pairs[key[0]][key[1]], self.chain), self.rate)
            for key, answer in zip(self.clips, answers, strict=False)
        }
        sizes = {key: np.concatenate([pair.sizes for pair in both]) for key, both in heard.items()}
        loud = np.median(np.concatenate(list(sizes.values())))
        attenuated = {key: size.min() < loud * 10 ** (ATTENUATED_DB / 20) for key, size in sizes.items()}
        # One pool of noise for the tokens of alias pairs, one for those of control pairs.
        pools = [np.concatenate([pair.noise for pair in pairs]) for pairs in zip(*heard.values(), strict=True)]
        spread = np.sqrt(np.mean([(np.abs(pool) ** 2).mean(axis=0) for pool in pools], axis=0))
        spread = np.maximum(spread, 1e-3 * spread.max(axis=0))
        weight = np.divide(1.0, spread, out=np.ones_like(spread), where=spread > 0)

        def table(measure: Callable[[_Pair, int], float], floor: float = TOLD_APART) -> NDArray[np.float64]:
            values = {key: (measure(both[0], 0), measure(both[1], 1)) for key, both in heard.items()}
            return self._table(values, attenuated, floor)

        def told_apart(weight: NDArray[np.float64]) -> NDArray[np.float64]:
            count = next(iter(heard.values()))[0].own.shape[2]
            noise = [_Noise.of(pool, weight, count) for pool in pools]
            return table(lambda pair, which: pair.d_prime(noise[which], weight))

        plain, whitened = told_apart(np.ones_like(weight)), told_apart(weight)
        planes = table(lambda pair, _: pair.planes(), floor=0.05)
        parts = [
            Part(name=f"pairs: {kind}", threshold=THRESHOLD, effect=_theta(plain[:, [column]], f"theta_pair, {kind}"))
            for column, kind in enumerate(self.kinds)
        ]
        parts += [
            Part(name="share of pairs above .5", threshold=THRESHOLD, effect=_share(plain)),
            Part(name="whitened channels", threshold=THRESHOLD, effect=_theta(whitened, "theta_pair, whitened")),
            Part(
                name="one frame",
                threshold=THRESHOLD,
                effect=_theta(planes, "theta_pair, planes of one frame"),
                note="no sequence: a frame does not know its alias frequency",
            ),
        ]
        channels = answers[0][site].shape[3]
        if self.aliases:
            ranks = class_ranks(answers[-1][site][:, 0, 0, :, 1 : 1 + len(self.aliases)])
            parts.append(
                Part(
                    name="theta_class",
                    threshold=THRESHOLD,
                    effect=jackknife(
                        lambda kept: float(1 - ranks[kept].mean() / self.chain.hop),
                        len(ranks),
                        name="theta_class",
                        unit="share of an alias class",
                    ),
                    note=f"rank {ranks.mean():.4g} of {self.chain.hop} members; {channels} channels",
                )
            )
        share = float(np.mean(list(attenuated.values())))
        effect = _theta(plain, "theta_pair, mean over kinds")
        reason = None
        if effect is None:
            reason = (
                f"control pairs cannot be told apart either (d' below {TOLD_APART:g}): the tones do not reach the "
                "code, or its noise hides them"
            )
        null = None
        if effect is not None:
            p = permutation(effect.value, lambda draw: _exchanged(plain, draw), rng=rng, draws=DRAWS)
            null = Null(kind="alias and control exchanged within pairs", draws=DRAWS, p=p)
        return Measurement(
            site=site,
            probe="alias_collapse",
            version=VERSION,
            effect=effect,
            reason=reason,
            parts=tuple(parts),
            null=null,
            sounds=self._sounds(),
            figures={
                "d_prime": {
                    kind: {"alias": _mean(plain[:, column, 0]), "control": _mean(plain[:, column, 1])}
                    for column, kind in enumerate(self.kinds)
                },
                "attenuated": share,
                "channels": int(channels),
                "hop": self.chain.hop,
            },
        )

    def _table(
        self,
        values: Mapping[tuple[int, str], tuple[float, float]],
        attenuated: Mapping[tuple[int, str], bool],
        floor: float,
    ) -> NDArray[np.float64]:
        """``'sets kinds (alias, control)'``, nan where a pair may not speak."""
        table = np.full((len(self.pairs), len(self.kinds), 2), np.nan)
        for (index, kind), pair in values.items():
            if not attenuated[index, kind] and pair[1] > floor:
                table[index, self.kinds.index(kind)] = pair
        return table

    def _sounds(self) -> tuple:
        """A pair that aliases, and its control."""
        first, second, control, other = self.clips[0, self.kinds[0]][::2]
        return (
            (first.label, first),
            (f"{second.label}, which folds onto {first.label}", second),
            (f"control: {control.label}", control),
            (f"control: {other.label}, as far away and folding elsewhere", other),
        )


def clips_of(pair: designs.AliasPair, seconds: float, rng: np.random.Generator) -> tuple[Stimulus, ...]:
    """Two clips of each tone, with start phases and noise of their own: alias pair first, then its control."""
    return tuple(_clip(hz, seconds, rng) for hz in (*pair.alias_hz, *pair.control_hz) for _ in range(2))


def readout_of(pair: designs.AliasPair, chain: Chain, tokens: int) -> AliasLines:
    """What is kept of each of these clips."""
    return AliasLines(_lines(pair, chain), FRAMES, tokens)


def theta_of_one(values: NDArray[np.complex128], pair: designs.AliasPair, chain: Chain) -> float:
    """theta_pair of one pair from what was kept of its clips, noise pooled over them; nan where it may not speak."""
    both = _pairs(values, _lines(pair, chain), chain.rate)
    sizes = np.concatenate([each.sizes for each in both])
    if sizes.min() < np.median(sizes) * 10 ** (ATTENUATED_DB / 20) or not sizes.max() > 0:
        return float("nan")
    weight = np.ones((*values.shape[3:4], 3))
    alias, control = (each.d_prime(_Noise.of(each.noise, weight, each.own.shape[2]), weight) for each in both)
    # Twice as well told apart as the control is as far as a pair need go.
    return max(1 - alias / control, -1.0) if control > TOLD_APART else float("nan")


def _lines(pair: designs.AliasPair, chain: Chain) -> tuple[tuple[float, ...], ...]:
    """Line and doubled line: of the alias pair and of a spare, and of both members of the control pair."""
    lines = [chain.alias(pair.alias_hz[0]), pair.spare_line_hz, *map(chain.alias, pair.control_hz)]
    shared, spare, first, second = ((line, designs.doubled(line, chain.rate)) for line in lines)
    return shared + spare, first + second


def _clip(hz: float, seconds: float, rng: np.random.Generator) -> Stimulus:
    tone = Tone((Partial(hz, designs.LEVEL, float(rng.uniform(0, 2 * np.pi))),), timbre="sine")
    return Stimulus((tone,), seconds, label=f"{hz:.1f} Hz").with_noise(seed=int(rng.integers(2**31)), snr_db=SNR_DB)


@dataclass(frozen=True)
class _Noise:
    """The noise of all pairs, weighted: per cue ``'tokens channels'``, and its mean energy."""

    cues: tuple[NDArray[np.complex64], ...]
    energies: tuple[float, ...]
    squares: tuple[float, ...]
    """tr N^2 of each cue, N the covariance: the squared product of tokens of two clips, on average."""

    @classmethod
    def of(cls, pool: NDArray[np.complex128], weight: NDArray[np.float64], count: int) -> "_Noise":
        """From ``'tokens channels cues'``, ``count`` tokens a clip; of a very large pool, clips at even distances."""
        clips = pool.reshape(-1, count, *pool.shape[1:])
        kept = clips[:: -(-len(pool) // POOL_TOKENS)].reshape(-1, *pool.shape[1:])
        cues = [np.ascontiguousarray((kept * weight)[..., cue], np.complex64) for cue in range(pool.shape[-1])]
        energies = tuple(float((np.abs(cue) ** 2).sum(axis=1).mean()) for cue in cues)
        return cls(tuple(cues), energies, tuple(_squared_product(cue, count) for cue in cues))


@dataclass(frozen=True)
class _Pair:
    """Tokens of two tones, phases turned back to the start of their clip: ``'tones clips tokens channels cues'``.

    The cues are the mean, the line and the doubled line. ``own`` is each tone at its own lines; ``away`` each at the
    lines of the other, which for an alias pair are the same (``shared``).
    """

    own: NDArray[np.complex128]
    away: NDArray[np.complex128]
    shared: bool

    @property
    def sizes(self) -> NDArray[np.float64]:
        """Size of the response to each tone: root of the mean energy of mean and lines."""
        energy = np.abs(self.own) ** 2 * np.array([1, 0.5, 0.5])
        return np.sqrt(energy.sum(axis=(-1, -2)).mean(axis=(1, 2)))

    @property
    def noise(self) -> NDArray[np.complex128]:
        """What differs from token to token within a clip, ``'tokens channels cues'``, at its full variance."""
        tokens = self.own.shape[2]
        residual = self.own - self.own.mean(axis=2, keepdims=True)
        return residual.reshape(-1, *self.own.shape[3:]) * np.sqrt(tokens / (tokens - 1))

    def planes(self) -> float:
        """Sine between the planes that the two tones span in the channels, at their own lines."""
        first, second = self.own.mean(axis=2)[..., 1]
        return _plane_sine(_direction(first), _direction(second))

    def d_prime(self, pool: _Noise, weight: NDArray[np.float64]) -> float:
        """How well the observer tells the tones apart, with channels and cues weighted, ``'channels cues'``.

        The noise has the shape of the pool, which is weighted already, and the energy of this pair.
        """
        own, away, noise = (each * weight for each in (self.own.mean(axis=2), self.away.mean(axis=2), self.noise))
        squares = 0.0
        kinds = zip(pool.cues, pool.energies, pool.squares, strict=True)
        for cue, (shape, energy, product) in enumerate(kinds):
            louder = (np.abs(noise[..., cue]) ** 2).sum(axis=1).mean() / energy if energy > 0 else 0.0
            # Both tones of a pair are looked for in one and the same mean; in one and the same line if they alias.
            steady = cue == 0
            d = _observer(
                own[..., cue],
                away[..., cue],
                shape,
                float(np.sqrt(louder)),
                self.shared or steady,
                product=product,
                count=self.own.shape[2],
                real=steady,
            )
            squares += d * abs(d)
        return float(np.sqrt(max(squares, 0.0)))


def _pairs(values: NDArray[np.complex128], lines: tuple[tuple[float, ...], ...], rate: float) -> tuple[_Pair, _Pair]:
    """Alias and control pair from ``'8 2 tokens channels 5'``: eight clips, two a tone; two fits, one for each pair."""
    clips = values.reshape(4, 2, *values.shape[1:])
    shared, apart = (np.array([0.0, *each]) for each in lines)
    start = np.arange(values.shape[2])[:, None] * FRAMES / rate
    alias = (clips[:2, :, 0] * np.exp(-2j * np.pi * start * shared)[:, None])[..., :3]
    control = clips[2:, :, 1] * np.exp(-2j * np.pi * start * apart)[:, None]
    first, second = [0, 1, 2], [0, 3, 4]
    own = np.stack([control[0][..., first], control[1][..., second]])
    away = np.stack([control[0][..., second], control[1][..., first]])
    return _Pair(alias, alias, True), _Pair(own, away, False)


def _observer(
    own: NDArray[np.complex128],
    away: NDArray[np.complex128],
    noise: NDArray[np.complex64],
    level: float,
    shared: bool,
    *,
    product: float,
    count: int,
    real: bool,
) -> float:
    """Return d' of one cue: ``'tones clips channels'`` at own and at the other's lines, noise ``'tokens channels'``.

    The score of a token y is |V_f^H y|^2 - |V_g^H y|^2. Its variance to second order in the noise n: with
    w = V_f V_f^H y - V_g V_g^H y, E (2 Re w^H n)^2 plus the variance of the same form of n alone. A mean is real: its
    noise stands on one axis, with twice the variance there. A template V = T / |T| holds noise e of the mean of a clip,
    which adds e^H N e / |T|^2 to V^H N V: (tr N^2 - |N V|^2) / |T|^2 / tokens on average; what lies along V is no error
    of its direction. ``product`` is tr N^2 at a level of 1, ``count`` the tokens of a clip.
    """
    axes = 2.0 if real else 1.0
    apart, variance, energy = [], [], []
    for train, test in ((0, 1), (1, 0)):
        v = [_direction(own[tone, [train]]) for tone in (0, 1)]
        along = [level * (noise @ each.conj().astype(np.complex64)) for each in v]
        powers = [float((np.abs(each) ** 2).mean()) for each in along]
        errors = [
            level**4 * _error(own[tone, train], noise @ v[tone].conj().astype(np.complex64), noise, product) / count
            for tone in (0, 1)
        ]
        common = abs((along[0] * along[1].conj()).mean()) if shared else 0.0
        alone = axes * max(
            sum((power - error) ** 2 for power, error in zip(powers, errors, strict=True)) - 2 * common**2,
            LEAST_LEFT * (powers[0] ** 2 + powers[1] ** 2 - 2 * common**2),
        )
        for tone in (0, 1):
            mine, rival = v[tone].conj() @ own[tone, test], v[1 - tone].conj() @ away[tone, test]
            apart.append(abs(mine) ** 2 - abs(rival) ** 2)
            first, second = along[tone] * np.conj(mine), along[1 - tone] * np.conj(rival)
            moved = (
                (np.abs(first - second) ** 2).mean() if shared else (np.abs(first) ** 2 + np.abs(second) ** 2).mean()
            )
            by_templates = abs(mine) ** 2 * errors[tone] + abs(rival) ** 2 * errors[1 - tone]
            moved = max(float(moved) - by_templates, LEAST_LEFT * float(moved))
            variance.append(2 * axes * moved + alone)
            energy.append((np.abs(own[tone, test]) ** 2).sum())
    spread = np.hypot(np.sqrt(max(np.mean(variance), 0.0)), FLOOR * np.mean(energy))
    return float(2 * np.mean(apart) / spread) if spread > 0 else 0.0


def _squared_product(tokens: NDArray[np.complex64], count: int) -> float:
    """Mean of |m^H n|^2 over tokens of different clips, ``'tokens channels'`` with ``count`` tokens a clip.

    What is left of the tokens of one clip, their mean taken off, is not independent.
    """
    clips = tokens.reshape(-1, count, tokens.shape[1])
    if len(clips) < 2:
        return 0.0
    few = tokens.shape[1] <= len(tokens)
    gram = tokens.T @ tokens.conj() if few else tokens @ tokens.conj().T
    within = np.abs(np.einsum("kic,kjc->kij", clips, clips.conj(), optimize=True)) ** 2
    apart = float((np.abs(gram) ** 2).sum(dtype=np.float64)) - float(within.sum(dtype=np.float64))
    return max(apart, 0.0) / (len(tokens) * (len(tokens) - count))


def _error(
    template: NDArray[np.complex128],
    along: NDArray[np.complexfloating],
    noise: NDArray[np.complex64],
    product: float,
) -> float:
    """(tr N^2 - |N V|^2) / |T|^2 for one token, with ``along`` V^H n of the noise ``'tokens channels'``."""
    length = float((np.abs(template) ** 2).sum())
    # N V = E n (n^H V)
    straight = float((np.abs(noise.T @ along.conj() / len(noise)) ** 2).sum())
    return max(product - straight, 0.0) / length if length > 0 else 0.0


def _direction(tokens: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Unit principal direction of ``'tokens channels'`` with phases unknown: the first right singular vector."""
    _, _, directions = singular_vectors(tokens)
    return directions[0]


def _plane_sine(first: NDArray[np.complex128], second: NDArray[np.complex128]) -> float:
    """Root mean square sine of the principal angles between span{Re v, Im v} of two vectors."""
    bases = [np.linalg.qr(np.stack([v.real, v.imag], axis=1))[0] for v in (first, second)]
    if len(first) < 2:
        return 0.0
    cosines = np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)
    return float(np.sqrt(np.mean(1 - np.minimum(cosines, 1) ** 2)))


def class_ranks(amplitudes: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Numerical rank of each alias class: ``'members channels classes'`` -> ``[classes]``.

    Members arrive in an order of their own per class, which a rank does not see; rows are scaled to unit length, so
    that attenuation does not count as collapse.
    """
    ranks = []
    for rows in np.moveaxis(amplitudes, -1, 0):
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        _, singular, _ = singular_vectors(rows / np.where(length > 0, length, 1))
        ranks.append(float((singular > RANK_TOLERANCE * singular[0]).sum()) if singular[0] > 0 else 0.0)
    return np.array(ranks)


def _theta(table: NDArray[np.float64], name: str) -> Effect | None:
    """1 - sum d'_alias / sum d'_control per kind, mean over kinds; None where fewer than three sets may speak."""
    speaking = np.isfinite(table[..., 0])
    kinds = speaking.sum(axis=0) >= 3
    sets = np.flatnonzero(speaking[:, kinds].any(axis=1))
    if not kinds.any() or len(sets) < 3:
        return None
    own = table[sets][:, kinds]
    return jackknife(lambda kept: _theta_of(own[kept]), len(sets), name=name, unit="share of d'")


def _theta_of(table: NDArray[np.float64]) -> float:
    alias, control = np.nansum(table, axis=0).T
    told = control > 0
    return float(np.mean(1 - alias[told] / control[told])) if told.any() else np.nan


def _share(table: NDArray[np.float64]) -> Effect | None:
    speaking = np.isfinite(table[..., 0])
    sets = np.flatnonzero(speaking.any(axis=1))
    if len(sets) < 3:
        return None
    with np.errstate(invalid="ignore"):
        above = np.where(speaking, 1 - table[..., 0] / table[..., 1] > 0.5, np.nan)[sets]
    return jackknife(
        lambda kept: float(np.nanmean(above[kept])), len(sets), name="pairs above .5", unit="share of pairs"
    )


def _exchanged(table: NDArray[np.float64], rng: np.random.Generator) -> float:
    swap = rng.integers(0, 2, table.shape[:2]).astype(bool)
    return _theta_of(np.where(swap[..., None], table[..., ::-1], table))


def _mean(values: NDArray[np.float64]) -> float | None:
    return float(np.nanmean(values)) if np.isfinite(values).any() else None
