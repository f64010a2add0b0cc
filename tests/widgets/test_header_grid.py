"""The header grid: RFC 791's picture to read, and the same picture to fill in."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot
from textual.widgets import Input

from ipl_tui.packets.craft import Draft, craft
from ipl_tui.packets.fields import FIELD, FIELDS, read_header
from ipl_tui.packets.picture import WIDTH, columns_of, show_value
from ipl_tui.widgets.header_grid import Cell, HeaderForm, HeaderGrid, field_at, neighbour, value_line
from tests.screen import seen, until, until_seen
from tests.widgets.stage import Stage, staged

PACKET = craft(
    Draft(dscp=46, ecn=1, id=4660, df=1, frag=185, src="10.0.1.10", dst="10.0.2.20", options=b"\x94\x04", payload=b"hi")
).packet

PICTURE = """\
 0       4       8           14  16    19                     31
┌Version┬ IHL ──┬DSCP · tos─┬ECN┬ Total Length · len ───────────┐
│ 4     │ 6     │ 46        │ 1 │ 26                            │
├ Identification · id ──────┴───┼R┬D┬M┬ Fragment Offset · frag ─┤
│ 4660                          │0│1│0│ 185                     │
├ Time to Live ─┬ Protocol ─────┼ Header Checksum · chksum ─────┤
│ 64            │ 253           │ 0x7a1f                        │
├ Source Address · src ─────────┴───────────────────────────────┤
│ 10.0.1.10                                                     │
├ Destination Address · dst ────────────────────────────────────┤
│ 10.0.2.20                                                     │
├ Options ──────────────────────────────────────────────────────┤
│ 94 04 00 00                                                   │
└───────────────────────────────────────────────────────────────┘"""


def values(packet: bytes) -> dict[str, str]:
    """What the lab puts into the cells."""
    return {name: show_value(name, value) for name, value in read_header(packet).items()}


def picture(stage: Stage) -> list[str]:
    return [line[:WIDTH] for line in seen(stage)[:14]]


def middle(field: str) -> tuple[int, int]:
    """The column and line of a field's value."""
    left, right = columns_of(FIELD[field])
    return (left + right) // 2, value_line(FIELD[field])


class TestReading:
    async def test_the_picture_is_rfc_791s(self) -> None:
        grid = HeaderGrid()
        async with staged(grid, size=(70, 16)) as (pilot, stage):
            grid.values = values(PACKET)
            await pilot.pause()
            assert picture(stage) == PICTURE.splitlines()

    @pytest.mark.parametrize("length", [0, 1, 7, 10, 17, 19])
    async def test_what_a_cut_header_does_not_have_stays_empty(self, length: int) -> None:
        grid = HeaderGrid()
        async with staged(grid, size=(70, 16)) as (pilot, stage):
            grid.values = values(PACKET[:length])
            await pilot.pause()
            whole, cut = PICTURE.splitlines(), picture(stage)
            for field in FIELDS:
                left, right = columns_of(field)
                line = value_line(field)
                inside = length * 8 >= field.bit + field.bits and field.name != "options"
                assert cut[line][left + 1 : right] == (
                    whole[line][left + 1 : right] if inside else " " * (right - left - 1)
                )
            assert cut[1::2] == whole[1::2]

    async def test_marks_have_a_shape_and_not_only_a_colour(self) -> None:
        grid = HeaderGrid()
        async with staged(grid, size=(70, 16)) as (pilot, stage):
            grid.marks = {"ttl": "error", "len": "warning", "version": "error", "df": "warning", "options": "error"}
            await pilot.pause()
            top = picture(stage)
            assert "┌Versio✖┬" in top[1] and "┬ Total Length · len ▲ ─" in top[1]
            assert "┬▲┬" in top[3]
            assert top[5].startswith("├Time to Live ✖─┬")
            assert top[11].startswith("├ Options ✖ ─")

    async def test_options_that_are_cut_show_what_is_there(self) -> None:
        grid = HeaderGrid()
        async with staged(grid, size=(70, 16)) as (pilot, _):
            grid.values = values(PACKET[:22])
            await until_seen(pilot, "│ 94 04  ")

    async def test_every_label_has_room_for_its_mark(self) -> None:
        grid = HeaderGrid()
        async with staged(grid, size=(70, 16)):

            @given(st.dictionaries(st.sampled_from([*FIELD]), st.sampled_from(["error", "warning"])))
            def check(marks: dict[str, str]) -> None:
                grid.marks = marks
                lines = "".join(segment.text for y in range(14) for segment in grid.render_line(y))
                assert lines.count("✖") == list(marks.values()).count("error")
                assert lines.count("▲") == list(marks.values()).count("warning")
                assert len(lines) == 14 * WIDTH, "and nothing is pushed aside"

            check()


