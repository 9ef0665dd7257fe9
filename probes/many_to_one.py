"""Do distinct waveforms share a code?

Source: Post 0, section 0.2: "because the encoder is compressive, distinct waveform segments can also map to similar
embeddings". In words: for a stretch of sound, look for another that is a different waveform altogether and leaves the
code where it was. One such sound for every stretch is enough; that none turned up proves nothing by itself.

Stimuli   notes and pairs of notes; for each of them other waveforms, d_w = |x - x'| / sqrt(|x|^2 + |x'|^2) > .9:
          disguises   what some encoder is blind to: other start phases, polarity, time reversal, shifts, aliases,
                      level, noise of the same level (`waveshapes.disguises`), the whole clip through
          nearest     if the encoder is linear: the sound that moves the code least among *all* that differ inside a
                      stretch of some 50 ms and are far enough in waveform (`search.nearest_codes`); where that is too
                      much to try, among changes along some hundred random directions
          metamers    if the encoder offers a gradient: from another sound downhill on the distance between codes,
                      within a stretch of at most eight hops in unchanged surroundings (`search.metamers`)
Formula   theta = 1 - |E(x') - E(x)| / median |E(x'') - E(x)| over unrelated sounds x'', for the best x' of each x, over
          the frames that stand for the stretch, and a few before and after it that hear it as well. Every x' is played
          to the encoder; nothing is taken from a model of it. 1: the same code; 0: as unlike as any other sound.
Meaning   supported, above .9: for each sound there is another waveform whose code is ten times nearer than that of
          unrelated sounds. refuted, below .7: no other waveform comes within three tenths, *and there is an argument
          that none can*: the encoder was found to be linear (its answers to sums are sums, to within `LINEAR`), so that
          the nearest code of all is known; or at least two searches from different starts came to a stop
          (`SETTLED`) with what they had; or the waveform itself, noise included, can be read back from a frame by a
          linear reader to within `READABLE`, so that codes of distinct waveforms are as far apart as its gain says.
          Without such an argument the upper end of the interval is 1: a search that fails leaves the question open, and
          the verdict is inconclusive.
Interval  jackknife over sounds, on the logarithm of what is left of the distance: thetas of a dozen sounds crowd
          below 1 with a few stragglers, and on their own scale an interval would pass .9 too often. The upper end is 1
          where a better sound may exist.
Null      disguises exchanged between sounds: how near chance comes.
Traps     Null directions about silence are not null on top of a chord: everything is done at the sounds themselves. A
          stretch in free surroundings could hide differences beyond its edges: surroundings stay as they are. What has
          fewer values than samples must have null directions (`values_per_sample` in the figures), what has more need
          not. Near a threshold d_w of .9 a softer copy is the nearest waveform, not another sound.
Sources   Feather et al. 2019, Metamers of neural networks, NeurIPS; Feather et al. 2023, Nature Neuroscience 26.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtone.models.protocol import CODES
from testtone.stimuli import waveshapes

from .hearing import Ear, Listen, Probe
from .likeness import distance
from .readouts import Frames
from .records import Effect, Measurement, Null, Part, Threshold
from .search import differentiable, impulse_matrix, metamers, nearest_codes
from .statistics import jackknife, permutation

VERSION = 3
SIZES = {"quick": 12, "standard": 20, "thorough": 24}
DRAWS = {"quick": 199, "standard": 999, "thorough": 1999}
AUDIO_SECONDS = {"quick": 210.0, "standard": 550.0, "thorough": 12_000.0}
"""Sound that a search downhill may play, in seconds; fewer than `LEAST_EVALUATIONS` are not begun."""
LEAST_EVALUATIONS, MOST_EVALUATIONS = 40, 600
STARTS = {"quick": 1, "standard": 1, "thorough": 2}

DISTINCT = 0.9
AIM = 0.93
"""What searches keep away from the sound: a little more than counts as distinct."""

STRETCH_SECONDS, FEWEST_HOPS, MOST_HOPS = 0.1, 2, 8
LEAD, TAIL = 2, 3
"""Frames before and after a stretch that are compared as well."""

CONTEXT = 6
"""Frames of a clip before and after those compared, while searching downhill; what is found is then heard in full."""

LINEAR_SAMPLES, MOST_PLACES = 1280, 1024
"""Longest stretch in samples in which the nearest code of a linear encoder is looked for, and longest hop."""
DIRECTIONS = {"quick": 256, "standard": 512, "thorough": 2048}
"""Directions of change that are tried where a stretch has more samples, or one frame hears all of it; something better
may then exist."""
BLOCK = 128

READABLE, RIDGE, MOST_READ = 0.25, 1e-6, 512
"""Largest relative error of a waveform that counts as read back; the reader's penalty; clips it may learn from."""

