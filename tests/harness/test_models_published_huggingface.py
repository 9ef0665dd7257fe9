"""Codecs as transformers runs them: small ones with random weights, saved to a folder and named by it."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from testtone.models import encodec, huggingface, resolve
from testtone.models.encodec import EncodecEncoder
from testtone.models.huggingface import HuggingFaceEncoder, pretrained
from testtone.models.initialisation import draw_with_gain
from testtone.models.listening import Listener
from testtone.models.protocol import OPTIONAL_ATTRIBUTES, SITES, Encoder
from testtone.models.specs import EncoderSpecError

ROOT = Path(__file__).resolve().parents[2]

SIZES: dict[str, dict[str, Any]] = {
    "encodec": {"num_filters": 4, "hidden_size": 16, "codebook_size": 16, "target_bandwidths": [0.6, 1.2]},
    "dac": {
        "encoder_hidden_size": 4,
        "decoder_hidden_size": 32,
        "downsampling_ratios": [2, 4, 5, 8],
        "n_codebooks": 3,
        "codebook_size": 16,
        "codebook_dim": 4,
    },
    "mimi": {
        "num_filters": 4,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "intermediate_size": 32,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "codebook_size": 16,
        "codebook_dim": 16,
        "vector_quantization_hidden_dimension": 16,
        "num_quantizers": 4,
        "upsample_groups": 32,
        "layer_scale_initial_scale": 0.3,
    },
}
SIZES["encodec-stereo"] = SIZES["encodec"] | {
    "sampling_rate": 48_000,
    "audio_channels": 2,
    "normalize": True,
    "chunk_length_s": 1.0,
    "overlap": 0.01,
    "norm_type": "time_group_norm",
    "use_causal_conv": False,
    "target_bandwidths": [1.2, 2.4],
}


def noise(clips: int, *, samples: int, rms: float = 0.1) -> torch.Tensor:
    generator = np.random.default_rng(1)
    return torch.from_numpy((rms * generator.standard_normal((clips, samples))).astype(np.float32))


def small(name: str) -> Any:
    """Return a small model of transformers with random weights and entries, in eval mode."""
    kind = name.partition("-")[0]
    transformers = huggingface._transformers()
    with torch.random.fork_rng(devices=[]), huggingface._quiet(transformers), huggingface.torchaudio_or_placeholder():
        torch.manual_seed(0)
        model_class = getattr(transformers, huggingface.KINDS[kind].model)
        model = model_class(model_class.config_class(**SIZES[name])).eval()
        with torch.no_grad():
            for key, values in model.quantizer.named_buffers():
                if key.endswith((".embed", ".embed_sum")):
                    values.normal_(std=0.1)
            if kind == "encodec":
                clips = noise(2, samples=model.config.sampling_rate // 2)[:, None]
                spread(
                    [layer.codebook for layer in model.quantizer.layers],
                    model.encoder(clips.expand(-1, model.config.audio_channels, -1)),
                )
    return model


def spread(codebooks: list[Any], latents: torch.Tensor) -> None:
    """Draw the entries of residual codebooks so that latents 'batch channels frames' fall on many of them."""
    generator = torch.Generator().manual_seed(3)
    vectors = latents.transpose(1, 2).flatten(0, 1)
    for index, codebook in enumerate(codebooks):
        entries = vectors.std(dim=0) * torch.randn(codebook.embed.shape, generator=generator)
        codebook.embed.copy_(entries + vectors.mean(dim=0) if index == 0 else entries)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function from the name of a small model to the folder that it was saved in."""
    folder = tmp_path_factory.mktemp("hub")

    def save(name: str) -> Path:
        if not (folder / name).exists():
            with huggingface._quiet(huggingface._transformers()):
                small(name).save_pretrained(folder / name)
        return folder / name

    return save


@pytest.fixture(scope="module", params=list(SIZES))
def encoder(request: pytest.FixtureRequest, saved: Callable[[str], Path]) -> HuggingFaceEncoder:
    """Return each of the small models behind the contract."""
    return resolve(f"hf:{saved(request.param)}")


# --- the contract ----------------------------------------------------------------------------------------------------


