"""The bars on top: what they say of a lab, how they say it where there is little room, and what they ask for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual.widgets import Input, Sparkline

from ipl_tui.session.snapshot import Answering, Snapshot
from ipl_tui.widgets.capture_bar import CaptureBar, describe_state
from tests.fake_interface import FakeInterface
from tests.screen import seen, until, until_seen
from tests.widgets.stage import staged

NOTHING = Snapshot(
    interface=FakeInterface("eth0", "10.0.1.10/24"),
    filter="",
    file=None,
    following=False,
    capturing=False,
    trouble="",
    anew=0,
    captured=0,
    joined=0,
    tracked=0,
    dropped=0,
    rates=(0,) * 60,
    own={},
    answering=None,
    sending=False,
    awaiting=False,
    orders=0,
    sent_as=0,
    all_layers=False,
    said=(),
)
CAPTURING = replace(NOTHING, capturing=True, captured=1200, joined=1200, dropped=3)
ANSWERING = Answering("scapy", "server", 0)
COUNTS = "1,200 captured · 1,000 shown · 3 dropped"


@pytest.mark.parametrize(
    ("snapshot", "paused", "width", "line"),
    [
        (CAPTURING, False, 120, f"● capturing   {COUNTS}"),
        (replace(CAPTURING, following=True), False, 120, f"● capturing path   {COUNTS}"),
        (
            replace(CAPTURING, following=True, answering=ANSWERING),
            False,
            120,
            f"● capturing path   {COUNTS}   ↩ Scapy answers in 0.15 s",
        ),
        (CAPTURING, True, 120, f"‖ view paused   {COUNTS}"),
        (replace(CAPTURING, capturing=False), False, 120, f"○ starting   {COUNTS}"),
        (replace(CAPTURING, capturing=False, trouble="x"), False, 120, f"✖ not capturing   {COUNTS}"),
        (replace(CAPTURING, file=Path("a/old.pcap")), False, 120, "○ old.pcap   1,200 packets · 1,000 shown"),
        (
            replace(CAPTURING, file=Path("a/old.pcap"), joined=1100),
            False,
            120,
            "○ old.pcap   1,200 packets · 1,000 shown · joined to 1,100",
        ),
        (replace(CAPTURING, rates=(0,) * 59 + (7,)), False, 120, f"● capturing   {COUNTS}   7/s"),
        (replace(CAPTURING, rates=(7,) + (0,) * 59), False, 120, f"● capturing   {COUNTS}   0/s"),
        *(
            (replace(CAPTURING, answering=answering), False, width, f"● capturing   {COUNTS}   ↩ {words}")
            for answering, width, words in [
                (ANSWERING, 117, "Scapy answers in 0.15 s"),
                (ANSWERING, 118, "Scapy responder (server), waits 0.15 s"),
                (ANSWERING, 196, "Scapy responder (server), waits 0.15 s for who listens only after sending"),
                (Answering("socket", "", 0), 120, "socket responder, waits 0.15 s"),
                (Answering("socket", "", 2), 120, "socket responder, 2 refused"),
                (Answering("socket", "", 2), 80, "socket answers in 0.15 s, 2 refused"),
            ]
        ),
    ],
)
def test_the_state_is_a_line(snapshot: Snapshot, paused: bool, width: int, line: str) -> None:
    assert describe_state(snapshot, 1000, paused, width) == line


async def test_it_shows_what_has_changed() -> None:
    bar = CaptureBar(NOTHING)
    async with staged(bar) as (pilot, _):
        await until_seen(pilot, " eth0  10.0.1.10 ▾")
        await until_seen(pilot, "○ starting   0 captured · 0 shown")
        there = FakeInterface("c0", "10.0.2.20/24")
        there.network, there.host = "sandbox", "server"
        trouble = "It is \x1b[31mgone."
        bar.show(replace(CAPTURING, interface=there, filter="icmp", trouble=trouble, rates=(5,) * 60), 7, False)
        await until_seen(pilot, " server c0  10.0.2.20  (sandbox) ▾")
        await until_seen(pilot, "● capturing   1,200 captured · 7 shown")
        await until_seen(pilot, r"✖ It is \x1b[31mgone.")
        assert bar.query_one("#filter", Input).value == "icmp"
        assert sum(bar.query_one(Sparkline).data or []) == 300
        bar.show(CAPTURING, 7, False)
        await until(pilot, lambda: not any("gone" in line for line in seen(pilot.app)))
        assert bar.query_one("#filter", Input).value == "" and not bar.query_one(Sparkline).data


async def test_a_filter_is_given_when_it_compiles() -> None:
    bar = CaptureBar(NOTHING)
    async with staged(bar) as (pilot, stage):
        bar.enter_filter()
        await pilot.press(*"icmpp", "enter")
        await until_seen(pilot, "✖ ")
        assert not stage.said(CaptureBar.FilterGiven)
        await pilot.press("backspace")
        await until_seen(pilot, "Enter applies it")
        await pilot.press("enter")
        await until(pilot, lambda: stage.said(CaptureBar.FilterGiven))
        assert [given.filter for given in stage.said(CaptureBar.FilterGiven)] == ["icmp"]


async def test_the_interface_is_asked_for() -> None:
    bar = CaptureBar(NOTHING)
    async with staged(bar) as (pilot, stage):
        await pilot.click("#interface")
        await until(pilot, lambda: stage.said(CaptureBar.InterfaceAsked))
