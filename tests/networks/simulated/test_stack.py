"""A simulated host's IPv4 as transcripts: what goes in, what comes out. All of it was seen on Linux 6.18, too."""

from collections import deque
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_RR
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from ipl_tui.networks.interface import SendError
from ipl_tui.networks.plan import HOSTS, PATH, Port
from ipl_tui.networks.reassembly import MOST_BYTES, MOST_DATAGRAMS, write_checksum
from ipl_tui.networks.simulated.effects import Deliver, Discard, Effect, Sent, Transmit, Unreachable
from ipl_tui.networks.simulated.neighbours import INTERVAL, MOST_ASKED, MOST_KNOWN, REQUESTS
from ipl_tui.networks.simulated.path_mtus import MOST_PATH_MTUS
from ipl_tui.networks.simulated.stack import Stack
from ipl_tui.packets.checksum import internet_checksum

CLIENT, ROUTER, SERVER = HOSTS
C0, R0, R1, S0 = PATH
FAR_END = {C0: R0, R0: C0, R1: S0, S0: R1}
CLIENT_ADDRESS, NEAR, FAR, SERVER_ADDRESS = (str(port.address.ip) for port in PATH)
ELSEWHERE = "192.0.2.1"
PROTOCOL = 253
BROADCAST = b"\xff" * 6
MIDNIGHT = 86_400.0 * 20_000
"""A midnight (UT), in seconds since 1970."""


class Lab:
    """The three hosts and their links, which take no time: who says what is written down."""

    def __init__(self) -> None:
        self.now = MIDNIGHT
        self.mtus = {"c0": 1500, "r0": 1500, "r1": 576, "s0": 576}
        self.stacks = {host.name: Stack(host, self.mtus.__getitem__) for host in HOSTS}
        self.frames: list[tuple[Port, bytes]] = []
        self.effects: list[Effect] = []

    def carry_out(self, effects: list[Effect]) -> None:
        waiting = deque(effects)
        while waiting:
            effect = waiting.popleft()
            self.effects.append(effect)
            if isinstance(effect, Transmit):
                self.frames.append((effect.port, effect.frame))
                far = FAR_END[effect.port]
                waiting += self.stacks[far.host].receive(far, effect.frame, self.now)

    def send(self, packet: bytes, port: Port = C0, to: bytes = b"") -> None:
        """Put a packet on the link at a port, in a frame to the other end of it, or to any address."""
        self.put(ether(packet, port, to), port)

    def put(self, frame: bytes, port: Port = C0) -> None:
        far = FAR_END[port]
        self.carry_out(self.stacks[far.host].receive(far, frame, self.now))

    def wait(self, seconds: float) -> None:
        """Let time pass, and what is due happen when it is due."""
        end = self.now + seconds
        while True:
            dues = {name: due for name, stack in self.stacks.items() if (due := stack.due()) is not None and due <= end}
            if not dues:
                break
            name = min(dues, key=dues.__getitem__)
            self.now = max(self.now, dues[name])
            self.carry_out(self.stacks[name].tick(self.now))
        self.now = end

    @property
    def packets(self) -> list[tuple[str, bytes]]:
        """The IPv4 packets that hosts sent so far, each by the port where it left."""
        return [(port.name, frame[14:]) for port, frame in self.frames if frame[12:14] == b"\x08\x00"]

    @property
    def transcript(self) -> list[str]:
        return [f"{port} {describe(packet)}" for port, packet in self.packets]

    @property
    def reasons(self) -> list[str]:
        return [effect.reason for effect in self.effects if isinstance(effect, Discard)]

    @property
    def delivered(self) -> list[bytes]:
        return [effect.packet for effect in self.effects if isinstance(effect, Deliver)]


@pytest.fixture
def lab() -> Lab:
    return acquainted()


def acquainted() -> Lab:
    """Hosts that know their neighbours already."""
    lab = Lab()
    lab.send(datagram(payload=ICMP(), proto=1))
    assert lab.transcript == ["r1 echo 63", "s0 echo-reply 64", "r0 echo-reply 63"]
    lab.frames.clear()
    lab.effects.clear()
    return lab


