"""The pictures of a report, taken off its page: as files of their own, and as pieces of other people's pages.

On the page a picture takes its colours from ``page.css``. Off the page it must bring them. ``sheet`` reads that style,
keeps the rules that pictures need, and resolves the variables, for nothing can be relied on elsewhere; with a scope it
also sees to it that no rule reaches out of it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from markupsafe import Markup, escape

from . import page
from .wording import shorten

WIDTH = 740
"""CSS pixels: a column of text."""

FONTS = '"DejaVu Sans", "Liberation Sans", Helvetica, Arial, sans-serif'
"""For files: fonts that are found where there is no browser."""

_MARGIN, _HEAD = 20, 44  # CSS pixels: air around a picture in a file of its own, and its title

_FIELD = re.compile(
    r'(?P<head><svg[^>]*\bwidth="(?P<width>[0-9.]+)%" height="(?P<height>[0-9.]+)") '
    r'viewBox="0 0 (?P<w>[0-9.]+) (?P<h>[0-9.]+)" preserveAspectRatio="none">(?P<inner>.*?)</svg>',
    flags=re.DOTALL,
)
_TAG = re.compile(r"<svg\b|</svg>")
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_VARIABLE = re.compile(r"var\((--[a-z0-9-]+)\)")


@dataclass(frozen=True)
class Picture:
    """One picture: what it is called, and its element as it stands on the page."""

    claim: str
    name: str
    svg: str
    caption: str = ""
    """What stands above it on the page, such as whose picture it is; escaped."""

    @property
    def height(self) -> float:
        """Its height in CSS pixels."""
        found = re.search(r'<svg[^>]*\bheight="([0-9.]+)"', self.svg)
        return float(found[1]) if found else 0.0

    @property
    def title(self) -> str:
        """What it is called: its caption, or its name for those who hear it; escaped as it stands on the page."""
        if self.caption:
            return self.caption
        found = re.search(r"<title[^>]*>(.*?)</title>", self.svg, flags=re.DOTALL)
        return found[1] if found else self.name


def taken(text: str, claims: Mapping[str, str]) -> Iterator[Picture]:
    """Yield the pictures of a page, claim by claim.

    Args:
        text: the page, as `page.render` returns it; every text in it is escaped.
        claims: id of each claim's section -> id of the claim.
    """
    for anchor, claim in claims.items():
        start = text.find(f'<section class="claim" id="{anchor}"')
        section = text[start : text.find("</section>", start)] if start >= 0 else ""
        for index, (above, svg) in enumerate(_elements(section), start=1):
            yield Picture(claim, f"{claim}-{index}", svg, above)


def standalone(picture: Picture) -> str:
    """Return a picture as an SVG file: its size, its colours (those of light paper) and its ground with it."""
    opening, _, rest = picture.svg.partition(">")
    opening = re.sub(r'\s(?:width|height|xmlns|role|aria-labelledby)="[^"]*"', "", opening)
    rules = sheet(fonts=FONTS).replace("&", "&amp;").replace("<", "&lt;")
    width, height = WIDTH - 2 * _MARGIN, picture.height + _HEAD + _MARGIN
    title = picture.title
    colours = palette()
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:g}" role="img" '
        f'viewBox="0 0 {WIDTH} {height:g}" font-family="{FONTS.replace(chr(34), chr(39))}" font-size="12.5">'
        f"<title>{title}</title><style>{rules}</style>"
        f'<rect width="{WIDTH}" height="{height:g}" fill="{colours["--paper"]}"/>'
        f'<text x="{_MARGIN}" y="26" font-size="15" font-weight="600" fill="{colours["--ink"]}">'
        f"{_shortened(title)}</text>"
        f'{opening} x="{_MARGIN}" y="{_HEAD}" width="{width}" height="{picture.height:g}">'
        f"{_unstretched(rest, width)}</svg>\n"
    )


def _unstretched(text: str, width: float) -> str:
    """Return a picture whose stretched fields are drawn at their size.

    On the page a field is a square that is stretched to whatever width it gets, with strokes that are not. Few programs
    but browsers know of such strokes; here the width is known.
    """

    def drawn(field: re.Match[str]) -> str:
        across, down, wide, high = float(field["width"]) / 100 * width, *(float(field[n]) for n in ("height", "w", "h"))
        by = (across / wide, down / high)
        inner = re.sub(r' points="([^"]*)"', lambda found: f' points="{_scaled(found[1], by)}"', field["inner"])
        inner = re.sub(r' d="([^"]*)"', lambda found: f' d="{_scaled(found[1], by)}"', inner)
        return f'{field["head"]} viewBox="0 0 {across:g} {down:g}">{inner}</svg>'

    return _FIELD.sub(drawn, text)


def _scaled(path: str, by: tuple[float, float]) -> str:
    """Return a path or some points, each number times that of its axis: pairs, and steps along one (h, v)."""
    made, place = [], 0
    for word in re.findall(r"[A-Za-z]|[-+]?[0-9.]+", path):
        if word.isalpha():
            made.append(word)
            place = 1 if word in "vV" else 0
        else:
            made.append(f"{float(word) * by[place]:.2f}")
            place = 1 - place
    return " ".join(made)


def _shortened(title: str) -> str:
    """Return an escaped title as long as a line."""
    return escape(shorten(str(Markup(title).unescape()), characters=84))


def sheet(*, scope: str = "", more: str = "", fonts: str = "", dark: bool = False) -> str:
    """Return the rules that pictures need, variables resolved.

    Args:
        scope: selector that every rule is put under; with it every declaration is marked important, so that the rules
            of a page around do not win.
        more: further rules, in the same variables.
        fonts: names that stand in for the page's.
        dark: the colours of dark paper, and only the declarations that differ by it.
    """
    colours = palette(dark=dark) | ({"--sans": fonts} if fonts else {})
    rules = []
    of_pictures = [
        rule for rule in _rules(page._source("page.css")) if rule[0][0].startswith((".plot", ".chart", ".v-"))
    ]
    for selectors, declarations in [*of_pictures, *_rules(more)]:
        if dark:
            declarations = [each for each in declarations if "var(--" in each]
        if not declarations:
            continue
        declarations = [_VARIABLE.sub(lambda found: colours.get(found[1], found[0]), each) for each in declarations]
        if scope:
            declarations = [f"{each}!important" for each in declarations]
            selectors = [scope if each == ":scope" else f"{scope} {each}" for each in selectors]
        rules.append(f"{','.join(selectors)}{{{';'.join(declarations)}}}")
    return "".join(rules)


def palette(*, dark: bool = False) -> dict[str, str]:
    """Return the variables of the page's style: name -> value."""
    css = re.sub(r"/\*.*?\*/", "", page._source("page.css"), flags=re.DOTALL)
    blocks = re.findall(r":root\s*\{([^{}]*)\}", css.partition("@media print")[0])
    found: dict[str, str] = {}
    for block in blocks[: 2 if dark else 1]:
        found |= dict(re.findall(r"(--[a-z0-9-]+)\s*:\s*([^;]+);", block))
    return found


def _rules(css: str) -> list[tuple[list[str], list[str]]]:
    """Return selectors and declarations of each rule of a style that stands in no at-rule."""
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    css = re.sub(r"@[^{};]+\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", css)
    return [
        ([each.strip() for each in selectors.split(",")], [each.strip() for each in body.split(";") if each.strip()])
        for selectors, body in _RULE.findall(css)
    ]


def _elements(text: str) -> Iterator[tuple[str, str]]:
    """Yield caption and element of the pictures of a text, those within others left where they are."""
    depth, start = 0, 0
    for tag in _TAG.finditer(text):
        if tag[0] == "</svg>":
            depth -= 1
            if depth == 0 and re.match(r'<svg[^>]*\bclass="plot\b', text[start:]):
                above = text[text.rfind("<figure", 0, start) : start]
                caption = re.search(r"<figcaption>(.*?)</figcaption>", above, flags=re.DOTALL)
                said = re.sub(r"<[^>]*>", "", caption[1]) if caption else ""
                yield " ".join(said.split()), text[start : tag.end()]
        else:
            if depth == 0:
                start = tag.start()
            depth += 1
