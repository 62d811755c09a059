"""A file as it came, plain or packed with gzip or zip: read as a stream, never more than a bound unpacked."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, Protocol

from partners.files import Unreadable

# The largest catalogs of whole brands are some hundred megabytes of XML; what is beyond comes in parts.
UNPACKED_BYTES_MAX = 1_000_000_000
LOCKED = 0x1  # general purpose flag of a zip's member (APPNOTE 4.4.4)


class Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Unpacked:
    """The bytes of a file after unpacking; reading beyond the bound, or of a damaged pack, raises Unreadable."""

    def __init__(self, stream: Stream, *, bytes_max: int) -> None:
        self._stream = stream
        self._left = bytes_max
        self._bytes_max = bytes_max

    def read(self, size: int, /) -> bytes:
        try:
            data = self._stream.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, NotImplementedError) as error:
            raise Unreadable(f"The packed file is damaged or cut short ({error}); send it again.") from error
        self._left -= len(data)
        if self._left < 0:
            raise Unreadable(f"Unpacked, the file has more than {self._bytes_max:,} bytes; send it in parts.")
        return data


@contextmanager
def opened(source: Path | BinaryIO, *, bytes_max: int = UNPACKED_BYTES_MAX) -> Iterator[Unpacked]:
    """A file from its beginning: a path, or a handle that can be wound back (left open).

    Its first bytes say whether it is packed, whatever it is called. A zip must hold one file. Raises Unreadable.
    """
    with ExitStack() as opened_here:
        if isinstance(source, Path):
            if not source.is_file():
                raise Unreadable(f"There is no file {source.name}.")
            handle: BinaryIO = opened_here.enter_context(source.open("rb"))
        else:
            handle = source
            handle.seek(0)
        start = handle.read(4)
        handle.seek(0)
        stream: Stream = handle
        if start.startswith(b"\x1f\x8b"):
            packed = opened_here.enter_context(gzip.GzipFile(fileobj=handle))
            stream = packed
        elif start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            stream = opened_here.enter_context(_only_member(opened_here, handle, bytes_max))
        yield Unpacked(stream, bytes_max=bytes_max)


def _only_member(opened_here: ExitStack, handle: BinaryIO, bytes_max: int) -> IO[bytes]:
    try:
        archive = opened_here.enter_context(zipfile.ZipFile(handle))
        # Macs add their own notes on each file of an archive.
        members = [
            member
            for member in archive.infolist()
            if not member.is_dir() and PurePosixPath(member.filename).parts[:1] != ("__MACOSX",)
        ]
        if len(members) != 1:
            raise Unreadable(f"The zip holds {len(members)} files; send one file in it.")
        [member] = members
        if member.file_size > bytes_max:
            raise Unreadable(f"Unpacked, the file has more than {bytes_max:,} bytes; send it in parts.")
        if member.flag_bits & LOCKED:
            raise Unreadable("The zip is locked with a password; send it without one.")
        if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise Unreadable("The zip is packed in a way that is not read here; use the ordinary one (deflate).")
        return archive.open(member)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, OSError) as error:
        raise Unreadable(f"This is no zip that can be opened ({error}).") from error
