"""A simulated host's IPv4 as transcripts: what goes in, what comes out. All of it was seen on Linux 6.18, too."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP

from ipl_tui.networks.interface import SendError
from ipl_tui.networks.reassembly import MOST_BYTES, MOST_DATAGRAMS, write_checksum
from ipl_tui.networks.simulated.effects import Sent, Unreachable
from ipl_tui.networks.simulated.neighbours import INTERVAL, MOST_ASKED, MOST_KNOWN
from ipl_tui.networks.topology import PATH, Port
from ipl_tui.packets.checksum import internet_checksum
from tests.networks.simulated.hosts import (
    CLIENT_ADDRESS,
    ELSEWHERE,
    FAR,
    FAR_END,
    NEAR,
    R0,
    SERVER_ADDRESS,
    Lab,
    acquainted,
    arp,
    datagram,
    echo,
    ether,
    tcp,
    udp,
)

# What becomes of a packet that the client puts on its link: the packets that hosts send (port, what, TTL, offset in
# units of 8 bytes with + for More Fragments), and words of the reason why the first that goes no further does not.
TRANSCRIPTS: dict[str, tuple[bytes, list[str], str]] = {
    "nobody listens": (datagram(), ["r1 253 63", "s0 3/2 64", "r0 3/2 63"], "server discards it: nobody there listens"),
    "for the router": (datagram(dst=NEAR, ttl=1), ["r0 3/2 64"], "protocol 253 (RFC 1122 §3.2.2.1); protocol unreach"),
    "for its other port": (datagram(dst=FAR), ["r0 3/2 64"], "router discards it: nobody there listens"),
    "IGMP": (datagram(proto=2), ["r1 2 63"], "takes IGMP itself"),
    # Header (RFC 1122 §3.2.1, RFC 1812 §5.2.2)
    "wrong checksum": (datagram(chksum=1), [], "Header Checksum is wrong"),
    "version 6": (datagram(version=6), [], "Version is 6"),
    "IHL 4": (datagram(ihl=4), [], "IHL is 4"),
    "IHL beyond the packet": (datagram(ihl=15), [], "IHL says 60 bytes of header, and 33 bytes came"),
    "length beyond the packet": (datagram(len=34), [], "Total Length is 34, and 33 bytes came"),
    "length below the header": (datagram(len=19), [], "Total Length is 19, less than its header's 20"),
    "less than a header": (datagram()[:19], [], "it has 19 bytes, and a header has 20 at least"),
    "a byte": (b"E", [], "it has 1 byte, and"),
    "nothing": (b"", [], "it has 0 bytes, and"),
    "reserved flag": (datagram(flags="evil"), ["r1 253 63", "s0 3/2 64", "r0 3/2 63"], "nobody there listens"),
    # Addresses (RFC 1812 §5.3.7)
    "from the router itself": (datagram(src=FAR), [], "Source Address 10.0.2.1 is the router's own"),
    "from a group": (datagram(src="224.0.0.1"), [], "not one that a host can have"),
    "from 0.0.0.0": (datagram(src="0.0.0.0"), [], "not one that a host can have"),
    "from 127.0.0.1": (datagram(src="127.0.0.1"), [], "not one that a host can have"),
    "from the limited broadcast": (datagram(src="255.255.255.255"), [], "not one that a host can have"),
    "from another's address": (datagram(src=SERVER_ADDRESS), ["r1 253 63"], "Source Address 10.0.2.20 is the server's"),
    "to 0.0.0.0": (datagram(dst="0.0.0.0"), [], "never on a link"),
    "to 127.0.0.1": (datagram(dst="127.0.0.1"), [], "never on a link"),
    "to a group": (datagram(dst="239.1.2.3"), [], "not in the multicast group 239.1.2.3"),
    "to all systems": (datagram(dst="224.0.0.1"), [], "no error is sent about a packet for several"),
    "to the subnet's broadcast": (datagram(dst="10.0.1.255"), [], "no error is sent about a packet for several"),
    "to the other subnet's": (datagram(dst="10.0.2.255"), [], "no error is sent about a packet for several"),
    "to the limited broadcast": (datagram(dst="255.255.255.255"), [], "no error is sent about a packet for several"),
    "from nobody yet to all": (datagram(src="0.0.0.0", dst="255.255.255.255"), [], "a packet for several"),
    "no route": (datagram(dst=ELSEWHERE), ["r0 3/0 64"], "no route to 192.0.2.1"),
    "no route, no way back": (datagram(src="192.0.2.9", dst=ELSEWHERE), [], "no route to 192.0.2.1"),
    # Time to Live (RFC 1812 §5.3.1)
    "TTL 0": (datagram(ttl=0), ["r0 11/0 64"], "The router discards it: its Time to Live is used up (RFC 1812 §5.3.1)"),
    "TTL 1": (datagram(ttl=1), ["r0 11/0 64"], "is used up (RFC 1812 §5.3.1); time exceeded goes back."),
    "TTL 2": (datagram(ttl=2), ["r1 253 1", "s0 3/2 64", "r0 3/2 63"], "nobody there listens"),
    # No errors about these (RFC 1122 §3.2.2)
    "TTL 1, an error": (datagram(ICMP(type=3) / bytes(28), proto=1, ttl=1), [], "about an ICMP error"),
    "TTL 1, unknown ICMP": (datagram(ICMP(type=42), proto=1, ttl=1), [], "about an ICMP error"),
    "TTL 1, no ICMP type": (datagram(b"", proto=1, ttl=1), [], "about an ICMP error"),
    "TTL 1, echo": (echo(ttl=1), ["r0 11/0 64"], "used up"),
    "TTL 1, a later fragment": (datagram(ttl=1, frag=9), [], "about a fragment that is not the first"),
    "TTL 1, a first fragment": (datagram(ttl=1, flags="MF"), ["r0 11/0 64"], "used up"),
    # MTU (RFC 1191 §4, RFC 791 §3.2)
    "fits": (datagram(bytes(556), flags="DF"), ["r1 253 63", "s0 3/2 64", "r0 3/2 63"], "nobody there listens"),
    "DF and too big": (datagram(bytes(557), flags="DF"), ["r0 3/4 64"], "577 bytes, r1 takes 576, and Don't Fragment"),
    "DF, too big and TTL 1": (datagram(bytes(557), flags="DF", ttl=1), ["r0 11/0 64"], "Time to Live"),
    "too big": (
        datagram(bytes(557)),
        ["r1 253 63 0+", "r1 253 63 69.", "s0 3/2 64", "r0 3/2 63"],
        "nobody there listens",
    ),
    "a fragment, too big": (
        datagram(bytes(1112), flags="MF", frag=3),
        ["r1 253 63 3+", "r1 253 63 72+", "r1 253 63 141+"],
        "",
    ),
    # ICMP queries (RFC 1122 §3.2.2.6, §3.2.2.8)
    "echo": (echo(), ["r1 echo 63", "s0 echo-reply 64", "r0 echo-reply 63"], ""),
    "long echo": (
        echo(900),
        ["r1 echo 63 0+", "r1 1 63 69.", "s0 echo-reply 64 0+", "s0 1 64 69.", "r0 echo-reply 63 0+", "r0 1 63 69."],
        "",
    ),
    "echo to all": (echo(dst="10.0.1.255"), [], "asks several hosts at once"),
    "echo with a wrong checksum": (datagram(ICMP(chksum=1), proto=1), ["r1 echo 63"], "no ICMP message with a right"),
    "half an echo": (datagram(b"\x08\0\xf7\xff", proto=1, dst=NEAR), [], "no ICMP message"),
    "timestamp": (datagram(ICMP(type=13), proto=1, dst=NEAR), ["r0 14/0 64"], ""),
    "short timestamp": (datagram(b"\x0d\0\xf2\xff" + bytes(4), proto=1, dst=NEAR), [], ""),
    "address mask": (datagram(ICMP(type=17), proto=1, dst=NEAR), [], ""),
    "an error arrives": (datagram(ICMP(type=3, code=2) / bytes(28), proto=1, dst=NEAR), [], ""),
    # UDP and TCP (RFC 1122 §4.1.3.1, RFC 9293 §3.10.7.1)
    "UDP": (udp(dst=NEAR), ["r0 3/3 64"], "UDP port 9 is closed"),
    "UDP without a checksum": (
        datagram(bytes.fromhex("0005 0009 0008 0000"), proto=17, dst=NEAR),
        ["r0 3/3 64"],
        "port 9",
    ),
    "UDP with a wrong checksum": (
        datagram(bytes.fromhex("0005 0009 0008 0001"), proto=17, dst=NEAR),
        [],
        "UDP checksum",
    ),
    "UDP longer than its packet": (
        datagram(bytes.fromhex("0005 0009 0009 0000"), proto=17, dst=NEAR),
        [],
        "UDP length",
    ),
    "half a UDP header": (datagram(bytes.fromhex("0005 0009"), proto=17, dst=NEAR), [], "UDP length"),
    "UDP to all": (udp(dst="10.0.1.255"), [], "a packet for several"),
    "TCP": (tcp(flags="S"), ["r1 6 63", "s0 6 64", "r0 6 63"], "TCP port 9 is closed; a reset goes back"),
    "TCP reset": (tcp(flags="R"), ["r1 6 63"], ""),
    "TCP with a wrong checksum": (tcp(flags="S", chksum=1), ["r1 6 63"], "no TCP segment that one can answer"),
    "TCP header too short": (tcp(flags="S", dataofs=4), ["r1 6 63"], "no TCP segment"),
    "half a TCP header": (datagram(b"hello", proto=6, dst=NEAR), [], "no TCP segment"),
    # Options (RFC 791 §3.1; more of them in test_options.py)
    "options that make no sense": (datagram(options=b"\x07\x02\0\0"), ["r0 12/0 64"], "byte 21 of its header, in the"),
    "and TTL 1": (datagram(options=b"\x07\x02\0\0", ttl=1), ["r0 12/0 64"], "byte 21 of its header"),
    "and for all": (datagram(options=b"\x07\x02\0\0", dst="10.0.1.255"), [], "a packet for several"),
    "source route": (datagram(options=b"\x83\x07\x04\x0a\0\x02\x14\0"), [], "says its own route"),
    "source route, then nonsense": (datagram(options=b"\x83\x07\x04\x0a\0\x02\x14\x07"), ["r0 12/0 64"], "byte 27"),
    "half gone source route, then nonsense": (
        datagram(options=b"\x83\x07\x08\x0a\0\x02\x14\x07"),
        [],
        "way of its own",
    ),
}


@pytest.mark.parametrize(("packet", "transcript", "reason"), TRANSCRIPTS.values(), ids=TRANSCRIPTS.keys())
def test_a_packet_from_the_client(lab: Lab, packet: bytes, transcript: list[str], reason: str) -> None:
    lab.send(packet)
    assert lab.transcript == transcript
    assert reason in "".join(lab.reasons[:1])
    assert bool(reason) == bool(lab.reasons)


FRAME_ENDS = st.sampled_from(
    [b"", *(bytes(option) for option in ([7, 11, 4], [68, 12, 5, 1], [131, 7, 4], [0], [1, 1, 7]))]
)


@st.composite
def mutated_packets(draw: st.DrawFn) -> bytes:
    """Valid packets with any options, any bytes of their header changed, and mostly a right checksum again."""
    options = draw(FRAME_ENDS) + draw(st.binary(max_size=34))
    packet = bytearray(
        datagram(
            draw(st.binary(max_size=40) | st.just(bytes(1400))),
            options[: len(options) & ~3],
            proto=draw(st.sampled_from([1, 6, 17, 2, 253])),
            dst=draw(
                st.sampled_from([SERVER_ADDRESS, NEAR, FAR, CLIENT_ADDRESS, "10.0.2.99", "224.0.0.1", "10.0.1.255"])
            ),
            flags=draw(st.sampled_from(["", "DF", "MF"])),
            frag=draw(st.sampled_from([0, 0, 1, 8191])),
            ttl=draw(st.sampled_from([0, 1, 2, 64])),
        )
    )
    for at, value in draw(st.dictionaries(st.integers(0, 19), st.integers(0, 255), max_size=2)).items():
        packet[at] = value
    if draw(st.integers(0, 9)):
        write_checksum(packet)
    return bytes(packet)


def arrive_everywhere(lab: Lab, frame: bytes) -> None:
    for port in PATH:
        lab.put(FAR_END[port].hardware_address + frame[6:], port)
        lab.put(frame, port)


@settings(max_examples=300, deadline=None)
@given(st.lists(mutated_packets(), max_size=4))
def test_whatever_packets_come_what_hosts_send_is_right(packets: list[bytes]) -> None:
    lab = acquainted()
    for packet in packets:
        arrive_everywhere(lab, ether(packet))
    lab.wait(40)
    for port, frame in lab.frames:
        assert frame[6:12] == port.hardware_address
        if frame[12:14] == b"\x08\x00":
            packet = frame[14:]
            assert packet[0] >> 4 == 4
            assert internet_checksum(packet[: (packet[0] & 15) * 4]) == 0
            assert int.from_bytes(packet[2:4]) == len(packet) <= lab.mtus[port.name]
    assert all(stack.due() is None for stack in lab.stacks.values())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.sampled_from([b"\x08\x00", b"\x08\x06", b""]))
@example(b"", b"")
@example(b"\x00\x01\x08\x00\x06\x04" + bytes(22), b"\x08\x06")
def test_any_bytes_are_a_frame(data: bytes, ethertype: bytes) -> None:
    lab = acquainted()
    arrive_everywhere(lab, bytes(12) + ethertype + data)
    lab.put(data)
    lab.wait(40)


@settings(max_examples=200, deadline=None)
@given(mutated_packets() | st.binary(max_size=40), st.sampled_from(PATH), st.booleans())
def test_whatever_is_sent_is_sent_or_refused(packet: bytes, port: Port, bound: bool) -> None:
    lab = acquainted()
    stack = lab.stacks[port.host]
    for method in ("exact", "kernel"):
        try:
            if method == "exact":
                effects = stack.send_frame(port, packet, 1, lab.now)
            else:
                effects = stack.send_packet(packet, port if bound else None, lab.now)
        except SendError as error:
            assert str(error).endswith(".")
        else:
            lab.carry_out(effects)
    lab.wait(40)
    tickets = [effect.ticket for effect in lab.effects if isinstance(effect, Sent | Unreachable)]
    assert len(tickets) <= 1


def test_a_flood_leaves_bounded_state(lab: Lab) -> None:
    stack = lab.stacks["router"]
    for number in range(500):
        fragment = datagram(bytes(1000), dst=NEAR, flags="MF", id=number, frag=number % 3)
        host = f"10.0.{1 + number % 2}.{100 + number % 140}"
        stack.receive(R0, ether(fragment), lab.now)
        stack.receive(R0, ether(datagram(dst=host)), lab.now)
        stack.receive(R0, arp(psrc=f"10.9.{number % 256}.{number % 250}"), lab.now)
    assert len(stack._reassembly) <= MOST_DATAGRAMS
    assert stack._reassembly.kept <= MOST_BYTES
    assert len(stack._neighbours) <= MOST_KNOWN + MOST_ASKED
    lab.send(echo(dst=NEAR))
    lab.wait(INTERVAL)  # the client was crowded out, too: it is asked for again
    assert "r0 echo-reply 64" in lab.transcript
