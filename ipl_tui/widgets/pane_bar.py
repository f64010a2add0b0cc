"""The names of the panes, where there is room for one at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget


class PaneBar(Widget):
    """One line of names; a click chooses."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"pane-bar--active"}

    active: reactive[str] = reactive("")
    """The key of the pane that is shown."""

    class PaneChosen(Message):
        """The user clicked on a pane's name."""

        def __init__(self, pane: str) -> None:
            super().__init__()
            self.pane = pane

    def __init__(self, names: Mapping[str, str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.names = names

    def render(self) -> Text:
        active = self.get_component_rich_style("pane-bar--active")
        return Text.assemble(
            *((f" {name} ", active if pane == self.active else "") for pane, name in self.names.items())
        )

    def on_click(self, event: events.Click) -> None:
        start = 0
        for pane, name in self.names.items():
            start += len(name) + 2
            if event.x < start:
                self.post_message(self.PaneChosen(pane))
                return
