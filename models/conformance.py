"""Does an encoder keep the contract? `check` asks it, and answers in words.

    report = check(encoder)          # or a spec, as after --encoder
    print(report)
    report.raise_for_faults()

Each finding is `ok`, a `note` (what testtone will do about it, or what a claim may stumble over), or a `fault` (a
promise that is broken: verdicts about such an encoder would mean nothing). A check whose ground another check took away
is not made, and says so: where the answer depends on the rest of the batch, nothing can be said of margins.

=================  ===================================================================================================
`contract`         a name, a sample rate, `listen`
`answer`           sites that are known, of the right shape and kind, finite
`lengths`          channels that stay and frames that grow with the clip; or the one length that is taken
`silence`          a finite answer to nothing
`extremes`         a finite answer to full scale, to a constant, to an impulse and to hardly anything
`input`            the waveforms are left as they were
`determinism`      the same clip gives the same answer to the bit, whatever was heard in between
`batch`            a clip answers the same alone and in company, in any place
`level`            louder is not the same
`frame rates`      those declared are those counted, and strides multiply to a hop
`margins`          those declared are as long as those measured
`codes`            not negative, not all one; `dequantise` gives `quantised`, and takes a prefix
`attributes`       what is offered beyond the contract is what it should be
`some sites`       `listen_at` gives, site by site, what `listen` gives, to the bit
`gradient`         `listen_with_gradient` gives what `listen` gives, and can be differentiated
=================  ===================================================================================================
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from .listening import LONGEST_SECONDS, SETTLED, EncoderFault, Listener, Margin, one_line
from .protocol import CODES, OPTIONAL_ATTRIBUTES, SITES, Encoder
from .specs import EncoderSpecError, resolve

ROUNDING = 1e-3
"""Share of a frame's size below which a difference is rounding; half precision and TF32 reach a few ten-thousandths."""

TIPPED = 0.25
"""Share of codes that rounding may tip: a tenth where latents are small beside their offset (untrained EnCodec)."""

PLAIN = 1e-2
"""Share of a frame's size by which an edge moves it plainly; from here down to `SETTLED` it is worth a note."""

LEVEL_DB = -20.0
SHORT_SECONDS = 0.25
RMS = 0.1
WIDTH = 110
"""Columns of a printed report."""

Outcome = Literal["ok", "note", "fault"]


@dataclass(frozen=True)
class Finding:
    """What one check found, in one line."""

    check: str
    outcome: Outcome
    text: str


