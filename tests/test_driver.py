"""What the terminal sends, as the lab's driver hands it on: any bytes. It stands on Textual's private parser."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from textual import events
from textual.app import App
from textual.message import Message

if sys.platform == "win32":
    pytest.skip("Windows has no such driver", allow_module_level=True)

from ipl_tui.driver import TerminalDriver


class Ended:
    """In place of the driver's Event: the app leaves as soon as nothing more comes."""

    def is_set(self) -> bool:
        return False

    def wait(self) -> None:
        """At once."""


class Listener(TerminalDriver):
    """Keeps what it would hand to the app."""

    def __init__(self) -> None:
        super().__init__(App())
        self.heard: list[Message] = []

    def send_message(self, message: Message) -> None:
        self.heard.append(message)

    def hear(self, data: bytes) -> list[Message]:
        """What comes of these bytes."""
        self.heard = []
        self.exit_event = Ended()  # type: ignore[assignment]
        self.fileno, writer = os.pipe()
        try:
            os.write(writer, data)
            os.close(writer)
            self.run_input_thread()
        finally:
            os.close(self.fileno)
        return self.heard


@pytest.fixture
def signals() -> Iterator[None]:
    """Textual's driver takes these."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTSTP, signal.SIGCONT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def typed(heard: list[Message]) -> str:
    return "".join(event.character or f"<{event.key}>" for event in heard if isinstance(event, events.Key))


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"q", "q"),
        ("é東".encode(), "é東"),
        (b"\xffa\x9bb\xe9c\xc3", "abc"),
        (b"\x1b[15~\x1bOQ", "<f5><f2>"),
        (b"\x1b[9999999uq", "q"),
        (b"\x1b[:~q", "q"),
        (b"\x1b[55296uq", "q"),  # a lone surrogate by number
    ],
)
async def test_keys(data: bytes, keys: str, signals: None) -> None:
    assert typed(Listener().hear(data)) == keys


async def test_what_is_pasted_is_shown_escaped(signals: None) -> None:
    heard = Listener().hear(b"\x1b[200~a\xff\x9b\n\tb\x07\xc2\x9b\x1b[201~q")
    assert [event.text for event in heard if isinstance(event, events.Paste)] == ["a\\xff\\x9b\n\tb\\x07\\x9b"]
    assert typed(heard) == "q"


PIECES = st.sampled_from(
    [b"\x1b[200~", b"\x1b[201~", b"\x1b[", b"\x1b", b"<", b";", b":", b"?", b"u", b"R", b"M", b"~", b"t", b"9999999999"]
)


async def test_no_bytes_end_it(signals: None) -> None:
    listener = Listener()

    @given(st.lists(PIECES | st.binary(max_size=8), max_size=20).map(b"".join))
    @example(b"\x1b[1;0R\x1b[999999999999u")
    def hear(data: bytes) -> None:
        for event in listener.hear(data):
            if isinstance(event, events.Key):
                assert not any("\ud800" <= each <= "\udfff" for each in event.character or "")
            elif isinstance(event, events.Paste):
                assert all(each.isprintable() or each in "\n\r\t" for each in event.text)

    hear()
