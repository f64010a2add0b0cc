"""What stands in the packet list before the first packet."""

from __future__ import annotations

from collections.abc import Sequence

from ipl_tui.session.snapshot import Snapshot
from ipl_tui.widgets.key_context import KeyNames

WELCOME = ("Nothing is captured here yet.", "",
           "Choose   F2  where to capture; client (simulated) needs no permission",
           "Send     F5  the packet in the composer (2)",
           "Look     here, at its header (3) and fields (4); F9 follows its hops")  # fmt: skip
"""What to do at a first start."""


def instead_of_packets(snapshot: Snapshot, key_names: KeyNames) -> Sequence[str]:
    """Lines for a list that has no packet yet, with the keys in force."""
    if snapshot.file is None:
        return tuple(map(key_names.in_force, WELCOME))
    return ("No packet has come from the file.",)
