"""Reports as Markdown tables, for a README, an issue or a notebook: verdicts by claim, encoder and site, and controls.

Several reports (an encoder each, say) make one pair of tables. Names from outside are code spans; a stroke in them
would end a cell and is escaped.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from . import wording
from .schema import validate

SITES: Mapping[str, str] = {"first_conv": "F", "stack_end": "E", "latent": "L", "quantised": "Q"}
"""Columns, by site; the letters are those of the list of claims."""

STANCES: Mapping[str, str] = {"holds": "holds", "does-not-hold": "does not hold", "open": "open"}
DECIMALS = 2


def render(reports: Sequence[Any]) -> str:
    """Return both tables of some reports, as Markdown.

    Raises:
        TypeError, ValueError: if one of them is no report; see `schema.validate`.
    """
    for report in reports:
        validate(report)
    records = [record for report in reports for record in report["claims"]]
    return "\n".join([*verdicts(records), "", *controls(records), ""])


def verdicts(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a row per claim and encoder, a column per site; disagreements in bold."""
    rows: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for record in records:
        rows.setdefault((record["id"], record["encoder"]), {})[record["site"]] = record
    used = [site for site in SITES if any(site in row for row in rows.values())]
    lines = [_row("claim", "the post", "encoder", *(SITES[site] for site in used)), _row(*["---"] * (3 + len(used)))]
    for (claim, encoder), row in sorted(rows.items(), key=lambda item: item[0][0]):
        stance = STANCES[next(iter(row.values()))["stance"]]
        lines.append(_row(_code(claim), stance, _code(encoder), *(_cell(row.get(site)) for site in used)))
    return lines


def controls(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a row per claim: what its controls came to, wrong ones in bold."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for record in records:
        for control in record["controls"]:
            text = f"{_code(control['encoder'])} {_effect(control['effect'])}"
            if control["verdict"] != control["expected"]:
                text = f"**{text} {control['verdict']}**"
            # A control of one site answers for all; where sites differ each answer is said once.
            found.setdefault(record["id"], {}).setdefault(control["expected"], {})[text] = text
    lines = [_row("claim", "must be supported", "must be refuted"), _row("---", "---", "---")]
    for claim, sides in sorted(found.items()):
        lines.append(_row(_code(claim), *("; ".join(sides.get(side, {})) for side in ("supported", "refuted"))))
    return lines


def _cell(record: Mapping[str, Any] | None) -> str:
    if record is None:
        return ""
    verdict = record["verdict"] or "no verdict"
    if verdict == "not-applicable":
        return "n/a"
    text = f"{_effect(record['effect'])} {verdict}".strip()
    return f"**{text}**" if record["agrees"] is False else text


def _effect(effect: Mapping[str, Any] | None) -> str:
    if effect is None:
        return ""
    low, high = wording.ends(effect)
    ends = ", ".join(wording.number(end, decimals=DECIMALS) for end in (low, high))
    return f"{wording.number(effect['value'], decimals=DECIMALS)} [{ends}]"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _code(name: str) -> str:
    return "`" + " ".join(name.replace("`", "'").split()).replace("|", "\\|") + "`"
