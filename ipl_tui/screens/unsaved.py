"""What would lose packets that were not saved: it is done after the user was asked, and was offered to save them."""

from __future__ import annotations

from typing import ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen, Screen
from textual.widgets import Button, Label, Static

from ipl_tui.packets.text import counted
from ipl_tui.screens.save import save_capture
from ipl_tui.session.session import Session

Choice = Literal["save", "go on", "stay"]


class UnsavedScreen(ModalScreen[Choice]):
    """Asks what is to become of packets that were not saved. Gives the answer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "dismiss('save')", "Save", id="unsaved.save", tooltip="Save them first"),
        Binding("escape", "dismiss('stay')", "Stay", id="unsaved.stay", tooltip="Back to the lab, as it is"),
        Binding("left", "app.focus_previous", "Previous", show=False, id="unsaved.previous"),
        Binding("right", "app.focus_next", "Next", show=False, id="unsaved.next"),
    ]

    lost: ClassVar[str]
    """Sentence on what would be lost, and how."""

    def __init__(self, count: int) -> None:
        """`count` is how many packets were not saved."""
        super().__init__()
        self.count = count

    def compose(self) -> ComposeResult:
        keys = {
            binding.action: f"{binding.description}  {self.app.get_key_display(binding)}"
            for _, binding, _, _ in self.active_bindings.values()
        }
        with Vertical(classes="dialog"):
            yield Label(f"{counted(self.count, 'packet')} not saved", classes="title")
            yield Static(self.lost)
            with Horizontal(classes="row"):
                for choice, id in {"save": "save", "go on": "go-on", "stay": "stay"}.items():
                    yield Button(keys[f"dismiss('{choice}')"], id=id, compact=True)

    @on(Button.Pressed)
    def choose(self, event: Button.Pressed) -> None:
        choices: dict[str | None, Choice] = {"save": "save", "go-on": "go on"}
        self.dismiss(choices.get(event.button.id, "stay"))


class ClearScreen(UnsavedScreen):
    """Asks before the list is cleared."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "dismiss('go on')", "Clear", id="unsaved.clear", tooltip="Clear the list all the same")
    ]
    lost = "Clearing the list drops them."


class AfreshScreen(UnsavedScreen):
    """Asks before a network is started afresh."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("X", "dismiss('go on')", "Afresh", id="unsaved.afresh", tooltip="Start it afresh all the same")
    ]
    lost = "The network begins afresh, and the list with it: that drops them."


class LeaveScreen(UnsavedScreen):
    """Asks before the lab is left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "dismiss('go on')", "Leave", id="unsaved.leave", tooltip="Leave all the same")
    ]
    lost = "Leaving the lab drops them."


async def clear_list(screen: Screen[None], session: Session) -> None:
    """Drop all packets and capture anew, unless a file is shown, or the user would rather not. For a worker."""
    if session.file is not None:
        screen.notify("A file is shown: choose where to capture with F2.", title="Clear")
    elif await may_drop(screen, session, ClearScreen):
        await session.begin_anew()


async def start_afresh(screen: Screen[None], session: Session) -> None:
    """Start the selected interface's network afresh and clear the list, if that is possible, and the user still wants
    it. For a worker."""
    network = session.network
    if session.file is not None:
        screen.notify("A file is shown: choose where to capture with F2.", title="Afresh")
    elif not network.restartable:
        others = " or ".join(each.name for each in session.networks if each.restartable)
        advice = f": choose a {others} interface with F2" if others else ""
        screen.notify(f"The {network.name} network can't be started afresh{advice}.", title="Afresh")
    elif await may_drop(screen, session, AfreshScreen):
        await session.begin_anew(afresh=True)
        screen.notify(f"The {network.name} network has begun afresh.", title="Afresh")


async def may_drop(screen: Screen[None], session: Session, question: type[UnsavedScreen]) -> bool:
    """True if no packet would be lost, or the user has saved them or gives them up. For a worker."""
    if isinstance(screen.app.screen, UnsavedScreen):  # the key was pressed twice before it was there
        return False
    if not session.unsaved:
        return True
    choice = await screen.app.push_screen_wait(question(session.unsaved))
    return await agrees(choice, screen, session)


async def agrees(choice: Choice | None, screen: Screen[None], session: Session) -> bool:
    """True if packets may be dropped by a choice; they are saved first if it says so. For a worker."""
    return choice == "go on" or (choice == "save" and await save_capture(screen, session))
