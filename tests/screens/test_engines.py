"""The engines in the lab: which one answers, and the three side by side."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from functools import partial

import pytest
from textual.pilot import Pilot

from ipl_tui.app import PacketLab
from ipl_tui.capture.store import Store
from ipl_tui.exchange import comparison as comparison_module
from ipl_tui.exchange import engine
from ipl_tui.exchange.engine import ServerConfig
from ipl_tui.exchange.scapy_engine import ScapyServer
from ipl_tui.exchange.socket_engine import SocketServer
from ipl_tui.networks.interface import Network
from ipl_tui.networks.kernel import KernelNetwork
from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.screens.engines import EnginesScreen
from ipl_tui.screens.lab import LabScreen
from ipl_tui.session.options import LabOptions
from ipl_tui.widgets.header_grid import HeaderForm
from tests.conftest import wait_until
from tests.fake_interface import FakeInterface, FakeNetwork
from tests.screen import seen, until, until_seen
from tests.screens.conftest import Running, settled


def has_answers(lab: LabScreen, count: int) -> bool:
    """Whether so many ServerResponses were captured."""
    frames = [lab.session.store.frame(number).data for number in range(1, len(lab.session.store) + 1)]
    return sum(frame.endswith(b"ServerResponse") for frame in frames) == count


def has_refused(lab: LabScreen, count: int) -> bool:
    """Whether the responder has not answered so many because of its rate."""
    return lab.session.responder is not None and lab.session.responder.config.refused == count


async def opened(pilot: Pilot[None], lab: LabScreen) -> EnginesScreen:
    """Open the comparison once the lab has settled."""
    await settled(pilot, lab)
    await pilot.press("v")
    await until_seen(pilot, "Nothing has been sent yet.")
    screen = pilot.app.screen
    assert isinstance(screen, EnginesScreen)
    return screen


class TestResponder:
    async def test_e_exchanges_the_engine_that_answers(self, running: Running, network: Network) -> None:
        async with running(f"{network.name}:client", networks=[network]) as (pilot, lab):
            for count, (name, kind) in enumerate([("Scapy", ScapyServer), ("socket", SocketServer)] * 2, 1):
                await until_seen(pilot, f"↩ {name} responder (server)")
                assert type(lab.session.responder) is kind and lab.session.responder.running
                await pilot.press("f5")
                await until(pilot, lambda count=count: has_answers(lab, count))
                assert lab.session.responder.answered == 1, "by this engine, not by the one before"
                before = lab.session.responder
                await pilot.press("e")
                await until(pilot, lambda before=before: lab.session.responder not in (before, None))
                assert not before.running

    async def test_pressed_again_and_again_one_responder_is_left(self, running: Running) -> None:
        with closing(SimulatedNetwork()) as network:
            async with running("simulated:client", networks=[network], size=(80, 24)) as (pilot, lab):
                await until_seen(pilot, "● capturing   0 captured · 0 shown · 0 dropped   ↩ Scapy answers in 0.15 s")
                await pilot.press(*"eeeee")
                await until_seen(pilot, "● capturing   0 captured · 0 shown · 0 dropped   ↩ socket answers in 0.15 s")
                await until(pilot, lambda: not any(worker.group == "responder" for worker in lab.workers))
                assert type(lab.session.responder) is SocketServer
                assert [thread.name for thread in threading.enumerate()].count("raw socket server") == 1
                await pilot.press("f6")
                await until(pilot, lambda: lab.session.responder is None)
                assert "raw socket server" not in [thread.name for thread in threading.enumerate()]

    async def test_one_that_is_off_is_switched_too(self, running: Running) -> None:
        with closing(SimulatedNetwork()) as network:
            async with running("simulated:client", networks=[network], responder=False) as (pilot, lab):
                await until(pilot, lab.session.settled.is_set)
                await pilot.press("e")
                await until_seen(pilot, "F6 turns the responder on: raw socket.")
                await pilot.press("f6")
                await until_seen(pilot, "↩ socket responder (server)")
                assert type(lab.session.responder) is SocketServer

    async def test_more_than_its_rate_is_counted_and_said_once(
        self, running: Running, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine, "ServerConfig", partial(ServerConfig, rate=1, clock=lambda: 0.0))
        with closing(SimulatedNetwork()) as network:
            async with running("simulated:client", networks=[network]) as (pilot, lab):
                await settled(pilot, lab)
                await pilot.press("f5")
                await until(pilot, lambda: has_answers(lab, 1))
                for count in (1, 2):
                    await until(pilot, lambda: not lab.composer.sending)
                    await pilot.press("f5")
                    await until(pilot, partial(has_refused, lab, count))
                await until_seen(pilot, "↩ Scapy responder (server), 2 refused")
                await until_seen(pilot, "More than 1 ClientMessages came within a")
                assert has_answers(lab, 1)

    async def test_the_command_line_chooses_the_first(self) -> None:
        with closing(SimulatedNetwork()) as network, Store() as store:
            app = PacketLab(store, [network], LabOptions(network.find("client"), engine="socket"))
            async with app.run_test(size=(120, 36)) as pilot:
                await until_seen(pilot, "↩ socket responder (server)")


class TestComparison:
    async def test_nothing_is_sent_before_enter(self, running: Running, network: Network) -> None:
        async with running(f"{network.name}:client", networks=[network]) as (pilot, lab):
            await opened(pilot, lab)
            await until_seen(pilot, f"The three engines compared, {network.name}:client/c0 10.0.1.10 → 10.0.2.20")
            await until_seen(pilot, "⏎ Compare")
            assert lab.session.responder is None, "it would answer too"
            assert len(lab.session.store) == 0
            await pilot.press("escape")
            await until_seen(pilot, "↩ Scapy responder (server)")
            assert len(lab.session.store) == 0

    @pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)], ids=str)
    async def test_three_columns_side_by_side(self, running: Running, sandbox: Network, size: tuple[int, int]) -> None:
        async with running("sandbox:client", networks=[sandbox], size=size) as (pilot, lab):
            await opened(pilot, lab)
            await pilot.press("enter")
            await until_seen(pilot, "As captured on sandbox:client/c0")
            titles = await until_seen(pilot, "raw socket")
            columns = [titles.index(title) for title in ("Scapy", "raw socket", "asyncio over TCP")]
            first = (await until_seen(pilot, "→ SYN")).rstrip()
            assert [
                first[start - 1 : end - 1].split() for start, end in zip(columns, [*columns[1:], 999], strict=True)
            ] == [
                ["0.00", "→", "ClientMessage", "33"],
                ["0.00", "→", "ClientMessage", "33"],
                ["0.00", "→", "SYN", "60"],
            ]
            assert (await until_seen(pilot, "SYN, ACK")).count("← ServerResponse 34") == 2
            totals = await until_seen(pilot, "2 packets, 67 bytes   ")
            assert totals.count("2 packets, 67 bytes") == 2
            await until_seen(pilot, "→ data: 13 bytes 65")
            await until_seen(pilot, "← data: 14 bytes 66")
            await until_seen(pilot, "FIN, ACK")

    async def test_who_made_what_and_what_tcp_adds(self, running: Running, sandbox: Network) -> None:
        async with running("sandbox:client", networks=[sandbox], size=(120, 60)) as (pilot, lab):
            await opened(pilot, lab)
            await pilot.press("enter")
            await until_seen(pilot, "Who made the IPv4 header of the request")
            assert (await until_seen(pilot, "Time to Live")).split()[3:] == [
                "64",
                "Scapy",
                "64",
                "program",
                "64",
                "kernel",
            ]
            length = await until_seen(pilot, "Total Length")
            assert length.split("  ")[-1].split() == ["kernel"]
            assert "33        Scapy, kernel again 33        program, kernel again 65        kernel" in length
            protocol = (await until_seen(pilot, "Protocol ")).split()
            assert protocol == ["Protocol", "253", "program", "253", "program", "6", "kernel"]
            assert (await until_seen(pilot, "Source Address")).count("10.0.1.10 program") == 3
            await until_seen(pilot, "What TCP's header adds, and raw IP lacks")
            assert "→ 61253" in await until_seen(pilot, "Ports: ")
            await until_seen(pilot, "Order: sequence number ")
            await until_seen(pilot, "Delivery: acknowledgement ")
            await until_seen(pilot, "What raw IP has, and TCP takes away")
            await until_seen(pilot, "--framing length")

    async def test_simulated_hosts_have_no_tcp(self, running: Running) -> None:
        with closing(SimulatedNetwork()) as network:
            async with running("simulated:client", networks=[network]) as (pilot, lab):
                await opened(pilot, lab)
                await pilot.press("enter")
                await until_seen(pilot, "As captured on")
                await until_seen(pilot, "✖ The simulated hosts have no TCP:")
                assert (await until_seen(pilot, "ServerResponse 34")).count("ServerResponse 34") == 2
                assert has_answers(lab, 2), "the lab's list has them too, and no second answer"
                await pilot.press("enter")
                await until(pilot, lambda: has_answers(lab, 4))

    async def test_on_this_machine(self, running: Running, own_loopback: None) -> None:
        async with running("lo", networks=[KernelNetwork()]) as (pilot, lab):
            await pilot.press("f6")
            await until_seen(pilot, "↩ Scapy responder")
            await opened(pilot, lab)
            await pilot.press("enter")
            await until_seen(pilot, "As captured on lo")
            assert (await until_seen(pilot, "ServerResponse")).count("← ServerResponse 34") == 2
            await pilot.press("escape")
            await until_seen(pilot, "↩ Scapy responder")

    async def test_the_composers_destination_is_asked_and_the_rest_of_the_view_scrolls(self, running: Running) -> None:
        with closing(SimulatedNetwork()) as network:
            async with running("simulated:client", networks=[network], size=(80, 24)) as (pilot, lab):
                lab.query_one(HeaderForm).fill({"dst": "10.0.1.1"})
                await until(pilot, lambda: lab.composer.crafted)
                await opened(pilot, lab)
                await until_seen(pilot, "no server, so nothing but objections will come.")
                assert lab.session.responder is not None, "it is asked by nobody here"
                await pilot.press("enter")
                await until_seen(pilot, "✖ 10.0.1.1 says")
                await until_seen(pilot, "As captured on", seconds=20)
                assert not any("raw(7)" in line for line in seen(pilot.app))
                await pilot.press(*"j" * 20)
                await until_seen(pilot, "right (raw(7)).")
                await pilot.press(*"k" * 20)
                await until_seen(pilot, "The three engines compared")

    @pytest.mark.parametrize("way", ["back to the lab", "out of the app"])
    async def test_leaving_it_ends_it(self, running: Running, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(comparison_module, "Comparison", partial(comparison_module.Comparison, timeout=30))
        before = set(threading.enumerate())
        with closing(SimulatedNetwork()) as network:
            async with running("simulated:client", networks=[network]) as (pilot, lab):
                lab.query_one(HeaderForm).fill({"dst": "10.0.1.77"})
                await until(pilot, lambda: lab.composer.crafted)
                comparison = (await opened(pilot, lab)).comparison
                await pilot.press("enter")
                await until_seen(pilot, "● asks")
                await until(pilot, lambda: len(lab.session.store))
                left = time.monotonic()
                if way == "back to the lab":
                    await pilot.press("escape")
                    await until_seen(pilot, "● capturing")
                    await until(pilot, lambda: lab.session.comparison is None)
                    requests = [lab.session.store.frame(n).data for n in range(1, len(lab.session.store) + 1)]
                    assert sum(frame.endswith(b"ClientMessage") for frame in requests) <= 1, "the others have not begun"
            assert comparison.run("socket").problem == "This was ended before."
        # What is left are the event loop's own workers, of which pytest's loop keeps some, and the lab's dissector: its
        # threads end when they had nothing to do for a minute.
        stay = ("asyncio_", "dissector_")
        wait_until(lambda: not {each for each in threading.enumerate() if not each.name.startswith(stay)} - before)
        assert time.monotonic() - left < 15, "of 30 seconds"

    async def test_another_v_while_it_is_being_ended_changes_nothing(
        self, running: Running, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ending, go_on = threading.Event(), threading.Event()

        class Slow(comparison_module.Comparison):
            def close(self) -> None:
                ending.set()
                assert go_on.wait(15)
                super().close()

        with closing(SimulatedNetwork()) as network:
            async with running("simulated:client", networks=[network]) as (pilot, lab):
                with monkeypatch.context() as patch:
                    patch.setattr(comparison_module, "Comparison", Slow)
                    comparison = (await opened(pilot, lab)).comparison
                    await pilot.press("escape")
                    await until(pilot, ending.is_set)
                    await pilot.press("v", "v")
                    await pilot.pause()
                    assert lab.session.comparison is comparison and pilot.app.screen is lab
                    go_on.set()
                    await until_seen(pilot, "↩ Scapy responder (server)")
                assert lab.session.comparison is None
                assert (await opened(pilot, lab)).comparison is not comparison

    async def test_an_interface_without_a_destination_asks_for_one(self) -> None:
        fake = FakeInterface("f0", "10.0.0.9/24")
        with Store() as store:
            app = PacketLab(store, [FakeNetwork("kernel", fake)], LabOptions(fake))
            async with app.run_test(size=(120, 36), notifications=True) as pilot:
                await pilot.press("v")
                await until_seen(pilot, "Type a Destination Address in the composer first (2).")

    async def test_what_fails_is_said_in_each_column(self) -> None:
        fake = FakeInterface("f0", "127.0.0.1/8")
        with Store() as store:
            app = PacketLab(store, [FakeNetwork("kernel", fake)], LabOptions(fake))
            async with app.run_test(size=(120, 36)) as pilot:
                await pilot.press("v")
                await until_seen(pilot, "Nothing has been sent yet.")
                await pilot.press("enter")
                await until(pilot, lambda: sum(line.count("✖ Nothing passes a fake") for line in seen(app)) == 3)

    async def test_the_palette_has_both(self, running: Running) -> None:
        with closing(SimulatedNetwork()) as network:
            async with running("simulated:client", networks=[network]) as (pilot, _):
                await until_seen(pilot, "● capturing")
                await pilot.press("ctrl+p", *"engine")
                await until_seen(pilot, "Compare the three engines (v)")
                await until_seen(pilot, "Engine (e)")
