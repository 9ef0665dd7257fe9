"""EnCodec through the contract: what its sites are, and that asking changes nothing."""

import hashlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from testtone.models import encodec, quantisers
from testtone.models.encodec import CHECKPOINT, EncodecEncoder, published, untrained
from testtone.models.protocol import SITES, Encoder
from testtone.models.weights import WeightsError

SAMPLE_RATE = 24_000
MARGIN = 30
"""Frames from which on an untrained encoder has forgotten how its clip began."""


def noise(clips: int, *, seconds: float = 1.0, rms: float = 0.1, seed: int = 1) -> torch.Tensor:
    generator = np.random.default_rng(seed)
    return torch.from_numpy((rms * generator.standard_normal((clips, round(seconds * SAMPLE_RATE)))).astype(np.float32))


@pytest.fixture(scope="module")
def gain() -> EncodecEncoder:
    """Return the encoder with gain and fitted codebooks."""
    return untrained(init="gain")


@pytest.fixture(scope="module")
def default() -> EncodecEncoder:
    """Return the default initialisation without quantiser."""
    return untrained(init="default", quantise=False)


def whole_model(encoder: EncodecEncoder):
    """Return the package's own model with the weights and codebooks of `encoder`."""
    model = encodec._empty_model()
    model.encoder.model = encoder.module
    model.quantizer = encoder._quantizer
    model.set_target_bandwidth(encoder.bandwidth_kbps)
    return model


def test_all_sites_of_one_pass(gain: EncodecEncoder) -> None:
    heard = gain.listen(noise(2, seconds=0.5))
    assert isinstance(gain, Encoder)
    assert {site: tuple(values.shape) for site, values in heard.items()} == {
        "first_conv": (2, 32, 12_000),
        "stack_end": (2, 512, 38),
        "latent": (2, 128, 38),
        "quantised": (2, 128, 38),
        "codes": (2, 8, 38),
    }
    assert list(heard) == [*SITES, "codes"]
    assert all(heard[site].dtype == torch.float32 for site in SITES)
    assert not heard["codes"].is_floating_point()
    assert not any(values.requires_grad for values in heard.values())


@pytest.mark.parametrize("asked", [*((site,) for site in (*SITES, "codes")), ("stack_end", "latent")], ids="-".join)
def test_some_sites_are_those_of_a_whole_pass_and_nothing_behind_them_is_heard(gain, monkeypatch, asked) -> None:
    clips = noise(8, seconds=0.7)
    whole = gain.listen(clips)
    heard_by: list[int] = []
    deepest = max(map([*SITES, "codes"].index, asked))
    with monkeypatch.context() as meanwhile:
        for index, layer in enumerate(gain.module):
            through = layer.forward
            meanwhile.setattr(layer, "forward", lambda v, i=index, f=through: heard_by.append(i) or f(v))
        if deepest < SITES.index("quantised"):
            meanwhile.setattr(encodec, "quantised", None)
        heard = gain.listen_at(clips, asked)
    assert set(heard) == set(asked)
    assert all(torch.equal(heard[site], whole[site]) for site in asked)
    assert (
        max(heard_by, default=0) <= (0, gain._stack_end, len(gain.module), len(gain.module), len(gain.module))[deepest]
    )


def test_what_it_says_of_itself(gain: EncodecEncoder, default: EncodecEncoder) -> None:
    assert gain.strides == (2, 4, 5, 8)
    assert gain.frame_rates == {"first_conv": 24e3, "stack_end": 75.0, "latent": 75.0, "quantised": 75.0, "codes": 75.0}
    assert set(default.frame_rates) == {"first_conv", "stack_end", "latent"}
    assert (gain.bandwidth_kbps, gain.codebooks, default.codebooks) == (6.0, 8, 0)
    assert (gain.name, default.name) == ("encodec-24khz-gain", "encodec-24khz-default")
    assert untrained(init="gain", seed=3, quantise=False).name == "encodec-24khz-gain(seed=3)"
    # 7.42 million weights in the encoder, and eight codebooks of 1024 entries of 128 numbers.
    assert gain.parameters - default.parameters == 8 * 1024 * 128
    assert default.parameters == sum(
        values.numel() for name, values in default.module.named_parameters() if not name.endswith("weight_g")
    )
    assert len(gain.weights_sha256) == 64
    assert gain.weights_sha256 != default.weights_sha256


@pytest.mark.parametrize("samples", [24_000, 7_001, 333, 5])
def test_it_hears_as_its_own_package_does(gain: EncodecEncoder, samples: int) -> None:
    clips = noise(2)[:, :samples]
    heard = gain.listen(clips)
    model = whole_model(gain)
    with torch.no_grad():
        ((codes, scale),) = model.encode(clips[:, None])
        assert torch.equal(heard["latent"], model.encoder(clips[:, None]))
        assert torch.equal(heard["quantised"], model.quantizer.decode(codes.transpose(0, 1)))
        first = model.encoder.model[0](clips[:, None])
        assert torch.equal(heard["first_conv"], first)
        stack_end = model.encoder.model[:13](clips[:, None])
        assert torch.equal(heard["stack_end"], stack_end)
    assert scale is None
    assert torch.equal(heard["codes"], codes)


