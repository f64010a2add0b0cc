"""Start: from exec to the first full frame, beside an empty Textual app and Scapy's shell.

Run it: python -m tests.benchmarks.start
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median

from tests.benchmarks.common import APP, EMPTY_APP, FULL, Table, Terminal

ROUNDS = 9

STARTED = {
    # name: command, what its first full frame shows, the keys that end it
    "ipl-tui": ((*APP, "-i", "simulated"), FULL, "q"),
    "an empty Textual app": (EMPTY_APP, ("ready",), "\x11"),
    "Scapy's shell": ((sys.executable, str(Path(sys.executable).with_name("scapy"))), (">>> ",), "\x04"),
}


def measure() -> Table:
    times: dict[str, list[float]] = {name: [] for name in STARTED}
    for _ in range(ROUNDS + 1):
        for name, (command, shown, leave) in STARTED.items():
            with Terminal(command, leave=leave) as terminal:
                times[name].append(terminal.wait_for(*shown))
    # The first round, which fills the caches, does not count.
    medians = {name: median(some[1:]) for name, some in times.items()}
    ours, empty, shell = medians.values()
    table = Table(
        f"Start: to the first full frame, median of {ROUNDS}", ("Program", "Median", "Fastest", "x the empty app")
    )
    for name, middle in medians.items():
        table.rows.append((name, f"{middle:.2f} s", f"{min(times[name][1:]):.2f} s", f"{middle / empty:.2f}"))
    table.bar("At most 1.6 times an empty Textual app", ours <= 1.6 * empty, f"{ours / empty:.2f}")
    table.bar("Below Scapy's shell", ours < shell, f"{ours / shell:.2f} times it")
    return table


if __name__ == "__main__":
    print(measure())
