"""Sentences on what came back for what the lab sent."""

from __future__ import annotations

from ipl_tui.networks.interface import Interface
from ipl_tui.packets.ipv4 import ICMP, payload_of
from ipl_tui.session.no_answer import describe_icmp_error
from ipl_tui.session.orders import CarriedOut
from ipl_tui.session.snapshot import About
from ipl_tui.tracking.expected_answers import count_answers

ECHO_REPLY = 0
"""ICMP's type (RFC 792)."""


def describe_what_came(order: CarriedOut, place: Interface, answering: bool) -> tuple[About, str]:
    """Sentence on what came back for an order, and its subject: the answers, or else an ICMP error. Empty where nothing
    did. A responder at the place would have answered; answering: whether the lab's is on."""
    error = describe_icmp_error(order.watch, place, answering)
    if error and (order.sent == 1 or not order.answers):
        return "icmp error", error
    return "answer", describe_answers(order)


def describe_answers(order: CarriedOut) -> str:
    """Sentence on the answer to a packet, or on how many of several were answered; empty where none was, and where
    that can't be told."""
    if not order.answers:
        return ""
    if order.sent > 1:
        if not order.complete and not order.watch.counted:
            return f"{order.said}; answers not counted: too much other traffic"
        return f"{order.said}: {count_answers([answer for _, answer in order.watch.answers], order.sent)}"
    number, answer = order.answers[0]
    payload, came = payload_of(answer.packet), "answered"
    if answer.packet[9] == ICMP and payload[0] == ECHO_REPLY:
        came = f"echo reply, seq {int.from_bytes(payload[6:8])},"
    return f"{order.said}; {came} in {answer.delay / 1e6:.1f} ms by packet {number:,}"
