"""Setting links: what may be set, and how it is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ipl_tui.networks.interface import LinkError
from ipl_tui.networks.topology import LARGEST_MTU, SMALLEST_MTU, Link

LONGEST_LATENCY = 60.0
"""Seconds."""


def check_link(link: Link, links: Sequence[Link]) -> None:
    """Raises LinkError with a sentence unless `link` has the ends of one of `links` and values that it can have."""
    now = next((each for each in links if each.ends == link.ends), None)
    if now is None:
        names = " and ".join(each.name for each in links)
        raise LinkError(f'There is no link "{link.name}"; there are {names}.')
    if not SMALLEST_MTU <= link.mtu <= LARGEST_MTU:
        raise LinkError(f"The MTU is {SMALLEST_MTU} to {LARGEST_MTU:,} bytes.")
    if link.latency is not None and (now.latency is None or not 0 <= link.latency <= LONGEST_LATENCY):
        raise LinkError(_range("latency", now.latency, f"0 to {LONGEST_LATENCY * 1000:,.0f} ms"))
    if link.loss is not None and (now.loss is None or not 0 <= link.loss <= 1):
        raise LinkError(_range("loss", now.loss, "0 to 100 %"))


def _range(what: str, now: float | None, values: str) -> str:
    return f"The {what} can't be set here, only the MTU." if now is None else f"The {what} is {values}."


def read_link(text: str, links: Sequence[Link]) -> Link:
    """A link as the command line sets it: "r1-s0:mtu=300,latency=50ms,loss=20%", what is not named staying as it is.

    Raises LinkError with a sentence.
    """
    name, _, settings = text.partition(":")
    link = next((each for each in links if each.name == name.strip()), None)
    if not links:
        raise LinkError("This machine's own links can't be set: choose a simulated or sandbox interface with -i.")
    if link is None:
        names = " and ".join(each.name for each in links)
        raise LinkError(f'There is no link "{name}"; there are {names}.')
    for setting in settings.split(","):
        what, _, value = (part.strip() for part in setting.partition("="))
        link = set_value(link, what, value)
    check_link(link, links)
    return link


def set_value(link: Link, what: str, text: str) -> Link:
    """A link with one value as typed: "mtu" in bytes, "latency" in ms, "loss" in %. Raises LinkError."""
    match what:
        case "mtu":
            return replace(link, mtu=int(_number(text, what, "", whole=True)))
        case "latency":
            return replace(link, latency=_number(text, what, "ms") / 1000)
        case "loss":
            return replace(link, loss=_number(text, what, "%") / 100)
    raise LinkError(f'A link has mtu, latency and loss, and no "{what}": r1-s0:mtu=300,latency=50ms,loss=20%.')


def _number(text: str, what: str, unit: str, whole: bool = False) -> float:
    digits = text.removesuffix(unit).strip()
    if not re.fullmatch(r"\d{1,9}" if whole else r"\d{1,9}(\.\d{1,9})?", digits, re.ASCII):
        kind = "whole number" if whole else "number"
        raise LinkError(f'The {what} needs a {kind}{f" of {unit}" if unit else ""}; "{text}" is none.')
    return float(digits)


def describe_link(link: Link) -> str:
    """A link's settings in words."""
    latency = f", {link.latency * 1000:g} ms" if link.latency else ""
    loss = f", loses {link.loss:.0%}" if link.loss else ""
    return f"{link.name}: MTU {link.mtu}{latency}{loss}"
