"""SampleCNN through the contract: the network of the paper on its own clip, and the same everywhere on longer ones."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from testtone.models import samplecnn
from testtone.models.listening import Listener
from testtone.models.protocol import SITES, Encoder
from testtone.models.quantisers import calibration_waveforms
from testtone.models.samplecnn import (
    GAIN,
    HIDDEN,
    HOP,
    SAMPLE_RATE,
    SAMPLES,
    WIDTHS,
    WINDOW,
    SampleCNN,
    SampleCNNEncoder,
    trained,
    untrained,
)
from testtone.models.specs import resolve
from testtone.models.weights import WeightsError

MIDDLE = WINDOW // 2
ROUNDING = 1e-4
"""Share of a site's size by which float32 may differ when the same sums are taken in another order."""


def noise(clips: int, samples: int, *, rms: float = 0.1, seed: int = 1) -> torch.Tensor:
    generator = np.random.default_rng(seed)
    return torch.from_numpy((rms * generator.standard_normal((clips, samples))).astype(np.float32))


def taught(seed: int = 3) -> SampleCNN:
    """Return a model whose batch norms have seen sound, as after training."""
    model = untrained(init="gain", seed=seed).model.train()
    with torch.no_grad():
        for index in range(8):
            model(noise(4, SAMPLES, seed=index))
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm1d):
                layer.bias.copy_(0.2 * torch.randn(layer.bias.shape, generator=torch.Generator().manual_seed(1)))
    return model.eval()


@pytest.fixture(scope="module")
def encoder() -> SampleCNNEncoder:
    """Return an encoder with lively batch norms."""
    return SampleCNNEncoder(taught(), name="taught")


def paper(model: SampleCNN) -> nn.Sequential:
    """Return the layers as the paper lists them, ReLU before pool, with the weights of `model`."""
    convolutions = [layer for layer in model.stack.modules() if isinstance(layer, nn.Conv1d)]
    norms = [layer for layer in model.stack.modules() if isinstance(layer, nn.BatchNorm1d)]
    layers: list[nn.Module] = [convolutions[0], norms[0], nn.ReLU()]
    for convolution, norm in zip(convolutions[1:-1], norms[1:-1], strict=True):
        layers += [convolution, norm, nn.ReLU(), nn.MaxPool1d(3)]
    layers += [convolutions[-1], norms[-1], nn.ReLU(), nn.Flatten(), model.hidden[0], nn.ReLU(), model.output]
    return nn.Sequential(*layers).eval()


