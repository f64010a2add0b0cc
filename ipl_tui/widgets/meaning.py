"""Meaning of the highlighted field, and its RFC."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

if TYPE_CHECKING:  # nothing is explained on the first screen yet
    from ipl_tui.packets.explanations.explained import Explained


class Meaning(Widget):
    """A few quiet lines: a name, what its value says, what it is for, and the source."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"meaning--name", "meaning--source"}

    text: reactive[tuple[str, str, str]] = reactive(("", "", ""))

    def explain(self, *rows: Explained, header: bytes = b"") -> None:
        """Explain a field, or the several that Scapy has one name for, as `flags`: of a packet with this header what
        its values say, too."""
        name = " and ".join(dict.fromkeys(row.title for row in rows)) if len(rows) < 3 else rows[0].part_of
        said = [row.says(header) for row in rows]
        if len(rows) == 1:
            said.append(rows[0].meaning)
        else:
            said = [f"{row.label} {text}" for row, text in zip(rows, said, strict=True)]
        self.text = name, " ".join(filter(None, said)), ", ".join(dict.fromkeys(row.rfc for row in rows))

    def render(self) -> Text:
        name, meaning, source = self.text
        return Text.assemble(
            (f"{name}: " if meaning else name, self.get_component_rich_style("meaning--name")),
            meaning,
            (f"  {source}" if source else "", self.get_component_rich_style("meaning--source")),
        )
