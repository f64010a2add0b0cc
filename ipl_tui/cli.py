"""The command line: runs the lab, and says at the end what was captured; or one of the commands without a screen."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ipl_tui.commands.common import (
    STANDARD,
    FileName,
    echo,
    escaped_errors,
    let_go_of_output,
    make_networks,
    ready_output,
    where_it_is,
)
from ipl_tui.exchange.engines import RAW_ENGINES
from ipl_tui.limits import too_few_files
from ipl_tui.packets.text import counted, printable
from ipl_tui.privileges import PrivilegesError, give_up_root

if TYPE_CHECKING:
    from ipl_tui.capture.files import Pipe
    from ipl_tui.networks.interface import Interface, Network

COMMANDS: tuple[str, ...] = ("server", "client", "sniff", "send", "explain", "doctor")


class Commands(click.Group):
    """The commands without a screen, each loaded when it is named."""

    def main(self, *arguments: Any, **settings: Any) -> Any:
        """As click's, which knows only one way in which standard output fails: that nobody reads it any more."""
        ready_output()
        try:
            return super().main(*arguments, **settings)
        except OSError as error:
            *_, (last, _) = walk_tb(error.__traceback__)
            if last.f_code is not click.echo.__code__:
                raise
            from ipl_tui.capture.writers import cannot_write

            let_go_of_output()
            echo(f"Error: {cannot_write('standard output', error)}", err=True)
            sys.exit(1)

    def make_context(self, *arguments: Any, **settings: Any) -> click.Context:
        with escaped_errors():
            return super().make_context(*arguments, **settings)

    def invoke(self, context: click.Context) -> Any:
        with escaped_errors():
            return super().invoke(context)

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"ipl_tui.commands.{name}").command
        return command

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, which does this before the function below gives up root: the kernel tells the firewall's rules,
        which the doctor examines, to root only."""
        name, command, rest = super().resolve_command(context, arguments)
        helps = context.resilient_parsing or not set(context.help_option_names).isdisjoint(rest)  # completes, explains
        if name == "doctor" and not helps:
            from ipl_tui.diagnosis.firewall import read_rules

            context.obj = read_rules()
        return name, command, rest


@click.group(
    cls=Commands,
    invoke_without_command=True,
    subcommand_metavar="[COMMAND]",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "-i",
    "--interface",
    "name",
    metavar="IFACE",
    help="Capture on and send from IFACE: simulated:client, sandbox:router/r0, lo, any interface of this machine.  "
    "[default: the one chosen last, at first simulated:client]",
)
@click.option("--path", is_flag=True, help="Capture on every interface of that network at once, and join the hops.")
@click.option("-f", "--filter", metavar="FILTER", default="", help="Capture only what passes a BPF filter.")
@click.option(
    "-r",
    "--read",
    type=FileName(),
    metavar="FILE",
    help="Show a pcap or pcapng file; - is standard input.",
)
@click.option(
    "-w",
    "--write",
    type=FileName(),
    metavar="FILE",
    help="Write the capture there as it grows (pcapng).",
)
@click.option(
    "--responder/--no-responder",
    default=None,
    help="Answer ClientMessage with ServerResponse, or not, from the start.  "
    "[default: simulated and sandbox answer, this machine does not]",
)
@click.option(
    "--link",
    "links",
    multiple=True,
    metavar="LINK",
    help="Set a link of the simulated network, such as r1-s0:mtu=300,latency=50ms,loss=20%, or a sandbox link's mtu.",
)
@click.option("--seed", default=0, show_default=True, help="The same seed loses the same packets.")
@click.option(
    "--engine",
    type=click.Choice(RAW_ENGINES),
    default=RAW_ENGINES[0],
    show_default=True,
    help="What ClientMessage is answered with.",
)
@click.option("-D", "--list-interfaces", is_flag=True, help="List the interfaces and what each can do, and leave.")
@click.version_option(package_name="ipl-tui", prog_name="ipl-tui")
@click.pass_context
def main(
    context: click.Context,
    name: str | None,
    path: bool,
    filter: str,
    read: str | None,
    write: str | None,
    responder: bool | None,
    links: tuple[str, ...],
    seed: int,
    engine: str,
    list_interfaces: bool,
) -> None:
    """An Internet Protocol lab in the terminal: compose IPv4 packets, send them, watch them arrive, read every bit."""
    try:
        give_up_root()
    except PrivilegesError as error:
        raise click.ClickException(printable(str(error))) from error
    if problem := too_few_files():
        raise click.ClickException(problem)
    if context.invoked_subcommand is not None:
        refuse_options_before(context)
        return
    # What starting makes stays; looking for garbage in it costs a tenth of the start. The lab turns this on again.
    gc.disable()
    # Threads that capture, answer and send take turns with the one that draws: the usual 5 ms a turn are felt.
    sys.setswitchinterval(0.001)
    from ipl_tui.capture.errors import CaptureError
    from ipl_tui.capture.files import refuse_to_read
    from ipl_tui.capture.store import Store
    from ipl_tui.networks.interface import LinkError, UnknownInterface, find_interface, network_of
    from ipl_tui.networks.links import read_link
    from ipl_tui.settings import remember

    networks = make_networks(seed)
    if list_interfaces:
        print_interfaces(networks)
        return
    try:
        interface = find_interface(name, networks) if name is not None else first_interface(networks, path or links)
        network = network_of(interface, networks)
        for text in links:
            network.set_link(read_link(text, network.links()))
        if path and not network.path():
            raise UnknownInterface(f"--path needs a network whose interfaces form a path; {network.name} has none.")
        if write == STANDARD:
            raise CaptureError("The lab's screen is on standard output: ipl-tui sniff -w - writes a capture there.")
        target = Path(write) if write is not None else None
        source: Path | Pipe | None = None
        if read is not None:
            source = capture_on_standard_input() if read == STANDARD else Path(read)
            refuse_to_read(source, target)
    except (UnknownInterface, LinkError, CaptureError) as error:
        raise click.ClickException(printable(str(error))) from error

    from ipl_tui.app import PacketLab  # loads Textual, which -D, --help and the errors above do without
    from ipl_tui.session.capturing import filter_problem
    from ipl_tui.session.options import LabOptions

    if problem := filter_problem(filter, interface):
        raise click.ClickException(f"The filter does not compile: {problem}")
    try:
        store = Store(target)
    except CaptureError as error:
        raise click.ClickException(str(error)) from error
    with store:  # a file that is there is as it was until the capture begins
        if not sys.stdin.isatty():
            raise click.ClickException(
                "The lab needs a terminal to read keys from; server, client, sniff, send and doctor do without."
            )
        if not can_draw():
            raise click.ClickException("The lab needs a terminal to draw on: standard output and error go elsewhere.")
        lab = PacketLab(
            store,
            networks,
            LabOptions(interface, filter, source, responder, path, partial(remember, "interface"), engine),
        )
        try:
            lab.run()
        finally:
            unsaved = None if lab.left_by_choice else lab.unsaved_capture()
            echo(f"{counted(store.before + len(store), 'packet')} {'read' if lab.only_read else 'captured'}", err=True)
            echo(f"{counted(lab.dropped, 'packet')} dropped by kernel", err=True)
            if target is not None:
                echo(where_it_is(store), err=True)
            if unsaved is not None:
                echo(f"The capture was not saved; it is in {unsaved}", err=True)
        if lab.return_code != 0:  # none where Textual's input has ended it
            context.exit(lab.return_code or 1)


def refuse_options_before(context: click.Context) -> None:
    """Options of the lab before the name of a command would be lost without a word."""
    for name in context.params:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"Options of {context.invoked_subcommand} stand after its name.")


def capture_on_standard_input() -> Pipe:
    """The capture that is piped in; in its place the terminal gets to be standard input, for keys. Raises
    CaptureError."""
    from ipl_tui.capture.errors import CaptureError
    from ipl_tui.capture.files import Pipe

    if os.isatty(0):
        raise CaptureError("No capture is piped into standard input: -r - is for tcpdump -U -w - | ipl-tui -r -.")
    try:
        pipe = Pipe(os.dup(0))
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError as error:
        raise CaptureError("The lab needs a terminal to read keys from; ipl-tui sniff -r - does without.") from error
    os.dup2(terminal, 0)
    os.close(terminal)
    return pipe


def can_draw() -> bool:
    """True if the screen of the lab goes to a terminal."""
    if sys.platform == "win32":
        return True
    from ipl_tui.driver import terminal_to_draw_on

    return terminal_to_draw_on() is not None


def first_interface(networks: Sequence[Network], on_path: object = False) -> Interface:
    """The interface chosen last, if it is still there, and its network has a path where one is needed; else the first
    network's first, which is always there."""
    from ipl_tui.networks.interface import UnknownInterface, find_interface, network_of
    from ipl_tui.settings import remembered

    with suppress(UnknownInterface):
        if name := remembered("interface"):
            interface = find_interface(name, networks)
            if not on_path or network_of(interface, networks).path():
                return interface
    return networks[0].interfaces()[0]


def print_interfaces(networks: Sequence[Network]) -> None:
    """Every interface, by network: name, state, addresses, link type, and what it can't do, and why."""
    for network in networks:
        echo(f"{network.name}: {network.purpose}")
        for interface in network.interfaces():
            can = [what for what, ability in interface.abilities().items() if ability.possible]
            able = f"can {' and '.join(can)}" if can else "can't capture or send"
            echo(f"  {interface.full_name}  {interface.state}  {interface.properties}  {able}")
            for reason in interface.obstacles():
                echo(f"      {reason}")
