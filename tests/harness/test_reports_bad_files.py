# ruff: noqa: E501 (messages stand here as they are said)
"""Files that are no report: each is refused by every command with the same one line, and nothing is written."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reports_sample import sample

from testtone.reports import files
from testtone.reports.__main__ import main

COMMANDS: dict[str, list[str]] = {
    "page": ["run.json", "-o", "made.html"],
    "tables": ["run.json", "--tables"],
    "compare": ["compare", "good.json", "run.json", "-o", "made.html"],
    "merge": ["merge", "good.json", "run.json", "-o", "made.json"],
    "export": ["export", "run.json", "-o", "made"],
    "cut": ["cut", "run.json", "-o", "made.json"],
}

TEXT = json.dumps(sample())
Spoil = Callable[[Path], object]


def text(change: Callable[[str], str]) -> Spoil:
    """Return what writes a changed text of the report."""
    return lambda path: path.write_bytes(change(TEXT).encode("utf-8", "surrogatepass"))


def raw(data: bytes) -> Spoil:
    """Return what writes some bytes."""
    return lambda path: path.write_bytes(data)


def put(value: Any, *steps: str | int) -> Spoil:
    """Return what writes the report with a value at a place."""

    def spoil(path: Path) -> None:
        found: Any = sample()
        place = found
        for step in steps[:-1]:
            place = place[step]
        place[steps[-1]] = value
        path.write_text(json.dumps(found), encoding="utf-8")

    return spoil


def drop(*steps: str | int) -> Spoil:
    """Return what writes the report without what stands at a place."""

    def spoil(path: Path) -> None:
        found: Any = sample()
        place = found
        for step in steps[:-1]:
            place = place[step]
        del place[steps[-1]]
        path.write_text(json.dumps(found), encoding="utf-8")

    return spoil


def folder(path: Path) -> None:
    """Put a folder where the file should be."""
    path.mkdir()


def huge(path: Path) -> None:
    """Write a file too large to be a report, and mostly of nothing."""
    with path.open("wb") as file:
        file.truncate(300_000_000)


def number(written: str) -> Spoil:
    """Return what writes an effect's value as some text."""
    return text(lambda whole: whole.replace('"value": 0.162', f'"value": {written}', 1))


PITCH = "report.claims[0] (pitch_direction on encodec-24khz-default at stack_end) contradicts itself: "
HAND = ". Nothing is made of a report that was changed by hand"
TRUST = "run.json is not JSON that can be trusted: "
C0 = ("claims", 0)

