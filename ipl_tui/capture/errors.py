"""The error of capturing and of capture files, and what gives the permission to capture and send."""

import os
import sys


class CaptureError(Exception):
    """Capturing, or reading or writing a capture, went wrong. Its message is one sentence for the user."""


def permission_remedy() -> str:
    """Advice for a user without the permission for raw sockets, the end of a sentence. To capture on a Mac takes less:
    see capture_remedy()."""
    if sys.platform != "linux":
        return "run with sudo"
    python = os.path.realpath(sys.executable)  # setcap follows no links
    return f"run with sudo, or give Python the capability: sudo setcap cap_net_raw+ep {python}"


def capture_remedy() -> str:
    """The same for a user who may not capture."""
    if sys.platform == "darwin":
        return "run with sudo, or let your user read /dev/bpf* (Wireshark's ChmodBPF does that)"
    return permission_remedy()