def ether(packet: bytes, port: Port = C0, to: bytes = b"") -> bytes:
    return (to or FAR_END[port].hardware_address) + port.hardware_address + b"\x08\x00" + packet


def datagram(payload: bytes | Packet = b"ClientMessage", options: bytes = b"", **fields: Any) -> bytes:
    values: dict[str, Any] = {"src": CLIENT_ADDRESS, "dst": SERVER_ADDRESS, "id": 7, "proto": PROTOCOL, **fields}
    body = Raw(payload) if isinstance(payload, bytes) else payload
    packet = bytearray(bytes(IP(**values) / body))
    if options:
        packet[20:20] = options
        packet[0] += len(options) // 4
        packet[2:4] = len(packet).to_bytes(2)
        write_checksum(packet)
    return bytes(packet)


def udp(**fields: Any) -> bytes:
    return datagram(UDP(sport=5, dport=9) / b"hello", proto=17, **fields)


def tcp(payload: bytes = b"", **header: Any) -> bytes:
    return datagram(TCP(sport=5, dport=9, **header) / payload, proto=6)


def echo(size: int = 8, **fields: Any) -> bytes:
    return datagram(ICMP(id=5, seq=6) / bytes(size), proto=1, **fields)


def describe(packet: bytes) -> str:
    """A packet in a few words: what it is, its TTL, and what matters beyond."""
    parsed = IP(packet)
    assert internet_checksum(packet[: parsed.ihl * 4]) == 0
    words = [str(parsed.proto)]
    if parsed.frag == 0 and ICMP in parsed:
        words = [parsed[ICMP].sprintf("%ICMP.type%")]
        if parsed[ICMP].type not in (0, 8):
            words = [f"{parsed[ICMP].type}/{parsed[ICMP].code}"]
    words.append(str(parsed.ttl))
    if parsed.frag or parsed.flags.MF:
        words.append(f"{parsed.frag}{'+' if parsed.flags.MF else '.'}")
    return " ".join(words).replace("echo-request", "echo")


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
    "less than a header": (datagram()[:19], [], "its 19 bytes are less than a header"),
    "nothing": (b"", [], "its 0 bytes"),
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


def test_a_host_that_is_no_router_passes_nothing_on(lab: Lab) -> None:
    lab.send(datagram(dst=ELSEWHERE), R1)
    assert (lab.transcript, lab.reasons) == (
        [],
        ["The server discards it: 192.0.2.1 is no address of this host, which is no router (RFC 1122 §3.2.1.3)."],
    )


def test_what_is_passed_on_is_the_same_but_for_ttl_and_checksum(lab: Lab) -> None:
    packet = datagram(bytes(range(256)), tos=0xB9, flags="DF", ttl=9)
    lab.send(packet + b"padding")
    _, passed = lab.packets[0]
    assert passed[8] == 8
    assert passed[10:12] == (int.from_bytes(packet[10:12]) + 0x100).to_bytes(2)
    assert passed[:8] + passed[9:10] + passed[12:] == packet[:8] + packet[9:10] + packet[12:]


@pytest.mark.parametrize(("before", "after"), [(0xFE00, 0xFF00), (0xFEFF, 0x0000), (0xFF80, 0x0081), (0xFF00, 0x0001)])
def test_the_checksum_is_updated_with_end_around_carry(lab: Lab, before: int, after: int) -> None:
    plain = datagram(id=0)
    identification = (int.from_bytes(plain[10:12]) - before) % 0xFFFF  # RFC 1624
    packet = datagram(id=identification)
    assert packet[10:12] == before.to_bytes(2)
    lab.send(packet)
    _, passed = lab.packets[0]
    assert (passed[10:12], internet_checksum(passed[:20])) == (after.to_bytes(2), 0)


def test_an_error_quotes_the_packet_as_it_was(lab: Lab) -> None:
    packet = datagram(ttl=1, tos=0xFF)
    lab.send(packet + b"padding")
    _, error = lab.packets[0]
    parsed = IP(error)
    assert (parsed.src, parsed.dst, parsed.tos, parsed.flags, parsed.frag) == (NEAR, CLIENT_ADDRESS, 0xDE, 0, 0)
    assert parsed.id != 0
    assert internet_checksum(error[20:]) == 0
    assert error[28:] == packet


