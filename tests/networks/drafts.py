"""What is sent into the simulated network and into the sandbox to see whether they do the same: a table of cases."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, permutations
from typing import Any

from ipl_tui.networks.interface import Method
from ipl_tui.packets.checksum import internet_checksum
from ipl_tui.packets.craft import Draft, craft

CLIENT, NEAR, FAR, SERVER = "10.0.1.10", "10.0.1.1", "10.0.2.1", "10.0.2.20"
"""The addresses of c0, r0, r1 and s0."""
FOREIGN = "203.0.113.5"
"""An address that the router has no route to."""


@dataclass(frozen=True)
class Case:
    """Packets to send in this order, and where."""

    packets: tuple[bytes, ...]
    sender: str = "c0"
    method: Method = "exact"
    mtus: tuple[int, int] = (1500, 576)
    """Bytes, of the links c0-r0 and r1-s0."""
    listening: tuple[tuple[str, int], ...] = ()
    """The interfaces and protocol numbers of the raw sockets that are open meanwhile."""
    alone: bool = False
    """Whether it leaves something behind in the hosts, so that its networks are used for nothing else."""
    awaited: tuple[str, int] | None = None
    """An interface, and how many ICMP errors arrive there in all, the last of them only after some seconds. Such a
    case is alone, too."""


_numbers = count(1000)


def datagram(payload: bytes = b"ClientMessage", **fields: Any) -> bytes:
    """An IPv4 packet from the client to the server, except for what is given."""
    return craft(Draft(**{"src": CLIENT, "dst": SERVER, "id": 7, "payload": payload, **fields})).packet


def one(payload: bytes = b"ClientMessage", **fields: Any) -> Case:
    """The case of one such packet."""
    return case(datagram(payload, **fields))


def case(*packets: bytes, **settings: Any) -> Case:
    return Case(packets, **settings)


def icmp(kind: int, code: int = 0, rest: bytes = b"\0\1\0\1", data: bytes = b"", error: int = 0) -> bytes:
    """An ICMP message (RFC 792); `error` is added to its checksum."""
    message = bytes([kind, code, 0, 0]) + rest + data
    return message[:2] + (internet_checksum(message) ^ error).to_bytes(2) + message[4:]


def echo(size: int = 32, **fields: Any) -> bytes:
    """An echo request with so many bytes of data."""
    return datagram(icmp(8, data=bytes(at % 251 for at in range(size))), proto=1, **fields)


def segment(proto: int, header: bytes, data: bytes = b"", checksum: int | None = None, **fields: Any) -> bytes:
    """A packet with a UDP or TCP header whose checksum is the right one, unless it is given."""
    at = 6 if proto == 17 else 16
    message = header[:at] + b"\0\0" + header[at + 2 :] + data
    whole = datagram(message, proto=proto, **fields)
    if checksum is None:
        pseudo = whole[12:20] + bytes([0, proto]) + len(message).to_bytes(2)
        checksum = internet_checksum(pseudo + message)
    return datagram(message[:at] + checksum.to_bytes(2) + message[at + 2 :], proto=proto, **fields)


def udp(data: bytes = b"hello", length: int | None = None, checksum: int | None = None, **fields: Any) -> bytes:
    size = 8 + len(data) if length is None else length
    header = (4000).to_bytes(2) + (9).to_bytes(2) + size.to_bytes(2) + b"\0\0"
    return segment(17, header, data, checksum, **fields)


def tcp(flags: int, data: bytes = b"", words: int = 5, checksum: int | None = None, **fields: Any) -> bytes:
    header = bytes.fromhex("0fa0 0009 01020304 05060708") + bytes([words << 4, flags]) + bytes.fromhex("2000 0000 0000")
    return segment(6, header, data, checksum, **fields)


def pieces(packet: bytes, *sizes: int) -> list[bytes]:
    """The fragments of a packet, with so many bytes of its payload each and all the rest in the last; any size goes.

    Each call takes an Identification of its own.
    """
    number = next(_numbers)
    header, payload = packet[: (packet[0] & 15) * 4], packet[(packet[0] & 15) * 4 :]
    made = []
    begin = 0
    for size in (*sizes, len(payload) - sum(sizes)):
        more = begin + size < len(payload)
        made.append(fragment(payload[begin : begin + size], begin, more, header, number))
        begin += size
    return made


def fragment(data: bytes, begin: int, more: bool, header: bytes, number: int) -> bytes:
    """A fragment of a datagram: bytes of its payload, and where they begin."""
    words = int.from_bytes(header[6:8]) & 0xC000 | (0x2000 if more else 0) | begin // 8
    new = bytearray(header)
    new[2:4] = (len(header) + len(data)).to_bytes(2)
    new[4:6] = number.to_bytes(2)
    new[6:8] = words.to_bytes(2)
    new[10:12] = b"\0\0"
    new[10:12] = internet_checksum(bytes(new)).to_bytes(2)
    return bytes(new) + data


def record_route(room: int, filled: int = 0, pointer: int | None = None, length: int | None = None) -> bytes:
    """A Record Route option (RFC 791 §3.1) with room for so many addresses, some of them filled."""
    addresses = bytes([192, 0, 2, 1]) * filled + bytes(4 * (room - filled))
    return bytes([7, length or 3 + 4 * room, pointer or 4 + 4 * filled]) + addresses


def timestamp(flags: int, room: int, entries: bytes = b"", pointer: int = 5, overflow: int = 0) -> bytes:
    """An Internet Timestamp option (RFC 791 §3.1) with so many bytes for entries."""
    return bytes([68, 4 + room, pointer, overflow << 4 | flags]) + entries.ljust(room, b"\0")


def source_route(kind: int, *addresses: str, pointer: int = 4) -> bytes:
    """A Loose (131) or Strict (137) Source Route option (RFC 791 §3.1)."""
    route = b"".join(bytes(map(int, address.split("."))) for address in addresses)
    return bytes([kind, 3 + len(route), pointer]) + route


NEAR_BYTES, FAR_BYTES, SERVER_BYTES = (bytes(map(int, address.split("."))) for address in (NEAR, FAR, SERVER))


def _with_checksum(wanted: int, given: int) -> bytes:
    """A packet with the Identification that makes `wanted` the right checksum, and `given` as its checksum.

    RFC 1624 §3, HC' = ~(~HC + ~m + m'), for the new Identification m' and an old one of 0.
    """
    present = int.from_bytes(datagram(id=0)[10:12])
    number = ((wanted ^ 0xFFFF) - (present ^ 0xFFFF)) % 0xFFFF
    assert datagram(id=number)[10:12] == wanted.to_bytes(2), "every checksum but 0xffff can be reached"
    return datagram(id=number, chksum=given)


def _headers() -> Iterator[tuple[str, Case]]:
    """Each field of the header, valid and wrong in each telling way."""
    yield "valid", one()
    yield "valid, from the server", case(datagram(src=SERVER, dst=CLIENT), sender="s0")
    yield "valid, from r0", case(datagram(src=NEAR, dst=CLIENT), sender="r0")
    yield "valid, from r1", case(datagram(src=FAR, dst=SERVER), sender="r1")
    yield "valid, to the router", one(dst=NEAR)
    yield "valid, to the router's far side", one(dst=FAR)
    yield "no payload", one(b"")
    yield "one byte", one(b"x")
    yield "thrice the same", case(*[datagram()] * 3)
    for version in (0, 5, 6, 15):
        yield f"version {version}", one(version=version)
    for ihl in (0, 4, 6, 8, 15):
        yield f"IHL {ihl} without options", one(ihl=ihl)
    yield "IHL 5 with options", one(ihl=5, options=b"\1\1\1\0")
    for length in (0, 19, 20, 21, 32, 34, 65535):
        yield f"Total Length {length} of 33", one(len=length)
    yield "padding to 46 bytes", case(datagram() + bytes(13))
    yield "padding that is not zero", case(datagram() + b"padding")
    yield "padding beyond the next MTU", case(datagram() + bytes(1000))
    yield "padding and Don't Fragment beyond the next MTU", case(datagram(df=1) + bytes(1000))
    yield "padding of an echo", case(echo() + bytes(10))
    yield "padding of a packet that is quoted", case(datagram(ttl=1) + bytes(10))
    for checksum in (0, 1, 0xFFFF):
        yield f"checksum {checksum:#06x}", one(chksum=checksum)
    yield "checksum with its bytes exchanged", one(chksum=int.from_bytes(datagram()[10:12][::-1]))
    for right in (0, 0x00FF, 0xFEFE, 0xFEFF, 0xFF00, 0xFFFE):
        yield f"right checksum {right:#06x}", case(_with_checksum(right, right))
    yield "right checksum 0x0000 as 0xffff", case(_with_checksum(0, 0xFFFF))
    for reserved, df in ((1, 0), (0, 1), (1, 1)):
        yield f"reserved {reserved}, DF {df}", one(reserved=reserved, df=df)
        yield f"reserved {reserved}, DF {df}, TTL 1", one(reserved=reserved, df=df, ttl=1)
        yield f"echo with reserved {reserved}, DF {df}", case(echo(reserved=reserved, df=df))
    yield "reserved flag, fragmented by the router", case(echo(900, reserved=1))
    yield "Identification 0", one(id=0)
    yield "Identification 65535", one(id=0xFFFF)
    for ttl in (0, 1, 2, 3, 255):
        yield f"TTL {ttl}", one(ttl=ttl)
        yield f"TTL {ttl} to the router", one(ttl=ttl, dst=NEAR)
        yield f"TTL {ttl} to the router's far side", one(ttl=ttl, dst=FAR)
        yield f"TTL {ttl} from the server", case(datagram(src=SERVER, dst=CLIENT, ttl=ttl), sender="s0")
    for dscp, ecn in ((46, 0), (48, 0), (63, 3), (1, 0), (7, 1), (0, 1), (0, 2), (0, 3)):
        yield f"DSCP {dscp}, ECN {ecn}", one(dscp=dscp, ecn=ecn)
        yield f"DSCP {dscp}, ECN {ecn}, TTL 1", one(dscp=dscp, ecn=ecn, ttl=1)
        yield f"DSCP {dscp}, ECN {ecn}, echo", case(echo(dscp=dscp, ecn=ecn))
        yield f"DSCP {dscp}, ECN {ecn}, SYN", case(tcp(2, dscp=dscp, ecn=ecn))


def _protocols() -> Iterator[tuple[str, Case]]:
    """What the hosts' protocols make of it. What depends on the kernel's modules (PIM, UDP-Lite) is not here."""
    for proto in (0, 2, 3, 4, 8, 33, 41, 47, 50, 51, 58, 89, 108, 115, 132, 252, 253, 254, 255):
        yield f"protocol {proto}", one(bytes(40), proto=proto)
    yield "protocol 253, the server listens", case(datagram(), datagram(), listening=(("s0", 253),))
    yield "protocol 253, another is listened to", case(datagram(), listening=(("s0", 254),))
    yield "protocol 253, the other port of the router listens", case(datagram(dst=NEAR), listening=(("r1", 253),))
    yield "protocol 253, both ends listen", case(datagram(), listening=(("c0", 253), ("s0", 253)))
    yield "padding does not reach who listens", case(datagram() + bytes(20), listening=(("s0", 253),))
    yield (
        "wrong packets do not reach who listens",
        case(datagram(chksum=1), datagram(version=5), listening=(("s0", 253),)),
    )
    yield "ICMP of 7 bytes, the server listens", case(datagram(bytes(7), proto=1), listening=(("s0", 1),))
    yield "echo, the server listens to ICMP", case(echo(), listening=(("s0", 1),))
    yield "echo reply, the client listens to ICMP", case(echo(), listening=(("c0", 1),))
    for size in (0, 1, 548, 549, 1472):
        yield f"echo of {size} bytes", case(echo(size))
    yield "echo to the router", case(echo(dst=NEAR))
    yield "echo to the router's far side", case(echo(dst=FAR))
    yield "echo from the server", case(echo(src=SERVER, dst=CLIENT), sender="s0")
    yield "echo with a wrong ICMP checksum", one(icmp(8, error=1), proto=1)
    yield "echo with ICMP checksum 0", one(b"\x08\0\0\0\0\1\0\1", proto=1)
    yield "echo with code 1", one(icmp(8, 1), proto=1)
    yield "echo of 7 bytes in all", one(icmp(8, rest=b"\0\1\0"), proto=1)
    yield "echo with TTL 1", case(echo(ttl=1))
    yield "ICMP without any bytes", one(b"", proto=1)
    yield "ICMP timestamp", one(icmp(13, data=bytes(range(12))), proto=1)
    yield "ICMP timestamp with code 1", one(icmp(13, 1, data=bytes(range(12))), proto=1)
    yield "ICMP timestamp with data", one(icmp(13, data=bytes(range(20))), proto=1)
    yield "ICMP timestamp with 11 bytes", one(icmp(13, data=bytes(3)), proto=1)
    yield "ICMP timestamp with 4 bytes of times", one(icmp(13, data=bytes(4)), proto=1)
    for kind in (0, 1, 4, 9, 10, 14, 15, 17, 30, 42, 255):
        yield f"ICMP type {kind}", one(icmp(kind, data=bytes(12)), proto=1)
        yield f"ICMP type {kind}, TTL 1", one(icmp(kind, data=bytes(12)), proto=1, ttl=1)
    for kind in (3, 5, 11, 12):
        yield f"ICMP error {kind}", one(icmp(kind, data=datagram(src=SERVER, dst=CLIENT)), proto=1)
        yield f"ICMP error {kind}, TTL 1", one(icmp(kind, data=datagram(src=SERVER, dst=CLIENT)), proto=1, ttl=1)
    yield "ICMP error beyond the next MTU, Don't Fragment", one(icmp(3, data=bytes(600)), proto=1, df=1)
    yield "UDP", case(udp())
    yield "UDP to the router's far side", case(udp(dst=FAR))
    yield "UDP without data", case(udp(b""))
    yield "UDP with a wrong checksum", case(udp(checksum=0x1234))
    yield "UDP without a checksum", case(udp(checksum=0))
    yield "UDP with a padded datagram", case(udp(b"hello world", length=13, checksum=0))
    for length in (0, 7, 12, 14, 65535):
        yield f"UDP length {length} of 13", case(udp(length=length, checksum=0))
        yield f"UDP length {length} of 13, with a checksum", case(udp(length=length))
    yield "UDP of 7 bytes", one(bytes(7), proto=17)
    yield "UDP, long", case(udp(bytes(1000)))
    for name, flags in {"SYN": 2, "RST": 4, "ACK": 16, "SYN ACK": 18, "FIN": 1, "FIN ACK": 17, "none": 0}.items():
        yield f"TCP {name}", case(tcp(flags))
    yield "TCP SYN with data", case(tcp(2, b"hello"))
    yield "TCP SYN with options", case(tcp(2, bytes.fromhex("020405b4"), words=6))
    yield "TCP SYN with ECN flags", case(tcp(0xC2))
    yield "TCP with all flags", case(tcp(0xFF))
    yield "TCP ACK with data", case(tcp(24, b"hello"))
    yield "TCP with a wrong checksum", case(tcp(2, checksum=0x1234))
    yield "TCP with a header of 4 words", case(tcp(2, words=4))
    yield "TCP with a header beyond its bytes", case(tcp(2, words=15))
    yield "TCP of 19 bytes", one(bytes(19), proto=6)
    yield "TCP garbage", one(bytes(range(64)), proto=6)
    yield "TCP to the router's far side", case(tcp(2, dst=FAR))


def _fragments() -> Iterator[tuple[str, Case]]:
    """Fragments, whole and spoilt, arriving in all orders, and those that the router makes."""
    for order in permutations(range(3)):
        parts = pieces(echo(64), 24, 24)
        yield f"fragments in the order {order}", case(*[parts[at] for at in order])
    parts = pieces(datagram(bytes(64)), 24, 24)
    yield "fragments of what nobody listens to", case(*parts)
    yield "fragments to who listens", case(*parts, listening=(("s0", 253),))
    yield "fragments to the router", case(*pieces(echo(64, dst=FAR), 24, 24))
    yield "fragments from the server", case(*pieces(echo(64, src=SERVER, dst=CLIENT), 24, 24), sender="s0")
    yield "fragments of UDP", case(*pieces(udp(bytes(64)), 24, 24))
    yield "fragments of a TCP SYN", case(*pieces(tcp(2, bytes(64)), 24, 24))
    yield "fragments with Don't Fragment", case(*pieces(echo(64, df=1), 24, 24))
    yield "fragments with the reserved flag", case(*pieces(echo(64, reserved=1), 24, 24))
    for name, order in {
        "the first": (0, 0, 1, 2),
        "the middle one": (0, 1, 1, 2),
        "the last": (0, 2, 2, 1),
        "every one": (0, 0, 1, 1, 2, 2),
        "the last, afterwards": (0, 1, 2, 2),
    }.items():
        parts = pieces(echo(64), 24, 24)
        yield f"fragments, {name} twice", case(*[parts[at] for at in order])
    whole = echo(64)
    header, payload = whole[:20], whole[20:]
    for name, begin, end, filler in (
        ("the same bytes again", 16, 40, None),
        ("other bytes", 16, 40, b"x"),
        ("more at the front", 0, 40, None),
        ("a part of the first", 8, 16, None),
        ("other bytes in a part of the first", 8, 16, b"x"),
    ):
        first, second, third = pieces(whole, 24, 24)
        number = int.from_bytes(first[4:6])
        data = payload[begin:end] if filler is None else filler * (end - begin)
        again = fragment(data, begin, True, header, number)
        yield f"fragments that overlap: {name}", case(first, again, second, third)
        first, second, third = pieces(whole, 24, 24)
        number = int.from_bytes(first[4:6])
        again = fragment(data, begin, True, header, number)
        yield f"fragments that overlap, the last first: {name}", case(third, again, second, first)
    for sizes in ((20, 24), (25, 23), (24, 17), (7, 24), (24, 1)):
        yield f"fragments of {sizes[0]}, {sizes[1]} and more bytes", case(*pieces(whole, *sizes))
    yield "fragments of 8 bytes", case(*pieces(whole, *[8] * 8))
    yield "fragments of 8 bytes, backwards", case(*pieces(whole, *[8] * 8)[::-1])
    yield "fragments with nothing in the last", case(*pieces(whole, 24, 48))
    number = next(_numbers)
    parts = [fragment(payload[:40], 0, True, header, number), fragment(b"", 40, True, header, number)]
    yield "fragment with nothing in the middle", case(*parts, fragment(payload[40:], 40, False, header, number))
    number = next(_numbers)
    parts = [fragment(payload[:40], 0, True, header, number), fragment(b"", 40, False, header, number)]
    yield "fragment with nothing at the end", case(*parts)
    number = next(_numbers)
    parts = [fragment(payload[:40], 0, True, header, number), fragment(payload[40:48], 40, False, header, number)]
    yield "fragment beyond the end", case(*parts, fragment(payload[48:64], 48, True, header, number))
    number = next(_numbers)
    parts = [fragment(payload[24:], 24, False, header, number), fragment(payload[24:48], 24, False, header, number)]
    yield "two different ends", case(*parts, fragment(payload[:24], 0, True, header, number))
    number = next(_numbers)
    parts = [fragment(payload[24:48], 24, False, header, number), fragment(payload[24:], 24, False, header, number)]
    yield "two different ends, the shorter first", case(*parts, fragment(payload[:24], 0, True, header, number))
    for offset in (65_512, 65_528):
        number = next(_numbers)
        yield f"fragment at byte {offset}", case(fragment(bytes(16), offset, False, header, number))
        number = next(_numbers)
        yield f"fragment at byte {offset}, with more", case(fragment(bytes(16), offset, True, header, number))
    yield "the longest datagram there can be", case(*pieces(echo(65_507), *[1480] * 44))
    number = next(_numbers)
    parts = [fragment(bytes(1480), at * 1480, True, header, number) for at in range(44)]
    yield "a datagram that is too long", case(*parts, fragment(bytes(400), 44 * 1480, False, header, number))
    yield "a whole packet with More Fragments", one(mf=1, id=next(_numbers))
    yield "More Fragments and no payload", one(b"", mf=1, id=next(_numbers))
    yield "an offset and no More Fragments", one(frag=3, id=next(_numbers))
    yield "an offset and no payload", one(b"", frag=3, id=next(_numbers))
    yield "a later fragment with TTL 1", one(frag=3, ttl=1, id=next(_numbers))
    yield "a first fragment with TTL 1", one(mf=1, ttl=1, id=next(_numbers))
    yield "a later fragment, too long and Don't Fragment", one(bytes(800), frag=3, df=1, id=next(_numbers))
    yield "a first fragment, too long and Don't Fragment", one(bytes(800), mf=1, df=1, id=next(_numbers))
    for ecn in ((0, 1), (1, 2), (2, 1), (2, 3), (3, 2), (0, 3), (1, 3), (3, 3)):
        parts = pieces(datagram(bytes(48), ecn=ecn[0]), 24)
        parts[1] = fragment(bytes(24), 24, False, datagram(ecn=ecn[1])[:20], int.from_bytes(parts[0][4:6]))
        yield f"fragments with ECN {ecn[0]} and {ecn[1]}", case(*parts)
    parts = pieces(echo(64), 24, 24)
    other = bytearray(parts[1])
    other[1], other[8], other[10:12] = 0x20, 9, b"\0\0"
    other[10:12] = internet_checksum(bytes(other[:20])).to_bytes(2)
    yield "fragments with another DSCP and TTL", case(parts[0], bytes(other), parts[2])
    for name, header in {
        "Source Address": datagram(src="10.0.1.11")[:20],
        "Destination Address": datagram(dst=FAR)[:20],
        "Protocol": datagram(proto=254)[:20],
        "Identification": datagram()[:20],
    }.items():
        parts = pieces(datagram(bytes(48)), 24)
        number = next(_numbers) if name == "Identification" else int.from_bytes(parts[0][4:6])
        yield f"fragments with another {name}", case(parts[0], fragment(bytes(24), 24, False, header, number))
    for size in (536, 548, 549, 1000, 1472):
        yield f"fragmented by the router: echo of {size} bytes", case(echo(size))
    yield (
        "fragmented by the router: echo from the server of what it may send",
        case(echo(548, src=SERVER, dst=CLIENT), sender="s0"),
    )
    yield "fragmented by the router: two pieces of one", case(*pieces(echo(2000), 1200))
    yield "fragmented by the router: two pieces of one, backwards", case(*pieces(echo(2000), 1200)[::-1])
    for mtus in ((1500, 68), (1500, 100), (600, 576), (576, 1500), (100, 1500), (68, 1500), (300, 200)):
        size = min(mtus[0], 700) - 28
        yield f"MTUs {mtus}: echo of {size} bytes", case(echo(size), mtus=mtus)
        yield (
            f"MTUs {mtus}: echo from the server",
            case(echo(mtus[1] - 28, src=SERVER, dst=CLIENT), sender="s0", mtus=mtus),
        )
        yield f"MTUs {mtus}: quoted, TTL 1", case(echo(mtus[0] - 28, ttl=1), mtus=mtus)
        yield f"MTUs {mtus}: quoted, nobody listens", case(datagram(bytes(mtus[0] - 20)), mtus=mtus)
        yield f"MTUs {mtus}: too long for the first link", case(datagram(bytes(mtus[0] - 19)), mtus=mtus)
        options = record_route(9)
        yield f"MTUs {mtus}: echo with 40 bytes of options", case(echo(mtus[0] - 68, options=options), mtus=mtus)


def _options() -> Iterator[tuple[str, Case]]:
    """Options, as they should be and not; in packets that are answered, objected to, refused and cut."""
    given = NEAR_BYTES + bytes(4) + SERVER_BYTES + bytes(4)
    options = {
        "no operation": b"\1\1\1\1",
        "end of list": bytes(4),
        "end of list before something": b"\0\1\2\3",
        "end of list after no operation": b"\1\0\7\7",
        "40 times no operation": b"\1" * 40,
        "RR": record_route(3),
        "RR with room for one": record_route(1),
        "RR with room for two": record_route(2),
        "RR with room for nine": record_route(9),
        "RR that is full": record_route(2, filled=2),
        "RR with one filled": record_route(4, filled=1),
        "RR with one filled and room for one": record_route(2, filled=1),
        "RR without room": record_route(0),
        "RR with pointer 3": record_route(3, pointer=3),
        "RR with pointer 5": record_route(3, pointer=5),
        "RR with pointer 13": record_route(3, pointer=13),
        "RR with pointer 16": record_route(3, pointer=16),
        "RR with pointer 255": record_route(3, pointer=255),
        "RR too short for a pointer": b"\7\2\1\1",
        "RR with length 0": b"\7\0\4\1",
        "RR with length 1": b"\7\1\4\1",
        "RR beyond the header": record_route(1, length=20),
        "RR with odd room": b"\7\6\4\0\0\0\1\1",
        "RR after no operation": b"\1" + record_route(3),
        "RR twice": record_route(2) + b"\1" + record_route(2),
        "timestamp 0": timestamp(0, 16),
        "timestamp 0 with room for one": timestamp(0, 4),
        "timestamp 0 with room for two": timestamp(0, 8),
        "timestamp 0 that is full": timestamp(0, 4, pointer=9),
        "timestamp 0 with overflow 14": timestamp(0, 4, pointer=9, overflow=14),
        "timestamp 0 with overflow 15": timestamp(0, 4, pointer=9, overflow=15),
        "timestamp 0 with odd room": timestamp(0, 6) + b"\1\1",
        "timestamp 0 with pointer 1": timestamp(0, 4, pointer=1),
        "timestamp 0 with pointer 6": timestamp(0, 4, pointer=6),
        "timestamp 1": timestamp(1, 32),
        "timestamp 1 with room for one": timestamp(1, 8),
        "timestamp 1 with room for two": timestamp(1, 16),
        "timestamp 1 with room for half an entry": timestamp(1, 4),
        "timestamp 2": timestamp(2, 16),
        "timestamp 3 for router and server": timestamp(3, 16, given),
        "timestamp 3 for the router's far side": timestamp(3, 16, FAR_BYTES + bytes(4) + SERVER_BYTES),
        "timestamp 3 for the server": timestamp(3, 8, SERVER_BYTES),
        "timestamp 3 for somebody else": timestamp(3, 8, bytes([192, 0, 2, 1])),
        "timestamp 3 for somebody else, then the server": timestamp(
            3, 16, bytes([192, 0, 2, 1, 0, 0, 0, 0]) + SERVER_BYTES
        ),
        "timestamp 3 that is full": timestamp(3, 8, SERVER_BYTES, pointer=13),
        "timestamp 5": timestamp(5, 16),
        "timestamp 15": timestamp(15, 16),
        "timestamp of 3 bytes": b"\x44\3\5\1",
        "timestamp of 4 bytes": b"\x44\4\5\0",
        "timestamp twice": timestamp(0, 8) + timestamp(0, 8),
        "RR and timestamp 0": record_route(3) + b"\1" + timestamp(0, 12),
        "timestamp 1 and RR": timestamp(1, 16) + record_route(3) + b"\1",
        "LSRR through the router": source_route(131, NEAR),
        "LSRR that is used up": source_route(131, NEAR, pointer=8),
        "LSRR with pointer 3": source_route(131, NEAR, pointer=3),
        "LSRR with pointer 5": source_route(131, NEAR, pointer=5),
        "LSRR without addresses": b"\x83\3\4\1",
        "LSRR of 2 bytes": b"\x83\2\4\1",
        "SSRR": source_route(137, FAR, SERVER),
        "SSRR that is used up": source_route(137, FAR, SERVER, pointer=12),
        "LSRR and SSRR": source_route(131, NEAR) + b"\1" + source_route(137, FAR),
        "router alert": b"\x94\4\0\0",
        "router alert 1": b"\x94\4\0\1",
        "router alert of 3 bytes": b"\x94\3\0\1",
        "security": b"\x82\x0b" + bytes(9),
        "commercial security, too short": b"\x86\6\0\0\0\1",
        "commercial security of no domain": b"\x86\x0a\0\0\0\0\1\4\0\1",
        "stream identifier": b"\x88\4\0\1",
        "an experiment (RFC 4727)": b"\x5e\4\1\2",
        "an unknown one": b"\x99\4\1\2",
        "an unknown one of length 0": b"\x99\0\1\2",
        "an unknown one of length 1": b"\x99\1\1\2",
        "an unknown one beyond the header": b"\x99\5\1\2",
        "an unknown one without a length": b"\1\1\1\x99",
        "garbage": bytes.fromhex("deadbeef cafebabe"),
    }
    for name, option in options.items():
        yield f"options: {name}, echo", case(echo(options=option))
        yield f"options: {name}, nobody listens", one(options=option)
        yield f"options: {name}, TTL 1", one(options=option, ttl=1)
        yield f"options: {name}, to the router's far side", case(echo(options=option, dst=FAR))
        yield f"options: {name}, too long", case(echo(600, options=option))
        yield f"options: {name}, too long and Don't Fragment", one(bytes(600), options=option, df=1)
    for name in ("RR", "timestamp 0", "timestamp 1", "router alert", "LSRR through the router", "garbage"):
        packet = echo(options=options[name], src=SERVER, dst=CLIENT)
        yield f"options: {name}, from the server", case(packet, sender="s0")
        yield f"options: {name}, fragments", case(*pieces(echo(64, options=options[name]), 24, 24))
        yield f"options: {name}, to who listens", case(datagram(options=options[name]), listening=(("s0", 253),))
        yield f"options: {name}, SYN", case(tcp(2, options=options[name]))
        yield f"options: {name}, UDP", case(udp(options=options[name]))
        yield f"options: {name}, ICMP timestamp", one(icmp(13, data=bytes(12)), proto=1, options=options[name])
        yield f"options: {name}, kernel", case(echo(options=options[name]), method="kernel")
    for chosen in (
        ("RR", "RR with room for one", "timestamp 0", "timestamp 1"),
        ("LSRR through the router", "garbage"),
    ):
        packets = [datagram(dst=FOREIGN, options=options[name]) for name in chosen]
        yield f"options: {' and '.join(chosen)}, no route", case(*packets, alone=True)
    first, second = pieces(echo(64, options=record_route(3)), 40)
    plain = pieces(echo(64), 40)
    yield (
        "options in the first fragment only",
        case(first, fragment(plain[1][20:], 40, False, plain[1][:20], int.from_bytes(first[4:6]))),
    )
    plain[1] = fragment(second[32:], 40, False, second[:32], int.from_bytes(plain[0][4:6]))
    yield "options in the later fragment only", case(*plain)


def _sizes() -> Iterator[tuple[str, Case]]:
    """Don't Fragment against each MTU: what just fits, and one byte more."""
    for mtu in (68, 100, 576, 1499):
        for extra in (0, 1):
            size = mtu - 20 + extra
            name = f"{mtu + extra} bytes at MTU {mtu}"
            yield f"DF: {name}", case(datagram(bytes(size), df=1), mtus=(1500, mtu))
            yield f"DF: echo, {name}", case(echo(size - 8, df=1), mtus=(1500, mtu))
            yield f"DF 0: {name}", case(datagram(bytes(size)), mtus=(1500, mtu))
            data = bytes(size - 12)
            yield f"DF: with options, {name}", case(datagram(data, df=1, options=record_route(2)), mtus=(1500, mtu))
        yield (
            f"DF: as long as the first link takes, at MTU {mtu}",
            case(datagram(bytes(1480), df=1), mtus=(1500, mtu)),
        )
        yield (
            f"DF: from the server at MTU {mtu}",
            case(echo(1400, df=1, src=SERVER, dst=CLIENT), sender="s0", mtus=(mtu, 1500)),
        )
    yield "DF: too long, and TTL 1", one(bytes(800), df=1, ttl=1)
    yield "DF: too long, and TTL 2", one(bytes(800), df=1, ttl=2)
    yield "DF: too long, from a spoofed source", one(bytes(800), df=1, src="10.0.1.77")


