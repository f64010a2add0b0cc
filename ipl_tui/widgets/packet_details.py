"""One packet of the capture: its header, its layers and fields, and its bytes."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING

from textual.containers import Container, Vertical
from textual.message import Message

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.frames import Frame
from ipl_tui.capture.store import Store
from ipl_tui.packets.budget import PROMPT, Dissector
from ipl_tui.packets.fields import FIELD, FIELDS, read_header
from ipl_tui.packets.ipv4 import SHORTEST_HEADER, header_bytes
from ipl_tui.packets.picture import show_value
from ipl_tui.tracking.tracker import Tracker
from ipl_tui.widgets.bit_strip import BitStrip
from ipl_tui.widgets.checksum_lines import ChecksumLines
from ipl_tui.widgets.header_grid import HeaderGrid
from ipl_tui.widgets.hex_dump import HexDump
from ipl_tui.widgets.meaning import Meaning, Said
from ipl_tui.widgets.packet_tree import PacketTree

if TYPE_CHECKING:  # it loads Scapy, which the first screen must not wait for
    from ipl_tui.packets.dissect import Dissection, Node

TITLES = {"header": "3 Header", "fields": "4 Fields"}
"""The panes, and what stands above them while no packet is shown."""


class PacketDetails:
    """The header's picture in one pane; layers, fields and bytes in another. What is chosen in one is in all, if
    whoever shows the panes lets it hear what is said in them."""

    class Unreadable(Message):
        """A packet can't be read; the reason is one sentence."""

        def __init__(self, reason: str) -> None:
            super().__init__()
            self.reason = reason

    def __init__(self, store: Store, tracker: Tracker, dissector: Dissector) -> None:
        self.store = store
        self.tracker = tracker
        self.dissector = dissector
        self.number = 0
        """The number of the packet that is shown; 0 while there is none."""
        self.data = b""
        """The packet's frame, as far as it was captured."""
        self.header = b""
        """The outermost IPv4 packet in it; empty without one."""
        self.decoding: Future[Dissection] = Future()
        """Its layers, which may take a while."""
        self.grid, self.grid_meaning = HeaderGrid(id="header-grid"), Meaning(id="header-meaning")
        self.header_pane = Vertical(self.grid, self.grid_meaning, id="header")
        self.fields, self.meaning = PacketTree(id="tree"), Meaning(id="field-meaning")
        self.strip, self.dump = BitStrip(id="bits"), HexDump(id="hex")
        self.worked = ChecksumLines(id="worked")
        layers = Vertical(self.fields, self.meaning, id="layers")
        octets = Vertical(self.strip, self.dump, self.worked, id="bytes")
        self.fields_pane = Container(layers, octets, id="fields")
        self.name_panes()

    def enter(self, pane: str) -> None:
        """Go to a pane: "header" or "fields"."""
        (self.grid if pane == "header" else self.fields).focus()

    # The packet

    def show(self, number: int) -> None:
        """Show a packet; none, for 0."""
        self.number = number
        if number:
            self.show_again()
        else:
            self.show_nothing()

    def show_nothing(self) -> None:
        self.decoding.cancel()
        self.decoding = Future()  # what was decoded and waits to be shown is of a packet that is gone
        self.data = self.header = self.dump.data = self.strip.data = self.grid.header = b""
        self.fields.show(())
        grid = self.grid
        grid.chosen, grid.also, grid.values, grid.earlier, grid.marks = "", (), {}, {}, {}
        self.meaning.said = self.grid_meaning.said = Said()
        self.worked.packet = b""
        self.name_panes()

    def name_panes(self, header: str = "", fields: str = "") -> None:
        """What stands above the panes: their names, and of which packet they are."""
        self.header_pane.border_title = f" {TITLES['header']}{header} "
        self.fields_pane.border_title = f" {TITLES['fields']}{fields} "

    def show_again(self) -> None:
        """Show what is in the packet; if decoding it takes a while, what IPv4's header says first."""
        if not self.number:
            return
        from ipl_tui.packets.dissect import undecoded

        try:
            frame = self.store.frame(self.number)
        except CaptureError as error:
            self.fields_pane.post_message(self.Unreadable(str(error)))
            return
        linktype = self.store.interfaces[frame.interface].linktype
        self.decoding.cancel()  # of a packet shown before
        decoding = self.decoding = self.dissector.dissect(frame.data, linktype, frame.length, patience=PROMPT)
        if decoding.done():
            self.show_layers(frame, decoding.result())
            return
        self.show_layers(frame, undecoded(frame.data, linktype, frame.length, "being decoded"))

        def tell(_: object) -> None:  # in the dissector's thread, from which posting is safe
            with suppress(RuntimeError):  # the lab has ended
                self.fields_pane.call_later(self.show_decoded, frame, decoding)

        decoding.add_done_callback(tell)

    def show_decoded(self, frame: Frame, decoding: Future[Dissection]) -> None:
        """Show the layers that have come, unless another packet is shown meanwhile."""
        if decoding is self.decoding and not decoding.cancelled():
            self.show_layers(frame, decoding.result())

    def show_layers(self, frame: Frame, dissection: Dissection) -> None:
        self.data = self.dump.data = self.strip.data = frame.data
        changed = self.tracker.changes(self.number)
        was = {change.field: show_value(change.field, change.before) for change in changed}
        hop = self.tracker.previous(self.number)
        before = f"on {self.tracker.interface(hop)}" if hop is not None else ""
        remarks = {FIELD[name].scapy: f"was {value} {before}" for name, value in was.items()}
        self.fields.show(dissection.layers, remarks)
        grid = self.grid
        start, stop = dissection.ipv4 or (0, 0)
        self.header = frame.data[start:stop]
        grid.header = header_bytes(self.header)
        grid.values = {name: show_value(name, value) for name, value in read_header(self.header).items()}
        wrong = {node.field for layer in dissection.layers for node in layer.children if node.note.startswith("wrong")}
        warnings = {field.name: "warning" for field in FIELDS if field.scapy in wrong - {""}}
        grid.earlier, grid.marks = was, {**dict.fromkeys(was, "changed"), **warnings}
        cut = f": {frame.cut}" if frame.cut else ""
        kind = cut if dissection.ipv4 else ": not IPv4"
        if 0 < stop - start < SHORTEST_HEADER:
            kind = f": only {stop - start} of its bytes are here"
        self.name_panes(f" of packet {frame.number}{kind}", f" of packet {frame.number}{cut}")
        self.worked.packet = self.header

    # The chosen field

    def hear(self, message: PacketTree.NodeChosen | HeaderGrid.FieldChosen | HexDump.ByteChosen) -> None:
        """Highlight what is chosen in one part in the others too."""
        match message:
            case PacketTree.NodeChosen():
                self.show_node(message.node, message.layer)
            case HeaderGrid.FieldChosen():
                from ipl_tui.packets.explanations.table import EXPLAINED

                self.grid_meaning.explain(EXPLAINED[message.field], header=self.header)
                self.fields.choose_field(FIELD[message.field])
            case HexDump.ByteChosen():
                self.fields.choose_byte(message.offset)

    def show_node(self, node: Node, layer: Node) -> None:
        from ipl_tui.packets.explanations.table import EXPLAINED, describe_payload, explain_field

        self.dump.bits = node.bits
        self.strip.bits = node.bits if node is not layer else (0, 0)
        meaning, grid = self.meaning, self.grid
        rows = explain_field(layer.name, node.name) if node is not layer else ()
        if rows:
            meaning.explain(*rows, header=self.data[layer.start : layer.stop])
        else:
            where = f"{layer.name}, bytes {node.start} to {node.stop - 1}" if node.start < node.stop else layer.name
            payload = (layer.name, node.name) == ("Raw", "load")
            about = (describe_payload(self.data[node.start : node.stop]),) if payload else ()
            meaning.said = Said(node.name if node is not layer else "", about, where)
        fields = [field.name for field in FIELDS if node.field and field.scapy == node.field]
        if node.name in fields:
            fields = [node.name]
        if not fields:
            grid.chosen, grid.also = "", ()
            return
        grid.chosen, grid.also = fields[0], tuple(fields[1:])
        self.grid_meaning.explain(*(EXPLAINED[name] for name in fields), header=self.header)
