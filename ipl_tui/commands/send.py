"""ipl-tui send: makes an IPv4 packet of the fields given, sends it, and waits for what comes back."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from ipaddress import IPv4Address
from threading import Event
from typing import TYPE_CHECKING, Any, Literal, get_args

import click

from ipl_tui.commands.common import (
    INTERRUPTED,
    Command,
    Seconds,
    SelectedInterface,
    echo,
    interface_option,
    select_interface,
)
from ipl_tui.commands.exchange_options import answer_there, answering
from ipl_tui.networks.interface import Interface, Method, SendError
from ipl_tui.networks.send_errors import longer_than_link
from ipl_tui.networks.sending import (
    LONGEST_INTERVAL,
    MOST_PACKETS,
    SHORTEST_INTERVAL,
    Order,
    Outcome,
    carry_out,
    caveats,
)
from ipl_tui.packets.craft import PRESETS, Crafted, Draft, craft, read_entries, write_entries
from ipl_tui.packets.fields import ADDRESSES, FIELDS, Field
from ipl_tui.packets.ipv4 import LONGEST_DATAGRAM

if TYPE_CHECKING:
    from ipl_tui.capture.sniffer import CaptureSocket
    from ipl_tui.tracking.expected_answers import Answer, ExpectedAnswers

USUAL_WAIT, LONGEST_WAIT = 2.0, 3600.0
"""Seconds that --wait waits for an answer: where nothing else is said, and at most."""

MOST_HEX = 8 * LONGEST_DATAGRAM
"""Characters read from standard input: "0x41, " is a long way to write a byte."""

LOOK = 0.05
"""Seconds between two looks at whether all is sent."""

DEFAULT = PRESETS[0]
"""Preset that is sent if nothing is given."""


def header_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each field of the header, explained as everywhere."""
    defaults, _ = write_entries(DEFAULT.draft)
    found = {"src": "the interface's", "dst": "the interface's usual one", "options": "none"}
    for field in reversed(FIELDS):
        default = found.get(field.name) or defaults[field.name] or "automatic"
        words = f"{field.label}. {field.meaning} {field.rfc}.  [default: {default}]"
        # A flag may stand alone, or with its value as the others do.
        alone: dict[str, Any] = {"is_flag": False, "flag_value": "1"} if field.bits == 1 else {}
        function = click.option(f"--{field.name}", metavar=metavar(field), help=words, **alone)(function)
    return function


def metavar(field: Field) -> str:
    if field.name in ADDRESSES:
        return "ADDRESS"
    return "[0|1]" if field.bits == 1 else "HEX" if field.name == "options" else "NUMBER"


@click.command(cls=Command)
@interface_option("by the route to --dst, or loopback")
@header_options
@click.option(
    "--payload",
    metavar="TEXT",
    help=r"What the packet carries: text with the escapes \xNN, \n, \r, \t, \0 and \\.  "
    f"[default: {DEFAULT.draft.payload.decode()}]",
)
@click.option(
    "--hex", "hexadecimal", is_flag=True, help="The payload is hex, from standard input if there is no --payload."
)
@click.option(
    "--method",
    type=click.Choice(["auto", *get_args(Method)]),
    default="auto",
    show_default=True,
    help="exact: a frame, bytes as composed. kernel: a raw IP socket, which changes some. auto: exact where it works.",
)
@click.option("--count", type=click.IntRange(1, MOST_PACKETS), default=1, show_default=True, help="Send it so often.")
@click.option(
    "--interval",
    type=Seconds(SHORTEST_INTERVAL, LONGEST_INTERVAL),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="From one packet to the next.",
)
@click.option(
    "--wait",
    "patience",
    type=Seconds(0, LONGEST_WAIT, min_open=True),
    is_flag=False,
    flag_value=USUAL_WAIT,
    metavar="[SECONDS]",
    help=f"Wait for the answer, or an ICMP error about the packet: {USUAL_WAIT:g} s if nothing else is said.",
)
@click.option("--show", is_flag=True, help="Print what comes back in full; with --wait.")
@click.option("--dry-run", is_flag=True, help="Print the header as a picture, and the bytes; send nothing.")
def command(
    name: str | None,
    payload: str | None,
    hexadecimal: bool,
    method: Literal["auto"] | Method,
    count: int,
    interval: float,
    patience: float | None,
    show: bool,
    dry_run: bool,
    **entries: str | None,
) -> None:
    """Send an IPv4 packet, made field by field, and wait for its answer.

    What is not given is as in the composer: ClientMessage, to where the interface leads. Without -i the route to --dst
    decides where. Numbers are decimal, 0x or 0b; --proto takes IANA's keywords, such as ICMP. What contradicts itself
    is said and sent all the same. With --wait the status is 0 when every packet was answered, 1 if not; on a simulated
    or sandbox interface, which no other program reaches, the other end answers ClientMessage.

    \b
    ipl-tui send -i simulated:client --ttl 1 --wait
    xxd -p FILE | ipl-tui send -i simulated:client --proto 254 --df --hex
    """
    if show and patience is None:
        raise click.UsageError("--show prints what comes back: it needs --wait.")
    draft = read_draft(entries, payload, hexadecimal)
    destination = draft.dst if entries["dst"] is not None else None
    # An exact frame leaves where it is told to, and is refused where nobody would receive it.
    with (
        select_interface(name, destination, anyhow=dry_run, stay=method == "exact") as place,
        closing(place.interface) as interface,
    ):
        if destination is None:
            if not interface.destination:
                raise click.UsageError(f"{interface.full_name} has no usual destination: give one with --dst.")
            draft = replace(draft, dst=interface.destination)
        crafted = craft(draft, interface.source_for(draft.dst))
        chosen: Method = interface.choose_method(draft.dst) if method == "auto" else method
        order = Order(crafted.packet, chosen, count, interval)
        warn(*shortcomings(crafted, draft, chosen, interface))
        if dry_run:
            print_packet(crafted, draft.payload)
            echo(f"\nNot sent: {describe(order, count, interface)}")
        else:
            send(order, place, patience, show)


