"""The lab without a screen and without an app: commands in, snapshots out."""

from __future__ import annotations

import asyncio
import re
import threading
from dataclasses import FrozenInstanceError
from functools import partial
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.frames import Batch
from ipl_tui.capture.store import Store
from ipl_tui.exchange.engines import RAW_ENGINES
from ipl_tui.exchange.scapy_engine import ScapyServer
from ipl_tui.exchange.socket_engine import SocketServer
from ipl_tui.networks.interface import SendError
from ipl_tui.networks.links import read_link
from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.session import session as sessions
from ipl_tui.session.options import LabOptions
from ipl_tui.session.session import SENTENCES_KEPT, Session
from ipl_tui.session.snapshot import Snapshot
from tests.conftest import wait_until
from tests.fake_interface import FakeInterface, FakeNetwork
from tests.session.conftest import CLIENT, SERVER, Running, order

ETHERNET = 1


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MISSED_AFTER", 0.05)


def capture_file(path: Path, count: int) -> Path:
    with Store(path) as store:
        interface = store.add_interface("lab0", ETHERNET)
        for number in range(1, count + 1):
            frame = bytes(12) + b"\x08\x00" + order(b"number %d" % number).packet
            store.append(interface, Batch(frame, [(number * 1_000_000, 0, len(frame), len(frame))]))
    return path


def has_captured(count: int, now: Snapshot) -> bool:
    return now.captured == count and not now.sending


def has_sent(orders: int, now: Snapshot) -> bool:
    return now.orders == orders and now.sent_as > 0


def has_said(number: int, now: Snapshot) -> bool:
    return bool(now.said) and now.said[-1].number == number


def has_said_after(number: int, text: str, now: Snapshot) -> bool:
    return any(said.number >= number and text in said.text for said in now.said)


