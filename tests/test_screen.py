"""seen() reads Textual's compositor, which is private: it must go on giving what Textual's own screenshot shows."""

from __future__ import annotations

import html
import re
from typing import Any

from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.screen import ModalScreen
from textual.widgets import DataTable, Input, Static

from tests.screen import seen


class Question(ModalScreen[None]):
    def compose(self) -> ComposeResult:
        yield Input("typed", id="typed")


class Shown(App[None]):
    CSS = "Static { border: round; width: 1fr; } Question { align: center middle; }"

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static("one [b]two[/b]\n<three> & four")
            yield DataTable[str]()

    def on_mount(self) -> None:
        table: DataTable[str] = self.query_one(DataTable)
        table.add_columns("number", "text")
        table.add_rows([(str(row), "x" * row) for row in range(40)])


def in_the_screenshot(app: App[Any]) -> list[str]:
    width, height = app.size
    lines = [[" "] * width for _ in range(height)]
    svg = app.export_screenshot(simplify=True)
    for x, y, text in re.findall(r'<text [^>]*?x="([\d.]+)" y="([\d.]+)"[^>]*clip-path[^>]*>(.*?)</text>', svg):
        column, row = round(float(x) / 12.2), round((float(y) - 20) / 24.4)
        for offset, character in enumerate(html.unescape(text).replace("\xa0", " ")):
            if 0 <= row < height and column + offset < width:
                lines[row][column + offset] = character
    return ["".join(line).rstrip() for line in lines]


async def test_what_is_seen_is_what_the_screenshot_shows() -> None:
    async with Shown().run_test(size=(80, 24)) as pilot:
        assert any("<three> & four" in line for line in seen(pilot.app))
        assert seen(pilot.app) == in_the_screenshot(pilot.app)
        await pilot.app.push_screen(Question())
        await pilot.pause()
        assert any("typed" in line for line in seen(pilot.app))
        assert seen(pilot.app) == in_the_screenshot(pilot.app)
