"""ipl-tui sniff: what arrives, as a list, decoded or as JSON, printed or written to a file or pipe."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import click

from ipl_tui.commands.common import (
    STANDARD,
    Command,
    FileName,
    Shown,
    echo,
    interface_option,
    let_go_of_output,
    select_interface,
    shown,
    where_it_is,
)
from ipl_tui.packets.text import counted

if TYPE_CHECKING:
    from ipl_tui.capture.files import Pipe
    from ipl_tui.capture.frames import Batch, Frame, StoredInterface
    from ipl_tui.capture.sniffer import Sniffer
    from ipl_tui.capture.writers import OutputWriter, Relay
    from ipl_tui.packets.dissect import Node
    from ipl_tui.session.rows import Row

ANYWHERE = "203.0.113.1"
"""An address that is nobody's (RFC 5737): only the default route leads there."""

LONGEST_COUNTING = 1.0
"""Seconds at the end for what the kernel still holds: more than enough for a full ring."""

NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,19})")
HEXADECIMAL = re.compile(r"0x[0-9a-f]{1,16}")

View = Literal["list", "show", "json"]


@dataclass(frozen=True)
class SniffOptions:
    """Values of the options of sniff."""

    name: str | None
    """Of the interface."""
    filter: str
    most: int | None
    """Packets."""
    read: str | None
    """A file's name, or STANDARD; as write."""
    write: str | None
    view: View | None
    """Form in which packets are printed; None if they are not."""


@click.command(cls=Command)
@interface_option("where the default route leads, or loopback")
@click.option("-f", "--filter", metavar="FILTER", default="", help="Only what passes a BPF filter.")
@click.option("-c", "--count", "most", type=click.IntRange(min=1), metavar="N", help="End after N packets.")
@click.option(
    "-r",
    "--read",
    type=FileName(),
    metavar="FILE",
    help="Read a pcap or pcapng file; - is standard input, as it comes.",
)
@click.option(
    "-w",
    "--write",
    type=FileName(),
    metavar="FILE",
    help="Write the packets there, as pcapng whatever its name; - is standard output.",
)
@click.option("--list", "view", flag_value="list", help="Print a line a packet.  [default, without -w]")
@click.option("--show", "view", flag_value="show", help="Print each packet decoded, in the form of Scapy's show().")
@click.option("--json", "view", flag_value="json", help="Print an object a line: number, time, bytes, layers, fields.")
def command(**values: Any) -> None:
    """Print what arrives on an interface, or what is in a capture file.

    Ctrl+C ends it. With -w nothing is printed unless --list, --show or --json asks for it. Standard output has nothing
    but packets, each as soon as it comes, so these work: tcpdump -U -w - | ipl-tui sniff -r -, ipl-tui sniff --json |
    jq, and ipl-tui sniff -w - | wireshark -k -i -.
    """
    from ipl_tui.capture.errors import CaptureError

    wanted = SniffOptions(**values)
    refuse_contradictions(wanted)
    try:
        with ExitStack() as leaving:
            sniff(leaving, wanted)
    except (KeyboardInterrupt, BrokenPipeError):  # before the first packet; or whoever reads has seen enough
        let_go_of_output()
    except CaptureError:  # perhaps about the output itself, already when it was begun
        let_go_of_output()
        raise


def refuse_contradictions(wanted: SniffOptions) -> None:
    """Raises UsageError."""
    if wanted.name is not None and wanted.read is not None:
        raise click.UsageError("-i captures on an interface, -r reads a file: give one of them.")
    if wanted.write == STANDARD and wanted.view is not None:
        raise click.UsageError(
            f"Standard output can't have both, the capture and --{wanted.view}: write one to a file."
        )
    if wanted.write == STANDARD and sys.stdout is None:
        raise click.UsageError("Standard output is closed: nothing can be written there.")
    if wanted.write == STANDARD and os.isatty(1):
        raise click.UsageError("A terminal can't show a capture file: pipe it, as in ipl-tui sniff -w - | tshark -r -.")
    if wanted.read == STANDARD and os.isatty(0):
        raise click.UsageError("Nothing is piped into it: -r - is for tcpdump -U -w - | ipl-tui sniff -r -.")


