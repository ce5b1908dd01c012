"""Parts of an image's archive as plain bytes in open files, with their digests, and never more of them than allowed."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import tempfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from bench.errors import BenchError
from bench.layers.archived import Region, RegionFile
from bench.model import format_size

__all__ = ["LIMIT", "Store", "is_compressed", "read_whole", "require_digest"]

LIMIT = 32 << 30  # bytes of an image, uncompressed: far above what images have, far below what a small archive can ask
RESERVE = 1 << 30  # bytes of the work directory's file system that stay free
CHUNK = 1 << 20
WINDOW = 1 << 27  # bytes that a zstd stream may want to look back, as the program zstd allows
DIGITS = {"sha256": 64, "sha512": 128}  # of the algorithms of the OCI image specification, descriptor.md
MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd", "bzip2": b"BZh", "xz": b"\xfd7zXZ\x00"}
READ = ("gzip", "zstd")  # of these, those that images are saved in
DAMAGE = (gzip.BadGzipFile, EOFError, zlib.error)


@dataclass
class Store:
    """Keeps uncompressed blobs in nameless files of the directory `workdir`, at most `limit` bytes in all."""

    workdir: Path
    limit: int = LIMIT
    used: int = 0
    _open: ExitStack = field(default_factory=ExitStack)
    _lock: threading.Lock = field(default_factory=threading.Lock)  # layers are read in threads

    def close(self) -> None:
        """Close all files, which frees their space."""
        self._open.close()

    def keep(self, file: IO[bytes]) -> IO[bytes]:
        """Close `file` with the store."""
        return self._open.enter_context(file)

    def file(self) -> IO[bytes]:
        """Return a new nameless file."""
        return self.keep(tempfile.TemporaryFile(dir=self.workdir, buffering=0))

    def plain(self, blob: Region, what: str) -> tuple[Region, str]:
        """Return the uncompressed bytes of `blob` and their SHA-256; those that are not compressed stay where they are.

        Raises BenchError if they are damaged or pass the limit.
        """
        digest = hashlib.sha256()
        kind = _compression(blob)
        if kind is None:
            for piece in _pieces(RegionFile(blob)):
                digest.update(piece)
            self.count(blob.size, what)
            return blob, f"sha256:{digest.hexdigest()}"
        if kind not in READ:
            raise BenchError(
                f"{what} is compressed by {kind}", fix="decompress it first, or compress it by gzip or zstd"
            )
        target, size = self.file(), 0
        try:
            with _decompressed(kind, RegionFile(blob)) as source:
                while piece := source.read(CHUNK):
                    self.count(len(piece), what)
                    digest.update(piece)
                    target.write(piece)
                    size += len(piece)
        except _damage() as error:
            raise BenchError(f"{what} is damaged", why=f"{kind}: {error}", fix="save the image again") from error
        return Region(target.fileno(), 0, size), f"sha256:{digest.hexdigest()}"

    def count(self, size: int, what: str) -> None:
        """Count bytes of the image; raises BenchError if they are more than the limit, or than there is room for."""
        with self._lock:
            self.used += size
        if self.used > self.limit:
            why = f"uncompressed it has more than {format_size(self.limit)}"
            raise BenchError(f"{what} is too large", why=why, fix="give a larger --limit if you trust it")
        if shutil.disk_usage(self.workdir).free < RESERVE:
            why = f"less than {format_size(RESERVE)} would be left in {self.workdir}"
            raise BenchError(f"{what} is too large", why=why, fix="give a --workdir on a larger file system")


def _compression(blob: Region) -> str | None:
    """Return how a blob is compressed, by its first bytes; None if it is not."""
    start = os.pread(blob.descriptor, min(blob.size, max(map(len, MAGIC.values()))), blob.offset)
    return next((kind for kind, magic in MAGIC.items() if start.startswith(magic)), None)


def is_compressed(blob: Region) -> bool:
    """Tell whether a blob is compressed."""
    return _compression(blob) is not None


def _decompressed(kind: str, blob: io.RawIOBase) -> IO[bytes]:
    source = cast("IO[bytes]", io.BufferedReader(blob, CHUNK))
    if kind == "gzip":
        return cast("IO[bytes]", gzip.GzipFile(fileobj=source, mode="rb"))
    import zstandard

    decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW)
    return cast("IO[bytes]", decompressor.stream_reader(source, read_across_frames=True))


def _damage() -> tuple[type[Exception], ...]:
    import zstandard

    return (*DAMAGE, zstandard.ZstdError)


def _pieces(file: io.RawIOBase) -> Iterator[bytes]:
    while piece := file.read(CHUNK):
        yield piece


def read_whole(blob: Region, what: str, most: int) -> bytes:
    """Return a small blob; raises BenchError if it has more than `most` bytes or is cut short."""
    if blob.size > most:
        raise BenchError(f"{what} has {blob.size:,} bytes", why=f"no image needs more than {most:,} there")
    content = os.pread(blob.descriptor, blob.size, blob.offset)
    if len(content) != blob.size:
        raise BenchError(f"{what} is cut short", fix="save the image again")
    return content


def require_digest(blob: Region, digest: str, what: str) -> None:
    """Raise BenchError unless the bytes of `blob` have this digest (`sha256:…` or `sha512:…`)."""
    algorithm, _, wanted = digest.partition(":")
    if len(wanted) != DIGITS.get(algorithm) or not set(wanted) <= set("0123456789abcdef"):
        known = " or ".join(DIGITS)
        raise BenchError(
            f"{what} has the digest {digest[:80]!r}", why=f"a digest is {known}, a colon and hexadecimal digits"
        )
    found = hashlib.new(algorithm)
    for piece in _pieces(RegionFile(blob)):
        found.update(piece)
    if found.hexdigest() != wanted:
        why = f"its bytes have {algorithm}:{found.hexdigest()[:12]}…, the archive says {digest[:19]}…"
        raise BenchError(f"{what} is damaged or was changed", why=why, fix="save the image again")
