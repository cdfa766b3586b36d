"""A clip with the line that names its reference, and reading what was set aside: by pages, by a query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from ctxeng.tools.clip.clipper import Clip, Clipper
from ctxeng.tools.clip.fit import Within, most, size
from ctxeng.tools.clip.json_clip import clip_json
from ctxeng.tools.clip.json_rank import SEARCH
from ctxeng.tools.clip.kinds import Kind
from ctxeng.tools.clip.marks import page_line, reference_line, unforged
from ctxeng.tools.clip.text_clip import search_text

SEARCHES: Mapping[Kind, Clip] = {
    "json": partial(clip_json, weights=SEARCH),
    "table": search_text,
    "log": search_text,
    "text": search_text,
}
_STEP = 8  # characters by which a page grows while its end is looked for
_TRIES = 4  # a count of two texts joined may be more than that of both; then the clip is made smaller


@dataclass(frozen=True)
class Reading:
    """What `tool` returns of a text under a reference, all within the clipper's allowance."""

    clipper: Clipper
    tool: str

    def clipped(self, text: str, ref: str, query: str) -> str:
        """The clip and a last line that names the reference; without the line where nothing is left out."""
        count, allowed = self.clipper.count.count, self.clipper.tokens
        line = reference_line(self.tool, ref, size(text, self.clipper.count, allowed))
        room = allowed - count("\n" + line)
        for _ in range(_TRIES):
            found = replace(self.clipper, tokens=max(room, 0)).clip(text, query)
            shown = unforged(found.text)
            whole = shown if found.whole else f"{shown}\n{line}".lstrip("\n")
            over = count(whole) - allowed
            if over <= 0:
                return whole
            room -= over
        return line

    def searched(self, text: str, ref: str, query: str) -> str:
        """What of the text answers the query best, in source order, with the same last line."""
        return replace(self, clipper=replace(self.clipper, kinds=SEARCHES)).clipped(text, ref, query)

    def page(self, text: str, ref: str, start: int) -> str:
        """The text from character `start` on, as much as fits, to the end of a line where one is near."""
        fits = Within(self.clipper.tokens, self.clipper.count)
        left = len(text) - start

        def shown(end: int) -> str:
            return f"{unforged(text[start:end])}\n{page_line(self.tool, ref, start, end, len(text))}"

        steps = most(lambda count: shown(start + min(_STEP * count, left)), -(-left // _STEP), fits)
        end = start + min(_STEP * max(steps, 1), left)  # a page of nothing would never end
        line = text.rfind("\n", start, end) + 1
        return shown(line if end < len(text) and line - start > (end - start) / 2 else end)
