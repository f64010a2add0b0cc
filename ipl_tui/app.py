"""The app: the lab's screen, its theme, and the command palette made of its bindings."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, ClassVar

from textual import events, on, work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.driver import Driver
from textual.screen import Screen

from ipl_tui.capture.store import Store
from ipl_tui.networks.interface import Network
from ipl_tui.packets.text import printable
from ipl_tui.screens.lab import LabScreen
from ipl_tui.session.options import LabOptions
from ipl_tui.session.session import Session
from ipl_tui.settings import keymap_path, remember, remembered
from ipl_tui.themes import THEMES
from ipl_tui.widgets.key_context import key_contexts
from ipl_tui.widgets.notice_bar import NoticeBar

if TYPE_CHECKING:
    from textual.notifications import SeverityLevel

    from ipl_tui.screens.unsaved import Choice

LAST_WORDS = 6.0
"""Seconds that leaving may take once the terminal is gone."""


class PacketLab(App[None]):
    """IPL: an Internet Protocol lab in the terminal."""

    TITLE = "IPL"
    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+z", "suspend_process", "Suspend", show=False, priority=True, id="app.suspend",
                tooltip="Back to the shell; fg comes back to the lab"),
    ]  # fmt: skip
    KEYS_TITLE: ClassVar[str] = "Everywhere"

    def __init__(self, store: Store, networks: Sequence[Network], options: LabOptions) -> None:
        super().__init__(driver_class=terminal_driver())
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = chosen if (chosen := remembered("theme")) in self.available_themes else THEMES[0].name
        self.session = Session(store, networks, options)
        self.keymap_problems: tuple[str, ...] = ()
        """What of the user's own keys can't be followed, in sentences."""
        keys: Mapping[str, str] = {}
        if os.path.lexists(path := keymap_path()):
            from ipl_tui.keymap import read_keymap  # it needs every screen

            keymap = read_keymap(path)
            keys, self.keymap_problems = keymap.keys, keymap.problems
        self.set_keymap(dict(keys))
        self.lab = LabScreen(self.session, keys)
        self.was_told_to_leave = False
        """True once a signal or the loss of the terminal, and no person, has ended it."""

    def get_default_screen(self) -> Screen[None]:
        return self.lab

    def on_mount(self) -> None:
        """Leave in order when the terminal goes away or the system wants it."""
        for problem in self.keymap_problems:
            self.notify(problem, title="Keys", severity="warning", timeout=15, markup=False)
        if self.is_headless:
            return
        loop = asyncio.get_running_loop()
        for name in ("SIGHUP", "SIGTERM", "SIGINT"):
            with suppress(AttributeError, NotImplementedError):  # Windows has no SIGHUP, and hears of none this way
                if signal.getsignal(getattr(signal, name)) != signal.SIG_IGN:  # as nohup wants it
                    loop.add_signal_handler(getattr(signal, name), self.leave)
        Thread(target=self.leave_without_terminal, args=[loop], name="terminal", daemon=True).start()

    @on(Driver.SignalResume)
    def draw_all(self) -> None:
        """The shell has written over the screen meanwhile: Textual itself would draw only what changes."""
        self.refresh(layout=True)

    @on(events.DeliveryComplete)
    def say_where_it_is(self, event: events.DeliveryComplete) -> None:
        """The palette's picture of the screen is in a file now."""
        self.notify(str(event.path), title="Screenshot", timeout=15, markup=False)

    @on(events.DeliveryFailed)
    def say_why_not(self, event: events.DeliveryFailed) -> None:
        self.notify(str(event.exception), title="No screenshot", severity="error", timeout=15, markup=False)

    def watch_theme(self, theme: str) -> None:
        """Begin with it the next time."""
        if self.is_running:
            remember("theme", theme)

    async def action_quit(self) -> None:
        """Leave, as a person wants it: what was captured and not saved is asked about, once."""
        from ipl_tui.screens.unsaved import LeaveScreen

        def follow(choice: Choice | None) -> None:
            self.leave_if_agreed(choice)

        if not self.session.unsaved or isinstance(self.screen, LeaveScreen):
            self.exit()
        else:
            self.push_screen(LeaveScreen(self.session.unsaved), follow)

    @work
    async def leave_if_agreed(self, choice: Choice | None) -> None:
        from ipl_tui.screens.unsaved import agrees

        if await agrees(choice, self.lab, self.session):
            self.exit()

    def leave(self) -> None:
        """Leave at once, but what was captured is not given up by that."""
        self.was_told_to_leave = True
        self.exit()

    @property
    def left_by_choice(self) -> bool:
        """True if a person ended it, and neither a signal nor an error."""
        return self.return_code == 0 and not self.was_told_to_leave

    def unsaved_capture(self) -> Path | None:
        """Path of the capture that was not saved, which stays there from now on; None if there is no such thing."""
        return self.session.keep()

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """Say a sentence at the foot of the screen, where Textual would lay it over what one reads.

        Names of files and interfaces must not steer the terminal, nor be taken for markup.
        """
        bar = next(iter(self.screen.query(NoticeBar)), None)
        if bar is None:
            self.screen.mount(bar := NoticeBar())
        text = printable(self.lab.key_names.in_force(message))
        text = Content.from_markup(text).plain if markup else text
        seconds = self.NOTIFICATION_TIMEOUT if timeout is None else timeout
        bar.say(text, printable(title), severity, seconds)

    def leave_without_terminal(self, loop: asyncio.AbstractEventLoop) -> None:
        """Not every lost terminal sends a signal, and Textual reads on from one that is gone, for ever.

        In a thread of its own: if the terminal took no output before it went, or took none since and there was more
        than Textual's queue has room for, Textual waits for ever to write it. The capture is closed all the same.
        """
        while not terminal_is_gone():
            time.sleep(1.0)
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(self.leave)
        time.sleep(LAST_WORDS)
        self.unsaved_capture()
        self.session.store.close()
        os._exit(1)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        if screen is self.lab:
            for place in key_contexts(self.lab, self.lab.keys):
                if not place.is_one:
                    continue
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
        """True if a file was shown and nothing captured."""
        return self.session.file is not None

    @property
    def dropped(self) -> int:
        """Frames that the kernel dropped before they were captured."""
        return self.session.dropped()


def terminal_driver() -> type[Driver] | None:
    """Driver class that reads the terminal's keys; None where Textual's own does, and where its developers chose
    another."""
    if sys.platform == "win32" or "TEXTUAL_DRIVER" in os.environ:
        return None
    from ipl_tui.driver import TerminalDriver

    return TerminalDriver


def terminal_is_gone() -> bool:
    """True if the other end of standard input has hung up."""
    if sys.stdin is None or not hasattr(select, "poll"):
        return False
    watcher = select.poll()
    watcher.register(sys.stdin.fileno(), 0)
    return any(event & (select.POLLHUP | select.POLLERR) for _, event in watcher.poll(0))
