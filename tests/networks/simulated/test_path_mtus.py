"""Path MTU discovery (RFC 1191): the kernel's, for what it sends itself or a raw socket gave it."""

from typing import Any

import pytest
from scapy.layers.inet import ICMP

from ipl_tui.networks.interface import SendError
from ipl_tui.networks.simulated.path_mtus import MOST_PATH_MTUS
from tests.networks.simulated.hosts import (
    CLIENT_ADDRESS,
    FAR,
    PROTOCOL,
    R1,
    S0,
    SERVER_ADDRESS,
    Lab,
    acquainted,
    datagram,
    echo,
    ether,
)


def learn_path_mtu(lab: Lab, mtu: int = 576, **fields: Any) -> None:
    """A router tells the server that something of protocol 253 was too long for its way to the client."""
    quoted = datagram(**{"src": SERVER_ADDRESS, "dst": CLIENT_ADDRESS, **fields})[:28]
    error = ICMP(type=3, code=4, nexthopmtu=mtu) / quoted
    lab.put(ether(datagram(error, dst=SERVER_ADDRESS, src=FAR, proto=1), R1), R1)


@pytest.fixture
def wide() -> Lab:
    lab = acquainted()
    lab.mtus.update(dict.fromkeys(lab.mtus, 1500))
    lab.stacks["server"].listeners["s0", PROTOCOL] += 1
    return lab


def test_what_a_router_said_holds_for_ten_minutes(wide: Lab) -> None:
    learn_path_mtu(wide)
    stack = wide.stacks["server"]
    long = datagram(bytes(600), src=SERVER_ADDRESS, dst=CLIENT_ADDRESS, flags="DF")
    with pytest.raises(SendError) as refusal:
        stack.send_packet(long, S0, wide.now)
    assert str(refusal.value) == "The packet has 620 bytes, more than a router towards 10.0.1.10 said it takes."
    for packet in (
        datagram(bytes(600), src=SERVER_ADDRESS, dst=CLIENT_ADDRESS),
        long[:16] + R1.address.ip.packed + long[20:],
    ):
        wide.carry_out(stack.send_packet(packet, S0, wide.now))
    wide.send(echo(600))
    assert [line for line in wide.transcript if line.startswith("s0")] == [
        "s0 253 64 0+",
        "s0 253 64 69.",
        "s0 253 64",  # to another destination
        "s0 echo-reply 64 0+",
        "s0 1 64 69.",
    ]
    wide.wait(600)
    wide.frames.clear()
    wide.carry_out(stack.send_packet(long, S0, wide.now))
    assert wide.transcript[0] == "s0 253 64"


@pytest.mark.parametrize(("told", "believed"), [(1400, 1400), (552, 552), (68, 552), (0, 552)])
def test_no_way_is_narrower_than_linux_believes(wide: Lab, told: int, believed: int) -> None:
    learn_path_mtu(wide, told)
    stack = wide.stacks["server"]
    fits = datagram(bytes(believed - 20), src=SERVER_ADDRESS, dst=CLIENT_ADDRESS, flags="DF")
    stack.send_packet(fits, S0, wide.now)
    with pytest.raises(SendError):
        stack.send_packet(fits + b"1", S0, wide.now)


@pytest.mark.parametrize("fields", [{"proto": 254}, {"ihl": 4}, {"ihl": 15}], ids=["no listener", "IHL 4", "cut short"])
def test_other_errors_teach_nothing_of_the_path(wide: Lab, fields: dict[str, Any]) -> None:
    learn_path_mtu(wide, **fields)
    wide.send(echo(1000))
    assert "s0 echo-reply 64" in wide.transcript


def test_many_destinations_leave_few_path_mtus(wide: Lab) -> None:
    for number in range(MOST_PATH_MTUS + 1):
        learn_path_mtu(wide, dst=f"10.9.9.{number}" if number else CLIENT_ADDRESS)
    wide.send(echo(1000))
    assert "s0 echo-reply 64" in wide.transcript, "the first made room"
