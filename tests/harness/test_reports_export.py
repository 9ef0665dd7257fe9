"""What a report holds, as files: sounds with their labels, figures, pieces for posts, a badge; and a smaller report."""

import base64
import csv
import io
import json
import math
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from plugin_toys import check, report
from reports_sample import SAMPLE_RATE, sample, sound

from testtone.reports import cut, export, files, pictures, validate
from testtone.reports.__main__ import main
from testtone.stimuli import Stimulus

ROOT = Path(__file__).resolve().parents[2]
GALLERY = ROOT / "reports" / "gallery"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Return the folder that the sample was exported to."""
    (tmp_path / "run.json").write_text(files.dump(sample()), encoding="utf-8")
    assert main(["export", str(tmp_path / "run.json"), "-o", str(tmp_path / "made")]) == 0
    return tmp_path / "made"


def table(folder: Path) -> list[dict[str, str]]:
    """Return the rows of the labels."""
    with (folder / "sounds" / "sounds.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# --- sounds ---------------------------------------------------------------------------------------------------------


def test_each_sound_is_a_wav_file_with_the_samples_of_the_report(made: Path) -> None:
    rows = table(made)
    assert {row["sha256"] for row in rows} == set(sample()["sounds"])
    assert {path.name for path in (made / "sounds").glob("*.wav")} == {row["file"] for row in rows}
    for row in rows:
        samples, rate = soundfile.read(made / "sounds" / row["file"], dtype="int16")
        carried = base64.b64decode(sample()["sounds"][row["sha256"]]["flac"])
        expected, _ = soundfile.read(io.BytesIO(carried), dtype="int16")
        np.testing.assert_array_equal(samples, expected)
        assert (rate, int(row["sample_rate_hz"])) == (SAMPLE_RATE, SAMPLE_RATE)
        assert len(samples) == round(float(row["seconds"]) * rate)


def test_labels_name_the_claims_that_a_sound_was_played_for(made: Path) -> None:
    claims = {row["label"]: row["claims"] for row in table(made)}
    assert claims["1037 Hz"] == "alias_collapse"
    assert claims["A major: the same A3 with company"] == "pitch_direction;holistic_texture"


def test_partials_are_told_by_frequency_and_level(pytester: pytest.Pytester) -> None:
    check(pytester, "--claims-report=report.html", "-k", "open")
    assert main(["export", str(pytester.path / "report.json"), "-o", "made", "--only", "sounds"]) == 0
    rows = [row for row in table(pytester.path / "made") if row["claims"]]
    assert len(rows) == 3
    for row in rows:
        stimulus = Stimulus.from_truth(report(pytester)["sounds"][row["sha256"]]["truth"])
        (partial,) = stimulus.sources[0].partials
        assert row["kinds"] == "tone"
        assert row["partials"] == "1"
        assert float(row["partials_hz"]) == pytest.approx(partial.hz, rel=1e-5)
        assert float(row["partials_db"]) == pytest.approx(20 * math.log10(partial.amplitude), abs=0.01)
        # And so it is in the file: a sine of that amplitude has an RMS 3.01 dB below it.
        samples, rate = soundfile.read(pytester.path / "made" / "sounds" / row["file"])
        steady = samples[rate // 10 : -rate // 10]
        level = 20 * math.log10(math.sqrt(np.mean(steady**2)))
        assert level == pytest.approx(float(row["partials_db"]) - 3.01, abs=0.3)
    assert {float(row["partials_db"]) for row in rows} == {-20.0, -13.98, -7.96}


def test_a_sound_that_is_no_flac_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = sample()
    next(iter(found["sounds"].values()))["flac"] = "AAAA"
    (tmp_path / "run.json").write_text(files.dump(found), encoding="utf-8")
    assert main(["export", str(tmp_path / "run.json"), "-o", str(tmp_path / "made")]) == 2
    assert "sound 'A3, a single pitch' is no FLAC file" in capsys.readouterr().err


def test_the_same_report_gives_the_same_files(made: Path, tmp_path: Path) -> None:
    assert main(["export", str(tmp_path / "run.json"), "-o", str(tmp_path / "again")]) == 0
    names = sorted(path.relative_to(made) for path in made.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(tmp_path / "again") for path in (tmp_path / "again").rglob("*.*"))
    for name in names:
        assert (made / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_a_file_in_the_way_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.json").write_text(files.dump(sample()), encoding="utf-8")
    (tmp_path / "made").write_text("mine")
    assert main(["export", str(tmp_path / "run.json"), "-o", str(tmp_path / "made")]) == 2
    assert str(tmp_path / "made") in capsys.readouterr().err
    assert (tmp_path / "made").read_text() == "mine"


# --- figures and badge ----------------------------------------------------------------------------------------------


def test_each_figure_is_a_picture_of_its_own(made: Path) -> None:
    svgs = sorted((made / "figures").glob("*.svg"))
    assert [path.stem for path in svgs] == ["alias_collapse-1", "holistic_texture-1", "pitch_direction-1"]
    for path in svgs:
        text = path.read_text(encoding="utf-8")
        root = ElementTree.fromstring(text)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "var(" not in text
        assert not re.search(r'(?:href|src)="(?!#)', text)
        assert float(root.get("width") or 0) == pictures.WIDTH


def test_each_figure_is_a_png_as_well(made: Path) -> None:
    pytest.importorskip("resvg_py")
    for path in (made / "figures").glob("*.svg"):
        data = path.with_suffix(".png").read_bytes()
        assert data.startswith(b"\x89PNG\r\n\x1a\n")
        width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
        root = ElementTree.parse(path).getroot()
        assert width == export.SCALE * pictures.WIDTH
        assert height == pytest.approx(export.SCALE * float(root.get("height") or 0), abs=2)


def test_without_the_package_for_png_the_rest_is_written_and_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    (tmp_path / "run.json").write_text(files.dump(sample()), encoding="utf-8")
    assert main(["export", str(tmp_path / "run.json"), "-o", str(tmp_path / "made"), "--only", "figures"]) == 0
    assert "no PNG: that needs the package resvg-py" in capsys.readouterr().out
    assert {path.suffix for path in (tmp_path / "made" / "figures").iterdir()} == {".svg"}


def test_the_badge_says_how_many_agree(made: Path) -> None:
    root = ElementTree.parse(made / "badge.svg").getroot()
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["claims", "3 of 10 agree, 1 invalid"]
    assert (made / "badge.svg").stat().st_size < 1500
    assert "none decided" in export.badge(sample() | {"claims": []})


# --- pieces for posts -----------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Reads tags, attributes and ids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def embeds(folder: Path) -> dict[str, str]:
    """Return the pieces by the claim's id."""
    return {path.stem: path.read_text(encoding="ascii") for path in (folder / "embed").glob("*.html")}


