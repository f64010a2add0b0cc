"""`ipl-tui explain`: a packet with every field explained, and its header checksum worked."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ipl_tui.commands.common import STANDARD, Command, FileName, echo
from ipl_tui.packets.craft import PRESETS, craft, parse_hex
from ipl_tui.packets.ipv4 import LONGEST_DATAGRAM
from ipl_tui.packets.link_layer import ETHERNET
from ipl_tui.packets.text import counted, printable

if TYPE_CHECKING:
    from ipl_tui.capture.frames import Batch, StoredInterface
    from ipl_tui.packets.dissect import Node
    from ipl_tui.packets.explanations.explained import Explained

MOST_HEX = 4 * LONGEST_DATAGRAM
"""Characters of hex that are read: more than any frame has, with a blank between any two bytes."""

RAW_IP = 101
"""Link type of a packet without a link header."""

SOURCE, DESTINATION = "10.0.1.10", "10.0.2.20"
"""Addresses in the packet that is explained where none is given: the simulated client's and server's."""


@click.command(cls=Command)
@click.argument("given", metavar="[HEX]", nargs=-1)
@click.option(
    "-r",
    "--read",
    type=FileName(),
    metavar="FILE",
    help="Explain a packet of a pcap or pcapng file; - is standard input.",
)
@click.option(
    "-n", "--number", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="Which one of FILE."
)
def command(given: tuple[str, ...], read: str | None, number: int) -> None:
    """Explain every field of a packet: what it is for, what its value says, and where that is written.

    HEX is an IPv4 packet, or an Ethernet frame if it does not begin with 4; - reads it from standard input. Blanks,
    colons and 0x are skipped. Without HEX and FILE it is ClientMessage. The header checksum is worked out.
    """
    if given and read is not None:
        raise click.UsageError("HEX is the packet, -r reads it from a file: give one of them.")
    if read is not None:
        explain(*read_frame(read, number))
        return
    if not given:
        explain(craft(replace(PRESETS[0].draft, dst=DESTINATION), SOURCE).packet, RAW_IP)
        return
    text = read_standard_input() if given == (STANDARD,) else " ".join(given)
    try:
        data = parse_hex("The packet", text)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if not data:
        raise click.UsageError("The packet has no bytes: give its hex, such as 4500001d….")
    explain(data, RAW_IP if data[0] >> 4 == 4 else ETHERNET)


def read_standard_input() -> str:
    """Hex from standard input. Raises UsageError if nobody pipes any, or more than a packet has."""
    if sys.stdin.isatty():
        raise click.UsageError("- reads standard input, which is a terminal: xxd -p FILE | ipl-tui explain -")
    text = sys.stdin.buffer.read(MOST_HEX + 1).decode(errors="replace")
    if len(text) > MOST_HEX:
        raise click.UsageError(f"Standard input has more than an IPv4 packet's {LONGEST_DATAGRAM:,} bytes.")
    return text


class OneFrame:
    """A writer that keeps one frame of a capture, and then wants no more."""

    def __init__(self, number: int) -> None:
        """`number` counts from 1."""
        self.interfaces: list[StoredInterface] = []
        self.frame: tuple[bytes, int, int] | None = None
        """Its bytes, its link type, and its length on the wire; None before it came."""
        self.count = 0
        self.stop = threading.Event()
        self._number = number

    def add_interface(self, name: str, linktype: int, filter: str = "") -> int:
        """As Writer."""
        from ipl_tui.capture.frames import StoredInterface

        self.interfaces.append(StoredInterface(name, linktype))
        return len(self.interfaces) - 1

    def append(self, interface: int, batch: Batch) -> int:
        """As Writer."""
        first = self.count + 1
        self.count += len(batch.records)
        if first <= self._number <= self.count:
            _, start, captured, length = batch.records[self._number - first]
            self.frame = batch.data[start : start + captured], self.interfaces[interface].linktype, length
            self.stop.set()
        return first


def read_frame(name: str, number: int) -> tuple[bytes, int, int]:
    """A frame of a capture file by its number: bytes, link type, length on the wire. Raises CaptureError."""
    from ipl_tui.capture.errors import CaptureError
    from ipl_tui.capture.files import Pipe, read_capture

    source: Path | Pipe = Pipe(0) if name == STANDARD else Path(name)
    writer = OneFrame(number)
    try:
        read_capture(source, writer, stop=writer.stop)
    except CaptureError:
        if writer.frame is None:
            raise
    if writer.frame is None:
        are = "is" if writer.count == 1 else "are"
        raise CaptureError(f"{source} has no packet {number:,}: there {are} {counted(writer.count, 'packet')}.")
    return writer.frame


def explain(data: bytes, linktype: int, length: int = 0) -> None:
    """Print every field of a frame with its explanation, in the order of Scapy's show()."""
    from ipl_tui.packets.budget import dissect
    from ipl_tui.packets.explanations.table import describe_payload
    from ipl_tui.packets.worked_checksum import show_header_checksum

    for layer in (dissection := dissect(data, linktype, length)).layers:
        header = data[layer.start : layer.stop]
        echo(f"{layer.name}, {counted(len(header), 'byte')}" + (f": {layer.note}" if layer.note else ""), bold=True)
        for node in layer.children:
            if layer.name in ("Raw", "Padding"):
                echo(f"  {'Payload' if layer.name == 'Raw' else 'Padding'} · load  {describe_payload(header)}")
            else:
                print_field(layer, node, header)
        outermost = dissection.ipv4 is not None and layer.name == "IP" and layer.start == dissection.ipv4[0]
        if outermost and (worked := list(show_header_checksum(data[layer.start :]))):
            echo("  The header checksum, worked (RFC 1071 §1):")
            for line in worked:
                echo(f"    {line}")
        echo()


def print_field(layer: Node, node: Node, header: bytes) -> None:
    """Print a field and its explanation; each part of it, where Scapy has one field for several of the RFC's."""
    from ipl_tui.packets.explanations.table import explain_field

    rows = explain_field(layer.name, node.name)
    note = f"   {node.note}" if node.note else ""
    value = "none" if node.field == "flags" and not node.value else node.value
    if len(rows) != 1:
        echo(f"  {node.name} = {value}{note}")
    for row in rows:
        if len(rows) == 1:
            echo(f"  {row.title} = {value}{note}")
        else:
            number = row.read(header)
            echo(f"    {row.title} = {'' if number is None else number}")
        for line in lines_about(row, header):
            echo(f"      {line}")


def lines_about(row: Explained, header: bytes) -> Iterator[str]:
    """What this value says, what the field is for and where that is written, and the usual mistake."""
    if says := row.says(header):
        yield printable(says)
    yield f"{row.meaning}  {row.rfc}"
    if row.mistake:
        yield f"Mind: {row.mistake}"