def _addresses() -> Iterator[tuple[str, Case]]:
    """Sources that are spoofed, and destinations that are special or not there."""
    for source, name in {
        NEAR: "the router",
        FAR: "the router's far side",
        SERVER: "the server",
        "10.0.1.255": "the client's broadcast",
        "10.0.2.255": "the server's broadcast",
        "127.0.0.1": "loopback",
        "0.0.0.0": "nowhere",
        "0.1.2.3": "network 0",
        "224.0.0.1": "a group",
        "255.255.255.255": "the limited broadcast",
        "240.0.0.1": "class E",
        "169.254.1.1": "a link-local address",
        FOREIGN: "a foreign network",
    }.items():
        packets = {
            "nobody listens": datagram(src=source),
            "echo": echo(src=source),
            "TTL 1": datagram(src=source, ttl=1),
            "to the router": echo(src=source, dst=NEAR),
            "TCP to the router's far side": tcp(2, src=source, dst=FAR),
            "bad option": datagram(src=source, options=b"\x99\0\1\2"),
            "to all": datagram(src=source, dst="255.255.255.255"),
        }
        if source in ("240.0.0.1", "169.254.1.1", FOREIGN):  # there is no route back
            yield f"from {name}", case(*packets.values(), alone=True)
            continue
        for what, packet in packets.items():
            yield f"from {name}, {what}", case(packet)
    yield "from the client, sent by the router", case(echo(ttl=9), sender="r1")
    yield "from the client, sent by the server", case(echo(src=CLIENT, dst=FAR), sender="s0")
    yield "from the router's near side, sent by the server", case(echo(src=NEAR, dst=FAR), sender="s0")
    for destination, name in {
        "10.0.1.255": "the client's broadcast",
        "10.0.2.255": "the server's broadcast",
        "255.255.255.255": "the limited broadcast",
        "224.0.0.1": "all systems",
        "224.0.0.5": "all OSPF routers",
        "239.1.2.3": "another group",
        "127.0.0.1": "loopback",
        "0.0.0.0": "nowhere",
        "0.1.2.3": "network 0",
        "240.0.0.1": "class E",
        FOREIGN: "a foreign network",
    }.items():
        packets = {
            "nobody listens": datagram(dst=destination),
            "echo": echo(dst=destination),
            "TTL 1": datagram(dst=destination, ttl=1),
            "UDP": udp(dst=destination),
            "TCP": tcp(2, dst=destination),
        }
        methods: tuple[Method, ...] = ("exact", "kernel")
        for method in methods:
            if destination in ("0.1.2.3", "240.0.0.1", FOREIGN):  # there is no route
                yield f"to {name}, {method}", case(*packets.values(), method=method, alone=True)
                continue
            for what, packet in packets.items():
                yield f"to {name}, {what}, {method}", case(packet, method=method)
    yield (
        "to a foreign network, and more is wrong",
        case(
            datagram(bytes(1000), dst=FOREIGN, df=1),
            datagram(dst=FOREIGN, frag=3),
            datagram(icmp(3, data=datagram()), proto=1, dst=FOREIGN),
            datagram(dst=FOREIGN, options=b"\x99\0\1\2"),
            alone=True,
        ),
    )
    yield "to a foreign network, from the server", case(datagram(src=SERVER, dst=FOREIGN), sender="s0", alone=True)
    hearing = (("r0", 253), ("r1", 253), ("s0", 253))
    for destination in ("10.0.1.255", "10.0.2.255", "255.255.255.255", "224.0.0.1"):
        for port, own in {"c0": CLIENT, "r0": NEAR, "r1": FAR, "s0": SERVER}.items():
            for method in methods:
                packet = datagram(src=own, dst=destination)
                yield f"to {destination} from {port}, {method}", case(packet, sender=port, method=method)
        yield f"to {destination}, all listen", case(datagram(dst=destination), listening=hearing)


