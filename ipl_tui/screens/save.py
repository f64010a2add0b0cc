"""Saving the capture: where to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen, Screen
from textual.widgets import Input, Label, Static

from ipl_tui.capture.errors import CaptureError
from ipl_tui.packets.text import counted, printable
from ipl_tui.session.session import Session

ADVICE = "A name that ends in .pcap gives the older format, any other pcapng; .gz after that compresses it."


class SaveScreen(ModalScreen[Path | None]):
    """Asks for a path. Gives it, or None; an existing file is overwritten only when Enter is pressed again."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f8", "dismiss", "Back", id="save.back")]

    def __init__(self, count: int, typed: str = "capture.pcapng", problem: str = "") -> None:
        """`problem` is why the capture could not be saved at what was typed before."""
        super().__init__()
        self.count = count
        self.typed = typed
        """Text in the line, at first or at last."""
        self.problem = problem
        self.agreed: Path | None = None
        """The existing file that the user was asked about."""

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Label(f"Save {counted(self.count, 'packet')} as", classes="title")
            yield Input(self.typed, id="path", select_on_focus=not self.problem)
            yield Static(Text(printable(self.problem) or ADVICE), id="advice")
            yield Label("Enter saves, Esc goes back", classes="hint")

    @on(Input.Submitted)
    def save(self, event: Input.Submitted) -> None:
        if not event.value.strip():
            self.advise("A file needs a name.")
            return
        # Unlike Path's, these raise nothing where one may not look: saving says what is the matter.
        path = Path(os.path.expanduser(event.value.strip()))
        if os.path.isdir(path):
            self.advise(f"{path} is a folder: add a file name.")
        elif os.path.exists(path) and path != self.agreed:
            self.agreed = path
            self.advise(f"{path} exists. Enter again replaces it.")
        else:
            self.typed = event.value
            self.dismiss(path)

    def advise(self, text: str) -> None:
        self.query_one("#advice", Static).update(Text(printable(text)))


async def save_capture(screen: Screen[None], session: Session) -> bool:
    """Ask for a path until the capture is saved there, or the user goes back: then False; what was typed stays. For a
    worker."""
    dialog = SaveScreen(len(session.store))
    while (path := await screen.app.push_screen_wait(dialog)) is not None:
        try:
            saved = await session.save(path)
        except CaptureError as error:
            dialog = SaveScreen(len(session.store), dialog.typed, f"Not saved. {error}")
        else:
            title = f"Saved {counted(saved, 'packet')}"
            screen.notify(printable(str(path.absolute())), title=title, markup=False)
            return True
    return False
