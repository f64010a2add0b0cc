"""Bytes as lines of hexadecimal and text."""

from hypothesis import given
from hypothesis import strategies as st

from ipl_tui.packets.hex import digits_column, hex_dump, hex_line, text_column, width


def test_the_dump_has_offset_bytes_and_text() -> None:
    assert hex_dump(bytes(range(0x1A, 0x2D))) == [
        "0000  1a 1b 1c 1d 1e 1f 20 21  22 23 24 25 26 27 28 29  ······ !\"#$%&'()",
        "0010  2a 2b 2c                                          *+,",
    ]
    assert hex_dump(b"") == []


@given(st.binary(max_size=100))
def test_any_bytes_can_be_dumped(data: bytes) -> None:
    lines = hex_dump(data)
    assert b"".join(bytes.fromhex(line[6:54]) for line in lines) == data
    assert all(line.isprintable() and len(line) <= 72 for line in lines)


@given(st.binary(min_size=1, max_size=100), st.sampled_from([8, 16]), st.integers(0, 99))
def test_a_byte_stands_where_its_columns_say(data: bytes, per_line: int, at: int) -> None:
    at %= len(data)
    start, index = at // per_line * per_line, at % per_line
    parts = list(hex_line(data, start, per_line))
    line = "".join(part.text for part in parts)
    column = digits_column(index, per_line)
    assert line[column : column + 2] == f"{data[at]:02x}"
    assert [part.text for part in parts if part.at == at and part.kind == "digits"] == [f"{data[at]:02x}"]
    assert [part.text for part in parts if part.at == at and part.kind == "text"] == [
        line[text_column(index, per_line)]
    ]
    assert len(line) <= width(per_line)
