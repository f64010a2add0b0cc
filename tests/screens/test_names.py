"""The lab on interfaces whose names would steer the terminal."""

from __future__ import annotations

from tests.conftest import STEERING
from tests.screen import seen, until_seen
from tests.screens.conftest import Running


async def test_the_lab_shows_them_escaped(odd: None, running: Running) -> None:
    async with running(STEERING) as (pilot, lab):
        await until_seen(pilot, r"\x1b[31mE\x1b[2J ▾")
        await pilot.press("f2")
        assert r"\x1b[31mE\x1b[2J" in await until_seen(pilot, "no IPv4 address")
        await until_seen(pilot, r"x\xff\xfey")
        await pilot.press("escape")
        lab.notify("a\x1b]0;X\x07")
        await until_seen(pilot, r"a\x1b]0;X\x07")
        assert not any("\x1b" in line for line in seen(pilot.app))