class TestSending:
    async def test_an_order_is_answered(self, running: Running) -> None:
        async with running() as told:
            await told.until(lambda now: now.answering)
            told.session.send(order())
            assert told.last.sending
            now = await told.until(lambda now: now.captured == 2 and not now.sending)
            assert (now.orders, now.sent_as) == (1, 1)
            assert (await told.hear("Sent ")).text == "Sent 1 × 33 bytes, exact, on c0"
            answer = told.session.tracker.request_of(2)
            assert answer is not None and answer.request == 1

    async def test_the_answer_is_said(self, running: Running) -> None:
        async with running() as told:
            await told.until(lambda now: now.answering)
            told.session.send(order())
            said = await told.hear("answered")
            assert said.about == "answer"
            assert re.fullmatch(r"Sent 1 × 33 bytes, exact, on c0; answered in [0-9.]+ ms by packet 2", said.text)

    async def test_a_ping_s_answer_has_its_number(self, running: Running) -> None:
        async with running() as told:
            echo = bytes(ICMP(id=7, seq=300) / b"abc")
            told.session.send(order(echo, proto=1))
            assert re.search(r"; echo reply, seq 300, in [0-9.]+ ms by packet 2$", (await told.hear("echo")).text)

    @pytest.mark.parametrize("follow", [False, True])
    async def test_a_repeat_ends_with_its_answers_counted_once(self, running: Running, follow: bool) -> None:
        async with running(follow=follow) as told:
            await told.until(lambda now: now.answering)
            told.session.send(order(count=3, interval=0.05))
            said = await told.hear("answered")
            sent, came = said.text.split(": ")
            assert sent == "Sent 3 × 33 bytes, exact, on c0"
            assert re.fullmatch(r"3 answered, 0 lost; [0-9.]+ / [0-9.]+ / [0-9.]+ ms least, median, most", came)

    async def test_and_with_what_was_lost(self, running: Running, network: SimulatedNetwork) -> None:
        async with running(filter="ip proto 253") as told:
            await told.until(lambda now: now.answering)
            told.session.send(order(count=20, interval=0.05))
            await told.until(lambda now: now.captured >= 2)
            network.set_link(read_link("r1-s0:loss=100%", network.links()))
            counts = re.search(r": (\d+) answered, (\d+) lost; ", (await told.hear("answered")).text)
            assert counts is not None
            answered, lost = map(int, counts.groups())
            assert answered + lost == 20 and answered and lost
            assert "silence" not in [said.about for said in told.said]

    async def test_an_objection_is_said_once_with_the_key_that_helps(self, running: Running) -> None:
        async with running(responder=False) as told:
            told.session.send(order())
            said = await told.hear(f"{SERVER} says protocol unreachable")
            assert said.about == "icmp error" and said.text.endswith("; F6 turns the responder on")
            told.session.send(order(b"something else"))
            await told.until(lambda now: now.captured == 4 and len(told.said) == 4)
            assert [said.about for said in told.said] == ["order", "icmp error", "order", "icmp error"]
            assert not told.said[-1].text.endswith("responder on"), "it would not answer that"

    async def test_a_router_s_objection(self, running: Running) -> None:
        async with running() as told:
            told.session.send(order(ttl=1))
            assert "10.0.1.1 says time exceeded" in (await told.hear("says")).text
            assert told.last.sent_as == 1

    async def test_a_repeat_tells_how_far_it_is_and_stops(self, running: Running) -> None:
        async with running(filter="ip src 10.0.1.10") as told:
            told.session.send(order(b"x", count=1000))
            assert (await told.hear(" of 1,000; F5 stops")).about == "order"
            told.session.stop_sending()
            assert "; stopped before 1,000" in (await told.hear("stopped")).text
            assert not told.last.sending

    async def test_two_orders_at_once_are_both_stopped(self, running: Running) -> None:
        async with running() as told:
            told.session.send(order(b"x", count=1000))
            told.session.send(order(b"y", count=1000))
            await told.until(lambda now: now.captured >= 4)
            told.session.stop_sending()
            await told.until(lambda now: not now.sending)
            assert len([said for said in told.said if "stopped before" in said.text]) == 2

    async def test_how_many_were_sent_before_it_failed(self, running: Running) -> None:
        interface = FakeInterface("f0", "10.0.1.10/24")

        def fail_at_the_third() -> None:
            if len(interface.sent) == 2:
                raise SendError("The cable is out.")

        interface.on_send = fail_at_the_third
        async with running(interface, networks=[FakeNetwork("fake", interface)]) as told:
            told.session.send(order(count=5, interval=0.001))
            said = await told.hear("The cable")
            assert (said.about, said.text) == ("refusal", "The cable is out. (2 were sent)")
            assert not told.last.sending and not told.last.awaiting

    async def test_nothing_is_sent_before_it_is_captured(self, running: Running) -> None:
        async with running() as told:
            for _ in range(5):
                await told.session.choose(told.session.network.find("client/c0"))
                told.session.follow(not told.last.following)
                told.session.send(order(b"x", proto=254))
                sent = told.last.orders
                now = await told.until(partial(has_sent, sent))
                frame = told.session.store.frame(now.sent_as)
                assert frame.data.endswith(b"x")

    async def test_an_interface_that_is_left_while_it_sends_is_let_go_of(self, running: Running) -> None:
        sending, go_on = threading.Event(), threading.Event()
        left, chosen = FakeInterface("f0", "10.0.1.10/24"), FakeInterface("f1", "10.0.1.11/24")
        closed: list[int] = []

        def wait() -> None:
            sending.set()
            go_on.wait(10)

        left.on_send = wait
        left.close = lambda: closed.append(len(left.sent))  # type: ignore[method-assign]
        async with running(left, networks=[FakeNetwork("fake", left, chosen)]) as told:
            told.session.send(order(count=3))
            await asyncio.to_thread(sending.wait)
            await told.session.choose(chosen)
            assert (told.last.interface, told.last.sending, closed) == (chosen, True, [0])
            go_on.set()
            assert (await told.hear("Stopped")).text == "Stopped: another interface was chosen; sent 1 of 3"
            assert closed == [0, 1], "and again after its last packet"

    async def test_what_another_interface_ends_is_said_once_that_one_is_captured_on(self, running: Running) -> None:
        async with running(filter="ip src 10.0.1.10") as told:
            for place, dst in {"router": SERVER, "client": CLIENT}.items():
                heard = len(told.said)
                told.session.send(order(b"x", count=1000, interval=0.005, dst=dst))
                await told.until(partial(has_said_after, heard, " of 1,000"))
                await told.session.choose(told.session.network.find(place))
                await told.until(partial(has_said_after, heard, "Stopped: another interface was chosen; sent "))
                assert told.said[-1].text.endswith(" of 1,000") and told.said[-1].about == "order"
                assert told.last.interface.host == place and told.last.capturing and not told.last.sending
                before = next(now for now in told.snapshots if told.said[-1] in now.said)
                assert before.interface.host == place, "not before the screen has changed to it"

    async def test_what_is_captured_by_nobody_is_sent_all_the_same(self, running: Running) -> None:
        interface = FakeInterface("f0", "10.0.1.10/24")
        async with running(interface, networks=[FakeNetwork("fake", interface)]) as told:
            assert (told.last.trouble, told.last.capturing) == ("Nothing passes a fake interface.", False)
            told.session.send(order())
            assert (await told.hear("Sent 1 ")).text.endswith("on f0; nothing is captured now (F2)")


