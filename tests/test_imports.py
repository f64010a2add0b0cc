"""What may be loaded when: no Textual below the widgets, and no Scapy and psutil before the first screen is up."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ipl_tui.exchange.engines import ENGINES


def loaded_by(*modules: str) -> set[str]:
    """The top-level packages that a fresh Python has after importing modules."""
    code = f"import sys, {', '.join(modules)}; print(*{{name.split('.')[0] for name in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_what_is_below_the_widgets_loads_no_textual() -> None:
    below = [
        "ipl_tui.packets.craft",
        "ipl_tui.packets.dissect",
        "ipl_tui.capture.files",
        "ipl_tui.capture.sniffer",
        "ipl_tui.networks.kernel",
        "ipl_tui.networks.sandbox",
        "ipl_tui.networks.simulated.simulation",
        "ipl_tui.tracking.tracker",
        "ipl_tui.exchange.asyncio_engine",
        "ipl_tui.exchange.comparison",
        "ipl_tui.exchange.scapy_engine",
        "ipl_tui.exchange.socket_engine",
        "ipl_tui.diagnosis.unanswered",
        "ipl_tui.session.rows",
        "ipl_tui.session.session",
    ]
    assert not {"textual", "rich"} & loaded_by(*below)


@pytest.mark.parametrize("name", ["simulated", "sandbox", "kernel"])
def test_the_first_screen_does_not_wait_for_scapy_and_psutil(name: str) -> None:
    assert not {"scapy", "psutil"} & loaded_by("ipl_tui.cli", "ipl_tui.app", f"ipl_tui.networks.{name}")


def test_an_engine_is_loaded_when_it_is_used() -> None:
    code = """
import sys
from ipl_tui.exchange.engines import ENGINE
for each in (None, *ENGINE.values()):
    if each is not None:
        each.load()
    print(sum(name.startswith("ipl_tui.exchange.") and name.endswith("_engine") for name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(loaded) for loaded in range(len(ENGINES) + 1)]
