"""Do downsampling and nonlinearity cost what a code holds of single partials?

Source: Post 0, section 0.3: "repeated downsampling, convolution, and nonlinearities transform the spectral fingerprint
of the signal in ways that degrade or mix spectral structure". In words: play dense sounds, thousands of partials at
once, and let a linear reader of the code say how strong each partial was. Then let the same reader hear a twin of the
encoder: the same weights, but every stride removed and every nonlinearity replaced by its derivative at rest. What the
twin's reader finds, and the encoder's does not, is the cost.

Stimuli   `stimuli.alias_classes`: 256 members of each of 12 alias classes (all, where a class has fewer), equally loud,
          sizes and phases drawn anew in each sound, -20 dB re full scale. Few partials would not do: as many as there
          are channels can be told apart by counting alone, and nothing would be lost.
Readout   complex amplitude of each channel at the partial's own line, over one period: at the frame rate the alias
          line, which its class shares; in the twin the line at its frequency, which it has to itself. As many channels,
          and as many seconds, for both.
Reader    `alias_lines.Components.r2`: least squares, corrected for the finite number of sounds (adjusted R2). What
          ridge regression finds, held out, stands in the figures.
          Both hear noise 50 dB below the mean partial, so that what a filter has removed counts as removed.
Formula   effect = R2(full-rate linear twin) - R2(as is), mean over partials.
Twin      A linear system answers a lone partial at its alias line exactly as its full-rate twin answers it at its own:
          decimation moves the line and changes nothing else. So the twin is heard from outside: members one at a time,
          softly, where soft sounds have a linear answer (`alias_lines.Derivative`); R2 = p |v|^2 / (p |v|^2 + noise).
          No weights are needed. An encoder without a derivative at rest, such as one with max-pools, must offer its
          linear variant; without, the question is not applicable to it.
Parts     The table of two by two. Downsampling alone: the linear twin at full rate against the one at the frame rate,
          R2 = p v^H C^-1 v with C = sum p v v^H + noise (`alias_lines.best_r2`). Nonlinearity alone, at the frame rate:
          that against the encoder as it is. Where the encoder offers its full-rate variant, nonlinearity at full rate,
          and the interaction of the two (not at quick; from few sounds, so rough). Sizes from the mean: R2 of the
          partials' powers, without their phases, from the code's mean over a period, where a code that rectifies holds
          them; there all partials share one line. Layer by layer, where the encoder tells its strided layers (not at
          quick): R2 of some members of each class from each layer's output, each at the line onto which the strides so
          far fold it; as an effect, R2(first strided layer) - R2(here). Two-tone intermodulation: share of the code's
          power off the lines of the two tones.
Interval  two-way jackknife over alias classes, 12, and blocks of sounds, 16: members of a class compete for the same
          channels, so a class is the unit; and a loud sound is bent more in all classes at once.
Null      which sound had which amplitudes, permuted: R2 as is falls to 0, and the effect to its largest value; p is the
          share of permutations with as small an effect, so it is small where the code tells anything.
Large     .1: a tenth of the variance of a partial's amplitude is gone; .05 is what two such measurements may differ by.
          An encoder with fewer channels than members loses 1 - channels / members to downsampling, whatever its
          weights.
Traps     By counting, sum of R2 over a class <= number of channels. A reader that learned from too few sounds seems to
          lose what is there: hence the correction, which a code that loses nothing does not need, and does not get.
          Sparse codes, whose rare events a held-out reader stumbles over, are read without harm by adjusted R2.
          Power detectors have no linear twin: their derivative at rest is zero.
Sources   Ribeiro & Schön, How Convolutional Neural Networks Deal with Aliasing, ICASSP 2021 (full-rate twin of a
          strided layer); Pintelon & Schoukens, System Identification, 2012 (periodic multisines); Holschneider et al.,
          A real-time algorithm for signal analysis with the help of the wavelet transform, 1989 (à trous).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtone.stimuli import Stimulus
from testtone.stimuli.alias_classes import FRAMES
from testtone.stimuli.multisines import LineSpectrum, Multisine

from . import alias_lines
from .alias_lines import Components, Derivative, GridLines, Group, Twin
from .hearing import LAYERS, Answer, Ear, Listen, Probe
from .records import Effect, Measurement, Null, Part, Threshold
from .statistics import jackknife, jackknife_two_way

VERSION = 2
THRESHOLD = Threshold(0.1, 0.05)

NOISE = 1e-5
"""Power of what a reader hears besides, re that of the mean partial: 50 dB below."""

FULL_RATE = {"quick": 0, "standard": 8, "thorough": 96}
"""Dense sounds for the full-rate variant, which costs a hop as much."""

FULL_RATE_MEMBERS = 16
"""Members of each class that are read there."""

SOUNDS_BY_LAYER = {"quick": 0, "standard": 320, "thorough": 1200}
"""Dense sounds that are heard layer by layer: more than a layer has channels."""

PAIRS = 12
BLOCKS = 16
"""Of sounds, which are the second factor of the interval."""

DRAWS = {"quick": 19, "standard": 99, "thorough": 199}


def degrade_or_mix(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure what a linear reader of partials loses to strides and nonlinearities at each site; see the module."""
    groups, out = alias_lines.groups(ear, rng, effort)
    measurements: dict[str, Measurement] = {site: _without(site, why, not_applicable=True) for site, why in out.items()}
    checks = [group.check() for group in groups]
    answers = list((yield [request for each in checks for request in each]))
    plays = []
    for group, check in zip(groups, checks, strict=True):
        own, answers = answers[: len(check)], answers[len(check) :]
        plays.append(_Play(ear, group, *group.derivatives(own), rng, effort))
    answers = list((yield [request for play in plays for request in play.requests]))
    for play in plays:
        own, answers = answers[: len(play.requests)], answers[len(play.requests) :]
        heard = dict(zip(play.names, own, strict=True))
        for site in play.group.sites:
            measurements[site] = play.measure(site, heard, np.random.default_rng(rng.integers(2**63)))
    return {site: measurements[site] for site in ear.sites}


