"""The route that this machine's kernel takes to a destination: asked of real kernels, and how other systems tell it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ipl_tui.networks.interface import Route
from ipl_tui.networks.kernel import routes
from ipl_tui.networks.kernel.routes import ask_socket, route_to
from tests.conftest import inside, run_ip


@pytest.fixture
def crossroads(needs_root: None) -> Iterator[str]:
    """The test runs in a namespace with a0 10.1.0.1/24 and b0 10.2.0.1/24, and 192.0.2.7/32 on both."""
    namespace = f"ipl-{os.getpid()}-crossroads"
    run_ip("netns", "add", namespace)
    try:
        run_ip("-n", namespace, "link", "set", "lo", "up")
        for name, address in (("a", "10.1.0.1/24"), ("b", "10.2.0.1/24")):
            run_ip("-n", namespace, "link", "add", f"{name}0", "type", "veth", "peer", "name", f"{name}1")
            for each in (address, "192.0.2.7/32"):
                run_ip("-n", namespace, "address", "add", each, "dev", f"{name}0")
            for end in "01":
                run_ip("-n", namespace, "link", "set", f"{name}{end}", "up")
        with inside(namespace):
            yield namespace
    finally:
        run_ip("netns", "delete", namespace)


def test_a_neighbour_needs_no_router(crossroads: str) -> None:
    assert route_to("10.1.0.9") == Route("a0", "10.1.0.1")
    assert route_to("10.2.0.9") == Route("b0", "10.2.0.1")


def test_a_router_takes_what_is_for_others(crossroads: str) -> None:
    run_ip("-n", crossroads, "route", "add", "default", "via", "10.2.0.254")
    assert route_to("198.51.100.1") == Route("b0", "10.2.0.1", "10.2.0.254")


def test_the_interface_is_told_also_where_two_have_the_source_address(crossroads: str) -> None:
    run_ip("-n", crossroads, "route", "add", "198.51.100.1", "dev", "a0", "src", "192.0.2.7")
    run_ip("-n", crossroads, "route", "add", "198.51.100.2", "dev", "b0", "src", "192.0.2.7")
    assert route_to("198.51.100.1") == Route("a0", "192.0.2.7")
    assert route_to("198.51.100.2") == Route("b0", "192.0.2.7")


def test_policy_rules_are_followed(crossroads: str) -> None:
    run_ip("-n", crossroads, "route", "add", "default", "via", "10.1.0.254")
    run_ip("-n", crossroads, "route", "add", "default", "via", "10.2.0.254", "table", "100")
    run_ip("-n", crossroads, "rule", "add", "to", "203.0.113.0/24", "lookup", "100")
    assert route_to("198.51.100.1") == Route("a0", "10.1.0.1", "10.1.0.254")
    assert route_to("203.0.113.1") == Route("b0", "10.2.0.1", "10.2.0.254")


@pytest.mark.parametrize("kind", ["unreachable", "prohibit", "blackhole"])
def test_a_route_that_forbids_is_none(crossroads: str, kind: str) -> None:
    run_ip("-n", crossroads, "route", "add", kind, "198.51.100.0/24")
    assert route_to("198.51.100.1") is None


def test_without_a_route_there_is_none(crossroads: str) -> None:
    assert route_to("198.51.100.1") is None


def test_own_addresses_are_reached_by_loopback(crossroads: str) -> None:
    assert route_to("10.1.0.1") == Route("lo", "10.1.0.1")
    assert route_to("127.0.0.1") == Route("lo", "127.0.0.1")


def test_where_netlink_is_forbidden_the_socket_is_asked(crossroads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(destination: str) -> None:
        raise PermissionError

    monkeypatch.setattr(routes, "ask_netlink", forbid)
    assert route_to("10.1.0.9") == Route("a0", "10.1.0.1")


class TestOtherSystems:
    """They tell the source address, and what their routes are; Linux does too."""

    def test_a_neighbour_and_a_router(self, crossroads: str) -> None:
        run_ip("-n", crossroads, "route", "add", "default", "via", "10.2.0.254")
        assert ask_socket("10.1.0.9") == Route("a0", "10.1.0.1")
        assert ask_socket("198.51.100.1") == Route("b0", "10.2.0.1", "10.2.0.254")

    def test_of_two_interfaces_with_the_source_address_the_route_tells(self, crossroads: str) -> None:
        run_ip("-n", crossroads, "route", "add", "198.51.100.2", "dev", "b0", "src", "192.0.2.7")
        assert ask_socket("198.51.100.2") == Route("b0", "192.0.2.7")

    def test_own_addresses_and_none(self, crossroads: str) -> None:
        assert ask_socket("10.1.0.1") == Route("lo", "10.1.0.1")
        assert ask_socket("127.0.0.1") == Route("lo", "127.0.0.1")
        assert ask_socket("198.51.100.1") is None
