"""Idle: what the app costs while nothing arrives, beside an empty Textual app.

Run it: python -m tests.benchmarks.idle
"""

from __future__ import annotations

import time

from tests.benchmarks.common import APP, EMPTY_APP, Table, Terminal, benchmark_cable, cost, settle

SECONDS = 20


def measure() -> Table:
    with (
        benchmark_cable() as pair,
        Terminal((*APP, "-i", pair.server.interface), pair.server.namespace) as lab,
        Terminal(EMPTY_APP, leave="\x11") as empty,
    ):
        lab.wait_for("● capturing")
        empty.wait_for("ready")
        before = [settle(program.pid) for program in (lab, empty)]
        start = time.monotonic()
        time.sleep(SECONDS)
        elapsed = time.monotonic() - start
        after = [cost(program.pid) for program in (lab, empty)]
    table = Table(f"Idle: {SECONDS} s with nothing arriving", ("Program", "CPU", "of a core", "Peak memory"))
    shares = [(late.cpu - early.cpu) / elapsed for early, late in zip(before, after, strict=True)]
    for name, share, late in zip(("ipl-tui", "an empty Textual app"), shares, after, strict=True):
        table.rows.append((name, f"{share * elapsed:.2f} s", f"{share:.2%}", f"{late.memory / 1e6:.0f} MB"))
    table.bar("Under 2% of a core", shares[0] < 0.02, f"{shares[0]:.2%}")
    return table


if __name__ == "__main__":
    print(measure())