def test_an_error_has_576_bytes_at_most(lab: Lab) -> None:
    packet = datagram(bytes(1000), ttl=1)
    lab.send(packet)
    _, error = lab.packets[0]
    assert (len(error), error[28:]) == (576, packet[:548])


def test_an_error_is_no_longer_than_its_link_takes(lab: Lab) -> None:
    lab.mtus["r0"] = 68
    lab.send(datagram(bytes(1000), ttl=1))
    assert [len(packet) for _, packet in lab.packets] == [68]


def test_an_error_with_no_room_for_a_header_is_not_sent(lab: Lab) -> None:
    lab.mtus["r0"] = 68
    lab.send(datagram(ttl=1, options=b"\x07\x17\x18" + bytes(21)))  # the options go back, too
    assert lab.transcript == []


def test_fragmentation_needed_tells_the_mtu(lab: Lab) -> None:
    lab.mtus["r1"] = 100
    lab.send(datagram(bytes(100), flags="DF"))
    assert IP(lab.packets[0][1])[ICMP].nexthopmtu == 100  # RFC 1191 §4


def test_an_error_comes_from_the_port_it_leaves_by(lab: Lab) -> None:
    lab.send(datagram(ttl=1, src="10.0.2.20"))
    assert [(port, IP(packet).src) for port, packet in lab.packets] == [("r1", FAR)]


def test_what_was_for_the_host_is_answered_from_the_address_asked(lab: Lab) -> None:
    for packet in (datagram(dst=FAR), echo(dst=FAR), udp(dst=FAR)):
        lab.send(packet)
    assert [IP(packet).src for _, packet in lab.packets] == [FAR] * 3


def test_udp_is_quoted_without_what_follows_it(lab: Lab) -> None:
    packet = datagram(bytes.fromhex("0005 0009 0008 0000") + b"more", proto=17, dst=NEAR)
    lab.send(packet)
    assert lab.packets[0][1][28:] == packet[:28]


def test_an_echo_reply_is_the_request_turned_round(lab: Lab) -> None:
    request = datagram(ICMP(id=0x1234, seq=0x5678, code=3) / b"odd", proto=1, dst=NEAR, tos=0xFF, flags="DF")
    lab.send(request)
    _, reply = lab.packets[0]
    assert (reply[1], reply[6:8], reply[8], reply[20:22]) == (0xFF, b"\0\0", 64, b"\0\x03")
    assert (reply[24:], internet_checksum(reply[20:])) == (request[24:], 0)


def test_the_reply_to_an_empty_echo_request_has_no_checksum(lab: Lab) -> None:
    lab.send(datagram(ICMP(), proto=1, dst=NEAR))
    assert lab.packets[0][1][20:] == bytes(8)


def test_a_timestamp_reply_tells_the_time_of_day(lab: Lab) -> None:
    lab.now = MIDNIGHT + 3661.5
    lab.send(datagram(ICMP(type=13, id=3, seq=4, ts_ori=77), proto=1, dst=NEAR))
    reply = IP(lab.packets[0][1])[ICMP]
    assert (reply.id, reply.seq, reply.ts_ori, reply.ts_rx, reply.ts_tx) == (3, 4, 77, 3_661_500, 3_661_500)


@pytest.mark.parametrize(
    ("segment", "flags", "seq", "ack"),
    [
        (tcp(flags="S", seq=77), "RA", 0, 78),
        (tcp(flags="FA", seq=77, ack=99), "R", 99, 0),
        (tcp(b"hello", flags="F", seq=0xFFFFFFFE), "RA", 0, 4),
    ],
)
def test_a_reset(lab: Lab, segment: bytes, flags: str, seq: int, ack: int) -> None:
    lab.send(segment[:1] + b"\xff" + segment[2:10] + b"\0\0" + segment[12:])
    assert lab.packets == []  # that header was wrong: nothing went on
    lab.send(segment)
    reset = IP(lab.packets[1][1])
    assert (reset[TCP].flags, reset[TCP].seq, reset[TCP].ack, reset[TCP].window) == (flags, seq, ack, 0)
    assert (reset[TCP].sport, reset[TCP].dport, reset.flags, reset.id) == (9, 5, "DF", 0)
    right = reset.copy()
    del right[TCP].chksum
    assert IP(bytes(right))[TCP].chksum == reset[TCP].chksum


