"""EnCodec at 48 kHz: heard in normalised seconds, as its package hears them."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from testtone.models import encodec, encodec48, quantisers, resolve
from testtone.models.encodec48 import CHECKPOINT, Encodec48Encoder, published, untrained
from testtone.models.listening import Listener
from testtone.models.segments import Segments
from testtone.models.specs import EncoderSpecError
from testtone.models.weights import WeightsError

SAMPLE_RATE = 48_000
HOP = 320


def noise(clips: int, *, samples: int, rms: float = 0.1, seed: int = 1) -> torch.Tensor:
    generator = np.random.default_rng(seed)
    return torch.from_numpy((rms * generator.standard_normal((clips, samples))).astype(np.float32))


@pytest.fixture(scope="module")
def model():
    """Return the package's own model, untrained, with codebooks of random entries."""
    model = encodec48._empty_model(seed=4)
    generator = torch.Generator().manual_seed(4)
    for layer in model.quantizer.vq.layers:
        layer._codebook.embed.copy_(torch.randn(layer._codebook.embed.shape, generator=generator))
        layer._codebook.inited.fill_(1.0)
    model.set_target_bandwidth(6.0)
    return model


@pytest.fixture(scope="module")
def encoder(model) -> Encodec48Encoder:
    """Return that model behind the contract."""
    return Encodec48Encoder(model, name="mine", bandwidth_kbps=6.0)


@pytest.fixture(scope="module")
def bare() -> Encodec48Encoder:
    """Return the untrained model with gain, without quantiser."""
    return untrained(init="gain", quantise=False)


def test_a_second_is_heard_as_the_package_hears_it(model, encoder: Encodec48Encoder) -> None:
    clips = noise(2, samples=SAMPLE_RATE)
    heard = encoder.listen(clips)
    stereo = clips[:, None].expand(-1, 2, -1)
    with torch.no_grad():
        # Of two frames of the package the second begins in the last hundredth of the second.
        (codes, scale), _ = model.encode(stereo)
        latent = model.encoder(stereo / scale[:, :, None])
    assert torch.equal(heard["latent"], latent)
    assert torch.equal(heard["codes"], codes)
    assert torch.equal(heard["quantised"], model.quantizer.decode(codes.transpose(0, 1)))
    assert {site: tuple(values.shape) for site, values in heard.items()} == {
        "first_conv": (2, 32, 48_000),
        "stack_end": (2, 512, 150),
        "latent": (2, 128, 150),
        "quantised": (2, 128, 150),
        "codes": (2, 4, 150),
    }


def test_more_than_a_second_is_the_package_s_segments_one_after_the_other(model, encoder: Encodec48Encoder) -> None:
    clips = noise(1, samples=118_000)
    codes = encoder.listen(clips)["codes"]
    with torch.no_grad():
        first, second, third = (codes for codes, _ in model.encode(clips[:, None].expand(-1, 2, -1)))
    # 150 frames; then from the second segment what lies behind them; the last one ends with the clip.
    assert codes.shape == (1, 4, 369)
    # A segment by itself and one of several may differ in the last bit, and with it a code here and there.
    expected = torch.cat([first, second[..., 1:], third[..., 2:]], dim=-1)
    assert expected.shape == codes.shape
    assert (codes == expected).double().mean() > 0.999


@pytest.mark.parametrize("samples", [100, 48_000, 48_001, 95_520, 95_521, 100_000, 200_000])
def test_every_frame_of_a_clip_comes_from_one_segment(samples: int) -> None:
    """A stand-in for the network answers with the time at which each frame begins."""
    clock = torch.arange(samples, dtype=torch.float64)[None, None]

    def begin(segment: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"sample": segment, "hop": segment[..., ::HOP]}

    heard = Segments(length=48_000, step=47_520).hear(clock, begin, hops={"sample": 1, "hop": HOP})
    assert torch.equal(heard["sample"], clock)
    due = torch.arange(0, samples, HOP, dtype=torch.float64)
    early = due - heard["hop"][0, 0]
    # Half a hop at most, in every other segment.
    assert set(early.tolist()) <= {0.0, 160.0}
    assert not early[: min(150, len(due))].any()


def test_it_keeps_no_level_and_says_so(encoder: Encodec48Encoder) -> None:
    clips = noise(1, samples=24_000)
    soft, loud = encoder.listen(0.01 * clips), encoder.listen(clips)
    for site in ("first_conv", "stack_end", "latent"):
        size = loud[site].square().mean().sqrt()
        assert (soft[site] - loud[site]).abs().max() < 1e-3 * size
    assert "divided by its RMS" in encoder.normalises


