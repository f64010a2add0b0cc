"""Packets whose dissection takes long, or for ever: what is known is shown at once, and every key works meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ipl_tui.capture.frames import Batch
from ipl_tui.capture.store import Store
from ipl_tui.packets import dissect as dissecting
from ipl_tui.packets.budget import SHARED, Budget
from ipl_tui.packets.craft import Draft, craft
from ipl_tui.screens.lab import LabScreen
from tests.screen import seen, until, until_seen
from tests.screens.conftest import Running

ETHERNET = 1
SLOW = b"slow"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A capture of seven packets, which are all in view; 2, 4 and 6 are slow."""
    path = tmp_path / "slow.pcapng"
    with Store(path) as store:
        interface = store.add_interface("lab0", ETHERNET)
        for number in range(1, 8):
            payload = b"%s %d" % (SLOW if number in (2, 4, 6) else b"ordinary", number)
            packet = craft(Draft(src="10.0.1.10", dst="10.0.1.20", ttl=number, payload=payload)).packet
            frame = bytes(12) + b"\x08\x00" + packet
            store.append(interface, Batch(frame, [(number * 1_500_000, 0, len(frame), len(frame))]))
    return path


class Slow:
    """Makes the dissection of slow packets wait, and notes which are tried."""

    def __init__(self) -> None:
        self.go = threading.Event()
        """Set when it waits no longer."""
        self.tried: list[tuple[str, bytes]] = []
        self.originals = {task: getattr(dissecting, task) for task in ("summarise", "dissect")}

    def stand_in(self, task: str) -> Any:
        def work(frame: bytes, linktype: int, length: int) -> Any:
            if SLOW in frame:
                self.tried.append((task, frame))
                while not self.go.is_set():
                    time.thread_time()
            return self.originals[task](frame, linktype, length)

        return work


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    slow = Slow()
    for task in slow.originals:
        monkeypatch.setattr(dissecting, task, slow.stand_in(task))
    yield slow
    slow.go.set()


def note(lab: LabScreen) -> str:
    """What the decoded view says about the last layer: it may be below the lines in view."""
    (*_, last) = [node.data for node in lab.details.fields.root.children]
    assert last is not None and last.name == "Raw"
    return last.note


async def test_keys_work_and_rows_are_there_before_they_are_decoded(
    running: Running, file: Path, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SHARED, "budget", Budget(time=1000))
    async with running(read=file) as (pilot, lab):
        assert "ordinary" not in await until_seen(pilot, "  7     0.009000 10.0.1.10       → 10.0.1.20       253")
        for number in (2, 3, 4):
            await pilot.press("j")
            await until_seen(pilot, f"▸{number} ")
            await until_seen(pilot, f"Fields of packet {number} ")
            await until_seen(pilot, f"ttl       = {number}")
            assert note(lab) == "being decoded"
        assert not any("slow 2" in line and "▸" not in line for line in seen(pilot.app)[:20])
        slow.go.set()
        await until_seen(pilot, "253          40  slow 2")
        await until_seen(pilot, "253          44  ordinary 7")
        await until(pilot, lambda: not note(lab))
        assert lab.details.number == 4 and "ttl       = 4" in await until_seen(pilot, "ttl       = ")


async def test_a_spent_budget_is_told_once_and_for_all(
    running: Running, file: Path, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SHARED, "budget", Budget(time=0.05))
    async with running(read=file) as (pilot, lab):
        said = "Raw, not decoded: it took more than 0.05 s"
        await until(pilot, lambda: sum(f" 40  {said}" in line for line in seen(pilot.app)) == 3)
        await until_seen(pilot, "ordinary 7")
        await pilot.press("j")
        await until_seen(pilot, "ttl       = 2")
        await until(pilot, lambda: note(lab) == "not decoded: it took more than 0.05 s")
        tried = len(slow.tried)
        for key in ("j", "j", "G", "g", "t", "j"):
            await pilot.press(key)
        lab.packets.forget_summaries()  # as when so many packets were seen since that it is forgotten
        await until(pilot, lambda: sum(f" 40  {said}" in line for line in seen(pilot.app)) == 3)
        assert len(slow.tried) == tried
        assert not any(task == "dissect" for task, _ in slow.tried), "what has no row has no layers"


async def test_it_can_be_left_meanwhile(
    running: Running, file: Path, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SHARED, "budget", Budget(time=1000))
    async with running(read=file) as (pilot, _):
        await until(pilot, lambda: slow.tried)
        await pilot.press("q")
        await until(pilot, lambda: not pilot.app.is_running)