def test_record_route_names_the_ports_that_a_packet_leaves_by(lab: Lab) -> None:
    lab.stacks["server"].listeners["s0", 1] += 1
    lab.stacks["client"].listeners["c0", 1] += 1
    route = b"\x07\x17\x04" + bytes(20) + b"\0"
    lab.send(echo(options=route))
    request, _, reply = (IP(packet) for _, packet in lab.packets)
    assert request[IPOption_RR].routers[:2] == [FAR, "0.0.0.0"]
    assert reply[IPOption_RR].routers == [FAR, SERVER_ADDRESS, SERVER_ADDRESS, NEAR, "0.0.0.0"]
    for packet in (request, reply):
        assert internet_checksum(bytes(packet)[: packet.ihl * 4]) == 0
    arrived = IP(lab.delivered[-1])
    assert arrived[IPOption_RR].routers == [FAR, SERVER_ADDRESS, SERVER_ADDRESS, NEAR, CLIENT_ADDRESS]


def test_timestamps_are_of_the_day_and_by_the_addresses_given(lab: Lab) -> None:
    lab.now = MIDNIGHT + 1.5
    given = b"\x44\x14\x05\x03" + R1.address.ip.packed + bytes(4) + S0.address.ip.packed + bytes(4)
    lab.send(datagram(options=given))
    stamp = (1500).to_bytes(4)
    passed = b"\x44\x14\x0d\x03" + R1.address.ip.packed + stamp + S0.address.ip.packed
    assert lab.packets[0][1][20:36] == passed
    error = lab.packets[1][1]
    assert error[20:40] == b"\x44\x14\x15\x03" + passed[4:] + stamp


def test_options_with_room_for_half_an_entry_have_no_answer(lab: Lab) -> None:
    lab.send(echo(dst=NEAR, options=b"\x07\x0a\x04" + bytes(9)))
    assert lab.transcript == []


def test_the_options_go_back_with_an_error(lab: Lab) -> None:
    lab.send(datagram(options=b"\x07\x0b\x04" + bytes(8) + b"\0", ttl=1))
    error = IP(lab.packets[0][1])
    assert error[IPOption_RR].routers == [NEAR, NEAR]


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


def test_a_listener_is_given_the_packet_and_the_host_is_quiet(lab: Lab) -> None:
    listeners = lab.stacks["server"].listeners
    listeners["s0", PROTOCOL] += 1
    lab.send(datagram() + b"padding")
    assert lab.transcript == ["r1 253 63"]
    assert lab.delivered == [lab.packets[0][1]]
    listeners["s0", PROTOCOL] -= 1
    lab.send(datagram())
    assert lab.transcript[1:] == ["r1 253 63", "s0 3/2 64", "r0 3/2 63"]


def test_listeners_to_icmp_and_udp_do_not_silence_the_host(lab: Lab) -> None:
    listeners = lab.stacks["router"].listeners
    listeners.update([("r0", 1), ("r0", 17)])
    for packet in (echo(dst=NEAR), udp(dst=NEAR), udp(dst="10.0.1.255")):
        lab.send(packet)
    assert lab.transcript == ["r0 echo-reply 64", "r0 3/3 64"]
    assert lab.delivered == [echo(dst=NEAR), udp(dst=NEAR), udp(dst="10.0.1.255")]


def test_a_listener_hears_what_arrives_at_its_own_port(lab: Lab) -> None:
    lab.stacks["router"].listeners["r1", PROTOCOL] += 1
    lab.send(datagram(dst=FAR))
    assert (lab.transcript, lab.delivered) == (["r0 3/2 64"], [])
    effects = lab.stacks["router"].send_packet(datagram(src=NEAR, dst=FAR), None, lab.now)
    assert effects == [Deliver(datagram(src=NEAR, dst=FAR), R1)]


