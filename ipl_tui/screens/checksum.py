"""The header checksum of one packet, worked out; and after a hop, why it changed."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, Screen
from textual.widgets import Label, Static

from ipl_tui.packets.craft import Crafted
from ipl_tui.packets.worked_checksum import show_change, show_header_checksum
from ipl_tui.tracking.tracker import Tracker
from ipl_tui.widgets.scroller import Scroller


class ChecksumScreen(ModalScreen[None]):
    """The steps from the words of a header to its checksum (RFC 1071)."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,c,ctrl+y,q", "dismiss", "Back", id="checksum.back")]

    def __init__(self, whose: str, packet: bytes, hop: str = "", before: bytes = b"") -> None:
        """`packet` is an IPv4 packet; `before` is it one hop earlier, empty without one, and `hop` says where."""
        super().__init__()
        self.whose, self.packet, self.hop, self.before = whose, packet, hop, before

    def compose(self) -> ComposeResult:
        steps = list(show_header_checksum(self.packet))
        why = list(show_change(self.before, self.packet))
        with Scroller(classes="dialog"):
            yield Label(f"Header Checksum · chksum of {self.whose}, worked", classes="title", markup=False)
            yield Static("\n".join(steps) or "Its header is not whole: there is nothing to sum.", markup=False)
            if why:
                yield Label(f"Why it is another one than {self.hop} (RFC 1624 §3)", id="why", markup=False)
                yield Static("\n".join(why), markup=False)
            yield Label("RFC 791 §3.1, RFC 1071 §1. Esc goes back", classes="hint")


def work_out(screen: Screen[None], what: Crafted | int | None, tracker: Tracker) -> None:
    """Open the dialog over a screen: for a draft, None while it is none, or for the packet of a number, 0 for none."""
    if isinstance(what, int):
        if packet := tracker.packet(what) if what else b"":
            hop = tracker.previous(what)
            before = tracker.packet(hop) if hop is not None else b""
            where = f"in packet {hop}, on {tracker.interface(hop)}" if hop is not None else ""
            screen.app.push_screen(ChecksumScreen(f"packet {what}", packet, where, before))
        else:
            screen.notify("No IPv4 packet is shown: choose one in the list (1).", title="Checksum")
    elif what is None:
        screen.notify("A field of the draft has no bits in the header: mend that first.", title="Checksum")
    else:
        screen.app.push_screen(ChecksumScreen("the draft", what.packet))
