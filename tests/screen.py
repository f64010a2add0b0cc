"""What a person sees: the text on an app's screen, and waiting for it."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Callable
from typing import Any

from textual.app import App
from textual.pilot import Pilot


def seen(app: App[Any]) -> list[str]:
    """The lines of the screen, as the screenshot draws them."""
    width, height = app.size
    lines = [[" "] * width for _ in range(height)]
    svg = app.export_screenshot(simplify=True)
    for x, y, text in re.findall(r'<text [^>]*?x="([\d.]+)" y="([\d.]+)"[^>]*clip-path[^>]*>(.*?)</text>', svg):
        column, row = round(float(x) / 12.2), round((float(y) - 20) / 24.4)
        for offset, character in enumerate(html.unescape(text).replace("\xa0", " ")):
            if 0 <= row < height and column + offset < width:
                lines[row][column + offset] = character
    return ["".join(line).rstrip() for line in lines]


async def until(pilot: Pilot[Any], condition: Callable[[], object], seconds: float = 15) -> None:
    """Wait until something has become true. Fails with the screen if it does not."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await pilot.pause(0.02)
    except TimeoutError:
        raise AssertionError("this did not come about; the screen:\n" + "\n".join(seen(pilot.app))) from None


async def until_seen(pilot: Pilot[Any], text: str, seconds: float = 15) -> str:
    """Wait until a text is on the screen; gives its line."""
    await until(pilot, lambda: any(text in line for line in seen(pilot.app)), seconds)
    return next(line for line in seen(pilot.app) if text in line)