def _kernel() -> Iterator[tuple[str, Case]]:
    """What the sender's kernel changes, refuses and delivers to itself."""
    drafts: dict[str, dict[str, Any]] = {
        "valid": {},
        "Identification 0": {"id": 0},
        "Identification 0 and Don't Fragment": {"id": 0, "df": 1},
        "source 0.0.0.0": {"src": "0.0.0.0"},
        "source 0.0.0.0 and Identification 0": {"src": "0.0.0.0", "id": 0},
        "wrong checksum": {"chksum": 0xBEEF},
        "Total Length too small": {"len": 20},
        "Total Length too large": {"len": 4000},
        "IHL 4": {"ihl": 4},
        "IHL 0": {"ihl": 0},
        "IHL 6": {"ihl": 6},
        "IHL 15": {"ihl": 15},
        "version 6": {"version": 6},
        "version 0": {"version": 0},
        "TTL 0": {"ttl": 0},
        "TTL 1": {"ttl": 1},
        "reserved flag": {"reserved": 1},
        "More Fragments": {"mf": 1, "id": next(_numbers)},
        "offset": {"frag": 3, "id": next(_numbers)},
        "DSCP 46, ECN 1": {"dscp": 46, "ecn": 1},
        "options": {"options": record_route(3)},
        "bad options": {"options": b"\x99\0\1\2"},
        "spoofed source": {"src": "10.0.1.77"},
        "source of the server": {"src": SERVER},
        "foreign source": {"src": "192.0.2.1"},
        "source loopback": {"src": "127.0.0.1"},
        "source broadcast": {"src": "255.255.255.255"},
        "source multicast": {"src": "224.0.0.1"},
        "the longest": {"payload": bytes(1480)},
        "too long": {"payload": bytes(1481)},
        "too long and IHL 4": {"payload": bytes(1481), "ihl": 4},
        "too long and Don't Fragment": {"payload": bytes(1481), "df": 1},
    }
    for name, fields in drafts.items():
        yield f"kernel: {name}", case(datagram(**fields), method="kernel")
        packet = datagram(**{**fields, "dst": CLIENT})
        yield f"kernel: {name}, to itself", case(packet, method="kernel", listening=(("c0", 253), ("c0", 1)))
        yield f"kernel: {name}, to itself, nobody listens", case(packet, method="kernel", listening=(("c0", 1),))
    for destination in ("127.0.0.1", "127.1.2.3", "0.0.0.0"):
        for source in (CLIENT, "127.0.0.1", "0.0.0.0"):
            packets = datagram(src=source, dst=destination), echo(src=source, dst=destination)
            hearing = (("c0", 253), ("c0", 1))
            yield f"kernel: from {source} to {destination}", case(*packets, method="kernel", listening=hearing)
    for name, packet in {
        "echo": echo(dst=CLIENT),
        "echo from elsewhere": echo(dst=CLIENT, src=SERVER),
        "echo with a route": echo(dst=CLIENT, options=record_route(9)),
        "echo with times": echo(dst=CLIENT, options=timestamp(1, 32)),
        "echo, long": echo(9000, dst=CLIENT),
        "UDP": udp(dst=CLIENT),
    }.items():
        yield f"kernel: {name}, to itself", case(packet, method="kernel", listening=(("c0", 1),))
    parts = pieces(datagram(bytes(64), dst=CLIENT), 24, 24)
    yield "kernel: fragments, to itself", case(*parts[::-1], method="kernel", listening=(("c0", 253),))
    for port, destination in (("r0", FAR), ("r1", NEAR), ("r0", NEAR), ("r1", FAR)):
        packet = datagram(src=CLIENT, dst=destination)
        for hears in ("r0", "r1"):
            name = f"kernel: from {port} to {destination}, {hears} listens"
            yield name, case(packet, sender=port, method="kernel", listening=((hears, 253),))
    yield "kernel: from r0 to the client", case(echo(src=NEAR, dst=CLIENT), sender="r0", method="kernel")
    yield "kernel: from r0 to the server", case(echo(src=NEAR, dst=SERVER), sender="r0", method="kernel")
    yield "kernel: from r1 to the server", case(echo(src=FAR, dst=SERVER), sender="r1", method="kernel")
    for destination in ("224.0.0.1", "224.0.0.5", "10.0.1.255"):
        packet = datagram(dst=destination, ttl=0)
        yield f"kernel: TTL 0 to {destination}", case(packet, method="kernel", listening=(("c0", 253),))
    yield "kernel: from the server", case(echo(src=SERVER, dst=CLIENT), sender="s0", method="kernel")
    yield "kernel: fragmented by the router", case(echo(1000), method="kernel")
    long, short = datagram(bytes(1000), df=1), datagram(bytes(1000))
    routed = datagram(bytes(1000), options=record_route(3))
    for name, listening in {"nobody listens": (), "the client listens": (("c0", 253),)}.items():
        settings: dict[str, Any] = {"method": "kernel", "listening": listening, "alone": True}
        yield f"kernel: after an ICMP 3/4, {name}", case(long, long, short, routed, **settings)
    yield (
        "kernel: echo after an ICMP 3/4",
        case(echo(1000, df=1), echo(1000, df=1), echo(1000), method="kernel", alone=True),
    )
    yield "exact: after an ICMP 3/4", case(echo(1000, df=1), echo(1000, df=1), echo(1000), alone=True)