def test_asking_changes_nothing(gain: EncodecEncoder) -> None:
    clips = noise(2, seconds=0.3)
    before, state, threads = clips.clone(), torch.random.get_rng_state(), torch.get_num_threads()
    numpy_state = np.random.get_state()[1].copy()
    first = gain.listen(clips)
    again = gain.listen(clips)
    untrained(init="gain", seed=5, quantise=False).listen(clips)
    untrained(init="default", seed=5, quantise=False).listen(clips)
    assert torch.equal(clips, before)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)
    assert torch.get_num_threads() == threads
    assert all(torch.equal(first[site], again[site]) for site in first)
    assert not gain.module.training


def test_activations_in_place_do_not_reach_the_taps(default: EncodecEncoder) -> None:
    clips = noise(1, seconds=0.3)
    heard = default.listen(clips)
    activations = [layer for layer in default.module.modules() if isinstance(layer, nn.ELU)]
    assert activations
    try:
        for layer in activations:
            layer.inplace = True
        again = default.listen(clips)
    finally:
        for layer in activations:
            layer.inplace = False
    assert torch.equal(again["first_conv"], heard["first_conv"])
    assert torch.equal(again["stack_end"], heard["stack_end"])


def test_the_first_convolution_is_its_filters(gain: EncodecEncoder) -> None:
    (clip,) = noise(1, seconds=0.1).numpy()
    heard = gain.listen(torch.from_numpy(clip[None]))["first_conv"][0].numpy()
    filters = gain.first_conv_filters
    assert filters.shape == (32, 7)
    for channel in (0, 31):
        expected = np.correlate(clip, filters[channel], mode="valid")
        np.testing.assert_allclose(heard[channel, 6:], expected, atol=1e-6)


def test_the_stack_end_feeds_the_lstm(default: EncodecEncoder) -> None:
    heard = default.listen(noise(1, seconds=0.3))
    kinds = [type(layer).__name__ for layer in default.module]
    after = default.module[kinds.index("SLSTM") :]
    with torch.no_grad():
        assert torch.equal(after(heard["stack_end"]), heard["latent"])


def test_it_is_causal_and_its_margins_say_so(gain: EncodecEncoder) -> None:
    clip = noise(1, seconds=1.0)
    other = clip.clone()
    other[:, 40 * 320 :] = 0.0
    heard, changed = gain.listen(clip), gain.listen(other)
    for site in ("stack_end", "latent", "codes"):
        assert torch.equal(heard[site][..., :40], changed[site][..., :40])
        assert not torch.equal(heard[site][..., 40], changed[site][..., 40])
    assert all(end == 0.0 for _, end in gain.margin_seconds.values())


def test_before_the_margin_a_frame_knows_how_its_clip_began(gain: EncodecEncoder, default: EncodecEncoder) -> None:
    clip = noise(1, seconds=2.0, seed=4)
    for encoder in (gain, default):
        whole, excerpt = encoder.listen(clip), encoder.listen(clip[:, 75 * 320 :])
        stack = round(encoder.margin_seconds["stack_end"][0] * SAMPLE_RATE)
        # 478 samples before the hop that a frame stands for: two frames.
        assert stack == 478
        assert torch.allclose(excerpt["stack_end"][..., 2:], whole["stack_end"][..., 77:], atol=1e-5)
        assert not torch.allclose(excerpt["stack_end"][..., 1], whole["stack_end"][..., 76], atol=1e-3)
        assert encoder.margin_seconds["latent"][0] == pytest.approx(0.4)
        edge = round(encoder.margin_seconds["latent"][0] * 75)
        response = whole["latent"] - whole["latent"].mean(dim=2, keepdim=True)
        moved = (excerpt["latent"] - whole["latent"][..., 75:])[..., edge:]
        assert moved.square().mean() < (5e-3) ** 2 * response.square().mean()


def additivity_residual(encoder: EncodecEncoder, rms: float) -> float:
    """Return the share of energy in E(a + b) that E(a) + E(b) leaves over, about silence, at the latent."""
    generator = np.random.default_rng(2)
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    hz, phase = generator.uniform(100, 4000, (2, 3, 1)), generator.uniform(0, 6.28, (2, 3, 1))
    a, b = torch.from_numpy((rms * 2**0.5 * np.sin(2 * np.pi * hz * time + phase)).astype(np.float32))
    silence, *codes = (encoder.listen(x)["latent"][..., MARGIN:] for x in (torch.zeros(1, SAMPLE_RATE), a, b, a + b))
    a, b, both = (code - silence for code in codes)
    return float((both - a - b).square().sum() / both.square().sum())


