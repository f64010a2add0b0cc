"""Text that is shown: what comes from the wire must not steer the terminal, and one of a thing is no plural."""

from unicodedata import bidirectional, category, east_asian_width

RIGHT_TO_LEFT = {"R", "AL", "AN"}
"""Bidirectional classes of Unicode that a terminal may draw elsewhere than where they stand."""

WIDE = {"W", "F"}
"""East Asian widths of two columns."""

JOINING = (("\u1160", "\u11ff"), ("\ud7b0", "\ud7ff"), ("\uffa0", "\uffa0"))
"""Vowels and last consonants of Hangul, which are drawn into the letter before them, and a filler."""

PICTURES = "\u2600"
"""First of the symbols and numerals that a terminal may draw as a picture, of two columns."""


def printable(text: str) -> str:
    r"""`text` with all that does not print escaped as in Python: `\n`, `\x1b`, `\u202e`; and as `\xff` a byte of a name
    that is not UTF-8, which os.fsdecode() made a lone surrogate.

    The result is one line. Backslashes stay single: this is for reading, not for reading back.
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def in_columns(text: str) -> str:
    r"""`text` as printable() has it, and escaped as well what is not one plain column wide: combining marks, characters
    of two columns, and those that run from right to left. So it never shifts what stands beside it on a line.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if is_plain(character) else _escaped(character) for character in text)


def is_plain(character: str) -> bool:
    """True if a character takes one column of a terminal, and leaves the order of what is around it alone."""
    if character.isascii():
        return character.isprintable()
    return (
        character.isprintable()
        and east_asian_width(character) not in WIDE
        and not any(first <= character <= last for first, last in JOINING)
        and bidirectional(character) not in RIGHT_TO_LEFT
        and category(character)[0] != "M"
        and not (character >= PICTURES and category(character) in ("So", "No"))
    )


def counted(number: int, thing: str) -> str:
    """A number of things: "1 packet", "1,234 packets"."""
    return f"{number:,} {thing}{'s' * (number != 1)}"


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
