"""Firewall rules of this machine that may eat an IP protocol: those of nftables and iptables, only read."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple

from ipl_tui.packets.fields import PROTOCOLS

LONGEST_READING = 5.0
"""Seconds that a program that lists rules may take."""

NFTABLES, IPTABLES, LEGACY = ("nft", "-j", "list", "ruleset"), ("iptables-save",), ("iptables-legacy-save",)
"""Commands that list the rules. Today's iptables makes nftables' rules, and lists them better than nft; the older one's
rules are apart from those, in the kernel too."""

BY_NFTABLES = "(nf_tables)"
"""Name that today's gives itself."""

OLDER = "# iptables-legacy"
"""Stands before the older one's rules."""

IPV6 = ("ip6", "icmpv6")

HOOKS = {
    "prerouting": "arriving",
    "input": "arriving",
    "forward": "passing through",
    "output": "leaving",
    "postrouting": "leaving",
}
"""Kernel hooks of chains, and which packets pass each."""

HARMLESS_STATES = {"invalid", "related", "snat", "dnat"}
"""States of a connection that a request and its answer are not in: they are new, then established."""

Applies = Literal["no", "maybe", "yes"]
"""Answer to whether a rule applies to the packets asked about."""


@dataclass(frozen=True)
class BlockingChain:
    """A chain that drops or rejects packets."""

    text: str
    """Effect of the rule, in words."""
    remedy: str
    """The command that lets the packets pass it."""
    certain: bool
    """True if it drops every such packet that arrives or leaves; else only some, or only those passing through."""
    hook: str
    """Kernel hook of the chain."""


class _Rule(NamedTuple):
    applies: Applies
    verdict: str
    """accept, drop, reject, return, jump or goto."""
    target: str = ""
    """The chain that it jumps or goes to."""


class _Chain(NamedTuple):
    title: str
    hook: str
    """Kernel hook of the chain; empty for one that only others jump to."""
    policy: str
    remedy: str
    rules: list[_Rule]


_Chains = dict[tuple[str, str], _Chain]
"""By table and name."""


def read_rules() -> str | None:
    """This machine's rules, as nft or else iptables lists them; None where they can't be read. Takes seconds at most.

    The kernel tells them to root only.
    """
    nftables, iptables = _run(*NFTABLES), _run(*IPTABLES)
    if nftables is None and iptables is None:
        return None
    older = _run(*LEGACY) if not iptables or BY_NFTABLES in iptables else None
    return "\n".join([nftables or "", iptables or "", OLDER, older or ""])


def has_lister() -> bool:
    """True if there is a program that lists the rules."""
    return any(_find(program) for program, *_ in (NFTABLES, IPTABLES))


def _find(program: str) -> str | None:
    """The path of a program for administrators, whose folders ordinary users have not in their PATH."""
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH") or os.defpath, "/usr/sbin", "/sbin"]))


def _run(program: str, *arguments: str) -> str | None:
    """Output of a program; None if it is not there, takes too long, or fails."""
    if not (path := _find(program)):
        return None
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run([path, *arguments], capture_output=True, timeout=LONGEST_READING, check=False)
        if done.returncode == 0:
            return done.stdout.decode(errors="replace")  # a rule's comment may be any bytes
    return None


def eats(rules: str, proto: int, interface: str = "") -> list[BlockingChain]:
    """The chains that may drop or reject an IP protocol, on an interface of this machine (nothing: on any).

    What a rule asks and is not understood here may be so or not. Raises ValueError for what is no listing.
    """
    try:
        nftables, end = json.JSONDecoder().raw_decode(rules) if rules.startswith("{") else ({"nftables": []}, 0)
        iptables = _read_iptables(rules[end:], proto, interface)
        listed = {f"ip {table.removeprefix('iptables ')}" for table, _ in iptables if BY_NFTABLES in rules}
        return list(_find_eaters(_read_nft(nftables["nftables"], listed, proto, interface) | iptables, proto))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:  # the last: chains in a loop
        raise ValueError("the firewall's rules are written in a way that is not understood here") from error


