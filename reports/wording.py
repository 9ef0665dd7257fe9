"""Numbers, intervals, durations and verdicts in words. Pure functions; text out, never markup."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

# The order is the order of the legend: decided first, then undecided, then unfit to decide.
VERDICTS: Mapping[str, str] = {
    "supported": "The whole interval lies above the first threshold: here the proposition is true.",
    "refuted": "The whole interval lies below the second threshold: here the proposition is false.",
    "inconclusive": "The interval reaches across a threshold. More data may decide; this run does not.",
    "not-applicable": "The claim needs something that this encoder does not offer, such as codes or a recurrent layer.",
    "insufficient": "No interval can be had: too few usable sounds, or a precondition of the statistic fails.",
    "invalid": "A control came out wrong. The probe may not judge, whatever number it gave.",
}

STANCES: Mapping[str, str] = {
    "holds": "The post says: it holds",
    "does-not-hold": "The post says: it does not hold",
    "open": "The post leaves it open",
}

SITES: Mapping[str, str] = {
    "first_conv": "the first convolution, before its activation",
    "stack_end": "the end of the downsampling, before any recurrent layer",
    "latent": "the vector that the quantiser or the linear layers receive",
    "quantised": "the latent as quantised, or the last hidden layer of a classifier",
    "codes": "the integers that the quantiser chose",
}

NOTHING = "–"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def as_float(value: Any) -> float | None:
    """Return ``value`` as a float, None if it is no number; an integer beyond the floats becomes an infinity."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def number(value: Any, *, decimals: int | None = None) -> str:
    """Return a number as a person writes it: a true minus, a power of ten beyond 0.001 .. 1 000 000, a dash for none.

    Args:
        value: anything; what is no number becomes a dash.
        decimals: digits after the point; without it, three significant digits.
    """
    value = as_float(value)
    if value is None:
        return NOTHING
    value += 0.0  # a negative zero is a zero
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size and not 1e-3 <= size < 1e6 and (decimals is None or size >= 1e6):
        mantissa, exponent = f"{value:.2e}".split("e")
        text = f"{mantissa}×10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    elif decimals is not None:
        text = f"{value:.{decimals}f}"
        text = text.lstrip("-") if float(text) == 0 else text
    elif float(value).is_integer():
        text = f"{value:.0f}"
    else:
        text = f"{value:.{max(0, 2 - math.floor(math.log10(size)))}f}"
    return text.replace("-", "−")


def count(value: Any) -> str:
    """Return a whole number in groups of three digits, set apart by narrow spaces; anything else like ``number``."""
    known = as_float(value)
    if known is None or not known.is_integer() or abs(known) >= 1e15:
        return number(value)
    return f"{int(known):,}".replace(",", "\u202f").replace("-", "−")


def limit(value: Any) -> str:
    """Return a threshold as it was set: all its digits, no rounding that could hide on which side an interval ends."""
    value = as_float(value)
    if value is None or not math.isfinite(value) or (value and not 1e-4 <= abs(value) < 1e6):
        return number(value)
    return f"{value:.10g}".replace("-", "−")


def decimals_for(effect: Mapping[str, Any] | None) -> int | None:
    """Return how many decimals an effect deserves, by the width of its interval; None where there is no interval.

    Three for anything narrower than 10, so that columns line up, and two significant digits of the width in any case.
    A width below a millionth is what rounding leaves of none: three decimals then.
    """
    low, high = ends(effect)
    if low is None or high is None or not high - low < 1e6:
        return None
    width = high - low
    if width <= 1e-6:
        return 3
    return max(3 if width < 10 else 0, 1 - math.floor(math.log10(width)))


def ends(effect: Mapping[str, Any] | None) -> tuple[float | None, float | None]:
    """Return the two ends of an effect's interval; None for an end that is not there."""
    ci = (effect or {}).get("ci") or (None, None)
    return as_float(ci[0]), as_float(ci[1])


def value(effect: Mapping[str, Any] | None) -> str:
    """Return an effect's value, rounded as its interval deserves."""
    return number((effect or {}).get("value"), decimals=decimals_for(effect))


def interval(effect: Mapping[str, Any] | None) -> str:
    """Return an effect's interval as ``[low, high]``, a missing end as ``none``, a missing interval as a dash."""
    low, high = ends(effect)
    if low is None and high is None:
        return NOTHING
    decimals = decimals_for(effect)
    return f"[{', '.join('none' if end is None else number(end, decimals=decimals) for end in (low, high))}]"


def percent(confidence: Any) -> str:
    """Return a confidence of 0.9 as ``90 %``; an empty text if there is none."""
    confidence = as_float(confidence)
    return f"{100 * confidence:.4g}\u00a0%" if confidence is not None and math.isfinite(confidence) else ""


def probability(p: Any) -> str:
    """Return a p-value with two significant digits, however small, in plain decimals down to 0.00001."""
    p = as_float(p)
    if p is None or not 1e-5 <= p <= 1:
        return number(p)
    return f"{p:.2g}" if p >= 1e-4 else f"{p:.6f}"


def duration(seconds: Any) -> str:
    """Return a duration in s, in min and s, or in h and min."""
    seconds = as_float(seconds)
    if seconds is None or not math.isfinite(seconds) or not 0 <= seconds < 1e9:
        return number(seconds)
    if seconds < 59.95:
        return f"{number(seconds, decimals=1 if seconds >= 1 else 2)}\u00a0s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}\u00a0min {whole % 60}\u00a0s"
    return f"{whole // 3600}\u00a0h {whole % 3600 // 60}\u00a0min"


def moment(text: str) -> str:
    """Return an ISO 8601 time as ``2026-01-02 03:04 UTC``; what is none stays as it is."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{when:%Y-%m-%d %H:%M} {when.tzname() or ''}".rstrip()


def verdict(word: str) -> str:
    """Return the verdict as it stands in running text."""
    return word.replace("-", " ")


def shorten(text: str, *, characters: int) -> str:
    """Return at most ``characters`` of a text, the end replaced by an ellipsis where it was cut."""
    return text if len(text) <= characters else text[: characters - 1].rstrip() + "…"