def test_a_packet_that_goes_back_where_it_came_from_is_redirected(lab: Lab) -> None:
    lab.send(datagram(dst=CLIENT_ADDRESS, src="10.0.1.77"))
    lab.send(datagram(dst=CLIENT_ADDRESS, src=SERVER_ADDRESS))  # comes from elsewhere
    assert lab.transcript[0] == "r0 253 63"
    assert lab.transcript.count("r0 253 63") == 2
    lab.wait(1)
    lab.put(bytes(Ether(src=S0.hardware_address, dst=BROADCAST) / ARP(psrc="10.0.1.77", pdst=NEAR)))
    assert "r0 5/1 64" in lab.transcript  # RFC 1812 §5.2.7.2


# Reassembly (RFC 791 §3.2, RFC 1122 §3.3.2)


def halves(**fields: Any) -> tuple[bytes, bytes]:
    return datagram(b"Client_M", flags="MF", **fields), datagram(b"essage", frag=1, **fields)


def test_fragments_are_put_together_before_they_are_delivered(lab: Lab) -> None:
    lab.stacks["router"].listeners["r0", PROTOCOL] += 1
    first, last = halves(dst=NEAR)
    lab.send(last)
    assert lab.effects == []
    lab.send(first)
    assert lab.delivered == [datagram(b"Client_Message", dst=NEAR)]
    assert lab.stacks["router"].due() is None


def test_a_missing_fragment_is_given_up(lab: Lab) -> None:
    first, _ = halves(dst=NEAR)
    lab.send(first)
    sent = lab.now
    lab.wait(29.9)
    assert lab.effects == []
    lab.wait(0.2)
    assert lab.transcript == ["r0 11/1 64"]
    assert lab.packets[0][1][28:] == first
    reason = (
        "The router discards it: the rest of its fragments did not come within 30 seconds (RFC 1122 §3.3.2); "
        "time exceeded goes back."
    )
    assert lab.effects[0] == Discard(reason, R0, sent)


def test_without_the_first_fragment_nobody_is_told(lab: Lab) -> None:
    _, last = halves(dst=NEAR)
    lab.send(last)
    lab.wait(31)
    assert (lab.transcript, len(lab.reasons)) == ([], 1)
    assert lab.reasons[0].endswith("; without the first of them no error is sent.")


def test_every_fragment_of_a_spoilt_datagram_is_discarded(lab: Lab) -> None:
    lab.send(datagram(bytes(16), flags="MF", dst=NEAR))
    lab.send(datagram(bytes(16), flags="MF", frag=1, dst=NEAR))
    assert lab.reasons == ["The router discards it: the datagram is spoilt, its fragments overlap (RFC 791 §3.2)."] * 2


# ARP (RFC 826)


def arp(op: int = 1, psrc: str = CLIENT_ADDRESS, pdst: str = NEAR, to: bytes = BROADCAST, **fields: Any) -> bytes:
    message = ARP(op=op, hwsrc=C0.hardware_address, psrc=psrc, pdst=pdst, **fields)
    return bytes(Ether(src=C0.hardware_address, dst=to) / message)


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


# Sending


def test_exact_sends_the_bytes_as_they_are(lab: Lab) -> None:
    packet = datagram(version=6, chksum=3, len=9, ihl=1)
    effects = lab.stacks["client"].send_frame(C0, packet, 5, lab.now)
    assert isinstance(effects[0], Transmit)
    lab = acquainted()
    effects = lab.stacks["server"].send_frame(S0, packet[:16] + C0.address.ip.packed, 5, lab.now)
    assert effects == [Transmit(S0, ether(packet[:16] + C0.address.ip.packed, S0)), Sent(5)]


@pytest.mark.parametrize(
    ("destination", "hardware_address"),
    [
        ("10.0.2.255", BROADCAST),
        ("255.255.255.255", BROADCAST),
        ("224.1.2.3", b"\x01\x00\x5e\x01\x02\x03"),
        ("239.255.255.254", b"\x01\x00\x5e\x7f\xff\xfe"),
    ],
)
def test_exact_to_several(lab: Lab, destination: str, hardware_address: bytes) -> None:
    packet = datagram(dst=destination)
    effects = lab.stacks["server"].send_frame(S0, packet, 5, lab.now)
    assert effects == [Transmit(S0, ether(packet, S0, hardware_address)), Sent(5)]


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


