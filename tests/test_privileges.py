"""The app as sudo starts it: by root, with SUDO_UID saying who called: a made-up student with a home of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import ipl_tui
from ipl_tui.privileges import give_up_root
from ipl_tui.settings import remembered
from tests.test_end_to_end import F2, F5, Terminal

pytestmark = pytest.mark.anywhere

STUDENT, LAB, CLASS = 54321, 54322, 54323
"""A user, its group, and another that it is in."""

F8, DOWN = "\x1b[19~", "\x1b[B"

PLACES = {
    "python": sys.base_prefix,
    "packages": sysconfig.get_path("purelib"),
}
"""What Python loads from. All may lie where only root can go, so each is mounted on VIEW/NAME/here."""

APP = Path(ipl_tui.__file__).parent
"""Nor may others be able to read it itself: a copy is in VIEW/app/here."""

START = """
mount -t tmpfs -o mode=755 tmpfs "$VIEW"
while [ "$1" != -- ]; do
    mkdir -p "$VIEW/${1%%=*}/here"
    mount --bind "${1#*=}" "$VIEW/${1%%=*}/here"
    shift
done
shift
mkdir -p "$VIEW/app/here"
cp -a "$APP" "$VIEW/app/here"
chmod -R go=u,go-w "$VIEW/app/here"
mount --bind "$VIEW.passwd" /etc/passwd
mount --bind "$VIEW.group" /etc/group
[ -z "$CLOSED" ] || chmod 700 "$VIEW/$CLOSED"
exec "$@"
"""


class Student:
    """The user, as which programs are started in a view of the files of their own that ends with them."""

    def __init__(self, folder: Path) -> None:
        self.home, self.view = folder / "home", folder / "view"
        self.home.mkdir()
        self.view.mkdir()
        os.chown(self.home, STUDENT, LAB)
        passwd, group = Path("/etc/passwd").read_text(), Path("/etc/group").read_text()
        (folder / "view.passwd").write_text(f"{passwd}student:x:{STUDENT}:{LAB}::{self.home}:/bin/sh\n")
        (folder / "view.group").write_text(f"{group}lab:x:{LAB}:\nclass:x:{CLASS}:student\n")
        self.command = (
            *("unshare", "--mount", "sh", "-ec", START, "sh"),
            *(f"{name}={path}" for name, path in PLACES.items()),
            *("--", f"{self.view}/python/here/bin/python{sys.version_info.major}.{sys.version_info.minor}"),
        )
        self.environment = {
            "VIEW": str(self.view),
            "APP": str(APP),
            "CLOSED": "",
            "HOME": "/root",
            "USER": "root",
            "LOGNAME": "root",
            "XDG_STATE_HOME": os.path.expanduser("~root/state"),
            "SUDO_UID": str(STUDENT),
            "SUDO_GID": str(LAB),
            "SUDO_USER": "student",
            "PYTHONPATH": f"{self.view}/app/here:{self.view}/packages/here",
            "LD_LIBRARY_PATH": f"{self.view}/python/here/lib",
        }

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run Python."""
        return subprocess.run(
            [*self.command, *arguments],
            env={**os.environ, **self.environment, **environment},
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=30,
        )


@pytest.fixture
def student(needs_root: None) -> Iterator[Student]:
    if sys.platform != "linux":
        pytest.skip("needs Linux")
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is for root alone
        os.chmod(folder, 0o755)
        yield Student(Path(folder))


def rights(status: str) -> dict[str, str]:
    """Of a /proc/PID/status: who it is, and what it may do."""
    lines = dict(line.split(":", 1) for line in status.splitlines())
    names = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapAmb")
    return {name: " ".join(lines[name].split()) for name in names}


