"""What a simulated host takes and what it does not, as transcripts."""

from typing import Any

import pytest

from ipl_tui.networks.simulated.effects import Deliver
from tests.networks.simulated.hosts import (
    BROADCAST,
    C0,
    ELSEWHERE,
    MIDNIGHT,
    NEAR,
    PROTOCOL,
    R0,
    R1,
    S0,
    Lab,
    datagram,
    echo,
    tcp,
    udp,
)


def test_frames_for_others_and_what_is_no_ip_are_not_looked_at(lab: Lab) -> None:
    lab.send(datagram(), to=b"\x02\0\0\0\0\x09")
    assert lab.reasons == ["The router discards it: it is for another hardware address."]
    lab.put(R0.hardware_address + C0.hardware_address + b"\x86\xdd" + bytes(40))
    assert (lab.transcript, len(lab.reasons)) == ([], 1)


@pytest.mark.parametrize("to", [BROADCAST, b"\x01\x00\x5e\0\0\x01"])
def test_a_frame_for_all_gets_no_error_and_goes_no_further(lab: Lab, to: bytes) -> None:
    for packet in (datagram(), datagram(ttl=1), datagram(dst=NEAR), datagram(dst=ELSEWHERE), udp(dst=NEAR), tcp()):
        lab.send(packet, to=to)
    assert lab.transcript == []
    assert "not passed on" in lab.reasons[0]
    lab.send(echo(dst=NEAR), to=to)
    assert lab.transcript == ["r0 echo-reply 64"], "as Linux does"


def test_a_host_that_is_no_router_passes_nothing_on(lab: Lab) -> None:
    lab.send(datagram(dst=ELSEWHERE), R1)
    assert (lab.transcript, lab.reasons) == (
        [],
        ["The server discards it: 192.0.2.1 is no address of this host, which is no router (RFC 1122 §3.2.1.3)."],
    )


@pytest.mark.parametrize(
    "fields", [{"version": 6}, {"options": b"\x07\x02\0\0"}, {"options": b"\x83\x07\x04" + bytes(5)}]
)
def test_a_host_does_not_take_from_itself_what_it_would_not_take_from_others(lab: Lab, fields: dict[str, Any]) -> None:
    stack = lab.stacks["router"]
    stack.listeners["r0", PROTOCOL] += 1
    effects = stack.send_packet(datagram(src=NEAR, dst=NEAR, **fields), None, lab.now)
    assert not [effect for effect in effects if isinstance(effect, Deliver)]


def test_timestamps_are_of_the_day_and_by_the_addresses_given(lab: Lab) -> None:
    lab.now = MIDNIGHT + 1.5
    given = b"\x44\x14\x05\x03" + R1.address.ip.packed + bytes(4) + S0.address.ip.packed + bytes(4)
    lab.send(datagram(options=given))
    stamp = (1500).to_bytes(4)
    passed = b"\x44\x14\x0d\x03" + R1.address.ip.packed + stamp + S0.address.ip.packed
    assert lab.packets[0][1][20:36] == passed
    error = lab.packets[1][1]
    assert error[20:40] == b"\x44\x14\x15\x03" + passed[4:] + stamp