@pytest.mark.usefixtures("impatient")
class TestSilence:
    async def test_a_filter_in_the_way_is_named_and_can_be_dropped(self, running: Running) -> None:
        async with running(filter=f"dst host {SERVER}") as told:
            told.session.send(order())
            said = await told.hear("leaves the answer out")
            assert said.about == "silence" and said.offers_all
            told.session.use_filter("")
            assert told.last.filter == ""
            await told.session.settled.wait()
            before = told.last.captured
            told.session.send(order())
            await told.until(lambda now: now.captured >= before + 2)
            assert told.session.store.frame(told.last.captured).data.endswith(b"ServerResponse")

    async def test_what_became_of_it(self, running: Running, network: SimulatedNetwork) -> None:
        async with running(follow=True) as told:
            network.set_link(read_link("r1-s0:loss=100%", network.links()))
            told.session.send(order())
            said = await told.hear("nothing came back in 0.1 s: ")
            assert not said.offers_all and not told.last.sending

    @pytest.mark.parametrize("payload", [b"ClientMessage", b"asks nothing"])
    async def test_there_is_none(self, running: Running, payload: bytes) -> None:
        async with running(filter="ip proto 253") as told:
            await told.until(lambda now: now.answering)
            told.session.send(order(payload))
            await told.until(lambda now: now.awaiting)
            await told.until(lambda now: not now.awaiting)
            assert "silence" not in [said.about for said in told.said]

    async def test_a_later_order_is_not_answered_with_an_earlier_one_s_silence(
        self, running: Running, network: SimulatedNetwork, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sessions, "MISSED_AFTER", 0.5)
        async with running(filter="ip proto 253") as told:
            await told.until(lambda now: now.answering)
            told.session.send(order())
            await told.until(partial(has_captured, 2))  # and ARP has found every hop
            network.set_link(read_link("r1-s0:loss=100%", network.links()))
            told.session.send(order())
            await told.until(partial(has_captured, 3))
            network.set_link(read_link("r1-s0:loss=0%", network.links()))
            told.session.send(order())
            await told.until(partial(has_captured, 5))
            await told.until(lambda now: not now.awaiting)
            assert [said.about for said in told.said] == ["order", "answer", "order", "order", "answer"]