def _find_eaters(chains: _Chains, proto: int) -> Iterator[BlockingChain]:
    @cache  # other chains may jump to one many times
    def fates(table: str, name: str) -> frozenset[str]:
        """Verdicts that packets in a chain may get: accept, drop, reject, or return if they come out of it."""
        found: set[str] = set()
        # What is no chain, such as LOG, lets packets pass.
        for applies, verdict, target in chains[table, name].rules if (table, name) in chains else ():
            if applies == "no":
                continue
            then = fates(table, target) if verdict in ("jump", "goto") else {verdict}
            goes_on = verdict == "jump" and "return" in then
            found |= then - {"return"} if goes_on else then
            if applies == "yes" and not goes_on:
                return frozenset(found)
        return frozenset(found | {"return"})

    for place, chain in chains.items():
        if chain.hook not in HOOKS:
            continue
        ends = {chain.policy or "accept" if fate == "return" else fate for fate in fates(*place)}
        if eaten := ends & {"drop", "reject"}:
            certain = ends == eaten and chain.hook != "forward"
            does = f"{max(eaten)}s" if certain else f"may {max(eaten)}"
            text = f"{chain.title} {does} IP protocol {proto} {HOOKS[chain.hook]}"
            yield BlockingChain(text, chain.remedy, certain, chain.hook)


def _read_nft(entries: list[dict[str, Any]], listed: set[str], proto: int, interface: str) -> _Chains:
    """The chains in what `nft -j list ruleset` prints (libnftables-json(5)), but for the tables that iptables lists."""
    chains: _Chains = {}
    for entry in entries:
        (kind, each), *_ = entry.items()
        if kind not in ("chain", "rule") or each["family"] not in ("ip", "inet"):
            continue
        table = f"{each['family']} {each['table']}"
        if table in listed:
            continue
        if kind == "chain":
            place = f"{table} {each['name']}"
            remedy = f"sudo nft insert rule {place} ip protocol {proto} accept"
            hook, policy = each.get("hook", ""), each.get("policy", "")
            chains[table, each["name"]] = _Chain(f"nft chain {place}", hook, policy, remedy, [])
        else:
            chain = chains[table, each["chain"]]
            chain.rules.extend(_read_nft_rule(each["expr"], chain.hook, proto, interface))
    return chains


def _read_nft_rule(statements: list[dict[str, Any]], hook: str, proto: int, interface: str) -> Iterator[_Rule]:
    applies: Applies = "yes"
    for statement in statements:
        (kind, value), *_ = statement.items()
        if kind == "match":
            applies = _both(applies, _nft_match(value, hook, proto, interface))
        elif kind == "xt":  # an extension of iptables
            if value.get("type") == "match":
                applies = _both(applies, "maybe")
            elif value.get("name") == "REJECT":
                yield _Rule(applies, "reject")
        elif kind == "limit":
            applies = _both(applies, "maybe")
        elif kind == "vmap":
            elements = value["data"].get("set", []) if isinstance(value["data"], dict) else []
            for element, verdict in elements:
                match = {"op": "==", "left": value["key"], "right": element}
                (name, target), *_ = verdict.items()
                yield _Rule(
                    _both(applies, _nft_match(match, hook, proto, interface)), name, (target or {}).get("target", "")
                )
        elif kind in ("accept", "drop", "reject", "return", "jump", "goto"):
            target = value["target"] if kind in ("jump", "goto") else ""
            yield _Rule(applies, kind, target)


def _nft_match(match: dict[str, Any], hook: str, proto: int, interface: str) -> Applies:
    left, right = match["left"], match["right"]
    if not isinstance(left, dict):
        return "maybe"
    (kind, key), *_ = left.items()
    asked = (kind, key.get("protocol"), key.get("field") or key.get("key")) if isinstance(key, dict) else (kind,)
    values = right["set"] if isinstance(right, dict) and "set" in right else right
    values = values if isinstance(values, list) else [values]
    equal = match["op"] != "!="
    match asked:
        case ("payload", "ip", "protocol") | ("meta", None, "l4proto"):
            return _is_one_of(proto, values, equal)
        case ("meta", None, "iif" | "iifname") if hook == "input" and interface:
            return _is_interface(interface, values, equal)
        case ("meta", None, "oif" | "oifname") if hook == "output" and interface:
            return _is_interface(interface, values, equal)
        case ("meta", None, "nfproto"):
            return "yes" if ("ipv4" in values) == equal else "no"
        case ("payload", str() as protocol, _) if protocol in IPV6 or _number(protocol) not in (-1, proto):
            return "no"  # a field of a header that these packets do not have
        case ("ct", None, "state") if equal and set(map(str, values)) <= HARMLESS_STATES:
            return "no"
    return "maybe"