@pytest.mark.parametrize(
    ("port", "packet", "problem"),
    [
        (C0, bytes(19), "A packet begins with a header of 20 bytes; this one has 19 bytes."),
        (C0, datagram(dst=CLIENT_ADDRESS), "10.0.1.10 is the client's own address and no frame reaches it: kernel del"),
        (R0, datagram(dst=FAR), "10.0.2.1 is the router's own address and no frame reaches it: kernel delivers it."),
        (R0, datagram(dst="127.0.0.1"), "127.0.0.1 is the router's own address"),
        (R0, datagram(), "No route to 10.0.2.20 on r0: send from another interface."),
        (S0, datagram(bytes(557), dst=FAR), "The packet has 577 bytes and s0 takes 576 at most (its MTU)."),
    ],
)
def test_exact_refuses(lab: Lab, port: Port, packet: bytes, problem: str) -> None:
    with pytest.raises(SendError) as refusal:
        lab.stacks[port.host].send_frame(port, packet, 1, lab.now)
    assert str(refusal.value).startswith(problem)


def test_kernel_writes_length_checksum_source_and_identification(lab: Lab) -> None:
    stack = lab.stacks["server"]
    composed = datagram(src="0.0.0.0", dst=CLIENT_ADDRESS, id=0, len=9000, chksum=1, ttl=3, flags="evil", tos=9)
    lab.carry_out(stack.send_packet(composed, S0, lab.now))
    sent = IP(lab.packets[0][1])
    assert (sent.src, sent.len, sent.ttl, sent.flags, sent.tos) == (SERVER_ADDRESS, 33, 3, "evil", 9)
    assert sent.id != 0
    composed = datagram(src=ELSEWHERE, dst=CLIENT_ADDRESS, id=0, flags="DF")
    lab.frames.clear()
    lab.carry_out(stack.send_packet(composed, None, lab.now))
    assert lab.packets[0][1] == composed


@pytest.mark.parametrize(
    ("port", "packet", "problem"),
    [
        (S0, bytes(19), "A packet begins with a header of 20 bytes; this one has 19 bytes."),
        (S0, datagram(ihl=4), "The kernel refuses this header (IHL is below 5); exact sends it as it is."),
        (S0, datagram(ihl=15), "The kernel refuses this header (IHL says 60 bytes, the packet has 33); exact sends it"),
        (S0, datagram(bytes(557), dst=FAR), "The packet has 577 bytes and s0 takes 576 at most (its MTU)."),
        (S0, datagram() + bytes(65503), "The packet has 65,536 bytes and server takes 65,535 at most (its MTU)."),
        (None, datagram(dst=ELSEWHERE), "No route to 192.0.2.1 on r0: send from another interface."),
        (None, datagram(dst="224.0.0.1"), "No route to 224.0.0.1"),
    ],
)
def test_kernel_refuses(lab: Lab, port: Port | None, packet: bytes, problem: str) -> None:
    with pytest.raises(SendError) as refusal:
        lab.stacks[port.host if port else "router"].send_packet(packet, port, lab.now)
    assert str(refusal.value).startswith(problem)


@pytest.mark.parametrize(("destination", "port"), [(NEAR, R0), (FAR, None), ("127.0.0.1", None), ("0.0.0.0", None)])
def test_a_host_sends_to_itself(lab: Lab, destination: str, port: Port | None) -> None:
    stack = lab.stacks["router"]
    heard = [(name, proto) for name in ("r0", "r1", "lo") for proto in (1, PROTOCOL)]
    stack.listeners.update(heard)
    effects = stack.send_packet(datagram(src="0.0.0.0", dst=destination), port, lab.now)
    assert [type(effect) for effect in effects] == [Deliver]
    for name in ("r0", "r1", "lo"):
        stack.listeners[name, PROTOCOL] -= 1
    effects = stack.send_packet(datagram(src="0.0.0.0", dst=destination), port, lab.now)
    error = effects[-1]
    assert isinstance(error, Deliver), "protocol unreachable, to itself"
    assert error.packet[20:22] == b"\x03\x02"
    effects = stack.send_packet(echo(src=NEAR, dst=destination), port, lab.now)
    assert [describe(effect.packet) for effect in effects if isinstance(effect, Deliver)] == [
        "echo 64",
        "echo-reply 64",
    ]


