"""Orders of the lab, and what came back for the last of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scapy.layers.inet import ICMP, IP

from ipl_tui.capture.frames import Batch
from ipl_tui.capture.store import Store
from ipl_tui.exchange.delayed_answers import OwnPackets
from ipl_tui.session.answered import describe_what_came
from ipl_tui.session.orders import Orders
from ipl_tui.tracking.view import View
from tests.fake_interface import FakeInterface
from tests.session.conftest import CLIENT, SERVER, order

RAW_IP = 101
ANSWER = bytes(IP(src=SERVER, dst=CLIENT, proto=253) / b"ServerResponse")
F0 = FakeInterface("f0", "10.0.1.10/24")


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as store:
        store.add_interface("f0", RAW_IP)
        yield store


def capture(store: Store, *packets: bytes) -> None:
    for packet in packets:
        store.append(0, Batch(packet, [(len(store), 0, len(packet), len(packet))]))


def test_an_order_is_given_once_when_all_of_it_was_answered(store: Store) -> None:
    orders, asked = Orders(store, OwnPackets()), order(count=2)
    given = orders.begin(asked, F0, View())
    capture(store, asked.packet, ANSWER, asked.packet)
    orders.end(given)
    orders.await_answers(given, "Sent 2", 2)
    assert orders.look() is None and orders.awaits_answers(given)
    capture(store, ANSWER)
    done = orders.look()
    assert done is not None and not orders.awaits_answers(given)
    about, sentence = describe_what_came(done, F0, True)
    assert about == "answer" and sentence.startswith("Sent 2: 2 answered, 0 lost; ")
    assert orders.look() is None and orders.give_up(given) is None


def test_one_with_errors_among_its_answers_is_counted_in_the_end(store: Store) -> None:
    orders, asked = Orders(store, OwnPackets()), order(count=3)
    given = orders.begin(asked, F0, View())
    error = bytes(IP(src="10.0.1.1", dst=CLIENT) / ICMP(type=11) / asked.packet[:28])
    capture(store, asked.packet, ANSWER, asked.packet, error, asked.packet)
    orders.end(given)
    orders.await_answers(given, "Sent 3", 3)
    assert orders.look() is None and orders.awaits_answers(given)
    done = orders.give_up(given)
    assert done is not None
    assert "Sent 3: 1 answered, 1 ICMP error, 1 lost; " in describe_what_came(done, F0, True)[1]


def test_of_an_earlier_order_nothing_is_said_any_more(store: Store) -> None:
    orders = Orders(store, OwnPackets())
    earlier = orders.begin(order(), F0, View())
    later = orders.begin(order(), F0, View())
    orders.await_answers(earlier, "Sent 1", 1)
    assert not orders.awaits_answers(earlier) and orders.give_up(earlier) is None
    orders.await_answers(later, "Sent 1", 1)
    assert orders.awaits_answers(later)
