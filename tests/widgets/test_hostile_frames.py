"""What comes from the wire is shown as text: no exception, nothing that steers the terminal, no markup."""

from __future__ import annotations

import random
import time
import unicodedata
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.http import HTTP, HTTPRequest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, IPOption_RR
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import ARP, LLC, STP, Dot1Q, Dot3, Ether
from scapy.layers.snmp import SNMP
from scapy.packet import Raw
from textual.pilot import Pilot
from textual.widget import Widget

from ipl_tui.capture.frames import Batch
from ipl_tui.capture.store import Store
from ipl_tui.packets.dissect import dissect, load_layers
from ipl_tui.packets.fields import read_header
from ipl_tui.packets.picture import show_value
from ipl_tui.packets.text import is_plain
from ipl_tui.session.rows import Rows
from ipl_tui.tracking.tracker import Tracker
from ipl_tui.widgets.header_grid import HeaderGrid
from ipl_tui.widgets.hex_dump import HexDump
from ipl_tui.widgets.packet_list import PacketList
from ipl_tui.widgets.packet_tree import PacketTree
from tests.screen import seen, until
from tests.widgets.stage import Stage, staged

load_layers()

LINKTYPES = [1, 0, 12, 101, 105, 113, 127, 147, 228, 229, 276]

HOSTILE = [
    b"[bold]not bold[/bold] [/] [",
    b"[@click=app.quit]click me[/]",
    b"[link=https://example.org]there[/link]",
    b"\x1b[2J\x1b]0;title\x07\x1b[31mred\x1b[0m",
    b"\x9b31m \x90q\x9c \x85",
    "\u202eright to left\u202c \u2066isolated\u2069 \u200bzero\ufeff width".encode(),
    "\u2028line\u2029paragraph \U000e0001tag".encode(),
    b"\x00\x08\x0c\r\n\t\x7f\xff\xfe",
    b"\xed\xa0\x80\xed\xbf\xbf lone surrogates \xf4\x90\x80\x80",
    "\udc80\udcff".encode("utf-8", "surrogatepass"),
    "e\u0301\u0301\u0301\u0301 \U0001f468\u200d\U0001f469 全角 \u1160\u115f".encode(),
    b"%s%n{0}{x} \\x1b[31m \\[bold]",
]
"""What somebody might put into a payload to be read by a terminal, or by a library that knows markup."""

NETWORK = Ether() / IP(src="10.0.1.10", dst="10.0.2.20")

FRAMES: list[bytes] = [
    bytes(packet)
    for packet in [
        *[NETWORK / IP(proto=253) / text for text in HOSTILE],
        *[NETWORK / UDP(sport=40001, dport=40002) / text for text in HOSTILE],
        *[NETWORK / UDP() / DNS(qd=[DNSQR(qname=text[:60])], an=[DNSRR(type=16, rdata=text)]) for text in HOSTILE],
        *[NETWORK / TCP(sport=9999, dport=80) / HTTP() / HTTPRequest(Host=text, Path=text) for text in HOSTILE],
        *[NETWORK / TCP(sport=21, dport=40000) / Raw(text) for text in HOSTILE],
        NETWORK / ICMP(type=3, code=2) / IPerror(proto=253) / Raw(HOSTILE[0]),
        Ether() / IP(options=[IPOption_RR(routers=["1.2.3.4"], length=7)]) / UDP() / HOSTILE[3],
        Ether() / ARP(pdst="10.0.0.1") / HOSTILE[1],
        Ether() / IPv6() / ICMPv6EchoRequest(data=HOSTILE[5]),
        Dot3() / LLC() / STP(),
        Ether() / Dot1Q(vlan=7) / IP() / UDP(dport=161) / SNMP(community=HOSTILE[3]),
        Ether(type=0x88B5) / HOSTILE[6],
    ]
]


TREE_LINES = 50

UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Categories of Unicode: controls, formats, surrogates, private, unassigned, separators of lines and paragraphs."""


class Panes:
    """The widgets that show what was captured, filled as the lab fills them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.interfaces = {linktype: store.add_interface(f"[b]lab{linktype}\x1b[m", linktype) for linktype in LINKTYPES}
        self.list = PacketList(Rows(store, Tracker(store)))
        self.tree, self.grid, self.hex = PacketTree(), HeaderGrid(), HexDump()
        for widget, height in ((self.list, 12), (self.tree, TREE_LINES), (self.hex, 10)):
            widget.styles.height = height

    def show(self, frame: bytes, linktype: int, whole: bool = True) -> str:
        """Capture a frame and show it in every pane; gives what is drawn, all or some lines of it, checked."""
        number = self.store.append(
            self.interfaces[linktype], Batch(frame, [(len(self.store), 0, len(frame), len(frame))])
        )
        self.list.show_up_to(number)
        self.list.patient_until = time.monotonic() + 10  # what is drawn here is all that there is to say
        dissection = dissect(frame, linktype)
        self.hex.data = frame
        self.tree.show(dissection.layers)
        start, stop = dissection.ipv4 or (0, 0)
        self.grid.values = {n: show_value(n, value) for n, value in read_header(frame[start:stop]).items()}
        last = min(self.tree.last_line, TREE_LINES - 1)
        lines = [drawn(self.list, min(number, self.list.page))]
        lines += [drawn(self.tree, y) for y in (range(last + 1) if whole else {last, number % max(1, last)})]
        if whole or number % 4 == 0:  # there is little that bytes can do to them
            lines += [drawn(self.grid, y) for y in (range(14) if whole else [8, 12])]
            lines += [drawn(self.hex, y) for y in (range(10) if whole else [number % 10])]
        return "\n".join(lines)


