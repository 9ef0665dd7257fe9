"""The gallery: its record says what came back, and its page lets one hear, see and read it."""

import base64
import copy
import io
import json
import re
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import soundfile
import torch
from test_reports_page import HOSTILE, Element, assert_stands_alone, read

from testtone.models import encodec_mini as mini
from testtone.models.training import __main__ as command
from testtone.models.training import codec, gallery
from testtone.reports import clips as page
from testtone.reports.__main__ import main
from testtone.stimuli import music, renders

needs_fluidsynth = pytest.mark.skipif(not renders.available(), reason="FluidSynth is not installed")

RATE = mini.SAMPLE_RATE
STEP = 2.0**-15
"""One step of 16 bits."""


class Codec:
    """A codec whose figures are known: it adds noise, as many dB below the sound as it has kbps."""

    name = "noisy"
    sample_rate = RATE
    parameters = 7
    weights_sha256 = "ab" * 32

    def reconstruct(self, waveforms: torch.Tensor, *, bandwidth_kbps: float) -> torch.Tensor:
        """Return 'batch samples' with noise."""
        noise = torch.randn(waveforms.shape, generator=torch.Generator().manual_seed(0))
        rms = waveforms.square().mean(dim=-1, keepdim=True).sqrt()
        return waveforms + noise * rms * 10.0 ** (-bandwidth_kbps / 20.0)


class Hum:
    """A twin that plays one loud tone on an offset, whatever it hears."""

    name = "hum"
    sample_rate = RATE
    parameters = None
    weights_sha256 = None

    def reconstruct(self, waveforms: torch.Tensor, *, bandwidth_kbps: float) -> torch.Tensor:
        """Return 'batch samples' of 75 Hz."""
        time = torch.arange(waveforms.shape[1], dtype=torch.float64) / RATE
        tone = 0.4 * torch.sin(2 * torch.pi * 75.0 * time) + 0.3
        return tone.float().expand(waveforms.shape[0], -1)


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    """The gallery of the noisy codec, as it comes back from a file. No synthesizer plays: the clips are tones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gallery.music, "play", tones)
        patch.setattr(gallery.renders, "fluidsynth_version", lambda: "0.0.0")
        made = gallery.gallery(
            Codec(),
            Hum(),
            soundfonts=[("one", "01" * 32), ("two", "02" * 32)],
            figures={
                "clips": 200,
                "seconds": 2.0,
                "si_sdr_db 24 kbps": 9.87,
                "log_mel_db 24 kbps": 3.21,
                "log_mel_db untrained twin": 21.5,
            },
            command="python -m testtone.models.training encodec-mini --evaluate",
            scenes=gallery.SCENES[:3],
        )
    return json.loads(json.dumps(made))


def tones(pieces: list[music.Piece], *, sample_rate: int, soundfont_sha256: str) -> list[np.ndarray]:
    """Return a tone for each piece at the piece's level: 1 kHz from one SoundFont, 3 kHz from the other."""
    hz = {"01": 1000.0, "02": 3000.0}[soundfont_sha256[:2]]
    waves = []
    for each in pieces:
        time = np.arange(round(each.seconds * sample_rate)) / sample_rate
        waves.append((each.rms * np.sqrt(2.0) * np.sin(2 * np.pi * hz * time)).astype(np.float32))
    return waves


def heard(record: dict[str, Any], take: dict[str, Any]) -> np.ndarray:
    """Return the samples of a take, as a player would hear them."""
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(record["sounds"][take["sound"]]["flac"])))
    assert rate == RATE
    return samples


def rms_db(samples: np.ndarray) -> float:
    return 10.0 * float(np.log10(np.mean(np.square(samples))))


