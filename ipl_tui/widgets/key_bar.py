"""The last line: the keys that work here and now, to press or to click."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.style import Style
from rich.text import Text
from textual.widget import Widget

if TYPE_CHECKING:
    from textual.binding import Binding
    from textual.screen import Screen


class KeyBar(Widget):
    """The bindings that are shown, and the palette's at the right while there is room.

    Textual's own footer mounts a widget for each key, all of them anew whenever the focus moves, and six times at the
    start: a tenth of a second before the first full screen.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-bar--key"}

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self.keys_changed)

    def keys_changed(self, screen: Screen[object]) -> None:
        if screen.is_current:
            self.refresh()

    def render(self) -> Text:
        active = self.screen.active_bindings
        # What always works comes first, then what the focused widget adds: that may fall off a narrow screen's edge.
        ordered = sorted(active.values(), key=lambda item: item.node is not self.screen)
        shown: dict[str, Binding] = {}
        for _, binding, enabled, _ in ordered:
            if binding.show and enabled:
                shown.setdefault(binding.action, binding)
        line = Text()
        for item in map(self.item, shown.values()):
            if line.cell_len + item.cell_len < self.size.width:
                line.append(" " if line else "").append_text(item)
        palette = active.get(self.app.COMMAND_PALETTE_BINDING)
        if palette is not None:
            last = self.item(palette.binding)
            room = self.size.width - line.cell_len - last.cell_len
            if room > 1:
                line.append(" " * room).append_text(last)
        return line

    def item(self, binding: Binding) -> Text:
        click = Style.from_meta({"@click": f"app.simulate_key('{binding.key}')"})
        key = self.get_component_rich_style("key-bar--key") + click
        return Text.assemble((self.app.get_key_display(binding), key), (f" {binding.description}", click))
