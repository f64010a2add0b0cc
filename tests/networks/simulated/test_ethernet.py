"""How a simulated host finds its neighbours (RFC 826), and what waits for them."""

import pytest
from scapy.layers.inet import IP
from scapy.layers.l2 import ARP, Ether

from ipl_tui.networks.simulated.effects import Discard, Sent, Unreachable
from ipl_tui.networks.simulated.neighbours import INTERVAL, MOST_ASKED, REQUESTS
from tests.networks.simulated.hosts import (
    BROADCAST,
    C0,
    CLIENT_ADDRESS,
    FAR,
    NEAR,
    R0,
    R1,
    S0,
    Lab,
    arp,
    datagram,
)


@pytest.mark.parametrize("target", [NEAR, FAR])
def test_arp_is_answered_for_any_own_address(target: str) -> None:
    lab = Lab()
    lab.put(arp(pdst=target))
    assert lab.frames == [
        (
            R0,
            bytes(
                Ether(src=R0.hardware_address, dst=C0.hardware_address)
                / ARP(op=2, hwsrc=R0.hardware_address, psrc=target, hwdst=C0.hardware_address, pdst=CLIENT_ADDRESS)
            ),
        )
    ]
    lab.frames.clear()
    lab.send(datagram(ttl=1))
    assert len(lab.frames) == 1, "who asked is known, and not asked for"


@pytest.mark.parametrize(
    "frame",
    [
        arp(pdst="10.0.1.77"),
        arp(psrc=FAR),
        arp(psrc="224.0.0.1"),
        arp(psrc="255.255.255.255"),
        arp(psrc="127.0.0.1"),
        arp(op=2),
        arp(op=3),
        arp(hwtype=6),
        arp(ptype=0x86DD),
        arp()[:41],
    ],
    ids=["another's", "own", "group", "broadcast", "loopback", "reply", "reverse", "hardware", "protocol", "cut short"],
)
def test_other_arp_is_not_answered_and_teaches_nothing(frame: bytes) -> None:
    lab = Lab()
    lab.put(frame)
    assert lab.effects == []
    lab.send(datagram(ttl=1))
    assert lab.frames[0][1][12:14] == b"\x08\x06", "the client is still asked for"


def test_an_address_probe_is_answered() -> None:
    lab = Lab()
    lab.put(arp(psrc="0.0.0.0"))  # RFC 5227 §2.1.1
    assert [frame[12:14] for _, frame in lab.frames] == [b"\x08\x06"]


def test_a_packet_waits_for_its_next_hop() -> None:
    lab = Lab()
    lab.send(datagram(), C0)
    kinds = [(port.name, frame[12:14].hex(), frame[:6]) for port, frame in lab.frames]
    assert kinds[:3] == [
        ("r1", "0806", BROADCAST),
        ("s0", "0806", R1.hardware_address),
        ("r1", "0800", S0.hardware_address),
    ]


def test_nobody_answers_arp(lab: Lab) -> None:
    lab.send(datagram(dst="10.0.2.99", ttl=9))
    lab.send(datagram(dst="10.0.2.99", ttl=9, frag=8))
    given = lab.now
    lab.wait((REQUESTS - 1) * INTERVAL + 0.5)
    assert [frame[12:14] for _, frame in lab.frames] == [b"\x08\x06"] * REQUESTS
    assert lab.reasons == []
    lab.wait(INTERVAL)
    assert lab.transcript == ["r0 3/1 64"], "and none about the later fragment"
    assert IP(lab.packets[0][1][28:]).ttl == 8, "as it would have left"
    cause = "The router discards it: nobody at 10.0.2.99 answers ARP (RFC 1812 §3.3.2)"
    assert [effect for effect in lab.effects if isinstance(effect, Discard)] == [
        Discard(f"{cause}; host unreachable goes back.", R0, given),
        Discard(f"{cause}; no error is sent about a fragment that is not the first.", R0, given),
    ]
    assert lab.stacks["router"].due() is None


def test_an_answer_to_arp_is_good_for_a_minute(lab: Lab) -> None:
    lab.wait(59)
    lab.send(datagram())
    assert len(lab.frames) == 3
    lab.wait(2)
    lab.send(datagram())
    assert (R1, BROADCAST) in [(port, frame[:6]) for port, frame in lab.frames]


def test_too_many_packets_wait() -> None:
    lab = Lab()
    for _ in range(200):
        lab.send(datagram(bytes(1400), dst="10.0.2.99"))
    assert set(lab.reasons) == {"The router discards it: too many packets wait for an answer to ARP."}
    assert 300 < len(lab.reasons) < 400, "of 600 fragments"


def test_exact_waits_for_arp() -> None:
    lab = Lab()
    stack = lab.stacks["client"]
    lab.carry_out(stack.send_frame(C0, datagram(dst="10.0.1.77"), 1, lab.now))
    lab.carry_out(stack.send_frame(C0, datagram(dst="10.0.1.77"), 2, lab.now))
    lab.carry_out(stack.send_frame(C0, datagram(dst="10.0.2.99"), 3, lab.now))
    assert [effect for effect in lab.effects if isinstance(effect, Sent)] == [Sent(3)]
    lab.wait(REQUESTS * INTERVAL)
    assert [effect for effect in lab.effects if isinstance(effect, Unreachable)] == [Unreachable(1), Unreachable(2)]
    assert stack.due() is None


def test_each_next_hop_is_asked_for_in_its_own_time(lab: Lab) -> None:
    stack = lab.stacks["client"]
    for ticket in (1, 2):
        lab.carry_out(stack.send_frame(C0, datagram(dst=f"10.0.1.{ticket + 100}"), ticket, lab.now))
        lab.wait(INTERVAL / 2)
    lab.wait(REQUESTS * INTERVAL - 0.75 * INTERVAL)
    assert [effect for effect in lab.effects if isinstance(effect, Unreachable)] == [Unreachable(1)]


def test_a_packet_that_makes_room_for_others_is_not_sent(lab: Lab) -> None:
    stack = lab.stacks["client"]
    for ticket in range(MOST_ASKED + 1):
        lab.carry_out(stack.send_frame(C0, datagram(dst=f"10.0.1.{ticket + 100}"), ticket, lab.now))
    assert [effect for effect in lab.effects if isinstance(effect, Unreachable)] == [Unreachable(0)]
