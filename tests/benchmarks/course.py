"""Course: a course's two programs with ours, 20 exchanges of each pair, while a busy program takes the other core.

Their client sends first and only then begins to listen; both use libpcap (conf.use_pcap), and plain sockets. Over
loopback and over a veth pair, in namespaces. Run it: python -m tests.benchmarks.course
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import pairwise, product
from pathlib import Path

from ipl_tui.capture.files import read_capture
from ipl_tui.capture.store import Store
from ipl_tui.exchange.engines import RAW_ENGINES
from ipl_tui.packets.messages import CLIENT_MESSAGE, SERVER_RESPONSE
from tests.benchmarks.common import APP, Table, Terminal, benchmark_cable, in_namespace, settle
from tests.benchmarks.networks import F5
from tests.conftest import Host
from tests.exchange.course import CLIENT, SERVER, running

EXCHANGES = 20
TO_DESTINATION = ("2", *"\t" * 4)
"""The keys that lead to the composer's Destination Address."""

WAYS = {"libpcap": "with use_pcap", "sockets": "without"}

Place = tuple[Host, Host]
"""Where the client is, and where the server."""


@contextmanager
def busy() -> Iterator[None]:
    """A program that takes all that it gets of a core."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


@contextmanager
def their_server(place: Place, way: str) -> Iterator[None]:
    client, server = place
    with running(SERVER, [server.interface, server.address, client.address, way], server.namespace):
        yield


@contextmanager
def our_server(engine: str, place: Place, way: str) -> Iterator[None]:
    server = place[1]
    command = (*APP, "server", "--no-show", "--engine", engine, "-i", server.interface)
    with Terminal(command, server.namespace, "\x03") as terminal:
        terminal.wait_for("Listening at")
        yield


@contextmanager
def the_lab_answering(place: Place, way: str) -> Iterator[None]:
    server = place[1]
    with Terminal((*APP, "--responder", "-i", server.interface), server.namespace) as terminal:
        terminal.wait_for("Scapy responder", "● capturing")
        yield


def their_client(place: Place, way: str) -> int:
    """How many answers it hears."""
    client, server = place
    heard = 0
    with running(CLIENT, [client.interface, client.address, server.address, way], client.namespace) as program:
        for _ in range(EXCHANGES):
            program.ask()
            heard += program.says() == "heard"
    return heard


def our_client(engine: str, place: Place, way: str) -> int:
    """How many answers it gets."""
    client, server = place
    command = (*APP, "client", "-i", client.interface, "--dst", server.address, "--engine", engine, "--timeout", "3")
    whole = in_namespace(client.namespace, [*command, "--count", str(EXCHANGES)])
    found = re.search(r"sent, (\d+) answered", subprocess.run(whole, capture_output=True, text=True).stdout)
    return int(found[1]) if found else 0


def the_lab_asking(place: Place, way: str) -> int:
    """How many times F5 has its answer in the capture."""
    client, server = place
    with tempfile.TemporaryDirectory(prefix="ipl-course-") as folder:
        file = Path(folder) / "lab.pcapng"
        options = ("-i", client.interface, "-f", "ip proto 253", "-w", str(file))
        with Terminal((*APP, *options), client.namespace) as terminal:
            terminal.wait_for("● capturing")
            settle(terminal.pid)
            for keys in (TO_DESTINATION, server.address) if client.interface != "lo" else ():
                for key in keys:
                    terminal.press(key)
                    time.sleep(0.1)  # what comes in one burst Textual may handle out of order
                settle(terminal.pid)
            for _ in range(EXCHANGES):
                terminal.press(F5)
                time.sleep(1)  # on a busy machine their server takes its time
            settle(terminal.pid)
        with Store() as store:
            read_capture(file, store)
            frames = [store.frame(number).data for number in range(1, len(store) + 1)]
    return sum(
        asked.endswith(CLIENT_MESSAGE) and answer.rstrip(b"\0").endswith(SERVER_RESPONSE)
        for asked, answer in pairwise(frames)
    )


Server = Callable[[Place, str], AbstractContextManager[None]]
Client = Callable[[Place, str], int]

PAIRS: dict[str, tuple[Client, Server]] = {
    "their client, their server": (their_client, their_server),
    **{
        f"their client, ipl-tui server --engine {each}": (their_client, partial(our_server, each))
        for each in RAW_ENGINES
    },
    "their client, the lab's F6": (their_client, the_lab_answering),
    **{
        f"ipl-tui client --engine {each}, their server": (partial(our_client, each), their_server)
        for each in RAW_ENGINES
    },
    "the lab's F5, their server": (the_lab_asking, their_server),
}


def cannot(pair: str, medium: str, way: str) -> bool:
    """Whether a raw socket would have to get what libpcap puts on lo; the engine says that it does not."""
    return "socket" in pair and (medium, way) == ("lo", "libpcap")


def measure() -> Table:
    table = Table(
        f"Course: a course's client and server, {EXCHANGES} exchanges of each pair, with a core busy",
        ("Pair", *(f"{medium}, {words}" for medium in ("lo", "veth") for words in WAYS.values())),
    )
    missed = []
    with benchmark_cable() as cable, busy():
        loopback = Host(cable.server.namespace, "lo", "127.0.0.1")
        media: dict[str, Place] = {"lo": (loopback, loopback), "veth": (cable.client, cable.server)}
        for pair, (client, server) in PAIRS.items():
            cells = []
            for (medium, place), way in product(media.items(), WAYS):
                if cannot(pair, medium, way):
                    cells.append("can't, and says so")
                    continue
                with server(place, way):
                    answered = client(place, way)
                cells.append(f"{answered} of {EXCHANGES}")
                if answered < EXCHANGES and "their client, their server" not in pair:
                    missed.append(f"{pair}, {medium}")
            table.rows.append((pair, *cells))
    table.bar(f"{EXCHANGES} of {EXCHANGES} of each pair with ours", not missed, "; ".join(missed) or "all")
    return table


if __name__ == "__main__":
    print(measure())
