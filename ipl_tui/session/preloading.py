"""What the lab loads once its first screen is up: Scapy, which takes longer than that, and what some keys need."""

from __future__ import annotations

import gc
from importlib import import_module


def load_scapy() -> None:
    """Import what needs Scapy: 0.4 s, for a thread while the first screen is up. Its other imports are then at once."""
    for name in ("capture.sniffer", "exchange.scapy_engine", "packets.dissect"):
        import_module(f"ipl_tui.{name}")


def load_rest() -> None:
    """Import the dissectors of every protocol that Scapy knows, and what some keys would take a tenth of a second
    longer for; in a thread as well."""
    from ipl_tui.packets.dissect import load_layers

    load_layers()
    for name in ("diagnosis.unanswered", "diagnosis.wireshark", "exchange.comparing"):
        import_module(f"ipl_tui.{name}")


def collect_garbage() -> None:
    """Look for garbage from now on, unless that was never put off; what starting made stays."""
    if not gc.isenabled():  # as the command line starts
        gc.freeze()
        gc.enable()