BAD: dict[str, tuple[Spoil, str]] = {
    # --- no file, no text, no JSON
    "missing": (lambda path: None, "run.json: No such file or directory"),
    "a folder": (folder, "run.json: Is a directory"),
    "a pipe": (os.mkfifo, "run.json is no regular file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "run.json is no regular file"),
    "a link to nothing": (lambda path: path.symlink_to("nothing"), "run.json: No such file or directory"),
    "a link to itself": (lambda path: path.symlink_to("run.json"), "run.json: Too many levels of symbolic links"),
    "huge": (huge, "run.json has 300 MB; a report has at most 256 MB: is it the right file?"),
    "empty": (raw(b""), "run.json is not JSON: Expecting value: line 1 column 1 (char 0)"),
    "blank": (raw(b" \n "), "run.json is not JSON: Expecting value: line 2 column 2 (char 3)"),
    "a NUL": (raw(b"\0"), "run.json is not JSON: Expecting value: line 1 column 1 (char 0)"),
    "half a file": (
        text(lambda whole: whole[: whole.index("disagreement")]),
        "run.json is not JSON: Unterminated string starting at: *",
    ),
    "all but the end": (
        text(lambda whole: whole[:-1]),
        f"run.json is not JSON: Expecting ',' delimiter: line 1 column {len(TEXT)} (char {len(TEXT) - 1})",
    ),
    "twice": (
        text(lambda whole: whole * 2),
        f"run.json is not JSON: Extra data: line 1 column {len(TEXT) + 1} (char {len(TEXT)})",
    ),
    "a comma too many": (
        raw(b'{"schema": 1,}'),
        "run.json is not JSON: *",
    ),
    "single quotes": (
        raw(b"{'schema': 1}"),
        "run.json is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
    ),
    "a comment": (raw(b"// a report\n{}"), "run.json is not JSON: Expecting value: line 1 column 1 (char 0)"),
    "a page": (raw(b"<!DOCTYPE html>"), "run.json is not JSON: Expecting value: line 1 column 1 (char 0)"),
    "a control character": (
        raw(b'{"a": "\x07"}'),
        "run.json is not JSON: Invalid control character at: line 1 column 8 (char 7)",
    ),
    "a bad escape": (raw(b'{"a": "\\x41"}'), "run.json is not JSON: Invalid \\escape: line 1 column 8 (char 7)"),
    "a byte order mark": (
        raw(b"\xef\xbb\xbf{}"),
        "run.json is not JSON: Unexpected UTF-8 BOM (decode using utf-8-sig): line 1 column 1 (char 0)",
    ),
    "UTF-16": (
        raw(TEXT.encode("utf-16")),
        "run.json is not UTF-8 text: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
    ),
    "Latin-1": (
        raw('{"a": "ü"}'.encode("latin-1")),
        "run.json is not UTF-8 text: 'utf-8' codec can't decode byte 0xfc in position 7: invalid start byte",
    ),
    "a surrogate": (
        raw(b'{"a": "\xed\xa0\x80"}'),
        "run.json is not UTF-8 text: 'utf-8' codec can't decode byte 0xed in position 7: invalid continuation byte",
    ),
    "gzip": (
        raw(b"\x1f\x8b\x08\x00"),
        "run.json is not UTF-8 text: 'utf-8' codec can't decode byte 0x8b in position 1: invalid start byte",
    ),
    "a pickle": (
        raw(b"\x80\x04\x95\x02\x00."),
        "run.json is not UTF-8 text: 'utf-8' codec can't decode byte 0x80 in position 0: invalid start byte",
    ),
    "nested lists": (raw(b"[" * 100_000), "run.json is nested too deeply for a report"),
    "nested objects": (raw(b'{"a":' * 100_000), "run.json is nested too deeply for a report"),
    # --- numbers that are none, names that say two things
    "NaN": (number("NaN"), TRUST + "NaN is no number of JSON, and no effect can be compared with it"),
    "Infinity": (number("Infinity"), TRUST + "Infinity is no number of JSON, and no effect can be compared with it"),
    "-Infinity": (number("-Infinity"), TRUST + "-Infinity is no number of JSON, and no effect can be compared with it"),
    "beyond the floats": (number("1e999"), TRUST + "1e999 is beyond the numbers that a float holds"),
    "below the floats": (number("-1e999"), TRUST + "-1e999 is beyond the numbers that a float holds"),
    "a long integer": (number("9" * 5000), TRUST + "an integer of 5000 digits; at most 400 are read"),
    "half a number": (number("0."), "run.json is not JSON: Expecting ',' delimiter: *"),
    "hexadecimal": (number("0x1"), "run.json is not JSON: Expecting ',' delimiter: *"),
    "a name twice": (
        text(lambda whole: whole.replace('"verdict": "refuted"', '"verdict": "refuted", "verdict": "supported"', 1)),
        TRUST + "'verdict' stands twice in one object, and only one can be meant",
    ),
    # --- JSON, and no report
    "null": (raw(b"null"), "run.json: report=None is a NoneType, not the object that report.json holds"),
    "a list": (raw(b"[]"), "run.json: report=[] is a list, not the object that report.json holds"),
    "a number": (raw(b"7"), "run.json: report=7 is a int, not the object that report.json holds"),
    "a text": (raw(b'"report"'), "run.json: report='report' is a str, not the object that report.json holds"),
    "another thing": (raw(b"{}"), "run.json: report lacks 'schema', which testtone-report/1 requires"),
    "a later format": (
        put("testtone-report/2", "schema"),
        "run.json: report.schema='testtone-report/2' is not 'testtone-report/1'",
    ),
    "a format that is a list": (
        put(["testtone-report/1"], "schema"),
        "run.json: report.schema=['testtone-report/1'] is not 'testtone-report/1'",
    ),
    "no claims": (drop("claims"), "run.json: report lacks 'claims', which testtone-report/1 requires"),
    "no environment": (drop("environment"), "run.json: report lacks 'environment', which testtone-report/1 requires"),
    "claims by name": (put({}, "claims"), "run.json: report.claims={} is not of type array"),
    "a claim that is a text": (put("all", *C0), "run.json: report.claims[0]='all' is not of type object"),
    "an encoder that is none": (put(None, "encoders", 0), "run.json: report.encoders[0]=None is not of type object"),
    "a site that is a number": (put(3, *C0, "site"), "run.json: report.claims[0].site=3 is not of type string or null"),
    "an id that is none": (put(None, *C0, "id"), "run.json: report.claims[0].id=None is not of type string"),
    "a verdict of one's own": (
        put("proved", *C0, "verdict"),
        "run.json: report.claims[0].verdict='proved' is not one of 'supported', 'refuted', 'inconclusive', 'not-applicable', 'insufficient', 'invalid'",
    ),
    "no verdict": (put(None, *C0, "verdict"), "run.json: report.claims[0].verdict=None is not one of 'supported', *"),
    "a stance of one's own": (
        put("maybe", *C0, "stance"),
        "run.json: report.claims[0].stance='maybe' is not one of 'holds', 'does-not-hold', 'open'",
    ),
    "agreement in words": (
        put("yes", *C0, "agrees"),
        "run.json: report.claims[0].agrees='yes' is not of type boolean or null",
    ),
    "an effect that is a number": (
        put(0.5, *C0, "effect"),
        "run.json: report.claims[0].effect=0.5 is not of type object or null",
    ),
    "a value in words": (
        put("0.162", *C0, "effect", "value"),
        "run.json: report.claims[0].effect.value='0.162' is not of type number or null",
    ),
    "a value that is true": (
        put(True, *C0, "effect", "value"),
        "run.json: report.claims[0].effect.value=True is not of type number or null",
    ),
    "half an interval": (
        put([0.1], *C0, "effect", "ci"),
        "run.json: report.claims[0].effect.ci=[0.1] has 1 items, fewer than 2",
    ),
    "an interval of words": (
        put(["a", "b"], *C0, "effect", "ci"),
        "run.json: report.claims[0].effect.ci[0]='a' is not of type number or null",
    ),
    "more than sure": (
        put(1.5, *C0, "effect", "confidence"),
        "run.json: report.claims[0].effect.confidence=1.5 is above 1",
    ),
    "a p above 1": (put(1.2, *C0, "p"), "run.json: report.claims[0].p=1.2 is above 1"),
    "controls by name": (
        put({"R1": "supported"}, *C0, "controls"),
        "run.json: report.claims[0].controls={'R1': 'supported'} is not of type array",
    ),
    "a hostile expectation": (
        put("\x1b[2J<script>", *C0, "controls", 0, "expected"),
        "run.json: report.claims[0].controls[0].expected='\\x1b[2J<script>' is not one of 'supported', 'refuted'",
    ),
    "a sound that is no base64": (
        put({"x": {"flac": 'a"><script>'}}, "sounds"),
        "run.json: report.sounds['x'].flac='a\"><script>' does not match ^[A-Za-z0-9+/]+={0,2}$",
    ),
    "a sound without sound": (
        put({"x": {}}, "sounds"),
        "run.json: report.sounds['x'] lacks 'flac', which testtone-report/1 requires",
    ),
    "a reading without verdict": (
        drop(*C0, "parts", 0, "verdict"),
        "run.json: report.claims[0].parts[0] lacks 'verdict', which testtone-report/1 requires",
    ),
    "out of scope without reason": (
        put([{"quote": "a", "source": "b"}], "out_of_scope"),
        "run.json: report.out_of_scope[0] lacks 'reason', which testtone-report/1 requires",
    ),
    "a shard that is a text": (put("1/2", "shard"), "run.json: report.shard='1/2' is not of type object or null"),
    # --- a report that says two things
    "supported against its interval": (
        put("supported", *C0, "verdict"),
        f"run.json: {PITCH}verdict='supported', but the interval [0.118, 0.206] with supported_above=0.5 and refuted_below=0.5 makes it 'refuted'{HAND}",
    ),
    "a moved interval": (
        put([0.6, 0.7], *C0, "effect", "ci"),
        f"run.json: {PITCH}verdict='refuted', but the interval [0.6, 0.7] with supported_above=0.5 and refuted_below=0.5 makes it 'supported'{HAND}",
    ),
    "a moved threshold": (
        put({"supported_above": 0.1, "refuted_below": 0.1}, *C0, "threshold"),
        f"run.json: {PITCH}*makes it *{HAND}",
    ),
    "thresholds the wrong way round": (
        put({"supported_above": 0.1, "refuted_below": 0.5}, *C0, "threshold"),
        f"run.json: {PITCH}refuted_below=0.5 lies above supported_above=0.1{HAND}",
    ),
    "an interval the wrong way round": (
        put([0.2, 0.1], *C0, "effect", "ci"),
        f"run.json: {PITCH}effect has the interval [0.2, 0.1], whose ends are the wrong way round{HAND}",
    ),
    "agreement against the stance": (
        put(False, *C0, "agrees"),
        f"run.json: {PITCH}agrees=false, but verdict='refuted' where the source says 'does-not-hold' makes it true{HAND}",
    ),
    "no agreement": (
        put(None, *C0, "agrees"),
        f"run.json: {PITCH}agrees=null, but verdict='refuted' where the source says 'does-not-hold' makes it true{HAND}",
    ),
    "an excuse for nothing": (
        put("we know", *C0, "known_disagreement"),
        f"run.json: {PITCH}known_disagreement is given, but agrees=true{HAND}",
    ),
    "a verdict without an effect": (
        put(None, *C0, "effect"),
        f"run.json: {PITCH}verdict='refuted', but no interval makes it 'insufficient'{HAND}",
    ),
    "a verdict without thresholds": (put(None, *C0, "threshold"), f"run.json: {PITCH}*{HAND}"),
    "a control that lies": (
        put("refuted", *C0, "controls", 0, "verdict"),
        f"run.json: {PITCH}control R1 is said to be 'refuted', but the interval [0.91, 0.97] with supported_above=0.5 and refuted_below=0.5 makes it 'supported'{HAND}",
    ),
    "a reading that lies": (
        put("refuted", *C0, "parts", 0, "verdict"),
        f"run.json: {PITCH}reading 'frozen components' is said to be 'refuted', but the interval [0.998, 1] with supported_above=0.5 and refuted_below=0.5 makes it 'supported'{HAND}",
    ),
    "a case twice": (
        put(sample()["claims"][0], "claims", 1),
        f"run.json: report.claims[1] is pitch_direction on encodec-24khz-default at stack_end, which stands at claims[0] already{HAND}",
    ),
    "run and not run": (
        put([{"id": "pitch_direction", "encoder": "encodec-24khz-default", "site": "latent"}], "exit", "not_run"),
        f"run.json: report.exit.not_run[0] is pitch_direction on encodec-24khz-default at latent, which has a verdict at claims[1]{HAND}",
    ),
    "records left out": (drop("claims", 4), f"run.json: report.exit.ran=15, but there are 14 claims{HAND}"),
}


def test_the_table_is_long() -> None:
    assert len(BAD) >= 80


@pytest.mark.parametrize(("spoil", "message"), BAD.values(), ids=BAD.keys())
def test_every_command_refuses_it_with_the_same_line_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], spoil: Spoil, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.json").write_text(TEXT, encoding="utf-8")
    spoil(Path("run.json"))
    before = sorted(path.name for path in tmp_path.iterdir())
    for name, command in COMMANDS.items():
        assert main(command) == 2, name
        said = capsys.readouterr()
        assert said.out == "", name
        (line,) = said.err.splitlines()
        head, star, tail = message.partition("*")
        expected = f"testtone.reports: {head}"
        assert (line.startswith(expected) and line.endswith(tail.split("*")[-1])) if star else line == expected, name
        assert sorted(path.name for path in tmp_path.iterdir()) == before, name


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "../../../../etc/passwd",
    "/etc/passwd",
    "a\0b",
    "\x1b]0;title\x07\x1b[2J",
    '=HYPERLINK("http://example.org")',
    "x" * 5000,
    "\u202egnp.exe",
    "\ud800",
    "CON",
    "{{ 7 * 7 }}{% raw %}",
    "]]></style></svg></template>",
    "ü ♯ 𝄞\n\r\t|,;",
    "",
]


