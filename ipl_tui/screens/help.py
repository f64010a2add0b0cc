"""Help: every key, and what the lab is made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.table import Table
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Label, Static

from ipl_tui.packets.text import printable
from ipl_tui.settings import keymap_path
from ipl_tui.widgets.key_context import KeyContext, KeyNames
from ipl_tui.widgets.scroller import Scroller

TOUR = """\
Compose a packet (2), send it with F5, watch it arrive in the list (1), and read its header (3) and fields (4). \
The list counts whole frames: Length is that of the packet and of the link's header, 14 bytes for Ethernet.

A cell of the header that is left empty is automatic and shows the value it will get. Type in it to force a value, \
also a wrong one: ▲ names what contradicts itself, and it can be sent; ✖ marks what has no bits in the header, \
and that cannot be sent. F4 makes a cell automatic again.

In the list ↦ was sent from this interface, ⇥ came to it, ↻ is from this machine to itself, → passes by or nobody \
knows. The filter is a capture filter: it holds for what comes after it was set. ↩ 3 answers packet 3, ↪ 4 is answered \
by it; ↯ 3 is an ICMP error about it; ↩↩ 3 answers it a second time, so that probably two servers listen. Below the \
list the selected packet's row stands in full.

F9 follows packets on every interface of a simulated or sandbox network: ⇢ 3 is packet 3 one interface later, Δ marks \
what changed since, and ✖ where a packet was last seen. L sets what the links do to packets.

The responder waits 0.15 s before it answers, for programs that begin to listen only after they have sent; what the \
lab itself sends is answered at once. On this machine's interfaces Scapy's engine hears all that a capture sees, a raw \
socket only what the kernel hands over: not what libpcap puts on loopback (Scapy's send() with conf.use_pcap).

v compares three ways to do the exchange. Over TCP (ipl-tui server --engine asyncio) there are no packets to see the \
messages in, but a stream: two may arrive in one read, or one in two, and who takes what one read gives for a message \
misses both. Our server waits until the expected bytes are there; client --framing length sends the length before them.

exact sends the bytes as composed, in a frame of the link. kernel sends through a raw IP socket: the kernel always \
rewrites Total Length and Header Checksum, and fills in an Identification of 0 and a Source of 0.0.0.0.

Decoding a packet may take 0.3 s of a processor, and 64 MB if it is longer than 9,216 bytes. One that takes more is \
shown as Raw behind its IPv4 header, with a note that says so, and is not tried again."""

OWN_KEYS = """\
Other keys: a line such as lab.send = "f5,ctrl+s" for each command, in {path}, which is read at the start. A name that \
is none is answered with those that there are."""

NUMBERS = """\
                   header     text     packet     frame on Ethernet
  ClientMessage      20   +    13   =    33       + 14 =  47 bytes
  ServerResponse     20   +    14   =    34       + 14 =  48 bytes"""

WHY_NUMBERS = """\
ClientMessage is 33 bytes as a packet, not 38, and ServerResponse has 14 characters, not 12, which makes 34. The \
header has 20 bytes, as long as there are no options: its IHL of 5 counts words of 4 bytes. In ASCII and UTF-8 each of \
these characters is a byte, and nothing ends the text: no zero, no new line. Protocol 253 has no header of its own; \
UDP's would be 8 bytes more. Total Length counts the packet. Length in the list counts the frame: 14 bytes more on \
Ethernet and on Linux's loopback, and a network card pads short frames to 60, which is no part of the packet."""


class HelpScreen(ModalScreen[None]):
    """The keys of the screen below, by the place where they work."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,question_mark,q", "dismiss", "Back", id="help.back"),
        Binding("n", "numbers", "The course's numbers", show=False, id="help.numbers"),
    ]

    def __init__(self, places: Iterable[KeyContext], key_names: KeyNames | None = None) -> None:
        super().__init__()
        self.places = list(places)
        self.tour = (key_names or KeyNames()).in_force(TOUR)

    def compose(self) -> ComposeResult:
        with Scroller(classes="dialog"):
            yield Label("IPL: an Internet Protocol lab (n: the course's numbers)", classes="title")
            yield Static(self.tour, markup=False)
            yield Static(self.keys(), id="keys")
            yield Static(OWN_KEYS.format(path=printable(str(keymap_path()))), markup=False, id="own-keys")
            yield Label("The course's numbers", classes="title", id="numbers-title")
            yield Static(NUMBERS, markup=False, id="numbers")
            yield Static(WHY_NUMBERS, markup=False)
            yield Label("n shows the course's numbers, Esc goes back", classes="hint")

    def keys(self) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        table.add_column(no_wrap=True)
        table.add_column()
        heading = ""
        for place in self.places:
            if place.name != heading:  # what the app and its screen have works in the same place
                heading = place.name
                table.add_row()
                table.add_row(f"[bold]{heading}[/]")
            keys: dict[str, list[Binding]] = {}
            for binding in place.bindings:
                keys.setdefault(binding.action, []).append(binding)
            for same in keys.values():
                shown = ", ".join(self.app.get_key_display(binding) for binding in same)
                table.add_row(shown, same[0].tooltip or same[0].description)
        return table

    def action_numbers(self) -> None:
        self.query_one("#numbers-title").scroll_visible(top=True, animate=False)
