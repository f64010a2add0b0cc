"""Meaning of the highlighted field, and its RFC."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

if TYPE_CHECKING:  # nothing is explained on the first screen yet
    from ipl_tui.packets.explanations.explained import Explained


class Said(NamedTuple):
    """A field's name, what is said about it in parts, the most important first, and where it is written."""

    name: str = ""
    parts: tuple[str, ...] = ()
    source: str = ""


class Meaning(Widget):
    """A few quiet lines: a name, what its value says, what it is for, the usual mistake, and the source. What does not
    fit is left out, the last part first."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"meaning--name", "meaning--source"}

    said: reactive[Said] = reactive(Said())

    def explain(self, *rows: Explained, header: bytes = b"") -> None:
        """Explain a field, or the several that Scapy has one name for, as `flags`: of a packet with this header what
        its values say, too."""
        name = " and ".join(dict.fromkeys(row.title for row in rows)) if len(rows) < 3 else rows[0].part_of
        parts = [f"{row.label} {row.says(header)}" if len(rows) > 1 else row.says(header) for row in rows]
        if len(rows) == 1:
            parts += [rows[0].meaning, rows[0].mistake]
        self.said = Said(name, tuple(filter(None, parts)), ", ".join(dict.fromkeys(row.rfc for row in rows)))

    def render(self) -> Text:
        parts = self.said.parts
        while not self.fits(text := self.written(parts)) and len(parts) > 1:
            parts = parts[:-1]
        return text

    def written(self, parts: tuple[str, ...]) -> Text:
        name, _, source = self.said
        return Text.assemble(
            (f"{name}: " if parts else name, self.get_component_rich_style("meaning--name")),
            " ".join(parts),
            # A section is not torn from its RFC.
            (f"  {source}".replace(" §", "\N{NO-BREAK SPACE}§") if source else "",
             self.get_component_rich_style("meaning--source")),
        )  # fmt: skip

    def fits(self, text: Text) -> bool:
        """True if all its lines are in view."""
        return len(text.wrap(self.app.console, max(1, self.size.width))) <= self.size.height
