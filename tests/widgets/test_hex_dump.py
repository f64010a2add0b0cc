"""The hex dump: bytes as hex and text, one field's highlighted, and a click that finds a byte."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual.containers import Vertical

from ipl_tui.packets.hex import digits_column, width
from ipl_tui.widgets.hex_dump import NARROW, WIDE, HexDump
from tests.screen import seen, until, until_seen
from tests.widgets.stage import staged

BYTES = bytes(range(0x40, 0x60)) + b"\x00\x1b[\x7f\xff "


def highlighted(dump: HexDump, line: int) -> str:
    """What stands out in a line."""
    chosen = dump.get_component_rich_style("hex-dump--chosen").bgcolor
    return "".join(
        segment.text for segment in dump.render_line(line) if segment.style and segment.style.bgcolor == chosen
    )


class TestBytes:
    async def test_sixteen_a_line_where_there_is_room(self) -> None:
        dump = HexDump()
        async with staged(dump, size=(width(WIDE), 5)) as (pilot, stage):
            dump.data = BYTES
            await pilot.pause()
            assert [line.rstrip() for line in seen(stage)[:3]] == [
                "0000  40 41 42 43 44 45 46 47  48 49 4a 4b 4c 4d 4e 4f  @ABCDEFGHIJKLMNO",
                "0010  50 51 52 53 54 55 56 57  58 59 5a 5b 5c 5d 5e 5f  PQRSTUVWXYZ[\\]^_",
                "0020  00 1b 5b 7f ff 20                                 ··[··",
            ]

    async def test_eight_a_line_where_there_is_less(self) -> None:
        dump = HexDump()
        async with staged(dump, size=(width(WIDE) - 1, 6)) as (pilot, stage):
            dump.data = BYTES
            await pilot.pause()
            assert dump.per_line == NARROW
            assert [line.rstrip() for line in seen(stage)[:5]] == [
                "0000  40 41 42 43  44 45 46 47  @ABCDEFG",
                "0008  48 49 4a 4b  4c 4d 4e 4f  HIJKLMNO",
                "0010  50 51 52 53  54 55 56 57  PQRSTUVW",
                "0018  58 59 5a 5b  5c 5d 5e 5f  XYZ[\\]^_",
                "0020  00 1b 5b 7f  ff 20        ··[··",
            ]

    async def test_it_goes_from_one_to_the_other_with_the_window(self) -> None:
        dump = HexDump()
        async with staged(dump, size=(width(WIDE), 6)) as (pilot, stage):
            dump.data = BYTES
            await pilot.resize_terminal(60, 6)
            await until(pilot, lambda: any(line.startswith("0008") for line in seen(stage)))
            await pilot.resize_terminal(100, 6)
            await until(pilot, lambda: any(line.startswith("0010  50 51") for line in seen(stage)[1:2]))

    async def test_offsets_of_more_than_four_digits_keep_the_columns(self) -> None:
        dump = HexDump()
        async with staged(dump, size=(90, 6)) as (pilot, stage):
            dump.data = bytes(0x10010)
            dump.bits = (8 * 0x10000, 8 * 0x10001)
            await until(pilot, lambda: any(line.startswith("10000 00 00") for line in seen(stage)))

    async def test_every_byte_is_there(self) -> None:
        dump = HexDump()
        async with staged(dump, size=(90, 40)) as (_, __):

            @given(st.binary(max_size=600))
            @settings(max_examples=50)
            def check(data: bytes) -> None:
                dump.data = data
                lines = [dump.render_line(y).text for y in range(-(-len(data) // WIDE))]
                assert bytes.fromhex("".join(line[6:55] for line in lines)) == data
                assert (
                    "".join(line[56:72] for line in lines).rstrip()
                    == "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in data).rstrip()
                )

            check()


class TestHighlight:
    @pytest.mark.parametrize(
        ("span", "shown"),
        [
            ((2, 3), ["42B", "", ""]),
            ((2, 4), ["42 43BC", "", ""]),
            ((14, 18), ["4e 4fNO", "50 51PQ", ""]),
            ((31, 38), ["", "5f_", "00 1b 5b 7f ff 20··[·· "]),
            ((0, 0), ["", "", ""]),
            ((100, 200), ["", "", ""]),
        ],
    )
    async def test_a_span_stands_out_in_hex_and_text(self, span: tuple[int, int], shown: list[str]) -> None:
        dump = HexDump()
        async with staged(dump, size=(90, 6)) as (_, __):
            dump.data = BYTES
            dump.bits = (8 * span[0], 8 * span[1])
            assert [highlighted(dump, line) for line in range(3)] == shown

    @pytest.mark.parametrize(
        ("bits", "shown"),
        [
            ((16, 20), "4B"),
            ((20, 24), "2B"),
            ((16, 19), "4B"),
            ((22, 24), "2B"),
            ((19, 32), "42 43BC"),
            ((22, 28), "2 4BC"),
        ],
    )
    async def test_of_a_byte_only_the_digits_with_its_bits_stand_out(self, bits: tuple[int, int], shown: str) -> None:
        dump = HexDump()
        async with staged(dump, size=(90, 6)) as (_, __):
            dump.data = BYTES
            dump.bits = bits
            assert highlighted(dump, 0) == shown

    async def test_what_is_highlighted_comes_into_view(self) -> None:
        dump = HexDump()
        async with staged(dump, size=(90, 4)) as (pilot, stage):
            dump.data = bytes(1000)
            dump.bits = (8 * 800, 8 * 801)
            await until(pilot, lambda: any(line.startswith("0320") for line in seen(stage)))

    async def test_other_bytes_start_at_the_top_with_nothing_highlighted(self) -> None:
        dump = HexDump()
        async with staged(dump, size=(90, 4)) as (pilot, stage):
            dump.data = bytes(1000)
            dump.bits = (8 * 800, 8 * 801)
            dump.data = b"\x01" * 1000
            await until(pilot, lambda: seen(stage)[0].startswith("0000  01 01"))
            assert dump.span == (0, 0)


class TestKeys:
    @pytest.mark.parametrize(
        ("keys", "at"),
        [
            ("right", 1),
            ("l l h", 1),
            ("left", 0),
            ("down", 16),
            ("j j down right", 33),
            ("up", 0),
            ("end", 37),
            ("G right", 37),
            ("end home", 0),
            ("down down k", 16),
            ("enter", 0),
        ],
    )
    async def test_keys_go_from_byte_to_byte(self, keys: str, at: int) -> None:
        dump = HexDump()
        async with staged(dump, size=(90, 6)) as (pilot, stage):
            dump.data = BYTES
            await pilot.press(*keys.split())
            assert dump.at == at == stage.said(HexDump.ByteChosen)[-1].offset if keys != "up" else dump.at == at

    async def test_they_go_on_from_the_chosen_field_and_bring_the_byte_into_view(self) -> None:
        dump = HexDump()
        async with staged(dump, size=(90, 4)) as (pilot, stage):
            dump.data = bytes(1000)
            dump.bits = (8 * 100, 8 * 900)
            await pilot.press("right")
            assert stage.said(HexDump.ByteChosen)[-1].offset == 101
            await pilot.press(*["down"] * 20)
            await until(pilot, lambda: any(line.startswith("01a0") for line in seen(stage)))
            dump.bits = (0, 8)
            await pilot.press("right")
            assert dump.at == 1

    async def test_without_bytes_they_do_nothing(self) -> None:
        dump = HexDump()
        async with staged(dump, size=(90, 4)) as (pilot, stage):
            await pilot.press("right", "down", "end", "enter")
            assert not stage.said(HexDump.ByteChosen)


class TestClicking:
    """In the lab's pane, where border and padding are around the bytes."""

    @pytest.mark.parametrize("width", [60, 90], ids=["eight a line", "sixteen a line"])
    async def test_a_click_on_hex_or_text_tells_which_byte(self, width: int) -> None:
        dump = HexDump(id="hex")
        async with staged(Vertical(dump, id="fields"), size=(width, 9)) as (pilot, stage):
            dump.data = BYTES
            start = "0008" if dump.per_line == NARROW else "0010"
            await until_seen(pilot, start)
            y, line = next((y, line) for y, line in enumerate(seen(stage)) if start in line)
            text = line.index(BYTES[dump.per_line : 2 * dump.per_line].decode())
            for index in range(dump.per_line):
                byte = dump.per_line + index
                digits = line.index(f" {BYTES[byte]:02x}") + 1
                for column in (digits, digits + 1, text + index) if index % 4 == 3 else (digits,):
                    await pilot.click(offset=(column, y))
                    assert stage.said(HexDump.ByteChosen).pop().offset == byte
                    stage.heard.clear()

    async def test_a_click_beside_the_bytes_tells_nothing(self) -> None:
        dump = HexDump(id="hex")
        async with staged(Vertical(dump, id="fields"), size=(90, 9)) as (pilot, stage):
            dump.data = BYTES
            line = (await until_seen(pilot, "0020")).rstrip("│ ")
            y = next(y for y, text in enumerate(seen(stage)) if "0020" in text)
            for x in (0, line.index("0020"), line.index(" 1b"), line.index("ff 20") + 6, len(line) + 2):
                await pilot.click(offset=(x, y))
            await pilot.click(offset=(10, y + 1))
            assert not stage.said(HexDump.ByteChosen)

    async def test_a_click_counts_from_what_is_scrolled_into_view(self) -> None:
        dump = HexDump(id="hex")
        async with staged(Vertical(dump, id="fields"), size=(90, 9)) as (pilot, stage):
            dump.data = bytes(1000)
            dump.bits = (8 * 992, 8 * 993)
            await until_seen(pilot, "03e0  ")
            y, line = next((y, line) for y, line in enumerate(seen(stage)) if "03e0  " in line)
            await pilot.click(offset=(line.index("03e0") + digits_column(2, dump.per_line), y))
            assert stage.said(HexDump.ByteChosen)[-1].offset == 994