def test_there_is_a_piece_for_each_claim_and_it_is_small(made: Path) -> None:
    found = embeds(made)
    assert set(found) == {"pitch_direction", "alias_collapse", "holistic_texture"}
    assert all(len(text) <= export.EMBED_BYTES for text in found.values())


def test_a_piece_has_no_head_and_fetches_runs_and_opens_nothing(made: Path) -> None:
    for text in embeds(made).values():
        reader = Reader(text)
        assert not {"html", "head", "body", "script", "link", "iframe", "a", "form", "base", "meta"} & set(reader.tags)
        for name, value in reader.attributes:
            assert not name.startswith("on")
            assert name != "style"
            if name in ("src", "href"):
                assert value.startswith(("data:audio/flac;base64,", "#"))
        assert "url(" not in text
        assert "@import" not in text
        assert "vh" not in re.sub(r"base64,[^\"]*", "", text)


def test_the_style_of_a_piece_stays_within_it(made: Path) -> None:
    for text in embeds(made).values():
        id = re.search(r'<div class="testtone" id="([^"]+)"', text)[1]  # type: ignore[index]
        css = re.search(r"<style>(.*?)</style>", text, flags=re.DOTALL)[1]  # type: ignore[index]
        css = css.replace("@media (prefers-color-scheme:dark){", "").replace("}}", "}")
        rules = re.findall(r"([^{}]+)\{([^{}]*)\}", css)
        assert len(rules) > 30
        for selectors, body in rules:
            assert all(each.strip().startswith(f"#{id}#{id}") for each in re.split(r",(?![^(]*\))", selectors)), (
                selectors
            )
            assert all(each.endswith("!important") for each in body.split(";")), body
        assert "var(" not in css
        ids = [value for name, value in Reader(text).attributes if name == "id"]
        assert len(ids) == len(set(ids))
        assert all(each.startswith("testtone-") for each in ids)