def sniff(leaving: ExitStack, wanted: SniffOptions) -> None:
    """Capture or read until the end or Ctrl+C, and say what came. Raises CaptureError, and BrokenPipeError."""
    from ipl_tui.capture.errors import CaptureError
    from ipl_tui.capture.store import Store
    from ipl_tui.capture.writers import Relay, StreamWriter

    target = Path(wanted.write) if wanted.write not in (None, STANDARD) else None
    source: Source
    if wanted.read is None:
        source = Live(leaving, wanted.name, wanted.filter)
    else:
        source = Reading(wanted.read, wanted.filter, target)
    store = leaving.enter_context(Store(target)) if target is not None else None
    view = wanted.view or ("list" if wanted.write is None else None)
    output: OutputWriter | None = Printer(view) if view else None
    if wanted.write == STANDARD:
        output = StreamWriter(sys.stdout.buffer, "standard output")
    relay = Relay(output, store, wanted.most)
    problem = None
    try:
        source.start(relay)
        if view is not None:
            from ipl_tui.packets.dissect import load_layers

            load_layers()  # for a second, in which packets are already captured
        relay.run()
        if store is not None:
            store.begin()  # also a capture without packets is one
    except KeyboardInterrupt:
        let_go_of_output()
    except CaptureError as error:
        problem = error
    finally:
        relay.give_up(time.time_ns())
        source.stop()
    taken = relay.taken if store is None else len(store)
    echo(f"{counted(taken, 'packet')} {source.done}", err=True)
    if output is not None and output.count < taken:
        echo(f"{taken - output.count} of them not {'printed' if view else 'passed on'}", err=True)
    if (dropped := source.dropped()) is not None:
        echo(f"{counted(dropped, 'packet')} dropped by kernel", err=True)
    if store is not None:
        echo(where_it_is(store), err=True)
    if problem is not None:
        raise problem


class Source(Protocol):
    """Origin of packets: an interface, or a file."""

    done: str
    """Verb for its packets in the summary: "captured", "read"."""

    def start(self, relay: Relay) -> None:
        """Let packets, and the end, come into a relay from another thread."""

    def stop(self) -> None:
        """End it; nothing comes any more."""

    def dropped(self) -> int | None:
        """Packets that the kernel dropped; None where there is no kernel between."""


class Live:
    """Captures on an interface."""

    done = "captured"

    def __init__(self, leaving: ExitStack, name: str | None, filter: str) -> None:
        """Open it; it is closed in leaving. Raises UnknownInterface and CaptureError."""
        place = leaving.enter_context(select_interface(name, ANYWHERE, anyhow=True))
        self.interface, self.network = place.interface, place.network
        self.filter = filter
        self.socket = self.interface.open_capture(filter)
        leaving.callback(self.socket.close)
        self.sniffer: Sniffer | None = None

    def start(self, relay: Relay) -> None:
        from ipl_tui.capture.sniffer import Sniffer

        place = relay.add_interface(self.interface.full_name, self.socket.linktype, self.filter)
        self.sniffer = Sniffer(self.socket, relay, [place], lambda: None, relay.end)
        self.sniffer.start()
        while self.sniffer.running and not self.sniffer.ready.wait(0.05):
            pass
        echo(f"Capturing on {self.interface.full_name}; Ctrl+C ends it.", err=True)
        if self.network.private:
            example = f"ipl-tui client -i {self.network.name} --show"
            echo(
                f"The {self.network.name} network is this program's own, and nobody sends on it: {example} does.",
                err=True,
            )

    def stop(self) -> None:
        if self.sniffer is None:
            return
        until = time.monotonic() + LONGEST_COUNTING
        with suppress(OSError, ValueError):  # the socket has ended by itself
            # What the kernel still holds, because the output was slow, is counted or kept in the file.
            while self.sniffer.running and self.socket.wait(0.02) and time.monotonic() < until:
                time.sleep(0.002)
        self.sniffer.stop()

    def dropped(self) -> int | None:
        return self.socket.dropped()


class Reading:
    """Reads a file, or standard input as it comes."""

    done = "read"

    def __init__(self, name: str, filter: str, target: Path | None) -> None:
        """Raises CaptureError if it can't be read, or would be overwritten."""
        from ipl_tui.capture.files import Pipe, refuse_to_read

        self.origin: Path | Pipe = Pipe(0) if name == STANDARD else Path(name)
        refuse_to_read(self.origin, target)
        self.filter = filter
        self.thread: threading.Thread | None = None

    def start(self, relay: Relay) -> None:
        self.thread = threading.Thread(target=self.read, args=(relay,), name="reading")
        self.thread.start()

    def read(self, relay: Relay) -> None:
        from ipl_tui.capture.errors import CaptureError
        from ipl_tui.capture.files import read_capture

        problem = None
        try:
            read_capture(self.origin, relay, self.filter, stop=relay.stopping)
        except CaptureError as error:
            problem = error
        relay.end(problem)

    def stop(self) -> None:
        if self.thread is not None:
            self.thread.join()

    def dropped(self) -> int | None:
        return None


