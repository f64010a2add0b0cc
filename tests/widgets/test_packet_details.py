"""One packet in its two panes: what is chosen in one part is chosen in all, and what can't be read is said."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual import on
from textual.containers import Horizontal
from textual.pilot import Pilot
from textual.strip import Strip
from textual.widget import Widget

from ipl_tui.capture.frames import Batch
from ipl_tui.capture.store import Store
from ipl_tui.packets.budget import SHARED
from ipl_tui.packets.craft import Draft, craft
from ipl_tui.tracking.tracker import Tracker
from ipl_tui.widgets.header_grid import HeaderGrid
from ipl_tui.widgets.hex_dump import HexDump
from ipl_tui.widgets.packet_details import PacketDetails
from ipl_tui.widgets.packet_tree import PacketTree
from tests.screen import until, until_seen
from tests.widgets.stage import Stage, staged

ETHERNET = 1


class Panes(Horizontal):
    """Shows both panes, and lets them hear what is said in them."""

    def __init__(self, details: PacketDetails) -> None:
        super().__init__(details.header_pane, details.fields_pane)
        self.details = details

    @on(PacketTree.NodeChosen)
    @on(HeaderGrid.FieldChosen)
    @on(HexDump.ByteChosen)
    def field_chosen(self, event: PacketTree.NodeChosen | HeaderGrid.FieldChosen | HexDump.ByteChosen) -> None:
        self.details.hear(event)


@asynccontextmanager
async def details_of(path: Path, *drafts: bytes | Draft) -> AsyncIterator[tuple[Pilot[None], Stage, PacketDetails]]:
    """The details of a capture of packets: drafts, or only payloads."""
    with Store(path) as store:
        interface = store.add_interface("lab0", ETHERNET)
        for each in drafts:
            draft = Draft(src="10.0.1.10", dst="10.0.1.20", payload=each) if isinstance(each, bytes) else each
            frame = bytes(12) + b"\x08\x00" + craft(draft).packet
            store.append(interface, Batch(frame, [(1, 0, len(frame), len(frame))]))
        details = PacketDetails(store, Tracker(store), SHARED)
        async with staged(Panes(details), size=(120, 30)) as (pilot, stage):
            details.header_pane.display = True
            yield pilot, stage, details


async def test_what_is_chosen_is_chosen_everywhere(tmp_path: Path) -> None:
    async with details_of(tmp_path / "x.pcapng", b"first", b"second") as (pilot, _, details):
        await until_seen(pilot, "3 Header")
        details.show(2)
        await until_seen(pilot, "Header of packet 2")
        await until_seen(pilot, "Fields of packet 2")
        details.enter("header")
        await until(pilot, lambda: details.grid.has_focus)
        details.grid.choose("ttl")
        await until(pilot, lambda: details.dump.span == (22, 23))
        await until_seen(pilot, "Time to Live · ttl: 64: as Linux")
        details.enter("fields")
        await pilot.press("down")
        await until(pilot, lambda: details.grid.chosen == "proto" and details.dump.span == (23, 24))


FLAGS = ("reserved", "df", "mf")


@pytest.mark.parametrize(
    ("field", "also", "bits", "digits", "strip", "edge"),
    [
        ("dscp", (), (120, 126), "000f  0010 1110", "0010 11", "0 0 1 0 1 1"),
        ("ecn", (), (126, 128), "000f  0010 1110", "10", "1 0"),
        ("df", (), (161, 162), "0014  0110 0000", "1", "1"),
        ("frag", (), (163, 176), "0014  0110 0000│1011 1001", "0 0000│1011 1001", "0 0 0 0 0│1 0 1 1 1 0 0 1"),
        ("version", (), (112, 116), "000e  0100 0111", "0100", "0 1 0 0"),
        ("src", (), (208, 240), "001a  0000 1010│0000 0000│0000 0001│0000 1010", None,
         "0 0 0 0 1 0 1 0│0 0 0 0 0 0 0 0│0 0 0 0 0 0 0 1│0 0 0 0 1 0 1 0"),
        ("options", (), (272, 336), "0022  0000 0111│0000 0111│0000 0100│0000 0000│…", None,
         "0 0 0 0 0 1 1 1│0 0 0 0 0 1 1 1│0 0 0 0 0 1 0 0│0 0 0 0 0 0 0 0"),
    ],
)  # fmt: skip
async def test_a_field_is_highlighted_to_the_bit_in_all_of_them(
    tmp_path: Path, field: str, also: tuple[str, ...], bits: tuple[int, int], digits: str, strip: str | None, edge: str
) -> None:
    draft = Draft(
        src="10.0.1.10",
        dst="10.0.1.20",
        dscp=11,
        ecn=2,
        df=1,
        mf=1,
        frag=185,
        options=bytes.fromhex("0707040000000000"),
    )
    async with details_of(tmp_path / "x.pcapng", draft) as (pilot, _, details):
        details.show(1)
        await until_seen(pilot, "Fields of packet 1")
        details.grid.choose(field)
        await until(pilot, lambda: details.dump.bits == bits)
        await until_seen(pilot, digits)
        assert details.grid.chosen == field and details.grid.also == also
        line = details.strip.render_line(0)
        assert stands_out(details.strip, "bit-strip--chosen", line) == (strip or digits[6:].partition("│…")[0])
        assert stands_out(details.grid, "header-grid--bit", details.grid.render_line(13)) == edge
        assert len(details.grid.render_line(13).text.rstrip()) == 65


def stands_out(widget: Widget, part: str, line: Strip) -> str:
    """What of a line is highlighted."""
    background = widget.get_component_rich_style(part).bgcolor
    return "".join(piece.text for piece in line if piece.style is not None and piece.style.bgcolor == background)


async def test_a_field_of_scapy_s_that_is_several_of_the_rfc_s_highlights_them_all(tmp_path: Path) -> None:
    async with details_of(tmp_path / "x.pcapng", b"first") as (pilot, _, details):
        details.show(1)
        details.enter("fields")
        await until_seen(pilot, "Fields of packet 1")
        await pilot.press(*["down"] * 7)
        await until(pilot, lambda: (details.grid.chosen, *details.grid.also) == FLAGS)
        assert details.dump.bits == (160, 163)
        await pilot.press("enter", "down", "down")  # its parts
        await until(pilot, lambda: details.grid.chosen == "df" and not details.grid.also)
        assert details.dump.bits == (161, 162)
        await until_seen(pilot, "Don't Fragment · flags: 0: ")


async def test_a_byte_is_chosen_with_keys_and_its_field_in_all_of_them(tmp_path: Path) -> None:
    async with details_of(tmp_path / "x.pcapng", b"first") as (pilot, _, details):
        details.show(1)
        await until_seen(pilot, "Fields of packet 1")
        details.dump.focus()
        details.grid.choose("ttl")
        await until(pilot, lambda: details.dump.at == 22)
        await pilot.press("right")
        await until(pilot, lambda: details.grid.chosen == "proto" and details.dump.bits == (184, 192))
        await pilot.press("right", "right")
        await until(pilot, lambda: details.grid.chosen == "chksum" and details.dump.at == 25)
        await pilot.press("end")
        await until(pilot, lambda: details.dump.span == (34, 39) and not details.grid.chosen)
        await until_seen(pilot, "0022  0110 0110│0110 1001│0111 0010│0111 0011│…")


async def test_what_can_t_be_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    async with details_of(path, b"first") as (pilot, stage, details):
        os.truncate(path, 60)
        details.show(1)
        await until(pilot, lambda: stage.said(PacketDetails.Unreadable))
        (said,) = stage.said(PacketDetails.Unreadable)
        assert said.reason.startswith("Packet 1 can't be read: ")


async def test_without_a_packet_nothing_is_shown_again(tmp_path: Path) -> None:
    async with details_of(tmp_path / "x.pcapng") as (_, stage, details):
        details.show_again()
        assert not stage.said(PacketDetails.Unreadable) and not details.grid.values
