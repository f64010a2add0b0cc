"""The ICMP, UDP and TCP of a simulated host."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP

from ipl_tui.packets.checksum import internet_checksum
from tests.networks.simulated.hosts import MIDNIGHT, NEAR, Lab, datagram, tcp


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
