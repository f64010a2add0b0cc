"""RFC 791's picture of a packet as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipl_tui.packets.craft import Draft, craft
from ipl_tui.packets.fields import FIELDS, read_header
from ipl_tui.packets.picture import WIDTH, picture


def drawn(packet: bytes) -> list[str]:
    """The picture of what `read_header` reads."""
    values = read_header(packet)
    options = values.get("options", b"")
    assert isinstance(options, bytes)
    return picture(values, packet[20 + len(options) :])


def test_it_is_the_picture_of_the_standard() -> None:
    draft = Draft(src="10.0.1.10", dst="10.0.2.20", options=bytes.fromhex("070b040a0001"), payload=b"Hi\x1b[31m")
    assert picture(craft(draft).values, draft.payload) == [
        " 0       4       8           14  16    19                     31 ",
        "┌Version┬ IHL ──┬DSCP · tos─┬ECN┬ Total Length · len ───────────┐",
        "│ 4     │ 7     │ 0         │ 0 │ 35                            │",
        "├ Identification · id ──────┴───┼R┬D┬M┬ Fragment Offset · frag ─┤",
        "│ 1                             │0│0│0│ 0                       │",
        "├ Time to Live ─┬ Protocol ─────┼ Header Checksum · chksum ─────┤",
        "│ 64            │ 253           │ 0x55aa                        │",
        "├ Source Address · src ─────────┴───────────────────────────────┤",
        "│ 10.0.1.10                                                     │",
        "├ Destination Address · dst ────────────────────────────────────┤",
        "│ 10.0.2.20                                                     │",
        "├ Options, 8 bytes ─────────────────────────────────────────────┤",
        "│ 07 0b 04 0a                                                   │",
        "│ 00 01 00 00                                                   │",
        "├ Payload, 7 bytes ─────────────────────────────────────────────┤",
        "│ Hi·[31m                                                       │",
        "└───────────────────────────────────────────────────────────────┘",
    ]


@pytest.mark.parametrize("length", [0, 1, 3, 4, 20, 37, 40])
def test_each_word_of_options_has_a_line(length: int) -> None:
    options = bytes(range(1, length + 1))
    values = craft(Draft(options=options)).values
    lines = picture(values, b"")
    padded = options + bytes(-length % 4)
    words = [line[2:13] for line in lines[12:-1]]
    assert words == [padded[at : at + 4].hex(" ") for at in range(0, len(padded), 4)]
    assert any(line.startswith("├ Options") for line in lines) == (length > 0)


@pytest.mark.parametrize(
    ("ihl", "options"),
    [(4, []), (5, []), (6, ["43 6c 69 65"]), (9, ["43 6c 69 65", "6e 74 4d 65", "73 73 61 67", "65"])],
)
def test_a_header_length_that_is_not_true_is_drawn_as_a_receiver_reads_it(ihl: int, options: list[str]) -> None:
    lines = drawn(craft(Draft(ihl=ihl, payload=b"ClientMessage")).packet)
    below = lines[lines.index(lines[11]) :]
    assert f"│ {ihl} " in lines[2]
    assert [line[2:-1].rstrip() for line in below if line.startswith("│")][: len(options)] == options
    payload = b"ClientMessage"[4 * max(0, ihl - 5) :]
    assert (f"│ {payload.decode()} " in below[-2]) == bool(payload)


def test_what_is_not_there_is_blank() -> None:
    lines = drawn(bytes.fromhex("45000021 0001"))
    assert lines[4].startswith("│ 1 ")
    assert lines[6] == f"│{' ' * 15}│{' ' * 15}│{' ' * 31}│"


@pytest.mark.parametrize(("length", "end"), [(1, "x"), (62, "x"), (63, "…"), (65_000, "…")])
def test_the_payload_has_one_line(length: int, end: str) -> None:
    lines = picture(craft(Draft(payload=b"x" * length)).values, b"x" * length)
    assert len(lines) == 14
    assert lines[-3].startswith(f"├ Payload, {length:,} byte{'s' * (length > 1)} ─")
    assert lines[-2].strip("│ ").endswith(end)


@given(st.binary(max_size=200))
def test_any_bytes_make_a_picture_of_its_width(packet: bytes) -> None:
    for line in drawn(packet):
        assert len(line) == WIDTH
        assert line.isprintable()


def test_every_field_has_its_cell() -> None:
    picked = {field.name: (1 << field.bits) - 1 for field in FIELDS if field.bits}
    text = "\n".join(picture({**picked, "src": "255.255.255.255", "dst": "255.255.255.255"}, b""))
    for value in ("│ 15", "│ 63", "│ 3", "│ 65535", "│1│1│1│ 8191", "│ 255 ", "0xffff", "│ 255.255.255.255"):
        assert f"{value} " in text
