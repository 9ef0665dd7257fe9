"""A report to try the page on. Every number in it is made up; nothing was measured and none of it is shipped."""

import base64
import hashlib
import io
from typing import Any

import numpy as np
import soundfile

SAMPLE_RATE = 24000
ENCODERS = ("encodec-24khz-default", "encodec-24khz-gain")
MADE_UP = "made up for a test of the page"


def sound(*hz: float, label: str, seconds: float = 0.25) -> tuple[str, dict[str, Any]]:
    """Return hash and entry of a sum of sines as the report carries it."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    wave = sum(np.sin(2 * np.pi * f * time) for f in hz) * 0.1 * np.hanning(time.size)
    file = io.BytesIO()
    soundfile.write(file, wave, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    flac = base64.b64encode(file.getvalue()).decode()
    digest = hashlib.sha256(wave.tobytes()).hexdigest()
    return digest, {"label": label, "seconds": seconds, "sample_rate": SAMPLE_RATE, "flac": flac}


def effect(
    value: float | None, low: float | None, high: float | None, *, name: str, n: int = 24, unit: str = ""
) -> dict[str, Any]:
    """Return an effect with its 90 % interval."""
    ci = None if low is None and high is None else [low, high]
    return {"name": name, "value": value, "ci": ci, "confidence": 0.9, "unit": unit, "n": n}


def claim(
    id: str,
    encoder: str,
    site: str,
    verdict: str,
    measured: dict | None,
    *,
    title: str,
    stance: str,
    above: float,
    below: float,
    controls: list[dict],
    **more: Any,
) -> dict[str, Any]:
    """Return one record; agreement follows from verdict and stance as the contract says."""
    agrees = None
    if verdict in ("supported", "refuted") and stance != "open":
        agrees = (verdict == "supported") == (stance == "holds")
    return {
        "id": id,
        "title": title,
        "source": f"Post 0, section 0.2 ({MADE_UP})",
        "encoder": encoder,
        "site": site,
        "stance": stance,
        "verdict": verdict,
        "agrees": agrees,
        "known_disagreement": None,
        "effect": measured,
        "threshold": {"supported_above": above, "refuted_below": below},
        "parts": [],
        "controls": controls,
        "search": None,
        "stimuli": [],
        "seconds": 3.2,
        "rerun": f"pytest -m claims -k '{id} and {site}' --encoder {encoder} --claims-seed 7",
        "reason": None,
        "probe": {"name": id, "version": "1"},
        "null": {"kind": "labels permuted within context", "draws": 1999, "p": 0.0005},
        **more,
    }


def control(encoder: str, expected: str, measured: dict | None, *, verdict: str | None = None) -> dict[str, Any]:
    """Return a control that came out as expected, or with another verdict."""
    return {"encoder": encoder, "expected": expected, "verdict": verdict or expected, "effect": measured}


def sample() -> dict[str, Any]:
    """Return a report of three claims on two encoders, with sounds, a known disagreement, nulls and every verdict."""
    sounds = dict(
        [
            sound(220.0, label="A3, a single pitch"),
            sound(220.0, 277.2, 329.6, label="A major: the same A3 with company"),
            sound(1037.0, label="1037 Hz"),
            sound(8537.0, label="8537 Hz, which lands on the same alias"),
        ]
    )
    heard = [{"sha256": digest, "label": entry["label"]} for digest, entry in sounds.items()]
    default, gain = ENCODERS
    claims = []

    stability = "normalised stability, phase-roved"
    pitch = {
        "title": "A pitch is a stable direction",
        "stance": "does-not-hold",
        "above": 0.5,
        "below": 0.5,
        "quote": "This would make pitch a stable direction in activation space",
        "proposition": "A pitch adds the same direction to the code, whatever surrounds it.",
        "explanation": "Play an A alone, then an A inside a chord. If the encoder had a direction for A, taking the "
        "chord without its A away from the chord with it would leave the same arrow each time. The effect is 1 if the "
        "arrows agree, 0 if they agree no better than the arrows of different pitches.",
        "method": "24 pitches in 12 contexts, 16 start phases each. Mean cosine between directions of one pitch in two "
        "contexts, against that of two pitches; two-way jackknife over pitches and contexts.",
        "controls": [
            control("R1", "supported", effect(0.94, 0.91, 0.97, name=stability)),
            control("R5", "refuted", effect(0.006, -0.02, 0.03, name=stability)),
        ],
        "stimuli": heard[:2],
    }
    for encoder, site, verdict, values in (
        (default, "stack_end", "refuted", (0.162, 0.118, 0.206)),
        (default, "latent", "refuted", (0.147, 0.092, 0.202)),
        (default, "quantised", "insufficient", None),
        (gain, "stack_end", "supported", (0.652, 0.571, 0.733)),
        (gain, "latent", "supported", (0.668, 0.589, 0.747)),
        (gain, "quantised", "inconclusive", (0.51, 0.412, 0.608)),
    ):
        measured = effect(*values, name=stability, unit="cosine") if values else None
        claims.append(claim("pitch_direction", encoder, site, verdict, measured, **pitch))
        claims[-1]["parts"] = [
            {
                "name": "frozen components",
                "effect": effect(0.999, 0.998, 1.0, name="stability, frozen", unit="cosine"),
                "threshold": {"supported_above": 0.5, "refuted_below": 0.5},
                "verdict": "supported",
                "note": "the lenient reading",
            },
            {"name": "reliability", "effect": None, "threshold": None, "verdict": None},
        ]
    claims[2]["reason"] = "Every code of this untrained encoder is 0: no codebook was ever fitted."
    claims[2]["null"] = None
    claims[3]["known_disagreement"] = "Gain-preserving weights keep each layer nearly linear, and a sum stays a sum."
    claims[0]["search"] = {"examples": 200, "worst_margin": 0.21, "stimulus": "MIDI 60 +13 cents in a minor triad"}

    collapse = {
        "title": "Aliases share a code",
        "stance": "holds",
        "above": 0.5,
        "below": 0.2,
        "quote": "distinct frequencies can collapse into shared representations",
        "proposition": "Frequencies that alias onto each other share a code.",
        "explanation": "Sampling too rarely makes a high tone sound like a low one. An encoder thins time out "
        "320-fold: do two tones that fall onto the same alias become the same code?",
        "method": "Pairs f and k · 75 Hz ± f, matched in level; one minus the sine of the angle between their codes.",
        "controls": [
            control("R3", "supported", effect(1.0, 1.0, 1.0, name="theta_pair")),
            control("R4", "refuted", effect(0.0, 0.0, 0.0, name="theta_pair")),
        ],
        "stimuli": [*heard[2:], {"sha256": "0" * 64, "label": "a pair too long to carry"}],
    }
    for encoder, site, verdict, values in (
        (default, "stack_end", "refuted", (0.04, 0.022, 0.058)),
        (default, "latent", "refuted", (0.11, 0.081, 0.139)),
        (default, "quantised", "not-applicable", None),
        (gain, "stack_end", "refuted", (0.06, 0.031, 0.089)),
        (gain, "latent", "inconclusive", (0.21, 0.152, 0.268)),
    ):
        measured = effect(*values, name="theta_pair, mean over pair kinds", n=36) if values else None
        claims.append(claim("alias_collapse", encoder, site, verdict, measured, **collapse))
        if verdict == "not-applicable":
            claims[-1]["reason"] = "needs fitted codebooks"

    whole = {
        "title": "One texture of the whole",
        "stance": "holds",
        "above": 0.5,
        "below": 0.2,
        "quote": "a summary of the entire oscillatory mixture",
        "proposition": "The code is one texture of the whole mixture, not a sum of parts.",
        "explanation": "Five partials, each on or off: 32 sounds. Is the code of a mixture the sum of its parts?",
        "method": "Full factorial of five partials, Walsh coefficients, cross-half products; jackknife over 24 sets.",
        "controls": [
            control("R5", "supported", effect(0.96, 0.93, 0.99, name="H")),
            control("R1", "refuted", effect(0.0, -0.01, 0.01, name="H")),
        ],
        "stimuli": heard[1:2],
    }
    too_weak = control("R5", "supported", effect(0.43, 0.39, 0.47, name="H"), verdict="inconclusive")
    for encoder, site, verdict, values in (
        (default, "stack_end", "refuted", (0.001, -0.004, 0.006)),
        (default, "latent", "refuted", (0.002, -0.006, 0.01)),
        (default, "quantised", "supported", (0.81, 0.74, 0.88)),
        (gain, "stack_end", "invalid", (0.183, 0.14, 0.226)),
    ):
        claims.append(
            claim("holistic_texture", encoder, site, verdict, effect(*values, name="H, holism index"), **whole)
        )
    claims[-1]["controls"] = [too_weak, whole["controls"][1]]
    claims[-1]["reason"] = "control R5 must be supported and came out inconclusive"

    return {
        "schema": "testtone-report/1",
        "title": f"Three claims on two untrained encoders ({MADE_UP})",
        "created": "2026-01-02T03:04:05+00:00",
        "seconds": 83.4,
        "effort": "quick",
        "command": "pytest -m claims --claims-effort quick --claims-report report.html",
        "seed": 7,
        "environment": {
            "versions": {"python": "3.11.2", "torch": "2.13.0", "testtone": "0.1.0"},
            "commit": "0" * 40,
            "threads": 2,
            "soundfont_sha256": "5b" * 32,
        },
        "encoders": [
            *(
                {
                    "spec": name,
                    "name": name,
                    "sample_rate": SAMPLE_RATE,
                    "sites": ["first_conv", "stack_end", "latent", "quantised"],
                    "weights_sha256": hashlib.sha256(name.encode()).hexdigest(),
                    "parameters": 7425792,
                    "reference": False,
                }
                for name in ENCODERS
            ),
            *(
                {
                    "spec": name,
                    "name": name,
                    "sample_rate": SAMPLE_RATE,
                    "sites": ["latent"],
                    "weights_sha256": None,
                    "parameters": None,
                    "reference": True,
                }
                for name in ("R1", "R3", "R4", "R5")
            ),
        ],
        "exit": {
            "ran": 15,
            "not_run": [{"id": "holistic_texture", "encoder": gain, "site": "latent", "why": "the run was stopped"}],
        },
        "sounds": sounds,
        "claims": claims,
    }
