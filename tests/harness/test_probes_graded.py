"""Graded references: encoders between the extremes, whose effects follow from arithmetic. Each probe must find them.

The tolerance is .05, that of the claims' definition. The expectations are formed here from the definition of the
encoder and of the stimuli, not with the probes' code.
"""

import math

import numpy as np
import pytest

from testtone.models import resolve
from testtone.models.listening import Listener
from testtone.probes.alias_collapse import SIZES, alias_collapse
from testtone.probes.hearing import ear_of, hear
from testtone.probes.holistic_texture import holistic_texture
from testtone.probes.pitch_direction import FRAMES, pitch_direction
from testtone.probes.pitch_direction import SIZES as PITCH_SIZES
from testtone.stimuli import designs

TOLERANCE = 0.05


def measure(probe, spec, *, seed=0, effort="quick"):
    """The measurement of one probe on one reference encoder."""
    listener = Listener(resolve(spec))
    ear = ear_of(listener, ("latent",))
    heard = hear(listener, {"it": (ear, probe(ear, np.random.default_rng(seed), effort))})["it"]
    assert heard.error is None, heard.error
    assert heard.fault is None, heard.fault
    return heard.measurements["latent"]


def part(measurement, name):
    (found,) = [each for each in measurement.parts if each.name == name]
    return found.effect


@pytest.mark.parametrize("weight", [0.5, 2.0, 6.0])
def test_stability_is_the_stable_share_of_an_increment(weight):
    """A note adds a stable vector of energy a and, beside it, a random change of energy b that no two contexts share.

    The cosine between contexts i and j is then sqrt(a_i a_j / ((a_i + b_i) (a_j + b_j))). The energies are read off the
    two blocks of channels; b for sixteen phases, from products between performances (its mean) and within them (its
    noise). Between pitches it is that, times the overlap of their bands.
    """
    seed = 5
    spec = f"partly-holistic:weight={weight}"
    found = measure(pitch_direction, spec, effort="standard", seed=seed)
    listener = Listener(resolve(spec))
    ear = ear_of(listener, ("latent",))
    design = designs.pitches_in_contexts(
        np.random.default_rng(seed),
        **PITCH_SIZES["standard"],
        seconds=ear.seconds(FRAMES),
        frame_rate=75.0,
        harmonics_below_hz=0.42 * 24_000,
    )
    left, right = ear.free("latent")

    def code(stimulus):
        frames = np.asarray(listener.encoder.listen(stimulus.render(24_000)[None])["latent"], np.float64)[0]
        return frames[:, left : frames.shape[1] - right].mean(axis=1)

    shares, stable = {}, {}
    for column, alone in zip(design.columns, design.alone, strict=True):
        if column.timbre_name == "FluidSynth":
            continue
        without = [code(each) for each in alone]
        for row in design.together:
            cell = [code(each) - quiet for each, quiet in zip(row[design.columns.index(column)], without, strict=True)]
            added = np.mean([u[:128] for u in cell], axis=0)
            a = added @ added
            stable.setdefault(column.timbre_name, {}).setdefault(column.context, []).append(added / np.sqrt(a))
            products = np.array([[u[128:] @ v[128:] for v in cell] for u in cell])
            mean = products[~np.eye(len(cell), dtype=bool)].mean()
            b = mean + (np.trace(products) / len(cell) - mean) / 16
            shares.setdefault(column.timbre_name, {}).setdefault(column.context, []).append(a / (a + b))
    for timbre, by_context in shares.items():
        table = np.sqrt(np.array(list(by_context.values())))
        pairs = [(i, j) for i in range(len(table)) for j in range(len(table)) if i != j]
        same = np.mean([(table[i] * table[j]).mean() for i, j in pairs])
        directions = list(stable[timbre].values())
        apart = np.abs(np.subtract.outer(design.midi, design.midi)) % 12
        unrelated = np.min([np.abs(apart - step) for step in (0, 5, 7, 12)], axis=0) >= 0.5
        overlap = np.mean([(np.array(directions[i]) @ np.array(directions[j]).T)[unrelated].mean() for i, j in pairs])
        different = same * overlap
        expected = (same - different) / (1 - different)
        assert part(found, f"timbre: {timbre}").value == pytest.approx(expected, abs=TOLERANCE), timbre
    timbres = [part(found, f"timbre: {name}").value for name in ("sine", "additive", "FluidSynth")]
    assert min(timbres) < found.effect.value < max(timbres)


@pytest.mark.parametrize("weight", [0.1, 0.3, 1.0, 3.0])
def test_holism_is_the_random_share_of_the_power(weight):
    """Five partials of powers p_i add vectors of length p_i; 32 unrelated codes of variance `weight` stand beside them.

    In a factorial of 2^n an effect of length v has a coefficient of power v^2 / 4, and 2^n independent codes have
    powers of weight / 2^n in each coefficient. Averaged over the +-3 dB with which amplitudes are drawn, set by set.
    """
    found = measure(holistic_texture, f"partly-holistic:weight={weight}", effort="standard")
    rng = np.random.default_rng(1)
    lengths = 10 ** (rng.uniform(-3, 3, (20_000, 5)) / 10)  # amplitude +-3 dB, so power +-3 dB in dB, length = power
    additive = (lengths**2 / 4).sum(axis=1)
    random = weight * 31 / 32
    expected = np.mean(random / (additive + random))
    assert found.effect.value == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("keep", [1, 2, 3, 5, 12, 320])
def test_collapse_is_one_minus_the_sine_between_alias_responses(keep):
    """The first `keep` samples of each hop: aliases k frame rates apart have a Dirichlet kernel as coherence."""
    seed = 3
    found = measure(alias_collapse, f"polyphase:keep={keep}", seed=seed)
    ear = ear_of(Listener(resolve("polyphase")), ("latent",))
    chain = ear.chain("latent")
    sets = designs.alias_sets(np.random.default_rng(seed), sets=SIZES["quick"]["sets"], chain=chain)
    expected = []
    for kind in sets[0]:
        sines = []
        for each in sets:
            low, high = each[kind].alias_hz
            k = (
                round((high - low) / chain.rate)
                if chain.relation(low, high) == "translation"
                else round((high + low) / chain.rate)
            )
            angle = math.pi * k / chain.hop
            coherence = abs(math.sin(keep * angle) / (keep * math.sin(angle))) if k % chain.hop else 1.0
            sines.append(math.sqrt(max(0.0, 1 - coherence**2)))
        expected.append(1 - np.mean(sines))
    assert found.effect.value == pytest.approx(np.mean(expected), abs=TOLERANCE)


@pytest.mark.parametrize("keep", [1, 12, 320])
def test_the_rank_of_an_alias_class_is_the_number_of_channels(keep):
    """By counting: an alias class of 320 members in `keep` channels has rank `keep`."""
    found = measure(alias_collapse, f"polyphase:keep={keep}", effort="standard")
    assert part(found, "theta_class").value == pytest.approx(1 - keep / 320, abs=1e-9)
