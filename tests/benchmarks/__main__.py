"""Run every benchmark and print the tables for the README: sudo python3 -m uv run python -m tests.benchmarks"""

from __future__ import annotations

import os
import platform
import signal
import sys
from importlib.metadata import version

from tests.benchmarks import course, exchange, flood, hostile, idle, networks, start

os.environ.pop("SUDO_UID", None)  # what is measured stays root, as what it is compared with
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the namespaces are deleted then too

print(
    f"Measured in one run on {os.cpu_count()} cores, Linux {platform.release().split('-')[0]}, "
    f"Python {platform.python_version()}, Textual {version('textual')}, Scapy {version('scapy')}.\n"
)
for benchmark in (start, networks, flood, hostile, exchange, course, idle):
    print(benchmark.measure(), flush=True)
