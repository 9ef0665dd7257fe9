"""The figure that lets one see a claim: a record and its encoder in, charts out.

``readers``     what a reader of the code finds: areas, scores, detection, by partial, pitch, context, density
``filters``     centres, widths and tuning curves
``folding``     alias pairs on the folded axis, and which partials survive
``directions``  same against other, own against rival, trained against untrained
``mixtures``    interactions, sums, waveforms and spectra, disguises
``data``        a record's numbers, read without trust

``of`` returns the charts of a record, ``look`` says in words what to look for. A record without figures has no charts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..charts import Chart
from . import directions, filters, folding, mixtures, readers

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """How the figures of a claim are drawn, and what to look for."""

    charts: Callable[[Record, Record], list[Chart]]
    look: str


KINDS: Mapping[str, Kind] = {
    "alias_collapse": Kind(
        folding.pairs,
        "The zigzag says where a frequency lands once only so many frames a second are left. Both tones of the alias "
        "pair land on the same height. If the proposition is true, their codes lie close together (dots far to the "
        "left of the rings).",
    ),
    "architectural": Kind(
        directions.likeness,
        "If training changed nothing, the dot would lie among the rings.",
    ),
    "brightness_steers": Kind(
        directions.steering,
        "Each row is one thing to steer. The dot says how far its direction moves it, the ring how far the best other "
        "direction does. A direction worth the name has its dot far to the right of its ring.",
    ),
    "chord_additivity": Kind(
        mixtures.sums,
        "A bar that reaches 1 says: the code of the chord is the sum of the codes of its pitches, and nothing else.",
    ),
    "compositionality_condition": Kind(
        directions.conditions,
        "Each dot is an encoder. If both conditions are needed, dots rise along the first picture more faithfully than "
        "along the other two.",
    ),
    "contained_not_exposed": Kind(
        readers.contained,
        "If the proposition is true, the strokes lie high and the dots lie low: the partial is there, and a linear "
        "reader does not find it in other company.",
    ),
    "degrade_or_mix": Kind(
        folding.losses,
        "From the uppermost curve down: what downsampling takes, then what nonlinearity takes.",
    ),
    "density_scaling": Kind(
        readers.density,
        "Both curves fall as partials crowd in. If the proposition is true, the encoder's falls faster than the ear's.",
    ),
    "discretised_latent": Kind(
        readers.quantising,
        "Where dots lie below strokes, quantising lost what the latent told apart.",
    ),
    "entangled_basis": Kind(
        filters.centres,
        "A basis that tiles the axis would have its strokes spread as evenly as in the second row.",
    ),
    "first_layer_isolates": Kind(
        filters.widths,
        "A filter that isolates partials as the ear does lies on the line. Above it, it lets several through.",
    ),
    "holistic_texture": Kind(
        mixtures.walsh,
        "If the code is a sum of its parts, all of it stands in the first bar. What stands below it is there only "
        "because partials sound together.",
    ),
    "local_similarity": Kind(
        mixtures.near_and_far,
        "Near the left, dots rise with distance: close waveforms have close codes. If similarity is local, the cloud "
        "then goes flat.",
    ),
    "many_to_one": Kind(
        mixtures.disguises,
        "A dot at 1 is a sound for which another waveform was found that gets the same code.",
    ),
    "no_part_relations": Kind(
        readers.parts_of_mixtures,
        "If the learner cannot use a part apart from the rest, the second bar is much shorter than the first.",
    ),
    "pitch_direction": Kind(
        directions.cosines,
        "If a pitch adds the same direction everywhere, the first row lies near 1 and well to the right of the second.",
    ),
    "pitch_most_separable": Kind(
        readers.attributes,
        "If the proposition is true, the bar of pitch is the longest.",
    ),
    "pitch_not_in_mixture": Kind(
        readers.pitches_alone,
        "A dot near .5 is a pitch that a reader who heard it alone does not find in a mixture.",
    ),
    "same_filters": Kind(
        directions.overlaps,
        "If the same channels answer a pitch everywhere, the first row lies well to the right of the second.",
    ),
    "selectivity_limited": Kind(
        filters.coverage,
        "A curve with one narrow peak is a channel that picks out frequencies; one that is flat lets all through. "
        "Strokes to the right of the line are channels wider than the ear's.",
    ),
    "separable": Kind(
        readers.partials,
        "A dot near 1 is a partial that can be read off the code, one near .5 a partial that cannot.",
    ),
    "spectral_to_semantic": Kind(
        readers.semantic,
        "A dot near .5 says: once spectra are equally far apart, the code does not tell which sounds mean the same.",
    ),
    "stable_across_contexts": Kind(
        readers.families,
        "Off the diagonal a reader meets company that it did not learn in. If reading is stable, the square is as dark "
        "there as on the diagonal.",
    ),
    "stack_end_selectivity": Kind(
        filters.sharpening,
        "If this site is more selective, the strokes of the second row lie further to the left.",
    ),
    "unequal_and_predictable": Kind(
        folding.survival,
        "If survival can be predicted, dots rise from lower left to upper right.",
    ),
    "waveform_proxy": Kind(
        mixtures.variance,
        "If the code followed the spectrum alone, changing the phases would move nothing, and the first bar were gone.",
    ),
}
"""By claim id."""


def of(record: Record, encoder: Record | None) -> list[Chart]:
    """Return the charts of a record; none where its figures are missing, or of a claim that is not known here.

    Args:
        record: an entry of ``report["claims"]``.
        encoder: the entry of ``report["encoders"]`` that it is about; None if there is none.
    """
    kind = KINDS.get(record["id"])
    return kind.charts(record, encoder or {}) if kind is not None else []


def look(claim: str) -> str:
    """Return what to look for in the figures of a claim; empty for a claim that is not known here."""
    return KINDS[claim].look if claim in KINDS else ""
