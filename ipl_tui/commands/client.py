"""ipl-tui client: sends ClientMessage, waits for the ServerResponse, and says how long it took."""

from __future__ import annotations

from contextlib import ExitStack, closing
from statistics import median

import click

from ipl_tui.commands.common import INTERRUPTED, Command, Place, place_of
from ipl_tui.commands.exchanging import Wanted, describe, exchange_options, print_packet
from ipl_tui.exchange.engine import Reply, Terms, make_client, make_server


@click.command(cls=Command)
@exchange_options(
    place="by the route to --dst, or loopback",
    source="The address to send from: one of the interface's.  [default: the one nearest to the destination]",
    destination="The server's address.  [default: 127.0.0.1, or the other end of the simulated or sandbox network]",
    timeout="How long an answer is waited for.",
    count="Ask so many times, each after the answer to the one before.  [default: 1]",
    show=False,
)
def command(wanted: Wanted) -> None:
    """Send ClientMessage and wait for the ServerResponse.

    It works with any server: ipl-tui server, the lab's, or one of your own. Without -i the route to --dst decides where
    it is sent; without --dst too, that is loopback. On a simulated or sandbox interface, which no other program
    reaches, the host at the other end answers, with the same engine. The status is 0 when every answer came, 1 if not.
    """
    with place_of(wanted.name, wanted.destination) as place, ExitStack() as ending:
        destination = wanted.destination or place.interface.destination
        if not destination:
            raise click.UsageError(f"{place.interface.full_name} has no usual destination: give one with --dst.")
        if place.network.answers:
            terms = Terms(place.network.responder_at(place.interface), proto=wanted.proto, port=wanted.port)
            if destination in terms.addresses:
                server = make_server(wanted.engine, terms)
                ending.callback(server.stop)
                server.start()
        client = make_client(wanted.engine, place.interface, destination, wanted.source, wanted.proto, wanted.port)
        ending.enter_context(closing(client))
        replies: list[Reply] = []
        try:
            while len(replies) < (wanted.count or 1):
                replies.append(client.ask(wanted.timeout))
                print_reply(replies[-1], place, wanted)
        except KeyboardInterrupt:
            print_summary(replies)
            raise click.exceptions.Exit(INTERRUPTED) from None
    if len(replies) > 1:
        print_summary(replies)
    if any(reply.response is None for reply in replies):
        raise click.exceptions.Exit(1)


def print_reply(reply: Reply, place: Place, wanted: Wanted) -> None:
    """What was sent, and what came back, or why nothing did."""
    click.echo(f"To {reply.server}: {describe(reply.request, wanted.over_tcp)}")
    if wanted.show:
        print_packet(reply.request, wanted.over_tcp)
    if reply.response is None:
        click.secho(why_nothing(reply, place, wanted.over_tcp), fg="red", err=True)
        return
    answer = f"From {reply.server}: {describe(reply.response, wanted.over_tcp)}"
    click.secho(f"{answer}, after {reply.seconds * 1000:.2f} ms", fg="green")
    if wanted.show:
        print_packet(reply.response, wanted.over_tcp)


def why_nothing(reply: Reply, place: Place, over_tcp: bool) -> str:
    """Why nothing came back, as far as anybody says, or else as far as it can be known here."""
    if reply.reason or over_tcp:
        reason = f": {reply.reason}" if reply.reason else "."
        return f"Nothing came back from {reply.server} in {reply.seconds:.1f} s{reason}"
    from ipl_tui.diagnosis.unanswered import Unanswered, explain

    responder = True if place.network.answers else None
    return explain(
        Unanswered(reply.request, "kernel", place.interface, place.network, reply.seconds, responder=responder)
    )


def print_summary(replies: list[Reply]) -> None:
    times = [reply.seconds * 1000 for reply in replies if reply.response is not None]
    line = f"{len(replies):,} sent, {len(times):,} answered"
    if times:
        line += f"; {min(times):.2f} / {median(times):.2f} / {max(times):.2f} ms least, median, most"
    click.echo(line, err=True)
