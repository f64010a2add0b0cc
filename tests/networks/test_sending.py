"""Carrying out an order: so many packets, so far apart, until it is told to stop."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipl_tui.networks import sending
from ipl_tui.networks.interface import Method, SendError
from ipl_tui.networks.sending import TELL_EVERY, Order, Outcome, carry_out, caveats
from ipl_tui.packets.craft import Draft, craft
from tests.fake_interface import FakeInterface


class Clock:
    """Time that passes only when somebody waits or works; stands in for the module `time`."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class Stop(threading.Event):
    """Waiting on it lets the clock go on, up to the time that the user stops it."""

    def __init__(self, clock: Clock, at: float = float("inf")) -> None:
        super().__init__()
        self.clock = clock
        self.at = at

    def is_set(self) -> bool:
        return self.clock.now >= self.at

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None and timeout >= 0
        self.clock.now = max(self.clock.now, min(self.clock.now + timeout, self.at))
        return self.is_set()


class Run:
    """An order that was carried out, with the seconds at which packets left and progress was told."""

    def __init__(
        self, count: int, interval: float, durations: list[float] | None = None, stop_at: float = float("inf")
    ) -> None:
        self.clock = Clock()
        self.durations = iter(durations or [])
        self.left: list[float] = []
        self.told: list[tuple[float, int]] = []
        self.interface = FakeInterface("fake0")
        self.interface.on_send = self.send
        self.order = Order(b"packet", "exact", count, interval)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sending, "time", self.clock)
            self.outcome = carry_out(self.order, self.interface, Stop(self.clock, stop_at), self.tell)

    def send(self) -> None:
        self.left.append(self.clock.now)
        self.clock.now += next(self.durations, 0.0)

    def tell(self, sent: int) -> None:
        self.told.append((self.clock.now, sent))


def test_one_packet_leaves_at_once() -> None:
    run = Run(1, 1.0)
    assert run.outcome == Outcome(1)
    assert run.left == [0]
    assert run.interface.sent == [(b"packet", "exact")]


def test_packets_leave_at_their_interval_and_nothing_is_waited_for_after_the_last() -> None:
    run = Run(4, 0.5)
    assert run.left == [0, 0.5, 1, 1.5]
    assert run.clock.now == 1.5


def test_a_packet_that_is_late_does_not_make_the_later_ones_late() -> None:
    assert Run(5, 1.0, durations=[0, 2.5, 0, 0]).left == [0, 1, 3.5, 3.5, 4]


@pytest.mark.parametrize(("stop_at", "sent"), [(0, 0), (0.1, 1), (0.9, 1), (1.0, 1), (1.5, 2), (100, 5)])
def test_stopping_ends_it_between_two_packets(stop_at: float, sent: int) -> None:
    run = Run(5, 1.0, stop_at=stop_at)
    assert run.outcome == Outcome(sent)
    assert len(run.left) == sent


def test_stopping_does_not_wait_for_the_interval_to_pass() -> None:
    run = Run(2, 3600.0, stop_at=0.25)
    assert run.clock.now == 0.25


def test_a_problem_ends_it_and_says_how_far_it_got() -> None:
    interface = FakeInterface("fake0")

    def fail_the_third() -> None:
        if len(interface.sent) == 2:
            raise SendError("The cable is unplugged.")

    interface.on_send = fail_the_third
    outcome = carry_out(Order(b"packet", "kernel", 9, 0.001), interface, threading.Event(), lambda _: None)
    assert outcome == Outcome(2, "The cable is unplugged.")
    assert interface.sent == [(b"packet", "kernel")] * 2


def test_progress_is_told_from_the_first_packet_on_and_ten_times_a_second_at_most() -> None:
    run = Run(1000, 0.001)
    assert run.told[0] == (0, 1)
    assert 9 <= len(run.told) <= 11


@given(
    st.integers(1, 60),
    st.floats(0.001, 10),
    st.lists(st.floats(0, 5), max_size=60),
    st.one_of(st.just(float("inf")), st.floats(0, 100)),
)
def test_whatever_sending_takes(count: int, interval: float, durations: list[float], stop_at: float) -> None:
    run = Run(count, interval, durations, stop_at)
    assert run.outcome.sent == len(run.left) == len(run.interface.sent) <= count
    assert run.outcome.sent == count or run.clock.now >= stop_at
    for number, left in enumerate(run.left):
        assert left >= number * interval - 1e-6, "never before its time"
    assert all(earlier <= later for earlier, later in pairwise(run.left))
    assert [sent for _, sent in run.told] == sorted({sent for _, sent in run.told})
    times = [time for time, _ in run.told]
    assert all(later - earlier >= TELL_EVERY - 1e-6 for earlier, later in pairwise(times))


@pytest.mark.parametrize(
    ("draft", "method", "delivering", "fields"),
    [
        (Draft(), "exact", "exact", []),
        (Draft(), "kernel", "exact", []),
        (Draft(), "kernel", "kernel", []),
        (Draft(), "exact", "kernel", ["dst"]),
        (Draft(chksum=0x1234), "exact", "exact", []),
        (Draft(chksum=0x1234), "kernel", "exact", ["chksum"]),
        (Draft(len=38), "kernel", "kernel", ["len"]),
        (Draft(id=0), "kernel", "kernel", ["id"]),
        (Draft(id=0, df=1), "kernel", "kernel", []),
        (Draft(src="0.0.0.0"), "kernel", "kernel", ["src"]),
        (Draft(len=0, id=0, chksum=1, src="0.0.0.0"), "kernel", "exact", ["len", "id", "chksum", "src"]),
    ],
)
def test_what_the_kernel_will_change_is_said_before(
    draft: Draft, method: Method, delivering: Method, fields: list[str]
) -> None:
    problems = caveats(craft(draft, "10.0.1.10").packet, method, delivering)
    assert [problem.field for problem in problems] == fields
    assert not any(problem.blocks for problem in problems)
    assert all(("exact sends yours" in problem.text) == (delivering == "exact") for problem in problems)