def _is_one_of(proto: int, values: Iterable[object], equal: bool) -> Applies:
    """Tell whether a protocol is among those that a rule names: numbers, keywords, ranges."""
    for value in values:
        match value:
            case {"range": [first, last]}:
                found = _number(first) <= proto <= _number(last)
            case int() | str() if _number(value) >= 0:
                found = _number(value) == proto
            case _:
                return "maybe"
        if found:
            return "yes" if equal else "no"
    return "no" if equal else "yes"


def _is_interface(interface: str, values: Iterable[object], equal: bool) -> Applies:
    """Tell whether an interface is among those that a rule names; "eth*", or "eth+" for iptables, is a beginning."""
    for value in values:
        if not isinstance(value, str) or value.startswith("@"):
            return "maybe"
        if value == interface or (value[-1:] in ("*", "+") and interface.startswith(value[:-1])):
            return "yes" if equal else "no"
    return "no" if equal else "yes"


def _number(protocol: object) -> int:
    """The number of a protocol as rules write it; -1 for one that is not known."""
    if isinstance(protocol, int):
        return protocol
    keywords = {keyword.lower(): number for keyword, number in PROTOCOLS.items()}
    text = str(protocol).lower()
    return int(text) if text.isdecimal() else keywords.get(text, -1)


def _both(one: Applies, other: Applies) -> Applies:
    return "no" if "no" in (one, other) else "maybe" if "maybe" in (one, other) else "yes"


def _read_iptables(text: str, proto: int, interface: str) -> _Chains:
    """The chains in what iptables-save(8) prints."""
    chains: _Chains = {}
    program, table = "iptables", ""
    for line in text.split("\n"):  # a rule's comment may have other ends of lines
        if line == OLDER:
            program = OLDER.removeprefix("# ")
        elif line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith(":"):
            name, policy, *_ = line[1:].split()
            hook = name.lower() if name.isupper() else ""
            option = "" if table == "filter" else f"-t {table} "
            remedy = f"sudo {program} {option}-I {name} -p {proto} -j ACCEPT"
            title = f"{program} chain {table} {name}"
            chains[f"{program} {table}", name] = _Chain(title, hook, policy.lower(), remedy, [])
        elif line.startswith("-A "):
            words = shlex.split(line)
            if rule := _read_iptables_rule(words[2:], proto, interface):
                chains[f"{program} {table}", words[1]].rules.append(rule)
    return chains


def _read_iptables_rule(words: list[str], proto: int, interface: str) -> _Rule | None:
    """Rule made of the words behind the chain's name; None for one that decides nothing, such as LOG."""
    applies: Applies = "yes"
    equal = True
    for word, value in zip(words, [*words[1:], ""], strict=True):
        match word:
            case "-j" | "-g":
                if value in ("ACCEPT", "DROP", "REJECT", "RETURN"):
                    return _Rule(applies, value.lower())
                # What is no chain, such as LOG, is found nowhere and lets packets pass.
                return _Rule(applies, "goto" if word == "-g" else "jump", value)
            case "-p":
                applies = _both(applies, _is_one_of(proto, [value], equal))
            case "-i" | "-o" if interface:
                applies = _both(applies, _is_interface(interface, [value], equal))
            case "--ctstate" | "--state" if equal and {state.lower() for state in value.split(",")} <= HARMLESS_STATES:
                applies = "no"
            case _ if word.startswith("-") and word not in ("-m", "--comment"):
                applies = _both(applies, "maybe")
        equal = word != "!"
    return None
