"""Any torch module becomes an encoder by the names of its modules, and is itself left as it was."""

import pytest
import torch
from torch import nn

from testtone.models import resolve, tap
from testtone.models.protocol import Encoder


class Net(nn.Module):
    """A strided convolution, an activation in place, a recurrent layer, and codes."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv1d(1, 4, 8, stride=8), nn.ReLU(inplace=True), nn.Dropout(0.5))
        self.memory = nn.GRU(4, 6, batch_first=True)
        self.head = nn.Identity()
        self.codes = nn.Identity()
        self.twice = nn.Identity()
        self.idle = nn.Identity()
        self.fails = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return 'batch frames channels' of 'batch 1 samples'."""
        x = self.body(x)
        if self.fails:
            raise RuntimeError("broken")
        y, _ = self.memory(x.transpose(1, 2))
        y = self.head(y)
        self.codes(y.argmax(dim=2, keepdim=True).permute(2, 0, 1))
        return self.twice(self.twice(y))


@pytest.fixture
def net() -> Net:
    torch.manual_seed(3)
    return Net()


@pytest.fixture
def clips() -> torch.Tensor:
    return torch.randn(3, 80, generator=torch.Generator().manual_seed(1))


def hooks(net: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in net.modules())


def test_the_sites_are_what_the_modules_return(net: Net, clips: torch.Tensor) -> None:
    encoder = tap(
        net,
        sample_rate=8000,
        first_conv="body.0",
        latent="memory",
        codes="codes",
        layout={"latent": "batch frames channels", "codes": "codebooks batch frames"},
    )
    heard = encoder.listen(clips)
    assert isinstance(encoder, Encoder)
    assert (encoder.name, encoder.sample_rate) == ("Net", 8000)
    with torch.no_grad():
        first = net.body[0](clips[:, None])
        latent = net.memory(first.relu().transpose(1, 2))[0].transpose(1, 2)
    # Taken before the activation in place, and without dropout.
    assert torch.equal(heard["first_conv"], first)
    assert (first < 0).any()
    assert torch.allclose(heard["latent"], latent, atol=1e-6)
    assert heard["codes"].shape == (3, 1, 10)
    assert torch.equal(heard["codes"][:, 0], heard["latent"].argmax(dim=1))
    assert not heard["latent"].requires_grad


def test_the_module_is_left_as_it_was(net: Net, clips: torch.Tensor) -> None:
    net.train()
    net.memory.eval()
    before, state = clips.clone(), {name: values.clone() for name, values in net.state_dict().items()}
    encoder = tap(net, sample_rate=8000, first_conv="body.0")
    encoder.listen(clips)
    net.fails = True
    with pytest.raises(RuntimeError, match="broken"):
        encoder.listen(clips)
    assert hooks(net) == 0
    assert (net.training, net.body[2].training, net.memory.training) == (True, True, False)
    assert torch.equal(clips, before)
    assert all(torch.equal(values, state[name]) for name, values in net.state_dict().items())
    assert all(values.requires_grad for values in net.parameters())


def test_a_module_that_writes_on_its_input_does_not_write_on_ours(clips: torch.Tensor) -> None:
    before = clips.clone()
    tap(nn.ReLU(inplace=True), sample_rate=8000, latent="", input_shape="batch samples", layout="batch frames").listen(
        clips
    )
    assert torch.equal(clips, before)


def test_one_vector_per_clip(clips: torch.Tensor) -> None:
    net = nn.Sequential(nn.Linear(80, 5))
    encoder = tap(
        net, sample_rate=8000, latent="0", input_shape="batch samples", layout="batch channels", input_samples=80
    )
    assert encoder.listen(clips)["latent"].shape == (3, 5, 1)
    assert encoder.input_samples == 80
    assert not hasattr(encoder, "strides")


def test_half_precision_is_heard_in_single() -> None:
    net = nn.Conv1d(1, 2, 4, stride=4).to(torch.bfloat16)
    assert tap(net, sample_rate=8000, latent="").listen(torch.zeros(1, 16))["latent"].dtype == torch.float32


def test_the_gradient_reaches_the_waveform(net: Net, clips: torch.Tensor) -> None:
    layout = {"codes": "codebooks batch frames"}
    encoder = tap(net, sample_rate=8000, first_conv="body.0", codes="codes", layout=layout)
    heard = encoder.listen_with_gradient(clips.requires_grad_())
    assert set(heard) == {"first_conv"}
    (slope,) = torch.autograd.grad(heard["first_conv"][0, 2, 3], clips)
    assert torch.allclose(slope[0, 24:32], net.body[0].weight[2, 0])


def test_weights_are_hashed_and_counted(net: Net) -> None:
    encoder = tap(net, sample_rate=8000, first_conv="body.0", name="mine", strides=(8,))
    twin = tap(net, sample_rate=8000, first_conv="body.0")
    assert encoder.weights_sha256 == twin.weights_sha256
    assert encoder.parameters == 4 * 8 + 4 + 3 * 6 * (4 + 6) + 2 * 18
    assert (encoder.name, encoder.strides, encoder.reference) == ("mine", (8,), False)
    torch.manual_seed(4)
    assert tap(Net(), sample_rate=8000, first_conv="body.0").weights_sha256 != encoder.weights_sha256


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(
            {"latent": "bdy.0"}, r"latent='bdy\.0' is not the name of a module; did you mean body\.0", id="near"
        ),
        pytest.param({"latent": "xyz"}, r"latent='xyz' is not .*; there are body, body\.0", id="far"),
        pytest.param({}, r"no site is named; give at least one of first_conv", id="no site"),
        pytest.param({"codes": "codes"}, r"no site is named", id="only codes"),
        pytest.param({"latent": "head", "sample_rate": -1}, r"sample_rate=-1 must be a positive", id="rate"),
        pytest.param({"latent": "head", "input_shape": "x"}, r"input_shape='x' must be one of", id="input"),
        pytest.param(
            {"latent": "head", "layout": "frames"}, r"layout='frames' for latent must name batch", id="layout"
        ),
        pytest.param({"latent": "head", "layout": "batch time"}, r"layout='batch time' for latent", id="axis"),
    ],
)
def test_what_cannot_be_tapped_is_refused(net: Net, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tap(net, **({"sample_rate": 8000} | options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"latent": "idle"}, r"latent='idle' was called 0 times", id="idle"),
        pytest.param({"latent": "twice"}, r"latent='twice' was called 2 times", id="twice"),
        pytest.param(
            {"latent": "body.0", "layout": "batch channels"}, r"shape \(3, 4, 10\), but its layout", id="axes"
        ),
        pytest.param(
            {"latent": "codes"},
            r"shape \(1, 3, 10\) for 3 clips, but its layout was said to be 'batch chann",
            id="batch",
        ),
    ],
)
def test_what_it_hears_must_be_as_it_was_said(net: Net, clips: torch.Tensor, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tap(net, sample_rate=8000, **options).listen(clips)


def test_only_modules_are_tapped() -> None:
    with pytest.raises(TypeError, match=r"module is a function; it must be a torch\.nn\.Module"):
        tap(lambda x: x, sample_rate=8000, latent="0")


def test_a_tapped_reference_is_resolved_from_a_file(tmp_path) -> None:
    (tmp_path / "mine.py").write_text(
        "from torch import nn\nfrom testtone.models import tap\n"
        "def build():\n    return tap(nn.Conv1d(1, 2, 8, stride=8), sample_rate=16_000, latent='')\n"
    )
    encoder = resolve(f"{tmp_path / 'mine.py'}:build")
    assert encoder.listen(torch.zeros(1, 80))["latent"].shape == (1, 2, 10)