def read_draft(entries: dict[str, str | None], payload: str | None, hexadecimal: bool) -> Draft:
    """The packet that was asked for. Raises UsageError with a line for each option that can't be read."""
    defaults, message = write_entries(DEFAULT.draft)
    given = {name: entry for name, entry in entries.items() if entry is not None}
    if payload is None:
        payload = read_hex() if hexadecimal else message
    draft, problems = read_entries({**defaults, **given}, payload, hexadecimal)
    if draft is None:
        raise click.UsageError("\n".join(f"--{problem.field}: {problem.text}" for problem in problems))
    return draft


def read_hex() -> str:
    """Text on standard input. Raises UsageError if that can't be a payload."""
    stdin = sys.stdin.buffer
    advice = "give the payload with --payload, or pipe it in: xxd -p FILE | ipl-tui send --hex"
    if stdin.isatty():
        raise click.UsageError(f"--hex reads standard input, which is a terminal: {advice}")
    text = stdin.read(MOST_HEX + 1).decode(errors="replace")
    if not text.strip():
        raise click.UsageError(f"--hex found nothing on standard input: {advice}")
    if len(text) > MOST_HEX:
        raise click.UsageError(f"--hex: standard input has more than an IPv4 packet's {LONGEST_DATAGRAM:,} bytes.")
    return text


def shortcomings(crafted: Crafted, draft: Draft, method: Method, interface: Interface) -> list[str]:
    """Sentences on what contradicts itself, and on the packet's way out; it is sent all the same."""
    delivering = interface.choose_method(draft.dst)
    sentences = [problem.text for problem in (*crafted.problems, *caveats(crafted.packet, method, delivering))]
    if draft.src is None and not interface.addresses and method == "exact":
        sentences.append(f"{interface.full_name} has no IPv4 address: the source is 0.0.0.0. --src gives another.")
    if len(crafted.packet) > interface.mtu:
        sentences.append(longer_than_link(len(crafted.packet), interface.name, interface.mtu))
    return sentences


def warn(*sentences: str) -> None:
    for sentence in sentences:
        echo(f"▲ {sentence}", fg="yellow", err=True)


def print_packet(crafted: Crafted, payload: bytes) -> None:
    from ipl_tui.packets.hex import hex_dump
    from ipl_tui.packets.picture import picture

    echo("\n".join([*picture(crafted.values, payload), "", *hex_dump(crafted.packet)]))


# Sending