def test_the_default_is_almost_linear_and_the_gain_is_not(gain: EncodecEncoder, default: EncodecEncoder) -> None:
    # At RMS .1 the default leaves some 6e-4, the gain .46.
    assert 1e-4 < additivity_residual(default, 0.1) < 2e-3
    assert additivity_residual(default, 0.5) < 0.03
    assert 0.35 < additivity_residual(gain, 0.1) < 0.6


def test_silence_settles(default: EncodecEncoder, gain: EncodecEncoder) -> None:
    code = default.listen(torch.zeros(1, SAMPLE_RATE))["latent"][0]
    change = (code[:, MARGIN:] - code[:, -1:]).norm(dim=0) / code[:, -1].norm()
    assert change.max() < 1e-5
    # Without biases, nothing comes of nothing.
    assert not gain.listen(torch.zeros(1, SAMPLE_RATE))["latent"].any()


def test_weights_with_gain_have_the_gain(gain: EncodecEncoder) -> None:
    layers = [layer for layer in gain.module.modules() if isinstance(layer, nn.Conv1d)]
    assert len(layers) == 18
    gain.listen(noise(1, seconds=0.1))
    for layer in layers:
        # Where a weight is a direction times a length, this is what the last forward pass multiplied by.
        weight = layer.weight.detach()
        fan_in = weight[0].numel()
        assert float(weight.std() * fan_in**0.5) == pytest.approx(1.3, rel=4 / (2 * weight.numel()) ** 0.5)
        assert not layer.bias.any()
    lstm = next(layer for layer in gain.module.modules() if isinstance(layer, nn.LSTM))
    for name, values in lstm.named_parameters():
        if name.startswith("bias"):
            assert not values.any()
        else:
            assert float(values.std() * 512**0.5) == pytest.approx(1.3, rel=0.01)


def test_a_seed_is_an_encoder() -> None:
    clip = noise(1, seconds=0.1)
    for init in ("default", "gain"):
        one, same, other = (untrained(init=init, seed=seed, quantise=False) for seed in (1, 1, 2))
        assert one.weights_sha256 == same.weights_sha256 != other.weights_sha256
        assert torch.equal(one.listen(clip)["latent"], same.listen(clip)["latent"])
        assert not torch.allclose(one.listen(clip)["latent"], other.listen(clip)["latent"])


def test_every_codebook_serves_sounds_it_was_not_fitted_to(gain: EncodecEncoder) -> None:
    heard = gain.listen(noise(6, seconds=1.2, seed=8))
    latent, codes = heard["latent"][..., MARGIN:], heard["codes"]
    assert torch.equal(gain.dequantise(codes), heard["quantised"])
    errors = [float((latent - gain.dequantise(codes[:, :depth])[..., MARGIN:]).square().sum()) for depth in range(1, 9)]
    assert all(after < 0.98 * before for before, after in pairwise(errors))
    for depth in range(8):
        share = torch.bincount(codes[:, depth, MARGIN:].flatten(), minlength=1024).double()
        share = share / share.sum()
        assert float(torch.exp(-torch.xlogy(share, share).sum())) > 50
    assert min(gain.perplexities) > 100


def test_the_gradient_is_that_of_what_is_heard(default: EncodecEncoder) -> None:
    clip = noise(1, seconds=0.1).requires_grad_()
    heard = default.listen_with_gradient(clip)
    assert torch.allclose(heard["latent"].detach(), default.listen(clip)["latent"], atol=1e-6)
    (slope,) = torch.autograd.grad(heard["latent"][0, 5, 6], clip)
    step = 1e-2 * slope / slope.norm()
    ahead, behind = (default.listen(clip.detach() + sign * step)["latent"][0, 5, 6] for sign in (1, -1))
    assert float((ahead - behind) / 2) == pytest.approx(float(1e-2 * slope.norm()), rel=0.02)
    # Causal: frame 6 ends with sample 2240.
    assert not slope[0, 7 * 320 :].any()


