"""Encoders of one clip length, and encoders that need long clips: longer sounds, and clips as long as they must be."""

import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from testtone.models import tap
from testtone.models.listening import EncoderFault, Listener, Margin
from testtone.models.references import holistic_features, power_filterbank
from testtone.models.windows import View
from testtone.probes import statistics
from testtone.probes.hearing import Listen, ear_of, hear
from testtone.probes.readouts import Frames
from testtone.stimuli import Partial, Stimulus, Tone, silence
from testtone.tests.claim import Claim
from testtone.tests.claims.test_alias_collapse import CLAIM as ALIAS
from testtone.tests.claims.test_holistic_texture import CLAIM as HOLISTIC
from testtone.tests.claims.test_pitch_direction import CLAIM as PITCH

SAMPLE_RATE = 8000
WINDOW = 3000


class Clips:
    """Hears clips of `WINDOW` samples alone; 'latent' is the mean of all frames of what it wraps."""

    name = "clips"
    sample_rate = SAMPLE_RATE
    input_samples: Any = WINDOW

    def __init__(self, inner: Any = None, *, several: bool = False) -> None:
        self.inner = inner or power_filterbank(sample_rate=SAMPLE_RATE, hop=80, window_seconds=0.05)
        self.several = several

    def listen(self, waveforms: Tensor) -> dict[str, Any]:
        """Return 'latent', and 'stack_end' if several frames are wanted."""
        if waveforms.shape[1] != WINDOW:
            raise ValueError(f"{waveforms.shape[1]} samples")
        frames = torch.as_tensor(self.inner.listen(waveforms)["latent"])
        mean = {"latent": frames.mean(dim=2, keepdim=True)}
        return mean | ({"stack_end": frames} if self.several else {})


