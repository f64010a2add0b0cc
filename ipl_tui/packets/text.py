"""Text that is shown: what comes from the wire must not steer the terminal, and one of a thing is no plural."""


def printable(text: str) -> str:
    r"""`text` with all that does not print escaped as in Python: `\n`, `\x1b`, `\u202e`; and as `\xff` a byte of a name
    that is not UTF-8, which os.fsdecode() made a lone surrogate.

    The result is one line. Backslashes stay single: this is for reading, not for reading back.
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def counted(number: int, thing: str) -> str:
    """A number of things: "1 packet", "1,234 packets"."""
    return f"{number:,} {thing}{'s' * (number != 1)}"


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
