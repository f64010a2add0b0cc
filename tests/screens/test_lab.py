"""The lab on real interfaces: what a person sees of capturing, sending, answering, and of what goes wrong."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.pilot import Pilot
from textual.widgets import Input, Select, Sparkline

from ipl_tui.app import PacketLab
from ipl_tui.capture.files import Pipe
from ipl_tui.capture.frames import Batch
from ipl_tui.capture.sniffer import PcapySocket
from ipl_tui.capture.store import Store
from ipl_tui.exchange.engine import ServerConfig
from ipl_tui.exchange.scapy_engine import ScapyServer
from ipl_tui.networks.interface import Method
from ipl_tui.networks.kernel import KernelInterface, KernelNetwork
from ipl_tui.packets.craft import Draft, craft
from ipl_tui.packets.hex import digits_column
from ipl_tui.packets.messages import PROTOCOL
from ipl_tui.screens.help import HelpScreen
from ipl_tui.screens.lab import LabScreen
from ipl_tui.screens.save import SaveScreen
from ipl_tui.session.session import Session
from ipl_tui.tracking.follower import Follower
from ipl_tui.widgets.composer import Composer
from ipl_tui.widgets.header_grid import HeaderForm, HeaderGrid
from ipl_tui.widgets.hex_dump import HexDump
from ipl_tui.widgets.key_bar import KeyBar
from ipl_tui.widgets.packet_list import PacketList
from tests.conftest import WITHOUT_RIGHTS, Pair, Wire, inside, run_ip, wait_until
from tests.screen import seen, until, until_seen
from tests.screens.conftest import Running

ETHERNET = 1


@pytest.fixture(autouse=True)
def permitted(own_loopback: None) -> None:
    """These tests capture and send."""


def capture_file(path: Path, count: int) -> Path:
    """A capture of numbered packets."""
    with Store(path) as store:
        interface = store.add_interface("lab0", ETHERNET)
        for number in range(1, count + 1):
            packet = craft(Draft(src="10.0.1.10", dst="10.0.1.20", payload=b"number %d" % number)).packet
            frame = bytes(12) + b"\x08\x00" + packet
            store.append(interface, Batch(frame, [(number * 1_500_000, 0, len(frame), len(frame))]))
    return path


def pcap_file(path: Path, frame: bytes, length: int = 0, linktype: int = ETHERNET) -> Path:
    """A capture of one frame; length is that on the wire."""
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, linktype)
    path.write_bytes(header + struct.pack("<4I", 1, 0, len(frame), length or len(frame)) + frame)
    return path


def raise_packets(count: int, payload: bytes = b"someone else") -> None:
    """Send packets of protocol 254, which nobody holds, over loopback as another program would."""
    packet = craft(Draft(proto=254, payload=payload), "127.0.0.1").packet
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
        for _ in range(count):
            sender.sendto(packet, ("127.0.0.1", 0))


async def settled(pilot: Pilot[None], lab: LabScreen) -> None:
    """Wait until frames are captured, or it is known that they are not."""
    await until(pilot, lab.session.settled.is_set)


def values_of(lab: LabScreen) -> Mapping[str, int | str | bytes]:
    """The header in the composer as it would go out now; nothing while it cannot."""
    return lab.composer.crafted.values if lab.composer.crafted is not None else {}


class TestExchange:
    async def test_f5_sends_client_message_and_the_answer_arrives(self, running: Running) -> None:
        async with running(filter=f"ip proto {PROTOCOL}", responder=True) as (pilot, _):
            await pilot.press("f5")
            answer = await until_seen(pilot, "ServerResponse")
            assert "↩ answers 1" in answer and "ms" in answer
            await until_seen(pilot, "ClientMessage  answered by 2")
            await until_seen(pilot, "2 captured · 2 shown · 0 dropped   ↩ Scapy responder")
            await until_seen(pilot, "Sent 1 × 33 bytes, kernel, on lo; answered in")

    async def test_the_kernel_objects_to_nothing_while_the_answer_is_awaited(self, running: Running) -> None:
        async with running(filter=f"ip proto {PROTOCOL} or icmp") as (pilot, lab):
            await pilot.press("f5")
            await until_seen(pilot, "ClientMessage  ")
            raise_packets(1)
            await until(pilot, lambda: len(lab.session.store) == 2)
            # What came second is the objection to protocol 254, which nobody holds, and none to 253.
            quoted = lab.session.store.frame(2).data[14 + 20 + 8 :]
            assert quoted[9] == 254

    async def test_leaving_while_dissectors_are_being_loaded_ends_nothing_in_disorder(
        self, running: Running, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        labs: list[LabScreen] = []
        loaded = threading.Event()

        def load_until_the_screen_is_gone() -> None:
            wait_until(lambda: bool(labs) and not labs[0].children, 20)
            loaded.set()

        def stop_late(session: Session) -> None:
            assert loaded.wait(20)
            stop_all(session)

        stop_all = Session._stop_all
        monkeypatch.setattr("ipl_tui.session.session.load_rest", load_until_the_screen_is_gone)
        monkeypatch.setattr(Session, "_stop_all", stop_late)
        async with running(filter=f"ip proto {PROTOCOL}", responder=True) as (pilot, lab):
            await pilot.press("f5")
            await until(pilot, lambda: lab.details.number > 0)
            labs.append(lab)
        assert loaded.is_set()

    async def test_f6_turns_the_responder_on_and_off(self, running: Running) -> None:
        async with running(filter=f"ip proto {PROTOCOL}") as (pilot, lab):
            await pilot.press("f6")
            await until_seen(pilot, "↩ Scapy responder")
            await pilot.press("f5")
            await until_seen(pilot, "↩ answers 1")
            await pilot.press("f6")
            await until(pilot, lambda: lab.session.responder is None)
            await pilot.press("f5")
            await until(pilot, lambda: len(lab.session.store) == 3)
            assert not any("responder" in line for line in seen(pilot.app))

    async def test_exact_bytes_over_a_cable_and_the_answer_of_another_machine(
        self, running: Running, veth: Pair
    ) -> None:
        with inside(veth.server.namespace):
            responder = ScapyServer(ServerConfig(KernelNetwork().find(veth.server.interface), on_problem=pytest.fail))
            responder.start()
        wire = Wire(veth.server.namespace, veth.server.interface)
        with inside(veth.client.namespace):
            async with running(veth.client.interface) as (pilot, lab):
                lab.query_one(HeaderForm).fill({"dst": veth.server.address, "ttl": "7", "id": "0"})
                await pilot.press("f5")
                await until_seen(pilot, "Sent 1 × 33 bytes, exact, on c0")
                answer = await until_seen(pilot, "ServerResponse")
                assert f"{veth.server.address}       ⇥ {veth.client.address}" in answer
                request = await until_seen(pilot, "answered by")
                assert f"{veth.client.address}       ↦ {veth.server.address}" in request
                composed = lab.query_one(Composer).crafted
                assert composed is not None
                assert wire.wait_for(lambda packet: packet.endswith(b"ClientMessage")) == composed.packet
        wire.close()
        responder.stop()


class TestSending:
    async def test_what_is_for_the_machine_itself_is_seen_on_loopback(self, running: Running, veth: Pair) -> None:
        with inside(veth.client.namespace):
            async with running("c0", filter="ip proto 253", size=(140, 36)) as (pilot, lab):
                await settled(pilot, lab)
                lab.composer.form.inputs["dst"].value = "10.0.1.10"
                await until(pilot, lambda: values_of(lab).get("dst") == "10.0.1.10")
                assert (values_of(lab)["src"], lab.composer.problems) == ("10.0.1.10", ())
                await pilot.press("f6")
                await until(pilot, lambda: lab.session.responder is not None)
                await pilot.press("f5")
                await until(pilot, lambda: len(lab.session.store) == 2 and not lab.composer.sending)
                await pilot.press("f5")
                await until(pilot, lambda: len(lab.session.store) == 4)
                answer = await until_seen(pilot, "ServerResponse")
                assert "↻" in answer and "↩ answers 1" in answer
                assert {lab.session.tracker.interface(number) for number in (1, 2, 3, 4)} == {"lo"}
                await until_seen(pilot, "Sent 1 × 33 bytes, kernel, on lo: 10.0.1.10 is this machine's own")

    async def test_a_repeat_shows_its_progress_and_can_be_stopped(self, running: Running) -> None:
        async with running() as (pilot, lab):
            lab.query_one("#count", Input).value = "1000"
            lab.query_one("#interval", Input).value = "0.05"
            await pilot.press("f5")
            await until_seen(pilot, "of 1,000; F5 stops")
            await until_seen(pilot, "Stop F5")
            await pilot.press("f5")
            assert "stopped before 1,000" in await until_seen(pilot, "stopped before")
            await until_seen(pilot, "Send F5")

    async def test_a_repeat_sends_as_often_as_it_says(self, running: Running) -> None:
        async with running(filter="ip proto 254") as (pilot, lab):
            lab.query_one(HeaderForm).fill({"proto": "254"})
            lab.query_one("#count", Input).value = "20"
            lab.query_one("#interval", Input).value = "0.001"
            await pilot.press("f5")
            await until_seen(pilot, "Sent 20 × 33 bytes")
            await until_seen(pilot, "20 captured")

    @pytest.mark.parametrize(
        ("count", "interval", "sentence"),
        [
            ("0", "1", "The count needs a whole number from 1 to 100,000."),
            ("many", "1", "The count needs a whole number from 1 to 100,000."),
            ("1", "0", "The interval needs a number from 0.001 to 3,600."),
            ("1", "nan", "The interval needs a number from 0.001 to 3,600."),
        ],
    )
    async def test_there_is_no_flood(self, running: Running, count: str, interval: str, sentence: str) -> None:
        async with running() as (pilot, lab):
            lab.query_one("#count", Input).value = count
            lab.query_one("#interval", Input).value = interval
            await pilot.press("f5")
            await until_seen(pilot, sentence)
            assert len(lab.session.store) == 0

    async def test_what_has_no_bits_is_not_sent(self, running: Running) -> None:
        async with running() as (pilot, lab):
            lab.query_one(HeaderForm).fill({"ttl": "300"})
            await until_seen(pilot, "Time to Live is 8 bits: 0 to 255.")
            await pilot.press("f5")
            await settled(pilot, lab)
            assert len(lab.session.store) == 0

    async def test_a_user_in_another_pane_is_told_too(self, running: Running) -> None:
        async with running(size=(80, 24)) as (pilot, lab):
            lab.query_one(HeaderForm).fill({"ttl": "300"})
            await pilot.press("f5")
            await until_seen(pilot, "Not sent")
            await until_seen(pilot, "Time to Live is 8 bits: 0 to 255.")

    async def test_a_send_that_fails_says_why(self, running: Running, veth: Pair) -> None:
        with inside(veth.client.namespace):
            async with running(veth.client.interface) as (pilot, lab):
                lab.query_one(HeaderForm).fill({"dst": "10.0.1.99"})
                await pilot.press("f5")
                await until_seen(pilot, "Nobody at 10.0.1.99 answered ARP on c0.")


class TestCapturing:
    async def test_pause_freezes_the_view_and_not_the_capture(self, running: Running) -> None:
        async with running(filter="ip proto 254") as (pilot, lab):
            await settled(pilot, lab)
            raise_packets(3)
            await until_seen(pilot, "3 captured · 3 shown")
            await pilot.press("f7")
            raise_packets(2)
            assert "‖ view paused" in await until_seen(pilot, "5 captured · 3 shown")
            assert lab.query_one(PacketList).count == 3
            await pilot.press("f7")
            await until_seen(pilot, "5 captured · 5 shown")

    async def test_what_the_kernel_dropped_is_still_known_when_the_lab_is_left(
        self, running: Running, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(PcapySocket, "dropped", lambda socket: 7)
        async with running(filter="ip proto 254") as (pilot, lab):
            await settled(pilot, lab)
            raise_packets(1)
            await until_seen(pilot, "1 captured · 1 shown · 7 dropped")
            app = pilot.app
        assert isinstance(app, PacketLab) and app.dropped == 7

    async def test_a_file_that_another_program_changed_ends_nothing(self, running: Running, tmp_path: Path) -> None:
        async with running(path=tmp_path / "w.pcapng", filter="ip proto 254") as (pilot, lab):
            await settled(pilot, lab)
            await pilot.press("f7")  # what has been seen is in memory, and stays
            raise_packets(2)
            await until(pilot, lambda: len(lab.session.store) >= 2)
            os.truncate(tmp_path / "w.pcapng", 200)
            await pilot.press("f7", "t", "down")
            await until_seen(pilot, "✖ Packet 2 can't be read: ")
            assert pilot.app.is_running

    async def test_the_rate_is_drawn(self, running: Running) -> None:
        async with running(filter="ip proto 254") as (pilot, lab):
            await settled(pilot, lab)
            raise_packets(3)
            await until(pilot, lambda: sum(lab.query_one(Sparkline).data or []) == 3)

    async def test_a_filter_is_checked_as_it_is_typed_and_applied_with_enter(self, running: Running) -> None:
        async with running() as (pilot, lab):
            await settled(pilot, lab)
            await pilot.press("f3", *"ip proto")
            await until_seen(pilot, "✖ can't parse filter expression: syntax error")
            await pilot.press("enter")
            assert lab.session.filter == ""
            await pilot.press("space", *"254")
            await until_seen(pilot, "Enter applies it")
            await pilot.press("enter")
            await until(
                pilot,
                lambda: lab.session.filter == "ip proto 254" and lab.session.settled.is_set() and lab.session.sniffer,
            )
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.sendto(b"filtered out", ("127.0.0.1", 9))
            raise_packets(1)
            await until_seen(pilot, "1 captured")
            assert lab.session.store.frame(1).data[14 + 9] == 254

    async def test_a_filter_that_is_left_unapplied_is_not_shown_as_if_it_were(self, running: Running) -> None:
        async with running(filter="icmp") as (pilot, lab):
            await pilot.press("f3", "end", *" or arp", "escape")
            await until(pilot, lambda: lab.query_one("#filter", Input).value == "icmp")

    async def test_letters_do_nothing_else_while_an_input_has_the_focus(self, running: Running) -> None:
        async with running() as (pilot, lab):
            await pilot.press("f3", "q", "1", "t", "space")
            assert lab.query_one("#filter", Input).value == "q1t "
            assert not lab.paused and pilot.app.is_running

    @pytest.mark.parametrize("place", ["preset", "payload-form", "method", "interface", "cell-df"])
    async def test_letters_do_nothing_while_a_chooser_has_the_focus(self, running: Running, place: str) -> None:
        async with running() as (pilot, lab):
            widget = lab.query_one(f"#{place}")
            widget.focus()
            await until(pilot, lambda: widget.has_focus)
            await pilot.press("q", "L", "e", "v", "d", "w", "slash", "3")
            await pilot.pause()
            assert (
                widget.has_focus and pilot.app.is_running and pilot.app.screen is lab and lab.session.engine == "scapy"
            )
            await until(pilot, lambda: not any("q Quit" in line for line in seen(pilot.app)))
            await pilot.press("escape")
            await until_seen(pilot, "q Quit")

    async def test_letters_search_in_an_open_drop_down(self, running: Running) -> None:
        async with running() as (pilot, lab):
            presets = lab.query_one("#preset", Select)
            presets.focus()
            await until(pilot, lambda: presets.has_focus)
            await pilot.press("space")
            await until(pilot, lambda: presets.expanded)
            await pilot.press("q", "e", "c", "h", "o")
            assert presets.expanded and pilot.app.screen is lab
            await pilot.press("q")
            assert presets.expanded and pilot.app.is_running


class TestInterfaces:
    async def test_everything_moves_to_another_interface_together(self, running: Running, veth: Pair) -> None:
        with inside(veth.client.namespace):
            async with running("lo", filter="ip proto 254 or ip proto 253") as (pilot, lab):
                await settled(pilot, lab)
                raise_packets(1)
                await until_seen(pilot, "1 captured")
                await pilot.press("f2")
                await until_seen(pilot, "10.0.1.10/24")
                await pilot.press("j", "enter")
                await until_seen(pilot, "c0  10.0.1.10 ▾")
                await settled(pilot, lab)
                assert "auto 10.0.1.10" in await until_seen(pilot, "auto 10.0.1.10")
                await until_seen(pilot, "in 10.0.1.0/24")
                lab.query_one(HeaderForm).fill({"dst": veth.server.address})
                raise_packets(2)  # on lo: no longer captured
                await pilot.press("f5")
                await until_seen(pilot, "2 captured")
                on = [lab.session.store.interfaces[lab.session.store.frame(n).interface].name for n in (1, 2)]
                assert on == ["lo", "c0"]
                assert " c0 " in await until_seen(pilot, "↦ 10.0.1.20")
                assert " lo " in await until_seen(pilot, "↻ 127.0.0.1")

    async def test_an_order_that_another_interface_ends_leaves_no_socket_open(
        self, running: Running, veth: Pair, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sending, go_on, send = threading.Event(), threading.Event(), KernelInterface.send

        def send_late(interface: KernelInterface, packet: bytes, method: Method) -> None:
            sending.set()
            go_on.wait()
            send(interface, packet, method)

        monkeypatch.setattr(KernelInterface, "send", send_late)
        with inside(veth.client.namespace):
            async with running("lo") as (pilot, lab):
                left = lab.session.interface
                assert isinstance(left, KernelInterface)
                await settled(pilot, lab)
                await pilot.press("f5")
                await until(pilot, sending.is_set)
                await pilot.press("f2")
                await until_seen(pilot, "10.0.1.10/24")
                await pilot.press("j", "enter")
                await until_seen(pilot, "c0  10.0.1.10 ▾")
                go_on.set()
                await until(pilot, lambda: not lab.composer.sending)
                assert not left._kept.sockets

    async def test_the_selector_says_what_each_can_do(self, running: Running, veth: Pair) -> None:
        run_ip("-n", veth.client.namespace, "link", "set", veth.client.interface, "down")
        with inside(veth.client.namespace):
            async with running("lo") as (pilot, _):
                await pilot.press("f2")
                await until_seen(pilot, "✖ can't capture  ✖ can't send")
                await until_seen(pilot, "c0 is down")
                await pilot.press("escape")
                await until(pilot, lambda: not any("can capture" in line for line in seen(pilot.app)))

    async def test_an_interface_that_disappears_is_said_and_what_was_captured_stays(
        self, running: Running, veth: Pair
    ) -> None:
        with inside(veth.client.namespace):
            async with running(veth.client.interface, filter="ip proto 253") as (pilot, lab):
                lab.query_one(HeaderForm).fill({"dst": veth.server.address})
                await pilot.press("f5")
                await until_seen(pilot, "1 captured")
                run_ip("-n", veth.client.namespace, "link", "delete", veth.client.interface)
                assert "c0 went down or was removed" in await until_seen(pilot, "removed")
                assert "✖ not capturing   1 captured" in await until_seen(pilot, "not capturing")
                await until_seen(pilot, "ClientMessage")
                await pilot.press("f5")
                await until_seen(pilot, "✖ c0 is no longer there: choose another interface.")
                await pilot.press("f2", "enter")
                await until_seen(pilot, "● capturing")


class TestFiles:
    async def test_answers_are_joined_behind_the_reading(
        self, running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is on screen first: here nothing else, for the rest has its turn only when the test lets it."""
        turn = threading.Event()
        join = Follower._join_next  # the rest has no other way in

        def wait(follower: Follower) -> None:
            turn.wait()
            join(follower)

        monkeypatch.setattr(Follower, "_join_next", wait)
        path = tmp_path / "exchanges.pcapng"
        with Store(path) as store:
            interface = store.add_interface("lab0", ETHERNET)
            for number in range(120):
                there, back = ("10.0.1.10", b"ClientMessage"), ("10.0.1.20", b"ServerResponse")
                (source, payload), (destination, _) = (there, back) if number % 2 == 0 else (back, there)
                frame = bytes(12) + b"\x08\x00" + craft(Draft(src=source, dst=destination, payload=payload)).packet
                store.append(interface, Batch(frame, [(number, 0, len(frame), len(frame))]))
        async with running(read=path, size=(200, 60)) as (pilot, lab):
            try:
                await until_seen(pilot, "↩ answers 1, 0.0 ms")
                await until_seen(pilot, "120 packets · 120 shown · joined to 0")
            finally:
                turn.set()
            await until(pilot, lambda: lab.session.tracker.progress == (120, 120))
            await until(pilot, lambda: not any("joined to" in line for line in seen(pilot.app)))
            await pilot.press("end")
            await until_seen(pilot, "↩ answers 119, 0.0 ms")

    async def test_a_file_is_shown_in_the_same_list(self, running: Running, tmp_path: Path) -> None:
        async with running(read=capture_file(tmp_path / "old.pcapng", 300)) as (pilot, lab):
            assert "○ old.pcapng" in await until_seen(pilot, "300 packets · 300 shown")
            line = await until_seen(pilot, "▸1 ")
            assert "42  number 1" in line and "10.0.1.10       → 10.0.1.20" in line
            await until_seen(pilot, "Fields of packet 1")
            await pilot.press("end")
            assert "▸300 " in await until_seen(pilot, "number 300")
            await pilot.press("home")
            await until_seen(pilot, "▸1 ")
            await pilot.press("f2", "enter")
            await until_seen(pilot, "● capturing")
            raise_packets(1, b"what came then")
            await until_seen(pilot, "what came then")
            assert lab.packets.selected == 1

    async def test_a_capture_that_comes_through_a_pipe_is_followed(self, running: Running, tmp_path: Path) -> None:
        there, here = os.pipe()
        try:
            os.write(here, capture_file(tmp_path / "old.pcapng", 50).read_bytes())
            async with running(read=Pipe(there)) as (pilot, _):
                await until_seen(pilot, "number 50")
        finally:
            os.close(there)
            os.close(here)

    async def test_a_file_is_not_mixed_with_what_is_captured_unasked(self, running: Running, tmp_path: Path) -> None:
        async with running(read=capture_file(tmp_path / "old.pcapng", 3)) as (pilot, lab):
            await until_seen(pilot, "3 packets · 3 shown")
            await pilot.press("f3", *"icmp", "enter")
            await until_seen(pilot, "It filters what is captured")
            await pilot.press("f5")
            await until_seen(pilot, "on lo; nothing is captured now (F2)")
            await pilot.press("f7")
            await until_seen(pilot, "‖ view paused   3 packets · 3 shown")
            await pilot.press("f7")
            assert lab.session.sniffer is None
            await pilot.press("f2", "enter")
            await until_seen(pilot, "● capturing   3 captured")

    async def test_a_file_that_is_cut_short_shows_what_is_there(self, running: Running, tmp_path: Path) -> None:
        path = capture_file(tmp_path / "cut.pcapng", 5)
        path.write_bytes(path.read_bytes()[:-10])
        async with running(read=path) as (pilot, _):
            await until_seen(pilot, "cut short after 4 packets")
            await until_seen(pilot, "4 packets · 4 shown")

    async def test_a_file_that_is_no_capture(self, running: Running, tmp_path: Path) -> None:
        path = tmp_path / "letter.txt"
        path.write_text("Dear Jon, " * 50)
        async with running(read=path) as (pilot, _):
            await until_seen(pilot, "not a capture file")
            assert pilot.app.is_running

    async def test_a_packet_shorter_than_its_own_header_is_a_row(self, running: Running, tmp_path: Path) -> None:
        frame = b"ClientMessage\0\x08\0" + bytes(9)  # Linux's cooked link header with a message in it, and IHL 0
        async with running(read=pcap_file(tmp_path / "odd.pcap", frame, linktype=113), size=(200, 60)) as (pilot, _):
            await until_seen(pilot, "1 packet · 1 shown")
            await until_seen(pilot, "25  header ends after 9 bytes, without proto")
            await until_seen(pilot, "Header of packet 1: only 9 of its bytes are here")

    async def test_what_a_tap_raises_is_said_and_costs_nothing(self, running: Running, tmp_path: Path) -> None:
        def stumble(interface: int, first: int, batch: Batch) -> None:
            raise IndexError("on purpose")

        async with running() as (pilot, lab):
            lab.session.store.taps.append(stumble)
            await settled(pilot, lab)
            raise_packets(2)
            await until_seen(pilot, "Joining stumbled near packet 1")
            await until(pilot, lambda: lab.packets.count == len(lab.session.store) >= 2)

    async def test_what_a_snap_length_cut_off_is_said_where_it_is_missing(
        self, running: Running, tmp_path: Path
    ) -> None:
        packet = craft(Draft(src="10.0.1.10", dst="10.0.1.20", payload=b"G" * 387)).packet
        path = pcap_file(tmp_path / "cut.pcap", bytes(12) + b"\x08\x00" + packet[:54], length=14 + len(packet))
        async with running(read=path, size=(200, 60)) as (pilot, lab):
            row = await until_seen(pilot, "421  captured 68 of 421 bytes: GGG")
            assert "10.0.1.20" in row
            await until_seen(pilot, "Header of packet 1: captured 68 of 421 bytes")
            await until_seen(pilot, "Fields of packet 1: captured 68 of 421 bytes")
            await until_seen(pilot, "len       = 407   captured 54 of 407 bytes")
            assert lab.details.grid.values["len"] == "407"
            assert not lab.details.grid.marks
            assert not any("wrong" in line for line in seen(pilot.app))

    async def test_a_header_that_ends_early_is_shown_as_far_as_it_goes(self, running: Running, tmp_path: Path) -> None:
        packet = craft(Draft(src="10.0.1.10", dst="10.0.1.20", proto=253)).packet
        path = pcap_file(tmp_path / "short.pcap", bytes(12) + b"\x08\x00" + packet[:19])
        async with running(read=path, size=(200, 60)) as (pilot, lab):
            row = await until_seen(pilot, "33  header ends after 19 bytes, without dst")
            assert "10.0.1.10" in row
            await until_seen(pilot, "Header of packet 1: only 19 of its bytes are here")
            await until_seen(pilot, "▾ IP   header ends after 19 bytes, without dst")
            assert lab.details.grid.values["src"] == "10.0.1.10"
            assert "dst" not in lab.details.grid.values
            assert not any("wrong" in line for line in seen(pilot.app))

    async def test_saving_that_fails_asks_again_with_what_was_typed(self, running: Running, tmp_path: Path) -> None:
        typed = f"{tmp_path}/no-such-folder/x.pcapng"
        async with running(read=capture_file(tmp_path / "old.pcapng", 3)) as (pilot, lab):
            await until_seen(pilot, "3 packets")
            await pilot.press("f8")
            await until_seen(pilot, "Save 3 packets as")
            pilot.app.screen.query_one(Input).value = typed
            await pilot.press("enter")
            await until_seen(pilot, "Not saved. Cannot save to")
            line = pilot.app.screen.query_one(Input)
            assert line.value == typed
            (tmp_path / "no-such-folder").mkdir()
            save = lab.session.store.save

            def save_and_capture_more(path: Path, count: int | None = None) -> int:
                saved = save(path, count)
                lab.session.store.append(0, Batch(b"x", [(1, 0, 1, 1)]))
                return saved

            lab.session.store.save = save_and_capture_more  # type: ignore[method-assign]
            await pilot.press("enter")
            await until_seen(pilot, "Saved 3 packets")
            assert len(lab.session.store) == 4
            assert not isinstance(pilot.app.screen, SaveScreen)

    async def test_f8_saves_and_asks_before_it_replaces(self, running: Running, tmp_path: Path) -> None:
        there = tmp_path / "there.pcap"
        there.write_text("precious")
        async with running(read=capture_file(tmp_path / "old.pcapng", 3)) as (pilot, _):
            await until_seen(pilot, "3 packets")
            await pilot.press("f8")
            await until_seen(pilot, "Save 3 packets as")
            pilot.app.screen.query_one(Input).value = str(there)
            await pilot.press("enter")
            await until_seen(pilot, "Enter again replaces it.")
            assert there.read_text() == "precious"
            await pilot.press("enter")
            await until_seen(pilot, "Saved 3 packets")
            assert there.read_bytes()[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1")

    async def test_a_full_disk_ends_the_capture_and_keeps_it(self, running: Running, tmp_path: Path) -> None:
        if not shutil.which("mount"):
            pytest.skip("needs mount(8)")
        disk = tmp_path / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=True)
        try:
            async with running(path=disk / "full.pcapng", filter="ip proto 254") as (pilot, lab):
                await settled(pilot, lab)
                for _ in range(200):
                    raise_packets(1, bytes(1000))
                await until_seen(pilot, "✖ not capturing")
                told = "full.pcapng: no space left on device;"
                await until(pilot, lambda: told in " ".join(map(str.strip, seen(pilot.app))))
                assert any("Cannot write to" in line for line in seen(pilot.app))
                kept = len(lab.session.store)
                assert 50 < kept < 64  # of 1,048 bytes and a header each, in 64 KiB
                await until_seen(pilot, f"{kept} captured · {kept} shown")
                assert lab.session.store.frame(kept).data.endswith(bytes(1000))
        finally:
            subprocess.run(["umount", disk], check=True)


