"""The terminal's keys, whatever bytes come: Textual's own driver ends at the first that is not UTF-8."""

from __future__ import annotations

import os
import selectors
import sys
from codecs import getincrementaldecoder
from collections.abc import Iterable
from contextlib import suppress
from io import TextIOWrapper
from typing import Any

from textual import events

# Textual's own parser of what terminals send is private, and no setting says what becomes of bytes that are not UTF-8:
# so what is between the terminal and the parser is done here. tests/test_driver.py fails when the parser changes.
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from ipl_tui.packets.text import printable

MOST_AT_ONCE = 4096
"""Bytes that are read at once."""

TICK = 0.1
"""Seconds after which it is looked at whether to stop, and whether an Escape was a key of its own."""


def terminal_to_draw_on() -> TextIOWrapper | None:
    """Standard error if it is a terminal, as Textual has it, or else standard output; None if neither is."""
    streams = (sys.__stderr__, sys.__stdout__)
    return next((stream for stream in streams if stream is not None and stream.isatty()), None)


class TerminalDriver(LinuxDriver):
    """Bytes that are not UTF-8 (a Latin-1 terminal, a pasted binary) are no key, and shown escaped where pasted. With
    standard error in a file the screen is drawn all the same."""

    def __init__(self, app: App[Any], **settings: Any) -> None:
        super().__init__(app, **settings)
        # Private: Textual draws on standard error, whatever that is, and has no setting for it.
        # tests/test_end_to_end.py fails when this changes.
        self._file = terminal_to_draw_on() or self._file

    def run_input_thread(self) -> None:
        """As Textual's. Once nothing more will come, it waits for the app to leave."""
        parser = XTermParser()
        decode = getincrementaldecoder("utf-8")("surrogateescape").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(TICK):
                    data = b""
                    with suppress(OSError):  # the terminal is gone
                        data = os.read(self.fileno, MOST_AT_ONCE)
                    if not data:
                        self.exit_event.wait()
                        break
                    for character in decode(data):
                        parser = self.pass_on(parser, parser.feed(character))
                parser = self.pass_on(parser, parser.tick())

    def pass_on(self, parser: XTermParser, messages: Iterable[Message]) -> XTermParser:
        """Hand the app what was typed. The parser for what comes next: another one, if this one has stumbled, as over
        the number in `\\x1b[9999999u`."""
        waiting = iter(messages)
        while True:
            try:
                message = next(waiting, None)
            except Exception:
                return XTermParser()
            if message is None:
                return parser
            self.process_message(message)

    def process_message(self, message: Message) -> None:
        if isinstance(message, events.Paste):
            message = events.Paste(
                "".join(each if each.isprintable() or each in "\n\r\t" else printable(each) for each in message.text)
            )
        elif isinstance(message, events.Key) and any("\ud800" <= each <= "\udfff" for each in message.character or ""):
            return
        super().process_message(message)