def test_silence_is_an_answer(encoder: Encodec48Encoder) -> None:
    heard = encoder.listen(torch.zeros(1, 24_000))
    assert all(torch.isfinite(values).all() for values in heard.values())


def test_what_it_says_of_itself(bare: Encodec48Encoder) -> None:
    assert bare.name == "encodec-48khz-gain"
    assert bare.strides == (2, 4, 5, 8)
    assert bare.frame_rates == {"first_conv": 48_000.0, "stack_end": 150.0, "latent": 150.0}
    assert bare.parameters == sum(values.numel() for values in bare.module.parameters())
    margins = bare.margin_seconds
    # Three samples either side; 243 and 235 after the strides; the last convolution adds three frames each way.
    assert margins["first_conv"] == (3 / 48_000, 3 / 48_000)
    assert margins["stack_end"] == (243 / 48_000, 235 / 48_000)
    assert margins["latent"][1] == (235 + 3 * HOP) / 48_000
    assert margins["latent"][0] >= (243 + 3 * HOP) / 48_000
    assert Listener(bare).frame_rates["latent"] == 150.0


def test_the_first_convolution_is_its_filters(bare: Encodec48Encoder) -> None:
    clip = torch.zeros(1, 4800)
    clip[0, 2000] = 1.0
    heard = bare.listen(clip)["first_conv"][0].double().numpy()
    rms = 4800**-0.5
    # A correlation with an impulse is the filter turned round.
    expected = bare.first_conv_filters[:, ::-1].astype(float) / rms
    silence = bare.listen(torch.zeros(1, 4800))["first_conv"][0, :, 1000].double().numpy()
    np.testing.assert_allclose(heard[:, 1997:2004] - silence[:, None], expected, rtol=1e-4, atol=1e-4)


def test_the_module_takes_mono(bare: Encodec48Encoder) -> None:
    clip = noise(1, samples=9600)
    with torch.no_grad():
        latent = bare.module(clip[:, None] / clip.square().mean().sqrt())
    heard = bare.listen(clip)["latent"]
    assert (latent - heard).abs().max() < 1e-4 * heard.abs().max()


def test_a_gradient_reaches_the_waveform(bare: Encodec48Encoder) -> None:
    clip = noise(1, samples=9600).requires_grad_()
    heard = bare.listen_with_gradient(clip)
    torch.testing.assert_close(heard["latent"].detach(), bare.listen(clip.detach())["latent"], rtol=1e-4, atol=1e-4)
    heard["latent"].square().sum().backward()
    assert torch.isfinite(clip.grad).all()
    assert clip.grad.abs().max() > 0


def test_untrained_codebooks_are_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    few = partial(quantisers.calibration_waveforms, clips=4)
    monkeypatch.setattr(encodec, "calibration_waveforms", few)
    encoder = untrained(bandwidth_kbps=3.0)
    assert encoder.codebooks == 2
    assert min(encoder.perplexities) > 50
    codes = encoder.listen(noise(1, samples=24_000))["codes"]
    assert len(codes[0, 0].unique()) > 10


# --- weights -------------------------------------------------------------------------------------------------------


def test_weights_in_a_file(model, tmp_path: Path) -> None:
    torch.save(model.state_dict(), tmp_path / "mine.th")
    encoder = resolve(f"encodec-48khz:{tmp_path / 'mine.th'},bandwidth_kbps=3")
    assert encoder.name.startswith("encodec-48khz(mine.th, sha256 ")
    assert encoder.codebooks == 2
    with pytest.raises(EncoderSpecError, match=r"mine\.th holds no weights of EnCodec at 24 kHz"):
        resolve(f"encodec-24khz:{tmp_path / 'mine.th'}")
    (tmp_path / "mine.th").rename(tmp_path / CHECKPOINT)
    with pytest.raises(WeightsError, match=r"has sha256 .*, expected one that begins with 7e698e3e"):
        published(path=tmp_path / CHECKPOINT)


@pytest.mark.parametrize(
    ("name", "prefix"), [("encodec-24khz", "d7cc33bc"), ("encodec-48khz", "7e698e3e")], ids=["24 kHz", "48 kHz"]
)
def test_an_unreachable_download_says_what_to_fetch_and_where_to_put_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, prefix: str
) -> None:
    package = encodec48.import_encodec()
    # Port 9 is where nobody answers.
    monkeypatch.setattr(package.model, "ROOT_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(EncoderSpecError) as caught:
        resolve(name)
    message = str(caught.value)
    assert "\n" not in message
    file = f"{name.replace('-', '_')}-{prefix}.th"
    place = tmp_path / "testtone" / file
    assert (
        f"fetch http://127.0.0.1:9/{file} yourself and put it at {place} (its sha256 begins with {prefix})" in message
    )
