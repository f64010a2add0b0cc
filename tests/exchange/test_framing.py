"""Messages cut out of a stream, with a length before them and without, wherever the network has cut it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipl_tui.exchange.framing import FRAMINGS, LENGTH, Framing, Messages, frame
from ipl_tui.packets.messages import CLIENT_MESSAGE

WITH_LENGTH = b"\x00\x0dClientMessage"


def read(*pieces: bytes, framing: Framing | None = None) -> tuple[list[bytes], Messages]:
    """The messages that come of pieces that are read one after the other, and what is left."""
    messages = Messages(CLIENT_MESSAGE, framing)
    found = []
    for piece in pieces:
        messages.feed(piece)
        while (message := messages.take()) is not None:
            found.append(message)
    return found, messages


@st.composite
def pieces(draw: st.DrawFn, streams: st.SearchStrategy[bytes]) -> list[bytes]:
    """A stream, cut anywhere."""
    stream = draw(streams)
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    return [stream[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


def test_a_message_has_its_length_in_two_bytes_before_it_or_nothing() -> None:
    assert frame(CLIENT_MESSAGE, "length") == WITH_LENGTH
    assert frame(CLIENT_MESSAGE, "none") == CLIENT_MESSAGE


@pytest.mark.parametrize(
    ("arrived", "messages", "framing", "begun"),
    [
        ([b""], [], None, b""),
        *[([CLIENT_MESSAGE[:end]], [], None, CLIENT_MESSAGE[:end]) for end in range(1, 13)],
        ([CLIENT_MESSAGE], [CLIENT_MESSAGE], "none", b""),
        *[([WITH_LENGTH[:end]], [], "length", WITH_LENGTH[:end]) for end in range(1, 15)],
        ([WITH_LENGTH], [CLIENT_MESSAGE], "length", b""),
        ([CLIENT_MESSAGE * 2], [CLIENT_MESSAGE] * 2, "none", b""),
        ([CLIENT_MESSAGE + b"Client", b"Message"], [CLIENT_MESSAGE] * 2, "none", b""),
        ([b"Hello"], [b"Hello"], None, b""),
        ([b"Hello", CLIENT_MESSAGE], [b"Hello", CLIENT_MESSAGE], "none", b""),
        ([b"Hello", WITH_LENGTH], [b"Hello", CLIENT_MESSAGE], "length", b""),
        ([b"Hello" + CLIENT_MESSAGE], [b"Hello" + CLIENT_MESSAGE], None, b""),
        ([b"Client", b"message"], [b"Clientmessage"], None, b""),
        ([CLIENT_MESSAGE + b"\0", WITH_LENGTH], [CLIENT_MESSAGE, b"\0", WITH_LENGTH], "none", b""),
        ([WITH_LENGTH + CLIENT_MESSAGE], [CLIENT_MESSAGE], "length", CLIENT_MESSAGE),
        ([b"\0\0\0\x0d" + CLIENT_MESSAGE], [b"", CLIENT_MESSAGE], "length", b""),
        ([b"\x0d" + CLIENT_MESSAGE], [b"\x0d" + CLIENT_MESSAGE], None, b""),
    ],
)
def test_the_first_bytes_tell_how_the_other_side_does_it(
    arrived: list[bytes], messages: list[bytes], framing: Framing | None, begun: bytes
) -> None:
    found, left = read(*arrived)
    assert (found, left.framing, left.begun) == (messages, framing, begun)


@given(st.integers(1, 5), st.sampled_from(FRAMINGS), st.data())
def test_each_clientmessage_is_found_wherever_the_stream_is_cut(
    count: int, framing: Framing, data: st.DataObject
) -> None:
    cut = data.draw(pieces(st.just(frame(CLIENT_MESSAGE, framing) * count)))
    found, left = read(*cut)
    assert (found, left.framing, left.begun) == ([CLIENT_MESSAGE] * count, framing, b"")


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=10), st.data())
def test_with_lengths_any_messages_come_out_as_they_went_in(messages: list[bytes], data: st.DataObject) -> None:
    cut = data.draw(pieces(st.just(b"".join(frame(each, "length") for each in messages))))
    assert read(*cut, framing="length")[0] == messages
    if len(messages[0]) < 256:
        assert read(*cut)[0] == messages, "told by its first byte"


FRAGMENTS = st.sampled_from([CLIENT_MESSAGE, WITH_LENGTH, b"C", b"Client", b"\0", b"\0\x05", b"\n", b"\xff\xff"])


@given(pieces(st.lists(st.one_of(FRAGMENTS, st.binary(max_size=20)), max_size=10).map(b"".join)))
def test_nothing_is_lost_invented_or_kept_for_ever(arrived: list[bytes]) -> None:
    stream = b"".join(arrived)
    found, left = read(*arrived)
    lengths = LENGTH.size * len(found) if left.framing == "length" else 0
    assert len(stream) - lengths <= sum(map(len, found)) + len(left.begun) <= len(stream)
    assert found.count(CLIENT_MESSAGE) <= stream.count(CLIENT_MESSAGE)
    assert len(left.begun) < (LENGTH.size + 0xFFFF if left.framing == "length" else len(CLIENT_MESSAGE))
