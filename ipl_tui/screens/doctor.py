"""The doctor: what works here and what does not, and the command that mends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Label, Static

from ipl_tui.diagnosis import firewall, wireshark
from ipl_tui.diagnosis.checks import MARKS, Finding, Terminal, examine
from ipl_tui.packets.text import printable
from ipl_tui.session.session import Session
from ipl_tui.widgets.scroller import Scroller


class DoctorScreen(ModalScreen[None]):
    """The findings, once they are there, and the tcpdump line that shows the same packets as the lab."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,d,q", "dismiss", "Back", id="doctor.back"),
        Binding("c", "copy", "Copy the tcpdump line", id="doctor.copy"),
    ]

    def __init__(self, examine: Callable[[], tuple[list[Finding], str]], without: str) -> None:
        """`examine` takes some time, in a thread, and finds the tcpdump line too, or nothing: `without` says why."""
        super().__init__()
        self.examine = examine
        self.without = without
        self.tcpdump = ""
        self.findings = Static("Looking…", id="findings", markup=False)

    def compose(self) -> ComposeResult:
        with Scroller(classes="dialog"):
            yield Label("What works here, and what doesn't (▲ is limited, ✖ fails)", classes="title")
            yield self.findings
            yield Label("c copies the tcpdump line, Esc goes back", classes="hint")

    def on_mount(self) -> None:
        self.look()

    @work
    async def look(self) -> None:
        findings, self.tcpdump = await asyncio.to_thread(self.examine)
        table = Table.grid(padding=(0, 1))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for finding in findings:
            mark, _ = MARKS[finding.verdict]
            table.add_row(Text(mark, "bold"), finding.title, Text(printable(finding.text)))
            if finding.remedy:
                table.add_row("", "", Text(f"→ {printable(finding.remedy)}"))
        table.add_row("", "tcpdump", Text(printable(self.tcpdump or self.without)))
        self.findings.update(table)

    def action_copy(self) -> None:
        if self.tcpdump:
            self.app.copy_to_clipboard(self.tcpdump)
            self.notify("The tcpdump line is copied.", title="tcpdump")


def examination(session: Session, destination: str, app: App[object]) -> DoctorScreen:
    """The screen that examines a lab as it is now, for sending to a dotted quad."""
    interface, networks, filter = session.interface, session.networks, session.filter
    terminal = Terminal(*app.size, app.console.color_system)

    def findings() -> tuple[list[Finding], str]:
        line = wireshark.tcpdump_line(interface, filter)
        return examine(interface, networks, destination, firewall.read_rules(), terminal), line

    return DoctorScreen(findings, interface.no_tcpdump)