def drawn(widget: Widget, y: int) -> str:
    """A line of a widget, as text; checked that it only prints, and leads nowhere."""
    strip = widget.render_line(y)
    text = "".join(segment.text for segment in strip)
    assert all(map(is_plain, set(text))), "it may shift what stands beside it"
    assert text.isprintable() and not {unicodedata.category(character) for character in set(text)} & UNPRINTABLE
    for style in {segment.style for segment in strip if segment.style is not None}:
        assert style.link is None and "@click" not in style.meta
    assert not any(segment.control for segment in strip)
    return text


@asynccontextmanager
async def panes() -> AsyncIterator[tuple[Pilot[None], Stage, Panes]]:
    with Store() as store:
        shown = Panes(store)
        async with staged(shown.list, shown.tree, shown.grid, shown.hex, size=(150, 90)) as (pilot, stage):
            yield pilot, stage, shown


def mutated(count: int) -> Iterator[tuple[bytes, int]]:
    """Frames with bytes changed, cut, grown or swapped for hostile ones; and one in ten wholly random."""
    chance = random.Random(253)
    for _ in range(count):
        if chance.random() < 0.1:
            yield chance.randbytes(chance.randrange(300)), chance.choice(LINKTYPES)
            continue
        frame = bytearray(chance.choice(FRAMES))
        for _ in range(chance.randrange(8)):
            frame[chance.randrange(len(frame))] = chance.randrange(256)
        if chance.random() < 0.2:
            at = chance.randrange(len(frame))
            frame[at : at + chance.randrange(40)] = chance.choice(HOSTILE)
        if chance.random() < 0.2:
            del frame[chance.randrange(len(frame)) :]
        yield bytes(frame), 1 if chance.random() < 0.6 else chance.choice(LINKTYPES)


@pytest.mark.parametrize("thousand", range(10))
async def test_ten_thousand_random_and_mutated_frames(thousand: int) -> None:
    async with panes() as (pilot, stage, shown):
        frames = islice(mutated(10_000), thousand * 1000, (thousand + 1) * 1000)
        for number, (frame, linktype) in enumerate(frames):
            shown.show(frame, linktype, whole=number % 100 == 0)
            if number % 500 == 0:
                await pilot.pause()  # as the app draws it, with all that it posts to itself
                assert all(line.isprintable() for line in seen(stage))
        assert len(shown.store) == 1000
        assert stage.is_running


async def test_any_frame_of_any_link_type() -> None:
    async with panes() as (_, _, shown):

        @given(
            st.one_of(
                st.binary(max_size=200),
                st.builds(lambda head, text: head + text, st.sampled_from(FRAMES), st.sampled_from(HOSTILE)),
                st.builds(
                    lambda text: bytes(NETWORK / IP(proto=253) / text.encode("utf-8", "surrogatepass")), st.text()
                ),
            ),
            st.sampled_from(LINKTYPES),
        )
        @settings(max_examples=150, deadline=None)
        def check(frame: bytes, linktype: int) -> None:
            shown.show(frame, linktype)

        check()


@pytest.mark.parametrize("text", HOSTILE[:3])
async def test_markup_is_shown_as_it_was_sent(text: bytes) -> None:
    async with panes() as (pilot, stage, shown):
        lines = shown.show(bytes(NETWORK / text), 1)
        assert lines.count(text.decode()) == 2, "in the list and in the tree"
        await until(pilot, lambda: sum(text.decode() in line for line in seen(stage)) == 2)


async def test_a_click_on_a_link_in_a_payload_leads_nowhere() -> None:
    async with panes() as (pilot, stage, shown):
        shown.show(bytes(NETWORK / HOSTILE[1]), 1)
        await until(pilot, lambda: sum("click me" in line for line in seen(stage)) >= 2)
        for y, line in enumerate(seen(stage)):
            if "click me" in line:
                await pilot.click(offset=(line.index("click me") + 2, y))
        assert stage.is_running and not stage.return_code


@pytest.mark.parametrize("text", HOSTILE[3:10])
async def test_controls_are_shown_escaped(text: bytes) -> None:
    async with panes() as (pilot, stage, shown):
        lines = shown.show(bytes(NETWORK / text), 1)
        assert "\\x" in lines or "\\u" in lines
        await pilot.pause()
        assert not any(character in line for line in seen(stage) for character in "\x1b\x07\x9b\u202e\u2028\x00")


@pytest.mark.parametrize("text", ["e\u0301" * 8, "\u0489" * 9, "שלום", "سلام ٣٤", "全角", "\u1160\u11a8", "👨\u200d👩"])
async def test_marks_wide_characters_and_right_to_left_shift_no_row(text: str) -> None:
    plain = "as it is: é ü ¬ Ω ж"
    async with panes() as (pilot, stage, shown):
        lines = shown.show(bytes(Ether() / IP(proto=253) / f"{plain}|{text}".encode()), 1)
        assert plain in lines and text not in lines
        await pilot.pause()
        assert all(cell_len(line) == len(line) for line in lines.split("\n"))
        assert not any(text in line for line in seen(stage))


async def test_the_names_of_interfaces_in_a_file_are_text_too() -> None:
    async with panes() as (_, _, shown):
        assert " [b]lab1\\x1b[m " in shown.show(FRAMES[0], 1)


async def test_a_frame_of_absurd_times_and_lengths_has_its_row() -> None:
    async with panes() as (_, _, shown):
        frame = FRAMES[0]
        shown.store.append(0, Batch(frame, [(2**64 - 1, 0, len(frame), 2**32 - 1), (0, 0, len(frame), 0)]))
        shown.list.show_up_to(2)
        for _ in range(3):
            for y in (1, 2):
                assert "10.0.1.10" in drawn(shown.list, y)
            shown.list.action_next_time()