class Convolutions(nn.Module):
    """Two convolutions, padded or not, and a mean."""

    def __init__(self, *, padding: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.first = nn.Conv1d(1, 8, 40, stride=8, padding=padding)
            self.rest = nn.Sequential(nn.ELU(), nn.Conv1d(8, 8, 25, stride=10, padding=padding // 2))
        self.mean = nn.AdaptiveAvgPool1d(1)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Return one vector a clip."""
        return self.mean(self.rest(self.first(waveforms)))


def noise(clips: int, samples: int) -> NDArray[np.float32]:
    return (0.1 * np.random.default_rng(9).standard_normal((clips, samples))).astype(np.float32)


# --- one frame a clip -----------------------------------------------------------------------------------------------


def test_each_frame_is_a_window_and_the_next_begins_a_shift_later() -> None:
    encoder = Clips()
    listener = Listener(encoder)
    shift = round(WINDOW / 64)
    assert listener.sites == listener.shifted == ("latent",)
    assert listener.frame_rates == {"latent": SAMPLE_RATE / shift}
    assert listener.margins == {"latent": Margin(0, 0)}
    sound = noise(3, WINDOW + 10 * shift + 5)
    heard = listener.listen(sound).values["latent"]
    assert heard.shape == (3, 128, 11)
    for frame in (0, 4, 10):
        window = torch.from_numpy(sound[:, frame * shift : frame * shift + WINDOW])
        np.testing.assert_allclose(heard[:, :, frame], encoder.listen(window)["latent"][:, :, 0], rtol=1e-5)


def test_the_encoder_may_say_how_far_to_shift() -> None:
    encoder = Clips()
    encoder.shift_samples = 500  # type: ignore[attr-defined]
    listener = Listener(encoder)
    assert listener.frame_rates == {"latent": 16.0}
    assert listener.listen(noise(1, WINDOW + 999)).values["latent"].shape[2] == 2


def test_a_clip_of_one_window_is_one_frame() -> None:
    assert Listener(Clips()).listen(noise(2, WINDOW)).values["latent"].shape == (2, 128, 1)
    with pytest.raises(EncoderFault, match=f"clips: a clip of 2999 samples is shorter than input_samples={WINDOW}"):
        Listener(Clips()).listen(noise(2, WINDOW - 1))


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"input_samples": 0}, "input_samples=0 is not a positive whole number of samples"),
        ({"input_samples": 3000.0}, "input_samples=3000.0 is not a positive whole number of samples"),
        ({"input_samples": True}, "input_samples=True is not a positive whole number of samples"),
        ({"shift_samples": 0}, "shift_samples=0 is not a positive whole number of samples"),
        ({"shift_samples": 3001}, "shift_samples=3001 is not a positive whole number of samples, 3000 at most"),
        ({"shift_samples": "1/64"}, "shift_samples='1/64' is not a positive whole number of samples"),
        ({"input_samples": 2999}, "listen() raised ValueError: 2999 samples"),
    ],
    ids=["none", "not whole", "a boolean", "no shift", "beyond the window", "words", "another length"],
)
def test_lengths_that_cannot_be_are_refused(attributes: dict[str, Any], message: str) -> None:
    encoder = Clips()
    for name, value in attributes.items():
        setattr(encoder, name, value)
    with pytest.raises(EncoderFault, match="^clips: " + re.escape(message) + "$"):
        _ = Listener(encoder).frame_rates


def test_an_encoder_of_one_frame_that_does_not_say_so_is_told_what_to_say() -> None:
    class Mean(Clips):
        input_samples = None

        def listen(self, waveforms: Tensor) -> dict[str, Any]:
            return {"latent": waveforms.square().mean(dim=1)[:, None, None]}

    with pytest.raises(
        EncoderFault, match="no frame rate can be counted; if it takes clips of one length, set input_sam"
    ):
        _ = Listener(Mean()).frame_rates


# --- many frames a clip ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", [0, 16], ids=["without padding", "padded"])
@pytest.mark.parametrize("window", [3000, 4096, 4001])
def test_windows_of_convolutions_are_laid_end_to_end(padding: int, window: int) -> None:
    net = Convolutions(padding=padding)
    sites = {"first_conv": "first", "stack_end": "rest.1"}
    listener = Listener(tap(net, sample_rate=SAMPLE_RATE, latent="mean", input_samples=window, **sites))
    assert listener.frame_rates["first_conv"] == 1000.0
    assert listener.frame_rates["stack_end"] == 100.0
    assert listener.shifted == ("latent",)
    sound = noise(2, 2 * window + 1234)
    heard = listener.listen(sound).values
    whole = tap(net, sample_rate=SAMPLE_RATE, **sites).listen(torch.from_numpy(sound))
    for site in sites:
        # As if it had heard the whole: within the last hop, and to rounding.
        frames = heard[site].shape[2]
        assert 0 <= whole[site].shape[2] - frames <= 1
        apart = np.abs(heard[site] - whole[site].numpy()[..., :frames])
        margin = listener.margins[site]
        assert apart[..., : frames - margin.right].max() < 1e-5
        assert frames >= len(sound[0]) / SAMPLE_RATE * listener.frame_rates[site] - listener.missing_frames[site]


def test_declared_rates_and_strides_are_believed_if_they_are_true() -> None:
    net = Convolutions()

    def views(**declared: Any) -> dict[str, View]:
        encoder = tap(net, sample_rate=SAMPLE_RATE, stack_end="rest.1", latent="mean", input_samples=3000, **declared)
        listener = Listener(encoder)
        assert listener._windows is not None
        return dict(listener._windows.views)

    assert views()["stack_end"] == views(frame_rates={"stack_end": 100.0})["stack_end"]
    assert views()["stack_end"] == views(strides=(8, 10))["stack_end"]
    # Not true: no two windows agree on it, and each gives one frame.
    assert views(frame_rates={"stack_end": 80.0})["stack_end"].slides
    told = views(frame_rates={"stack_end": 100.0}, margin_seconds={"stack_end": (0.1, 0.05)})["stack_end"]
    assert (told.left, told.right) == (10, 5)


def test_where_every_frame_hears_the_whole_window_each_window_gives_its_middle_one() -> None:
    class Levelled(Clips):
        def listen(self, waveforms: Tensor) -> dict[str, Any]:
            frames = super().listen(waveforms)["stack_end"]
            return {"latent": frames / frames.mean(dim=(1, 2), keepdim=True).clamp_min(1e-12)}

    encoder = Levelled(several=True)
    listener = Listener(encoder)
    assert listener.shifted == ("latent",)
    sound = noise(1, WINDOW + 94)
    heard = listener.listen(sound).values["latent"]
    frames = encoder.listen(torch.from_numpy(sound[:, 94:]))["latent"]
    assert (frames.shape[2], heard.shape[2]) == (38, 3)
    np.testing.assert_allclose(heard[0, :, 2], frames[0, :, 19], rtol=1e-5)


def test_codes_go_the_way_of_the_latent_they_stand_for() -> None:
    class Coder(Clips):
        def listen(self, waveforms: Tensor) -> dict[str, Any]:
            frames = super().listen(waveforms)["stack_end"]
            return {"latent": frames, "codes": frames.argmax(dim=1, keepdim=True), "quantised": frames.sign()}

    listener = Listener(Coder(several=True))
    heard = listener.listen(noise(2, 2 * WINDOW)).values
    assert {site: values.shape[2] for site, values in heard.items()} == {"latent": 75, "codes": 75, "quantised": 75}
    assert heard["codes"].dtype == np.int64
    np.testing.assert_array_equal(heard["codes"][:, 0], heard["latent"].argmax(axis=1))


@pytest.mark.parametrize(
    "view",
    [View(1, 7, pick=0), View(1, 7, pick=19), View(5, 7), View(5, 7, 2, 2), View(38, 7, 0, 1), View(38, 7, 3, 4)],
    ids=["one", "the middle one", "all", "one of five", "without the last", "of many"],
)
def test_the_pieces_of_a_view_cover_all_frames_once(view: View) -> None:
    for samples in range(300, 300 + 7 * 90, 13):
        kept = np.zeros(view.count(samples, 300), int)
        for start, taken, put in view.pieces(samples, 300):
            assert start + 300 <= samples
            assert taken.stop - taken.start == put.stop - put.start
            kept[put] += 1
        assert (kept == 1).all()


# --- what probes ask for --------------------------------------------------------------------------------------------


def tone(seconds: float) -> Stimulus:
    return Stimulus.of(Tone((Partial(1000.0, 0.1),)), seconds=seconds)


def long_windows(*, needs: int, hop: int = 243, window: int = 19_683) -> Any:
    """Return an encoder evaluated densely: a frame every hop, each of a whole window, and no clip shorter than that."""

    class Long:
        name = "long windows"
        sample_rate = SAMPLE_RATE

        def listen(self, waveforms: Tensor) -> dict[str, Any]:
            if waveforms.shape[1] < needs:
                raise ValueError(f"clips of {needs} samples or more")
            power = nn.functional.avg_pool1d(waveforms[:, None].square(), hop)
            return {"stack_end": power, "latent": nn.functional.avg_pool1d(power, window // hop, stride=1)}

    return Long()


def test_an_encoder_of_long_windows_is_asked_for_clips_that_hold_them() -> None:
    # 2.46 s a window, 81 hops: a clip has 80 frames fewer than its length times the rate.
    encoder = long_windows(needs=19_683)
    listener = Listener(encoder)
    assert listener.frame_rates == {"stack_end": SAMPLE_RATE / 243, "latent": SAMPLE_RATE / 243}
    assert listener.missing_frames == {"stack_end": 1, "latent": 81}
    assert listener.least_seconds == 19_683 / SAMPLE_RATE
    # Its windows stand within the clip: no edge is heard.
    assert listener.margins == {"stack_end": Margin(1, 1), "latent": Margin(1, 1)}
    ear = ear_of(listener, ("stack_end", "latent"))
    # 24 frames, and one at each end for the margin and for the ramp.
    assert ear.seconds(24) == pytest.approx((24 + 4 + 81) * 243 / SAMPLE_RATE)
    assert ear.seconds(24, sites=["stack_end"]) >= listener.least_seconds


def test_clips_are_never_shorter_than_what_is_heard() -> None:
    encoder = long_windows(needs=20_001, window=243)
    listener = Listener(encoder)
    assert listener.missing_frames == {"stack_end": 1, "latent": 1}
    assert listener.least_seconds == 20_001 / SAMPLE_RATE
    assert ear_of(listener, ("latent",)).seconds(24) == pytest.approx(math.ceil(20_001 / 243) * 243 / SAMPLE_RATE)


def test_an_encoder_that_hears_a_second_is_asked_no_more_than_before() -> None:
    assert Listener(power_filterbank()).least_seconds == 0.0


@pytest.mark.parametrize(
    "encoder",
    [Clips(), Clips(several=True), tap(Convolutions(), sample_rate=SAMPLE_RATE, stack_end="rest.1", latent="mean",
                                       input_samples=4001), long_windows(needs=19_683)],
    ids=["one frame", "and many", "convolutions", "long windows"],
)  # fmt: skip
@pytest.mark.parametrize("count", [1, 24, 72])
def test_a_probe_gets_as_many_frames_as_it_asks_for(encoder: Any, count: int) -> None:
    listener = Listener(encoder)
    ear = ear_of(listener, ("stack_end", "latent"))
    kept: list[Any] = []

    def probe() -> Any:
        seconds = ear.seconds(count)
        kept.extend((yield [Listen((tone(seconds), silence(seconds)), Frames(count))]))
        return {}

    found = hear(listener, {"probe": (ear, probe())})["probe"]
    assert (found.fault, found.error) == (None, None)
    for site in ear.sites:
        assert kept[0][site].shape[2] == count
        assert kept[0][site][0].any()
        assert not kept[0][site][1].any()


# --- claims ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoder", "expected"),
    [
        (Clips(power_filterbank(sample_rate=SAMPLE_RATE, hop=300)), {HOLISTIC: "refuted", PITCH: "supported"}),
        (Clips(holistic_features(sample_rate=SAMPLE_RATE, hop=600)), {HOLISTIC: "supported", PITCH: "refuted"}),
    ],
    ids=["filterbank", "features"],
)
def test_claims_are_decided_on_clips_of_one_length(encoder: Clips, expected: dict[Claim, str]) -> None:
    """Ear-wide bands are a sum of parts, in which a pitch always adds the same; saturating features are a texture."""
    listener = Listener(encoder)
    ear = ear_of(listener, ("stack_end", "latent", "quantised"))
    probes = {claim: (ear, claim.probe(ear, np.random.default_rng(0), "quick")) for claim in (*expected, ALIAS)}
    heard = hear(listener, {claim.id: probe for claim, probe in probes.items()})
    assert [each.fault or each.error for each in heard.values()] == [None, None, None]
    measured = {name: each.measurements["latent"] for name, each in heard.items()}
    for claim, verdict in expected.items():
        assert statistics.verdict(measured[claim.id].effect, claim.threshold) == verdict
    alias = measured["alias_collapse"]
    assert alias.not_applicable
    assert alias.reason == (
        "it gives one frame a clip: its frame rate is that of the windows it is heard in, and nothing folds there"
    )