class TestChoosing:
    @pytest.mark.parametrize(
        ("keys", "field"),
        [
            ("right", "version"),
            ("l l l", "dscp"),
            ("l right right left h", "version"),
            ("left", "options"),
            ("l left", "options"),
            ("l down", "id"),
            ("l j j j", "src"),
            ("l j k", "dscp"),
            ("l up", "options"),
            ("l k j", "len"),
            ("l l l l l j", "frag"),
            ("l l l l l down down", "chksum"),
        ],
    )
    async def test_keys_go_from_field_to_field(self, keys: str, field: str) -> None:
        grid = HeaderGrid()
        async with staged(grid, size=(70, 16)) as (pilot, stage):
            await pilot.press(*keys.split())
            await until(pilot, lambda: grid.chosen == field)
            assert stage.said(HeaderGrid.FieldChosen)[-1].field == field

    async def test_stepping_through_reads_the_header_in_order_and_wraps(self) -> None:
        grid = HeaderGrid()
        async with staged(grid, size=(70, 16)) as (pilot, stage):
            await pilot.press(*["l"] * (len(FIELDS) + 1))
            said = [message.field for message in stage.said(HeaderGrid.FieldChosen)]
            assert said == [*FIELD, "version"]

    async def test_a_click_on_a_value_or_label_chooses_the_field(self) -> None:
        grid = HeaderGrid()
        async with staged(grid, size=(70, 16)) as (pilot, stage):
            for field in FIELDS:
                column, line = middle(field.name)
                await pilot.click(HeaderGrid, offset=(column, line - field.bit % 2))
                assert grid.chosen == field.name
            await pilot.click(HeaderGrid, offset=(10, 0))
            assert len(stage.said(HeaderGrid.FieldChosen)) == len(FIELDS), "the ruler is no field"

    @given(st.sampled_from([*FIELD]), st.lists(st.sampled_from([-1, 1]), max_size=20))
    def test_up_and_down_always_lead_one_row_on(self, field: str, ways: list[int]) -> None:
        for way in ways:
            there = neighbour(field, way)
            assert (value_line(there) - value_line(FIELD[field])) // 2 % 6 == way % 6
            field = there.name

    @given(st.integers(-5, 80), st.integers(-5, 20))
    def test_every_place_of_the_picture_belongs_to_one_field(self, x: int, y: int) -> None:
        field = field_at(x, y)
        assert (field is not None) == (0 <= x < WIDTH - 1 and 1 <= y <= 12)

    def test_fields_fill_their_rows_without_gap_or_overlap(self) -> None:
        edges = [columns_of(field) for field in FIELDS]
        assert all(left[1] == right[0] or (left[1], right[0]) == (WIDTH - 1, 0) for left, right in pairwise(edges))


def cell(form: HeaderForm, field: str) -> str:
    return form.inputs[field].value


async def go_to(pilot: Pilot[None], form: HeaderForm, field: str) -> None:
    """Click into a cell."""
    await pilot.click(HeaderForm, offset=middle(field))
    await until(pilot, lambda: form.inputs[field].has_focus)


