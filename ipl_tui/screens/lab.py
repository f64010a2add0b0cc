"""The lab's screen: it shows what is so in the session, and makes its commands of keys."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.dom import DOMNode
from textual.reactive import Initialize, var
from textual.widgets import Button, Static

from ipl_tui.capture.errors import CaptureError
from ipl_tui.exchange.engines import ENGINE
from ipl_tui.networks.links import describe_link
from ipl_tui.packets.text import counted, printable
from ipl_tui.screens.lab_keys import LAB_KEYS
from ipl_tui.screens.pane_screen import PaneScreen
from ipl_tui.screens.welcome import instead_of_packets
from ipl_tui.session.rows import Rows
from ipl_tui.session.session import Session
from ipl_tui.session.snapshot import Notice, Snapshot
from ipl_tui.widgets.capture_bar import CaptureBar
from ipl_tui.widgets.composer import Composer
from ipl_tui.widgets.header_grid import Cell, HeaderGrid
from ipl_tui.widgets.hex_dump import HexDump
from ipl_tui.widgets.key_bar import KeyBar
from ipl_tui.widgets.key_context import KeyNames, key_contexts
from ipl_tui.widgets.notice_bar import NoticeBar
from ipl_tui.widgets.packet_details import TITLES, PacketDetails
from ipl_tui.widgets.packet_line import PacketLine
from ipl_tui.widgets.packet_list import PacketList
from ipl_tui.widgets.packet_tree import PacketTree
from ipl_tui.widgets.pane_bar import PaneBar
from ipl_tui.widgets.path_line import PathLine

PANES = {"packets": "1 Packets", "compose": "2 Compose", **TITLES}


class LabScreen(PaneScreen):
    """Connects the widgets with each other and with the session. Other screens are loaded when a key asks for them."""

    BINDINGS: ClassVar[list[BindingType]] = LAB_KEYS
    KEYS_TITLE: ClassVar[str] = "Everywhere"
    PANES = tuple(PANES)

    snapshot: var[Snapshot] = var(Initialize(lambda screen: session_of(screen).snapshot), init=False)
    """The session as it is shown."""

    paused: var[bool] = var(False, init=False)
    """True while the list is held still; capturing goes on."""

    def __init__(self, session: Session, keys: Mapping[str, str] = MappingProxyType({})) -> None:
        """`keys` has, by a binding's id, the keys in force instead of the program's own."""
        super().__init__(classes="-packets")
        self.session = session
        self.keys = keys
        self.key_names = KeyNames([*LAB_KEYS, *Cell.BINDINGS], keys)
        self.heard = 0
        """The number of the next sentence to be said."""
        self.was_shown = False
        """True once it was the screen that is seen."""
        self.gone_to = 0
        """Number of the order whose packet the list went to, or would have; 0 before the first."""
        self.bar = CaptureBar(self.snapshot, id="bar")
        self.pane_bar = PaneBar(PANES, id="panes")
        self.rows = Rows(session.store, session.tracker, session.dissector)
        self.packets = PacketList(self.rows, id="packets")
        self.packet_line = PacketLine(id="packet")
        self.path_line = PathLine(session.tracker, id="path")
        self.upper = Vertical(self.packets, self.packet_line, id="list")
        self.composer = Composer(id="compose", key_names=self.key_names)
        self.details = PacketDetails(session.store, session.tracker, session.dissector)
        self.body = Container(id="body")
        self.outcome = Static(id="outcome", markup=False)
        """The composer's line, where the composer is out of view."""
        self.notices = NoticeBar(id="notices")

    def compose(self) -> ComposeResult:
        self.take_size()
        yield self.bar
        yield self.pane_bar
        with self.body:
            yield self.upper
            with Vertical(id="grids"):
                yield self.composer
                yield self.details.header_pane
            yield self.details.fields_pane
        with Vertical(id="foot"):
            yield self.outcome
            yield self.notices
            yield KeyBar()

    def on_mount(self) -> None:
        self.upper.border_title, self.composer.border_title = f" {PANES['packets']} ", f" {PANES['compose']} "
        self.watch(self.composer, "line", self.show_outcome)
        if self.snapshot.following:
            self.upper.mount(self.path_line)
            self.add_class("-following")
        self.composer.interface = self.snapshot.interface
        # A file is read from its beginning; what comes through a pipe is live.
        self.packets.following = not (isinstance(self.snapshot.file, Path) and self.snapshot.file.is_file())
        self.packets.instead = instead_of_packets(self.snapshot, self.key_names)
        self.packets.focus()
        self.show_way()
        self.session.on_change = self.take
        self.call_after_refresh(self.live)

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        # At the start all widgets have just got their styles, each as it was mounted; Textual would give them again.
        event.refresh_styles = self.was_shown
        self.was_shown = True

    @work
    async def live(self) -> None:
        """Run what waits until the first screen is up, and then goes on until the end."""
        await self.session.run()

    async def on_unmount(self) -> None:
        await self.session.close()

    # What is so

    def take(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def watch_snapshot(self, old: Snapshot, new: Snapshot) -> None:
        self.composer.interface, self.composer.sending = new.interface, new.sending
        self.rows.own = new.own
        if new.anew != old.anew:
            self.packets.forget()
            self.details.show(0)
            self.composer.show_verdict()  # what it says may be about a packet that is gone
        self.packets.instead = instead_of_packets(new, self.key_names)
        if new.file is None and old.file is not None:
            self.packets.following = True  # what is captured now comes at its end
        if new.following != old.following:
            if new.following and not self.path_line.is_attached:
                self.upper.mount(self.path_line)
            self.path_line.display = new.following
            self.set_class(new.following, "-following")  # the list keeps its rows
        if new.tracked != old.tracked:
            self.packets.refresh()
        self.show_packets()
        for said in new.said:
            if said.number >= self.heard:
                self.heard = said.number + 1
                self.hear(said)
        if new.all_layers and not old.all_layers:
            self.packets.forget_summaries()
            self.details.show_again()

    def show_packets(self) -> None:
        """Bring the list and the counts up to date."""
        if not self.paused:
            self.packets.show_up_to(self.snapshot.captured)
        self.go_to_sent()
        self.show_way()
        self.bar.show(self.snapshot, self.packets.count, self.paused)

    watch_paused = show_packets

    def go_to_sent(self) -> None:
        """Go to the packet that was sent last once it is in the list, if that is at its end."""
        orders, number = self.snapshot.orders, self.snapshot.sent_as
        if self.gone_to < orders and 0 < number <= self.packets.count:
            self.gone_to = orders
            if self.packets.following and not self.paused:
                # The list comes first: what selecting shows takes longer than it.
                self.call_after_refresh(self.packets.select, number)

    def show_way(self) -> None:
        """Show all that the selected packet's row says, and its way."""
        with suppress(CaptureError):  # the list says that the file was changed below us
            self.packet_line.show(self.rows.row(self.packets.selected) if self.packets.selected else None)
        if self.path_line.is_attached:
            self.path_line.show(self.details.number)

    def show_outcome(self, line: Text) -> None:
        self.outcome.update(line, layout=not self.has_room)

    def hear(self, said: Notice) -> None:
        """Say a sentence where the user looks for it."""
        said = replace(said, text=self.key_names.in_force(said.text))
        if said.about in ("responder", "joining"):
            self.notify(printable(said.text), title=said.about.capitalize(), severity="error", markup=False)
        else:
            self.composer.hear(said)

    # The interface

    @on(CaptureBar.InterfaceAsked)
    @work
    async def action_interface(self) -> None:
        from ipl_tui.screens.interfaces import InterfaceScreen

        chosen = await self.app.push_screen_wait(InterfaceScreen(self.session.networks, self.snapshot.interface))
        if chosen is not None:
            await self.session.choose(chosen)

    def action_path(self) -> None:
        """Capture on all interfaces of the network, or only on the selected one again."""
        network = self.session.network
        if self.snapshot.file is not None:
            self.notify("A file is shown: choose where to capture with F2.", title="Path")
        elif not network.path():
            others = " or ".join(each.name for each in self.session.networks if each.path())
            advice = f": choose a {others} one with F2" if others else ""
            self.notify(f"The interfaces of the {network.name} network form no path{advice}.", title="Path")
        else:
            self.session.follow(not self.snapshot.following)

    @work
    async def action_links(self) -> None:
        from ipl_tui.screens.links import LinkScreen

        network = self.session.network
        if not network.links():
            self.notify(f"Nothing of the {network.name} network's links can be set here.", title="Links")
        elif await self.app.push_screen_wait(LinkScreen(network)):
            self.notify(", ".join(map(describe_link, network.links())), title="Links", markup=False)

    # The capture filter, and the packets

    def action_filter(self) -> None:
        self.bar.enter_filter()

    @on(CaptureBar.FilterGiven)
    def use_filter(self, event: CaptureBar.FilterGiven) -> None:
        self.session.use_filter(event.filter)
        self.packets.focus()
        if self.snapshot.file is not None:
            self.notify("It filters what is captured: choose where with F2. A file is filtered by -r and -f.")

    @on(Button.Pressed, "#unfiltered")
    def action_unfilter(self) -> None:
        """Capture everything from here on."""
        if self.snapshot.file is not None:
            self.notify("A file is shown: choose where to capture with F2.", title="Filter")
        elif not self.snapshot.filter:
            self.notify("There is none: everything is captured.", title="Filter")
        else:
            self.session.use_filter("")
            self.composer.say(self.key_names.in_force("Everything is captured from here on: F5 sends again."))

    def action_pause(self) -> None:
        self.paused = not self.paused

    @on(PacketList.Selected)
    def show_packet(self, event: PacketList.Selected) -> None:
        self.details.show(event.number)
        self.show_way()

    @on(PacketTree.NodeChosen)
    @on(HeaderGrid.FieldChosen)
    @on(HexDump.ByteChosen)
    def field_chosen(self, event: PacketTree.NodeChosen | HeaderGrid.FieldChosen | HexDump.ByteChosen) -> None:
        self.details.hear(event)

    @on(PacketDetails.Unreadable)
    def packet_is_unreadable(self, event: PacketDetails.Unreadable) -> None:
        self.session.be_troubled(event.reason)

    # Sending

    def action_send(self) -> None:
        self.composer.ask()

    @on(Composer.SendAsked)
    def send(self, event: Composer.SendAsked) -> None:
        self.add_class("-sent")  # where there is room for one pane, its last rows take the place of the explanation
        self.session.send(event.order)

    @on(Composer.Explaining)
    def show_explanation(self) -> None:
        self.remove_class("-sent")

    @on(Composer.StopAsked)
    def stop_sending(self) -> None:
        self.session.stop_sending()

    # The responder, and the engines side by side

    @work(group="responder")
    async def action_responder(self) -> None:
        await self.session.answer(self.session.responder is None)

    @work(group="responder")
    async def action_engine(self) -> None:
        """Answer with the other of the raw engines from now on, or when the responder is next on."""
        await self.session.exchange_engine()
        if self.session.responder is None:
            self.notify(f"F6 turns the responder on: {ENGINE[self.session.engine].title}.", title="Engine")

    @work(group="comparison")
    async def action_compare(self) -> None:
        from ipl_tui.screens.engines import EnginesScreen

        if self.session.comparison is not None:  # the one before is just being ended
            return
        if destination := self.destination():
            async with self.session.comparing(destination) as comparison:
                await self.app.push_screen_wait(EnginesScreen(comparison))
        else:
            self.notify("Type a Destination Address in the composer first (2).", title="Compare the engines")

    def destination(self) -> str:
        """The composer's destination if it is a dotted quad, else the one that makes sense on the interface."""
        return self.composer.destination or self.snapshot.interface.destination

    def action_checksum(self) -> None:
        """Work out the checksum of the draft, in the composer, or else of the packet that is shown."""
        from ipl_tui.screens.checksum import work_out

        work_out(self, self.composer.crafted if self.pane == "compose" else self.details.number, self.session.tracker)

    # Saving, help, and getting about

    @work
    async def action_save(self) -> None:
        from ipl_tui.screens.save import save_capture

        await save_capture(self, self.session)

    @work
    async def action_clear(self) -> None:
        from ipl_tui.screens.unsaved import clear_list

        await clear_list(self, self.session)

    @work
    async def action_afresh(self) -> None:
        from ipl_tui.screens.unsaved import start_afresh

        await start_afresh(self, self.session)

    @work
    async def action_wireshark(self) -> None:
        try:
            path, count = await self.session.open_in_wireshark()
        except CaptureError as error:
            self.notify(printable(str(error)), title="Wireshark", severity="warning", markup=False)
        else:
            self.notify(str(path), title=f"Wireshark has {counted(count, 'packet')}", markup=False)

    def action_doctor(self) -> None:
        from ipl_tui.screens.doctor import examination

        self.app.push_screen(examination(self.session, self.destination(), self.app))

    def action_help(self) -> None:
        from ipl_tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen(key_contexts(self, self.keys), self.key_names))

    def action_pane(self, name: str) -> None:
        """Go to a pane."""
        self.pane = name
        if name == "packets":
            self.packets.focus()
        elif name == "compose":
            self.composer.enter()
        else:
            self.details.enter(name)

    def watch_pane(self, pane: str) -> None:
        super().watch_pane(pane)
        self.pane_bar.active = pane

    @on(PaneBar.PaneChosen)
    def pane_chosen(self, event: PaneBar.PaneChosen) -> None:
        self.action_pane(event.pane)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """The pane that has the focus is the one the user is in."""
        panes = (widget.id for widget in event.widget.ancestors_with_self if widget.id in PANES)
        self.pane = next(panes, None) or self.pane

    @on(PacketList.Opened)
    def read_packet(self) -> None:
        self.action_pane("fields")


def session_of(screen: DOMNode) -> Session:
    assert isinstance(screen, LabScreen)
    return screen.session