STUDENTS = {
    "Uid": " ".join([str(STUDENT)] * 4),
    "Gid": " ".join([str(LAB)] * 4),
    "Groups": f"{LAB} {CLASS}",
    "CapInh": f"{0:016x}",
    "CapPrm": f"{1 << 13:016x}",
    "CapEff": f"{1 << 13:016x}",
    "CapAmb": f"{0:016x}",
}
"""The student, with CAP_NET_RAW."""


def test_under_sudo_the_right_to_raw_sockets_is_all_that_is_kept(student: Student) -> None:
    program = """
import os, socket, subprocess
from ipl_tui.privileges import current, give_up_root
give_up_root()
print(open("/proc/self/status").read(), end="---")
print(subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True).stdout, end="---")
print(current(), os.environ["HOME"], os.environ["USER"], os.environ["LOGNAME"], "XDG_STATE_HOME" in os.environ)
print(current().uid, sorted(current().capabilities), current().kept_from_sudo)
socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
try:
    os.setuid(0)
except PermissionError:
    print("never root again")
"""
    done = student.run("-c", program)
    assert done.stderr == ""
    ours, started, told = done.stdout.split("---")
    assert rights(ours) == STUDENTS
    assert rights(started) == STUDENTS | {"CapPrm": f"{0:016x}", "CapEff": f"{0:016x}"}
    assert told.splitlines() == [
        f"student, with CAP_NET_RAW kept from sudo {student.home} student student False",
        f"{STUDENT} ['CAP_NET_RAW'] True",
        "never root again",
    ]


def test_a_user_whom_no_file_names_has_no_home_and_one_group(student: Student) -> None:
    program = (
        "import ipl_tui.privileges as p, os; p.give_up_root(); print(p.current(), os.environ['HOME'], os.getgroups())"
    )
    done = student.run("-c", program, SUDO_UID="54399")
    assert (done.stdout, done.stderr) == (f"54399, with CAP_NET_RAW kept from sudo / [{LAB}]\n", "")


def test_where_root_has_no_raw_sockets_nothing_is_kept(student: Student) -> None:
    """As in a container started without that capability."""
    drop = (
        "import ctypes, struct; "
        "ctypes.CDLL(None).capset(struct.pack('=Ii', 0x20080522, 0), struct.pack('=6I', 0xc0, 0xc0, 0, 0, 0, 0)); "
    )
    done = student.run("-c", f"{drop}import ipl_tui.privileges as p; p.give_up_root(); print(p.current())")
    assert (done.stdout, done.stderr) == ("student, with no capability kept from sudo\n", "")


