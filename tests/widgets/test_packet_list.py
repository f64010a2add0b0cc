"""The packet list: what a row says, when it follows, and what keys and mouse do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.events import MouseScrollDown, MouseScrollUp
from textual.pilot import Pilot

from ipl_tui.capture.frames import NO_TIME, Batch, Frame
from ipl_tui.capture.store import Store
from ipl_tui.packets.craft import Draft, craft
from ipl_tui.session.rows import Rows
from ipl_tui.tracking.tracker import Tracker
from ipl_tui.widgets import packet_list
from ipl_tui.widgets.packet_list import TIMES, Columns, PacketList, fit
from tests.screen import seen, until, until_seen
from tests.widgets.stage import Stage, staged

RAW_IP = 101
MILLISECOND = 1_000_000
PAGE = 19
"""Packets in view on a stage of 20 lines: less the head."""


def packet(payload: bytes = b"hello", src: str = "10.0.1.10", dst: str = "10.0.1.20") -> bytes:
    return craft(Draft(src=src, dst=dst, payload=payload)).packet


def arrive(
    store: Store, packets: Sequence[bytes], interface: int = 0, begin: int = 0, every: int = MILLISECOND
) -> None:
    """Packets of raw IP arrive; the first `begin` ns after the epoch."""
    offset = 0
    records = []
    for number, data in enumerate(packets):
        records.append((begin + number * every, offset, len(data), len(data)))
        offset += len(data)
    store.append(interface, Batch(b"".join(packets), records))


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are drawn once, when all that they say is known, however busy the machine is."""
    monkeypatch.setattr(packet_list, "PROMPT", 10)


@pytest.fixture
def store() -> Iterator[Store]:
    """A capture on one interface, with nothing in it yet."""
    with Store() as store:
        store.add_interface("lab0", RAW_IP)
        yield store


@pytest.fixture
def packets(store: Store) -> PacketList:
    """The list of that capture, as the lab has it."""
    tracker = Tracker(store)
    store.taps.append(tracker)
    return PacketList(Rows(store, tracker), id="packets")


def rows(stage: Stage) -> list[str]:
    """The list's lines below its head, without the scroll bar."""
    return [line.ljust(120)[:-1].rstrip("▁▂▃▄▅▆▇█ ") for line in seen(stage)[1:]]


def numbers(stage: Stage) -> list[int]:
    """The packets in view."""
    return [int(row.split()[0].lstrip("▸")) for row in rows(stage) if row]


async def shows(pilot: Pilot[None], stage: Stage, first: int, last: int) -> None:
    await until(pilot, lambda: numbers(stage) == list(range(first, last + 1)))


