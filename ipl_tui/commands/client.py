"""ipl-tui client: sends ClientMessage, waits for the ServerResponse, and says how long it took."""

from __future__ import annotations

from contextlib import ExitStack, closing
from statistics import median

import click

from ipl_tui.commands.common import INTERRUPTED, Command, SelectedInterface, echo, select_interface
from ipl_tui.commands.exchange_options import (
    TCP_NAMES,
    ExchangeOptions,
    answer_there,
    answering,
    describe,
    exchange_options,
    print_packet,
)
from ipl_tui.exchange.engine import Client, Reply
from ipl_tui.exchange.engines import make_client
from ipl_tui.exchange.framing import FRAMINGS

SECOND_ANSWER = 0.2
"""Seconds that a second answer is waited for, once, at the end: two servers of ours answer in the same moment, and
one of somebody else's takes some tens of ms."""


@click.command(cls=Command)
@exchange_options(
    place="by the route to --dst, or loopback",
    source="The address to send from: one of the interface's, or to an own address any own one.  "
    "[default: the one nearest to the destination]",
    destination="The server's address.  [default: 127.0.0.1, or the other end of the simulated or sandbox network]",
    timeout="How long an answer is waited for.",
    count="Ask so many times, each after the answer to the one before.  [default: 1]",
    show=False,
)
@click.option(
    "--framing",
    type=click.Choice(FRAMINGS),
    help=f"With {TCP_NAMES}, what tells where a message ends: none, so that two may arrive in one read, or one in two; "
    "length, in 2 bytes before it, which the other side must expect too.  [default: none]",
)
def command(wanted: ExchangeOptions) -> None:
    """Send ClientMessage and wait for the ServerResponse.

    It works with any server: ipl-tui server, the lab's, or one of your own. Without -i the route to --dst decides where
    it is sent; without --dst too, that is loopback. On a simulated or sandbox interface, which no other program
    reaches, the host at the other end answers, with the same engine. The status is 0 when every answer came, 1 if not.
    The times are as seen here, and a server's waiting is part of them: ipl-tui server waits unless it has --delay 0.
    An address of this machine's own is reached by loopback, from that same address, whatever -i says.
    """
    if wanted.framing and not wanted.over_tcp:
        raise click.UsageError(
            f"--framing is for {TCP_NAMES}: with {wanted.engine} each message is a packet of its own."
        )
    with select_interface(wanted.name, wanted.destination) as place, ExitStack() as ending:
        destination = wanted.destination or place.interface.destination
        if not destination:
            raise click.UsageError(f"{place.interface.full_name} has no usual destination: give one with --dst.")
        answer_there(place, destination, ending, wanted.engine, wanted.proto, wanted.port)
        client = make_client(
            wanted.engine,
            place.interface,
            destination,
            wanted.source,
            wanted.proto,
            wanted.port,
            wanted.framing or "none",
        )
        ending.enter_context(closing(client))
        stays = not place.network.private and place.interface.is_own(destination)
        replies: list[Reply] = []
        warned = False
        try:
            while len(replies) < (wanted.count or 1):
                print_request(client, destination, wanted)
                replies.append(client.ask(wanted.timeout))
                print_reply(replies[-1], place, wanted)
                warned = warned or warn_of_second(client, destination, stays)
        except KeyboardInterrupt:
            print_summary(replies, interrupted=True)
            raise click.exceptions.Exit(INTERRUPTED) from None
        if not warned and not wanted.over_tcp and not place.network.private and replies[-1].response is not None:
            warn_of_second(client, destination, stays, SECOND_ANSWER)
    if len(replies) > 1:
        print_summary(replies)
    if any(reply.response is None for reply in replies):
        raise click.exceptions.Exit(1)


def print_request(client: Client, destination: str, wanted: ExchangeOptions) -> None:
    """Print the packet that is about to be sent."""
    port = f":{wanted.port}" if wanted.over_tcp else ""
    length = ", after its length in 2 bytes" if wanted.framing == "length" else ""
    echo(f"To {destination}{port}: {describe(client.message, wanted.over_tcp)}{length}")
    if wanted.show:
        print_packet(client.message, wanted.over_tcp)


def print_reply(reply: Reply, place: SelectedInterface, wanted: ExchangeOptions) -> None:
    """Print the answer, or why there was none."""
    if reply.response is None:
        echo(why_nothing(reply, place, wanted), fg="red", err=True)
        return
    answer = f"From {reply.server}: {describe(reply.response, wanted.over_tcp)}"
    waiting = "" if wanted.over_tcp or place.network.private else ", the server's waiting included"
    echo(f"{answer}, after {reply.seconds * 1000:.2f} ms{waiting}", fg="green")
    if wanted.show:
        print_packet(reply.response, wanted.over_tcp)


def warn_of_second(client: Client, destination: str, stays: bool, seconds: float = 0) -> bool:
    """Say that more answers than questions came, if so, waiting so long for one; whether they stay on this machine."""
    if not client.surplus(seconds):
        return False
    twice = ""
    if stays:
        twice = ", or a Scapy program without conf.use_pcap, which sees each packet on loopback twice"
    echo(
        f"A second answer came from {destination}: probably two servers listen there{twice}, "
        "or another client here asks too.",
        fg="yellow",
        err=True,
    )
    return True


def why_nothing(reply: Reply, place: SelectedInterface, wanted: ExchangeOptions) -> str:
    """Reason why nothing came back, as far as anybody says, or else as far as it can be known here."""
    if reply.reason or wanted.over_tcp:
        reason = f": {reply.reason}" if reply.reason else "."
        return f"No answer from {reply.server} in {reply.seconds:.1f} s{reason}"
    from ipl_tui.diagnosis.unanswered import Unanswered, explain

    return explain(
        Unanswered(
            reply.request,
            "kernel",
            place.interface,
            place.network,
            reply.seconds,
            served=wanted.proto,
            servers=answering(place.network),
        )
    )


def print_summary(replies: list[Reply], interrupted: bool = False) -> None:
    """Print how many were answered, and how long that took; interrupted: while one more was waited for."""
    times = [reply.seconds * 1000 for reply in replies if reply.response is not None]
    line = f"{len(replies) + interrupted:,} sent, {len(times):,} answered"
    if times:
        line += f"; {min(times):.2f} / {median(times):.2f} / {max(times):.2f} ms least, median, most"
    echo(line)
