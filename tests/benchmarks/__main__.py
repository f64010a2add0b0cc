"""Run the benchmarks and print their tables: sudo python3 -m uv run python -m tests.benchmarks [NAME…]

Without names it runs them all and writes RESULTS.md, beside this file.
"""

from __future__ import annotations

import os
import platform
import re
import signal
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

import psutil

from tests.benchmarks import course, exchange, flood, hostile, idle, networks, start

BENCHMARKS = {
    "start": start,
    "networks": networks,
    "flood": flood,
    "hostile": hostile,
    "exchange": exchange,
    "course": course,
    "idle": idle,
}
RESULTS = Path(__file__).with_name("RESULTS.md")


def processor() -> str:
    """The processor's own name; the architecture where the system does not tell it."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.machine()


def heading() -> str:
    """When, on what machine, and with which versions this is measured; Markdown."""
    versions = {"Python": platform.python_version()}
    versions |= {name: version(name) for name in ("textual", "scapy", "rich", "pcapy-ng", "psutil")}
    return (
        "# What was measured\n\n"
        "Written by `sudo python3 -m uv run python -m tests.benchmarks`, in one run, peers and lab side by side: the\n"
        "ratios tell more than the times, for machines differ and are shared. A peer that is not installed is said.\n\n"
        f"{date.today():%Y-%m-%d}, {os.cpu_count()} cores ({processor()}), "
        f"{psutil.virtual_memory().total / 2**30:.0f} GB, {platform.system()} {platform.release().split('-')[0]}; "
        f"{', '.join(f'{name} {number}' for name, number in versions.items())}.\n"
    )


def main(names: list[str]) -> None:
    """Run the benchmarks of these names, or all."""
    if unknown := set(names) - set(BENCHMARKS):
        sys.exit(f"There is no benchmark {' or '.join(sorted(unknown))}; there are: {', '.join(BENCHMARKS)}.")
    # What is measured stays root, as what it is compared with, and finds compiled what was imported before, as it does
    # for everybody whose environment does not forbid Python to keep that.
    for name in ("SUDO_UID", "PYTHONDONTWRITEBYTECODE"):
        os.environ.pop(name, None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the namespaces are deleted then too
    parts = [heading()]
    print(parts[0])
    for name, benchmark in BENCHMARKS.items():
        if not names or name in names:
            parts.append(str(benchmark.measure()))
            print(parts[-1], flush=True)
    if not names:
        RESULTS.write_text("\n".join(parts))


if __name__ == "__main__":
    main(sys.argv[1:])