class TestResponder:
    async def test_it_goes_on_and_off(self, running: Running) -> None:
        async with running() as told:
            now = await told.until(lambda now: now.answering)
            assert now.answering is not None
            assert (now.answering.engine, now.answering.host, now.answering.refused) == ("scapy", "server", 0)
            await told.session.answer(False)
            assert told.last.answering is None and told.session.responder is None
            await told.session.answer(True)
            assert told.last.answering is not None

    async def test_engines_are_exchanged(self, running: Running) -> None:
        async with running(engine="socket") as told:
            await told.until(lambda now: now.answering)
            first = told.session.responder
            assert type(first) is SocketServer
            await told.session.exchange_engine()
            assert type(told.session.responder) is ScapyServer and not first.running
            assert told.last.answering is not None and told.last.answering.engine == "scapy"

    @pytest.mark.parametrize("engine", RAW_ENGINES)
    async def test_where_none_can_listen_that_is_said(self, running: Running, engine: str) -> None:
        interface = FakeInterface("f0", "10.0.1.10/24")
        before = set(threading.enumerate())
        async with running(interface, networks=[FakeNetwork("fake", interface)], engine=engine) as told:
            assert told.last.answering is None, "nobody wanted it"
            await told.session.answer(True)
            said = await told.hear("fake interface")
            assert said.about == "responder" and told.last.answering is None
        assert "answers that wait" not in {thread.name for thread in set(threading.enumerate()) - before}

    async def test_what_its_thread_meets_is_said(self, running: Running) -> None:
        async with running() as told:
            await told.until(lambda now: now.answering)
            server = told.session.responder
            assert server is not None
            await asyncio.to_thread(server.config.on_problem, "The server fell over.")
            assert (await told.hear("fell over")).about == "responder"

    async def test_it_rests_while_engines_are_compared(self, running: Running) -> None:
        async with running() as told:
            await told.until(lambda now: now.answering)
            async with told.session.comparing(SERVER) as comparison:
                assert told.last.answering is None
                exchange = await asyncio.to_thread(comparison.run, "scapy")
                assert [each.what for each in exchange.packets][:1] == ["ClientMessage"]
            assert told.last.answering is not None and told.session.comparison is None


class TestInterface:
    async def test_everything_moves_to_it(self, running: Running) -> None:
        chosen: list[str] = []
        async with running(on_interface_chosen=chosen.append) as told:
            await told.session.choose(told.session.network.find("server"))
            now = await told.until(lambda now: now.capturing)
            assert (now.interface.name, chosen) == ("s0", ["simulated:server/s0"])
            assert now.answering is not None and now.answering.host == ""
            await told.until(lambda now: len(now.own) == 2)
            assert [interface.name for interface in told.session.store.interfaces] == ["c0", "s0"]
            assert SERVER in told.last.own[1]

    async def test_the_same_one_is_captured_on_without_a_break(self, running: Running) -> None:
        async with running() as told:
            sniffer = told.session.sniffer
            await told.session.choose(told.last.interface)
            assert sniffer is not None and told.session.sniffer is sniffer

    async def test_a_path_is_followed_and_left(self, running: Running) -> None:
        async with running(filter="ip proto 253", follow=True) as told:
            await told.until(lambda now: now.answering)
            told.session.send(order())
            await told.until(lambda now: now.captured == 8)
            assert [stop.frames for stop in told.session.tracker.journey(1).stops] == [(1,), (2,), (3,), (4,)]
            assert told.last.following
            told.session.follow(False)
            assert not told.last.following
            await told.session.settled.wait()
            told.session.send(order())
            await told.until(lambda now: now.captured == 10)

    async def test_a_network_without_a_path_ends_the_following(
        self, running: Running, network: SimulatedNetwork
    ) -> None:
        other = FakeInterface("f0", "10.0.1.10/24")
        async with running(follow=True, networks=[network, FakeNetwork("fake", other)]) as told:
            await told.session.choose(other)
            assert not told.last.following

    async def test_a_filter_holds_from_then_on(self, running: Running) -> None:
        async with running() as told:
            told.session.use_filter("ip proto 254")
            await told.session.settled.wait()
            told.session.send(order(b"left out"))
            told.session.send(order(b"taken", proto=254))
            await told.until(lambda now: now.captured == 1 and not now.sending)
            assert told.session.store.frame(1).data.endswith(b"taken")


