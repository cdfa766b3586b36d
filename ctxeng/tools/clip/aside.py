"""Full texts kept aside under short references that hold within one scope alone."""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from dataclasses import dataclass, field

from ctxeng.errors import UnknownName
from ctxeng.storage.setaside import MemorySetAside, Texts, reference
from ctxeng.turn import Scope

_DIGITS = 10  # of a short reference; more where two texts of a scope begin alike


@dataclass(frozen=True)
class Aside:
    """Texts by short reference. `references` maps a scope's key and a short reference to a full one.

    Give a mapping that lasts (a shelf, a table) together with texts that last, and references survive a
    restart. Nothing is dropped by itself: `forget` a scope when its session is over.
    """

    texts: Texts = field(default_factory=MemorySetAside)
    references: MutableMapping[str, str] = field(default_factory=dict)

    def put(self, text: str, scope: Scope) -> str:
        """The text's short reference in this scope: the first hex digits of its sha256, ten as a rule."""
        full = self.texts.put(text)
        for digits in range(_DIGITS, len(full) + 1):
            if self.references.setdefault(_key(scope, full[:digits]), full) == full:
                return full[:digits]
        return full

    def get(self, short: str, scope: Scope) -> str:
        """The text; UnknownName where this scope has no such reference, whoever else has it."""
        full = self.references.get(_key(scope, short))
        if full is None:
            raise UnknownName("reference", short[:80], ())
        return self.texts.get(full)

    def forget(self, scope: Scope) -> int:
        """How many references of the scope were dropped. The texts are their store's business."""
        mine = [key for key in self.references if key.startswith(_key(scope, ""))]
        for key in mine:
            del self.references[key]
        return len(mine)


def _key(scope: Scope, short: str) -> str:
    """The scope hashed, so that no name in it can look like another scope's key."""
    return f"{reference(json.dumps([scope.tenant, scope.user, scope.session]))}:{short}"
