"""`ipl-tui doctor`: what works here and what does not, and the command that mends it."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from ipl_tui.commands.common import Command, echo, interface_option, read_address, select_interface
from ipl_tui.packets.text import printable

if TYPE_CHECKING:
    from ipl_tui.diagnosis.checks import Finding, Terminal

WIDEST = 120
"""Columns that text is wrapped at, at most."""

INDENT = 14
"""Columns before what was found: its mark and its title."""


@click.command(cls=Command)
@interface_option("loopback")
@click.option(
    "--dst",
    "destination",
    metavar="ADDRESS",
    callback=read_address,
    help="Say which way packets to this address take, and whether an answer may come back.",
)
@click.pass_context
def command(context: click.Context, name: str | None, destination: str) -> None:
    """Say what works here and what doesn't, and how to mend it. Sends nothing; ends with 1 if something fails."""
    from ipl_tui.diagnosis.checks import examine
    from ipl_tui.diagnosis.wireshark import tcpdump_line
    from ipl_tui.packets.messages import PROTOCOL

    with select_interface(name, destination, anyhow=True, stay=True) as place:
        interface = place.interface
        rules, terminal = context.find_object(str), find_terminal()
        findings = examine(interface, place.networks, destination or interface.destination, rules, terminal)
        line = interface.no_tcpdump or tcpdump_line(interface, f"ip proto {PROTOCOL}")
    echo(f"What works here, on {printable(interface.full_name)} (▲ is limited, ✖ fails)\n")
    for finding in findings:
        print_finding(finding)
    echo(f"\n  {'tcpdump':<11} {printable(line)}")
    context.exit(int(any(finding.verdict == "fails" for finding in findings)))


def print_finding(finding: Finding) -> None:
    """One line where all is well; what mends it is on a line of its own, never broken: it is for copying."""
    from shutil import get_terminal_size
    from textwrap import wrap

    from ipl_tui.diagnosis.checks import MARKS

    width = min(get_terminal_size().columns, WIDEST) - INDENT
    first, *more = wrap(printable(finding.text), max(width, 20), break_on_hyphens=False)
    mark, colour = MARKS[finding.verdict]
    echo(mark, fg=colour, bold=True, nl=False)
    echo(f" {finding.title:<11} {first}")
    for line in more:
        echo(f"{'':{INDENT}}{line}")
    if finding.remedy:
        echo(f"{'':{INDENT}}→ {printable(finding.remedy)}")


def find_terminal() -> Terminal | None:
    """The terminal that standard output or another of the three goes to."""
    from rich.console import Console

    from ipl_tui.diagnosis.checks import Terminal

    for descriptor in (1, 2, 0):
        with suppress(OSError):
            size = os.get_terminal_size(descriptor)
            return Terminal(size.columns, size.lines, Console(force_terminal=True).color_system)
    return None