def test_every_codec_fulfils_the_contract(encoder: HuggingFaceEncoder) -> None:
    clips = noise(2, samples=encoder.sample_rate)
    before = clips.clone()
    heard, again = encoder.listen(clips), encoder.listen(clips)
    assert isinstance(encoder, Encoder)
    assert list(heard) == [*SITES, "codes"]
    assert torch.equal(clips, before)
    assert all(torch.equal(heard[site], again[site]) for site in heard)
    assert not any(values.requires_grad for values in heard.values())
    listener = Listener(encoder)
    assert listener.frame_rates == encoder.frame_rates
    assert set(listener.missing_frames.values()) == {0}
    assert {site: values.shape[2] for site, values in heard.items()} == {
        site: int(np.ceil(rate)) for site, rate in encoder.frame_rates.items()
    }
    offered = {attribute for attribute in dir(encoder) if not attribute.startswith("_")}
    assert offered <= {"name", "sample_rate", "listen", "codebooks"} | set(OPTIONAL_ATTRIBUTES)


def test_codes_name_what_is_quantised(encoder: HuggingFaceEncoder) -> None:
    heard = encoder.listen(noise(2, samples=encoder.sample_rate // 4))
    codes = heard["codes"]
    assert codes.shape[1] == encoder.codebooks
    assert not codes.is_floating_point()
    assert len(codes.unique()) > 4
    assert torch.equal(encoder.dequantise(codes), heard["quantised"])
    coarse = encoder.dequantise(codes[:, :1].numpy())
    assert coarse.shape == heard["quantised"].shape
    assert not torch.equal(coarse, heard["quantised"])
    with pytest.raises(ValueError, match=r"must be 'batch codebooks frames' with 1 to"):
        encoder.dequantise(torch.zeros(1, encoder.codebooks + 1, 3, dtype=torch.long))


def test_a_gradient_reaches_the_waveform(encoder: HuggingFaceEncoder) -> None:
    clip = noise(1, samples=encoder.sample_rate // 5).requires_grad_()
    heard = encoder.listen_with_gradient(clip)
    torch.testing.assert_close(heard["latent"].detach(), encoder.listen(clip.detach())["latent"], rtol=1e-4, atol=1e-5)
    heard["latent"].square().sum().backward()
    assert torch.isfinite(clip.grad).all()
    assert clip.grad.abs().max() > 0


def test_the_first_convolution_is_its_filters(encoder: HuggingFaceEncoder) -> None:
    samples = encoder.sample_rate // 10
    clip = torch.zeros(1, samples)
    clip[0, samples // 2] = 0.5
    heard = encoder.listen(clip)["first_conv"][0] - encoder.listen(torch.zeros(1, samples))["first_conv"][0]
    height = samples**0.5 if hasattr(encoder, "normalises") else 0.5
    back = round(encoder.margin_seconds["first_conv"][1] * encoder.sample_rate)
    taps = encoder.first_conv_filters.shape[1]
    answer = heard[:, samples // 2 - back :][:, :taps].numpy()
    np.testing.assert_allclose(answer, height * encoder.first_conv_filters[:, ::-1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["encodec", "dac", "mimi"])
def test_margins_are_no_shorter_than_what_is_measured(saved: Callable[[str], Path], name: str) -> None:
    encoder = pretrained(str(saved(name)))

    class Silent:
        """Says nothing of itself."""

        name, sample_rate, listen = "silent", encoder.sample_rate, staticmethod(encoder.listen)

    declared, measured = Listener(encoder).margins, Listener(Silent()).margins
    for site, margin in measured.items():
        # What is measured has a frame to spare on either side.
        assert margin.left - 1 <= declared[site].left
        assert margin.right - 1 <= declared[site].right


def test_what_it_says_of_itself(saved: Callable[[str], Path]) -> None:
    mimi = pretrained(str(saved("mimi")))
    assert mimi.strides == (4, 5, 6, 8, 2)
    assert mimi.frame_rates == {
        "first_conv": 24_000.0, "stack_end": 25.0, "latent": 12.5, "quantised": 12.5, "codes": 12.5,
    }  # fmt: skip
    # 4 codebooks of 16 entries, 12.5 times a second.
    assert (mimi.codebooks, mimi.bandwidth_kbps) == (4, 0.2)
    assert mimi.margin_seconds["latent"][0] <= huggingface.MEMORY_LIMIT_SECONDS
    dac = pretrained(str(saved("dac")), codebooks=2)
    assert (dac.sample_rate, dac.strides, dac.codebooks, dac.bandwidth_kbps) == (16_000, (2, 4, 5, 8), 2, 0.4)
    assert dac.name == f"hf:{saved('dac')}(codebooks=2)"
    encodec24 = pretrained(str(saved("encodec")))
    assert (encodec24.name, encodec24.bandwidth_kbps) == (f"hf:{saved('encodec')}", 1.2)
    assert len({each.weights_sha256 for each in (mimi, dac, encodec24)}) == 3
    assert not hasattr(encodec24, "normalises")
    stereo = pretrained(str(saved("encodec-stereo")))
    assert stereo.normalises.startswith("each 1 s of sound is divided by its RMS")


@pytest.mark.parametrize("name", ["dac", "mimi"])
def test_codes_are_those_that_transformers_gives(saved: Callable[[str], Path], name: str) -> None:
    model, encoder = small(name), pretrained(str(saved(name)))
    clips = noise(2, samples=encoder.sample_rate)
    with torch.no_grad():
        theirs = model.encode(clips[:, None])
    assert torch.equal(encoder.listen(clips)["codes"], theirs.audio_codes)
    if name == "dac":
        torch.testing.assert_close(encoder.listen(clips)["quantised"], theirs.quantized_representation)


def test_stereo_segments_are_those_of_transformers(saved: Callable[[str], Path]) -> None:
    model, encoder = small("encodec-stereo"), pretrained(str(saved("encodec-stereo")))
    clips = noise(1, samples=90_000)
    with torch.no_grad():
        # It gives the codes of every segment the length of the first.
        first, second = model.encode(clips[:, None].expand(-1, 2, -1), bandwidth=2.4).audio_codes
    codes = encoder.listen(clips)["codes"]
    expected = torch.cat([first, second[..., 1:]], dim=-1)[..., : codes.shape[2]]
    assert codes.shape[2] == 282
    assert (codes == expected).double().mean() > 0.999


# --- the package `encodec` and transformers --------------------------------------------------------------------------

RENAMED = (
    ("encoder.model.", "encoder.layers."),
    (".conv.conv.", ".conv."),
    ("weight_g", "parametrizations.weight.original0"),
    ("weight_v", "parametrizations.weight.original1"),
    ("quantizer.vq.layers.", "quantizer.layers."),
    ("._codebook.", ".codebook."),
)


@pytest.fixture(scope="module")
def twins() -> tuple[Any, EncodecEncoder, Any, HuggingFaceEncoder]:
    """Return EnCodec at 24 kHz with random weights and entries: the package's model, ours, transformers', ours."""
    ours = encodec._empty_model(seed=3)
    # Its own initialisation hardly tells one sound from another.
    draw_with_gain(ours.encoder, gain=encodec.GAIN, seed=3)
    codebooks = [layer._codebook for layer in ours.quantizer.vq.layers]
    with torch.no_grad():
        spread(codebooks, ours.encoder(noise(2, samples=24_000)[:, None]))
    for codebook in codebooks:
        codebook.inited.fill_(1.0)
    state = {}
    for key, values in ours.state_dict().items():
        if key.startswith(("encoder.", "quantizer.")):
            for old, new in RENAMED:
                key = key.replace(old, new)
            state[key] = values
    transformers = huggingface._transformers()
    with huggingface._quiet(transformers):
        theirs = transformers.EncodecModel(transformers.EncodecConfig()).eval()
    missing, unexpected = theirs.load_state_dict(state, strict=False)
    assert all(key.startswith("decoder.") for key in missing)
    assert not unexpected
    ours.set_target_bandwidth(6.0)
    a = EncodecEncoder(ours, name="package", bandwidth_kbps=6.0)
    b = HuggingFaceEncoder(huggingface.dissect_encodec(theirs), name="transformers", sample_rate=24_000)
    return ours, a, theirs, b


def test_the_package_and_transformers_agree_to_the_bit(twins: tuple[Any, EncodecEncoder, Any, Any]) -> None:
    ours, _, theirs, _ = twins
    clips = noise(2, samples=24_000)[:, None]
    with torch.no_grad():
        assert torch.equal(ours.encoder(clips), theirs.encoder(clips))
        ((codes, _),) = ours.encode(clips)
        assert torch.equal(codes, theirs.encode(clips, bandwidth=6.0).audio_codes[0])
    assert len(codes[:, 0].unique()) > 20


def test_behind_the_contract_they_agree_at_every_site(
    twins: tuple[Any, EncodecEncoder, Any, HuggingFaceEncoder],
) -> None:
    _, package, _, transformers = twins
    clips = noise(2, samples=24_100)
    a, b = package.listen(clips), transformers.listen(clips)
    assert list(a) == list(b)
    assert all(torch.equal(a[site], b[site]) for site in a)
    assert np.array_equal(package.first_conv_filters, transformers.first_conv_filters)
    for attribute in ("strides", "frame_rates", "bandwidth_kbps", "codebooks"):
        assert getattr(package, attribute) == getattr(transformers, attribute)
    for site in ("first_conv", "stack_end"):
        assert package.margin_seconds[site] == pytest.approx(transformers.margin_seconds[site])
    # transformers has 32 codebooks, the package counts those in use.
    assert transformers.parameters - package.parameters == 24 * 1024 * 128


# --- what cannot be had ----------------------------------------------------------------------------------------------


def test_without_transformers_one_line_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(EncoderSpecError, match=r"type pip install 'testtone\[hf\]'") as caught:
        resolve("hf:facebook/encodec_24khz")
    assert "\n" not in str(caught.value)


def test_an_unreachable_hub_says_what_to_fetch_and_where_to_put_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub = importlib.import_module("huggingface_hub")
    original = hub.snapshot_download

    def unreachable(*args: Any, **options: Any) -> str:
        # Port 9 is where nobody answers.
        return original(*args, **options, endpoint="http://127.0.0.1:9", cache_dir=tmp_path)

    monkeypatch.setattr(hub, "snapshot_download", unreachable)
    with pytest.raises(EncoderSpecError) as caught:
        resolve("hf:facebook/encodec_24khz@main")
    message = str(caught.value)
    assert "\n" not in message
    assert "facebook/encodec_24khz could not be fetched" in message
    assert "fetch its config.json and model.safetensors at main yourself" in message
    assert "put them into a folder, and name it: hf:/path/to/folder" in message


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(lambda folder: (folder / "config.json").unlink(), r"has no config\.json that", id="no config"),
        pytest.param(
            lambda folder: (folder / "config.json").write_text('{"model_type": "bert"}'),
            r"model of type 'bert'; it must be one of encodec, dac, mimi",
            id="another model",
        ),
        pytest.param(
            lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
            r"has no \*\.safetensors file; weights in other formats are not loaded",
            id="pickled",
        ),
        pytest.param(
            lambda folder: (folder / "model.safetensors").write_bytes(b"torn"), r"could not be loaded as dac", id="torn"
        ),
    ],
)
def test_a_folder_that_will_not_do(
    saved: Callable[[str], Path], tmp_path: Path, spoil: Callable[[Path], Any], message: str
) -> None:
    for path in saved("dac").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    spoil(tmp_path)
    with pytest.raises(EncoderSpecError, match=message) as caught:
        resolve(f"hf:{tmp_path}")
    assert "\n" not in str(caught.value)


def test_weights_that_are_missing_are_not_made_up(saved: Callable[[str], Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    state = load_file(saved("dac") / "model.safetensors")
    del state["encoder.conv1.weight"]
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_bytes((saved("dac") / "config.json").read_bytes())
    with pytest.raises(EncoderSpecError, match=r"lacks weights of dac: encoder\.conv1\.weight"):
        resolve(f"hf:{tmp_path}")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("hf", r"needs a repository_or_folder after the colon"),
        ("hf:encodec", r"'encodec' must be ORG/NAME or ORG/NAME@REV"),
        ("hf:a/b/c", r"must be ORG/NAME"),
        ("hf:./nowhere", r"there is no folder nowhere"),
    ],
)
def test_a_source_that_is_none(spec: str, message: str) -> None:
    with pytest.raises(EncoderSpecError, match=message):
        resolve(spec)


def test_codebooks_it_does_not_have(saved: Callable[[str], Path]) -> None:
    with pytest.raises(EncoderSpecError, match=r"codebooks=4 must be a number from 1 to 3"):
        resolve(f"hf:{saved('dac')},codebooks=4")


def test_loading_changes_nothing_around_it(saved: Callable[[str], Path], capfd: pytest.CaptureFixture[str]) -> None:
    state = torch.random.get_rng_state()
    talk = importlib.import_module("transformers.utils.logging")
    before = talk.get_verbosity(), talk.is_progress_bar_enabled()
    pretrained(str(saved("mimi")))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (talk.get_verbosity(), talk.is_progress_bar_enabled()) == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("before", ["", "from transformers import EncodecModel"], ids=["first", "after transformers"])
def test_a_broken_torchaudio_is_no_obstacle(saved: Callable[[str], Path], tmp_path: Path, before: str) -> None:
    (tmp_path / "torchaudio").mkdir()
    (tmp_path / "torchaudio/__init__.py").write_text("raise OSError('libc10_cuda.so: cannot open shared object file')")
    (tmp_path / "testtone").symlink_to(ROOT, target_is_directory=True)
    code = f"{before}\nfrom testtone.models import resolve\nprint(resolve('hf:{saved('mimi')}').strides)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(4, 5, 6, 8, 2)"


def test_the_saved_models_say_what_they_are(saved: Callable[[str], Path]) -> None:
    kinds = {name: json.loads((saved(name) / "config.json").read_text())["model_type"] for name in SIZES}
    assert kinds == {"encodec": "encodec", "dac": "dac", "mimi": "mimi", "encodec-stereo": "encodec"}
