"""Letters for the widget that has the focus, and for nothing else."""

from __future__ import annotations

from textual.keys import KEY_NAME_REPLACEMENTS
from textual.widgets import Button

RENAMED = frozenset(KEY_NAME_REPLACEMENTS.values())
"""Keys such as "slash", whose characters Textual does not know by its own names for them."""


class KeepsLetters:
    """For what one types at, or chooses with: a letter that it has no use for does nothing, as in an input."""

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return key in RENAMED or (character is not None and character.isprintable())


class Chooser(KeepsLetters, Button):
    """A button that leads to other choices."""
