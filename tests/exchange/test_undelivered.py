"""What a raw socket does not get is noticed, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from queue import Empty, Queue

import pytest

from ipl_tui.exchange import undelivered
from ipl_tui.exchange.engine import Received, ServerConfig
from ipl_tui.exchange.engines import make_client, make_server
from ipl_tui.exchange.socket_engine import LOOK, make_packet
from ipl_tui.exchange.undelivered import UndeliveredDetector
from ipl_tui.networks.interface import Interface
from ipl_tui.networks.kernel import KernelNetwork
from ipl_tui.networks.simulated import SimulatedNetwork
from tests.conftest import Pair, inside
from tests.networks.kernel.test_arrivals import put_on_lo

ASKED = make_packet("127.0.0.1", "127.0.0.1", 253, b"ClientMessage")
ANSWER = make_packet("127.0.0.1", "127.0.0.1", 253, b"ServerResponse")


@pytest.fixture
def lo(own_loopback: None) -> Iterator[Interface]:
    with closing(KernelNetwork().find("lo")) as interface:
        yield interface


@pytest.fixture
def looking(lo: Interface) -> Iterator[UndeliveredDetector]:
    with closing(UndeliveredDetector(lo, 253, lambda packet: "127.0.0.1" if packet == ASKED else "")) as looking:
        yield looking


def test_it_is_said_after_the_raw_socket_was_quiet_once_more(looking: UndeliveredDetector) -> None:
    put_on_lo(ASKED)
    assert [looking.look(), looking.look(), looking.look()] == ["", "127.0.0.1", ""]


def test_what_is_handed_over_before_or_afterwards_is_heard(looking: UndeliveredDetector) -> None:
    put_on_lo(ASKED)
    looking.heard("127.0.0.1")
    assert [looking.look(), looking.look()] == ["", ""]
    put_on_lo(ASKED)
    assert looking.look() == ""
    looking.heard("127.0.0.1")
    assert looking.look() == ""


def test_what_is_not_wanted_is_not_missed(looking: UndeliveredDetector) -> None:
    put_on_lo(ANSWER)
    put_on_lo(ASKED[:-1])
    assert [looking.look(), looking.look()] == ["", ""]
    put_on_lo(ASKED)
    looking.forget()
    assert [looking.look(), looking.look()] == ["", ""]


def test_of_a_flood_nothing_is_said(looking: UndeliveredDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undelivered, "MOST", 3)
    for _ in range(3):
        put_on_lo(ASKED)
    assert [looking.look(), looking.look()] == ["", ""]
    for sender in ("10.0.0.1", "10.0.0.2", "10.0.0.3"):
        looking.heard(sender)
    put_on_lo(ASKED)
    assert [looking.look(), looking.look()] == ["", ""]
    put_on_lo(ASKED)
    assert [looking.look(), looking.look()] == ["", "127.0.0.1"], "then it goes on"


def test_closed_it_says_no_more(looking: UndeliveredDetector) -> None:
    put_on_lo(ASKED)
    looking.look()
    looking.close()
    looking.close()
    looking.heard("127.0.0.1")
    assert looking.look() in ("", "127.0.0.1")
    assert looking.look() == ""


def test_on_networks_of_our_own_there_is_no_such_thing() -> None:
    with (
        closing(SimulatedNetwork()) as network,
        closing(UndeliveredDetector(network.find("server"), 253, str)) as looking,
    ):
        assert looking.look() == ""


@pytest.mark.parametrize(
    ("sender", "reason"),
    [("127.0.0.1", "what libpcap puts on loopback has no route"), ("10.9.9.9", "a firewall rule or the reverse path")],
)
def test_the_sentence_says_why(looking: UndeliveredDetector, sender: str, reason: str) -> None:
    sentence = looking.explain("A ClientMessage", sender)
    assert sentence.startswith(f"A ClientMessage from {sender} passed lo, but the kernel did not hand it to the raw")
    assert reason in sentence and "the Scapy engine, which captures, hears it" in sentence
    assert ("conf.use_pcap = False" in sentence) == (sender == "127.0.0.1")


# In the engine


def quiet(told: Queue[Received | str]) -> bool:
    """Whether a server tells nothing while it looks some times."""
    try:
        told.get(timeout=4 * LOOK)
    except Empty:
        return True
    return False


def test_a_server_says_it_once_and_what_is_rightly_discarded_never(lo: Interface) -> None:
    told: Queue[Received | str] = Queue()
    server = make_server("socket", ServerConfig(lo, on_problem=told.put, on_received=told.put))
    server.start()
    put_on_lo(ASKED[:10] + b"\xbe\xef" + ASKED[12:])  # a wrong checksum
    put_on_lo(make_packet("127.0.0.1", "127.0.0.1", 253, b"clientmessage"))
    lo.send(ASKED, "kernel")
    assert isinstance(told.get(timeout=5), Received)
    assert quiet(told)
    put_on_lo(ASKED)
    sentence = told.get(timeout=5)
    assert isinstance(sentence, str) and sentence.startswith("A ClientMessage from 127.0.0.1 passed lo, but")
    put_on_lo(ASKED)
    assert quiet(told)
    server.stop()


def test_a_client_says_it_of_its_answer(lo: Interface) -> None:
    with closing(make_client("socket", lo, "127.0.0.1")) as client:
        put_on_lo(ANSWER)  # too late for a question before
        told: Queue[str] = Queue()
        assert client.ask(0.2).reason == ""
        with lo.open_protocol(253, discarding=True):
            server = make_server("scapy", ServerConfig(lo, on_problem=told.put))
            server.start()
            server.interface = Injecting("lo")  # type: ignore[assignment]
            reply = client.ask(10)
            server.stop()
    assert reply.response is None and reply.seconds < 10
    assert reply.reason.startswith("A ServerResponse from 127.0.0.1 passed lo, but the kernel did not hand it to")


class Injecting:
    """Sends as libpcap does."""

    def __init__(self, name: str) -> None:
        self.name = name

    def send(self, packet: bytes, method: str) -> None:
        put_on_lo(packet)


def test_a_source_that_the_reverse_path_filter_drops_has_another_sentence(veth: Pair) -> None:
    told: Queue[Received | str] = Queue()
    with inside(veth.server.namespace):
        for scope in ("all", "s0"):
            with open(f"/proc/sys/net/ipv4/conf/{scope}/rp_filter", "w") as switch:
                switch.write("1")
        far = KernelNetwork().find("s0")
        server = make_server("socket", ServerConfig(far, on_problem=told.put, on_received=told.put))
        server.start()
    with inside(veth.client.namespace), closing(KernelNetwork().find("c0")) as near:
        near.send(make_packet("10.7.7.7", "10.0.1.20", 253, b"ClientMessage"), "exact")
    sentence = told.get(timeout=5)
    server.stop()
    assert isinstance(sentence, str) and "10.7.7.7 passed s0" in sentence and "(rp_filter)" in sentence