def test_two_pieces_on_one_page_share_no_id(made: Path) -> None:
    ids = [value for text in embeds(made).values() for name, value in Reader(text).attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_a_piece_plays_its_sounds_as_long_as_there_is_room(made: Path) -> None:
    # Two short sounds are in; of the alias pair a third was never carried.
    assert embeds(made)["pitch_direction"].count("<audio") == 2
    assert "1 more sound in the report" in embeds(made)["alias_collapse"]


def test_a_piece_stays_small_whatever_the_report_holds(tmp_path: Path) -> None:
    found = sample()
    digest, noise = sound(*np.geomspace(100, 11000, 300), label="long", seconds=4.0)
    found["sounds"][digest] = noise
    for record in found["claims"]:
        record["stimuli"] = [{"sha256": digest, "label": "long"}]
    alias = [record for record in found["claims"] if record["id"] == "alias_collapse"][:3]
    many = [record | {"encoder": f"encoder {n}"} for n in range(100) for record in alias]
    found["claims"] = many
    found["exit"] = None
    assert len(noise["flac"]) > export.EMBED_BYTES
    (tmp_path / "run.json").write_text(files.dump(found), encoding="utf-8")
    assert main(["export", str(tmp_path / "run.json"), "-o", str(tmp_path / "made"), "--only", "embed"]) == 0
    (text,) = embeds(tmp_path / "made").values()
    assert len(text) <= export.EMBED_BYTES
    assert "<audio" not in text
    assert re.search(r"and \d+ more, in the report", text)


HOST = """<!doctype html><meta charset="utf-8"><style>
* { font-size: 31px; color: rgb(255, 0, 0) !important; letter-spacing: 4px; }
p { background: yellow } svg { width: 40px; height: 9px } div { border: 5px dotted green; position: absolute }
li { display: none } text { fill: red } span { font-weight: 900 }
</style><body><p id="host">host</p>%s<script>
const style = (e) => { const s = getComputedStyle(e); return [s.fontSize, s.color, s.letterSpacing, s.display,
  s.backgroundColor, s.position, s.borderTopWidth, s.fontWeight].join(" ") };
const root = document.querySelector(".testtone");
const told = {
  host: style(document.getElementById("host")),
  title: style(root.querySelector(".title")),
  row: style(root.querySelector("li")),
  badge: style(root.querySelector(".badge")),
  width: root.querySelector(".plot").getBoundingClientRect().width,
  height: root.querySelector(".plot").getBoundingClientRect().height,
  icon: root.querySelector(".icon").getBoundingClientRect().width,
  root: root.offsetHeight, scroll: document.documentElement.scrollWidth, window: innerWidth,
};
document.body.setAttribute("data-told", JSON.stringify(told));
</script></body>"""

STANDIN = '<div class="testtone"><p class="title"><li><i class="badge"></i></li><b class="plot icon"></b></p></div>'
PLAIN = HOST.replace(HOST[HOST.index("*") : HOST.index("</style>")], "")


def in_browser(page: Path, width: int) -> dict[str, Any]:
    """Return what a page says of itself in a browser of some width."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or pytest.skip("there is no Chromium here")
    words = ["--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900", "--dump-dom"]
    done = subprocess.run([browser, *words, page.as_uri()], capture_output=True, text=True, check=False, timeout=120)
    told = re.search(r'data-told="([^"]*)"', done.stdout)
    assert told, done.stderr[-500:]
    return json.loads(told[1].replace("&quot;", '"'))


@pytest.mark.parametrize("width", [500, 740])
def test_in_a_browser_nothing_leaks_in_or_out(made: Path, tmp_path: Path, width: int) -> None:
    piece = embeds(made)["pitch_direction"]
    found = {}
    for name, host in (("plain", PLAIN), ("hostile", HOST)):
        (tmp_path / f"{name}.html").write_text(host % piece, encoding="utf-8")
        (tmp_path / f"{name}-alone.html").write_text(host % STANDIN, encoding="utf-8")
        found[name] = in_browser(tmp_path / f"{name}.html", width)
        # The page around looks the same with the piece and without.
        assert found[name]["host"] == in_browser(tmp_path / f"{name}-alone.html", width)["host"]
    plain, hostile = found["plain"], found["hostile"]
    for name in ("title", "row", "badge"):
        assert hostile[name] == plain[name], name
    assert plain["title"].startswith("20px rgb(29, 35, 39) normal block")
    assert hostile["width"] == pytest.approx(plain["width"], abs=20)
    assert hostile["height"] == plain["height"]
    assert hostile["icon"] == plain["icon"] == 14
    # Its height is there to be read, and nothing makes the page scroll sideways.
    assert plain["root"] > 300
    assert plain["scroll"] <= plain["window"]


# --- a smaller report, and the gallery ------------------------------------------------------------------------------


def test_a_cut_report_has_all_but_some_sounds(tmp_path: Path) -> None:
    found = sample()
    whole = len(cut.dump(found).encode())
    (tmp_path / "run.json").write_text(files.dump(found), encoding="utf-8")
    limit = whole // 1000 - 4
    words = ["cut", str(tmp_path / "run.json"), "-o", str(tmp_path / "less.json"), "--kilobytes", str(limit)]
    assert main(words) == 0
    less = files.read_report(tmp_path / "less.json")
    assert (tmp_path / "less.json").stat().st_size <= 1000 * limit
    assert 0 < len(less["sounds"]) < len(found["sounds"])
    assert all(found["sounds"][sha256] == entry for sha256, entry in less["sounds"].items())
    assert less | {"sounds": None} == found | {"sounds": None}


def test_a_report_that_cannot_be_cut_so_small_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.json").write_text(files.dump(sample()), encoding="utf-8")
    words = ["cut", str(tmp_path / "run.json"), "-o", str(tmp_path / "less.json"), "--kilobytes", "1"]
    assert main(words) == 2
    assert re.search(r"--kilobytes=1: without a single sound the report takes \d+ kB", capsys.readouterr().err)
    assert not (tmp_path / "less.json").exists()


@pytest.mark.skipif(not GALLERY.is_dir(), reason="the gallery stays in the repository")
def test_the_gallery_is_what_its_report_makes(tmp_path: Path) -> None:
    found = files.read_report(GALLERY / "report.json")
    validate(found)
    assert main([str(GALLERY / "report.json"), "-o", str(tmp_path / "index.html")]) == 0
    assert main(["export", str(GALLERY / "report.json"), "-o", str(tmp_path), "--only", "badge"]) == 0
    for name in ("index.html", "badge.svg"):
        assert (GALLERY / name).read_bytes() == (tmp_path / name).read_bytes(), "run: make gallery"
    assert (GALLERY / "report.json").stat().st_size < 1_500_000
    assert (GALLERY / "index.html").stat().st_size < 2_000_000


def test_the_schema_is_printed_as_it_is_published(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((ROOT / "reports/schema.json").read_text(encoding="utf-8"))
