"""What we show: one ``report.json`` becomes one page that needs nothing but itself.

``page``     ``render`` and ``write``: the report in the order of a reader's questions, through ``page.jinja``;
             ``excerpt``: the sections of its claims alone
``clips``    the same for ``gallery.json``: what a codec leaves of some clips, to be heard, through ``gallery.jinja``
``compare``  reports side by side, flipped verdicts first, through ``compare.jinja``
``merge``    the shards of a run, or claims asked one by one, as one report
``export``   sounds as WAV with their labels, figures as SVG and PNG, pieces for posts, a badge
``pictures`` the pictures of the page, taken off it: with their colours, or with a style that stays within them
``cut``      a smaller report: all numbers, and as many sounds as fit
``plots``    intervals as inline SVG, drawn by hand so that they follow the width and the colours of the page
``tables``   the same numbers as Markdown, for a README or an issue
``schema``   ``validate``: the contract ``schema.json`` (JSON Schema 2020-12), checked without a further dependency
``consistency``  whether a report contradicts itself: each verdict worked out again from what stands beside it
``files``    files in, strictly, and out, whole or not at all
``wording``  numbers, intervals, durations and verdicts in words

Conventions: a report is the plain dict that ``json.load`` returns; an interval is ``[low, high]`` and either end may be
null; everything that came from outside is escaped. The same report gives the same bytes, on any machine and any day.
Nothing of testtone is imported here, so that an old report can be shown again without an encoder in sight.

On the command line: ``python -m testtone.reports run.json -o run.html``, or ``run.json --tables``;
``compare``, ``merge``, ``export``, ``cut`` and ``schema`` come first on the line.
``gallery/`` holds a report cut to fit the repository and the page of it; ``make gallery`` makes the page again.
"""

from .page import excerpt as excerpt
from .page import render as render
from .page import write as write
from .schema import validate as validate

__all__ = ["excerpt", "render", "validate", "write"]
