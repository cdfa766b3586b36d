"""Drawing with matplotlib so that the page's colours, in light and dark, are the drawing's."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# colours that stand for the page's variables until the drawing is done
INK, MUTED, RULE, PAPER = "#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04"
SERIES = tuple(f"#0a0c{place:02x}" for place in range(1, 9))
_VARIABLES = {INK: "ink", MUTED: "muted", RULE: "rule", PAPER: "paper"} | {
    colour: f"series-{place}" for place, colour in enumerate(SERIES, 1)
}
_MARKS = ("o", "s", "^", "D", "v", "P", "X", "p")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)), (0, (3, 1)))
_SHAPES = (  # the same marks for keys beside the plots, in a box of 24 x 12
    '<circle cx="12" cy="6" r="3.6"/>',
    '<rect x="8.8" y="2.8" width="6.4" height="6.4"/>',
    '<path d="M12 1.8 16 9.4H8z"/>',
    '<path d="M12 1.4 16.6 6 12 10.6 7.4 6z"/>',
    '<path d="M12 10.2 16 2.6H8z"/>',
    '<path d="M10.6 2h2.8v2.6h2.6v2.8h-2.6V10h-2.8V7.4H8V4.6h2.6z"/>',
    '<path d="M9.6 2 12 4.4 14.4 2 16 3.6 13.6 6 16 8.4 14.4 10 12 7.6 9.6 10 8 8.4 10.4 6 8 3.6z"/>',
    '<path d="M12 1.8 16.2 4.9 14.6 9.8H9.4L7.8 4.9z"/>',
)
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ctxeng",
    "text.parse_math": False,
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "ytick.major.size": 0,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
}


@dataclass(frozen=True)
class Look:
    """How a series is drawn: no two of the first forty agree in colour, mark and dash."""

    place: int

    @property
    def colour(self) -> str:
        """Its colour, until the drawing is done."""
        return SERIES[self.place % len(SERIES)]

    @property
    def line(self) -> dict[str, Any]:
        """Its looks, as matplotlib takes them."""
        dash = _DASHES[(self.place + self.place // len(SERIES)) % len(_DASHES)]
        return {
            "color": self.colour,
            "marker": _MARKS[self.place % len(_MARKS)],
            "linestyle": dash,
            "markeredgecolor": PAPER,
            "markeredgewidth": 0.7,
        }

    @property
    def key(self) -> Markup:
        """A small drawing of line and mark, for a key beside the plots."""
        dash = self.line["linestyle"]
        dashes = "" if isinstance(dash, str) else " ".join(f"{1.6 * each:g}" for each in dash[1])
        return Markup(  # noqa: S704 - numbers and shapes of our own
            f'<svg class="key" viewBox="0 0 24 12" aria-hidden="true" fill="var(--series-{self.number})" '
            f'stroke="var(--series-{self.number})"><path d="M0 6h24" fill="none" stroke-width="1.6" '
            f'stroke-dasharray="{dashes}"/><g stroke="none">{_SHAPES[self.place % len(_SHAPES)]}</g></svg>'
        )

    @property
    def number(self) -> int:
        """The number of its colour on the page."""
        return 1 + self.place % len(SERIES)


@contextmanager
def drawing(width: float = 4.4, height: float = 3.1) -> Iterator[tuple[Any, Any]]:
    """A figure of one panel in the page's style. Fonts that are not here concern the reader's browser."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot()


def rendered(figure: Any, prefix: str, title: str, description: str) -> Markup:
    """The figure as an inline SVG element whose ids start with `prefix`; a picture with a name to readers."""
    FigureCanvasSVG(figure)
    out = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context(_STYLE):
        figure.savefig(out, format="svg", metadata=nothing)
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", out.getvalue(), flags=re.DOTALL)
    box = re.search(r'viewBox="([^"]+)"', text)
    inner = text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]
    inner = re.sub(r"<[^>]+>", lambda tag: _themed(tag[0], prefix), inner)
    inner = re.sub(r"\s*\n\s*", " ", inner)
    return Markup(  # noqa: S704 - matplotlib escapes texts; what is ours is escaped here
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box[1] if box else ""}" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title>'
        f"<desc>{escape(description)}</desc>{inner}</svg>"
    )


def words(text: str) -> str:
    """Text as a label can hold it: one line, no control characters, not too long."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return line if len(line) <= 40 else f"{line[:38]}..."  # noqa: PLR2004 - what a panel has room for


def _themed(tag: str, prefix: str) -> str:
    tag = re.sub(r'\bid="', f'id="{prefix}-', tag)
    tag = tag.replace("url(#", f"url(#{prefix}-").replace('xlink:href="#', f'href="#{prefix}-')
    tag = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--font)", tag)
    for colour, name in _VARIABLES.items():
        tag = tag.replace(colour, f"var(--{name})")
    return tag