def test_the_lab_captures_sends_and_saves_as_the_student(
    student: Student, own_loopback: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in student.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(student.home)
    live, saved = student.home / "live.pcapng", student.home / "saved.pcap"
    options = ("-i", "lo", "-f", "ip proto 253", "--responder", "-w", str(live))
    terminal = Terminal(*options, command=(*student.command, "-m", "ipl_tui"))
    terminal.wait_for("capturing")
    terminal.type(F5)
    terminal.wait_for("answers 1")
    threads = list(Path(f"/proc/{terminal.process.pid}/task").iterdir())
    assert len(threads) > 2
    assert [rights((thread / "status").read_text()) for thread in threads] == [STUDENTS] * len(threads)
    terminal.type(F8)
    terminal.wait_for("Save 2 packets as")
    terminal.type("~/saved.pcap\r")
    terminal.wait_for("Saved 2 packets")
    terminal.type(F2)
    terminal.wait_for("Enter chooses")
    terminal.type("\x1b[H\r")
    terminal.wait_for("client c0  10.0.1.10  (simulated)")
    terminal.type("q")
    terminal.wait_for("0 packets dropped by kernel")
    assert terminal.close() == 0
    state = student.home / ".local" / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    assert remembered("interface").startswith("simulated:")
    files = [path for path in student.home.rglob("*") if path.is_file()]
    assert {live, saved} < set(files)
    assert {(path.stat().st_uid, path.stat().st_gid) for path in student.home.rglob("*")} == {(STUDENT, LAB)}


def test_what_root_compiled_before_is_the_students_too(student: Student) -> None:
    own = student.home / "app"
    shutil.copytree(Path(ipl_tui.__file__).parent, own / "ipl_tui", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (own, *own.rglob("*")):
        os.chown(path, STUDENT, LAB)
    done = student.run(
        "-m", "ipl_tui", "-D", PYTHONPATH=f"{own}:{student.view}/packages/here", PYTHONDONTWRITEBYTECODE=""
    )
    assert (done.returncode, done.stderr) == (0, "")
    compiled = {path.name.split(".")[0] for path in own.rglob("*.pyc")}
    assert {"cli", "privileges", "interface"} <= compiled
    assert {path.stat().st_uid for path in own.rglob("*")} == {STUDENT}


@pytest.mark.parametrize(
    ("closed", "path"), [("python", "bin/python"), ("packages", "scapy/__init__.py"), ("app", "ipl_tui/app.py")]
)
def test_what_only_root_can_read_is_said_with_what_to_do(closed: str, path: str, student: Student) -> None:
    done = student.run("-m", "ipl_tui", "-D", CLOSED=closed)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: student can't read {student.view}/{closed}/here/{path}")
    assert done.stderr.endswith(": install ipl-tui as student, and start that with sudo.\n")
    assert done.stdout == ""


def test_an_environment_made_by_root_is_to_be_made_again(student: Student) -> None:
    project = student.home / "ipl tui"
    environment = project / ".venv"
    (environment / "bin").mkdir(parents=True)
    (project / "pyproject.toml").touch()
    (environment / "pyvenv.cfg").write_text(f"home = {student.view}/python/here/bin\n")
    *start, python = student.command
    (environment / "bin" / "python").symlink_to(python)
    student.command = (*start, str(environment / "bin" / "python"))
    done = student.run("-m", "ipl_tui", "-D", CLOSED="python")
    assert done.stderr.startswith(f"Error: student can't read {python}, which sudo made the app from: ")
    remedy = f"sudo rm -r '{environment}' && python3 -m uv sync && sudo '{environment}/bin/ipl-tui'"
    assert done.stderr.endswith(f"in {project}, as student, run {remedy}\n")


@pytest.mark.parametrize("garbage", ["student", "", "-1", "-54321", "4294967295", "99999999999", "9" * 5000, "٣", "1 "])
@pytest.mark.parametrize("name", ["SUDO_UID", "SUDO_GID"])
def test_a_number_that_sudo_never_says_starts_nothing(name: str, garbage: str, student: Student) -> None:
    program = (
        "import ipl_tui.privileges as p\ntry: p.give_up_root()\nexcept p.PrivilegesError as error: print(error)\n"
        "print(p.current())"
    )
    done = student.run("-c", program, **{name: garbage})
    assert done.stderr == ""
    assert done.stdout == f"{name} is {garbage!a}, which sudo never says: to stay root, unset SUDO_UID.\nroot\n"


def test_nothing_is_started_when_root_cannot_be_given_up(student: Student) -> None:
    done = student.run("-m", "ipl_tui", "-D", SUDO_UID="who")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: SUDO_UID is 'who', which sudo never says: to stay root, unset SUDO_UID.\n"


def test_root_itself_stays_root(student: Student) -> None:
    program = "import ipl_tui.privileges as p; p.give_up_root(); print(p.current(), p.current().kept_from_sudo)"
    assert student.run("-c", program, SUDO_UID="0", SUDO_GID="0").stdout == "root False\n"
    del student.environment["SUDO_UID"]
    assert student.run("-c", program).stdout == "root False\n"


@pytest.mark.parametrize(("platform", "user"), [("linux", 1000), ("darwin", 0)])
def test_others_are_left_as_they_are(platform: str, user: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(os, "geteuid", lambda: user, raising=False)
    monkeypatch.setenv("SUDO_UID", "no number: whoever reads it raises")
    give_up_root()