class TestRows:
    async def test_a_row_says_when_from_whom_to_whom_what_and_how_long(self, store: Store, packets: PacketList) -> None:
        arrive(store, [packet(b"ClientMessage"), packet(b"\x00\x01 and more")])
        async with staged(packets, size=(90, 20)) as (_, stage):
            packets.show_up_to(2)
            assert seen(stage)[0:3] == [
                " No.      Time Source            Destination     Proto Bytes  Info",
                "  ▸1  0.000000 10.0.1.10       → 10.0.1.20       253      33  ClientMessage",
                "   2  0.001000 10.0.1.10       → 10.0.1.20       253      31  \\0\\x01 and more",
            ]

    async def test_the_length_is_that_on_the_wire(self, store: Store, packets: PacketList) -> None:
        store.append(0, Batch(packet(), [(0, 0, 25, 1500)]))
        async with staged(packets) as (_, stage):
            packets.show_up_to(1)
            assert " 1500  " in rows(stage)[0]

    @pytest.mark.parametrize(
        ("src", "dst", "mark"),
        [
            ("10.0.1.10", "10.0.1.20", "↦"),
            ("10.0.1.20", "10.0.1.10", "⇥"),
            ("10.0.1.10", "10.0.1.10", "↻"),
            ("10.0.1.20", "10.0.1.30", "→"),
        ],
    )
    async def test_the_direction_is_seen_from_the_interface(
        self, store: Store, packets: PacketList, src: str, dst: str, mark: str
    ) -> None:
        arrive(store, [packet(src=src, dst=dst)])
        packets.rows.own = {0: frozenset({"10.0.1.10"})}
        async with staged(packets) as (_, stage):
            packets.show_up_to(1)
            assert f"{src}       {mark} {dst}" in " ".join(rows(stage)[0].split(maxsplit=2)[2:])

    async def test_only_several_interfaces_have_a_column(self, store: Store, packets: PacketList) -> None:
        arrive(store, [packet()])
        async with staged(packets) as (_, stage):
            packets.show_up_to(1)
            assert "Interface" not in seen(stage)[0] and "lab0" not in rows(stage)[0]
            arrive(store, [packet()], interface=store.add_interface("lab1", RAW_IP))
            packets.show_up_to(2)
            assert "Interface" in seen(stage)[0]
            assert [row.split()[2] for row in rows(stage)[:2]] == ["lab0", "lab1"]

    async def test_a_request_and_its_answer_are_joined(self, store: Store, packets: PacketList) -> None:
        answer = packet(b"ServerResponse", src="10.0.1.20", dst="10.0.1.10")
        arrive(store, [packet(b"ClientMessage"), answer, answer], every=400_000)
        async with staged(packets) as (pilot, stage):
            packets.show_up_to(3)
            assert rows(stage)[0].endswith("ClientMessage  answered by 2")
            assert rows(stage)[1].endswith("ServerResponse  ↩ answers 1, 0.4 ms")
            assert rows(stage)[2].endswith("ServerResponse  ↩ second answer to 1, 0.8 ms")
            await pilot.resize_terminal(82, 20)  # as much room as in the lab on 80 columns, where nothing has a border
            await until_seen(pilot, "  ↪2 ClientMessage")
            await until_seen(pilot, "  ↩1 ServerResponse")
            await until_seen(pilot, "  ↩↩1 Server")

    async def test_t_goes_through_three_formats_of_time(self, store: Store, packets: PacketList) -> None:
        begin = datetime(2024, 2, 29, 23, 59, 58, 250_000)
        arrive(store, [packet()] * 3, begin=round(begin.timestamp() * 1e6) * 1000, every=1500 * MILLISECOND)
        async with staged(packets) as (pilot, stage):
            packets.show_up_to(3)
            times = []
            for _ in range(4):
                times.append([row.split()[1] for row in rows(stage)[:3]])
                await pilot.press("t")
            assert times == [
                ["0.000000", "1.500000", "3.000000"],
                ["0.000000", "1.500000", "1.500000"],
                ["23:59:58.250000", "23:59:59.750000", "00:00:01.250000"],
                ["0.000000", "1.500000", "3.000000"],
            ]

    async def test_columns_line_up_however_long_a_capture_runs(self, store: Store, packets: PacketList) -> None:
        arrive(store, [packet()] * 3, every=100_000 * 10**9)
        for width in (80, 120):
            columns = Columns.fit(width, 3, TIMES[0], ["lab0"])
            starts = {
                columns.line(
                    str(n), packets.show_time(packets.rows.row(n)), "", "10.0.1.10", "→", "10.0.1.20", "253", "25"
                ).index("→")
                for n in (1, 2, 3)
            }
            assert starts == {columns.head().index("Destination") - 2}

    @given(
        st.tuples(*[st.text(max_size=30)] * 6),
        st.integers(1, 10**9),
        st.sampled_from([60, 80, 100, 120, 200]),
        st.sampled_from(TIMES),
        st.lists(st.text(max_size=30), max_size=3),
    )
    def test_whatever_stands_in_a_row_its_info_begins_below_the_word(
        self, texts: tuple[str, ...], count: int, width: int, times: str, interfaces: list[str]
    ) -> None:
        time, interface, source, destination, protocol, length = texts
        columns = Columns.fit(width, count, times, interfaces)
        line = columns.line(f"▸{count}", time, interface, source, "→", destination, protocol, length)
        assert len(line) == columns.head().index("Info")

    @given(st.text(), st.integers(1, 40))
    def test_what_was_cut_shows(self, text: str, width: int) -> None:
        cut = fit(text, width)
        assert len(cut) == width
        assert cut.rstrip() == text.rstrip() if len(text) <= width else cut == text[: width - 1] + "…"


