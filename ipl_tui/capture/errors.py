"""The error of capturing and of capture files."""


class CaptureError(Exception):
    """Capturing, or reading or writing a capture, went wrong. Its message is one sentence for the user."""
