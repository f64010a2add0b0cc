"""Common parts of the commands: the interface that they work on, and how they end."""

from __future__ import annotations

import io
import math
import os
import signal
import sys
import threading
from _thread import interrupt_main
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from types import FrameType
from typing import IO, TYPE_CHECKING, Any, NoReturn

import click

from ipl_tui.packets.text import printable

if TYPE_CHECKING:
    from ipl_tui.capture.store import Store
    from ipl_tui.networks.interface import Interface, Network

ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
"""The signals that end a command as Ctrl+C does."""

INTERRUPTED = 130
"""The exit status after Ctrl+C where something was left undone, as shells have it."""

STANDARD = "-"
"""Standard input or output, in place of a file's name."""


class Command(click.Command):
    """A command that says what went wrong in a sentence, and whose colours and signals are as people expect them."""

    def invoke(self, context: click.Context) -> Any:
        from ipl_tui.capture.errors import CaptureError
        from ipl_tui.networks.interface import LinkError, SendError, UnknownInterface

        if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
            context.color = False
        ready_output()
        hook, sys.unraisablehook = sys.unraisablehook, partial(interrupt_again, hear_interrupts())
        try:
            return super().invoke(context)
        except (CaptureError, SendError, UnknownInterface, LinkError) as error:
            raise click.ClickException(printable(str(error))) from error
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None
        finally:
            sys.unraisablehook = hook
            # Ctrl+C that leaves an exec() of a string, as dataclasses and Scapy do while they are loaded, is remembered
            # by Python, which then ends `python -m` by SIGINT whatever became of it. The next exec() forgets it.
            exec("")


class Shown(str):
    """Text that goes to the terminal as it is: what does not print is escaped in it, and its styles are ours."""


def shown(text: str, **look: Any) -> Shown:
    """Text of one or more lines with all else that does not print escaped, in a style of click's."""
    safe = "\n".join(printable(line) for line in text.split("\n"))
    return Shown(click.style(safe, **look) if look else safe)


def echo(text: str = "", *, err: bool = False, nl: bool = True, **look: Any) -> None:
    """Print text of one or more lines, in a style of click's: the one way in which a command prints words.

    Names of files and interfaces, and what others send, must not steer the terminal.
    """
    click.echo(text if isinstance(text, Shown) else shown(text, **look), err=err, nl=nl)


class EscapedError(click.ClickException):
    """An error of click's, which quotes what was typed, said with whatever does not print escaped."""

    def __init__(self, error: click.ClickException) -> None:
        # Final for type checkers since click 8.4. Left as it is, show() would take sequences out, not escape them.
        error.message = shown(error.message)  # type: ignore[misc]
        super().__init__(error.message)
        self.error = error
        self.exit_code = error.exit_code  # type: ignore[misc]

    def show(self, file: IO[Any] | None = None) -> None:
        said = io.StringIO()
        self.error.show(said)
        if file is None:
            echo(said.getvalue(), err=True, nl=False)
        else:
            file.write(shown(said.getvalue()))


@contextmanager
def escaped_errors() -> Iterator[None]:
    """Errors of click's that leave the block are escaped."""
    try:
        yield
    except EscapedError:
        raise
    except click.ClickException as error:
        raise EscapedError(error) from error


