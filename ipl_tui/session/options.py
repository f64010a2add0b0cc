"""Start options of a lab."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ipl_tui.networks.interface import Interface

if TYPE_CHECKING:  # it loads Scapy, which the first screen must not wait for
    from ipl_tui.capture.files import Pipe


@dataclass(frozen=True)
class LabOptions:
    """Start options of the lab."""

    interface: Interface
    filter: str = ""
    read: Path | Pipe | None = None
    """A capture file to show, or a pipe that a capture comes through, instead of capturing."""
    responder: bool | None = None
    """True if ClientMessage is answered; None: as the network does it."""
    path: bool = False
    """True if all interfaces of the network are captured on at once."""
    on_interface_chosen: Callable[[str], None] = lambda name: None
    """Called with the full name of an interface that the user has chosen, in a thread of its own."""
    engine: str = "scapy"
    """Name of the raw engine that ClientMessage is answered with."""
