"""Sentences for a moment: they stand at the foot, go by themselves, and take no line while there is none."""

from __future__ import annotations

from textual.containers import Vertical

from ipl_tui.widgets.notice_bar import MOST, NoticeBar
from tests.screen import seen, until, until_seen
from tests.widgets.stage import staged


async def test_a_sentence_is_there_for_its_time_and_then_gone() -> None:
    bar = NoticeBar()
    async with staged(Vertical(bar), size=(60, 5)) as (pilot, stage):
        assert not bar.display and not any(seen(stage))
        bar.say("the capture is saved", "Save", seconds=0.2)
        await until_seen(pilot, "Save: the capture is saved")
        await until(pilot, lambda: not bar.display)


async def test_the_same_sentence_stands_there_once_and_begins_anew() -> None:
    bar = NoticeBar()
    async with staged(Vertical(bar), size=(60, 5)) as (pilot, _):
        bar.say("again", seconds=0.1)
        bar.say("again", seconds=60)
        bar.say("another", severity="error", seconds=0.2)
        await until_seen(pilot, "✖ another")
        await until(pilot, lambda: [text.plain for text in bar.said] == ["again"])
        assert bar.size.height == 1


async def test_only_the_last_ones_are_there_and_markup_is_text() -> None:
    bar = NoticeBar()
    async with staged(Vertical(bar), size=(60, 9)) as (pilot, stage):
        for number in range(5):
            bar.say(f"[red]{number}[/]", severity="warning")
        await until_seen(pilot, "▲ [red]4[/]")
        assert len([line for line in seen(stage) if line]) == MOST