class TestReading:
    async def test_a_field_is_highlighted_everywhere(self, running: Running, tmp_path: Path) -> None:
        async with running(read=capture_file(tmp_path / "old.pcapng", 1), size=(200, 60)) as (pilot, lab):
            await until_seen(pilot, "number 1")
            await pilot.press("4")
            await until(pilot, lambda: any("ttl       = 64" in line for line in seen(pilot.app)))
            grid, dump = lab.query_one("#header-grid", HeaderGrid), lab.query_one(HexDump)
            for _ in range(30):
                await pilot.press("down")
                if grid.chosen == "ttl":
                    break
            assert dump.span == (22, 23)
            await until_seen(pilot, "Time to Live · ttl: 64: as Linux")
            await pilot.press("3", "right")
            await until(pilot, lambda: dump.span == (23, 24))
            assert grid.chosen == "proto"

    async def test_a_byte_that_is_clicked_leads_to_its_field(self, running: Running, tmp_path: Path) -> None:
        async with running(read=capture_file(tmp_path / "old.pcapng", 1), size=(200, 60)) as (pilot, lab):
            await until_seen(pilot, "number 1")
            dump = lab.query_one(HexDump)
            assert dump.per_line == 16
            # Byte 24 of the frame is the first of the checksum: the second line, the byte in its middle.
            await pilot.click(HexDump, offset=(digits_column(8, dump.per_line), 1))
            await until(pilot, lambda: dump.span == (24, 26))
            assert lab.query_one("#header-grid", HeaderGrid).chosen == "chksum"

    async def test_the_decoded_view_does_not_change_while_packets_arrive(self, running: Running) -> None:
        async with running(filter="ip proto 254") as (pilot, lab):
            await settled(pilot, lab)
            raise_packets(1, b"the first")
            await until_seen(pilot, "Fields of packet 1")
            await pilot.press("4", "down", "down", "down")
            fields = next(at for at, line in enumerate(seen(pilot.app)) if "Fields of packet 1" in line)
            lower = seen(pilot.app)[fields:-1]
            raise_packets(50, b"another")
            await until_seen(pilot, "51 captured · 51 shown")
            assert seen(pilot.app)[fields:-1] == lower