@dataclass(frozen=True)
class Report:
    """What `check` found; `str` of it is for a terminal."""

    encoder: str
    """Its spec, or its name."""
    findings: tuple[Finding, ...]

    @property
    def faults(self) -> tuple[Finding, ...]:
        """Broken promises."""
        return tuple(finding for finding in self.findings if finding.outcome == "fault")

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What is worth knowing and breaks no promise."""
        return tuple(finding for finding in self.findings if finding.outcome == "note")

    @property
    def ok(self) -> bool:
        """Whether the contract is kept."""
        return not self.faults

    def raise_for_faults(self) -> None:
        """Raise :class:`~testtone.models.listening.EncoderFault`, one line with all faults, if there are any."""
        if not self.ok:
            faults = "; ".join(f"{fault.check}: {fault.text}" for fault in self.faults)
            raise EncoderFault(f"{self.encoder}: {faults}")

    def __str__(self) -> str:
        """A heading, then one finding a line."""
        many = f"{len(self.faults)} fault" + ("s" if len(self.faults) > 1 else "")
        lines = [f"{self.encoder}: " + ("keeps the contract" if self.ok else many)]
        for finding in self.findings:
            said = finding.outcome.upper() if finding.outcome == "fault" else finding.outcome
            lines += textwrap.wrap(
                finding.text, WIDTH, initial_indent=f"  {said:6}{finding.check:13}", subsequent_indent=" " * 21
            )
        return "\n".join(lines)


def check(encoder: Encoder | str) -> Report:
    """Return what there is to say of an encoder, or of the encoder that a spec names; no broken encoder makes it raise.

    It plays noise, silence and a few extremes, some one or two minutes of sound in all.
    """
    try:
        found: Any = resolve(encoder) if isinstance(encoder, str) else encoder
    except EncoderSpecError as error:
        return Report(str(encoder), (Finding("contract", "fault", str(error)),))
    name = encoder if isinstance(encoder, str) else getattr(found, "name", None)
    said = name if isinstance(name, str) and name else type(found).__name__
    return Report(said, tuple(_findings(found, said)))


@dataclass(frozen=True)
class _Check:
    """A check, and those that must have come out well before it makes sense."""

    name: str
    make: Callable[[_Examination], Iterator[tuple[Outcome, str]]]
    after: tuple[str, ...] = ()


def _findings(encoder: Any, spec: str) -> Iterator[Finding]:
    examination = _Examination(encoder, spec)
    faulty: set[str] = set()
    for each in _CHECKS:
        if missing := [name for name in each.after if name in faulty]:
            # Without an answer there is nothing more to say.
            if each.name == "answer":
                faulty.add(each.name)
            elif "answer" not in missing:
                yield Finding(each.name, "note", f"not checked: {' and '.join(missing)} must be right first")
            continue
        for outcome, text in _made(each, examination, spec):
            if outcome == "fault":
                faulty.add(each.name)
            yield Finding(each.name, outcome, text)


def _made(each: _Check, examination: _Examination, spec: str) -> Iterator[tuple[Outcome, str]]:
    try:
        yield from each.make(examination)
    except EncoderFault as fault:
        yield "fault", str(fault).removeprefix(f"{spec}: ")
    except Exception as error:
        # Attributes of a stranger's object may raise whatever they like.
        yield "fault", f"the encoder raised {type(error).__name__}: {one_line(error)}"


class _Examination:
    """One encoder, and what was heard of it so far."""

    def __init__(self, encoder: Any, spec: str) -> None:
        self.encoder, self.spec = encoder, spec
        self.listener = Listener(encoder, spec=spec)

    @property
    def fixed(self) -> int | None:
        """The one length of clips, in samples, if there is one."""
        return self.listener.window_samples

    @cached_property
    def samples(self) -> int:
        """Length of an ordinary clip: a second, or the first of 2, 4 ... seconds that is heard; or the one length."""
        if self.fixed is not None:
            return self.fixed
        first: EncoderFault | None = None
        seconds = 1
        while seconds <= LONGEST_SECONDS:
            try:
                self.fresh().ask(self.noise(seconds * self.listener.sample_rate))
            except EncoderFault as fault:
                first = first or fault
                seconds *= 2
            else:
                return seconds * self.listener.sample_rate
        assert first is not None
        raise first

    def fresh(self) -> Listener:
        """A listener that remembers nothing of channels and sites."""
        return Listener(self.encoder, spec=self.spec)

    def noise(self, samples: int | None = None, *, seed: int = 0) -> NDArray[np.float32]:
        """Noise at RMS .1, 'one samples'."""
        count = self.samples if samples is None else samples
        return (RMS * np.random.default_rng(seed).standard_normal((1, count))).astype(np.float32)

    @cached_property
    def heard(self) -> Mapping[str, NDArray[Any]]:
        """The answer to `noise`."""
        return self.listener.ask(self.noise())

    @cached_property
    def rest(self) -> Mapping[str, NDArray[Any]]:
        """The answer to silence."""
        return self.listener.ask(np.zeros((1, self.samples), np.float32))

    def size(self, site: str) -> float:
        """Root mean square of what `noise` changes at a real site."""
        change = self.heard[site].astype(np.float64) - self.rest[site]
        return float(np.sqrt(np.square(change).mean()))

    def moved(self, one: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]]) -> dict[str, float]:
        """Per site how far two answers to one clip are apart: worst frame in shares of its size; codes: share tipped.

        A code that tips moves its frame of `quantised` as far as entries are apart; the codes speak for both.
        """
        apart = {}
        for site, first in one.items():
            if site == "quantised" and CODES in one:
                continue
            second = other[site]
            if first.shape != second.shape:
                apart[site] = math.inf
            elif site == CODES:
                apart[site] = float((first != second).mean())
            else:
                first, second = first.astype(np.float64), second.astype(np.float64)
                size = np.sqrt(np.square(first - first.mean(axis=2, keepdims=True)).mean())
                size = size or np.sqrt(np.square(first).mean()) or 1.0
                apart[site] = float(np.sqrt(np.square(first - second).mean(axis=1)).max() / size)
        return apart


# --- the checks -----------------------------------------------------------------------------------------------------


def _contract(on: _Examination) -> Iterator[tuple[Outcome, str]]:
    if not callable(getattr(on.encoder, "listen", None)):
        hint = "; wrap a torch module: testtone.models.tap(module, ...)" if _is_module(on.encoder) else ""
        yield "fault", f"a {type(on.encoder).__name__} has no method listen(waveforms){hint}"
        return
    if not hasattr(on.encoder, "sample_rate"):
        yield "fault", "there is no attribute sample_rate (Hz)"
        return
    name = getattr(on.encoder, "name", None)
    if not isinstance(name, str) or not name:
        yield "fault", f"name={name!r} is not a word to call it by in reports"
        return
    yield "ok", f"{name}, {on.listener.sample_rate} Hz"


def _answer(on: _Examination) -> Iterator[tuple[Outcome, str]]:
    shapes = {site: on.heard[site].shape[1:] for site in (*SITES, CODES) if site in on.heard}
    said = ", ".join(
        f"{site} {channels} {'codebooks' if site == CODES else 'channels'} x {frames}"
        for site, (channels, frames) in shapes.items()
    )
    yield "ok", f"{said} frames for {on.samples / on.listener.sample_rate:.4g} s"
    extra = [str(site) for site in on.listener.unknown if site not in shapes]
    if extra:
        yield "note", f"{', '.join(extra)}: not a site, and left out; sites are {', '.join((*SITES, CODES))}"


def _lengths(on: _Examination) -> Iterator[tuple[Outcome, str]]:
    rate = on.listener.sample_rate
    if on.fixed is not None:
        shift = on.listener.shift_samples
        yield "ok", f"clips of {on.fixed} samples ({on.fixed / rate:.4g} s) alone; windows move on by {shift} samples"
        return
    # Odd lengths: a last hop that is not whole must not end in an error.
    lengths = (on.samples, on.samples + on.samples // 3 + 7, 2 * on.samples)
    shapes = [{site: v.shape for site, v in on.fresh().ask(on.noise(count)).items()} for count in lengths]
    faults = 0
    for site in shapes[0]:
        channels = [shape[site][1] if site in shape else 0 for shape in shapes]
        frames = [shape[site][2] if site in shape else 0 for shape in shapes]
        wrong = None
        if len(set(channels)) > 1 and len(set(frames)) == 1:
            wrong = (
                f"the axis of channels grows with the clip ({channels[0]} for {lengths[0]} samples, {channels[2]} for "
                f"{lengths[2]}) and that of frames stays {frames[0]}: swap them, 'batch channels frames'"
            )
        elif len(set(channels)) > 1:
            wrong = f"{channels[0]} channels for {lengths[0]} samples and {channels[2]} for {lengths[2]}"
        elif not frames[0] <= frames[1] <= frames[2] or frames[0] == frames[2]:
            wrong = (
                f"{frames[0]}, {frames[1]} and {frames[2]} frames for {lengths[0]}, {lengths[1]} and {lengths[2]} "
                "samples; frames grow with the clip"
                + (f" (if it takes clips of one length, set input_samples={lengths[0]})" if frames[0] == 1 else "")
            )
        if wrong is not None:
            faults += 1
            yield "fault", f"site {site!r}: {wrong}"
    if faults:
        return
    yield "ok", f"heard {', '.join(f'{count / rate:.4g}' for count in lengths)} s"
    if on.samples > rate:
        yield "note", f"clips of {on.samples / rate / 2:g} s are too short for it; it gets longer ones"
        return
    try:
        on.fresh().ask(on.noise(round(SHORT_SECONDS * rate)))
    except EncoderFault as fault:
        said = str(fault).removeprefix(f"{on.spec}: ")
        yield "note", f"a clip of {SHORT_SECONDS:g} s is too short for it ({said}); probes play .3 s and more"


def _silence(on: _Examination) -> Iterator[tuple[Outcome, str]]:
    sites = [site for site in on.rest if site != CODES]
    loud = {site: float(np.sqrt(np.square(on.rest[site].astype(np.float64)).mean())) for site in sites}
    if not any(loud.values()):
        yield "ok", "zero for silence"
        return
    yield "ok", "finite for silence"
    said = ", ".join(f"{site} {loud[site]:.2g} (noise moves it by {on.size(site):.2g})" for site in sites if loud[site])
    yield "note", f"the answer at rest is not zero, RMS {said}; probes subtract it"


_EXTREMES: Mapping[str, Callable[[int], NDArray[np.float64]]] = {
    "full scale noise": lambda n: np.random.default_rng(2).uniform(-1, 1, n),
    "a full scale square wave": lambda n: np.where(np.arange(n) % 50 < 25, 1.0, -1.0),
    "a constant 1": lambda n: np.ones(n),
    "an impulse": lambda n: np.where(np.arange(n) == n // 2, 1.0, 0.0),
    "noise at -100 dB": lambda n: 1e-5 * np.random.default_rng(3).standard_normal(n),
}


def _extremes(on: _Examination) -> Iterator[tuple[Outcome, str]]:
    faults = 0
    for name, make in _EXTREMES.items():
        try:
            on.listener.ask(make(on.samples).astype(np.float32)[None])
        except EncoderFault as fault:
            faults += 1
            yield "fault", f"for {name}: {str(fault).removeprefix(f'{on.spec}: ')}"
    if not faults:
        yield "ok", f"finite for {', '.join(_EXTREMES)}"


def _input(on: _Examination) -> Iterator[tuple[Outcome, str]]:
    given = torch.from_numpy(on.noise()).to(getattr(on.encoder, "device", None) or "cpu")
    before = given.clone()
    with torch.no_grad():
        on.encoder.listen(given)
    if torch.equal(given, before):
        yield "ok", "the waveforms are left as they were"
        return
    changed = int((given != before).sum())
    yield "fault", f"listen() wrote on its input ({changed} of {given.numel()} samples changed); work on a copy"


def _determinism(on: _Examination) -> Iterator[tuple[Outcome, str]]:
    on.listener.ask(on.noise(seed=1))
    again = on.listener.ask(on.noise())
    apart = on.moved(on.heard, again)
    if all(np.array_equal(on.heard[site], again[site]) for site in on.heard):
        yield "ok", "the same clip gives the same answer, to the bit"
    elif worst := _beyond_rounding(apart) or _of_codes_alone(on.heard, again, apart):
        yield (
            "fault",
            f"the same clip twice gives different answers at {worst}; dropout, noise or a state that is kept? "
            "(put modules in eval mode, draw from a fixed seed, reset the state)",
        )
    else:
        yield "note", f"the same clip twice differs in the last bits ({_listed(apart)}); numbers do not repeat exactly"


def _batch(on: _Examination) -> Iterator[tuple[Outcome, str]]:
    clip, loud, soft = on.noise(), 5 * on.noise(seed=4), 0.01 * on.noise(seed=5)
    first = on.listener.ask(np.concatenate([clip, loud, soft]))
    last = on.listener.ask(np.concatenate([soft, loud, clip]))
    apart: dict[str, float] = {}
    for answer, row in ((first, 0), (last, 2)):
        for site, share in on.moved(on.heard, {site: v[row : row + 1] for site, v in answer.items()}).items():
            apart[site] = max(share, apart.get(site, 0.0))
    if worst := _beyond_rounding(apart):
        yield (
            "fault",
            f"a clip answers otherwise among other clips than alone, at {worst}; statistics over the batch? "
            "(put modules in eval mode, and normalise each clip by itself)",
        )
        return
    most = max(share for site, share in apart.items() if site != CODES)
    yield "ok", f"a clip answers alike alone and in company, in any place (to {100 * most:.1g} % of a frame's size)"
    if apart.get(CODES):
        yield (
            "note",
            f"{100 * apart[CODES]:.2g} % of the codes tip with the company: rounding; testtone listens in "
            "batches of one shape",
        )


def _level(on: _Examination) -> Iterator[tuple[Outcome, str]]:
    gain = 10 ** (LEVEL_DB / 20)
    softer = on.listener.ask((gain * on.noise()).astype(np.float32))
    sites = [site for site in on.heard if site != CODES]
    deaf = [site for site in sites if on.size(site) <= ROUNDING * _rms(on.rest[site]) or not on.size(site)]
    same = [
        site
        for site in sites
        if site not in deaf and _rms(on.heard[site].astype(np.float64) - softer[site]) < PLAIN * on.size(site)
    ]
    normalises = getattr(on.encoder, "normalises", None)
    if deaf:
        yield "note", f"{', '.join(deaf)}: noise and silence are the same to it; no claim can be decided there"
    if same and not normalises:
        yield (
            "note",
            f"{', '.join(same)}: {LEVEL_DB:g} dB make no difference, so it normalises the level; claims about level "
            "mean nothing there, and sums of sounds interact by that alone",
        )
    elif normalises:
        yield "ok", f"it says that it normalises the level: {normalises}"
        if not same:
            yield "note", f"{LEVEL_DB:g} dB make a difference all the same"
    elif len(deaf) < len(sites):
        yield "ok", "the answer depends on the level"


def _rates(on: _Examination) -> Iterator[tuple[Outcome, str]]:
    rates = on.listener.frame_rates
    declared = getattr(on.encoder, "frame_rates", None) or {}
    faults = 0
    if on.fixed is None:
        for site in [site for site in rates if site in declared]:
            if on.listener.keeps_rate(site, rates[site]):
                continue
            counted = on.listener.counted_rate(site)
            faults += 1
            yield (
                "fault",
                f"frame_rates[{site!r}]={rates[site]:g} Hz, but frames come at {counted:.6g} Hz (a hop of "
                f"{on.listener.sample_rate / counted:.6g} samples)",
            )
    else:
        wide = [site for site in on.listener.shifted if site in declared]
        if wide:
            yield "note", f"frame_rates of {', '.join(wide)} have no say: one frame is kept of each window"
    for site in [str(site) for site in declared if site not in rates]:
        yield "note", f"frame_rates names {site!r}, which is no site it offers"
    if faults:
        return
    how = "" if on.fixed is None else " (one frame a window: " + (", ".join(on.listener.shifted) or "none") + ")"
    yield "ok", ", ".join(f"{site} {hz:.6g} Hz" for site, hz in rates.items()) + how
    strides = on.listener.strides
    hops = {round(on.listener.sample_rate / rate) for rate in rates.values()}
    if strides is not None and math.prod(strides) not in hops:
        text = (
            f"strides={strides} multiply to {math.prod(strides)}; hops are {', '.join(map(str, sorted(hops)))} samples"
        )
        yield ("note" if on.fixed is not None else "fault"), text


def _margins(on: _Examination) -> Iterator[tuple[Outcome, str]]:
    margins = on.listener.margins
    if on.fixed is not None:
        yield "ok", _edges(margins) + "; no window reaches beyond the clip"
        return
    declared = getattr(on.encoder, "margin_seconds", None) or {}
    plain, settled = on.listener.reach(PLAIN), on.listener.reach(SETTLED)
    faults = 0
    for site in [site for site in margins if site in declared and site != CODES]:
        # One code that tips may be the last trace of a sound long past; the latent says how long that is.
        if site == "quantised" and CODES in on.listener.sites:
            continue
        said = (margins[site].left, margins[site].right)
        rate = on.listener.frame_rates[site]
        for share, reach in ((PLAIN, plain[site]), (SETTLED, settled[site])):
            if reach[0] > said[0] or reach[1] > said[1]:
                faults += share == PLAIN
                yield (
                    "fault" if share == PLAIN else "note",
                    f"margin_seconds[{site!r}] is {said[0] / rate:.3g} s and {said[1] / rate:.3g} s, but frames as far "
                    f"as {reach[0] / rate:.3g} s from the start and {reach[1] / rate:.3g} s from the end move by more "
                    f"than {100 * share:g} % with what lies beyond",
                )
                break
    for site in [str(site) for site in declared if site not in margins]:
        yield "note", f"margin_seconds names {site!r}, which is no site it offers"
    if not faults:
        yield "ok", _edges(margins) + (f" (declared: {', '.join(map(str, declared))})" if declared else " (measured)")


def _codes(on: _Examination) -> Iterator[tuple[Outcome, str]]:
    if CODES not in on.heard:
        yield "ok", "none"
        return
    loud = on.listener.ask(5 * on.noise(seed=4))
    codes = np.concatenate([each[CODES][0] for each in (on.heard, on.rest, loud)], axis=1)
    least, most = int(codes.min()), int(codes.max())
    if least < 0:
        yield "fault", f"codes run from {least} to {most}; they count from 0"
        return
    yield "ok", f"{codes.shape[0]} codebooks, codes from {least} to {most}"
    idle = [str(book) for book, row in enumerate(codes) if (row == row[0]).all()]
    if idle:
        yield (
            "note",
            f"codebook {', '.join(idle)} gives one code to noise, louder noise and silence alike: never trained?",
        )
    dequantise = getattr(on.encoder, "dequantise", None)
    if dequantise is None:
        return
    books = on.heard[CODES].shape[1]
    try:
        whole = _array(dequantise(torch.from_numpy(on.heard[CODES])))
        prefixes = [_array(dequantise(torch.from_numpy(on.heard[CODES][:, :count]))) for count in range(1, books)]
    except Exception as error:
        yield (
            "fault",
            f"dequantise() raised {type(error).__name__}: {one_line(error)}; it takes the first few codebooks",
        )
        return
    quantised = on.heard.get("quantised")
    if quantised is None:
        yield "note", "dequantise() has no site 'quantised' to agree with"
        return
    if wrong := [each.shape for each in (whole, *prefixes) if each.shape != quantised.shape]:
        yield "fault", f"dequantise() gave shape {wrong[0]}; 'quantised' has {quantised.shape}"
        return
    apart = _rms(whole.astype(np.float64) - quantised) / (_rms(quantised) or 1.0)
    if apart > ROUNDING:
        yield "fault", f"dequantise(codes) is {100 * apart:.3g} % of its size away from 'quantised'"
    else:
        yield "ok", "dequantise(codes) is 'quantised', and it takes the first few codebooks"


def _attributes(on: _Examination) -> Iterator[tuple[Outcome, str]]:
    offered = [name for name in OPTIONAL_ATTRIBUTES if getattr(on.encoder, name, None) is not None]
    faults = 0
    for name in offered:
        value = getattr(on.encoder, name)
        wanted = _wrong(name, value, on)
        if wanted is not None:
            faults += 1
            shown = repr(value)
            yield "fault", f"{name}={shown if len(shown) <= 60 else shown[:57] + '...'} {wanted}"
    if not faults:
        yield "ok", ", ".join(offered) if offered else "none offered; testtone measures what it can"


def _wrong(name: str, value: Any, on: _Examination) -> str | None:
    """What an optional attribute should be, if it is not."""
    if name == "weights_sha256":
        hexadecimal = isinstance(value, str) and len(value) == 64 and set(value.lower()) <= set("0123456789abcdef")
        return None if hexadecimal else "is not 64 hex digits"
    if name == "parameters":
        return None if _is_number(value) and value >= 0 and value == int(value) else "is not a whole number"
    if name == "bandwidth_kbps":
        return None if _is_number(value) and value > 0 else "is not a positive number of kbit/s"
    if name == "reference":
        return None if isinstance(value, (bool, np.bool_)) else "is neither True nor False"
    if name == "normalises":
        return None if isinstance(value, str) and value else "does not say in words what is done to the level"
    if name == "module":
        return None if _is_module(value) else "is not a torch.nn.Module"
    if name == "tags":
        named = isinstance(value, (tuple, list)) and all(isinstance(each, str) for each in value)
        return None if named else "is not a tuple of names"
    if name in ("to", "dequantise", "reconstruct", "listen_at", "listen_with_gradient", "ablated", "by_layer"):
        return None if callable(value) else "cannot be called"
    if name == "members":
        channels = on.heard["latent"].shape[1] if "latent" in on.heard else 0
        ranges = list(value.values()) if isinstance(value, Mapping) else []
        within = [isinstance(each, tuple) and len(each) == 2 and 0 <= each[0] < each[1] <= channels for each in ranges]
        return None if within and all(within) else f"does not map names to ranges of the {channels} channels of latent"
    if name == "composes_as":
        names = getattr(on.encoder, "members", None) or {}
        known = isinstance(value, Mapping) and {*value, *value.values()} <= set(names)
        return None if known else "does not map members to members"
    if name == "device":
        try:
            torch.device(value)
        except (RuntimeError, TypeError) as error:
            return f"is no device ({one_line(error)})"
    if name == "first_conv_filters":
        filters = _array(value)
        channels = on.heard["first_conv"].shape[1] if "first_conv" in on.heard else None
        if filters.ndim != 2 or filters.dtype.kind != "f" or not np.isfinite(filters).all():
            return "is not a finite float array 'channels taps'"
        if channels is not None and len(filters) != channels:
            return f"has {len(filters)} filters; first_conv has {channels} channels"
    if name == "strides":
        strides = on.listener.strides or ()
        return None if strides and min(strides) >= 1 else "is not a chain of strides of at least 1"
    if name == "strided_kernels":
        kernels = [_array(each) for each in value] if isinstance(value, (tuple, list)) else []
        if not kernels or any(each.ndim != 3 or each.size == 0 or each.dtype.kind not in "fiu" for each in kernels):
            return "is not a tuple of arrays of numbers 'out in taps'"
        if len(kernels) != len(on.listener.strides or ()):
            return f"has {len(kernels)} arrays for {len(on.listener.strides or ())} strides"
    return None


def _some_sites(on: _Examination) -> Iterator[tuple[Outcome, str]]:
    if not callable(getattr(on.encoder, "listen_at", None)):
        yield "ok", "not offered; every pass is a whole one"
        return
    if on.fixed is not None:
        yield "note", "listen_at() is not asked: what is heard in windows is heard at all sites"
        return
    sites, faults = tuple(on.heard), 0
    clips = [np.concatenate([on.noise(count), 0 * on.noise(count)]) for count in (on.samples, 2 * on.samples + 7)]
    for clip in clips:
        whole = on.fresh().ask(clip)
        for asked in [(site,) for site in sites] + [sites]:
            if wrong := on.listener.astray(whole, on.listener.ask_at(clip, asked)):
                faults += 1
                yield (
                    "fault",
                    f"listen_at() asked for {', '.join(asked)}: {', '.join(wrong)} is not what listen() gives, to the "
                    "bit",
                )
        if faults:
            return
    yield "ok", f"listen_at() gives {', '.join(sites)} as listen() does, each by itself and all at once, to the bit"


def _gradient(on: _Examination) -> Iterator[tuple[Outcome, str]]:
    if not callable(getattr(on.encoder, "listen_with_gradient", None)):
        yield "ok", "not offered"
        return
    waveforms = torch.from_numpy(on.noise()).to(getattr(on.encoder, "device", None) or "cpu").requires_grad_(True)
    answer = on.encoder.listen_with_gradient(waveforms)
    faults = 0
    for site, values in answer.items():
        wrong = None
        if site == CODES or site not in on.heard:
            wrong = "is no real site that listen() gives"
        elif not isinstance(values, torch.Tensor) or not values.requires_grad:
            wrong = "is no tensor that stays in the graph of the waveforms"
        else:
            apart = on.moved({site: on.heard[site]}, {site: _array(values)})[site]
            (slope,) = torch.autograd.grad(
                values.double().square().sum(), waveforms, retain_graph=True, allow_unused=True
            )
            if apart > ROUNDING:
                wrong = f"is {100 * apart:.3g} % of its size away from what listen() gives"
            elif slope is None or not bool(torch.isfinite(slope).all()):
                wrong = "has no finite gradient"
            elif not bool(slope.any()) and on.size(site) > 0:
                wrong = "has a gradient of zero everywhere"
        if wrong is not None:
            faults += 1
            yield "fault", f"listen_with_gradient(): {site!r} {wrong}"
    if not faults:
        yield "ok", f"{', '.join(answer) or 'no site'}: as listen() gives them, and differentiable"


_CHECKS = (
    _Check("contract", _contract),
    _Check("answer", _answer, ("contract",)),
    _Check("lengths", _lengths, ("answer",)),
    _Check("input", _input, ("answer",)),
    _Check("silence", _silence, ("answer",)),
    _Check("extremes", _extremes, ("answer",)),
    _Check("determinism", _determinism, ("answer",)),
    _Check("batch", _batch, ("answer", "determinism")),
    _Check("level", _level, ("answer", "silence", "determinism", "batch")),
    _Check("frame rates", _rates, ("answer", "lengths", "silence")),
    _Check("margins", _margins, ("answer", "lengths", "silence", "determinism", "batch", "frame rates")),
    _Check("codes", _codes, ("answer", "silence", "determinism")),
    _Check("attributes", _attributes, ("answer",)),
    _Check("some sites", _some_sites, ("answer", "lengths", "silence", "determinism", "frame rates", "margins")),
    _Check("gradient", _gradient, ("answer", "silence", "determinism")),
)


def _beyond_rounding(apart: Mapping[str, float]) -> str:
    """The sites at which two answers differ by more than rounding, with how much; nothing if there are none."""
    worst = {site: share for site, share in apart.items() if share > (TIPPED if site == CODES else ROUNDING)}
    return _listed(worst)


def _of_codes_alone(
    first: Mapping[str, NDArray[Any]], second: Mapping[str, NDArray[Any]], apart: Mapping[str, float]
) -> str:
    """How far codes differ where the latent that they stand for does not: that is not rounding."""
    same = "latent" in first and np.array_equal(first["latent"], second["latent"])
    return _listed({CODES: apart[CODES]}) if same and apart.get(CODES) else ""


def _listed(apart: Mapping[str, float]) -> str:
    return ", ".join(
        f"{site} ({100 * share:.2g} % of " + ("the codes)" if site == CODES else "its size)")
        for site, share in apart.items()
    )


def _edges(margins: Mapping[str, Margin]) -> str:
    return "frames at start and end: " + ", ".join(
        f"{site} {margin.left} and {margin.right}" for site, margin in margins.items() if site != CODES
    )


def _rms(values: NDArray[Any]) -> float:
    return float(np.sqrt(np.square(values.astype(np.float64)).mean()))


def _array(values: Any) -> NDArray[Any]:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and math.isfinite(value)


def _is_module(value: Any) -> bool:
    return isinstance(value, torch.nn.Module)
