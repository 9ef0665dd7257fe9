"""The worst mistakes we could think of: each would give a number that looks like one.

``before`` stands in its module exactly once. ``tests`` names test files where the module's lines are not traced.
"""

from typing import Any

IDEAS: list[dict[str, Any]] = [
    {
        "name": "silence is not subtracted",
        "module": "probes/hearing.py",
        "before": "(frames[:, kept].astype(np.float64) - quiet[:, kept]) / sizes[site]",
        "after": "frames[:, kept].astype(np.float64) / sizes[site]",
    },
    {
        "name": "frames that hear an edge are kept",
        "module": "probes/hearing.py",
        "before": "kept = slice(left, frames.shape[1] - right)",
        "after": "kept = slice(None)",
    },
    {
        "name": "activations stay in units of their own",
        "module": "probes/hearing.py",
        "before": "frames[:, kept].astype(np.float64) - quiet[:, kept]) / sizes[site]",
        "after": "frames[:, kept].astype(np.float64) - quiet[:, kept])",
    },
    {
        "name": "phases in degrees",
        "module": "stimuli/stimulus.py",
        "before": "sample_rate, 1.0) + phase",
        "after": "sample_rate, 1.0) + np.degrees(phase)",
    },
    {
        "name": "phases formed in float32",
        "module": "stimuli/stimulus.py",
        "before": "slow = TWO_PI * np.mod(hz * (block * np.arange(-(-samples // block))) / sample_rate, 1.0) + phase",
        "after": "slow = (np.float32(TWO_PI) * hz.astype(np.float32) * (block * np.arange(-(-samples // block))).astype(np.float32) / np.float32(sample_rate) + phase).astype(np.float32)",
    },
    {
        "name": "the hash forgets the phases",
        "module": "stimuli/stimulus.py",
        "before": "[[p.hz, p.amplitude, p.phase] for p in self.partials]",
        "after": "[[p.hz, p.amplitude] for p in self.partials]",
    },
    {
        "name": "an SNR counted as a ratio of powers",
        "module": "stimuli/stimulus.py",
        "before": "-noise.snr_db / 20.0",
        "after": "-noise.snr_db / 10.0",
    },
    {
        "name": "every noise is the same noise",
        "module": "stimuli/sources.py",
        "before": "np.random.default_rng(self.seed).standard_normal(count)",
        "after": "np.random.default_rng(0).standard_normal(count)",
    },
    {
        "name": "the level of a complex is its peak amplitude",
        "module": "stimuli/complexes.py",
        "before": "(rms / math.sqrt(float(np.sum(amplitude**2)) / 2.0))",
        "after": "(rms / float(np.max(amplitude)))",
    },
    {
        "name": "frequencies fold at the last stride instead of the hop",
        "module": "stimuli/folding.py",
        "before": "return self.sample_rate / self.hop",
        "after": "return self.sample_rate / self.strides[-1]",
    },
    {
        "name": "mirrored partials keep their phase",
        "module": "stimuli/alias_classes.py",
        "before": "return np.where(self.mirrored, drawn.conj(), drawn)",
        "after": "return drawn",
    },
    {
        "name": "later tokens are frozen too",
        "module": "stimuli/designs.py",
        "before": "sound(each, column.timbre, draws[column.context]) if t else frozen[each, column.timbre]",
        "after": "frozen[each, column.timbre]",
    },
    {
        "name": "a plain mean over frames lets oscillations leak",
        "module": "probes/readouts.py",
        "before": "weight = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(count) + 0.5) / count) if count > 2 else np.ones(count)",
        "after": "weight = np.ones(count)",
    },
    {
        "name": "pairs treated as independent",
        "module": "probes/pitch_direction.py",
        "before": 'return jackknife_two_way(measure, stability.shape, name=name, unit="normalised cosine")',
        "after": 'found = jackknife_two_way(measure, stability.shape, name=name, unit="normalised cosine")\n        shrink = 1.0 / np.sqrt(stability.shape[0] * stability.shape[1])\n        return replace(found, low=found.value - shrink * (found.value - found.low), high=found.value + shrink * (found.high - found.value))',
    },
    {
        "name": "a performance is compared with itself",
        "module": "probes/pitch_direction.py",
        "before": "other = ~np.eye(tokens, dtype=bool)",
        "after": "other = np.ones((tokens, tokens), dtype=bool)",
    },
    {
        "name": "the jackknife forgets that its values are means of almost everything",
        "module": "probes/statistics.py",
        "before": "return float(np.sqrt((n - 1) / n * np.square(left_out - left_out.mean()).sum()))",
        "after": "return float(left_out.std(ddof=1) / np.sqrt(n))",
    },
    {
        "name": "normal instead of Student's t",
        "module": "probes/statistics.py",
        "before": "return float(special.stdtrit(degrees, 0.5 + confidence / 2))",
        "after": "return float(special.ndtri(0.5 + confidence / 2))",
    },
    {
        "name": "only one of two crossed factors is random",
        "module": "probes/statistics.py",
        "before": "half = math.sqrt(max(row + column - cell, row, column)) * _t(confidence, min(shape) - 1)",
        "after": "half = math.sqrt(row) * _t(confidence, min(shape) - 1)",
    },
    {
        "name": "the estimate decides instead of the interval",
        "module": "probes/statistics.py",
        "before": "if effect.low > threshold.supported_above:",
        "after": "if effect.value > threshold.supported_above:",
    },
    {
        "name": "a permutation test that can say p = 0",
        "module": "probes/statistics.py",
        "before": "return (1 + reached) / (1 + draws)",
        "after": "return reached / draws",
    },
    {
        "name": "draws that are nan count for the claim",
        "module": "probes/statistics.py",
        "before": "sum(not draw(rng) < observed for _ in range(draws))",
        "after": "sum(draw(rng) >= observed for _ in range(draws))",
    },
    {
        "name": "ties count as wins",
        "module": "probes/statistics.py",
        "before": 'np.searchsorted(ordered, a.ravel(), "left").sum()',
        "after": 'np.searchsorted(ordered, a.ravel(), "right").sum()',
    },
    {
        "name": "a bootstrap without repetition",
        "module": "probes/statistics.py",
        "before": "resampled = [statistic(rng.integers(0, n, n)) for _ in range(draws)]",
        "after": "resampled = [statistic(rng.permutation(n)) for _ in range(draws)]",
    },
    {
        "name": "readers learn from the sounds they are scored on",
        "module": "probes/decoding.py",
        "before": "said[inside] = ridge(features[~inside], labels[~inside], features[inside])",
        "after": "said[inside] = ridge(features, labels, features[inside])",
    },
    {
        "name": "a reader is scaled by the sounds it is scored on",
        "module": "probes/decoding.py",
        "before": "test = (test[:, heard] - centre[heard]) / scale[heard]",
        "after": "test = (test[:, heard] - test[:, heard].mean(axis=0)) / np.maximum(test[:, heard].std(axis=0), 1e-12)",
    },
    {
        "name": "the better of two readers is chosen where it is scored",
        "module": "probes/presence.py",
        "before": "return np.nanmean([tables[0][best[1], partials], tables[1][best[0], partials]], axis=0)",
        "after": "return np.nanmean([tables[0][best[0], partials], tables[1][best[1], partials]], axis=0)",
    },
    {
        "name": "the null takes the luckiest partial",
        "module": "probes/presence.py",
        "before": "areas += (won[:, usable] / pairs[usable]).sum(axis=1)",
        "after": "areas += (won[:, usable] / pairs[usable]).max(axis=1)",
    },
    {
        "name": "a control that is the encoder on trial",
        "module": "tests/trial.py",
        "before": "self._control(claim, control.encoder, control.expected, site) for control in claim.controls",
        "after": "self._control(claim, spec, control.expected, site) for control in claim.controls",
        "tests": ["tests/harness/test_trial.py"],
    },
    {
        "name": "a control that came out wrong is forgiven",
        "module": "tests/trial.py",
        "before": 'wrong = [each for each in record["controls"] if each["verdict"] != each["expected"]]',
        "after": 'wrong = [each for each in record["controls"] if each["verdict"] == "insufficient"]',
        "tests": ["tests/harness/test_trial.py"],
    },
]