class TestSizes:
    @pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
    async def test_every_pane_can_be_reached_with_keys(
        self, running: Running, tmp_path: Path, size: tuple[int, int]
    ) -> None:
        async with running(size=size, read=capture_file(tmp_path / "old.pcapng", 2)) as (pilot, _):
            await until_seen(pilot, "number 2")
            for key, text in {"2": "Send F5", "3": "Header Checksum", "4": "version   = 4", "1": "Destination"}.items():
                await pilot.press("escape", key)
                await until_seen(pilot, text)

    @pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
    async def test_the_whole_composer_is_in_view(self, running: Running, size: tuple[int, int]) -> None:
        async with running(size=size) as (pilot, _):
            await pilot.press("2")
            for text in (
                "Version",
                "Options",
                "Payload as",
                "ClientMessage      ▼",
                "Send F5",
                "33 bytes, no problems",
                "RFC 791\N{NO-BREAK SPACE}§3.1",
            ):
                await until_seen(pilot, text)

    async def test_tabs_are_there_where_panes_do_not_fit(self, running: Running) -> None:
        async with running(size=(80, 24)) as (pilot, _):
            await pilot.click("#panes", offset=(14, 0))
            await until_seen(pilot, "Send F5")
            await pilot.click("#panes", offset=(2, 0))
            await until_seen(pilot, "Info")


