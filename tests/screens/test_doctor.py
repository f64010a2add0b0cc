"""In the lab: the doctor's screen, Wireshark, and why a packet got no answer."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from ipl_tui.diagnosis import wireshark
from ipl_tui.networks.interface import Interface
from ipl_tui.networks.kernel import KernelNetwork
from ipl_tui.networks.links import read_link
from ipl_tui.networks.sandbox import SandboxNetwork
from ipl_tui.networks.simulated import SimulatedInterface, SimulatedNetwork
from ipl_tui.screens.lab import LabScreen
from ipl_tui.session import session
from ipl_tui.tracking import matching, sent_packet
from ipl_tui.widgets.header_grid import HeaderForm
from tests.screen import seen, until, until_seen
from tests.screens.conftest import Running, settled

SEED = 4
"""With it a link that loses half of the frames lets the first one to the server pass, and not the first one back."""


@pytest.fixture
def network() -> Iterator[SimulatedNetwork]:
    with closing(SimulatedNetwork()) as network:
        yield network


class TestScreen:
    async def test_it_says_what_works_and_goes_again(self, running: Running, own_loopback: None) -> None:
        async with running("lo", size=(80, 24), filter="ip proto 253") as (pilot, lab):
            await until(pilot, lab.session.settled.is_set)
            await pilot.press("d")
            await until_seen(pilot, "✔ Permission can capture and send on lo")
            assert "127.0.0.1" in await until_seen(pilot, "✔ Route")
            assert "80x24" in await until_seen(pilot, "✔ Terminal")
            await until_seen(pilot, "tcpdump    tcpdump -n -i lo 'ip proto 253'")
            await until_seen(pilot, "c copies the tcpdump line, Esc goes back")
            assert "What works here" in "\n".join(seen(pilot.app)), "all of it is on one screen"
            await pilot.press("escape")
            await until(pilot, lambda: pilot.app.screen is lab)

    async def test_what_fails_comes_with_its_remedy(
        self, running: Running, own_loopback: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rules = "*filter\n:INPUT DROP [0:0]\nCOMMIT\n"
        monkeypatch.setattr("ipl_tui.diagnosis.firewall.read_rules", lambda: rules)
        async with running("lo") as (pilot, _):
            await pilot.press("d")
            await until_seen(pilot, "✖ Firewall   iptables chain filter INPUT drops IP protocol 253 arriving")
            await until_seen(pilot, "→ sudo iptables -I INPUT -p 253 -j ACCEPT")

    async def test_c_copies_the_tcpdump_line_for_what_the_lab_captures(
        self, running: Running, own_loopback: None
    ) -> None:
        async with running("lo", filter="icmp") as (pilot, _):
            await pilot.press("d")
            await until_seen(pilot, "tcpdump -n -i lo icmp")
            await pilot.press("c")
            await until_seen(pilot, "The tcpdump line is copied.")
            assert pilot.app.clipboard == "tcpdump -n -i lo icmp"

    async def test_the_line_for_the_sandbox_enters_its_host(self, running: Running, sandbox: SandboxNetwork) -> None:
        async with running("sandbox:server", networks=[sandbox]) as (pilot, _):
            await pilot.press("d")
            assert f"nsenter --net=/proc/{sandbox.helper().pid}/fd/" in await until_seen(pilot, "tcpdump    ")
            await until_seen(pilot, "✔ Sandbox    user namespaces are allowed")

    async def test_the_screen_does_not_wait_for_the_sandbox(
        self, running: Running, network: SimulatedNetwork, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[tuple[Interface, bool]] = []

        def tcpdump(interface: Interface) -> list[str]:
            asked.append((interface, threading.current_thread() is threading.main_thread()))
            return []

        monkeypatch.setattr(SimulatedInterface, "tcpdump", tcpdump)
        async with running("simulated:client", networks=[network]) as (pilot, _):
            await pilot.press("d")
            await until_seen(pilot, "where tcpdump sees none")
        assert asked == [(network.find("client"), False)], "of the one selected, and not in the event loop's thread"

    async def test_in_memory_there_is_no_line_to_copy(self, running: Running, network: SimulatedNetwork) -> None:
        async with running("simulated:client", networks=[network]) as (pilot, _):
            await pilot.press("d")
            await until_seen(pilot, "where tcpdump sees none")
            await pilot.press("c")
            assert pilot.app.clipboard == ""


class TestWireshark:
    async def test_where_it_is_not_installed_that_is_said(
        self, running: Running, network: SimulatedNetwork, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(wireshark, "find_wireshark", lambda: "")
        async with running("simulated:client", networks=[network]) as (pilot, _):
            await pilot.press("w")
            await until_seen(pilot, "Wireshark is not installed: F8 saves the")

    async def test_it_opens_the_capture_so_far(
        self, running: Running, network: SimulatedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        program, told = tmp_path / "wireshark", tmp_path / "told"
        program.write_text(f'#!/bin/sh\necho "$1" > {told}.part\nmv {told}.part {told}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        monkeypatch.setenv("DISPLAY", ":0")
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        async with running("simulated:client", networks=[network], filter="ip") as (pilot, lab):
            await settled(pilot, lab)
            await pilot.press("f5")
            await until_seen(pilot, "↩ answers 1")
            await pilot.press("w")
            await until_seen(pilot, "Wireshark has 2 packets")
            await until(pilot, told.exists)
            assert b"ServerResponse" in Path(told.read_text().strip()).read_bytes()


class TestSilence:
    """Why nothing came back; the patience is short here."""

    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(session, "MISSED_AFTER", 0.3)

    async def send(self, pilot: Pilot[None], lab: LabScreen, payload: str = "", **fields: str) -> None:
        await settled(pilot, lab)
        lab.query_one(HeaderForm).fill(fields)
        if payload:
            lab.query_one("#payload", Input).value = payload
        await pilot.pause()
        await pilot.press("f5")

    async def test_what_became_of_it_is_said(self, running: Running, network: SimulatedNetwork) -> None:
        async with running("simulated:client", networks=[network], filter="ip", follow=True) as (pilot, lab):
            await self.send(pilot, lab)
            await until(pilot, lambda: len(lab.session.store) == 8)
            network.set_link(read_link("r1-s0:loss=100%", network.links()))
            await self.send(pilot, lab)
            await until_seen(pilot, "▲ Sent on c0, seen on c0, nothing came back in 0.3 s: Lost on the")
            await until_seen(pilot, "link r1-s0, which loses 100% of all frames.")

    async def test_also_what_became_of_its_answer(self, running: Running) -> None:
        with closing(SimulatedNetwork(seed=SEED)) as network:
            async with running("simulated:client", networks=[network], filter="ip", follow=True) as (pilot, lab):
                await self.send(pilot, lab)
                await until(pilot, lambda: len(lab.session.store) == 8)
                network.set_link(read_link("r1-s0:loss=50%", network.links()))
                await self.send(pilot, lab)
                await until(pilot, lambda: len(lab.session.store) == 13)
                await until(pilot, lambda: "nothing came back" in str(lab.composer.verdict.render()))
                assert str(lab.composer.verdict.render()).endswith(
                    ": the answer, packet 13, did not come back: Lost on the link r1-s0, which loses 50% of all frames."
                )

    async def test_a_filter_that_leaves_the_answer_out(self, running: Running, network: SimulatedNetwork) -> None:
        async with running("simulated:client", networks=[network], filter="dst host 10.0.2.20") as (pilot, lab):
            await self.send(pilot, lab)
            await until_seen(pilot, "▲ Sent on c0, seen on c0, nothing came back in 0.3 s: the filter")
            await until_seen(pilot, '"dst host 10.0.2.20" leaves the answer out.')

    @pytest.mark.parametrize("by", ["key", "button"])
    async def test_it_is_offered_to_capture_without_the_filter(
        self, running: Running, network: SimulatedNetwork, by: str
    ) -> None:
        async with running("simulated:client", networks=[network], filter="dst host 10.0.2.20") as (pilot, lab):
            assert not lab.query_one("#unfiltered").display
            await self.send(pilot, lab)
            await until_seen(pilot, "leaves the answer out. Ctrl+O captures")
            await until_seen(pilot, "Capture without the filter  Ctrl+O")
            await (pilot.press("ctrl+o") if by == "key" else pilot.click("#unfiltered"))
            await until_seen(pilot, "Everything is captured from here on: F5 sends again.")
            assert (lab.session.filter, lab.query_one("#filter", Input).value) == ("", "")
            assert not lab.query_one("#unfiltered").display
            await pilot.press("f5")
            assert "↩ answers 2" in await until_seen(pilot, "ServerResponse")
            await pilot.press("ctrl+o")
            await until_seen(pilot, "There is none: everything is captured.")

    async def test_an_objection_that_the_filter_would_hide(self, running: Running, own_loopback: None) -> None:
        async with running("lo", networks=[KernelNetwork()], filter="ip proto 253", responder=False) as (pilot, lab):
            await self.send(pilot, lab, proto="253")
            await until_seen(pilot, "would hide an ICMP error about")
            lab.composer.form.inputs["ttl"].focus()
            await pilot.press("ctrl+o")  # also where letters are typed
            await until(pilot, lambda: not lab.session.filter and lab.session.sniffer is not None)

    async def test_a_wrong_checksum(self, running: Running, network: SimulatedNetwork) -> None:
        async with running("simulated:client", networks=[network]) as (pilot, lab):
            await self.send(pilot, lab, chksum="1")
            await until_seen(pilot, "Checksum is wrong: receivers drop it in silence.")

    async def test_where_nothing_is_known_the_key_that_shows_more(
        self, running: Running, network: SimulatedNetwork
    ) -> None:
        async with running("simulated:client", networks=[network], filter="ip") as (pilot, lab):
            await self.send(pilot, lab, r"\x08\x00\xf7\xff\0\0\0\0", proto="1", dst="10.0.2.99")
            await until_seen(pilot, "F9 shows where such a packet ends.")

    async def test_it_is_said_where_the_composer_is_not_shown(
        self, running: Running, network: SimulatedNetwork
    ) -> None:
        options = {"networks": [network], "filter": "dst host 10.0.2.20", "size": (80, 24)}
        async with running("simulated:client", **options) as (pilot, lab):
            await self.send(pilot, lab)
            await until_seen(pilot, "No answer")
            await until_seen(pilot, "Sent on c0, seen on c0, nothing")
            await until_seen(pilot, "Ctrl+O captures")

    @pytest.mark.parametrize(("payload", "size"), [("", 33), ("ServerResponse", 34)], ids=["answered", "asks nothing"])
    async def test_there_is_none(
        self, running: Running, network: SimulatedNetwork, monkeypatch: pytest.MonkeyPatch, payload: str, size: int
    ) -> None:
        looked: list[bytes] = []

        def look(packet: bytes) -> bool:
            looked.append(packet)
            return matching.asks(packet)

        monkeypatch.setattr(sent_packet, "asks", look)
        async with running("simulated:client", networks=[network], filter="ip") as (pilot, lab):
            await self.send(pilot, lab, payload)
            await until(pilot, lambda: looked)
            await until(pilot, lambda: not lab.session.snapshot.awaiting)
            await until_seen(pilot, f"Sent 1 × {size} bytes, exact, on c0")

    async def test_on_this_machine(self, running: Running, own_loopback: None) -> None:
        async with running("lo", networks=[KernelNetwork()], filter="icmp") as (pilot, lab):
            await self.send(pilot, lab)
            await until_seen(pilot, "▲ Sent on lo, not seen on lo, nothing came back in 0.3 s: the")
            await until_seen(pilot, 'filter "icmp" leaves it out, and perhaps its answer.')
