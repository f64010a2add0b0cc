"""The last line: the keys that work here and now, to press or to click."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.widget import Widget

if TYPE_CHECKING:
    from textual.screen import Screen


class KeyBar(Widget):
    """The bindings that are shown, and the palette's at the right while there is room.

    Textual's own footer mounts a widget for each key, all of them anew whenever the focus moves, and six times at the
    start: a tenth of a second before the first full screen.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-bar--key"}

    def on_mount(self) -> None:
        commands = Binding.make_bindings(type(self.screen).BINDINGS)
        self.order = {binding.id: place for place, binding in enumerate(commands)}
        self.screen.bindings_updated_signal.subscribe(self, self.keys_changed)

    def keys_changed(self, screen: Screen[object]) -> None:
        if screen.is_current:
            self.refresh()

    def places(self) -> list[tuple[int, Binding]]:
        """The keys that fit, each with its column."""
        active = self.screen.active_bindings
        # What always works comes first, then what the focused widget adds: that may fall off a narrow screen's edge.
        # Keys of the user's own come last in Textual's order; each command keeps its place here.
        ordered = sorted(
            active.values(), key=lambda item: (item.node is not self.screen, self.order.get(item.binding.id, 0))
        )
        shown: dict[str, Binding] = {}
        for _, binding, enabled, _ in ordered:
            if binding.show and enabled:
                shown.setdefault(binding.action, binding)
        places, column = [], 0
        for binding in shown.values():
            width = len(self.words(binding))
            if column + width <= self.size.width:
                places.append((column, binding))
                column += width + 1
        if (palette := active.get(self.app.COMMAND_PALETTE_BINDING)) is not None:
            last = self.size.width - len(self.words(palette.binding))
            if last > column:
                places.append((last, palette.binding))
        return places

    def words(self, binding: Binding) -> str:
        return f"{self.app.get_key_display(binding)} {binding.description}"

    def render(self) -> Text:
        key, line = self.get_component_rich_style("key-bar--key"), Text()
        for column, binding in self.places():
            line.append(" " * (column - len(line))).append(self.words(binding))
            line.stylize(key, column, column + len(self.app.get_key_display(binding)))
        return line

    def on_click(self, event: events.Click) -> None:
        for column, binding in self.places():
            if column <= event.x < column + len(self.words(binding)):
                self.app.simulate_key(binding.key)