class TestFollowing:
    async def test_it_stays_at_its_end_while_packets_arrive(self, store: Store, packets: PacketList) -> None:
        arrive(store, [packet()] * 100)
        async with staged(packets) as (pilot, stage):
            for count in (5, 50, 100):
                packets.show_up_to(count)
                await shows(pilot, stage, max(1, count - PAGE + 1), count)

    @pytest.mark.parametrize(
        ("away", "back"),
        [
            (["home"], ["end"]),
            (["g"], ["G"]),
            (["G", "pageup"], ["pagedown"]),
            (["G", *["k"] * PAGE], ["j"] * PAGE),
            (["G", *["up"] * PAGE], ["down"] * PAGE),
        ],
        ids=["Home and End", "g and G", "pages", "k and j", "arrows"],
    )
    async def test_keys_that_leave_the_end_hold_it_and_the_end_lets_it_go_on(
        self, store: Store, packets: PacketList, away: list[str], back: list[str]
    ) -> None:
        arrive(store, [packet()] * 100)
        async with staged(packets) as (pilot, stage):
            packets.show_up_to(50)
            await shows(pilot, stage, 32, 50)
            await pilot.press(*away)
            await until(pilot, lambda: numbers(stage)[0] < 32)
            held = rows(stage)
            packets.show_up_to(50 + 20)
            await pilot.pause()
            assert rows(stage) == held
            packets.show_up_to(50 + 21)
            await pilot.press(*back, "end")
            await shows(pilot, stage, 53, 71)
            packets.show_up_to(100)
            await shows(pilot, stage, 82, 100)

    async def test_going_down_to_the_last_packet_is_going_to_the_end(self, store: Store, packets: PacketList) -> None:
        arrive(store, [packet()] * 60)
        async with staged(packets) as (pilot, stage):
            packets.show_up_to(40)
            await pilot.press("G", *["k"] * PAGE)
            await shows(pilot, stage, 21, 39)
            await pilot.press(*["j"] * PAGE)
            await shows(pilot, stage, 22, 40)
            packets.show_up_to(60)
            await shows(pilot, stage, 42, 60)

    async def test_the_mouse_wheel_leaves_the_end_and_comes_back(self, store: Store, packets: PacketList) -> None:
        arrive(store, [packet()] * 100)
        async with staged(packets) as (pilot, stage):
            packets.show_up_to(50)
            await shows(pilot, stage, 32, 50)
            stage.turn_wheel(MouseScrollUp, 10, 10)
            await until(pilot, lambda: packets.scroll_offset.y == packets.scroll_target_y < packets.max_scroll_y)
            held = rows(stage)
            packets.show_up_to(51)
            await pilot.pause()
            assert rows(stage) == held
            while not packets.following:
                stage.turn_wheel(MouseScrollDown, 10, 10)
                await pilot.pause()
            packets.show_up_to(100)
            await shows(pilot, stage, 82, 100)

    async def test_it_follows_while_the_window_changes_its_size(self, store: Store, packets: PacketList) -> None:
        arrive(store, [packet()] * 100)
        async with staged(packets) as (pilot, stage):
            packets.show_up_to(100)
            await pilot.resize_terminal(100, 12)
            await shows(pilot, stage, 90, 100)
            await pilot.resize_terminal(100, 30)
            await shows(pilot, stage, 72, 100)


class TestSelecting:
    async def test_the_first_packet_is_selected_by_itself(self, store: Store, packets: PacketList) -> None:
        arrive(store, [packet()] * 3)
        async with staged(packets) as (pilot, stage):
            packets.show_up_to(3)
            await pilot.pause()
            assert [message.number for message in stage.said(PacketList.Selected)] == [1]
            assert rows(stage)[0].startswith("     ▸1 ")

    async def test_the_selection_stays_while_packets_arrive(self, store: Store, packets: PacketList) -> None:
        arrive(store, [packet()] * 1000)
        async with staged(packets) as (pilot, stage):
            packets.show_up_to(100)
            await pilot.press("home", *["j"] * 4)
            for count in range(100, 1001, 100):
                packets.show_up_to(count)
                await pilot.pause()
                assert "     ▸5 " in rows(stage)[4]
            assert stage.said(PacketList.Selected)[-1].number == 5

    @pytest.mark.parametrize(
        ("keys", "selected"),
        [
            ("j", 2),
            ("j j k", 2),
            ("down down up", 2),
            ("k", 1),
            ("up", 1),
            ("G", 100),
            ("end", 100),
            ("end down", 100),
            ("end home", 1),
            ("G g", 1),
            ("pagedown", 1 + PAGE),
            ("pagedown pagedown pageup", 1 + PAGE),
            ("pageup", 1),
            ("G pageup", 100 - PAGE),
            ("G pagedown", 100),
        ],
    )
    async def test_keys_move_the_selection_and_keep_it_in_view(
        self, store: Store, packets: PacketList, keys: str, selected: int
    ) -> None:
        arrive(store, [packet()] * 100)
        async with staged(packets) as (pilot, stage):
            packets.show_up_to(100)
            await pilot.press(*keys.split())
            await until_seen(pilot, f"▸{selected} ")
            assert stage.said(PacketList.Selected)[-1].number == selected

    async def test_enter_opens_what_is_selected(self, store: Store, packets: PacketList) -> None:
        async with staged(packets) as (pilot, stage):
            await pilot.press("enter")
            assert not stage.said(PacketList.Opened)
            arrive(store, [packet()])
            packets.show_up_to(1)
            await pilot.press("enter")
            assert len(stage.said(PacketList.Opened)) == 1

    async def test_a_click_selects_the_row_under_it_and_a_second_one_opens_it(
        self, store: Store, packets: PacketList
    ) -> None:
        arrive(store, [packet()] * 100)
        async with staged(packets) as (pilot, stage):
            packets.show_up_to(100)
            await shows(pilot, stage, 82, 100)
            for line in (2, 10, 18):
                await pilot.click(offset=(20, line))
                await until_seen(pilot, f"▸{81 + line} ")
                assert "▸" in seen(stage)[line]
            assert not stage.said(PacketList.Opened)
            await pilot.double_click(offset=(20, 5))
            await until(pilot, lambda: stage.said(PacketList.Opened))
            assert packets.selected == 86

    @pytest.mark.parametrize("line", [0, 4, 19], ids=["head", "below the last packet", "the last line"])
    async def test_a_click_beside_the_rows_selects_nothing(self, store: Store, packets: PacketList, line: int) -> None:
        arrive(store, [packet()] * 2)
        async with staged(packets) as (pilot, _):
            packets.show_up_to(2)
            await pilot.press("j")
            await pilot.click(offset=(20, line))
            assert packets.selected == 2

    async def test_an_empty_list_takes_every_key(self, packets: PacketList) -> None:
        async with staged(packets) as (pilot, stage):
            await pilot.press(*"jkgGt", "pageup", "pagedown", "home", "end", "up", "down")
            await pilot.click(offset=(20, 2))
            assert not stage.said(PacketList.Selected) and packets.selected == 0