def _without(site: str, reason: str, *, not_applicable: bool = False) -> Measurement:
    return Measurement(
        site=site,
        probe="degrade_or_mix",
        version=VERSION,
        effect=None,
        reason=reason,
        not_applicable=not_applicable,
    )


@dataclass(frozen=True)
class _Blocks:
    """What blocks of sounds contribute to R2 as is, so that it can be had without some: 'classes blocks'."""

    sounds: NDArray[np.float64]
    """Number of sounds, 'blocks'."""
    residual: NDArray[np.float64]
    """Sum of squared residuals."""
    influence: NDArray[np.float64]
    """By how much the sum over all sounds falls when a block is left out and the reader learns anew."""
    amplitude: NDArray[np.float64]
    """Sum of squared amplitudes."""
    parameters: NDArray[np.float64]
    """Of the reader, 'classes'."""

    @classmethod
    def of(cls, components: Sequence[Components], amplitudes: Sequence[NDArray[Any]]) -> _Blocks:
        """From the readers and the amplitudes of each class; means over members."""
        rows = []
        for each, drawn in zip(components, amplitudes, strict=True):
            squares, leverage = each.residuals(drawn)
            squares = squares.mean(axis=1)
            power = (np.square(np.abs(drawn)) / np.square(np.abs(drawn)).mean(axis=0)).mean(axis=1)
            rows.append([squares, squares / np.maximum(1.0 - leverage, 1e-9), power])
        splits = np.array_split(np.arange(len(rows[0][0])), BLOCKS)
        table = np.array([[[column[split].sum() for split in splits] for column in row] for row in rows])
        sizes = np.array([float(len(split)) for split in splits])
        return cls(sizes, table[:, 0], table[:, 1], table[:, 2], np.array([float(each.used) for each in components]))

    def r2(self, kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Mean adjusted R2 of each class without some blocks, ``'classes blocks'``; nan where none is left."""
        sounds = (self.sounds * kept).sum(axis=1)
        residual = self.residual.sum(axis=1) - (self.influence * ~kept).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            error = residual / (sounds - self.parameters) / ((self.amplitude * kept).sum(axis=1) / sounds)
            error *= 1.0 - (1.0 - error) / sounds
        return np.where(sounds > self.parameters, 1.0 - error, np.nan)


@dataclass(frozen=True)
class _Cells:
    """R2 per class and member: 'classes members', of the table of two by two."""

    full_linear: NDArray[np.float64]
    linear: NDArray[np.float64]
    as_is: NDArray[np.float64]
    blocks: _Blocks


class _Play:
    """What is asked about the sites of one frame rate, and what comes of it."""

    def __init__(
        self,
        ear: Ear,
        group: Group,
        level: int,
        derivatives: Mapping[str, Derivative],
        rng: np.random.Generator,
        effort: str,
    ) -> None:
        self.group, self.twin, self.effort = group, Twin(ear, group, level, derivatives), effort
        judged = self.twin.known
        self.pairs = _pairs(group, rng)
        asked: dict[str, Listen] = {}
        if judged:
            asked["dense"] = Listen(group.dense["flat"].stimuli, group.readout, judged)
            asked["means"] = Listen(group.dense["flat"].stimuli, GridLines(FRAMES, (0,)), judged)
            every = GridLines(FRAMES, tuple(range(FRAMES // 2 + 1)))
            asked["pairs"] = Listen(tuple(stimulus for stimulus, _ in self.pairs), every, judged)
        asked |= self.twin.requests()
        classes = group.classes
        self.chosen = np.stack(
            [
                np.sort(rng.choice(row.size, min(FULL_RATE_MEMBERS, row.size), replace=False))
                for row in classes.harmonics
            ]
        )
        if FULL_RATE[effort] and judged and "full_rate" in ear.variants:
            lines = np.take_along_axis(classes.harmonics, self.chosen, axis=1)
            own = GridLines(FRAMES * classes.chain.hop, tuple(lines.ravel().tolist()))
            few = group.dense["flat"].stimuli[: FULL_RATE[effort]]
            asked["full_rate"] = Listen(few, own, judged, "full_rate")
        self.layers = self._layers(ear) if judged and SOUNDS_BY_LAYER[effort] else {}
        for name, (count, lines, _) in self.layers.items():
            own = GridLines(count, tuple(np.unique(lines).tolist()))
            asked[name] = Listen(group.dense["flat"].stimuli[: SOUNDS_BY_LAYER[effort]], own, (name,), LAYERS)
        self.names, self.requests = tuple(asked), tuple(asked.values())

    def _layers(self, ear: Ear) -> dict[str, tuple[int, NDArray[np.intp], NDArray[np.bool_]]]:
        """Of each layer: frames in a period, and of the chosen members the line and whether it runs backwards there.

        Both 'classes members'.
        """
        classes = self.group.classes
        harmonics = np.take_along_axis(classes.harmonics, self.chosen, axis=1)
        found = {}
        for name, rate in ear.layers.items():
            count = round(FRAMES * classes.chain.hop * rate / ear.sample_rate)
            whole = abs(count * ear.sample_rate / rate / FRAMES / classes.chain.hop - 1) < 1e-9
            if whole and count >= FRAMES:
                rest = harmonics % count
                found[name] = (count, np.minimum(rest, count - rest), 2 * rest > count)
        return found

    def measure(self, site: str, heard: Mapping[str, Answer], rng: np.random.Generator) -> Measurement:
        if site not in self.twin.known:
            reason, lacks = self.twin.unknown(site)
            return _without(site, reason, not_applicable=lacks)
        group, classes = self.group, self.group.classes
        flat = group.dense["flat"]
        found = self.twin.responses(site, heard)
        dense = heard["dense"][site]
        channels = dense.shape[1]
        received = flat.power[..., None] * np.abs(found) ** 2
        mean = float(received.mean())
        loud = float(np.square(np.abs(dense)).mean()) / classes.harmonics.shape[1]
        if not mean > 0 or not loud > 0:
            return _without(site, "the code does not move with the sounds")
        noise = NOISE * loud
        features = dense + np.sqrt(noise / 2) * (rng.standard_normal((2, *dense.shape)).T @ [1, 1j]).T
        lines = range(len(classes.lines))
        components = [Components.of(alias_lines.by_class(features, index)) for index in lines]
        power = received.sum(axis=-1)
        cells = _Cells(
            power / (power + NOISE * mean),
            np.stack([alias_lines.best_r2(v, p, NOISE * mean) for v, p in zip(found, flat.power, strict=True)]),
            np.stack([each.r2(flat.drawn[:, index]) for index, each in enumerate(components)]),
            _Blocks.of(components, [flat.drawn[:, index] for index in lines]),
        )
        effect = _cost(cells, cells.full_linear, "R2(full-rate linear twin) - R2(as is)")
        parts = [
            self._part("downsampling alone", cells.full_linear, cells.linear, "R2(full-rate linear) - R2(linear)"),
            Part(
                name="nonlinearity alone",
                effect=_cost(cells, cells.linear, "R2(linear) - R2(as is)"),
                threshold=THRESHOLD,
                note="at the frame rate",
            ),
        ]
        table = {
            "full rate, linear": float(cells.full_linear.mean()),
            "frame rate, linear": float(cells.linear.mean()),
            "frame rate, as is": float(cells.as_is.mean()),
            "frame rate, as is, ridge held out": float(
                np.mean([each.held_out(flat.drawn[:, index]) for index, each in enumerate(components)])
            ),
        }
        if "full_rate" in heard:
            full, few = self._at_full_rate(heard["full_rate"][site]), len(heard["full_rate"][site])
            table["full rate, as is"] = float(full.mean())
            own, linear, as_is = (
                np.take_along_axis(each, self.chosen, axis=1) for each in (cells.full_linear, cells.linear, cells.as_is)
            )
            note = f"{few} sounds, {FULL_RATE_MEMBERS} members of each class"
            parts += [
                self._part("nonlinearity alone, full rate", own, full, "R2(full-rate linear) - R2(full rate)", note),
                self._part("interaction", own - linear, full - as_is, "interaction of the two", note),
            ]
        layers: list[dict[str, Any]] = []
        if self.layers:
            by_layer = {name: self._at_layer(name, heard[name][name], rng) for name in self.layers}
            here = np.take_along_axis(cells.as_is, self.chosen, axis=1)
            parts.append(self._from_the_first(by_layer, here))
            layers = [{"name": name, "r2": float(r2.mean())} for name, r2 in {**by_layer, site: here}.items()]
        parts.append(self._sizes(heard["means"][site], cells))
        parts.append(
            Part(
                name="two-tone intermodulation",
                effect=self._intermodulation(heard["pairs"][site]),
                threshold=THRESHOLD,
                note="share of the code's power that is neither its mean nor at the alias lines of the two tones",
            )
        )
        return Measurement(
            site=site,
            probe="degrade_or_mix",
            version=VERSION,
            effect=effect,
            parts=tuple(parts),
            null=self._null(components[0], cells, rng),
            sounds=self._sounds(),
            figures={
                "r2": table,
                "channels": int(channels),
                "members": int(classes.harmonics.shape[1]),
                "hop": int(classes.chain.hop),
                "sounds": len(flat.stimuli),
                "twin": self.twin.source(site),
                "derivative_missed": _finite(self.twin.derivatives[site].missed),
                "by_frequency": _by_frequency(classes.hz, cells),
                "layers": layers,
            },
        )

    def _part(self, name: str, more: NDArray[np.float64], less: NDArray[np.float64], said: str, note: str = "") -> Part:
        return Part(name=name, effect=_difference(more, less, said), threshold=THRESHOLD, note=note)

    def _at_full_rate(self, heard: NDArray[Any]) -> NDArray[np.float64]:
        """R2 of some members of each class from the full-rate variant, each at its own line, 'classes members'."""
        classes, flat = self.group.classes, self.group.dense["flat"]
        lines = heard.reshape(len(heard), heard.shape[1], len(classes.lines), -1)
        r2 = np.empty(self.chosen.shape)
        for index, members in enumerate(self.chosen):
            for place, member in enumerate(members):
                own = np.asarray(lines[:, :, index, place], dtype=np.complex128)
                drawn = flat.drawn[: len(heard), index, member]
                # A mirrored member runs forwards at its own frequency.
                drawn = drawn.conj() if classes.mirrored[index, member] else drawn
                r2[index, place] = Components.of(own).r2(drawn[:, None])[0]
        return r2

    def _at_layer(self, name: str, heard: NDArray[Any], rng: np.random.Generator) -> NDArray[np.float64]:
        """R2 of the chosen members from a layer's output, 'clips channels lines', 'classes members'."""
        classes, (count, lines, backwards) = self.group.classes, self.layers[name]
        drawn = self.group.dense["flat"].drawn[: len(heard)]
        drawn = np.where(classes.mirrored, drawn.conj(), drawn)
        together = max(1.0, classes.harmonics.shape[1] * FRAMES / count)
        noise = NOISE * float(np.square(np.abs(heard)).mean(dtype=np.float64)) / together
        r2 = np.empty(lines.shape)
        for place, line in enumerate(np.unique(lines)):
            own = heard[:, :, place].astype(np.complex128)
            own += np.sqrt(noise / 2) * (rng.standard_normal((2, *own.T.shape)).T @ [1, 1j])
            components = Components.of(own)
            for index, place_of in np.argwhere(lines == line):
                amplitude = drawn[:, index, self.chosen[index, place_of]]
                amplitude = amplitude.conj() if backwards[index, place_of] else amplitude
                r2[index, place_of] = components.r2(amplitude[:, None])[0]
        return r2

    def _from_the_first(self, by_layer: Mapping[str, NDArray[np.float64]], here: NDArray[np.float64]) -> Part:
        """What is lost between the first strided layer and the site."""
        first, r2 = next(iter(by_layer.items()))
        said = ", ".join(f"{name} {each.mean():.3f}" for name, each in by_layer.items())
        note = f"R2 of {here.shape[1]} members of each class: {said}, here {here.mean():.3f}"
        return self._part(f"from {first} on", r2, here, f"R2({first}) - R2(here)", note)

    def _sizes(self, means: NDArray[Any], cells: _Cells) -> Part:
        """What the mean over a period tells of the power of each partial, for codes that rectify."""
        drawn = np.square(np.abs(self.group.dense["flat"].drawn)).reshape(len(means), -1)
        features = means[:, :, 0].real.astype(np.complex128)
        read = Components.of(features - features.mean(axis=0)).r2((drawn - drawn.mean(axis=0)).astype(np.complex128))
        return self._part(
            "sizes from the mean",
            cells.full_linear,
            read.reshape(cells.as_is.shape),
            "R2(full-rate linear) - R2(powers from the mean)",
            "a code that rectifies holds sizes in its mean, no more of them than channels",
        )

    def _intermodulation(self, heard: NDArray[Any]) -> Effect | None:
        power = np.square(np.abs(heard)).sum(axis=1) * np.array([0.5, *[1.0] * (FRAMES // 2 - 1), 0.5])
        total = power.sum(axis=1)
        if not (total > 0).all():
            return None
        own = np.array([row[[0, *lines]].sum() for row, (_, lines) in zip(power, self.pairs, strict=True)])
        share = 1.0 - own / total
        return jackknife(
            lambda kept: float(share[kept].mean()), len(share), name="intermodulation", unit="share of power"
        )

    def _null(self, components: Components, cells: _Cells, rng: np.random.Generator) -> Null:
        """One class stands for all: a reader that is told of other sounds than it hears."""
        flat, draws = self.group.dense["flat"], DRAWS[self.effort]
        full, observed = float(cells.full_linear[0].mean()), float((cells.full_linear - cells.as_is)[0].mean())
        few = flat.drawn[:, 0, :: max(1, flat.drawn.shape[2] // 8)]
        reached = sum(
            full - float(components.r2(few[rng.permutation(len(few))]).mean()) <= observed for _ in range(draws)
        )
        return Null(kind="amplitudes permuted among the sounds", draws=draws, p=(1 + reached) / (1 + draws))

    def _sounds(self) -> tuple[tuple[str, Stimulus], ...]:
        pair = self.pairs[0][0]
        flat = self.group.dense["flat"].stimuli[0]
        return ((f"a dense sound: {flat.label}", flat), (f"two tones: {pair.label}", pair))


def _cost(cells: _Cells, of: NDArray[np.float64], name: str) -> Effect:
    """R2 of a twin less R2 as is, with classes and blocks of sounds as crossed factors."""
    twin = of.mean(axis=1)

    def statistic(kept: NDArray[np.bool_]) -> float:
        return float(np.nanmean(twin - cells.blocks.r2(kept)))

    return jackknife_two_way(statistic, (len(twin), BLOCKS), name=name, unit="R2")


def _difference(more: NDArray[np.float64], less: NDArray[np.float64], name: str) -> Effect:
    """Mean difference, the class as cluster."""
    by_class = (more - less).mean(axis=1)
    return jackknife(lambda kept: float(by_class[kept].mean()), len(by_class), name=name, unit="R2")


def _pairs(group: Group, rng: np.random.Generator) -> tuple[tuple[Stimulus, tuple[int, int]], ...]:
    """Two tones of different classes, equally loud: the sound, and its alias lines."""
    classes, made = group.classes, []
    for _ in range(PAIRS):
        first, second = rng.choice(len(classes.lines), 2, replace=False)
        harmonics = tuple(int(rng.choice(classes.harmonics[index])) for index in (first, second))
        spectrum = LineSpectrum(classes.fundamental_hz, harmonics, (alias_lines.DENSE_RMS,) * 2)
        label = " and ".join(f"{each * classes.fundamental_hz:.1f} Hz" for each in harmonics)
        source = Multisine(spectrum, int(rng.integers(2**31)), sized=False)
        made.append((Stimulus((source,), group.seconds, label=label), (classes.lines[first], classes.lines[second])))
    return tuple(made)


def _by_frequency(hz: NDArray[np.float64], cells: _Cells) -> list[dict[str, float]]:
    """Mean R2 in bands of equally many partials, for a picture."""
    order = np.argsort(hz, axis=None)
    bands = []
    for band in np.array_split(order, 24):
        bands.append(
            {
                "hz": float(np.exp(np.log(hz.ravel()[band]).mean())),
                "full_rate_linear": float(cells.full_linear.ravel()[band].mean()),
                "linear": float(cells.linear.ravel()[band].mean()),
                "as_is": float(cells.as_is.ravel()[band].mean()),
            }
        )
    return bands


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
