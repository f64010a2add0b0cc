"""The error of capturing and of capture files, and what gives the permission to capture and send."""

import os
import sys


class CaptureError(Exception):
    """Capturing, or reading or writing a capture, went wrong. Its message is one sentence for the user."""


def permission_remedy() -> str:
    """What a user without the permission for raw sockets can do, to end a sentence with."""
    if sys.platform != "linux":
        return "run with sudo"
    python = os.path.realpath(sys.executable)  # setcap follows no links
    return f"run with sudo, or give Python the capability: sudo setcap cap_net_raw+ep {python}"
