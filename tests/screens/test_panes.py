"""The panes of the lab: as the whole screen, higher and lower, and what stands in them before the first packet."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import pytest

from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.screens.pane_screen import LEAST_ROWS
from ipl_tui.screens.welcome import WELCOME
from tests.screen import seen, until, until_seen
from tests.screens.conftest import Running, settled
from tests.screens.test_lab import capture_file, permitted

__all__ = ["permitted"]  # a fixture


class TestPanes:
    @pytest.mark.parametrize("size", [(120, 36), (200, 60)])
    async def test_z_makes_a_pane_the_whole_screen_and_all_are_there_again(
        self, running: Running, tmp_path: Path, size: tuple[int, int]
    ) -> None:
        async with running(size=size, read=capture_file(tmp_path / "old.pcapng", 2)) as (pilot, lab):
            await until_seen(pilot, "number 2")
            before = [each.region for each in (lab.packets, lab.details.fields_pane)]
            await pilot.press("z")
            await until(pilot, lambda: lab.packets.region.height >= size[1] - 5 and not lab.details.fields_pane.display)
            await pilot.press("4")
            await until(pilot, lambda: lab.details.fields_pane.region.size == (size[0], size[1] - 4))
            await until_seen(pilot, "45 00")
            line = next(line for line in seen(pilot.app) if "45 00" in line)
            assert len(re.findall(r"\b[0-9a-f]{2}\b", line)) >= 16
            await pilot.press("z", "escape")
            await until(pilot, lambda: [each.region for each in (lab.packets, lab.details.fields_pane)] == before)

    async def test_plus_and_minus_move_the_border_between_the_list_and_what_is_below(self, running: Running) -> None:
        async with running(size=(120, 36)) as (pilot, lab):
            await until_seen(pilot, "Send F5")
            below = lab.details.fields_pane
            height = below.outer_size.height
            await pilot.press("plus")
            await until(pilot, lambda: below.outer_size.height == height - 2)
            await pilot.press("minus", "minus")
            await until(pilot, lambda: below.outer_size.height == height + 2)
            await pilot.press("4", *["minus"] * 20)
            await until(pilot, lambda: below.outer_size.height == LEAST_ROWS)
            await pilot.press(*["plus"] * 20)
            await until(pilot, lambda: lab.upper.outer_size.height == LEAST_ROWS)
            await pilot.resize_terminal(80, 24)
            await until(pilot, lambda: lab.has_class("-low") and below.outer_size.height == 19)
            await pilot.press("4", "plus", "z")
            await until_seen(pilot, "The pane is the whole screen")
            assert not lab.zoomed

    @pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
    async def test_a_first_start_says_what_to_do_until_the_first_packet(
        self, running: Running, size: tuple[int, int]
    ) -> None:
        with closing(SimulatedNetwork()) as network:
            async with running("simulated:client", networks=[network], size=size) as (pilot, lab):
                for line in WELCOME:
                    await until_seen(pilot, line[: size[0] - 8])
                await settled(pilot, lab)
                await pilot.press("f5")
                await until_seen(pilot, "ServerResponse")
                assert not any("Choose   F2" in line for line in seen(pilot.app))

    async def test_an_empty_file_says_so(self, running: Running, tmp_path: Path) -> None:
        async with running(read=capture_file(tmp_path / "old.pcapng", 0)) as (pilot, _):
            await until_seen(pilot, "No packet has come from the file.")


class TestLayout:
    async def test_with_the_path_eight_rows_of_the_list_are_there(self, running: Running) -> None:
        with closing(SimulatedNetwork()) as network:
            async with running("simulated:client", networks=[network], follow=True, size=(120, 36)) as (pilot, lab):
                await settled(pilot, lab)
                for _ in range(2):
                    await pilot.press("f5")
                    await until_seen(pilot, "answered in")
                await until_seen(pilot, "✔ Arrived at the server.")
                await until(pilot, lambda: lab.packets.page == 8)
                assert lab.composer.verdict.region.height == 1 and lab.composer.meaning.region.height >= 2

    async def test_a_large_screen_has_sixteen_bytes_a_row_and_the_checksum_worked(
        self, running: Running, tmp_path: Path
    ) -> None:
        async with running(size=(200, 60), read=capture_file(tmp_path / "old.pcapng", 2)) as (pilot, lab):
            await until_seen(pilot, "the header agrees")
            assert lab.details.dump.per_line == 16
            assert {"Compose", "Header", "Fields", "Packets"} <= set(" ".join(seen(pilot.app)).split())

    async def test_at_80x24_cause_and_effect_are_together(self, running: Running) -> None:
        with closing(SimulatedNetwork()) as network:
            async with running("simulated:client", networks=[network], filter="ip", size=(80, 24)) as (pilot, lab):
                await settled(pilot, lab)
                await pilot.press("f5")
                await until_seen(pilot, "253      48  ↩1 ServerResponse")
                await until_seen(pilot, "Sent 1 × 33 bytes, exact, on c0; answered in")  # below the list
                await pilot.press("2")
                await until_seen(pilot, "Time to Live · ttl")
                await pilot.press("f5")
                await until(pilot, lambda: lab.packets.count == 4)
                await until(pilot, lambda: "ServerResponse" in seen(pilot.app)[22] and "   4 " in seen(pilot.app)[22])
                await until(pilot, lambda: "by packet 4" in seen(pilot.app)[19])
                await pilot.press("down")
                await until_seen(pilot, "Source Address · src: 10.0.1.10")
                assert "   4 " not in "".join(seen(pilot.app)[20:])

    @pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
    async def test_what_is_said_for_a_moment_covers_nothing(
        self, running: Running, tmp_path: Path, size: tuple[int, int]
    ) -> None:
        async with running(size=size, read=capture_file(tmp_path / "old.pcapng", 2)) as (pilot, lab):
            await until_seen(pilot, "  #1  ")
            await until(pilot, lambda: lab.details.number and lab.details.decoding.done())
            await pilot.pause()
            before = seen(pilot.app)
            pilot.app.notify("said [b]for[/] a moment", title="Notice")
            await until_seen(pilot, "Notice: said for a moment")
            assert seen(pilot.app)[2:-1] == before[2:-1]

    async def test_down_from_the_selected_row_shows_the_next_in_full(self, running: Running, tmp_path: Path) -> None:
        async with running(read=capture_file(tmp_path / "old.pcapng", 2)) as (pilot, _):
            await until_seen(pilot, "  #1  10.0.1.10 → 10.0.1.20  253, ")
            await pilot.press("down")
            await until_seen(pilot, "  #2  10.0.1.10 → 10.0.1.20  253, ")


class TestScreenshot:
    async def test_the_palette_s_says_where_it_is(self, running: Running, tmp_path: Path) -> None:
        async with running() as (pilot, _):
            await until_seen(pilot, "Send F5")
            pilot.app.deliver_screenshot("lab.svg", str(tmp_path))
            shown = await until_seen(pilot, "Screenshot: ")
            assert str(tmp_path)[:60] in shown
            await until(pilot, lambda: "</svg>" in (tmp_path / "lab.svg").read_text())

    async def test_or_why_there_is_none(self, running: Running, tmp_path: Path) -> None:
        (tmp_path / "lab.svg").mkdir()
        async with running() as (pilot, _):
            await until_seen(pilot, "Send F5")
            pilot.app.deliver_screenshot("lab.svg", str(tmp_path))
            assert "Is a directory" in await until_seen(pilot, "✖ No screenshot: ")
