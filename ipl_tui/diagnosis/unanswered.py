"""Reasons why a packet that asks for an answer got none: a sentence made of what was seen, and of what can be known
here."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from ipl_tui.diagnosis.checks import check_route, check_translation
from ipl_tui.diagnosis.firewall import eats, read_rules
from ipl_tui.exchange.responder import would_answer
from ipl_tui.networks.interface import Interface, Method, Network
from ipl_tui.packets.checksum import internet_checksum
from ipl_tui.packets.fields import read_header
from ipl_tui.packets.ipv4 import ICMP, SHORTEST_HEADER, header_length, payload_of, without_padding
from ipl_tui.packets.messages import CLIENT_MESSAGE
from ipl_tui.tracking.fate import Fate
from ipl_tui.tracking.matching import is_echo_request
from ipl_tui.tracking.view import View

WITHOUT_FILTER = "Ctrl+O captures without it."
"""Ends what is said to somebody in the lab whose capture filter leaves something out."""


@dataclass(frozen=True)
class Unanswered:
    """A packet that got no answer, and what is known about it. All but the first five may be left unknown."""

    packet: bytes
    """As it was handed to be sent: IPv4 header and payload."""
    method: Method
    interface: Interface
    network: Network
    waited: float
    """Seconds since it was sent."""
    capturing: bool = False
    """True if the interface was captured on."""
    filter: str = ""
    """The capture filter."""
    seen: bytes = b""
    """The packet as it was captured there; nothing if it was not."""
    fate: str = ""
    """The network's word on what became of it; a sentence, or empty."""
    answer: int = 0
    """The number of the frame in which an answer was captured that did not come as far as the interface; 0: of none."""
    fate_of_answer: str = ""
    """The network's word on what became of the answer; a sentence, in which "it" is the answer, or empty."""
    served: int | None = None
    """The IP protocol by which a server answers ClientMessage, in the networks that only this program reaches; None:
    it has none there now."""
    servers: tuple[str, ...] = ()
    """The dotted quads at which one answers there."""
    in_lab: bool = False
    """True if the one who asks is in the lab, and can press its keys."""


def explain(case: Unanswered) -> str:
    """One or two sentences: what was seen, how long nothing came back, and the likeliest reason.

    Blocks for some ms, at most seconds: it asks the system for routes and rules, and sends nothing.
    """
    name = case.interface.name
    reason, look = next((reason, look) for look in LOOKS if (reason := look(case)))
    seen = f", seen on {name}" if case.seen else f", not seen on {name}" if case.capturing else ""
    hidden = case.in_lab and look in UNCERTAIN and _view(case).hides_error(case.seen or case.packet)
    also = f' The filter "{case.filter}" would hide an ICMP error about it.' if hidden else ""
    offer = f" {WITHOUT_FILTER}" if hidden or (case.in_lab and look in (_capture, _answer_filtered)) else ""
    return f"Sent on {name}{seen}, nothing came back in {case.waited:.1f} s: {reason}.{also}{offer}"


def offers_all(sentence: str) -> bool:
    """True if explain() has said that the lab's capture filter is in the way, and how to go on without it."""
    return sentence.endswith(WITHOUT_FILTER)


def look_into(case: Unanswered, fate: Fate) -> Unanswered | None:
    """The case with what became of its packet; None if it was answered where it was sent, or that can't be told."""
    if fate.unknown not in ("", "filtered") or case.interface.name in fate.answered_on:
        return None
    answer = next(iter(fate.answers), 0)
    return replace(case, seen=fate.packet, fate=fate.lost, answer=answer, fate_of_answer=fate.answer_lost)


# What may be the reason, the most certain first. Each gives it as the end of a sentence, or nothing.


def _fate(case: Unanswered) -> str:
    return case.fate.removesuffix(".")


def _answer(case: Unanswered) -> str:
    """In the other reasons "it" is the packet that was sent, so that here the answer is named."""
    if not case.answer:
        return ""
    fate = re.sub(r"\b[Ii]t\b", "the answer", re.sub(r"\b[Ii]ts\b", "the answer's", case.fate_of_answer))
    return f"the answer, packet {case.answer}, did not come back{f': {fate}' if fate else ''}".removesuffix(".")


def _capture(case: Unanswered) -> str:
    if not case.capturing or case.seen:
        return ""
    if not _view(case).passes(case.packet):
        return f'the filter "{case.filter}" leaves it out, and perhaps its answer'
    return ""


def _header(case: Unanswered) -> str:
    """Reason in the header: faults for which receivers drop in silence (RFC 1122 §3.2.1)."""
    packet = case.seen or case.packet
    values = {name: value for name, value in read_header(packet).items() if isinstance(value, int)}
    size = header_length(packet)
    rewritten = _is_rewritten(case)
    if values["version"] != 4:
        return f"its Version is {values['version']}: receivers drop it in silence"
    if not SHORTEST_HEADER <= size <= len(packet):
        return f"its IHL says {size} bytes: receivers drop it in silence"
    if values["len"] > len(packet) and not rewritten:
        return f"its Total Length says {values['len']}: receivers drop it in silence"
    if internet_checksum(packet[:size]) != 0 and not rewritten:
        return "its Header Checksum is wrong: receivers drop it in silence"
    if values["mf"] or values["frag"]:
        return "it is a fragment, and its receiver waits for the others"
    if values["ttl"] == 0:
        return "its Time to Live is 0: no router forwards it"
    if is_echo_request(packet) and internet_checksum(_payload(packet)) != 0:
        return "its ICMP checksum is wrong: receivers drop it in silence"
    return ""