def ready_output() -> None:
    """Make the terminal's or a file's encoding escape what it has no character for: that stops nothing."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # replaced by something that is no file
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def hear_interrupts() -> list[str]:
    """Let the signals that end a command do so: their names, without those that it was started deaf to, as by nohup."""
    heard = []
    for name in ENDING:
        with suppress(AttributeError, ValueError):  # Windows has no SIGHUP; only the main thread may set them
            if signal.getsignal(getattr(signal, name)) != signal.SIG_IGN:
                signal.signal(getattr(signal, name), interrupt_once)
                heard.append(name)
    return heard


def interrupt_again(heard: list[str], lost: sys.UnraisableHookArgs) -> None:
    """Python drops what is raised while it cleans up, as after each import: a signal that came just then comes again,
    if it is one of these."""
    if lost.exc_type is not KeyboardInterrupt or not heard:
        sys.__unraisablehook__(lost)
        return
    for name in heard:
        signal.signal(getattr(signal, name), interrupt_once)
    threading.Timer(0.01, signal_main, [getattr(signal, heard[0])]).start()


def signal_main(number: signal.Signals) -> None:
    """Have the main thread get a signal, also where it waits for a lock."""
    main = threading.main_thread().ident
    if main is not None and hasattr(signal, "pthread_kill"):
        signal.pthread_kill(main, number)
    else:  # Windows
        interrupt_main(number)


def interrupt_once(number: int, frame: FrameType | None) -> NoReturn:
    """End the command in order. timeout(1) and impatient people signal twice: the second must not disturb the end."""
    for name in ENDING:
        with suppress(AttributeError):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    raise KeyboardInterrupt


def let_go_of_output() -> None:
    """Drop what standard output has not taken: at the end, Python would wait for it again, or complain."""
    if sys.stdout is None:  # closed from the start
        return
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


class FileName(click.Path):
    """The name of a file. The empty one is none, though systems take it for a folder, or for this one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not value:
            self.fail("the name of a file is needed, and it is empty.", param, ctx)
        return super().convert(value, param, ctx)


class Seconds(click.FloatRange):
    """A span of time. Not a number is in no range, which FloatRange does not see."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds = float(super().convert(value, param, ctx))
        if math.isnan(seconds):
            self.fail(f"{value!r} is no number of seconds.", param, ctx)
        return seconds


def where_it_is(store: Store) -> str:
    """Sentence about the file that was to be written to."""
    path = store.path.absolute()
    return f"The capture is in {path}" if store.begun else f"Nothing was written to {path}"


def read_address(context: click.Context, parameter: click.Parameter, value: str | None) -> str:
    """A callback for options that take a dotted quad; names are not looked up. Nothing given is nothing."""
    if not value:
        return ""
    try:
        return str(IPv4Address(value))
    except ValueError:
        raise click.BadParameter(f'"{value}" is no IPv4 address such as 10.0.1.10.', context, parameter) from None


@dataclass(frozen=True)
class SelectedInterface:
    """The interface a command works on, its network, and the others."""

    interface: Interface
    network: Network
    """The interface's."""
    networks: tuple[Network, ...]
    """All that there are."""


def interface_option(default: str) -> Callable[..., Any]:
    """The option -i; `default` says what is taken without it."""
    words = f"simulated:client, sandbox:router/r0, lo, any interface of this machine.  [default: {default}]"
    return click.option("-i", "--interface", "name", metavar="IFACE", help=words)


def make_networks(seed: int = 0) -> tuple[Network, ...]:
    """Every network there is, and the one place that names them all. The first, which is always there, is what the lab
    begins with. With the same seed, networks in memory lose the same packets."""
    from ipl_tui.networks.kernel import KernelNetwork
    from ipl_tui.networks.sandbox import SandboxNetwork
    from ipl_tui.networks.simulated import SimulatedNetwork

    return SimulatedNetwork(seed=seed), SandboxNetwork(), KernelNetwork()


@contextmanager
def select_interface(
    name: str | None, destination: str | None = None, anyhow: bool = False, stay: bool = False
) -> Iterator[SelectedInterface]:
    """The interface of a name; without one, that by which this machine reaches the destination, if one is given; else
    loopback. Loopback, too, for a destination of this machine's own, unless it is to stay at the one that is named.

    What its network keeps running ends with the block. Raises UnknownInterface, also where no route leads to the
    destination, unless any interface will do.
    """
    from ipl_tui.networks.interface import LOOPBACK, UnknownInterface, find_interface, network_of, way_out

    networks = make_networks()
    try:
        if name is not None:
            found: Interface | None = find_interface(name, networks)
        else:
            found = way_out(destination or LOOPBACK, networks) or (way_out(LOOPBACK, networks) if anyhow else None)
        if found is None:
            raise UnknownInterface(f"No route leads from this machine to {destination}: choose an interface with -i.")
        network = network_of(found, networks)
        way = network.way_to(destination, found) if destination and not stay else found
        if way is not found:
            asked = name or found.name
            echo(f"{destination} is this machine's own address: {way.name} takes it, not {asked}.", err=True)
        yield SelectedInterface(way, network, networks)
    finally:
        for network in networks:
            network.close()