class Printer:
    """Prints each packet that it is given, at once."""

    def __init__(self, view: View) -> None:
        self.interfaces: list[StoredInterface] = []
        self.count = 0
        self.view = view
        self.began: int | None = None
        """The time of the first packet that has one, in ns since the epoch."""

    def add_interface(self, name: str, linktype: int, filter: str = "") -> int:
        from ipl_tui.capture.frames import StoredInterface

        self.interfaces.append(StoredInterface(name, linktype))
        return len(self.interfaces) - 1

    def append(self, interface: int, batch: Batch) -> int:
        """As Writer. What a closed pipe raises is let through."""
        from ipl_tui.capture.frames import Frame
        from ipl_tui.capture.writers import cannot_write

        first = self.count + 1
        try:
            for when, start, captured, length in batch.records:
                frame = Frame(self.count + 1, when, batch.data[start : start + captured], length, interface)
                text = self.text(frame)
                self.count += 1  # before it is seen: whoever sees it may end this at once
                echo(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            self.count -= 1  # this one was not
            raise cannot_write("standard output", error) from error
        return first

    def text(self, frame: Frame) -> str:
        """Text that is printed of a frame."""
        from ipl_tui.capture.frames import NO_TIME
        from ipl_tui.packets.budget import summarise
        from ipl_tui.session.rows import make_row

        interface = self.interfaces[frame.interface]
        if self.view == "json":
            return as_json(frame, interface)
        if self.began is None and frame.time != NO_TIME:
            self.began = frame.time
        row = make_row(frame, interface, summarise(frame.data, interface.linktype, frame.length))
        line = as_line(row, self.began)
        return line if self.view == "list" else Shown("\n".join([line, *decoded(frame, interface), ""]))


def as_line(row: Row, began: int | None) -> Shown:
    """A packet in a line, as tshark's: number, seconds since the first, addresses, protocol, bytes, what it says."""
    from ipl_tui.session.rows import seconds_since

    when = shown(f"{row.number:>5} {seconds_since(began, row.time):>12}", dim=True)
    addresses = shown(f"{row.source:<15} → {row.destination:<15}")
    protocol = shown(f"{row.protocol:<8}", fg="cyan")
    return Shown(f"{when} {addresses} {protocol} " + shown(f"{row.length:>5} {row.info}".rstrip()))


def decoded(frame: Frame, interface: StoredInterface) -> list[Shown]:
    """The decoded view, in the form of Scapy's show()."""
    from ipl_tui.packets.budget import dissect
    from ipl_tui.packets.show import show

    lines = show(dissect(frame.data, interface.linktype, frame.length))
    return [shown(line, bold=True) if line.lstrip(" |").startswith("###[") else shown(line) for line in lines]


def as_json(frame: Frame, interface: StoredInterface) -> str:
    """A packet as an object of one line of ASCII. Its time is in seconds since the epoch, with all nine decimals, or
    null; captured is how many of its bytes are here, length how many there were."""
    from ipl_tui.capture.frames import NO_TIME
    from ipl_tui.packets.budget import dissect

    layers = [layer_object(layer, frame.data) for layer in dissect(frame.data, interface.linktype, frame.length).layers]
    about = {"length": frame.length, "captured": len(frame.data), "interface": interface.name, "layers": layers}
    second, part = divmod(abs(frame.time), 10**9)
    # A float has not enough digits for nanoseconds.
    when = "null" if frame.time == NO_TIME else f"{'-' * (frame.time < 0)}{second}.{part:09}"
    rest = json.dumps(about)[1:].replace("\x7f", "\\u007f")  # the one control character that JSON leaves as it is
    return f'{{"number": {frame.number}, "time": {when}, {rest}'


def layer_object(layer: Node, frame: bytes) -> dict[str, Any]:
    """A layer for JSON: its name, what there is to say about it, if anything, and its fields by name."""
    note = {"note": layer.note} if layer.note else {}
    return {"name": layer.name, **note, "fields": {field.name: field_value(field, frame) for field in layer.children}}


def field_value(field: Node, frame: bytes) -> Any:
    """A field for JSON: a number or null where show() prints one, hex where it prints b'...', the layers inside it, or
    else show()'s text."""
    if field.holds_layers:
        return [layer_object(layer, frame) for layer in field.children]
    if field.value.startswith(("b'", 'b"')) and field.start < field.stop:
        return frame[field.start : field.stop].hex()
    if NUMBER.fullmatch(field.value):
        return int(field.value)
    if HEXADECIMAL.fullmatch(field.value):
        return int(field.value, 16)
    return None if field.value == "None" else field.value