class TestKeyBar:
    async def test_keys_can_be_clicked(self, running: Running) -> None:
        async with running() as (pilot, _):
            line = await until_seen(pilot, "F7 Pause")
            await pilot.click(KeyBar, offset=(line.index("F7") + 4, 0))
            await until_seen(pilot, "‖ view paused")
            await pilot.click(KeyBar, offset=(line.index("^p"), 0))
            await until_seen(pilot, "Search for commands")

    async def test_what_works_here_is_shown_as_far_as_there_is_room(self, running: Running) -> None:
        async with running(size=(80, 24)) as (pilot, _):
            keys = await until_seen(pilot, "F1 Help")
            assert keys.startswith("F1 Help F2 Interface F3 Filter F5 Send F6 Answer F7 Pause F8 Save F9 Path q Quit")
            assert "^p" not in keys
            await pilot.press("f3")
            await until_seen(pilot, "F9 Path")
            await until(pilot, lambda: not any("q Quit" in line for line in seen(pilot.app)))


class TestHelp:
    async def test_f1_lists_every_key_and_the_palette_every_command(self, running: Running) -> None:
        async with running(size=(120, 100)) as (pilot, lab):
            await pilot.press("f1")
            for text in ("Everywhere", "F5 ", "Hold the list still", "Last packet, and follow", "F4 "):
                await until_seen(pilot, text)
            await pilot.press("escape", "ctrl+p", *"answ")
            await until_seen(pilot, "Answer ClientMessage, or stop answering")
            await pilot.press("enter")
            await until(pilot, lambda: lab.session.responder is not None)

    async def test_every_key_of_ours_on_the_screen_is_listed_once_where_it_works(self, running: Running) -> None:
        async with running() as (pilot, lab):
            ids = {
                binding.id
                for node in (pilot.app, lab, *lab.walk_children())
                for kind in type(node).__mro__
                if kind.__module__.startswith("ipl_tui.")
                for binding in Binding.make_bindings(vars(kind).get("BINDINGS", ()))
            }
            assert {"app.suspend", "lab.clear", "tree.next", "flag.turn", "cell.automatic", "presets.open"} <= ids
            await pilot.press("f1")
            await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
            assert isinstance(pilot.app.screen, HelpScreen)
            places = pilot.app.screen.places
            assert {binding.id for place in places for binding in place.bindings} == ids
            assert all(place.name for place in places) and len({place.name for place in places}) == len(places) - 1
            assert next(place.node for place in places if place.name == "Header") is lab.details.grid
            table = pilot.app.screen.keys()
            shown = [str(cell) for column in table.columns for cell in column.cells]
            for place in places:
                for binding in place.bindings:
                    assert any(pilot.app.get_key_display(binding) in cell.split(", ") for cell in shown)
                    assert (binding.tooltip or binding.description) in shown or binding.action in {
                        each.action for each in place.bindings if each is not binding
                    }
            assert not any("Cursor" in cell for cell in shown), "what Textual's own widgets have"

    async def test_the_palette_has_a_cell_s_keys_in_a_cell(self, running: Running) -> None:
        async with running() as (pilot, lab):

            def titles() -> set[str]:
                return {command.title for command in pilot.app.get_system_commands(lab)}

            assert {"Suspend (^z)", "Clear the list (x)"} <= titles() and "Automatic (F4)" not in titles()
            cell = lab.query_one("#cell-chksum", Input)
            cell.value = "1"
            cell.focus()
            await until(pilot, lambda: cell.has_focus)
            command = next(each for each in pilot.app.get_system_commands(lab) if each.title == "Automatic (F4)")
            await command.callback()
            assert cell.value == ""

    async def test_the_courses_numbers_are_a_page_of_their_own(self, running: Running) -> None:
        async with running(size=(80, 24)) as (pilot, _):
            await pilot.press("f1", "n")
            await until_seen(pilot, "The course's numbers")
            for text in ("ClientMessage", "ServerResponse"):
                packet = craft(Draft(payload=text.encode())).packet
                counts = f"20   +    {len(text)}   =    {len(packet)}       + 14 =  {14 + len(packet)} bytes"
                assert (len(text), len(packet)) in ((13, 33), (14, 34))
                assert counts in await until_seen(pilot, f"  {text} ")
            await until_seen(pilot, "14 characters, not 12")