def takes(clip: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [take for take in clip["takes"] if take["kind"] == kind]


# --- what plays -----------------------------------------------------------------------------------------------------


def test_no_clip_holds_what_training_hears() -> None:
    pieces = gallery.pieces()
    assert len(pieces) == 8
    for piece in pieces:
        assert piece.tonic in music.HELD_OUT_TONICS
        assert {part.program for part in piece.parts if part.bank != 128} <= music.HELD_OUT_PROGRAMS


def test_every_clip_is_what_its_label_says() -> None:
    pieces = dict(zip((scene.label for scene in gallery.SCENES), gallery.pieces(), strict=True))
    assert pieces["A clarinet, one note at a time"].polyphony == 1
    assert pieces["String ensemble in five parts or more"].polyphony >= 5
    assert "high" in pieces["A xylophone up high"].registers()
    assert {part.bank for part in pieces["Percussion alone"].parts} == {128}
    band = pieces["A band: several programs and percussion"]
    assert len({part.program for part in band.parts if part.bank != 128}) >= 3
    assert any(part.bank == 128 for part in band.parts)
    for label, piece in pieces.items():
        assert any(part.bank == 128 for part in piece.parts) == ("ercussion" in label)


def test_the_clips_are_fixed() -> None:
    assert gallery.pieces() == gallery.pieces()


# --- the record -----------------------------------------------------------------------------------------------------


def test_the_record_keeps_the_schema(record: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(page.schema())
    jsonschema.validate(record, page.schema())
    page.render(record)


def test_every_clip_has_its_original_every_bit_rate_and_the_twin(record: dict[str, Any]) -> None:
    for clip in record["clips"]:
        kinds = [(take["kind"], take["bandwidth_kbps"]) for take in clip["takes"]]
        expected = [("reconstruction", rate) for rate in mini.BANDWIDTHS_KBPS]
        assert kinds == [("original", None), *expected, ("untrained", mini.BANDWIDTHS_KBPS[-1])]


def test_the_originals_have_one_level(record: dict[str, Any]) -> None:
    for clip in record["clips"]:
        (original,) = takes(clip, "original")
        assert rms_db(heard(record, original)) == pytest.approx(gallery.LEVEL_DB, abs=0.01)


def test_the_figures_are_those_of_the_noise_that_was_added(record: dict[str, Any]) -> None:
    for clip in record["clips"]:
        for take in takes(clip, "reconstruction"):
            assert take["si_sdr_db"] == pytest.approx(take["bandwidth_kbps"], abs=0.2)
        distances = [take["log_mel_db"] for take in takes(clip, "reconstruction")]
        assert distances == sorted(distances, reverse=True)
        assert distances[-1] > 1.0


def test_what_is_heard_is_what_was_measured(record: dict[str, Any]) -> None:
    clip = record["clips"][0]
    (original,) = takes(clip, "original")
    for take in takes(clip, "reconstruction"):
        noise = heard(record, take) - heard(record, original)
        assert rms_db(heard(record, original)) - rms_db(noise) == pytest.approx(take["si_sdr_db"], abs=0.3)


def test_the_clips_are_shared_among_the_soundfonts(record: dict[str, Any]) -> None:
    assert [clip["soundfont"] for clip in record["clips"]] == ["one", "two", "one"]
    for clip, hz in zip(record["clips"], (1000.0, 3000.0, 1000.0), strict=True):
        spectrum = np.abs(np.fft.rfft(heard(record, takes(clip, "original")[0])))
        assert np.fft.rfftfreq(round(gallery.SECONDS * RATE), 1 / RATE)[spectrum.argmax()] == hz


def test_a_sound_that_several_takes_share_is_kept_once(record: dict[str, Any]) -> None:
    assert len({takes(clip, "untrained")[0]["sound"] for clip in record["clips"]}) == 1
    # Clips 1 and 3 are one tone, each with noise of its own.
    assert len(record["sounds"]) == 2 + 3 * len(mini.BANDWIDTHS_KBPS) + 1


def test_the_twin_is_brought_to_the_level_of_the_clip_and_says_so(record: dict[str, Any]) -> None:
    for clip in record["clips"]:
        (twin,) = takes(clip, "untrained")
        samples = heard(record, twin)
        assert abs(samples.mean()) < STEP
        assert rms_db(samples) == pytest.approx(gallery.LEVEL_DB, abs=0.01)
        assert twin["gain_db"] == pytest.approx(gallery.LEVEL_DB - rms_db(np.array([0.4 / np.sqrt(2)])), abs=0.06)
        assert twin["si_sdr_db"] < page.NOTHING_LEFT_DB


def test_what_is_too_loud_is_cut_off_and_not_wrapped_around() -> None:
    class Loud(Codec):
        def reconstruct(self, waveforms: torch.Tensor, *, bandwidth_kbps: float) -> torch.Tensor:
            return 40.0 * waveforms

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gallery.music, "play", tones)
        patch.setattr(gallery.renders, "fluidsynth_version", lambda: "0.0.0")
        made = gallery.gallery(Loud(), Hum(), soundfonts=[("one", "01" * 32)], scenes=gallery.SCENES[:1])
    (original,) = takes(made["clips"][0], "original")
    (take, *_) = takes(made["clips"][0], "reconstruction")
    # Measured as it came out: but for its level it is the clip.
    assert take["si_sdr_db"] > 100.0
    loud = heard(made, take)
    assert np.abs(loud).max() > 0.99
    sounding = np.abs(heard(made, original)) > 2 * STEP
    assert np.all(np.sign(loud[sounding]) == np.sign(heard(made, original)[sounding]))


def test_a_spectrogram_shows_a_tone_where_it_is() -> None:
    time = torch.arange(RATE, dtype=torch.float64) / RATE
    wave = (0.1 * torch.sin(2 * torch.pi * 1500.0 * time)).float()
    rows = gallery._spectrogram(wave, wave)
    assert (len(rows), len(rows[0])) == (gallery.BANDS, RATE // gallery.FRAME_SAMPLES)
    middle = [row[len(row) // 2] for row in rows]
    mel = lambda hz: 2595.0 * np.log10(1.0 + hz / 700.0)  # noqa: E731
    place = mel(1500.0) / mel(RATE / 2) * (gallery.BANDS + 1) - 1
    assert middle.index("f") == pytest.approx(place, abs=1)
    assert middle[0] == middle[-1] == "0"


def test_spectrograms_of_a_clip_share_the_scale_of_its_original() -> None:
    time = torch.arange(RATE, dtype=torch.float64) / RATE
    wave = (0.1 * torch.sin(2 * torch.pi * 1500.0 * time)).float()
    loudest = max("".join(gallery._spectrogram(0.1 * wave, wave)))
    # 20 dB of 60 are five of fifteen shades.
    assert int(loudest, 16) == 15 - 5


def test_figures_that_are_missing_stay_empty(record: dict[str, Any]) -> None:
    rates = {row["bandwidth_kbps"]: row for row in record["held_out"]["rates"]}
    assert rates[24.0]["si_sdr_db"] == 9.87
    assert rates[1.5]["si_sdr_db"] is None


# --- the page -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shown(record: dict[str, Any]) -> Element:
    return read(page.render(record))


def test_the_page_stands_alone(shown: Element) -> None:
    assert_stands_alone(shown)
    (policy,) = shown.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert "default-src 'none'" in (policy.attributes["content"] or "")
    assert "script" not in (policy.attributes["content"] or "")
    (style,) = shown.all("style")
    assert not re.search(r"url\(|@import|@font-face|https?:|expression\(", style.text)


def test_every_sound_has_one_player_with_a_name(record: dict[str, Any], shown: Element) -> None:
    players = shown.all("audio")
    prefix = "data:audio/flac;base64,"
    assert [p.attributes["src"] for p in players] == [prefix + s["flac"] for s in record["sounds"].values()]
    names = [
        " ".join(shown.by_id(i).text for i in (p.attributes["aria-labelledby"] or "").split()).replace("\xa0", " ")
        for p in players
    ]
    assert names[0] == "As it was A clarinet, one note at a time #"
    assert "At 1.5 kbps A bright piano in chords #" in names
    assert len(set(names)) == len(names)


def test_a_take_without_player_leads_to_the_one_that_sounds_alike(shown: Element) -> None:
    twin = shown.by_id("clip-2-take-7")
    assert not twin.all("audio")
    (link,) = twin.all("a")
    player = shown.by_id((link.attributes["href"] or "")[1:])
    assert player.attributes["id"] == "clip-1-take-7"
    assert player.all("audio")


def test_all_references_on_the_page_arrive(shown: Element) -> None:
    ids = [e.attributes["id"] for e in shown.walk() if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    goals = {v[1:] for e in shown.walk() for k, v in e.attributes.items() if k == "href" and v and v.startswith("#")}
    goals |= {i for e in shown.walk() for i in (e.attributes.get("aria-labelledby") or "").split()}
    assert goals <= set(ids)


def test_the_table_gives_every_figure_under_its_bit_rate(record: dict[str, Any], shown: Element) -> None:
    (table,) = shown.all("table", **{"class": "comparison"})
    heads = [cell.text for cell in table.all("thead")[0].all("th")]
    assert heads == ["clip", *(f"{rate:g} kbps" for rate in mini.BANDWIDTHS_KBPS)]
    row = table.all("tbody")[0].all("tr")[1]
    expected = [f"{take['si_sdr_db']:.1f}" for take in takes(record["clips"][1], "reconstruction")]
    assert [cell.text for cell in row.all("td")] == expected
    medians = table.all("tbody")[1].all("tr")[0]
    assert medians.all("th")[0].text.replace("\xa0", " ") == "Median of 200 held-out clips of 2.0 s"
    assert [cell.text for cell in medians.all("td")] == ["–", "–", "–", "–", "9.9"]


def test_the_headline_is_the_median_at_the_top_bit_rate(record: dict[str, Any]) -> None:
    assert "9.9 dB median SI-SDR at 24 kbps, over 200 clips" in read(page.render(record)).text.replace("\xa0", " ")
    without = copy.deepcopy(record) | {"held_out": None}
    assert "median SI-SDR" not in read(page.render(without)).text


def test_an_si_sdr_that_says_nothing_gives_no_digits(shown: Element) -> None:
    assert "SI-SDR below −30" in shown.by_id("clip-1-take-7").text
    assert (page.si_sdr(-30.0), page.si_sdr(-30.1), page.si_sdr(None)) == ("−30.0", "below −30", "–")


@pytest.mark.parametrize("width", [4, 5])
def test_a_picture_holds_the_digits_as_they_stand(width: int) -> None:
    rng = np.random.default_rng(width)
    digits = rng.integers(16, size=(3, width))
    picture = page.png(["".join(f"{digit:x}" for digit in row) for row in digits])
    chunks = dict(chunks_of(picture))
    assert struct.unpack(">IIBBBBB", chunks[b"IHDR"]) == (width, 3, 4, 3, 0, 0, 0)
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(3, -1)
    assert not lines[:, 0].any()
    shades = np.stack([lines[:, 1:] >> 4, lines[:, 1:] & 15], axis=-1).reshape(3, -1)[:, :width]
    # The lowest band comes first in the record and last in the picture.
    np.testing.assert_array_equal(shades, digits[::-1])
    assert list(chunks[b"tRNS"])[:: len(gallery.SHADES) - 1] == [0, 255]


def chunks_of(picture: bytes) -> list[tuple[bytes, bytes]]:
    """Return the chunks of a PNG, their checksums checked."""
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    found, place = [], 8
    while place < len(picture):
        (length,) = struct.unpack_from(">I", picture, place)
        kind, data = picture[place + 4 : place + 8], picture[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", picture, place + 8 + length) == (zlib.crc32(kind + data),)
        found.append((kind, data))
        place += length + 12
    return found


def test_every_take_has_its_picture(record: dict[str, Any], shown: Element) -> None:
    pictures = shown.all("img")
    assert len(pictures) == sum(len(clip["takes"]) for clip in record["clips"])
    assert "Spectrogram: A bright piano in chords, At 6 kbps" in [
        (p.attributes["alt"] or "").replace("\xa0", " ") for p in pictures
    ]


def test_hostile_texts_are_just_odd_texts(record: dict[str, Any]) -> None:
    hostile = copy.deepcopy(record)
    hostile["command"] = hostile["encoder"]["name"] = hostile["twin"]["name"] = hostile["title"] = HOSTILE
    hostile["environment"] = {HOSTILE: HOSTILE}
    hostile["clips"][0] |= {"label": HOSTILE, "programs": [HOSTILE], "registers": [HOSTILE], "tonic": HOSTILE}
    shown = read(page.render(hostile))
    assert_stands_alone(shown)
    assert " ".join(HOSTILE.split()) in shown.by_id("clip-1-title").text


def test_the_same_record_gives_the_same_page(record: dict[str, Any]) -> None:
    assert page.render(record) == page.render(copy.deepcopy(record))


def test_a_gallery_without_extras_is_shown(record: dict[str, Any]) -> None:
    bare = {
        "schema": "testtone-gallery/1",
        "command": "",
        "encoder": {"name": "a"},
        "twin": {"name": "b"},
        "spectrogram": {"high_hz": 12000, "range_db": 60},
        "clips": [
            {
                "label": "one",
                "takes": [
                    {"kind": "original", "bandwidth_kbps": None, "si_sdr_db": None, "log_mel_db": None, "sound": "s"}
                ],
            }
        ],
        "sounds": {"s": {"flac": "AAAA"}},
    }
    shown = read(page.render(bare))
    assert len(shown.all("audio")) == 1
    assert not shown.all("img")
    assert "This gallery holds no clips." in read(page.render(bare | {"clips": []})).text


# --- the command lines ----------------------------------------------------------------------------------------------


def test_reports_makes_the_page_of_a_gallery(tmp_path: Path, record: dict[str, Any]) -> None:
    file = gallery.write(record, tmp_path / "gallery.json")
    assert main([str(file)]) == 0
    assert (tmp_path / "gallery.html").read_text(encoding="utf-8") == page.render(record)


BAD: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a later format": (lambda g: g.update(schema="testtone-gallery/2"), "gallery.schema='testtone-gallery/2' is not"),
    "no clips": (lambda g: g.pop("clips"), "gallery lacks 'clips', which testtone-gallery/1 requires"),
    "an unknown kind": (
        lambda g: g["clips"][1]["takes"][0].update(kind="copy"),
        "gallery.clips[1].takes[0].kind='copy' is not one of 'original', 'reconstruction', 'untrained'",
    ),
    "a sound that is not there": (
        lambda g: g["clips"][1]["takes"][2].update(sound="gone"),
        "gallery.clips[1].takes[2].sound='gone' is not one of gallery.sounds",
    ),
    "a sound that is no base64": (
        lambda g: g["sounds"].update(s={"flac": '"><script>'}),
        ".flac='\"><script>' does not match",
    ),
    "a picture of other signs": (
        lambda g: g["clips"][0]["takes"][0].update(spectrogram=["0g"]),
        "spectrogram[0]='0g' does not match",
    ),
    "a ragged picture": (
        lambda g: g["clips"][0]["takes"][0].update(spectrogram=["00", "000"]),
        "gallery.clips[0].takes[0].spectrogram: rows of [2, 3] digits are no picture; all must be as long",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), BAD.values(), ids=BAD.keys())
def test_a_broken_gallery_is_one_clear_line(
    tmp_path: Path,
    record: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[dict[str, Any]], object],
    message: str,
) -> None:
    broken = copy.deepcopy(record)
    spoil(broken)
    file = gallery.write(broken, tmp_path / "gallery.json")
    assert main([str(file)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"testtone.reports: {file}: ")
    assert message in line
    assert not file.with_suffix(".html").exists()


@needs_fluidsynth
def test_evaluation_writes_a_gallery_of_weights_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = mini.empty_model()
    mini.set_codebooks(model, 0.1 * torch.randn(mini.CODEBOOKS, mini.ENTRIES, mini.DIMENSION))
    weights, file = tmp_path / "w.safetensors", tmp_path / "g.json"
    mini.save(model, weights, metadata={})
    figures = {"clips": 3, "seconds": 2.0, "si_sdr_db 24 kbps": -50.0}
    # Two hundred clips, and codebooks for the twin, take minutes.
    monkeypatch.setattr(codec.CodecTask, "held_out_figures", lambda *_, **__: figures)
    monkeypatch.setattr(mini, "untrained", lambda **_: mini.trained(path=weights))
    monkeypatch.setattr(gallery, "gallery", partial(gallery.gallery, scenes=gallery.SCENES[6:7]))
    arguments = ["encodec-mini", "--evaluate", "--weights", str(weights), "--gallery", str(file)]
    assert command.main(arguments) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == figures
    assert f"python -m testtone.reports {file}" in said.err
    record = json.loads(file.read_text(encoding="utf-8"))
    jsonschema.validate(record, page.schema())
    assert record["command"].endswith(" ".join(arguments))
    assert record["encoder"]["name"].startswith("encodec-mini(w.safetensors, sha256 ")
    (clip,) = record["clips"]
    (original,) = takes(clip, "original")
    assert rms_db(heard(record, original)) == pytest.approx(gallery.LEVEL_DB, abs=0.01)
    assert main([str(file)]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ["samplecnn", "--evaluate", "--gallery", "g.json"], "only a codec gives sound back", id="a tagger"
        ),
        pytest.param(["encodec-mini", "--gallery", "g.json"], "goes with encodec-mini --evaluate", id="in training"),
        pytest.param(
            ["encodec-mini", "--evaluate", "--gallery", "nowhere/g.json"], "a folder that exists", id="no folder"
        ),
        pytest.param(["encodec-mini", "--evaluate", "--gallery", "."], "must be a file in a folder", id="a folder"),
    ],
)
def test_a_gallery_that_cannot_be_is_refused_before_anything_is_heard(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("testtone: --gallery ")
    assert message in line
    assert list(tmp_path.iterdir()) == []


# --- benchmarks -----------------------------------------------------------------------------------------------------


def test_benchmarks_run_only_where_they_are_asked_for(pytester: pytest.Pytester) -> None:
    root = Path(__file__).resolve().parents[2]
    pytester.makefile(".toml", pyproject=(root / "pyproject.toml").read_text(encoding="utf-8"))
    for folder in ("benchmarks", "harness"):
        (pytester.path / "tests" / folder).mkdir(parents=True)
        (pytester.path / f"tests/{folder}/test_{folder}.py").write_text("def test_it(): pass\n")
    found = {
        asked: re.findall(r"^(\S+)::test_it$", pytester.runpytest("--collect-only", "-q", *asked).stdout.str(), re.M)
        for asked in ((), ("tests",), ("tests/benchmarks",))
    }
    assert found == {
        (): ["tests/harness/test_harness.py"],
        ("tests",): ["tests/harness/test_harness.py"],
        ("tests/benchmarks",): ["tests/benchmarks/test_benchmarks.py"],
    }
