"""The links of the simulated network: how long they take, what they lose, and how they are set."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from ipl_tui.networks.interface import LinkError
from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.networks.topology import LINKS, Link
from ipl_tui.packets.messages import PROTOCOL
from tests.networks.simulated.watching import (
    CLIENT,
    ROUTER,
    SERVER,
    Watch,
    datagram,
    is_datagram,
    is_icmp,
    ping,
    watch_all,
)


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        (Link(("c0", "s0")), 'There is no link "c0-s0"; there are c0-r0 and r1-s0.'),
        (Link(("r0", "c0")), 'There is no link "r0-c0"; there are c0-r0 and r1-s0.'),
        (Link(("c0", "r0"), mtu=67), "The MTU is 68 to 65,535 bytes."),
        (Link(("c0", "r0"), mtu=65_536), "The MTU is 68 to 65,535 bytes."),
        (Link(("c0", "r0"), latency=-0.1), "The latency is 0 to 60,000 ms."),
        (Link(("c0", "r0"), latency=61), "The latency is 0 to 60,000 ms."),
        (Link(("c0", "r0"), loss=1.1), "The loss is 0 to 100 %."),
        (Link(("c0", "r0"), loss=float("nan")), "The loss is 0 to 100 %."),
    ],
)
def test_a_link_that_cannot_be_is_refused(network: SimulatedNetwork, link: Link, problem: str) -> None:
    with pytest.raises(LinkError) as error:
        network.set_link(link)
    assert str(error.value) == problem
    assert network.links() == LINKS


def test_a_link_is_set_at_once(network: SimulatedNetwork) -> None:
    ping(network, destination=SERVER)
    network.set_link(replace(LINKS[1], mtu=100))
    assert network.links() == (LINKS[0], replace(LINKS[1], mtu=100))
    assert [interface.mtu for interface in network.interfaces()] == [1500, 1500, 100, 100]
    watch = Watch(network.find("s0"))
    network.find("client").send(datagram(bytes(100)), "exact")
    watch.wait_for(is_icmp(3, 2))
    assert [len(packet) for packet in watch.packets(PROTOCOL)] == [100, 40]


def test_a_frame_takes_as_long_as_its_link_says() -> None:
    slow = replace(LINKS[1], latency=0.05)
    with closing(SimulatedNetwork((LINKS[0], slow))) as network:
        watches = watch_all(network)
        network.find("client").send(datagram(), "kernel")
        left, arrived = (watches[name].wait_for(is_datagram)[0] for name in ("r1", "s0"))
        assert arrived - left > 0.04e9
        left, arrived = (watches[name].wait_for(is_icmp(3, 2))[0] for name in ("s0", "r1"))
        assert arrived - left > 0.04e9


def test_no_frame_overtakes_another_when_a_link_gets_faster(network: SimulatedNetwork) -> None:
    ping(network)
    watch = Watch(network.find("r0"))
    network.set_link(replace(LINKS[0], latency=0.2))
    network.find("client").send(datagram(id=1), "exact")
    network.set_link(replace(LINKS[0], latency=0))
    network.find("client").send(datagram(id=2), "exact")
    watch.wait_for(lambda packet: is_datagram(packet) and packet[5] == 2)
    assert [packet[5] for packet in watch.packets(PROTOCOL)] == [1, 2]


def lost(seed: int, answers: int = 0) -> list[int]:
    """Which of a hundred packets from the client a link loses that loses a third; their checksum is wrong, so that
    nothing goes back but some answers before."""
    with closing(SimulatedNetwork(seed=seed)) as network:
        ping(network)
        ping(network, source="r0", destination=CLIENT)
        network.set_link(replace(LINKS[0], loss=0.33))
        for _ in range(answers):
            network.find("r0").send(datagram(src=ROUTER, dst=CLIENT, chksum=1), "exact")
        watch = Watch(network.find("r0"))
        for number in range(100):
            network.find("client").send(datagram(id=number, chksum=1), "exact")
        network.set_link(LINKS[0])
        ping(network)
        watch.wait_for(is_icmp(0, 0))
        arrived = [int.from_bytes(packet[4:6]) for packet in watch.packets(PROTOCOL)]
        assert arrived == sorted(arrived)
        return sorted(set(range(100)) - set(arrived))


def test_the_same_seed_loses_the_same_packets() -> None:
    assert lost(seed=1) == lost(seed=1)
    assert 15 < len(lost(seed=1)) < 55
    assert lost(seed=1) != lost(seed=2)


def test_the_frames_of_the_other_direction_do_not_decide_what_is_lost() -> None:
    assert lost(seed=1) == lost(seed=1, answers=7)