@pytest.mark.parametrize(
    "fields", [{"version": 6}, {"options": b"\x07\x02\0\0"}, {"options": b"\x83\x07\x04" + bytes(5)}]
)
def test_a_host_does_not_take_from_itself_what_it_would_not_take_from_others(lab: Lab, fields: dict[str, Any]) -> None:
    stack = lab.stacks["router"]
    stack.listeners["r0", PROTOCOL] += 1
    effects = stack.send_packet(datagram(src=NEAR, dst=NEAR, **fields), None, lab.now)
    assert not [effect for effect in effects if isinstance(effect, Deliver)]


def test_a_spoofed_packet_to_oneself_is_answered_on_the_wire(lab: Lab) -> None:
    lab.carry_out(lab.stacks["router"].send_packet(datagram(dst=NEAR), R0, lab.now))
    assert lab.transcript == ["r0 3/2 64"]
    lab.carry_out(lab.stacks["router"].send_packet(datagram(dst="127.0.0.1"), None, lab.now))
    assert lab.transcript == ["r0 3/2 64"], "but not from 127.0.0.1"


def test_what_a_host_sends_to_all_it_hears_itself(lab: Lab) -> None:
    stack = lab.stacks["server"]
    stack.listeners["s0", PROTOCOL] += 1
    for destination in ("10.0.2.255", "255.255.255.255", "224.0.0.1"):
        effects = stack.send_packet(datagram(src=SERVER_ADDRESS, dst=destination), S0, lab.now)
        assert [type(effect) for effect in effects] == [Transmit, Deliver]


def test_to_a_group_a_ttl_of_0_stays_in_the_host(lab: Lab) -> None:
    stack = lab.stacks["server"]
    stack.listeners["s0", PROTOCOL] += 1
    effects = stack.send_packet(datagram(src=SERVER_ADDRESS, dst="224.0.0.1", ttl=0), S0, lab.now)
    assert [type(effect) for effect in effects] == [Deliver]


@pytest.mark.parametrize(
    ("source", "hardware_address", "ttl", "hears"),
    [
        ("255.255.255.255", BROADCAST, 64, True),
        ("224.0.0.1", b"\x01\x00\x5e\0\0\x01", 1, True),
        ("224.0.0.9", b"\x01\x00\x5e\0\0\x09", 1, False),
    ],
)
def test_an_error_goes_to_whatever_source_a_host_gave_itself(
    lab: Lab, source: str, hardware_address: bytes, ttl: int, hears: bool
) -> None:
    stack = lab.stacks["server"]
    stack.listeners["s0", 1] += 1
    lab.carry_out(stack.send_packet(datagram(src=source, dst=SERVER_ADDRESS), None, lab.now))
    assert [(frame[:6], frame[14 + 8]) for _, frame in lab.frames] == [(hardware_address, ttl)]
    assert len(lab.delivered) == hears


# Path MTU discovery (RFC 1191): the kernel's, for what it sends itself or a raw socket gave it


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


def test_a_bound_socket_takes_all_to_be_on_its_link(lab: Lab) -> None:
    lab.carry_out(lab.stacks["router"].send_packet(datagram(src=NEAR, dst=ELSEWHERE), R0, lab.now))
    asked = lab.frames[0]
    assert (asked[0], ARP(asked[1][14:]).pdst) == (R0, ELSEWHERE)
    lab.stacks["router"].listeners["r0", 1] += 1
    lab.wait(REQUESTS * INTERVAL)
    assert [packet[20:22] for packet in lab.delivered] == [b"\x03\x01"], "it tells itself that nobody is there"


# Whatever comes

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


def test_an_mtu_is_what_it_is_when_a_packet_passes(lab: Lab) -> None:
    lab.send(datagram(bytes(500)))
    lab.mtus["r1"] = 100
    lab.send(datagram(bytes(500)))
    assert [line for line in lab.transcript if line.startswith("r1 253")][:3] == [
        "r1 253 63",
        "r1 253 63 0+",
        "r1 253 63 10+",
    ]


def test_without_a_gateway_there_is_no_route() -> None:
    lonely = Stack(replace(CLIENT, gateway=None), lambda name: 1500)
    with pytest.raises(SendError, match=r"No route to 10\.0\.2\.20 on c0"):
        lonely.send_packet(datagram(), None, 0.0)
