"""Compressed capture files, of any format: gzip."""

import gzip
import zlib
from contextlib import AbstractContextManager
from io import BufferedReader, BufferedWriter
from pathlib import Path

_MAGIC = b"\x1f\x8b"
_LEVEL = 6

DAMAGED = (gzip.BadGzipFile, zlib.error)
"""Exceptions that reading raises for damage. For a file without its end it raises EOFError."""


def is_compressed(path: Path) -> bool:
    """True if a file's name says that it is compressed."""
    return path.suffix.lower() == ".gz"


def unpacked(file: BufferedReader) -> BufferedReader | gzip.GzipFile:
    """A file's content: of a compressed one, which its first bytes tell, without the compression."""
    return gzip.GzipFile(fileobj=file) if file.peek(len(_MAGIC))[: len(_MAGIC)] == _MAGIC else file


def packed(file: BufferedWriter) -> AbstractContextManager[gzip.GzipFile]:
    """Compresses into a file what is written."""
    return gzip.GzipFile(fileobj=file, mode="wb", compresslevel=_LEVEL)
