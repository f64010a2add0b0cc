"""ipl-tui server: answers ClientMessage with ServerResponse, and prints what it received."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING

import click

from ipl_tui.commands.common import Command, Seconds, echo, select_interface
from ipl_tui.commands.exchange_options import (
    RAW_NAMES,
    TCP_NAMES,
    ExchangeOptions,
    describe,
    exchange_options,
    print_packet,
)
from ipl_tui.exchange.delayed_answers import DELAY
from ipl_tui.exchange.engine import Received, ServerConfig
from ipl_tui.exchange.engines import make_client, make_server
from ipl_tui.exchange.rate_limit import RATE
from ipl_tui.networks.interface import SendError

if TYPE_CHECKING:
    from ipl_tui.networks.interface import Interface

MOST_UNPRINTED = 1000
"""Packets that wait to be printed; more are answered all the same, and counted."""

LONGEST_DELAY = 60.0
"""Seconds."""

MOST_RATE = 1_000_000
"""Answers a second that --rate takes."""

LOOK = 0.2
"""Seconds between two looks at whether the server still listens."""

ASKING = 1.0
"""Seconds between two requests of the host at the other end, where only this program can ask."""


@click.command(cls=Command)
@exchange_options(
    place="loopback",
    source="The only address to answer for.  [default: every one of the interface]",
    destination="Answer only the client at this address.",
    timeout=f"How long a client may take over a message, with {TCP_NAMES}.",
    count="End after so many answers.",
    show=True,
)
@click.option(
    "--delay",
    type=Seconds(0, LONGEST_DELAY),
    metavar="SECONDS",
    help=f"How long an answer waits, with {RAW_NAMES}, so that a client hears it that begins to listen only after "
    f"it has sent; 0: not at all.  [default: {DELAY:g}]",
)
@click.option(
    "--rate",
    type=click.IntRange(0, MOST_RATE),
    metavar="N",
    help=f"With {RAW_NAMES}, answer at most so many a second: anybody can forge a source, and would have the "
    f"answers sent there. 0: no limit, for benchmarks.  [default: {RATE}]",
)
def command(wanted: ExchangeOptions, delay: float | None) -> None:
    """Answer ClientMessage with ServerResponse, until Ctrl+C.

    Any client works with it: ipl-tui client, the lab, or one of your own. Without -i it listens on loopback. On a
    simulated or sandbox interface, which no other program reaches, the host at the other end asks once a second; it
    listens already, and is answered at once.
    """
    if delay is not None and wanted.over_tcp:
        raise click.UsageError(
            f"--delay is for {RAW_NAMES}: with {wanted.engine}, TCP keeps what comes until it is read."
        )
    delay = 0.0 if wanted.over_tcp else DELAY if delay is None else delay
    if wanted.rate is not None and wanted.over_tcp:
        raise click.UsageError(f"--rate is for {RAW_NAMES}: over TCP nobody forges a source.")
    events = Events()
    with select_interface(wanted.name) as place, ExitStack() as ending:
        interface, network = place.interface, place.network
        config = ServerConfig(
            interface,
            source=wanted.source,
            client=wanted.destination,
            proto=wanted.proto,
            port=wanted.port,
            rate=RATE if wanted.rate is None else wanted.rate,
            patience=wanted.timeout,
            most=wanted.count,
            delay=delay,
            on_problem=events.put,
            on_received=events.put,
        )
        server = make_server(wanted.engine, config)
        ending.callback(server.stop)
        with suppress(KeyboardInterrupt):
            server.start()
            echo(f"Listening at {server.where}, with {wanted.engine}. {waiting(delay)}Ctrl+C ends it.")
            if network.private:
                path = network.path()
                asker = path[-1] if interface.host == path[0].host else path[0]
                who = f"No other program reaches the {network.name} network: its {asker.host} asks once a second"
                echo(f"{who}, and is answered at once, for it listens already." if delay else f"{who}.")
                ending.callback(ask_again_and_again(wanted.engine, asker, config))
            # In this order: what is counted in between is in the queue already.
            while (server.running and not config.is_fulfilled(events.answered)) or not events.empty():
                print_event(events.get(), wanted)
        ended_by_itself = not server.running
    summary = f"{events.received:,} received, {server.answered:,} answered"
    summary += f", {config.refused:,} not answered for --rate" if config.refused else ""
    echo(summary + (f", {events.unprinted:,} not printed" if events.unprinted else ""))
    if ended_by_itself:
        raise click.exceptions.Exit(1)


def waiting(delay: float) -> str:
    """A sentence about the delay in seconds, and why there is one; nothing if there is none."""
    return f"It answers after {delay:g} s: clients hear it that listen only after they have sent. " if delay else ""


class Events:
    """Queue of what the server's thread tells, until it is printed: printing never holds up an answer."""

    def __init__(self) -> None:
        self.received = 0
        self.answered = 0
        self.unprinted = 0
        """Packets for which there was no room."""
        self._counting = threading.Lock()
        self._queue: Queue[Received | str] = Queue(MOST_UNPRINTED)

    def put(self, event: Received | str) -> None:
        """Take what was received, or a sentence about a problem; never waits."""
        printed = True
        try:
            self._queue.put_nowait(event)
        except Full:
            printed = False
        if isinstance(event, Received):
            with self._counting:  # a server has two threads when answers wait
                self.received += 1
                self.answered += event.response is not None
                self.unprinted += not printed

    def get(self) -> Received | str:
        """The oldest; nothing if none comes for a moment."""
        try:
            return self._queue.get(timeout=LOOK)
        except Empty:
            return ""

    def empty(self) -> bool:
        return self._queue.empty()


def print_event(event: Received | str, wanted: ExchangeOptions) -> None:
    """Print a request, its client and its answer; or a problem."""
    if isinstance(event, Received):
        print_received(event, wanted)
    elif event:
        echo(event, fg="red", err=True)


def print_received(received: Received, wanted: ExchangeOptions) -> None:
    echo(f"From {received.client}: {describe(received.request, wanted.over_tcp)}", bold=True)
    if wanted.show:
        print_packet(received.request, wanted.over_tcp)
    if received.response is None:
        echo(f"  not answered: {received.reason}")
    else:
        echo(f"  answered {received.client} with {describe(received.response, wanted.over_tcp)}", fg="green")


def ask_again_and_again(engine: str, interface: Interface, config: ServerConfig) -> Callable[[], None]:
    """Let a host of a network that nobody else reaches ask this server, from a thread; what is returned ends that."""
    ending = threading.Event()

    def ask() -> None:
        while not ending.is_set():
            try:
                with closing(
                    make_client(engine, interface, config.addresses[0], "", config.proto, config.port)
                ) as client:
                    while not ending.is_set():
                        with config.ours.sending(client.message):
                            client.ask(timeout=ASKING)
                        ending.wait(ASKING)
            except SendError as error:
                config.on_problem(str(error))
                ending.wait(ASKING)

    asking = threading.Thread(target=ask, name="asker", daemon=True)
    asking.start()

    def end() -> None:
        ending.set()
        asking.join()

    return end