def send(order: Order, place: SelectedInterface, patience: float | None, show: bool) -> None:
    """Carry out an order, print how far it got, and what comes back within `patience` seconds if that is wanted.

    Raises SendError, CaptureError, and Exit after Ctrl+C or when a packet was not answered.
    """
    from ipl_tui.tracking.expected_answers import ExpectedAnswers

    interface, stop = place.interface, Event()
    awaiting = ExpectedAnswers(order.packet, round((patience or 0) * 1e9))
    answers: list[Answer] = []
    told = interrupted = False
    with ExitStack() as ending:
        capture = listen(order, place, ending) if patience is not None else None
        sender = ending.enter_context(ThreadPoolExecutor(1, "sender"))
        ending.callback(stop.set)
        if order.count > 1:
            every = f"{describe(order, order.count, interface)}, every {order.interval:g} s"
            echo(f"Sending {every} (Ctrl+C ends)", err=True)
        sending = sender.submit(carry_out, order, interface, stop, lambda sent: None)
        try:
            if order.count == 1 or capture is None:  # then first is said what was sent, and next what came back
                while not sending.done():
                    wait([sending], LOOK)
                told = True
                print_sent(order, sending.result(), interface)
            if capture is not None and patience is not None:
                for answer in arriving(capture, awaiting, sending, patience):
                    answers.append(answer)
                    print_answer(answer, capture.linktype, show)
        except KeyboardInterrupt:
            interrupted = True
    outcome = sending.result()
    if not told:
        print_sent(order, outcome, interface)
    if patience is not None and order.count > 1:
        print_summary(answers, outcome.sent)
    if outcome.problem:
        raise SendError(outcome.problem + (f" ({outcome.sent:,} were sent)" if outcome.sent else ""))
    if interrupted:
        raise click.exceptions.Exit(INTERRUPTED)
    if patience is not None and sum(answer.error is None for answer in answers) < outcome.sent:
        if not answers:
            print_silence(order, place, patience, awaiting.seen)
        raise click.exceptions.Exit(1)


def listen(order: Order, place: SelectedInterface, ending: ExitStack) -> CaptureSocket:
    """Capture what may come back, from now on until `ending`, and see to it that it can. Raises CaptureError."""
    from ipl_tui.capture.filters import pcapy

    interface = place.interface
    proto = order.packet[9]
    # Without libpcap, which compiles filters, everything is looked at.
    capture = interface.open_capture(f"ip proto {proto} or icmp" if pcapy is not None else "")
    ending.enter_context(closing(capture))
    with suppress(SendError):  # what forbids this forbids sending, which says it better
        # This host's kernel would object to an answer by a protocol that nobody here listens to.
        ending.enter_context(closing(interface.open_protocol(proto, discarding=True)))
    answer_there(place, str(IPv4Address(order.packet[16:20])), ending)
    return capture


def arriving(
    capture: CaptureSocket, awaiting: ExpectedAnswers, sending: Future[Outcome], patience: float
) -> Iterator[Answer]:
    """Answers as they arrive, until every packet has one, or `patience` seconds after the last one was sent."""
    found = 0
    until = math.inf
    while time.monotonic() < until and not (sending.done() and found >= sending.result().sent):
        if sending.done() and until == math.inf:
            until = time.monotonic() + patience
        if capture.wait(LOOK):
            data, records = capture.recv_batch()
            for at, start, captured, _ in records:
                if answer := awaiting.see(at, data[start : start + captured], capture.linktype):
                    found += 1
                    yield answer


# What is printed


def describe(order: Order, count: int, interface: Interface) -> str:
    return f"{count:,} × {len(order.packet):,} bytes, {order.method}, on {interface.full_name}"


def print_sent(order: Order, outcome: Outcome, interface: Interface) -> None:
    stopped = outcome.sent < order.count and not outcome.problem
    if outcome.sent or stopped:
        ending = f"; stopped before {order.count:,}" if stopped else ""
        echo(f"Sent {describe(order, outcome.sent, interface)}{ending}")


def print_answer(answer: Answer, linktype: int, show: bool) -> None:
    """Print an answer, its sender and its time; in full if that is wanted."""
    from ipl_tui.packets.budget import dissect, summarise
    from ipl_tui.packets.icmp import describe_error
    from ipl_tui.packets.show import show as lines_of

    after = f"after {'' if answer.sure else 'perhaps '}{answer.delay / 1e6:.2f} ms"
    if answer.error is not None:
        words = describe_error(answer.error.type, answer.error.code)
        echo(f"{answer.error.source} says {words}; {after}", fg="red", err=True)
    else:
        summary = summarise(answer.frame, linktype)
        text = f"From {summary.source}: {summary.info[:80]}, {len(answer.packet):,} bytes, {after}"
        echo(text, fg="green")
    if show:
        echo("\n".join(lines_of(dissect(answer.frame, linktype))))


def print_silence(order: Order, place: SelectedInterface, patience: float, seen: bytes) -> None:
    """Print why nothing came back, as far as that can be known; `seen` is the packet as it was captured."""
    from ipl_tui.diagnosis.unanswered import Unanswered, explain
    from ipl_tui.packets.messages import PROTOCOL

    case = Unanswered(
        order.packet,
        order.method,
        place.interface,
        place.network,
        patience,
        True,
        seen=seen,
        served=PROTOCOL,
        servers=answering(place.network),
    )
    echo(explain(case), fg="red", err=True)


def print_summary(answers: list[Answer], sent: int) -> None:
    """Print how many were answered, and how long that took."""
    from ipl_tui.tracking.expected_answers import count_answers

    echo(f"{sent:,} sent, {count_answers(answers, sent)}", err=True)
