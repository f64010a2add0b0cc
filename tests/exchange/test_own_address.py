"""Servers and clients at addresses of this machine's own: which they may have, and whence a client asks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import pytest

from ipl_tui.commands.common import select_interface
from ipl_tui.exchange.engine import ServerConfig
from ipl_tui.exchange.engines import RAW_ENGINES, make_client, make_server
from ipl_tui.networks.interface import SendError
from ipl_tui.networks.kernel import KernelNetwork
from ipl_tui.packets.fields import read_header
from tests.conftest import Pair, inside, run_ip


@pytest.fixture
def two_addresses(veth: Pair) -> Iterator[None]:
    """The test runs in a namespace with c0 10.0.1.10/24 and d0 10.5.0.1/24."""
    run_ip("-n", veth.client.namespace, "link", "add", "d0", "type", "veth", "peer", "name", "d1")
    run_ip("-n", veth.client.namespace, "address", "add", "10.5.0.1/24", "dev", "d0")
    with inside(veth.client.namespace):
        yield


@pytest.mark.parametrize("name", [None, "lo", "c0", "d0"])
@pytest.mark.parametrize(
    ("destination", "source", "expected"),
    [
        ("10.0.1.10", "", "10.0.1.10"),
        ("10.0.1.10", "10.0.1.10", "10.0.1.10"),
        ("10.0.1.10", "10.5.0.1", "10.5.0.1"),
        ("10.0.1.10", "127.0.0.1", "127.0.0.1"),
        ("10.5.0.1", "", "10.5.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "10.0.1.10", "10.0.1.10"),
    ],
)
def test_a_client_asks_an_own_address_from_an_own_address(
    two_addresses: None, name: str | None, destination: str, source: str, expected: str
) -> None:
    with select_interface(name, destination) as place:
        assert place.interface.name == "lo"
        for engine in RAW_ENGINES:
            with closing(make_client(engine, place.interface, destination, source)) as client:
                header = read_header(client.message)
                assert (header["src"], header["dst"]) == (expected, destination)


@pytest.mark.parametrize(
    ("name", "destination", "source"),
    [
        ("c0", "10.0.1.20", "10.5.0.1"),
        ("c0", "10.0.1.20", "127.0.0.1"),
        ("c0", "10.0.1.10", "10.0.1.20"),
        ("lo", "127.0.0.1", "10.0.1.20"),
    ],
)
def test_from_an_address_that_no_answer_would_come_to_none_asks(
    two_addresses: None, name: str, destination: str, source: str
) -> None:
    with pytest.raises(SendError, match=f"^{re.escape(source)} is no address of {name}; it has: "):
        make_client("socket", KernelNetwork().find(name), destination, source)


@pytest.mark.parametrize(("name", "source"), [("lo", "10.0.1.10"), ("lo", "127.0.0.5"), ("c0", "10.0.1.10")])
def test_a_server_may_answer_for_an_own_address(two_addresses: None, name: str, source: str) -> None:
    ServerConfig(KernelNetwork().find(name), source=source).require_addresses()


def test_a_server_on_an_interface_does_not_answer_for_another(two_addresses: None) -> None:
    with pytest.raises(SendError, match=r"^10\.5\.0\.1 is no address of c0"):
        ServerConfig(KernelNetwork().find("c0"), source="10.5.0.1").require_addresses()


@pytest.mark.parametrize("engine", RAW_ENGINES)
@pytest.mark.parametrize("source", ["10.0.1.10", "10.5.0.1", "127.0.0.1"])
def test_a_server_on_an_interface_answers_every_own_address_where_it_is(
    two_addresses: None, engine: str, source: str
) -> None:
    server = make_server(engine, ServerConfig(KernelNetwork().find("c0"), on_problem=pytest.fail))
    server.start()
    try:
        with (
            select_interface(None, "10.0.1.10") as place,
            closing(make_client(engine, place.interface, "10.0.1.10", source)) as client,
        ):
            assert client.ask(5).response is not None
    finally:
        server.stop()
