"""A stage for one widget: an app that holds it, styled as the lab is, and hears what it says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from textual.app import App, ComposeResult
from textual.events import MouseScrollDown, MouseScrollUp
from textual.message import Message
from textual.pilot import Pilot
from textual.widget import Widget

import ipl_tui

Kind = TypeVar("Kind", bound=Message)


class Stage(App[None]):
    """Nothing but the widgets."""

    CSS_PATH = Path(ipl_tui.__file__).with_name("app.tcss")

    def __init__(self, *staged: Widget) -> None:
        super().__init__()
        self.staged = staged
        self.heard: dict[int, Message] = {}
        """Every message, once: it passes each widget on its way up."""

    def compose(self) -> ComposeResult:
        yield from self.staged

    def hear(self, message: Message) -> None:
        self.heard.setdefault(id(message), message)

    def said(self, kind: type[Kind]) -> list[Kind]:
        """The messages of a kind that were posted so far."""
        return [message for message in self.heard.values() if isinstance(message, kind)]

    def turn_wheel(self, kind: type[MouseScrollUp | MouseScrollDown], x: int, y: int) -> None:
        """Turn the mouse wheel at a cell of the screen."""
        way = -1 if kind is MouseScrollUp else 1
        self.post_message(
            kind(
                None,
                x,
                y,
                delta_x=0,
                delta_y=way,
                button=0,
                shift=False,
                meta=False,
                ctrl=False,
                screen_x=x,
                screen_y=y,
            )
        )


@asynccontextmanager
async def staged(*widgets: Widget, size: tuple[int, int] = (120, 20)) -> AsyncIterator[tuple[Pilot[None], Stage]]:
    """Runs a stage; the first widget has the focus, if it takes it."""
    stage = Stage(*widgets)
    async with stage.run_test(size=size, message_hook=stage.hear) as pilot:
        widgets[0].focus()
        await pilot.pause()
        yield pilot, stage
