"""A result of a tool cut to its allowance of tokens, by what kind of text it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ctxeng.errors import BadInput
from ctxeng.message import well_formed
from ctxeng.text.clip import clip_middle
from ctxeng.tokens import Calibrated, Counter
from ctxeng.tools.clip.fit import Fits, Within, size
from ctxeng.tools.clip.json_clip import clip_json, tight
from ctxeng.tools.clip.kinds import Kind, kind_of
from ctxeng.tools.clip.log_clip import clip_log
from ctxeng.tools.clip.table_clip import clip_table
from ctxeng.tools.clip.text_clip import clip_text

Clip = Callable[[str, str, Fits], str | None]  # text, query, what fits: the clip, None where it finds none
CLIPS: Mapping[Kind, Clip] = {"json": clip_json, "table": clip_table, "log": clip_log, "text": clip_text}
_TIGHTER = 3  # times the allowance: longer JSON is not written out tightly to see whether it fits


@dataclass(frozen=True)
class Clipped:
    """A text within an allowance, the kind it was taken for, its tokens, and those of the full one.

    `whole`: nothing is left out. `full_tokens` is scaled up from a sample where the text is over 200,000
    characters long.
    """

    text: str
    kind: Kind
    full_tokens: int
    tokens: int
    whole: bool


@dataclass(frozen=True)
class Clipper:
    """Cuts texts to at most `tokens` as `count` counts them, each kind by a way of its own.

    Raises BadInput for an allowance below 0.
    """

    tokens: int = 1_000
    count: Counter = field(default_factory=Calibrated)
    kinds: Mapping[Kind, Clip] = field(default_factory=lambda: CLIPS)

    def __post_init__(self) -> None:
        if self.tokens < 0:
            raise BadInput(f"an allowance of {self.tokens} tokens cannot be; give 0 or more")

    def clip(self, text: str, query: str = "") -> Clipped:
        """The text itself where it fits; else what of it speaks most to the query, and its ends.

        The same text and query give the same clip. Time grows with the length of the text.
        """
        text = well_formed(text)
        full = size(text, self.count, self.tokens)
        kind = kind_of(text)
        if full <= self.tokens or not text:
            return Clipped(text, kind, full, full, whole=True)
        fits = Within(self.tokens, self.count)
        if kind == "json" and full <= _TIGHTER * self.tokens:
            short = tight(text)
            if short is not None and fits(short):
                return Clipped(short, kind, full, self.count.count(short), whole=True)
        shown = self._cut(text, kind, well_formed(query), fits)
        return Clipped(shown, kind, full, self.count.count(shown), whole=False)

    def _cut(self, text: str, kind: Kind, query: str, fits: Fits) -> str:
        """By its kind, else as text, else head and tail, else the mark alone, else nothing."""
        for clip in (self.kinds.get(kind, clip_text), clip_text):
            found = clip(text, query, fits)
            if found is not None and fits(found):
                return found
        middle = clip_middle(text, fits)
        return middle if fits(middle) else ""