class TestFillingIn:
    async def test_what_is_typed_stands_in_the_cell_and_is_said(self) -> None:
        form = HeaderForm()
        async with staged(form, size=(70, 16)) as (pilot, stage):
            await go_to(pilot, form, "ttl")
            await pilot.press(*"128")
            assert form.entries["ttl"] == "128"
            assert "│128            │" in picture(stage)[6]
            assert len(stage.said(HeaderForm.Edited)) == 3

    async def test_values_stand_where_the_read_only_picture_has_them(self) -> None:
        form = HeaderForm()
        async with staged(form, size=(70, 16)) as (pilot, stage):
            form.fill(values(PACKET))
            await pilot.pause()
            for mine, expected in zip(picture(stage), PICTURE.splitlines(), strict=True):
                assert mine.replace(" ", "") == expected.replace(" ", "")

    async def test_an_empty_cell_shows_the_automatic_value_and_a_filled_one_does_not(self) -> None:
        form = HeaderForm()
        async with staged(form, size=(70, 16)) as (pilot, stage):
            form.show_automatic({"len": "33", "src": "10.0.1.10"})
            await until_seen(pilot, "│auto 33 ")
            assert "│auto 10.0.1.10 " in picture(stage)[8]
            assert picture(stage)[6].endswith("│auto                           │"), "nobody knows it yet"
            await go_to(pilot, form, "len")
            await pilot.press(*"38")
            await until_seen(pilot, "│38 ")
            assert "auto 33" not in picture(stage)[2]

    @pytest.mark.parametrize("field", [field.name for field in FIELDS if field.automatic])
    async def test_f4_makes_a_cell_automatic_again(self, field: str) -> None:
        form = HeaderForm()
        async with staged(form, size=(70, 16)) as (pilot, stage):
            form.fill({field: "9"})
            form.show_automatic({field: "7"})
            await go_to(pilot, form, field)
            stage.heard.clear()
            await pilot.press("f4")
            await until(pilot, lambda: stage.said(HeaderForm.Edited))
            assert form.entries[field] == ""
            await until_seen(pilot, "auto 7")

    @pytest.mark.parametrize("field", ["ttl", "dst", "options"])
    async def test_f4_leaves_what_cannot_be_automatic(self, field: str) -> None:
        form = HeaderForm()
        async with staged(form, size=(70, 16)) as (pilot, _):
            form.fill({field: "9"})
            await go_to(pilot, form, field)
            await pilot.press("f4")
            assert form.entries[field] == "9"

    @pytest.mark.parametrize(
        ("keys", "value"),
        [("1", "1"), ("1 0", "0"), ("0", "0"), ("space", "1"), ("space space", "0"), ("enter", "1"), ("1 1", "1")],
    )
    @pytest.mark.parametrize("flag", ["reserved", "df", "mf"])
    async def test_flags_are_typed_or_turned_over(self, flag: str, keys: str, value: str) -> None:
        form = HeaderForm()
        async with staged(form, size=(70, 16)) as (pilot, stage):
            form.inputs[flag].focus()
            await pilot.press(*keys.split())
            assert form.entries[flag] == value
            column, line = middle(flag)
            await until(pilot, lambda: picture(stage)[line][column] == value)

    async def test_a_flag_is_turned_over_by_a_click_and_says_so_only_if_it_changed(self) -> None:
        form = HeaderForm()
        async with staged(form, size=(70, 16)) as (pilot, stage):
            await pilot.click(HeaderForm, offset=middle("df"))
            assert form.entries["df"] == "1"
            assert form.chosen == "df"
            assert len(stage.said(HeaderForm.Edited)) == 1
            await pilot.press("1")
            assert len(stage.said(HeaderForm.Edited)) == 1
            await pilot.click(HeaderForm, offset=middle("df"))
            assert form.entries["df"] == "0"
            assert len(stage.said(HeaderForm.Edited)) == 2

    async def test_a_click_on_a_label_leads_into_its_cell(self) -> None:
        form = HeaderForm()
        async with staged(form, size=(70, 16)) as (pilot, _):
            for field in ("version", "mf", "dst", "options"):
                column, line = middle(field)
                await pilot.click(HeaderForm, offset=(column, line - 1))
                await until(pilot, lambda: form.inputs[form.chosen].has_focus)
                assert form.chosen == field

    @pytest.mark.parametrize(
        ("start", "keys", "end"),
        [
            ("version", "down", "id"),
            ("len", "down", "frag"),
            ("frag", "down", "chksum"),
            ("df", "up", "len"),
            ("chksum", "down", "src"),
            ("len", "up", "options"),
            ("version", "up", "options"),
            ("version", "tab", "ihl"),
            ("ihl", "shift+tab", "version"),
            ("id", "tab tab", "df"),
        ],
    )
    async def test_up_down_and_tab_lead_from_cell_to_cell(self, start: str, keys: str, end: str) -> None:
        form = HeaderForm()
        async with staged(form, size=(70, 16)) as (pilot, stage):
            form.inputs[start].focus()
            await pilot.press(*keys.split())
            await until(pilot, lambda: form.inputs[end].has_focus and form.chosen == end)
            assert stage.said(HeaderGrid.FieldChosen)[-1].field == end

    async def test_filling_it_is_one_edit(self) -> None:
        form = HeaderForm()
        async with staged(form, size=(70, 16)) as (pilot, stage):
            stage.heard.clear()
            form.fill({"ttl": "9", "proto": "17", "df": "1"})
            await pilot.pause()
            assert (cell(form, "ttl"), cell(form, "proto"), cell(form, "df")) == ("9", "17", "1")
            assert len(stage.said(HeaderForm.Edited)) == 1
            assert not stage.said(Input.Changed)

    async def test_letters_typed_into_a_cell_stay_letters(self) -> None:
        form = HeaderForm()
        async with staged(form, size=(70, 16)) as (pilot, _):
            await go_to(pilot, form, "dst")
            await pilot.press(*"hjkl")
            assert form.entries["dst"] == "hjkl"
            assert isinstance(form.inputs["dst"], Cell)