LINEAR = 1e-3
"""Share of a code by which the answer to a sum may differ from the sum of answers."""

SETTLED = 0.005
"""A search whose theta grew by less over its last third has come to a stop."""

LEFT_OVER = 1e-6
"""Distances of less, re unrelated sounds, count as this where their logarithm is taken."""

UNRELATED = 3
HEARD = 1e-6

THRESHOLD = Threshold(0.9, 0.7)

Floats = NDArray[np.float64]


def many_to_one(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Look for other waveforms with the same code at each site; see the module."""
    places = {site: _place(ear, site) for site in ear.sites}
    seconds = max(ear.seconds(place.frames, sites=(site,)) for site, place in places.items())
    design = waveshapes.disguises(
        rng,
        sounds=SIZES[effort],
        seconds=seconds,
        sample_rate=ear.sample_rate,
        frame_rate=min(ear.frame_rates[site] for site in ear.sites),
    )
    answers = yield [Listen(design.flat, Frames(place.frames), (site,)) for site, place in places.items()]
    waves = np.stack([each.render(ear.sample_rate) for each in design.flat]).astype(np.float64)
    search = _Search(ear, places, waves[: len(design.base)], effort, rng)
    found = {}
    for site, answer in zip(places, answers, strict=True):
        heard = answer[site].reshape(len(waves), -1).astype(np.float64)
        table = _Disguised(design, waves[:, places[site].samples], heard)
        if not table.answers:
            found[site] = _silent(site, design)
            continue
        found[site] = _measure(site, design, table, search, effort, rng)
    return found


@dataclass(frozen=True)
class _Place:
    """Where in a clip a site is looked at: a stretch of samples, and the frames compared for it."""

    first: int
    """The first frame compared."""
    frames: int
    start: int
    stop: int
    hop: float
    lead: int

    @property
    def samples(self) -> slice:
        """The stretch."""
        return slice(self.start, self.stop)

    def shorter(self, hops: int) -> _Place:
        """The same with a stretch of fewer hops."""
        own = round((self.stop - self.start) / self.hop)
        return replace(self, frames=self.frames - own + hops, stop=self.start + round(hops * self.hop))


def _place(ear: Ear, site: str) -> _Place:
    hop = ear.sample_rate / ear.frame_rates[site]
    left, _ = ear.free(site)
    if site in ear.shifted:
        # One frame hears the whole window: that is the stretch.
        start = round(left * hop)
        return _Place(left, 1, start, start + round(ear.least_seconds * ear.sample_rate), hop, 0)
    start = round((left + LEAD) * hop)
    hops = int(np.clip(np.ceil(STRETCH_SECONDS * ear.frame_rates[site]), FEWEST_HOPS, MOST_HOPS))
    return _Place(left, LEAD + hops + TAIL, start, start + round(hops * hop), hop, LEAD)


class _Disguised:
    """Sounds and their disguises: how far apart in waveform and in code."""

    def __init__(self, design: waveshapes.Disguises, waves: Floats, codes: Floats) -> None:
        count, kinds = len(design.base), len(design.kinds)
        base, others = codes[:count], codes[count:].reshape(count, kinds, -1)
        plain, disguised = waves[:count], waves[count:].reshape(count, kinds, -1)
        between = np.linalg.norm(base[:, None] - base[None], axis=-1)
        self.sizes = np.array([np.median(np.delete(row, own)) for own, row in enumerate(between)])
        self.answers = bool((self.sizes > HEARD * np.linalg.norm(base, axis=1)).all() and (self.sizes > 0).all())
        sizes = np.where(self.sizes > 0, self.sizes, 1.0)
        # Sound i, the disguise of kind k of sound j: what a permuted design would have compared.
        apart = np.stack([np.linalg.norm(others - own, axis=-1) for own in base])
        distinct = np.stack([distance(disguised, own) > DISTINCT for own in plain])
        self.table = np.where(distinct, 1.0 - apart / sizes[:, None, None], -np.inf)
        self.kinds = design.kinds

    def best(self, order: NDArray[np.intp] | None = None) -> Floats:
        """Theta of the best disguise of each sound; with ``order``, of the disguises of other sounds."""
        own = np.arange(len(self.table))
        return np.asarray(self.table[own, own if order is None else order].max(axis=1))

    def of_kind(self, kind: str) -> Floats:
        """Theta of the best disguise of one kind; nan where none of it is a distinct waveform."""
        own = np.arange(len(self.table))
        chosen = [index for index, each in enumerate(self.kinds) if each == kind]
        best = self.table[own, own][:, chosen].max(axis=1)
        return np.where(np.isfinite(best), best, np.nan)


@dataclass(frozen=True)
class _Result:
    """What a search came to: theta of each sound, whether nothing better can exist, and how it went."""

    name: str
    theta: Floats
    closed: bool
    note: str


class _Search:
    """Looks for sounds beyond the disguises; what is found for one site is tried at all."""

    def __init__(
        self, ear: Ear, places: dict[str, _Place], base: Floats, effort: str, rng: np.random.Generator
    ) -> None:
        self._ear, self._places, self._base, self._effort, self._rng = ear, places, base, effort, rng
        self._found: list[tuple[str, slice, Floats, int, bool]] = []
        """(Site, stretch, sounds inside it, evaluations, settled) of the searches downhill so far."""
        self._base_codes: dict[str, Floats] | None = None

    def results(self, site: str, best: Floats) -> list[_Result]:
        """What searches come to at a site where the disguises came to ``best``."""
        if self._ear.respond is None or site == CODES:
            return []
        nearest = self._nearest(site)
        if nearest is not None:
            return [nearest]
        if self._ear.differentiate is None or _certain(best):
            return []
        results = self._tried(site)
        if not any(_certain(each.theta) for each in results) and self._descend(site):
            results = self._tried(site)
        if results:
            top = max(results, key=lambda each: float(each.theta.mean()))
            starts = sum(each.closed for each in results)
            # One search that came to a stop may have met a hill of its own.
            return [replace(top, closed=starts >= 2 and starts == len(results))]
        return []

    def values_per_sample(self, site: str) -> float | None:
        """Values of the code per sample of sound: below 1 some waveforms must share one, above 1 none need to."""
        if self._ear.respond is None or site == CODES:
            return None
        channels = self._respond(self._base[:1], site).shape[1]
        return float(channels * self._ear.frame_rates[site] / self._ear.sample_rate)

    # Linear encoders: the least of all.

    def _nearest(self, site: str) -> _Result | None:
        if not self._linear(site):
            return None
        place = self._places[site]
        hop = round(place.hop)
        everywhere = site not in self._ear.shifted and abs(hop - place.hop) < 1e-9 and hop <= MOST_PLACES
        if everywhere:
            hops = round((place.stop - place.start) / hop)
            place = place.shorter(max(1, min(hops, LINEAR_SAMPLES // hop)))
            matrix, directions = self._impulses(site, place, hop), None
        else:
            matrix, directions = self._along(site, place)
        inside = self._base[:, place.samples]
        if directions is None:
            changes = nearest_codes(matrix, inside, least=AIM)
        else:
            energies = np.square(inside).sum(axis=1)
            changes = nearest_codes(matrix, inside @ directions.T, least=AIM, energies=energies) @ directions
        trial = self._spliced(place, np.clip(inside + changes, -1.0, 1.0))
        others = [self._spliced(place, np.roll(inside, by, axis=0)) for by in range(1, 1 + UNRELATED)]
        own, new, *heard = np.split(
            self._codes(site, place, np.concatenate([self._base, trial, *others])), 2 + UNRELATED
        )
        moved = np.array([np.linalg.norm(other - own, axis=1) for other in heard])
        if directions is None:
            predicted = np.linalg.norm((np.roll(inside, 1, axis=0) - inside) @ matrix.T, axis=1)
            if not np.allclose(moved[0], predicted, rtol=0.02, atol=1e-3 * float(moved.max())):
                return None
        sizes = np.median(moved, axis=0)
        if not (sizes > 0).all():
            return None
        theta = 1.0 - np.linalg.norm(new - own, axis=1) / sizes
        far = distance(trial[:, place.samples], inside) > DISTINCT
        return _Result(
            "nearest code of a linear encoder",
            np.where(far, theta, -np.inf),
            closed=bool(directions is None and far.all()),
            note="answers to sums are sums of answers; least over "
            + (f"all {inside.shape[1]} samples" if directions is None else f"{len(directions)} directions")
            + " of a stretch",
        )

    def _impulses(self, site: str, place: _Place, hop: int) -> Floats:
        """What each sample of a stretch adds to the code, 'values samples'."""
        impulses = np.zeros((hop, self._base.shape[1]))
        impulses[np.arange(hop), place.start + np.arange(hop)] = 0.5
        answers = 2.0 * self._respond(impulses, site)
        hops = round((place.stop - place.start) / hop)
        return impulse_matrix(answers, hops=hops, frames=place.frames, first=place.first)

    def _along(self, site: str, place: _Place) -> tuple[Floats, Floats]:
        """What orthonormal random changes of a stretch add to the code, 'values directions', and the changes."""
        samples = place.stop - place.start
        count = min(DIRECTIONS[self._effort], samples)
        directions = np.linalg.qr(self._rng.standard_normal((samples, count)))[0].T
        loud = float(np.sqrt(np.square(self._base).mean() * samples))
        waves = np.zeros((count, self._base.shape[1]))
        waves[:, place.samples] = loud * directions
        codes = np.concatenate(
            [self._codes(site, place, waves[start : start + BLOCK]) for start in range(0, count, BLOCK)]
        )
        return codes.T / loud, directions

    def _linear(self, site: str) -> bool:
        first, second = self._base, np.roll(self._base, 1, axis=0)
        heard = self._respond(np.concatenate([first, second, first + second, 0.3 * first - second]), site)
        one, two, both, mixed = np.split(heard, 4)
        size = np.linalg.norm(one + two)
        off = np.linalg.norm(both - one - two) + np.linalg.norm(mixed - 0.3 * one + two)
        return bool(size > 0 and off < LINEAR * size)

    # Codes that a waveform can be read back from: nothing else is near.

    def ceiling(self, site: str, sizes: Floats) -> Floats | None:
        """What theta can be at most for each sound, if its waveform can be read back from the code; None if it cannot.

        A linear reader, one frame to one hop, learns from noise. Where it reads other noise and the sounds themselves
        with a relative error of e, codes of waveforms that differ by d differ by at least (d - 2 e) / gain, gain the
        largest singular value of the reader.
        """
        place, ear = self._places[site], self._ear
        hop = round(place.hop)
        if ear.respond is None or site in ear.shifted or abs(hop - place.hop) > 1e-9 or hop > MOST_PLACES:
            return None
        frames = slice(place.first, place.first + place.frames)
        own = self._respond(self._base, site)[:, :, frames]
        channels = own.shape[1]
        clips = 2 * -(-channels // place.frames) + 8
        if channels < hop or clips > MOST_READ:
            return None
        level = np.sqrt(np.square(self._base).mean())
        noise = level * self._rng.standard_normal((clips, self._base.shape[1]))
        codes = np.concatenate(
            [self._respond(noise[at : at + BLOCK], site)[:, :, frames] for at in range(0, clips, BLOCK)]
        )
        samples = slice(frames.start * hop, frames.stop * hop)

        def rows(values: Floats, waves: Floats) -> tuple[Floats, Floats]:
            return values.swapaxes(1, 2).reshape(-1, channels), waves[:, samples].reshape(-1, hop)

        features, hops = rows(codes[8:], noise[8:])
        gram = features.T @ features
        ridge = RIDGE * np.trace(gram) / channels
        reader = np.linalg.solve(gram + ridge * np.eye(channels), features.T @ hops)
        errors = [
            float(np.linalg.norm(values @ reader - wanted) / np.linalg.norm(wanted))
            for values, wanted in (
                rows(codes[:8], noise[:8]),
                *(rows(own[[index]], self._base[[index]]) for index in range(len(own))),
            )
        ]
        if max(errors) > READABLE:
            return None
        gain = float(np.linalg.norm(reader, 2))
        energy = np.linalg.norm(self._base[:, place.samples], axis=1)
        return 1.0 - (DISTINCT - 1.2 * max(errors)) * energy / (gain * sizes)

    # Encoders with a gradient: downhill.

    def _descend(self, site: str) -> bool:
        """Search at a site; false where it offers no gradient, or a search costs more than the effort allows."""
        import torch

        place, ear = self._places[site], self._ear
        assert ear.differentiate is not None
        # Edges that a frame hears faintly move both codes alike; the sounds found are heard in a whole clip.
        left, right = (min(each, CONTEXT) for each in ear.free(site, ramp_seconds=0.0))
        spare = place.first - left
        cut = slice(round(spare * place.hop), round((place.first + place.frames + right) * place.hop))
        base = self._base[:, cut]
        stretch = slice(place.start - cut.start, place.stop - cut.start)
        frames = slice(left, left + place.frames)
        heard = base.size / ear.sample_rate
        evaluations = min(MOST_EVALUATIONS, int(AUDIO_SECONDS[self._effort] / heard / STARTS[self._effort]))
        if evaluations < LEAST_EVALUATIONS or site not in ear.differentiate(torch.zeros(1, base.shape[1])):
            return False

        def encode(waves: Any) -> Any:
            assert ear.differentiate is not None
            return ear.differentiate(waves)[site][..., frames].flatten(1)

        def codes(waves: Floats) -> Floats:
            with torch.no_grad():
                return np.asarray(encode(torch.as_tensor(waves, dtype=torch.float32)).cpu().numpy(), np.float64)

        own = codes(base)
        unrelated = []
        for by in range(1, 1 + UNRELATED):
            other = base.copy()
            other[:, stretch] = np.roll(base, by, axis=0)[:, stretch]
            unrelated.append(np.linalg.norm(codes(other) - own, axis=1))
        sizes = np.median(unrelated, axis=0)
        if not (sizes > 0).all():
            return False
        objective = differentiable(encode, own, sizes, base, stretch, AIM)
        earlier = [sounds for _, where, sounds, _, _ in self._found if where == place.samples]
        for number in range(STARTS[self._effort]):
            # What was found for an earlier site is half way there.
            start = earlier[number] if number < len(earlier) else np.roll(base, 1 + number, axis=0)[:, stretch]
            if number and not earlier:
                start = start + np.sqrt(np.square(base).mean()) * self._rng.standard_normal(start.shape)
            sounds, path = metamers(objective, np.clip(start, -1.0, 1.0), evaluations=evaluations)
            settled = path[2 * len(path) // 3] - path[-1] < SETTLED
            self._found.append((site, place.samples, sounds, evaluations, settled))
        return True

    def _tried(self, site: str) -> list[_Result]:
        """What the sounds found so far, for whichever site, come to at this one."""
        results = []
        for where, stretch, sounds, evaluations, settled in self._found:
            place = replace(self._places[site], start=stretch.start, stop=stretch.stop)
            if not self._covers(site, place):
                continue
            inside = self._base[:, stretch]
            trials = [self._spliced(place, sounds)] + [
                self._spliced(place, np.roll(inside, by, axis=0)) for by in range(1, 1 + UNRELATED)
            ]
            heard = self._codes(site, place, np.concatenate([self._base, *trials]))
            own, new, *others = np.split(heard, 2 + UNRELATED)
            sizes = np.median([np.linalg.norm(other - own, axis=1) for other in others], axis=0)
            far = distance(sounds, inside) > DISTINCT
            theta = np.where(sizes > 0, 1.0 - np.linalg.norm(new - own, axis=1) / np.maximum(sizes, 1e-300), -np.inf)
            results.append(
                _Result(
                    "metamers",
                    np.where(far, theta, -np.inf),
                    closed=settled and where == site,
                    note=f"found at {where}, {evaluations} steps, {'settled' if settled else 'still falling'}",
                )
            )
        return results

    def _covers(self, site: str, place: _Place) -> bool:
        """Whether the frames that hear a stretch lie inside the clip and are free of its edges."""
        first = place.start / place.hop - place.lead
        return first >= self._ear.free(site, ramp_seconds=0.0)[0] - 1e-9

    def _codes(self, site: str, place: _Place, waves: Floats) -> Floats:
        first = int(np.floor(place.start / place.hop + 1e-9)) - place.lead
        count = int(np.ceil((place.stop - place.start) / place.hop - 1e-9)) + place.lead + (TAIL if place.lead else 0)
        heard = self._respond(waves, site)[:, :, first : first + max(1, count)]
        return heard.reshape(len(waves), -1)

    def _spliced(self, place: _Place, inside: Floats) -> Floats:
        mixed = self._base.copy()
        mixed[:, place.samples] = inside
        return mixed

    def _respond(self, waves: Floats, site: str) -> Floats:
        assert self._ear.respond is not None
        return self._ear.respond(waves)[site]


def _certain(theta: Floats) -> bool:
    """Whether the first threshold is cleared already: no further search is needed."""
    effect = _mean("", theta)
    return effect is not None and effect.low > THRESHOLD.supported_above


def _measure(
    site: str,
    design: waveshapes.Disguises,
    table: _Disguised,
    search: _Search,
    effort: str,
    rng: np.random.Generator,
) -> Measurement:
    disguised = table.best()
    results = search.results(site, disguised)
    theta = np.max([disguised, *(each.theta for each in results)], axis=0)
    closed = any(each.closed for each in results)
    effect = _mean("1 - distance of codes, re unrelated sounds", theta)
    ceiling = None if closed or _certain(theta) else search.ceiling(site, table.sizes)
    if effect is not None:
        most = 1.0 if ceiling is None else max(effect.high, _mean_high(ceiling))
        effect = replace(effect, high=min(effect.high if closed else most, 1.0))
    parts = [
        Part(name=f"disguise: {kind}", effect=_mean(kind, table.of_kind(kind)), threshold=THRESHOLD)
        for kind in dict.fromkeys(table.kinds)
    ]
    parts += [
        Part(name=f"search: {each.name}", effect=_mean(each.name, each.theta), threshold=THRESHOLD, note=each.note)
        for each in results
    ]
    if ceiling is not None:
        note = "theta at most: the waveform can be read back from the code"
        parts.append(Part(name="ceiling", effect=_mean("ceiling", ceiling), threshold=THRESHOLD, note=note))
    p = permutation(
        float(np.maximum(disguised, -1.0).mean()),
        lambda draw: float(np.maximum(table.best(draw.permutation(len(theta))), -1.0).mean()),
        rng=rng,
        draws=DRAWS[effort],
    )
    return Measurement(
        site=site,
        probe="many_to_one",
        version=VERSION,
        effect=effect,
        reason=None if effect is not None else "no waveform that was played is far enough from the sounds",
        parts=tuple(parts),
        null=Null(kind="disguises exchanged between sounds", draws=DRAWS[effort], p=p),
        sounds=_sounds(design),
        figures={
            "theta": [float(each) for each in theta if np.isfinite(each)],
            "nothing_better_exists": closed or ceiling is not None,
            "values_per_sample": search.values_per_sample(site),
        },
    )


def _silent(site: str, design: waveshapes.Disguises) -> Measurement:
    return Measurement(
        site=site,
        probe="many_to_one",
        version=VERSION,
        effect=None,
        reason="unrelated sounds already share a code: there is nothing to compare with",
        sounds=_sounds(design),
    )


def _mean(name: str, theta: Floats) -> Effect | None:
    """Mean theta over sounds; None where fewer than twelve have one."""
    theta = theta[np.isfinite(theta)]
    if len(theta) < 12:
        return None
    return jackknife(
        lambda kept: float(theta[kept].mean()),
        len(theta),
        name=name,
        unit="share of distance",
        transform=(_to_left_over, _from_left_over),
    )


def _to_left_over(theta: float) -> float:
    return float(-np.log(max(1.0 - theta, LEFT_OVER)))


def _from_left_over(scaled: float) -> float:
    return float(1.0 - np.exp(-scaled))


def _mean_high(theta: Floats) -> float:
    effect = _mean("", theta)
    return 1.0 if effect is None else effect.high


def _sounds(design: waveshapes.Disguises) -> tuple:
    """A sound, itself with other phases, and its alias."""
    chosen = [design.base[0], design.others[0][0], design.others[0][design.kinds.index("alias")]]
    return tuple((each.label, each) for each in chosen)
