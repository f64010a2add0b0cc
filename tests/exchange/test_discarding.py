"""The sockets that keep a kernel from objecting to answers: as long as an order needs its own, and no longer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest
from scapy.supersocket import SuperSocket

from ipl_tui.exchange.discarding import DiscardingSockets
from ipl_tui.networks.interface import SendError
from ipl_tui.packets.messages import PROTOCOL
from tests.conftest import wait_until
from tests.fake_interface import FakeInterface

LONG = 3600.0
SHORT = 0.01


class Deaf(SuperSocket):
    """A socket that is only open, or closed."""

    def __init__(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class Quieted(FakeInterface):
    """Knows which discarding sockets were opened for it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.opened: list[Deaf] = []

    def open_protocol(self, proto: int, discarding: bool = False) -> SuperSocket:
        assert (proto, discarding) == (PROTOCOL, True)
        self.opened.append(Deaf())
        return self.opened[-1]

    @property
    def quiet(self) -> list[bool]:
        """Whether each of them is open."""
        return [not socket.closed for socket in self.opened]


@pytest.fixture
def make() -> Iterator[Callable[[float], DiscardingSockets]]:
    """Makes one that is closed after the test."""
    with ExitStack() as leaving:
        yield lambda waiting: leaving.enter_context(closing(DiscardingSockets(waiting)))


def test_it_is_quiet_for_a_while_after_the_order(make: Callable[[float], DiscardingSockets]) -> None:
    interface, quiet = Quieted("c0"), make(SHORT)
    with quiet.on(interface):
        assert interface.quiet == [True]
    wait_until(lambda: interface.quiet == [False])


def test_the_end_of_one_wait_takes_nothing_from_the_next_order(make: Callable[[float], DiscardingSockets]) -> None:
    interface, quiet = Quieted("c0"), make(SHORT)
    with quiet.on(interface):
        pass
    with quiet.on(interface):
        wait_until(lambda: interface.quiet == [False, True])
        assert interface.quiet == [False, True]
    wait_until(lambda: interface.quiet == [False, False])


def test_many_orders_leave_one_socket_behind(make: Callable[[float], DiscardingSockets]) -> None:
    interface, quiet = Quieted("c0"), make(LONG)
    for _ in range(5):
        with quiet.on(interface):
            assert interface.quiet[-1]
    assert interface.quiet == [False, False, False, False, True]


def test_orders_at_once_each_have_their_own(make: Callable[[float], DiscardingSockets]) -> None:
    interface, quiet = Quieted("c0"), make(LONG)
    with quiet.on(interface):
        with quiet.on(interface):
            assert interface.quiet == [True, True]
        assert interface.quiet == [True, True]
    assert interface.quiet == [True, False], "one that stays serves both"


def test_each_interface_has_its_own_wait(make: Callable[[float], DiscardingSockets]) -> None:
    here, there, quiet = Quieted("c0"), Quieted("s0"), make(LONG)
    for interface in (here, there):
        with quiet.on(interface):
            pass
    assert here.quiet == there.quiet == [True]


def test_closing_leaves_nothing_open_and_an_order_under_way_closes_its_own() -> None:
    here, there, late, quiet = Quieted("c0"), Quieted("s0"), Quieted("r0"), DiscardingSockets(LONG)
    with quiet.on(here):
        pass
    with quiet.on(there):
        quiet.close()
        assert (here.quiet, there.quiet) == ([False], [True])
    assert there.quiet == [False]
    with quiet.on(late):
        assert late.quiet == [True]
    assert late.quiet == [False]


def test_what_an_order_raises_is_raised_and_it_is_quiet_all_the_same(
    make: Callable[[float], DiscardingSockets],
) -> None:
    interface = Quieted("c0")
    with pytest.raises(SendError, match="full"), make(LONG).on(interface):
        raise SendError("The queue of c0 is full.")
    assert interface.quiet == [True]


def test_where_it_is_not_permitted_the_order_goes_on(make: Callable[[float], DiscardingSockets]) -> None:
    with make(LONG).on(FakeInterface("c0")):  # it opens nothing
        went_on = True
    assert went_on