def _addresses(case: Unanswered) -> str:
    packet = case.seen or case.packet
    source, destination = IPv4Address(packet[12:16]), IPv4Address(packet[16:20])
    own = [address.ip for address in case.interface.addresses]
    networks = [address.network for address in case.interface.addresses]
    subnets = [network.broadcast_address for network in networks if network.prefixlen < 31]
    if destination.is_multicast or destination in (IPv4Address("255.255.255.255"), *subnets):
        return f"{destination} is for many: servers answer what is for them alone"
    if case.method == "exact" and case.interface.choose_method(str(destination)) == "kernel":
        return f"no frame reaches {destination}, the sender itself: send by kernel"
    stays = case.interface.is_own(str(destination)) and case.interface.is_own(str(source))
    if source not in own and not stays and not (source == IPv4Address(0) and case.method == "kernel"):
        return f"its Source is {source}, no address of {case.interface.name}: answers go there"
    return ""


def _answer_filtered(case: Unanswered) -> str:
    """Reason in the capture filter: it would leave the answer out."""
    hides = _view(case).hides_answer(case.seen or case.packet)
    return f'the filter "{case.filter}" leaves the answer out' if hides else ""


def _nobody_answers(case: Unanswered) -> str:
    """Reason in the servers: all is known about the networks that no other program reaches, nothing about others."""
    packet = case.seen or case.packet
    if not case.network.private or is_echo_request(packet):
        return ""
    destination = str(IPv4Address(packet[16:20]))
    if case.servers and destination not in case.servers:
        return f"servers listen at {', '.join(case.servers)} only, not at {destination}"
    if case.served is None:
        return f"no server listens there{'; F6 starts one' if _is_for_f6(case) else ''}"
    payload = payload_of(packet) if _is_rewritten(case) else _payload(packet)
    if packet[9] != case.served or payload != CLIENT_MESSAGE:
        return f"it is neither a ping nor exactly ClientMessage by protocol {case.served}, which are answered there"
    return ""


def _way(case: Unanswered) -> str:
    destination = str(IPv4Address(case.packet[16:20]))
    route = check_route(case.interface, destination)
    return "" if route.verdict == "works" else route.text


def _links(case: Unanswered) -> str:
    lossy = [f"{link.name} loses {link.loss * 100:g}% of its frames" for link in case.network.links() if link.loss]
    return " and ".join(lossy)


def _translation(case: Unanswered) -> str:
    """A translating router on the way, unless the packet did not even leave."""
    if case.capturing and not case.seen:
        return ""
    found = check_translation(case.interface, str(IPv4Address(case.packet[16:20])), case.packet[9])
    return "; ".join(f"{finding.text}: {finding.remedy}" for finding in found)


def _firewall(case: Unanswered) -> str:
    """The rules that packets of this machine itself meet; they are never passing through."""
    if not case.interface.of_this_machine or (rules := read_rules()) is None:
        return ""
    with suppress(ValueError):
        eaters = [each for each in eats(rules, case.packet[9], case.interface.name) if each.hook != "forward"]
        return max(eaters, key=lambda each: each.certain).text if eaters else ""
    return ""


def _not_seen(case: Unanswered) -> str:
    if not case.capturing or case.seen:
        return ""
    return f"something took it before {case.interface.name}, a firewall perhaps"


def _unknown(case: Unanswered) -> str:
    destination = IPv4Address(case.packet[16:20])
    if case.network.path():
        lab = "F9" if case.in_lab else f"the lab, ipl-tui -i {case.interface.full_name} --path,"
        return f"the reason is not known; {lab} shows where such a packet ends"
    what = f"listens to protocol {case.packet[9]}" if case.packet[9] != ICMP else "answers pings"
    if _is_for_f6(case):
        what += " (F6 turns the responder on)"
    return f"perhaps nobody at {destination} {what}, or a firewall drops it"


LOOKS = (
    _answer,
    _fate,
    _capture,
    _header,
    _addresses,
    _answer_filtered,
    _nobody_answers,
    _way,
    _links,
    _translation,
    _firewall,
    _not_seen,
    _unknown,
)


UNCERTAIN = (_nobody_answers, _way, _links, _translation, _firewall, _not_seen, _unknown)
"""Those after which it may still be that somebody objected."""


def _view(case: Unanswered) -> View:
    """View of what could be captured of the packets that come back."""
    return View(case.filter if case.capturing else "", case.interface.linktype)


def _is_for_f6(case: Unanswered) -> bool:
    """True if the lab's responder is off and would answer the packet."""
    off = case.in_lab and case.served is None
    return off and would_answer(case.network.responder_at(case.interface), case.seen or case.packet)


def _is_rewritten(case: Unanswered) -> bool:
    """True if a kernel has written some of the header, such as Total Length, and what is not known."""
    return case.method == "kernel" and not case.seen


def _payload(packet: bytes) -> bytes:
    return payload_of(without_padding(packet))
