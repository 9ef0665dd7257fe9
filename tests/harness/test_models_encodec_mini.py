"""EnCodec at a quarter of its width: its architecture, its files, its twins."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from testtone.models import encodec_mini as mini
from testtone.models import specs, weights
from testtone.models.encodec import untrained as full_untrained
from testtone.models.listening import Listener


@pytest.fixture(scope="module")
def twin() -> mini.EncodecMini:
    return mini.untrained(init="gain", bandwidth_kbps=1.5)


def noise(seconds: float, *, clips: int = 2) -> torch.Tensor:
    return 0.1 * torch.randn(clips, round(24_000 * seconds), generator=torch.Generator().manual_seed(0))


def test_it_is_encodec_at_a_quarter_of_the_width(twin: mini.EncodecMini) -> None:
    full = full_untrained(quantise=False)
    assert [type(layer) for layer in twin.module] == [type(layer) for layer in full.module]
    assert twin.strides == full.strides
    assert twin.sample_rate == full.sample_rate
    assert full.first_conv_filters.shape == (32, 7)
    assert twin.first_conv_filters.shape == (8, 7)
    ours, theirs = (encoder.listen_with_gradient(noise(0.2)) for encoder in (twin, full))
    assert ours["latent"].shape == theirs["latent"].shape
    assert theirs["stack_end"].shape[1] == 4 * ours["stack_end"].shape[1] == 512


def test_it_keeps_the_contract(twin: mini.EncodecMini) -> None:
    listener = Listener(twin)
    answer = listener.listen(noise(0.4).numpy()).values
    assert {site: values.shape[1] for site, values in answer.items()} == {
        "first_conv": 8,
        "stack_end": 128,
        "latent": 128,
        "quantised": 128,
        "codes": 2,
    }
    assert listener.frame_rates == {"first_conv": 24_000} | dict.fromkeys(
        ("stack_end", "latent", "quantised", "codes"), 75.0
    )
    torch.testing.assert_close(twin.dequantise(answer["codes"]), torch.from_numpy(answer["quantised"]))


def test_a_file_gives_back_what_was_saved(tmp_path: Path) -> None:
    model = mini.empty_model(seed=5)
    entries = torch.randn(mini.CODEBOOKS, mini.ENTRIES, mini.DIMENSION, generator=torch.Generator().manual_seed(1))
    mini.set_codebooks(model, entries.half().float())
    mini.save(model, tmp_path / "w.safetensors", metadata={"seed": 5})
    first = mini.EncodecMini(model, name="before")
    again = mini.trained(path=tmp_path / "w.safetensors")
    assert again.weights_sha256 == first.weights_sha256
    assert again.name.startswith("encodec-mini(w.safetensors, sha256 ")
    torch.testing.assert_close(again.reconstruct(noise(0.3)), first.reconstruct(noise(0.3)))


def test_more_codebooks_change_the_sound_and_its_length_stays() -> None:
    encoder = mini.untrained(init="gain", bandwidth_kbps=3.0)
    sound = noise(0.31)
    narrow, wide = (encoder.reconstruct(sound, bandwidth_kbps=rate) for rate in (1.5, 3.0))
    assert narrow.shape == wide.shape == sound.shape
    assert not torch.equal(narrow, wide)


@pytest.mark.parametrize(
    ("rate", "says"),
    [(5.0, "bandwidth_kbps=5.0 must be one of"), (3.0, "3.0 is above 1.5, for which .* has codebooks")],
)
def test_a_bit_rate_that_it_lacks_is_named(rate: float, says: str, twin: mini.EncodecMini) -> None:
    with pytest.raises(ValueError, match=says):
        twin.reconstruct(noise(0.1), bandwidth_kbps=rate)


def test_twins_differ_by_initialisation_and_seed() -> None:
    names = {mini.untrained(init=init, seed=seed).name for init in ("default", "gain") for seed in (0, 1)}
    assert names == {
        "encodec-mini-default",
        "encodec-mini-default(seed=1)",
        "encodec-mini-gain",
        "encodec-mini-gain(seed=1)",
    }
    filters = [
        mini.untrained(init=init, seed=seed).first_conv_filters for init in ("default", "gain") for seed in (0, 1)
    ]
    for index, first in enumerate(filters):
        for second in filters[index + 1 :]:
            assert not np.allclose(first, second)


@pytest.mark.parametrize(
    ("content", "says"), [(None, "is not a file"), (b"nothing", "is not a safetensors file"), ("other", "holds no")]
)
def test_bad_files_end_in_a_line(content: bytes | str | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    if content == "other":
        from safetensors.torch import save_file

        save_file({"encoder.x": torch.zeros(3)}, path)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(specs.EncoderSpecError, match=says):
        specs.resolve(f"encodec-mini:{path}")


def test_bundled_weights_are_checked_against_their_provenance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "BUNDLED_FOLDER", tmp_path)
    with pytest.raises(weights.WeightsError, match=r"missing; install testtone again"):
        weights.bundled("thing")
    (tmp_path / "thing.safetensors").write_bytes(b"weights")
    (tmp_path / "thing.json").write_text(json.dumps({"sha256": "0" * 64}))
    with pytest.raises(weights.WeightsError, match="expected 0000"):
        weights.bundled("thing")
    digest = weights.sha256_of_file(tmp_path / "thing.safetensors")
    (tmp_path / "thing.json").write_text(json.dumps({"sha256": digest}))
    assert weights.bundled("thing") == tmp_path / "thing.safetensors"
