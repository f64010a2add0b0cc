"""What a person sees: the text on an app's screen, and waiting for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from textual.app import App
from textual.pilot import Pilot


def seen(app: App[Any]) -> list[str]:
    """The lines of the screen, without the spaces at their ends."""
    # The compositor is private. What is public, export_screenshot(), takes five times as long, and tests look often.
    # tests/test_screen.py holds the two together.
    return ["".join(segment.text for segment in strip).rstrip() for strip in app.screen._compositor.render_strips()]


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
