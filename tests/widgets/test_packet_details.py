"""One packet in its two panes: what is chosen in one part is chosen in all, and what can't be read is said."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot

from ipl_tui.capture.frames import Batch
from ipl_tui.capture.store import Store
from ipl_tui.packets.budget import SHARED
from ipl_tui.packets.craft import Draft, craft
from ipl_tui.tracking.tracker import Tracker
from ipl_tui.widgets.packet_details import PacketDetails
from tests.screen import until, until_seen
from tests.widgets.stage import Stage, staged

ETHERNET = 1


@asynccontextmanager
async def details_of(path: Path, *payloads: bytes) -> AsyncIterator[tuple[Pilot[None], Stage, PacketDetails]]:
    """The details of a capture of packets with these payloads."""
    with Store(path) as store:
        interface = store.add_interface("lab0", ETHERNET)
        for payload in payloads:
            frame = bytes(12) + b"\x08\x00" + craft(Draft(src="10.0.1.10", dst="10.0.1.20", payload=payload)).packet
            store.append(interface, Batch(frame, [(1, 0, len(frame), len(frame))]))
        details = PacketDetails(store, Tracker(store), SHARED)
        async with staged(details, size=(120, 30)) as (pilot, stage):
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
