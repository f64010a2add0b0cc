"""Whom a server answers, and how often: addresses that no host can have, and a limit with a clock of the test's own."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipl_tui.exchange.engine import NOT_EXACTLY, ServerConfig
from ipl_tui.exchange.rate_limit import RATE, RateLimit
from ipl_tui.networks.kernel import KernelNetwork
from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.packets.messages import CLIENT_MESSAGE
from tests.conftest import Pair, inside, run_ip
from tests.fake_interface import FakeInterface


def objection(config: ServerConfig, source: str, payload: bytes = CLIENT_MESSAGE) -> str:
    return config.refusal(source, config.addresses[0], payload) or config.excess()


@pytest.mark.parametrize(
    ("source", "answered"),
    [
        ("10.0.1.9", True),
        ("1.0.0.0", True),
        ("223.255.255.255", True),
        ("127.0.0.1", True),
        ("0.0.0.0", False),
        ("0.1.2.3", False),
        ("224.0.0.1", False),
        ("239.255.255.255", False),
        ("240.0.0.1", False),
        ("255.255.255.254", False),
        ("255.255.255.255", False),
        ("10.0.1.0", False),
        ("10.0.1.255", False),
        ("10.0.9.0", True),
        ("10.0.9.1", True),
        ("10.0.8.7", True),
    ],
)
def test_only_what_a_host_can_have_is_answered(source: str, answered: bool) -> None:
    config = ServerConfig(FakeInterface("f0", "10.0.1.20/24", "10.0.9.0/31", "10.0.8.7/32"))
    assert objection(config, source) == ("" if answered else f"{source} is no single host")


def test_the_broadcasts_of_all_interfaces_of_this_machine_count(veth: Pair) -> None:
    here = veth.server
    run_ip("-n", here.namespace, "address", "add", "10.7.0.1/16", "dev", "lo")
    run_ip("-n", here.namespace, "address", "add", "10.8.0.1/24", "brd", "10.8.255.255", "dev", here.interface)
    run_ip("-n", here.namespace, "address", "add", "10.9.0.1/32", "brd", "10.9.0.1", "dev", here.interface)
    with inside(here.namespace):
        config = ServerConfig(KernelNetwork().find(here.interface))
        everybody = ["10.7.255.255", "10.7.0.0", "10.8.0.255", "10.8.255.255", "10.0.1.255", "10.0.1.0", "127.0.0.0"]
        assert [objection(config, each) for each in everybody] == [f"{each} is no single host" for each in everybody]
        assert [objection(config, each) for each in ("10.7.0.255", "10.8.0.1", "10.9.0.1", "127.0.0.1")] == [""] * 4


def test_a_host_of_the_plan_is_on_the_networks_of_all_its_ports() -> None:
    router = SimulatedNetwork().find("router/r0")
    assert router.broadcasts() == set(map(IPv4Address, ("10.0.1.0", "10.0.1.255", "10.0.2.0", "10.0.2.255")))


def test_so_many_in_any_second_and_no_more() -> None:
    now, begun = [0.0], []
    limit = RateLimit(3, lambda: now[0], lambda: begun.append(now[0]))

    def at(seconds: float) -> bool:
        now[0] = seconds
        return limit.allows()

    assert [at(each) for each in (0, 0.5, 0.75, 0.75, 0.999)] == [True, True, True, False, False]
    assert [at(each) for each in (1.0, 1.0, 1.5, 1.5)] == [True, False, True, False]
    assert (limit.refused, begun) == (4, [0.75]), "it is told when it begins"
    assert [at(each) for each in (9.0, 9.0, 9.0, 9.0)] == [True, True, True, False]
    assert begun == [0.75], "it has not been quiet for long"
    assert [at(each) for each in (19.0, 19.0, 19.0, 19.0, 19.0)] == [True, True, True, False, False]
    assert (limit.refused, begun) == (7, [0.75, 19.0])


@given(st.integers(1, 5), st.lists(st.integers(0, 12), max_size=60))
def test_no_second_ever_has_more(most: int, eighths: list[int]) -> None:
    now = [0.0]
    limit = RateLimit(most, lambda: now[0], lambda: None)
    allowed: list[float] = []
    for pause in eighths:
        now[0] += pause / 8
        within = sum(now[0] - each < 1 for each in allowed)
        assert limit.allows() == (within < most), "and none is refused without need"
        if within < most:
            allowed.append(now[0])
    assert limit.refused == len(eighths) - len(allowed)


def test_no_limit_is_none() -> None:
    limit = RateLimit(0, lambda: 0.0, lambda: pytest.fail("there is none"))
    assert all(limit.allows() for _ in range(3 * RATE)) and limit.refused == 0


def test_what_is_not_answered_anyway_does_not_count() -> None:
    told: list[str] = []
    config = ServerConfig(FakeInterface("f0", "10.0.1.20/24"), rate=1, clock=lambda: 0.0, on_problem=told.append)
    assert objection(config, "10.0.1.9", b"Hello") == NOT_EXACTLY
    assert objection(config, "224.0.0.1") == "224.0.0.1 is no single host"
    assert config.refusal("10.0.1.9", "10.0.1.21", CLIENT_MESSAGE) == "10.0.1.21 is not answered for"
    assert objection(config, "10.0.1.9") == ""
    for _ in range(3):
        assert objection(config, "10.0.1.9") == "more than 1 came within a second"
    assert config.refused == 3
    assert told == ["More than 1 ClientMessages came within a second: the rest is not answered."]
    assert ServerConfig(config.interface).rate == 2000