@pytest.mark.anywhere
def test_ordinary_users_are_told_what_to_do() -> None:
    """Without permission the lab runs, says why it does not capture, and what to do; the composer works."""
    script = """
import asyncio
from tests.screen import until_seen
from ipl_tui.app import PacketLab
from ipl_tui.capture.store import Store
from ipl_tui.networks.kernel import KernelNetwork
from ipl_tui.session.options import LabOptions

async def main(captures, sends, can):
    network = KernelNetwork()
    with Store() as store:
        app = PacketLab(store, [network], LabOptions(network.find("lo"), filter="ip proto 253"))
        async with app.run_test(size=(120, 36)) as pilot:
            await until_seen(pilot, captures)
            await pilot.press("f5")
            await until_seen(pilot, sends)
            await pilot.press("f2")
            await until_seen(pilot, can)
            await pilot.press("escape", "f6")
            await pilot.pause()

asyncio.run(main("capturing", "Sent 1", "kernel  This machine's own interfaces"))
WITHOUT_RIGHTS
advice = "needs permission: run with sudo, or give"
asyncio.run(main("Capturing on lo " + advice, "✖ Sending on lo " + advice, "✖ can't capture  ✖ can't send"))
print("as promised")
"""
    script = script.replace("WITHOUT_RIGHTS", WITHOUT_RIGHTS)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "as promised", done.stderr
