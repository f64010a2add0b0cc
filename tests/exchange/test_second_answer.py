"""Two servers on one interface: the client counts more answers than questions."""

from __future__ import annotations

from contextlib import closing

import pytest
from scapy.layers.inet import IP

from ipl_tui.exchange.engines import RAW_ENGINES
from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.packets.messages import PROTOCOL, SERVER_RESPONSE
from tests.conftest import wait_until
from tests.exchange.test_clients import PLACES, EngineClasses


@pytest.mark.parametrize("engine", RAW_ENGINES)
@pytest.mark.parametrize("place", ["lo", "simulated"])
def test_of_two_servers_both_answers_are_counted(place: str, engine: str, request: pytest.FixtureRequest) -> None:
    with PLACES[place](request) as ends, ends.serving("socket"), ends.asking(engine) as client:
        assert client.ask(5).response and client.surplus() == 0
        with ends.serving("socket"):
            assert client.ask(5).response
            assert client.surplus(5) == 1, "it comes, and is not waited for any longer"
            assert client.ask(5).response
            wait_until(lambda: client.surplus() == 2)


@pytest.mark.parametrize("engine", RAW_ENGINES)
def test_a_late_answer_is_no_second_one(engine: str) -> None:
    with closing(SimulatedNetwork()) as network:
        ends = EngineClasses(network.find("client"), network.find("server"), "10.0.2.20")
        answer = bytes(IP(src="10.0.2.20", dst="10.0.1.10", proto=PROTOCOL) / SERVER_RESPONSE)
        with ends.asking(engine) as client, ends.server.open_protocol(PROTOCOL, discarding=True):
            ends.server.send(answer, "kernel")
            assert client.surplus(0.1) == 0, "others asked for it"
            assert client.ask(0.1).response is None
            ends.server.send(answer, "kernel")
            assert client.surplus(0.1) == 0, "it is late"
            with ends.serving("socket"):
                assert client.ask(5).response
            assert client.surplus(0.1) == 0
            ends.server.send(answer, "kernel")
            assert client.surplus(5) == 1
        assert client.surplus(5) in (0, 1), "a closed one does not wait"


def test_over_tcp_there_is_one_server(request: pytest.FixtureRequest) -> None:
    with PLACES["lo"](request) as ends, ends.serving("asyncio"), ends.asking("asyncio") as client:
        assert client.ask(5).response and client.surplus(5) == 0