class Million(Store):
    """As if a million packets had been captured; notes which are read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[int] = []

    def frame(self, number: int) -> Frame:
        self.read.append(number)
        return Frame(number, self.time(number), packet(b"number %d" % number), 33, 0)

    def time(self, number: int) -> int:
        return number * MILLISECOND


async def test_only_the_rows_in_view_are_read_of_a_million() -> None:
    with Million() as store:
        store.add_interface("lab0", RAW_IP)
        packets = PacketList(Rows(store, Tracker(store)), id="packets")
        async with staged(packets) as (pilot, stage):
            packets.show_up_to(1_000_000)
            await until_seen(pilot, "number 1000000")
            assert set(store.read) <= set(range(1_000_000 - PAGE, 1_000_001))
            assert len(store.read) < 10 * PAGE
            store.read.clear()
            await pilot.press("home")
            await until(pilot, lambda: rows(stage)[0].endswith("number 1"))
            assert set(store.read) <= set(range(1, PAGE + 2))
            store.read.clear()
            for count in range(1_000_001, 1_000_100):
                packets.show_up_to(count)
            await pilot.pause()
            assert len(store.read) < 10 * PAGE, "what arrives out of view is not drawn"
            assert numbers(stage) == list(range(1, PAGE + 1))


class Counting(Store):
    """Counts how often its file is read."""

    reads = 0

    def _read(self, start: int, size: int) -> bytes:
        self.reads += 1
        return super()._read(start, size)


async def test_a_row_is_read_when_it_is_first_drawn_and_never_again() -> None:
    with Counting() as store:
        store.add_interface("lab0", RAW_IP)
        arrive(store, [packet(b"ClientMessage"), packet(b"ServerResponse", "10.0.1.20", "10.0.1.10")] * 50)
        packets = PacketList(Rows(store, Tracker(store)), id="packets")
        async with staged(packets) as (pilot, stage):
            packets.show_up_to(100)
            await shows(pilot, stage, 82, 100)
            assert store.reads == PAGE
            await pilot.press("G", "k", "k", "j")
            await until_seen(pilot, "▸99 ")
            await pilot.press("t", "t", "t")
            await pilot.pause()
            assert store.reads == PAGE + 1, "and the time of the packet before the first in view"


async def test_a_packet_without_a_time_shows_none_in_any_format(store: Store, packets: PacketList) -> None:
    data = packet()
    times = [NO_TIME, 5 * 10**9, NO_TIME, 5 * 10**9 + 7_000, 10**27, -1]
    for time in times:
        store.append(0, Batch(data, [(time, 0, len(data), len(data))]))
    async with staged(packets) as (pilot, stage):

        def column() -> list[str]:
            return [row.split()[1] for row in rows(stage) if row]

        packets.show_up_to(len(times))
        await until(pilot, lambda: column()[:4] == ["-", "0.000000", "-", "0.000007"])
        packets.times = TIMES[1]
        await until(pilot, lambda: column()[:4] == ["-"] * 4)
        packets.times = TIMES[2]
        await until(pilot, lambda: ":" in column()[1])
        assert [time.count(":") for time in column()] == [0, 2, 0, 2, 2, 2]


def test_what_has_no_time_is_not_joined(store: Store) -> None:
    tracker = Tracker(store)
    store.taps.append(tracker)
    one, other = "10.0.1.10", "10.0.1.20"
    for time in (NO_TIME, 1):
        for payload, src, dst in ((b"ClientMessage", one, other), (b"ServerResponse", other, one)):
            data = craft(Draft(proto=253, src=src, dst=dst, payload=payload)).packet
            store.append(0, Batch(data, [(time, 0, len(data), len(data))]))
    assert [tracker.response_of(number) for number in range(1, 5)] == [None, None, 4, None]
