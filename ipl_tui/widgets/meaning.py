"""Meaning of the highlighted field, and its RFC."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from ipl_tui.packets.fields import Field


class Meaning(Widget):
    """Two quiet lines: a name, what it means, and its source."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"meaning--name", "meaning--source"}

    text: reactive[tuple[str, str, str]] = reactive(("", "", ""))

    def explain(self, *fields: Field) -> None:
        """Explain a field of the IPv4 header, or the several that Scapy has one name for, as `flags`."""
        labels = ", ".join(field.label for field in fields)
        meaning = fields[0].meaning if len(fields) == 1 else "each has a cell of its own in the header."
        self.text = labels, meaning, ", ".join(dict.fromkeys(field.rfc for field in fields))

    def render(self) -> Text:
        name, meaning, source = self.text
        return Text.assemble(
            (f"{name}: " if meaning else name, self.get_component_rich_style("meaning--name")),
            meaning,
            (f"  {source}" if source else "", self.get_component_rich_style("meaning--source")),
        )
