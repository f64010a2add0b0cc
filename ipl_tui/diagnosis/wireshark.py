"""The same capture in other programs: the tcpdump line that shows it, and Wireshark opened on a copy of it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.store import Store
from ipl_tui.networks.interface import Interface

USUAL_PLACES = ("/Applications/Wireshark.app/Contents/MacOS/Wireshark", r"C:\Program Files\Wireshark\Wireshark.exe")
"""Paths of Wireshark on systems that have no PATH to it."""


def tcpdump_line(interface: Interface, filter: str) -> str:
    """The command that captures the same with tcpdump, as long as the network is not closed; nothing where it can't.

    Takes some tens of ms where the network is only made for it.
    """
    words = interface.tcpdump()
    if not words:
        return ""
    if sys.platform != "win32" and os.geteuid() != 0:
        words.insert(0, "sudo")  # even in a namespace of one's own: tcpdump gives up root, which is not possible there
    if filter.startswith("-"):
        words.append("--")
    return shlex.join([*words, *([filter] if filter else [])])


def find_wireshark() -> str:
    """The path of Wireshark, or nothing."""
    return shutil.which("wireshark") or next((path for path in USUAL_PLACES if os.path.isfile(path)), "")


def has_screen() -> bool:
    """True if there is a graphical screen."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def open_in_wireshark(store: Store, count: int | None = None) -> Path:
    """Start Wireshark on a copy of the first `count` frames (None: all so far); the copy's path. Raises CaptureError.

    The copy stays, in a folder that only the user can read, for Wireshark outlives this program.
    """
    program = find_wireshark()
    if not program:
        raise CaptureError("Wireshark is not installed: F8 saves the capture for it.")
    if not has_screen():
        raise CaptureError("Wireshark needs a graphical screen, and there is none here: F8 saves the capture for it.")
    try:
        path = Path(tempfile.mkdtemp(prefix="ipl-tui-")) / "capture.pcapng"
        store.save(path, count)
        process = subprocess.Popen(
            [program, str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # neither Ctrl+C nor the end of the lab is for it
        )
    except OSError as error:
        raise CaptureError(f"Wireshark did not start: {error.strerror}.") from error
    threading.Thread(target=process.wait, name="Wireshark", daemon=True).start()  # so that no zombie remains
    return path
