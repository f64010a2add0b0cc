"""Imports once the first screen is up: Scapy, which takes longer than that, and what some keys need."""

from __future__ import annotations

import gc


def load_scapy() -> None:
    """Import what needs Scapy: 0.4 s, for a thread while the first screen is up. Its other imports are then at once."""
    import ipl_tui.capture.sniffer
    import ipl_tui.exchange.scapy_engine
    import ipl_tui.packets.dissect  # noqa: F401  that it is loaded is all that is wanted; the same below


def load_rest() -> None:
    """Import the dissectors of every protocol that Scapy knows, and what some keys would take a tenth of a second
    longer for; in a thread as well."""
    import ipl_tui.diagnosis.unanswered
    import ipl_tui.diagnosis.wireshark
    import ipl_tui.exchange.comparison  # noqa: F401
    from ipl_tui.packets.dissect import load_layers

    load_layers()


def collect_garbage() -> None:
    """Look for garbage from now on, unless that was never put off; what starting made stays."""
    if not gc.isenabled():  # as the command line starts
        gc.freeze()
        gc.enable()