@pytest.mark.parametrize("word", HOSTILE, ids=lambda word: ascii(word)[:24])
def test_a_hostile_word_goes_through_every_command_as_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    found = sample()
    for record in found["claims"]:
        record["id"] = record["id"] if record["id"] != "alias_collapse" else word
        record["title"] = record["quote"] = record["proposition"] = record["source"] = word
        for stimulus in record["stimuli"]:
            stimulus["label"] = word
    for sound in found["sounds"].values():
        sound["label"] = word
        sound["truth"] = {
            "sources": [{"kind": word, "partials": [{"hz": word, "amplitude": None}, {"hz": 1, "amplitude": 0}]}]
        }
    found["exit"]["not_run"] = []
    Path("run.json").write_text(json.dumps(found), encoding="utf-8")
    Path("again.json").write_text(json.dumps(found), encoding="utf-8")
    outside = sorted(path.name for path in tmp_path.parent.iterdir())
    for command, status in (
        (["run.json"], 0),
        (["run.json", "--tables"], 0),
        (["compare", "run.json", "again.json", "-o", "compared.html"], 1),  # one is invalid in both
        (["export", "run.json", "-o", "made"], 0),
        # What no file can hold in UTF-8 is refused.
        (["merge", "run.json", "again.json", "-o", "merged.json"], 2 if "\ud800" in word else 0),
        (["cut", "run.json", "-o", "cut.json"], 2 if "\ud800" in word else 0),
    ):
        assert main(command) == status, command
        said = capsys.readouterr()
        assert not {"\x1b", "\x07", "\0", "\u202e"} & set(said.out + said.err), command
    for page in (*tmp_path.glob("*.html"), *tmp_path.glob("made/embed/*.html")):
        markup = page.read_text(encoding="utf-8")
        assert markup.count("<script") <= 1  # the page's own, which copies
        assert "<script>alert" not in markup
        assert "<img" not in markup
        assert "{{ 7" not in markup or "7 * 7 }}" in markup
    for path in tmp_path.rglob("*"):
        assert path.resolve().is_relative_to(tmp_path)
        assert len(path.name) < 100
    assert sorted(path.name for path in tmp_path.parent.iterdir()) == outside
    table = (tmp_path / "made/sounds/sounds.csv").read_text(encoding="utf-8")
    assert not any(cell.startswith(("=", "@", "+")) for line in table.splitlines() for cell in line.split(","))


def test_a_file_that_is_read_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = files.write(tmp_path / "run.json", files.dump(sample()))
    assert files.read_report(path) == sample()
