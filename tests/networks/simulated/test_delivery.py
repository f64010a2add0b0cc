"""Who is given what is for a simulated host, and how fragments become whole (RFC 791 §3.2, RFC 1122 §3.3.2)."""

from typing import Any

from ipl_tui.networks.simulated.effects import Deliver, Discard
from tests.networks.simulated.hosts import FAR, NEAR, PROTOCOL, R0, R1, Lab, datagram, echo, udp


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
