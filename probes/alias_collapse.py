"""Do frequencies that alias onto each other share a code?

Source: Post 0, section 0.3: "if they are aliased, distinct frequencies can collapse into shared representations". In words:
after its strides an encoder gives one vector per hop, and frequencies a whole number of frame rates apart pass through those
frames in step. If nothing else tells them apart, they have become one. So play pairs of frequencies that fold onto each
other, beside pairs as far apart that do not, and ask how well an observer of the code can tell each pair apart.

Stimuli   `designs.alias_sets`: translations, mirror images and a fold about each Nyquist frequency of the chain of strides;
          two clips a tone, with start phases of their own and white noise 30 dB below.
Readout   RO7: complex amplitudes at the alias frequency and at its double (a rectifier puts it there), and the mean.
Formula   The observer compares matched filters of unknown phase: |V_f^H y|^2 - |V_g^H y|^2, with V the principal direction
          of training tokens, unit length, y a token of the other clip, each at its tone's own alias frequency. d' = difference of the mean scores over their
          pooled standard deviation; the three cues (mean, line, doubled line) add as squares.
          theta_pair = 1 - sum d'_alias / sum d'_control per kind; the mean over kinds decides. 0: aliases are told apart as
          well as any pair; 1: they are one. With coherence g = |V_f^H V_g| and a control apart by its line,
          theta = 1 - sqrt(1 - g^2), whatever the noise: in white noise d' is proportional to the sine of the angle.
Rules     A pair with a tone 20 dB below the median response is attenuated, not collapsed, and left out; so is one whose
          control cannot be told apart either (d' below 1).
Parts     Each kind. The share of pairs above .5. Whitened: channels scaled by their noise first, so that no gain of a
          channel decides. One frame: by the planes that the tones span in the channels. Class: 1 - rank / members of whole
          alias classes (`designs.alias_battery`; not at quick); by counting it cannot be below 1 - channels / hop.
Null      alias and control exchanged at random, pair by pair.
Interval  jackknife over sets of pairs; over alias classes for the rank.
Traps     One channel has one number per line: its theta is 1 by construction. Channels that differ in phase keep mirror
          images apart. A filterbank that rectifies before it decimates has no carrier left to alias: its mean tells all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testtone.stimuli import Chain, Partial, Stimulus, Tone, designs

from .hearing import Answer, Ear, Listen, Probe
from .readouts import AliasLines
from .records import Effect, Measurement, Null, Part, Threshold
from .statistics import jackknife, permutation

VERSION = 1
FRAMES = designs.RESOLUTION_FRAMES
SNR_DB = 30.0
ATTENUATED_DB = -20.0
TOLD_APART = 1.0
"""d' below which a control pair says nothing about its alias pair."""

FLOOR = 1e-3
"""Standard deviation of a score, re the mean energy of a token, below which it counts as noiseless."""

RANK_TOLERANCE = 1e-2
"""A singular value counts towards the rank if it exceeds this share of the largest; rows have unit length."""

SIZES = {
    "quick": {"sets": 12, "tokens": 2, "lines": 0},
    "standard": {"sets": 12, "tokens": 3, "lines": 6},
    "thorough": {"sets": 40, "tokens": 8, "lines": 6},
}
DRAWS = 999
LARGEST_HOP = 640
"""Beyond it an alias class has too many members to play one by one."""

THRESHOLD = Threshold(0.5, 0.2)


