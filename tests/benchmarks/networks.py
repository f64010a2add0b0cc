"""The simulated network and the sandbox: F5 to the answer, 1,000 packets a second through the router, starting.

Run it: python -m tests.benchmarks.networks. It needs no root.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import median, quantiles

from ipl_tui.capture.files import read_capture
from ipl_tui.capture.store import Store
from ipl_tui.networks.sandbox import SandboxNetwork
from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.packets.messages import CLIENT_MESSAGE, SERVER_RESPONSE
from tests.benchmarks.common import APP, Table, Terminal, settle
from tests.benchmarks.flood import longest_gap

EXCHANGES, PACKETS, STARTS = 50, 10_000, 20
F5 = "\x1b[15~"
TO_COUNT = "2" + "\t" * 10
"""The keys that lead to the composer's count."""


def lab(name: str, file: Path, *options: str) -> Terminal:
    """The lab on a client, with the responder on and nothing left to do."""
    terminal = Terminal((*APP, "-i", f"{name}:client", "-f", "ip proto 253", "-w", str(file), *options))
    terminal.wait_for("↩ Scapy", "● capturing")
    settle(terminal.pid)
    return terminal


def press_f5(name: str, file: Path) -> list[float]:
    """From the key to the answer on the screen, in ms, each time."""
    times = []
    with lab(name, file) as terminal:
        for number in range(1, 2 * EXCHANGES, 2):
            begun = time.time()
            terminal.press(F5)
            shown = terminal.started + terminal.wait_for(f"answers {number},")
            times.append((shown - begun) * 1000)
            time.sleep(0.25)  # as a person does: the next key comes when the screen is still
    return times


def send_many(name: str, file: Path, *options: str) -> tuple[int, float, float]:
    """Send ClientMessages 1 ms apart: how many were answered, a second; and the screen's longest standstill, in s."""
    with lab(name, file, *options) as terminal:
        for key in (*TO_COUNT, *str(PACKETS), "\t", *"0.001", F5):
            terminal.press(key)
            time.sleep(0.2)  # what comes while one is still being handled Textual may handle out of order
        terminal.wait_for(f"Sent {PACKETS:,} ×", seconds=120)
        settle(terminal.pid)
        chunks = list(terminal.chunks)
    with Store() as store:
        read_capture(file, store)
        client = [frame for frame in map(store.frame, range(1, len(store) + 1)) if frame.interface == 0]
    requests = [frame.time / 1e9 for frame in client if frame.data.endswith(CLIENT_MESSAGE)]
    answered = sum(frame.data.endswith(SERVER_RESPONSE) for frame in client)
    return answered, (len(requests) - 1) / (requests[-1] - requests[0]), longest_gap(chunks, requests[0], requests[-1])


def start(network: SimulatedNetwork | SandboxNetwork) -> float:
    """From the first wish to capture on a new network to capturing, in ms."""
    with closing(network):
        begun = time.perf_counter()
        with closing(network.find("client").open_capture()):
            return (time.perf_counter() - begun) * 1000


def measure() -> Table:
    columns = ("", "Median", "90%", "Answered", "Rate", "Longest gap between updates")
    table = Table("Simulated and sandbox: F5 to the answer, 1,000 packets a second, starting", columns)
    with tempfile.TemporaryDirectory(prefix="ipl-networks-") as folder:
        file = Path(folder) / "lab.pcapng"
        for name in ("simulated", "sandbox"):
            times = press_f5(name, file)
            tenths = quantiles(times, n=10, method="inclusive")
            spread = (f"{median(times):.0f} ms", f"{tenths[8]:.0f} ms")
            table.rows.append((f"{name}: F5 to the answer on screen, {EXCHANGES} times", *spread, "", "", ""))
            if name == "simulated":
                table.bar("Median under 50 ms on the simulated network", median(times) < 50, spread[0])
            for what, options in ((f"{PACKETS:,} packets 1 ms apart", ()), ("the same, with F9", ("--path",))):
                answered, rate, gap = send_many(name, file, *options)
                numbers = (f"{answered:,}", f"{rate:,.0f}/s", f"{gap * 1000:.0f} ms")
                table.rows.append((f"{name}: {what}", "", "", *numbers))
                if name == "simulated":
                    met = answered == PACKETS and rate > 990 and gap < 0.15
                    table.bar(f"1,000 a second, all answered, screen under 150 ms: {what}", met, ", ".join(numbers))
    for network in (SimulatedNetwork, SandboxNetwork):
        starts = [start(network()) for _ in range(STARTS)]
        tenths = quantiles(starts, n=10, method="inclusive")
        spread = (f"{median(starts):.0f} ms", f"{tenths[8]:.0f} ms")
        table.rows.append((f"{network.name}: starting, {STARTS} times", *spread, "", "", ""))
    table.bar("Starting the sandbox under 500 ms", max(starts) < 500, f"{max(starts):.0f} ms at most")
    return table


if __name__ == "__main__":
    print(measure())