def _late() -> Iterator[tuple[str, Case]]:
    """What comes only after seconds: of fragments, after one, and of neighbours that don't answer, after three."""
    first, middle, last = pieces(echo(64), 24, 24)
    other = pieces(echo(64), 24)[0]
    yield "late: the last fragment is missing", case(first, middle, awaited=("c0", 1))
    yield "late: the middle fragment is missing", case(first, last, awaited=("c0", 1))
    yield "late: the middle fragment is missing, backwards", case(last, first, awaited=("c0", 1))
    # Nothing comes of those without the first: another datagram, begun later, tells when it would have come.
    yield "late: the first fragment is missing", case(middle, last, other, awaited=("c0", 1))
    yield "late: a fragment of no whole units", case(pieces(echo(64), 20, 24)[0], awaited=("c0", 1))
    yield "late: fragments come twice", case(first, first, middle, middle, awaited=("c0", 1))
    yield "late: fragment to who listens", case(first, listening=(("s0", 1),), awaited=("c0", 1))
    yield "late: fragment with a DSCP and ECN", case(pieces(echo(64, dscp=46, ecn=1), 24)[0], awaited=("c0", 1))
    yield "late: fragment with a route", case(pieces(echo(64, options=record_route(3)), 24)[0], awaited=("c0", 1))
    yield "late: fragment of what nobody listens to", case(pieces(datagram(bytes(64)), 24)[0], awaited=("c0", 1))
    yield "late: fragment to the router", case(pieces(echo(64, dst=FAR), 24)[0], awaited=("c0", 1))
    packet = pieces(echo(64, src=SERVER, dst=CLIENT), 24)[0]
    yield "late: fragment from the server", case(packet, sender="s0", awaited=("s0", 1))
    yield "late: long fragment", case(pieces(echo(1200), 1000)[0], awaited=("c0", 1))
    error = pieces(datagram(icmp(3, data=datagram() + bytes(3)), proto=1), 24)[0]
    yield "late: fragment of an ICMP error", case(error, other, awaited=("c0", 1))
    nobody = datagram(dst="10.0.2.99")
    yield "late: nobody answers ARP", case(nobody, awaited=("c0", 1))
    yield "late: nobody answers ARP, thrice", case(nobody, echo(dst="10.0.2.99"), nobody, awaited=("c0", 3))
    error = datagram(icmp(3, data=datagram()), proto=1, dst="10.0.2.99")
    yield "late: nobody answers ARP, an ICMP error", case(error, nobody, awaited=("c0", 1))
    later = datagram(dst="10.0.2.99", frag=3)
    yield "late: nobody answers ARP, a later fragment", case(later, nobody, awaited=("c0", 1))
    yield "late: nobody answers ARP, fragmented", case(datagram(bytes(1000), dst="10.0.2.99"), awaited=("c0", 1))
    for name, option in {
        "a route": record_route(3),
        "a short route": record_route(1),
        "times": timestamp(1, 32),
    }.items():
        packet = datagram(dst="10.0.2.99", options=option)
        yield f"late: nobody answers ARP, with {name}", case(packet, awaited=("c0", 1))
    packet = datagram(src=SERVER, dst="10.0.1.99")
    yield "late: nobody answers ARP, from the server", case(packet, sender="s0", awaited=("s0", 1))
    yield "late: nobody answers ARP where the reply goes", case(echo(src="10.0.1.99"), awaited=("s0", 1))
    yield (
        "late: nobody answers ARP where the fragmented reply goes",
        case(echo(1000, src="10.0.1.99"), awaited=("s0", 1)),
    )


CASES: dict[str, Case] = {}
"""By their names."""

for _section in (_headers, _protocols, _fragments, _options, _sizes, _addresses, _kernel, _late):
    for _name, _case in _section():
        assert _name not in CASES, _name
        CASES[_name] = _case