def alias_collapse(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure how far alias pairs share a code, and the rank of alias classes, at each site; see the module."""
    size = SIZES[effort]
    measurements: dict[str, Measurement] = {}
    groups: list[_Group] = []
    for rate in dict.fromkeys(ear.frame_rates[site] for site in ear.sites):
        sites = tuple(site for site in ear.sites if ear.frame_rates[site] == rate)
        chain = ear.chain(sites[0])
        whole = abs(ear.sample_rate / rate - chain.hop) < 1e-6
        if chain.hop < 2 or not whole:
            why = ("the site keeps the sample rate, and nothing folds" if chain.hop < 2 else
                   f"its hop of {ear.sample_rate / rate:.3f} samples is not a whole number, and no frequencies fold exactly")
            measurements |= {site: Measurement(site=site, probe="alias_collapse", version=VERSION, effect=None, reason=why,
                                               not_applicable=True) for site in sites}
            continue
        groups.append(_Group(ear, sites, chain, rng, **size))
    answers = list((yield [request for group in groups for request in group.requests]))
    for group in groups:
        own, answers = answers[: len(group.requests)], answers[len(group.requests):]
        for site in group.sites:
            measurements[site] = group.measure(site, own, np.random.default_rng(rng.integers(2**63)))
    return {site: measurements[site] for site in ear.sites}


class _Group:
    """Sites of one frame rate, which share their stimuli."""

    def __init__(
        self, ear: Ear, sites: tuple[str, ...], chain: Chain, rng: np.random.Generator, *, sets: int, tokens: int, lines: int
    ) -> None:
        self.sites, self.chain, self.rate = sites, chain, chain.rate
        self.pairs = designs.alias_sets(rng, sets=sets, chain=chain)
        self.kinds = tuple(self.pairs[0])
        seconds = ear.seconds(FRAMES * tokens, sites=sites)
        self.clips = {
            (index, kind): tuple(_clip(hz, seconds, rng) for hz in (*pair.alias_hz, *pair.control_hz) for _ in range(2))
            for index, per_kind in enumerate(self.pairs) for kind, pair in per_kind.items()
        }
        self.requests = [
            Listen(clips, AliasLines(self._lines(self.pairs[index][kind]), FRAMES, tokens), sites)
            for (index, kind), clips in self.clips.items()
        ]
        self.aliases: tuple[float, ...] = ()
        if lines and chain.hop <= LARGEST_HOP:
            self.aliases, battery = designs.alias_battery(rng, lines=lines, seconds=ear.seconds(FRAMES, sites=sites),
                                                          chain=chain)
            self.requests.append(Listen(battery, AliasLines((self.aliases,), FRAMES, 1), sites))

    def _lines(self, pair: designs.AliasPair) -> tuple[tuple[float, ...], ...]:
        """Line and doubled line: of the alias pair, which share them, and of both members of the control pair."""
        lines = [self.chain.alias(hz) for hz in (pair.alias_hz[0], *pair.control_hz)]
        shared, first, second = ((line, designs.doubled(line, self.rate)) for line in lines)
        return shared, first + second

    def measure(self, site: str, answers: Sequence[Answer], rng: np.random.Generator) -> Measurement:
        heard = {key: _Quad(answer[site]) for key, answer in zip(self.clips, answers, strict=False)}
        loud = np.median([size for quad in heard.values() for size in quad.sizes])
        attenuated = {key: min(quad.sizes) < loud * 10 ** (ATTENUATED_DB / 20) for key, quad in heard.items()}
        noise = np.sqrt(np.mean([quad.noise() for quad in heard.values()], axis=0))
        noise = np.maximum(noise, 1e-3 * noise.max(axis=0))
        scale = np.divide(1.0, noise, out=np.ones_like(noise), where=noise > 0)
        plain = self._table({key: quad.d_primes() for key, quad in heard.items()}, attenuated)
        whitened = self._table({key: quad.d_primes(scale) for key, quad in heard.items()}, attenuated)
        planes = self._table({key: quad.planes() for key, quad in heard.items()}, attenuated, floor=0.05)
        parts = [
            Part(name=f"pairs: {kind}", threshold=THRESHOLD, effect=_theta(plain[:, [column]], f"theta_pair, {kind}"))
            for column, kind in enumerate(self.kinds)
        ]
        parts += [
            Part(name="share of pairs above .5", threshold=THRESHOLD, effect=_share(plain)),
            Part(name="whitened channels", threshold=THRESHOLD, effect=_theta(whitened, "theta_pair, whitened")),
            Part(name="one frame", threshold=THRESHOLD, effect=_theta(planes, "theta_pair, planes of one frame"),
                 note="no sequence: a frame does not know its alias frequency"),
        ]
        channels = answers[0][site].shape[3]
        if self.aliases:
            ranks = class_ranks(answers[-1][site][:, 0, 0, :, 1 : 1 + len(self.aliases)])
            parts.append(Part(
                name="theta_class", threshold=THRESHOLD,
                effect=jackknife(lambda kept: float(1 - ranks[kept].mean() / self.chain.hop), len(ranks), name="theta_class",
                                 unit="share of an alias class"),
                note=f"rank {ranks.mean():.4g} of {self.chain.hop} members; {channels} channels per hop of {self.chain.hop}",
            ))
        share = float(np.mean(list(attenuated.values())))
        effect = _theta(plain, "theta_pair, mean over kinds")
        reason = None
        if effect is None:
            reason = ("control pairs cannot be told apart either "
                      f"(d' below {TOLD_APART:g}; {share:.0%} of the pairs have an attenuated tone)")
        null = effect and Null(kind="alias and control exchanged within pairs", draws=DRAWS,
                               p=permutation(effect.value, lambda draw: _exchanged(plain, draw), rng=rng, draws=DRAWS))
        return Measurement(
            site=site, probe="alias_collapse", version=VERSION, effect=effect, reason=reason, parts=tuple(parts), null=null,
            sounds=self._sounds(),
            figures={"d_prime": {kind: {"alias": _mean(plain[:, column, 0]), "control": _mean(plain[:, column, 1])}
                                 for column, kind in enumerate(self.kinds)},
                     "attenuated": share, "channels": int(channels), "hop": self.chain.hop},
        )

    def _table(
        self, values: Mapping[tuple[int, str], tuple[float, float]], attenuated: Mapping[tuple[int, str], bool],
        floor: float = TOLD_APART,
    ) -> NDArray[np.float64]:
        """``'sets kinds (alias, control)'``, nan where a pair may not speak."""
        table = np.full((len(self.pairs), len(self.kinds), 2), np.nan)
        for (index, kind), pair in values.items():
            if not attenuated[index, kind] and pair[1] > floor:
                table[index, self.kinds.index(kind)] = pair
        return table

    def _sounds(self) -> tuple:
        """A pair that aliases, and its control."""
        clips = self.clips[0, self.kinds[0]]
        return tuple((clip.label, clip) for clip in clips[::2])


def _clip(hz: float, seconds: float, rng: np.random.Generator) -> Stimulus:
    tone = Tone((Partial(hz, designs.LEVEL, float(rng.uniform(0, 2 * np.pi))),), timbre="sine")
    return Stimulus((tone,), seconds, label=f"{hz:.1f} Hz").with_noise(seed=int(rng.integers(2**31)), snr_db=SNR_DB)


@dataclass(frozen=True)
class _Quad:
    """Tokens of an alias pair and of its control pair: ``'8 2 tokens channels 5'``.

    Eight clips, two a tone; two fits, with the lines of the alias pair and with those of the control pair; per channel
    the mean, then line and doubled line of each member of the pair.
    """

    values: NDArray[np.complex128]

    @property
    def alias(self) -> NDArray[np.complex128]:
        """``'tones clips tokens channels cues'`` of the alias pair, at the lines it shares."""
        return self._tones(slice(0, 2), 0)[..., :3]

    @property
    def control(self) -> NDArray[np.complex128]:
        """The same of the control pair, at five lines: the mean, two of the first member, two of the second."""
        return self._tones(slice(2, 4), 1)

    @property
    def sizes(self) -> tuple[float, ...]:
        """Size of the response to each of the four tones: root of the mean energy of mean and lines."""
        weight = np.array([1, 0.5, 0.5, 0.5, 0.5])
        return tuple(
            float(np.sqrt((np.abs(tone) ** 2 * weight[: tone.shape[-1]]).sum(axis=(-1, -2)).mean()))
            for pair in (self.alias, self.control) for tone in pair
        )

    def noise(self) -> NDArray[np.float64]:
        """Energy of each channel about the principal direction of each tone of the alias pair, ``'channels cues'``."""
        residual = []
        for tone in self.alias:
            for clip in tone:
                for cue in range(clip.shape[-1]):
                    v = _direction(clip[..., cue])
                    residual.append(np.abs(clip[..., cue] - np.outer(clip[..., cue] @ v.conj(), v)) ** 2)
        return np.stack(residual).reshape(4, 3, *residual[0].shape).mean(axis=(0, 2)).T

    def d_primes(self, scale: NDArray[np.float64] | None = None) -> tuple[float, float]:
        """d' of the alias pair and of the control pair; ``scale`` weighs ``'channels cues'`` first."""
        weight = 1.0 if scale is None else scale
        alias, control = self.alias * weight, self.control * (1.0 if scale is None else scale[:, [0, 1, 2, 1, 2]])
        own = np.stack([control[0][..., [0, 1, 2]], control[1][..., [0, 3, 4]]])
        away = np.stack([control[0][..., [0, 3, 4]], control[1][..., [0, 1, 2]]])
        return _observer(alias, alias), _observer(own, away)

    def planes(self) -> tuple[float, float]:
        """Sine between the planes of the two tones, of the alias pair and of the control pair, at their own lines."""
        alias = [_direction(tone.reshape(-1, tone.shape[-1])) for tone in self.alias[..., 1]]
        control = [_direction(tone.reshape(-1, tone.shape[-1])) for tone in (self.control[0][..., 1], self.control[1][..., 3])]
        return _plane_sine(*alias), _plane_sine(*control)

    def _tones(self, tones: slice, fit: int) -> NDArray[np.complex128]:
        values = self.values[:, fit]
        return values.reshape(4, 2, *values.shape[1:])[tones]


def _observer(own: NDArray[np.complex128], away: NDArray[np.complex128]) -> float:
    """d' between two tones, ``'tones clips tokens channels cues'``: each at its own lines, and each at the other's lines.

    For an alias pair both stand on the same lines, and ``away`` is ``own`` itself.
    """
    squares = 0.0
    for cue in range(own.shape[-1]):
        scores: tuple[list[float], list[float]] = ([], [])
        energy = []
        for train, test in ((0, 1), (1, 0)):
            v = [_direction(own[tone, train, ..., cue]) for tone in (0, 1)]
            matched = [np.abs(own[tone, test, ..., cue] @ v[tone].conj()) ** 2 for tone in (0, 1)]
            rival = [np.abs(away[tone, test, ..., cue] @ v[1 - tone].conj()) ** 2 for tone in (0, 1)]
            scores[0].extend(matched[0] - rival[0])
            scores[1].extend(rival[1] - matched[1])
            energy.append((np.abs(own[:, test, ..., cue]) ** 2).sum(axis=-1).mean())
        d = _separation(*scores, FLOOR * float(np.mean(energy)))
        squares += d * abs(d)
    return float(np.sqrt(max(squares, 0.0)))


def _separation(first: Sequence[float], second: Sequence[float], floor: float) -> float:
    spread = np.sqrt((np.var(first, ddof=1) + np.var(second, ddof=1)) / 2 + floor**2)
    return float((np.mean(first) - np.mean(second)) / spread) if spread > 0 else 0.0


def _direction(tokens: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Unit principal direction of ``'tokens channels'`` with phases unknown: the first right singular vector."""
    _, _, directions = np.linalg.svd(tokens, full_matrices=False)
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

    Members arrive in an order of their own per class, which a rank does not see; rows are scaled to unit length, so that
    attenuation does not count as collapse.
    """
    ranks = []
    for rows in np.moveaxis(amplitudes, -1, 0):
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        singular = np.linalg.svd(rows / np.where(length > 0, length, 1), compute_uv=False)
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
    return float(np.mean(1 - alias[control > 0] / control[control > 0]))


def _share(table: NDArray[np.float64]) -> Effect | None:
    speaking = np.isfinite(table[..., 0])
    sets = np.flatnonzero(speaking.any(axis=1))
    if len(sets) < 3:
        return None
    with np.errstate(invalid="ignore"):
        above = np.where(speaking, 1 - table[..., 0] / table[..., 1] > 0.5, np.nan)[sets]
    return jackknife(lambda kept: float(np.nanmean(above[kept])), len(sets), name="pairs above .5", unit="share of pairs")


def _exchanged(table: NDArray[np.float64], rng: np.random.Generator) -> float:
    swap = rng.integers(0, 2, table.shape[:2]).astype(bool)
    return _theta_of(np.where(swap[..., None], table[..., ::-1], table))


def _mean(values: NDArray[np.float64]) -> float | None:
    return float(np.nanmean(values)) if np.isfinite(values).any() else None
