"""The app: the lab's screen, its theme, and the command palette made of its bindings."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from threading import Thread

from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.screen import Screen

from ipl_tui.capture.store import Store
from ipl_tui.networks.interface import Network
from ipl_tui.screens.lab import LabScreen, Options

LAST_WORDS = 6.0
"""Seconds that leaving may take once the terminal is gone."""


class PacketLab(App[None]):
    """IPL: an Internet Protocol lab in the terminal."""

    TITLE = "IPL"
    CSS_PATH = "app.tcss"

    def __init__(self, store: Store, networks: Sequence[Network], options: Options) -> None:
        super().__init__()
        self.lab = LabScreen(store, networks, options)

    def get_default_screen(self) -> Screen[None]:
        return self.lab

    def on_mount(self) -> None:
        """Leave as with `q` when the terminal goes away or the system wants it: the capture is then closed in order."""
        if self.is_headless:
            return
        loop = asyncio.get_running_loop()
        for name in ("SIGHUP", "SIGTERM"):
            with suppress(AttributeError, NotImplementedError):  # Windows has neither
                loop.add_signal_handler(getattr(signal, name), self.exit)
        Thread(target=self.leave_without_terminal, args=[loop], name="terminal", daemon=True).start()

    def leave_without_terminal(self, loop: asyncio.AbstractEventLoop) -> None:
        """Not every lost terminal sends a signal, and Textual reads on from one that is gone, for ever.

        In a thread of its own: if the terminal took no output before it went, or took none since and there was more
        than Textual's queue has room for, Textual waits for ever to write it. The capture is closed all the same.
        """
        while not terminal_is_gone():
            time.sleep(1.0)
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(self.exit)
        time.sleep(LAST_WORDS)
        self.lab.store.close()
        os._exit(1)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        if screen is self.lab:
            for place in self.lab.places():
                first = {binding.action: binding for binding in reversed(place.bindings) if binding.tooltip}
                for action, binding in reversed(first.items()):
                    title = f"{binding.description} ({self.get_key_display(binding)})"
                    yield SystemCommand(title, binding.tooltip, partial(self.run_action, action, place.node))
        for command in super().get_system_commands(screen):
            if command.title not in ("Quit", "Keys", "Maximize", "Minimize"):
                yield command

    def get_key_display(self, binding: Binding) -> str:
        """Function keys as keyboards show them."""
        display = super().get_key_display(binding)
        return display.upper() if display[1:].isdigit() else display

    @property
    def only_read(self) -> bool:
        """Whether a file was shown and nothing captured."""
        return self.lab.file is not None

    @property
    def dropped(self) -> int:
        """Frames that the kernel dropped before they were captured."""
        return self.lab.dropped_by_kernel()


def terminal_is_gone() -> bool:
    """Whether the other end of standard input has hung up."""
    if sys.stdin is None or not hasattr(select, "poll"):
        return False
    watcher = select.poll()
    watcher.register(sys.stdin.fileno(), 0)
    return any(event & (select.POLLHUP | select.POLLERR) for _, event in watcher.poll(0))
