"""What the highlighted field means, and where that is written."""

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
        """Explain fields of the IPv4 header: several where Scapy has one for them, as `flags`."""
        self.text = (
            ", ".join(field.label for field in fields),
            " ".join(field.meaning for field in fields[:1]),
            ", ".join(dict.fromkeys(field.rfc for field in fields)),
        )

    def render(self) -> Text:
        name, meaning, source = self.text
        return Text.assemble(
            (f"{name}: " if meaning else name, self.get_component_rich_style("meaning--name")),
            meaning,
            (f"  {source}" if source else "", self.get_component_rich_style("meaning--source")),
        )
