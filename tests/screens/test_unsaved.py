"""What would lose packets that were not saved: what is asked before, and what the answers do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from ipl_tui.app import PacketLab
from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.screens.lab import LabScreen
from ipl_tui.screens.save import SaveScreen
from ipl_tui.screens.unsaved import UnsavedScreen
from tests.fake_interface import FakeInterface, FakeNetwork
from tests.screen import seen, until, until_seen
from tests.screens.conftest import Running, settled
from tests.session.test_session import capture_file


@pytest.fixture
def hosts() -> Iterator[SimulatedNetwork]:
    with closing(SimulatedNetwork()) as network:
        yield network


async def exchange(pilot: Pilot[None], lab: LabScreen) -> None:
    """Two packets are captured, and shown."""
    await settled(pilot, lab)
    await pilot.press("f5")
    await until_seen(pilot, "↩")
    await until(pilot, lambda: lab.details.number and lab.packets.count == len(lab.session.store))


def is_empty(lab: LabScreen) -> bool:
    return (len(lab.session.store), lab.packets.count, lab.packets.selected, lab.details.number) == (0, 0, 0, 0)


class TestClearing:
    @pytest.mark.parametrize("size", [(120, 36), (80, 24)])
    async def test_x_twice_clears_the_list_and_the_next_packet_is_the_first(
        self, running: Running, hosts: SimulatedNetwork, size: tuple[int, int]
    ) -> None:
        async with running("simulated:client", networks=[hosts], filter="ip proto 253", size=size) as (pilot, lab):
            await exchange(pilot, lab)
            await pilot.press("x")
            await until_seen(pilot, "2 packets not saved")
            await until_seen(pilot, "Save  s")
            await until_seen(pilot, "Clear  x")
            await pilot.press("x")
            await until(pilot, lambda: is_empty(lab))
            await until_seen(pilot, "● capturing   0 captured · 0 shown")
            await until_seen(pilot, "Nothing is captured here yet.")
            assert not lab.details.grid.values and not lab.details.dump.data and lab.details.fields.last_line == -1
            assert not any("packet 2" in line for line in seen(pilot.app)), "what was said of one that is gone"
            await pilot.press("f5")
            assert "▸1 " in await until_seen(pilot, "↦ 10.0.2.20")
            await until_seen(pilot, "↩ answers 1" if size[0] == 120 else "↩1")

    async def test_esc_stays_and_s_saves_first(self, running: Running, hosts: SimulatedNetwork, tmp_path: Path) -> None:
        async with running("simulated:client", networks=[hosts], filter="ip proto 253") as (pilot, lab):
            await exchange(pilot, lab)
            await pilot.press("x")
            await until_seen(pilot, "2 packets not saved")
            await pilot.press("escape")
            await until(pilot, lambda: pilot.app.screen is lab)
            for key in ("escape", "enter"):
                await pilot.press("x", "s")
                await until(pilot, lambda: isinstance(pilot.app.screen, SaveScreen))
                assert len(lab.session.store) == 2
                pilot.app.screen.query_one(Input).value = str(tmp_path / "saved.pcapng")
                await pilot.press(key)
            await until(pilot, lambda: is_empty(lab))
            assert (tmp_path / "saved.pcapng").exists()

    async def test_buttons_do_the_same(self, running: Running, hosts: SimulatedNetwork) -> None:
        async with running("simulated:client", networks=[hosts], filter="ip proto 253") as (pilot, lab):
            await exchange(pilot, lab)
            await pilot.press("x")
            await until(pilot, lambda: isinstance(pilot.app.screen, UnsavedScreen))
            await pilot.click("#stay")
            await until(pilot, lambda: pilot.app.screen is lab)
            await pilot.press("x")
            await until(pilot, lambda: isinstance(pilot.app.screen, UnsavedScreen) and pilot.app.screen.focused)
            await pilot.press("right", "right", "left", "enter")
            await until(pilot, lambda: is_empty(lab))

    async def test_what_was_saved_is_not_asked_about_nor_is_a_list_that_is_held_still_kept(
        self, running: Running, hosts: SimulatedNetwork, tmp_path: Path
    ) -> None:
        async with running("simulated:client", networks=[hosts], filter="ip proto 253") as (pilot, lab):
            await exchange(pilot, lab)
            await lab.session.save(tmp_path / "saved.pcapng")
            await pilot.press("f7", "x")
            await until(pilot, lambda: is_empty(lab))

    async def test_what_is_written_anyway_stays_in_its_file(
        self, running: Running, hosts: SimulatedNetwork, tmp_path: Path
    ) -> None:
        path = tmp_path / "written.pcapng"
        async with running("simulated:client", networks=[hosts], filter="ip proto 253", path=path) as (pilot, lab):
            await exchange(pilot, lab)
            size = path.stat().st_size
            await pilot.press("x")
            await until(pilot, lambda: is_empty(lab))
            assert path.stat().st_size >= size

    @pytest.mark.parametrize("key", ["x", "X"])
    async def test_a_file_is_not_cleared(
        self, running: Running, hosts: SimulatedNetwork, tmp_path: Path, key: str
    ) -> None:
        file = capture_file(tmp_path / "old.pcapng", 3)
        async with running("simulated:client", networks=[hosts], read=file) as (pilot, lab):
            await until_seen(pilot, "3 packets · 3 shown")
            await pilot.press(key)
            await until_seen(pilot, "A file is shown: choose where to capture with F2.")
            assert len(lab.session.store) == 3


class TestAfresh:
    async def test_shift_x_twice_starts_the_network_afresh(self, running: Running, hosts: SimulatedNetwork) -> None:
        async with running("simulated:client", networks=[hosts], filter="arp or ip proto 253") as (pilot, lab):
            await exchange(pilot, lab)
            await pilot.press("X")
            await until_seen(pilot, "Afresh  X")
            await pilot.press("X")
            await until(pilot, lambda: is_empty(lab))
            await until_seen(pilot, "The simulated network has begun afresh.")
            await until_seen(pilot, "Scapy responder (server)")
            await pilot.press("f5")
            await until_seen(pilot, "who has 10.0.1.1")
            await until_seen(pilot, "↩ answers 3")

    async def test_where_it_can_t_that_is_said(self, running: Running, hosts: SimulatedNetwork) -> None:
        other = FakeNetwork("fake", FakeInterface("f0", "10.0.1.10/24"))
        async with running("f0", networks=[other, hosts]) as (pilot, _):
            await pilot.press("X")
            await until_seen(pilot, "The fake network can't be started afresh:")


class TestLeaving:
    @pytest.mark.parametrize("keys", [("q", "q"), ("ctrl+q", "ctrl+q"), ("q", "ctrl+q")])
    async def test_a_second_q_leaves(self, running: Running, hosts: SimulatedNetwork, keys: tuple[str, str]) -> None:
        async with running("simulated:client", networks=[hosts], filter="ip proto 253") as (pilot, lab):
            await exchange(pilot, lab)
            await pilot.press(keys[0])
            await until_seen(pilot, "2 packets not saved")
            await until_seen(pilot, "Leave  q")
            assert pilot.app.is_running
            await pilot.press(keys[1])
            await until(pilot, lambda: not pilot.app.is_running)
            assert isinstance(pilot.app, PacketLab) and pilot.app.left_by_choice

    async def test_esc_stays_and_s_leaves_once_it_is_saved(
        self, running: Running, hosts: SimulatedNetwork, tmp_path: Path
    ) -> None:
        async with running("simulated:client", networks=[hosts], filter="ip proto 253") as (pilot, lab):
            await exchange(pilot, lab)
            await pilot.press("q", "escape")
            await until(pilot, lambda: pilot.app.screen is lab)
            await pilot.press("q", "s")
            await until(pilot, lambda: isinstance(pilot.app.screen, SaveScreen))
            await pilot.press("escape")
            await until(pilot, lambda: pilot.app.screen is lab)
            assert pilot.app.is_running
            await pilot.press("q", "s")
            await until(pilot, lambda: isinstance(pilot.app.screen, SaveScreen))
            pilot.app.screen.query_one(Input).value = str(tmp_path / "saved.pcapng")
            await pilot.press("enter")
            await until(pilot, lambda: not pilot.app.is_running)
            assert (tmp_path / "saved.pcapng").exists()

    async def test_the_palette_asks_too(self, running: Running, hosts: SimulatedNetwork) -> None:
        async with running("simulated:client", networks=[hosts], filter="ip proto 253") as (pilot, lab):
            await exchange(pilot, lab)
            await pilot.press("ctrl+p", *"quit")
            await until_seen(pilot, "Leave the lab")
            await pilot.press("enter")
            await until_seen(pilot, "2 packets not saved")

    async def test_nothing_is_asked_when_nothing_is_lost(
        self, running: Running, hosts: SimulatedNetwork, tmp_path: Path
    ) -> None:
        file = capture_file(tmp_path / "old.pcapng", 3)
        async with running("simulated:client", networks=[hosts], read=file) as (pilot, _):
            await until_seen(pilot, "3 packets · 3 shown")
            await pilot.press("q")
            await until(pilot, lambda: not pilot.app.is_running)
        async with running("simulated:client", networks=[hosts], path=tmp_path / "written.pcapng") as (pilot, lab):
            await exchange(pilot, lab)
            await pilot.press("q")
            await until(pilot, lambda: not pilot.app.is_running)
