"""Text that is safe to show: what comes from the wire must not steer the terminal."""


def printable(text: str) -> str:
    r"""`text` with all that does not print escaped as in Python: `\n`, `\x1b`, `\u202e`, lone surrogates.

    The result is one line. Backslashes stay single: this is for reading, not for reading back.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )
