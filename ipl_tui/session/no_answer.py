"""Sentences on why nothing came back for what the lab sent, or what an ICMP error says about it."""

from __future__ import annotations

from dataclasses import dataclass

from ipl_tui.exchange.responder import would_answer
from ipl_tui.networks.interface import Interface, Network
from ipl_tui.networks.sending import Order
from ipl_tui.packets.icmp import describe_error
from ipl_tui.packets.messages import PROTOCOL
from ipl_tui.tracking.sent_packet import SentPacket
from ipl_tui.tracking.tracker import Tracker

PROTOCOL_UNREACHABLE = 3, 2
"""Type and code (RFC 792)."""


@dataclass(frozen=True)
class UnansweredOrder:
    """An order that was carried out, and what is so in the lab when its answer is missed."""

    order: Order
    watch: SentPacket
    """The packet sent, and what came of it."""
    interface: Interface
    """Interface of the order."""
    way: Interface
    """Interface where its packet left, and was captured."""
    network: Network
    filter: str
    answers: bool
    """True if the lab's responder is on."""
    waited: float
    """Seconds since it was sent."""


def explain_silence(case: UnansweredOrder, tracker: Tracker) -> tuple[str, bool]:
    """A sentence, or nothing for a packet that asks for no answer or got one; and whether it says that the capture
    filter is in the way. Blocks: it asks the system for routes and rules."""
    from ipl_tui.diagnosis.unanswered import Unanswered, explain, look_into, offers_all

    if not case.watch.asks:
        return "", False
    sent = Unanswered(
        case.order.packet,
        case.order.method,
        case.way,
        case.network,
        case.waited,
        True,
        case.filter,
        served=PROTOCOL if case.answers else None,
        servers=tuple(str(address.ip) for address in case.network.responder_at(case.interface).addresses),
        in_lab=True,
    )
    known = look_into(sent, tracker.fate_of(case.watch))
    sentence = explain(known) if known is not None else ""
    return sentence, offers_all(sentence)


def describe_icmp_error(watch: SentPacket, place: Interface, answers: bool) -> str:
    """Sentence on an ICMP error about a packet, and on F6 where a responder at a place would help; empty without an
    error. `answers`: whether the lab's responder is on."""
    if watch.error is None:
        return ""
    error = watch.error.type, watch.error.code
    helps = error == PROTOCOL_UNREACHABLE and not answers and would_answer(place, watch.packet)
    advice = "; F6 turns the responder on" if helps else ""
    return f"{watch.error.source} says {describe_error(*error)}{advice}"