class TestAnew:
    async def test_packets_numbers_and_counts_begin_again(self, running: Running) -> None:
        async with running(filter="ip proto 253", follow=True) as told:
            await told.until(lambda now: now.answering)
            told.session.send(order())
            await told.until(partial(has_captured, 8))
            assert told.session.unsaved == 8
            await told.session.begin_anew()
            now = told.last
            assert (now.anew, now.captured, now.joined, now.dropped, sum(now.rates), now.sent_as) == (1, 0, 0, 0, 0, 0)
            assert told.session.unsaved == 0 and now.answering and now.following
            await told.until(lambda now: now.capturing)
            told.session.send(order())
            await told.until(partial(has_captured, 8))
            assert [stop.frames for stop in told.session.tracker.journey(1).stops] == [(1,), (2,), (3,), (4,)]
            answer = told.session.tracker.request_of(8)
            assert answer is not None and answer.request == 1
            assert len(told.last.own) == len(told.session.store.interfaces) == 4

    async def test_nothing_is_said_any_more_of_what_was_sent_before(self, running: Running, impatient: None) -> None:
        async with running(filter="ip proto 253") as told:
            await told.until(lambda now: now.answering)
            told.session.send(order(count=5, interval=0.05))
            await told.until(lambda now: now.captured >= 4)
            await told.session.begin_anew()
            await told.hear("Sent 5 × 33 bytes")
            await told.until(lambda now: not now.awaiting and not now.sending)
            assert {said.about for said in told.said} == {"order"}

    async def test_with_commands_in_between_it_goes_on_capturing(self, running: Running) -> None:
        async with running(filter="ip proto 253") as told:
            await told.until(lambda now: now.answering)
            for following in (True, False, True):
                anew = asyncio.create_task(told.session.begin_anew())
                told.session.follow(following)
                await asyncio.sleep(0)
                told.session.follow(not following)
                await asyncio.wait_for(anew, 10)
            await told.session.settled.wait()
            assert not told.last.following and len(told.session.store) == 0
            told.session.send(order())
            await told.until(partial(has_captured, 2))

    async def test_it_waits_for_a_copy_that_is_being_saved(
        self, running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun, go_on = threading.Event(), threading.Event()
        async with running(filter="ip proto 253") as told:
            await told.until(lambda now: now.answering)
            told.session.send(order())
            await told.until(partial(has_captured, 2))
            save = told.session.store.save

            def save_late(path: Path) -> int:
                begun.set()
                go_on.wait(10)
                return save(path)

            monkeypatch.setattr(told.session.store, "save", save_late)
            saving = asyncio.create_task(told.session.save(tmp_path / "saved.pcapng"))
            await asyncio.to_thread(begun.wait, 10)
            anew = asyncio.create_task(told.session.begin_anew())
            for _ in range(5):
                await asyncio.sleep(0)
            assert told.last.captured == 2
            go_on.set()
            assert await saving == 2
            await anew
            assert told.last.captured == 0

    async def test_the_network_begins_afresh_with_it(self, running: Running, network: SimulatedNetwork) -> None:
        links = network.links()
        async with running(filter="arp or ip proto 253", responder=True) as told:
            await told.until(lambda now: now.answering)
            network.set_link(read_link("r1-s0:mtu=100", network.links()))
            for _ in range(2):
                told.session.send(order())
                await told.until(partial(has_captured, 4))  # who has, it is at, and the two messages
                told.session.send(order(count=1000))
                await told.until(lambda now: now.captured > 4)
                heard = len(told.said)
                await told.session.begin_anew(afresh=True)
                assert told.last.captured == 0 and network.links() == links
                await told.until(lambda now: now.answering and now.capturing and not now.sending)
                await told.until(partial(has_said_after, heard, "Stopped"))
                assert re.fullmatch(r"Stopped: the network was started afresh; sent \d+ of 1,000", told.said[-1].text)
                assert told.said[-1].about == "order"
            assert told.last.interface.name == "c0" and told.last.trouble == ""

    async def test_a_file_that_can_t_be_cleared_stays_as_it_is(
        self, running: Running, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail() -> None:
            raise CaptureError("The disk is made of stone.")

        async with running(filter="ip proto 253") as told:
            await told.until(lambda now: now.answering)
            told.session.send(order())
            await told.until(partial(has_captured, 2))
            monkeypatch.setattr(told.session.store, "clear", fail)
            await told.session.begin_anew()
            assert (await told.hear("stone")).about == "refusal"
            assert told.last.captured == 2 and told.last.anew == 0
            await told.until(lambda now: now.capturing)


class TestFiles:
    async def test_a_file_is_read_and_then_added_to(self, running: Running, tmp_path: Path) -> None:
        path = capture_file(tmp_path / "old.pcapng", 5)
        async with running(read=path) as told:
            now = await told.until(lambda now: now.captured == 5)
            assert (now.file, now.capturing, now.trouble) == (path, False, "")
            assert told.session.keep() is None
            told.session.use_filter("icmp")
            assert told.last.filter == "icmp" and not told.last.capturing, "it is for what is captured"
            await told.session.choose(told.last.interface)
            now = await told.until(lambda now: now.capturing)
            assert (now.file, now.captured) == (None, 5)
            assert told.session.unsaved == 0, "they are in the file"
            told.session.use_filter("")
            await told.session.settled.wait()
            told.session.send(order())
            await told.until(lambda now: now.captured >= 9)
            assert told.session.unsaved == len(told.session.store) - 5 >= 4

    async def test_what_is_no_capture_is_said(self, running: Running, tmp_path: Path) -> None:
        path = tmp_path / "letter.txt"
        path.write_text("Dear Jon, " * 50)
        async with running(read=path) as told:
            assert "not a capture file" in (await told.until(lambda now: now.trouble)).trouble

    async def test_it_is_saved_and_no_longer_kept(self, running: Running, tmp_path: Path) -> None:
        async with running(filter="ip proto 253") as told:
            await told.until(lambda now: now.answering)
            told.session.send(order())
            await told.until(lambda now: now.captured == 2)
            assert told.session.unsaved == 2
            assert await told.session.save(tmp_path / "saved.pcapng") == 2
            assert told.session.unsaved == 0 and told.session.keep() is None
            told.session.send(order())
            await told.until(partial(has_captured, 4))
            assert told.session.unsaved == 2, "what came after it was saved"

    async def test_what_is_written_as_it_comes_is_never_unsaved(
        self, network: SimulatedNetwork, tmp_path: Path
    ) -> None:
        path = capture_file(tmp_path / "written.pcapng", 3)
        with Store(path) as store:
            session = Session(store, [network], LabOptions(network.find("client")))
            store.append(store.add_interface("c0", ETHERNET), Batch(b"x", [(1, 0, 1, 1)]))
            assert len(store) == 1 and session.unsaved == 0
            await session.close()

    async def test_what_joining_meets_is_said_once(self, running: Running) -> None:
        def stumble(interface: int, first: int, batch: Batch) -> None:
            raise IndexError("on purpose")

        async with running() as told:
            told.session.store.taps.append(stumble)
            for count in (2, 4, 6):
                told.session.send(order(ttl=1))
                await told.until(partial(has_captured, count))
                await told.hear("Joining stumbled")
            assert [said.text for said in told.said if said.about == "joining"] == [told.session.store.tap_problem]


class TestSnapshots:
    async def test_they_are_frozen_and_each_differs_from_the_one_before(self, running: Running) -> None:
        async with running() as told:
            told.session.send(order())
            await told.until(lambda now: now.captured == 2 and not now.sending)
            told.session.be_troubled("")
            assert all(a != b for a, b in zip(told.snapshots, told.snapshots[1:], strict=False))
            with pytest.raises(FrozenInstanceError):
                told.last.captured = 3  # type: ignore[misc]

    async def test_only_the_last_sentences_are_in_one(self, running: Running) -> None:
        interface = FakeInterface("f0", "10.0.1.10/24")
        async with running(interface, networks=[FakeNetwork("fake", interface)]) as told:
            for number in range(SENTENCES_KEPT + 3):
                told.session.send(order())
                await told.until(partial(has_said, number))
            assert [said.number for said in told.last.said] == list(range(3, SENTENCES_KEPT + 3))

    async def test_all_layers_are_known_at_last(self, running: Running) -> None:
        async with running() as told:
            await told.until(lambda now: now.all_layers)

    async def test_the_rate_is_told_and_forgotten_by_nobody(self, running: Running) -> None:
        async with running(filter="ip src 10.0.1.10") as told:
            told.session.send(order(b"x", count=3, interval=0.001))
            now = await told.until(lambda now: sum(now.rates) == 3)
            assert len(now.rates) == 60


class TestEnd:
    async def test_nothing_goes_on_afterwards(self, running: Running) -> None:
        async with running() as told:
            await told.until(lambda now: now.answering)
            sniffer, responder = told.session.sniffer, told.session.responder
            told.session.send(order(count=1000))
            await told.until(lambda now: now.captured)
        assert sniffer is not None and responder is not None
        assert not sniffer.running and not responder.running
        names = [thread.name for thread in threading.enumerate()]
        assert "answers that wait" not in names
        assert len(asyncio.all_tasks()) == 1, "the test's own"

    async def test_a_fault_of_ours_is_raised(self, network: SimulatedNetwork) -> None:
        with Store() as store:
            session = Session(store, [network], LabOptions(network.find("client")))

            def fault() -> None:
                raise ZeroDivisionError("on purpose")

            session.dissector.forget = fault  # type: ignore[method-assign]
            try:
                with pytest.raises(ZeroDivisionError, match="on purpose"):
                    await session.run()
            finally:
                del session.dissector.forget
                await session.close()

    async def test_an_order_that_waits_for_a_capture_is_not_held_up(self, network: SimulatedNetwork) -> None:
        interface = FakeInterface("f0", "10.0.1.10/24")
        with Store() as store:
            session = Session(store, [FakeNetwork("fake", interface)], LabOptions(interface))
            session.send(order())  # before anything has begun
            assert session.snapshot.sending
            await session.close()
            await asyncio.wait([task for task in asyncio.all_tasks() if task is not asyncio.current_task()], timeout=10)
            assert not session.snapshot.sending and not interface.sent

    async def test_nothing_is_told_once_it_is_closed(self, running: Running) -> None:
        async with running() as told:
            await told.session.close()
            before = list(told.snapshots)
            told.session.be_troubled("too late")
            assert told.snapshots == before and told.session.snapshot.trouble == "too late"


class TestQuiet:
    async def test_it_is_an_order_s_own_socket_that_keeps_the_host_quiet(self, running: Running) -> None:
        interface = FakeInterface("f0", "10.0.1.10/24")
        opened: list[tuple[int, bool, int]] = []

        def open_protocol(proto: int, discarding: bool = False) -> None:
            opened.append((proto, discarding, len(interface.sent)))
            raise SendError("Nothing arrives at a fake interface.")

        interface.open_protocol = open_protocol  # type: ignore[method-assign, assignment]
        async with running(interface, networks=[FakeNetwork("fake", interface)]) as told:
            told.session.send(order(b"something else"))
            await told.until(lambda now: now.orders == 1 and not now.sending)
            assert not opened
            told.session.send(order())
            await told.until(lambda now: now.orders == 2 and not now.sending)
            assert opened == [(253, True, 1)], "before its packet is sent"
            wait_until(lambda: len(interface.sent) == 2)