def close(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    return bool((ours - theirs).abs().max() <= ROUNDING * theirs.abs().max())


def test_a_clip_of_its_own_length_is_the_network_of_the_paper(encoder):
    clips = noise(2, SAMPLES)
    layers = paper(encoder.model)
    expected, values = [], clips[:, None]
    with torch.no_grad():
        for layer in layers:
            values = layer(values)
            expected.append(values)
        assert torch.equal(encoder.model(clips), expected[-1])
    heard = encoder.listen(clips)
    assert close(heard["first_conv"], expected[0])
    assert close(heard["stack_end"][:, :, MIDDLE], expected[-8][:, :, 0])
    assert close(heard["latent"][:, :, MIDDLE], expected[-4])
    assert close(heard["quantised"][:, :, MIDDLE], expected[-2])
    assert float(expected[-2].std()) > 0.01


def test_it_has_the_layers_of_the_paper():
    model = SampleCNN(tags=50)
    shapes = [tuple(layer.weight.shape) for layer in model.modules() if isinstance(layer, nn.Conv1d)]
    assert shapes[0] == (WIDTHS[0], 1, 3)
    assert [shape[2] for shape in shapes] == [3] * 10 + [1]
    assert [layer.stride[0] for layer in model.modules() if isinstance(layer, nn.Conv1d)] == [3] + [1] * 10
    assert sum(isinstance(layer, nn.MaxPool1d) for layer in model.modules()) == 9
    assert model(torch.zeros(2, SAMPLES)).shape == (2, 50)


def test_all_sites_of_one_pass(encoder):
    heard = encoder.listen(noise(2, 3 * SAMPLE_RATE))
    assert isinstance(encoder, Encoder)
    frames = math.ceil(3 * SAMPLE_RATE / HOP)
    assert {site: tuple(values.shape) for site, values in heard.items()} == {
        "first_conv": (2, WIDTHS[0], SAMPLE_RATE),
        "stack_end": (2, WIDTHS[-1], frames),
        "latent": (2, HIDDEN, frames),
        "quantised": (2, HIDDEN, frames),
    }
    assert list(heard) == list(SITES)
    assert not any(values.requires_grad for values in heard.values())


def test_a_sound_that_comes_a_hop_later_is_heard_a_frame_later(encoder):
    clip = noise(1, 4 * SAMPLE_RATE)
    late = torch.cat([noise(1, 5 * HOP, seed=2), clip], dim=1)
    margin = Listener(encoder).margins["latent"].left
    now, then = encoder.listen(clip), encoder.listen(late)
    for site in SITES[1:]:
        frames = now[site].shape[2]
        expected = now[site][..., margin : frames - margin]
        assert expected.shape[2] > 30
        assert close(then[site][..., 5 + margin : 5 + frames - margin], expected)
        assert float(expected.std(dim=2).max()) > 0


def test_margins_are_as_wide_as_what_a_frame_hears(encoder):
    """Frames inside the margin do not hear what lies beyond the clip; the frames next to them do."""
    clip = noise(1, 4 * SAMPLE_RATE)
    before = noise(1, WINDOW * HOP, seed=5)
    margin = Listener(encoder).margins["stack_end"].left
    alone = encoder.listen(clip)["stack_end"]
    after = encoder.listen(torch.cat([before, clip], dim=1))["stack_end"][..., WINDOW:]
    differs = (alone - after).abs().amax(dim=(0, 1)) > ROUNDING * alone.abs().max()
    assert margin == MIDDLE + 1
    assert not differs[margin:].any()
    assert differs[:MIDDLE].all()
    assert encoder.margin_seconds["first_conv"] == 0.0


def test_the_listener_accepts_it(encoder):
    listener = Listener(encoder)
    assert listener.sites == SITES
    assert listener.frame_rates == {
        "first_conv": 7350.0,
        **dict.fromkeys(SITES[1:], pytest.approx(30.2469, abs=1e-4)),
    }
    assert set(listener.missing_frames.values()) == {0}
    assert math.prod(listener.strides or ()) == HOP
    alone = listener.listen(noise(1, SAMPLE_RATE).numpy()).values
    assert alone["latent"].shape == (1, HIDDEN, math.ceil(SAMPLE_RATE / HOP))


def test_it_answers_alike_whoever_shares_the_batch(encoder):
    clips = noise(3, 30_000)
    together = encoder.listen(clips)
    for row in range(3):
        alone = encoder.listen(clips[row : row + 1])
        assert all(torch.equal(alone[site][0], together[site][row]) for site in SITES)


def test_listening_leaves_its_input_and_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    clips = noise(1, 20_000)
    copy = clips.clone()
    untrained(init="default").listen(clips)
    assert torch.equal(clips, copy)
    assert torch.equal(torch.rand(1), expected)


def test_what_it_says_of_itself(encoder):
    heard = encoder.listen(noise(1, 3000))["first_conv"]
    filters = encoder.first_conv_filters
    assert filters.shape == (WIDTHS[0], 3)
    bias = encoder.module[0][0].bias[:, None]
    hops = noise(1, 3000).reshape(1000, 3).T
    assert close(heard[0], torch.from_numpy(filters) @ hops + bias)
    outputs = sum(values.numel() for values in encoder.model.output.parameters())
    assert encoder.parameters == sum(values.numel() for values in encoder.model.parameters()) - outputs
    assert len(encoder.weights_sha256) == 64
    with torch.no_grad():
        assert encoder.module(noise(2, SAMPLES)[:, None]).shape == (2, HIDDEN, 1)


@pytest.mark.parametrize("samples", [500, HOP, 7 * HOP + 1, SAMPLES, SAMPLES + 33 * HOP + 7])
def test_what_windows_share_is_what_each_would_hear_alone(encoder, samples):
    clips = noise(2, samples)
    heard = encoder.listen(clips)
    with torch.no_grad():
        alone = encoder._window_by_window(clips)
    assert list(heard) == list(alone)
    for site, values in heard.items():
        assert values.shape == alone[site].shape
        assert close(values, alone[site])
        assert float(values.std()) > 0.001


@pytest.mark.parametrize("samples", [500, SAMPLES - HOP, SAMPLES, 3 * SAMPLES + 100])
@pytest.mark.parametrize("asked", [("first_conv",), ("stack_end",), ("stack_end", "latent"), ("quantised",), SITES])
def test_some_sites_are_those_of_a_whole_pass_to_the_bit_where_windows_lie_within_the_clip(encoder, samples, asked):
    clips = noise(3, samples)
    clips[1:] = 0
    whole, heard = encoder.listen(clips), encoder.listen_at(clips, asked)
    assert set(heard) == set(asked)
    for site, values in heard.items():
        assert values.shape == whole[site].shape
        edge = math.floor(encoder.margin_seconds[site] * encoder.frame_rates[site])
        assert edge <= (0 if site == "first_conv" else MIDDLE)
        edge = edge if values.shape[2] > 2 * MIDDLE else 0
        assert torch.equal(values[..., edge : values.shape[2] - edge], whole[site][..., edge : values.shape[2] - edge])
        if edge:
            assert not values[..., :edge].any()
            assert not values[..., -edge:].any()


def test_gradients_reach_the_waveform_and_match_a_difference(encoder):
    clip = noise(1, 20_000).requires_grad_()
    heard = encoder.listen_with_gradient(clip)
    assert set(heard) == set(SITES)
    values = encoder.listen(clip.detach())
    assert all(close(heard[site].detach(), values[site]) for site in SITES)
    heard["latent"].square().sum().backward()
    gradient = clip.grad
    step = gradient / gradient.norm()
    ends = [encoder.listen(clip.detach() + sign * 1e-3 * step)["latent"].double().square().sum() for sign in (1, -1)]
    assert float(ends[0] - ends[1]) / 2e-3 == pytest.approx(float(gradient.norm()), rel=0.05)


@pytest.mark.parametrize("init", ["default", "gain"])
def test_twins_are_drawn_from_their_seed(init):
    first, again, other = untrained(init=init), untrained(init=init), untrained(init=init, seed=1)
    assert first.weights_sha256 == again.weights_sha256 != other.weights_sha256
    assert (first.name, other.name) == (f"samplecnn-{init}", f"samplecnn-{init}(seed=1)")
    assert not first.model.training


def test_with_gain_signals_keep_their_size_and_biases_are_silent():
    sizes = []
    for seed in range(4):
        model = untrained(init="gain", seed=seed).model
        values = noise(1, SAMPLES)[:, None]
        with torch.no_grad():
            for layer in model.stack:
                values = layer(values)
                sizes.append(float(values.square().mean().sqrt()) / 0.1)
            assert float(model(torch.zeros(1, SAMPLES)).abs().max()) == 0.0
    assert 0.4 < min(sizes) < max(sizes) < 2.5
    weight = untrained(init="gain").model.stack[4][0].weight
    assert float(weight.std()) == pytest.approx(GAIN / math.sqrt(3 * WIDTHS[3]), rel=0.02)


def test_by_default_every_layer_has_normalised_the_calibration_set():
    encoder = untrained(init="default")
    clips = torch.from_numpy(calibration_waveforms(sample_rate=SAMPLE_RATE, clips=16, seconds=SAMPLES / SAMPLE_RATE))
    sizes = []
    for layer in encoder.model.stack.modules():
        if isinstance(layer, nn.BatchNorm1d):
            layer.register_forward_hook(lambda _, __, out: sizes.append((out.mean(dim=(0, 2)), out.std(dim=(0, 2)))))
    with torch.no_grad():
        encoder.module(clips[:, None])
    assert len(sizes) == 11
    for mean, spread in sizes:
        # Running variances are those of samples, a sixteenth larger where each clip gives one value.
        assert float(mean.abs().max()) < 0.1
        assert float(spread.median()) == pytest.approx(1.0, abs=0.05)
    quiet = encoder.listen(torch.zeros(1, SAMPLES))["latent"][..., MIDDLE]
    moved = encoder.listen(noise(1, SAMPLES))["latent"][..., MIDDLE] - quiet
    assert float(moved.norm()) > 0.3 * float(quiet.norm()), "it hears"


def test_what_is_saved_is_loaded_again(tmp_path, encoder):
    path = tmp_path / "mine.safetensors"
    samplecnn.save(encoder.model, path, tags=("one",), metadata={"seed": 3})
    again = resolve(f"samplecnn:{path}")
    assert again.weights_sha256 == encoder.weights_sha256
    assert again.tags == ("one",)
    assert again.name.startswith("samplecnn(mine.safetensors, sha256 ")
    clips = noise(1, 10_000)
    assert torch.equal(again.listen(clips)["quantised"], encoder.listen(clips)["quantised"])


def test_files_that_hold_no_weights_are_one_line(tmp_path):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(json.dumps({"no": "weights"}).encode())
    with pytest.raises(WeightsError, match=r"broken\.safetensors holds no weights of samplecnn"):
        trained(path=broken)
    with pytest.raises(WeightsError, match="absent is not a file"):
        trained(path=tmp_path / "absent")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        pytest.param(lambda: untrained(init="xavier"), "init='xavier' must be 'default' or 'gain'", id="init"),
        pytest.param(lambda: untrained(init="gain", gain=0.0), r"gain=0\.0 must be positive", id="gain"),
        pytest.param(lambda: untrained().listen(torch.zeros(5)), r"shape \(5,\) must be 'batch samples'", id="flat"),
        pytest.param(lambda: untrained().listen(torch.zeros(1, 0)), r"shape \(1, 0\) must be", id="no samples"),
        pytest.param(lambda: SampleCNN(tags=1)(torch.zeros(1, 100)), r"shape \(1, 100\).*59049 samples", id="length"),
    ],
)
def test_wrong_calls_say_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
