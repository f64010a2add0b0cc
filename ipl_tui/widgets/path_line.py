"""The way of one packet: the interfaces it was seen on, what changed in between, and where it ended."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from ipl_tui.tracking.changes import in_brief
from ipl_tui.tracking.fate import Fate
from ipl_tui.tracking.tracker import Tracker

MOST_FRAMES = 4
"""Numbers of fragments that are named at one interface."""


class PathLine(Static):
    """Two lines: the way, and how it ended."""

    def __init__(self, tracker: Tracker, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self.tracker = tracker
        self.shown = Text()

    def show(self, number: int) -> None:
        """Show the way of the packet that a frame carries; 0: of none. It is asked often, and mostly nothing is new."""
        text = way(self.tracker, number) if number else Text("Path: choose a packet to see its way.")
        if text != self.shown:
            self.shown = text
            self.update(text)


def way(tracker: Tracker, number: int) -> Text:
    """The way of the packet in a frame, in two lines."""
    fate = tracker.fate(number)
    text = Text("Path  ")
    for place, stop in enumerate(fate.journey.stops):
        if place:
            changed = in_brief(tracker.changes(stop.frames[0]))
            text.append(f" ─ {changed} ─▶ " if changed else " ─▶ ")
        text.append(f"{tracker.interface(stop.frames[0])} ")
        for at, frame in enumerate(stop.frames[:MOST_FRAMES]):
            text.append(", " if at else "")
            text.append(f"#{frame}", "bold reverse" if frame == number else "bold")
        if len(stop.frames) > MOST_FRAMES:
            text.append(f" and {len(stop.frames) - MOST_FRAMES} more")
    return text.append("\n").append(ending(fate))


def ending(fate: Fate) -> str:
    """Text on how the way of a packet ended; empty where nobody knows."""
    if fate.lost:
        return f"✖ {fate.lost}"
    return f"✔ Arrived at the {' and the '.join(fate.arrived)}." if fate.arrived else ""