@pytest.fixture(scope="module")
def checkpoint(gain: EncodecEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file as the published one is, with other weights."""
    path = tmp_path_factory.mktemp("weights") / "mine.th"
    torch.save(whole_model(gain).state_dict(), path)
    return path


def test_weights_from_a_file_are_those_in_it(gain: EncodecEncoder, checkpoint: Path) -> None:
    loaded = published(path=checkpoint)
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert loaded.name == f"encodec-24khz(mine.th, sha256 {digest[:12]})"
    assert loaded.weights_sha256 == gain.weights_sha256
    clip = noise(1, seconds=0.2)
    assert torch.equal(loaded.listen(clip)["codes"], gain.listen(clip)["codes"])
    assert published(path=checkpoint, bandwidth_kbps=1.5).listen(clip)["codes"].shape[1] == 2


def test_weights_that_will_not_do(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusal(path: Path | None) -> str:
        with pytest.raises(WeightsError) as caught:
            published(path=path)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    posing = tmp_path / CHECKPOINT
    posing.write_bytes(b"not what it says")
    assert (
        f"sha256 {hashlib.sha256(b'not what it says').hexdigest()}, expected one that begins with d7cc33bc"
        in refusal(posing)
    )
    assert "is not a file" in refusal(tmp_path / "absent.th")
    (tmp_path / "text.th").write_text("hello")
    assert "is not a file of torch weights" in refusal(tmp_path / "text.th")
    torch.save({"layer.weight": torch.zeros(2)}, tmp_path / "small.th")
    assert "holds no weights of EnCodec at 24 kHz (Missing key" in refusal(tmp_path / "small.th")
    torch.save(encodec._empty_model().state_dict(), tmp_path / "raw.th")
    assert "codebooks that were never fitted" in refusal(tmp_path / "raw.th")
    monkeypatch.setattr(encodec.import_encodec().model, "ROOT_URL", "file:///nowhere/")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    unreachable = refusal(None)
    assert f"fetch file:///nowhere/{CHECKPOINT} yourself" in unreachable
    assert f"put it at {tmp_path / 'cache' / 'testtone' / CHECKPOINT}" in unreachable
    assert "begins with d7cc33bc" in unreachable


def test_the_calibration_set_is_sound_at_many_levels() -> None:
    clips = quantisers.calibration_waveforms(sample_rate=SAMPLE_RATE)
    assert clips.shape == (20, 60_000)
    assert np.abs(clips).max() <= 1.0
    levels = 20 * np.log10(np.sqrt(np.mean(np.square(clips.reshape(20, -1, 2400)), axis=2)) + 1e-9)
    assert (levels < -120).mean() > 0.02
    assert np.percentile(levels, 95) - np.percentile(levels, 30) > 20
    assert np.array_equal(clips, quantisers.calibration_waveforms(sample_rate=SAMPLE_RATE))
    assert not np.array_equal(clips, quantisers.calibration_waveforms(sample_rate=SAMPLE_RATE, seed=1))


def test_residual_codebooks_find_clusters_of_clusters() -> None:
    """Eight far points, each with four near points around it: two codebooks say which and which."""
    generator = torch.Generator().manual_seed(0)
    far = 10.0 * torch.randn(8, 6, generator=generator) + 100.0
    near = torch.randn(4, 6, generator=generator)
    vectors = (far[:, None] + near).reshape(-1, 6).repeat(20, 1)
    fitted = quantisers.fit_residual_codebooks(vectors, codebooks=2, entries=8, mixtures=None, iterations=20)
    first, second = fitted.entries
    nearest = torch.cdist(vectors, first).argmin(dim=1)
    assert len(nearest.unique()) == 8
    residual = vectors - first[nearest]
    rest = residual - second[torch.cdist(residual, second).argmin(dim=1)]
    assert rest.square().sum() < 0.05 * residual.square().sum()
    assert fitted.counts.sum(dim=1).tolist() == [640.0, 640.0]
    # Lloyd's algorithm may leave two far points to one entry; it may not leave entries idle.
    assert fitted.perplexities[0] > 7.0


@pytest.mark.parametrize(
    ("build", "message"),
    [
        pytest.param(lambda: untrained(bandwidth_kbps=5.0), r"bandwidth_kbps=5.0 must be one of \[1.5, 3.0", id="rate"),
        pytest.param(lambda: untrained(init="gian"), r"init='gian' must be 'default' or 'gain'", id="init"),
        pytest.param(lambda: untrained(init="gain", gain=0.0), r"gain=0.0 must be positive", id="gain"),
        pytest.param(
            lambda: untrained(quantise=False).listen(torch.zeros(8)), r"shape \(8,\) must be 'batch samples'", id="flat"
        ),
        pytest.param(
            lambda: untrained(quantise=False).dequantise([[[0]]]), r"without its quantiser", id="without quantiser"
        ),
        pytest.param(
            lambda: quantisers.fit_residual_codebooks(torch.zeros(5, 2), codebooks=1, mixtures=None),
            r"entries=1024 is more than the 5 vectors",
            id="few vectors",
        ),
        pytest.param(
            lambda: quantisers.fit_residual_codebooks(torch.full((5, 2), torch.nan), codebooks=1),
            r"vectors must be finite",
            id="not finite",
        ),
    ],
)
def test_what_cannot_be_is_refused(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_more_codebooks_than_there_are(gain: EncodecEncoder) -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 9, 4\) .* 1 to 8 codebooks"):
        gain.dequantise(torch.zeros(1, 9, 4, dtype=torch.long))
