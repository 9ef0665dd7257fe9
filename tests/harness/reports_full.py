"""A report with all that a page can show: figures of every kind, portraits, illustrations. All numbers are made up."""

import base64
import copy
import io
from typing import Any

import soundfile
from reports_sample import ENCODERS, sample

from testtone.reports.figures import KINDS
from testtone.stimuli import portraits

HZ = [200.0, 450.0, 900.0, 2000.0, 4500.0, 9000.0]
AREAS = [0.6, 0.75, 0.9, 0.95, 0.7, 0.5]
CURVE = {"hz": HZ, "answer_db": [-40.0, -20.0, 0.0, -10.0, -30.0, -60.0]}

FIGURES: dict[str, dict[str, Any]] = {
    "alias_collapse": {
        "d_prime": {"translation": {"alias": 3.0, "control": 90.0}, "mirror": {"alias": 40.0, "control": 50.0}},
        "hop": 320,
        "pair": {"hz": [8223.7, 8298.7, 8298.5, 8357.7]},
    },
    "architectural": {"scores": {"stability": {"own": 0.97, "untrained": [0.6, 0.5, 0.55]}}},
    "brightness_steers": {
        "selectivity": {"names": ["brighter", "louder"], "own": [0.8, 0.9], "best_rival": [0.2, 0.7]}
    },
    "chord_additivity": {"explained": {"pairs": 0.99, "triads": 0.95}},
    "compositionality_condition": {
        "members": ["a bank", "a texture"],
        "separable": [0.9, 0.5],
        "stable": [1.0, 0.4],
        "composes": [0.95, 0.1],
    },
    "contained_not_exposed": {"hz": HZ, "contained_by_partial": [1.0] * 6, "exposed_by_partial": AREAS},
    "degrade_or_mix": {
        "r2": {"full rate, linear": 1.0, "frame rate, as is": 0.4},
        "by_frequency": [{"hz": hz, "full_rate_linear": 1.0, "linear": 0.8, "as_is": 0.5} for hz in HZ],
    },
    "density_scaling": {"companions": [0, 4, 32], "d_prime": [1.9, 0.7, 0.2], "ear_d_prime": [2.3, 1.7, 1.4]},
    "discretised_latent": {
        "hz": HZ,
        "before": "latent",
        "auc_before": AREAS,
        "auc_quantised": AREAS[::-1],
        "auc_by_codebooks": {"1": 0.6, "2": 0.65, "4": 0.7},
    },
    "entangled_basis": {
        "centres_hz": [0.0, 0.0, 3387.4, 9627.3, 12000.0],
        "spacing_cv": 1.7,
        "spacing_cv_random": 0.8,
        "fpx": 0.7,
        "fpx_random": 0.75,
    },
    "first_layer_isolates": {
        "filter_widths": {"centre_hz": [0.0, 3387.0, 9626.0], "enbw_hz": [2800.0, 6800.0, 4300.0]}
    },
    "holistic_texture": {
        "power_by_order": {"one partial": 0.9, "interactions": 0.1},
        "walsh": {"power_by_order": [0.9, 0.06, 0.03, 0.01, 0.0]},
    },
    "local_similarity": {"distances": {"noise": {"waveform": [0.01, 0.1, 1.0], "code": [0.01, 0.2, 0.9]}}},
    "many_to_one": {"theta": [0.9, 0.95, 0.97]},
    "no_part_relations": {"accuracy": {"combinations learned": 0.99, "other combinations": 0.2}},
    "pitch_direction": {"cosines": {"same": [0.1, 0.5, 0.9, 1.1], "other": [-0.2, 0.0, 0.1, 0.3]}},
    "pitch_most_separable": {"scores": {"pitch": 0.9, "level": 0.5, "timbre": 0.1}},
    "pitch_not_in_mixture": {"area_by_pitch": {"midi": [48.0, 55.0, 62.0, 70.0, 77.0, 83.0], "alone": AREAS}},
    "same_filters": {"overlaps": {"same": [0.2, 0.4, 0.6], "other": [0.0, 0.1, 0.2]}},
    "selectivity_limited": {
        "coverage": {"octaves_re_all": [-3.0, -2.5, -2.0], "ear": -4.4},
        "tuning": {"hz": HZ, "channels": [{"name": "the narrowest channel", "answer_db": CURVE["answer_db"]}]},
    },
    "separable": {"hz": HZ, "auc_by_partial": AREAS},
    "spectral_to_semantic": {
        "area": {"stratified": {"notes": 0.47, "triads": 0.53}, "plain": {"notes": 0.6, "triads": 0.7}}
    },
    "stable_across_contexts": {"auc_from_family_to_family": [[0.82, 0.71], [0.7, 0.76]]},
    "stack_end_selectivity": {"coverage": {"first": [-1.5, -1.0], "here": [-3.3 + 0.1 * step for step in range(14)]}},
    "unequal_and_predictable": {
        "points": [
            {"family": family, "hz": hz, "rho": area / 2, "r2": area}
            for family in ("flat", "pink")
            for hz, area in zip(HZ, AREAS, strict=True)
        ]
    },
    "waveform_proxy": {"variance": {"phase pattern": 0.87, "spectrum": 0.13}},
}
"""By claim id, in the shapes that the probes give."""


def full() -> dict[str, Any]:
    """Return the sample with a result for every kind of figure, portraits of its sounds, and both illustrations."""
    report = sample()
    for entry in report["sounds"].values():
        wave, rate = soundfile.read(io.BytesIO(base64.b64decode(entry["flac"])))
        entry |= portraits.portrait(wave, rate)
    first = next(iter(report["sounds"]))
    report["sounds"][first]["opening"] = {"flac": report["sounds"][first]["flac"], "seconds": 0.2}
    known = {claim["id"] for claim in report["claims"]}
    for claim in report["claims"]:
        claim["figures"] = copy.deepcopy(FIGURES[claim["id"]])
    model = report["claims"][1]
    for name in KINDS:
        if name not in known:
            more = {"id": name, "title": name.replace("_", " "), "figures": copy.deepcopy(FIGURES[name])}
            report["claims"].append(copy.deepcopy(model) | more)
    found = list(report["sounds"])[2:4]
    report["claims"][0]["search"] |= {"sounds": found}
    report["illustrations"] = {
        "representations": [
            {
                "encoder": spec,
                "sha256": first,
                "prose": "A short tone, A below middle C.",
                "site": "stack_end",
                "channels": 128,
                "frames": 9,
                "kept": [0, 5],
                "rows": ["0123456789abcdef", "fedcba9876543210"],
                "numbers": [0.25, -1.5, 2.0],
            }
            for spec in ENCODERS
        ],
        "mixture": portraits.mixture(),
    }
    return report
