"""How a simulated router passes packets on, as transcripts."""

import pytest
from scapy.layers.inet import ICMP, IP, IPOption_RR
from scapy.layers.l2 import ARP, Ether

from ipl_tui.packets.checksum import internet_checksum
from tests.networks.simulated.hosts import BROADCAST, CLIENT_ADDRESS, FAR, NEAR, S0, SERVER_ADDRESS, Lab, datagram, echo


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


def test_fragmentation_needed_tells_the_mtu(lab: Lab) -> None:
    lab.mtus["r1"] = 100
    lab.send(datagram(bytes(100), flags="DF"))
    assert IP(lab.packets[0][1])[ICMP].nexthopmtu == 100  # RFC 1191 §4


def test_an_mtu_is_what_it_is_when_a_packet_passes(lab: Lab) -> None:
    lab.send(datagram(bytes(500)))
    lab.mtus["r1"] = 100
    lab.send(datagram(bytes(500)))
    assert [line for line in lab.transcript if line.startswith("r1 253")][:3] == [
        "r1 253 63",
        "r1 253 63 0+",
        "r1 253 63 10+",
    ]


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


def test_a_packet_that_goes_back_where_it_came_from_is_redirected(lab: Lab) -> None:
    lab.send(datagram(dst=CLIENT_ADDRESS, src="10.0.1.77"))
    lab.send(datagram(dst=CLIENT_ADDRESS, src=SERVER_ADDRESS))  # comes from elsewhere
    assert lab.transcript[0] == "r0 253 63"
    assert lab.transcript.count("r0 253 63") == 2
    lab.wait(1)
    lab.put(bytes(Ether(src=S0.hardware_address, dst=BROADCAST) / ARP(psrc="10.0.1.77", pdst=NEAR)))
    assert "r0 5/1 64" in lab.transcript  # RFC 1812 §5.2.7.2
