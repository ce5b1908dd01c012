"""Archives of layers that every engine loads: the format of `docker save`; the same seed gives the same bytes.

    manifest.json               one entry per image: its configuration, its tag, its layers
    <digest>.json               a configuration, with the digests of its layers' archives
    layer-<number>.tar

From Docker's image specification 1.2 (image/spec/v1.2.md in moby). Images of different depths share their layers.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, cast

from bench.errors import BenchError
from bench.layers.changes import OPAQUE_FILE, WHITEOUT
from bench.layers.content import Deleted, Directory, Entry, File, HardLink, Layer, Link, Metadata, Node, pieces
from bench.layers.members import XATTR

__all__ = ["COMMAND", "chain_ids", "image_name", "layer_tar", "save", "top_layer"]

REPOSITORY = "localhost/layer-bench"  # has a registry, so that no engine prepends its default one
PROGRAM = "busybox"  # in the bottom layer of each image
COMMAND = (f"/{PROGRAM}", "sleep", "2147483647")
_NODES = {stat.S_IFIFO: tarfile.FIFOTYPE, stat.S_IFCHR: tarfile.CHRTYPE, stat.S_IFBLK: tarfile.BLKTYPE}
EPOCH = "1970-01-01T00:00:00Z"


def image_name(depth: int) -> str:
    """Return the name of the image of `depth` layers."""
    return f"{REPOSITORY}:{depth}"


def layer_tar(layer: Iterable[Entry], seed: int, target: IO[bytes]) -> str:
    """Write the archive of a layer; return its digest (`sha256:…`), which engines call its diff id."""
    hashed = _Hashed(target)
    with tarfile.open(fileobj=cast("IO[bytes]", hashed), mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for entry in layer:
            header = tarfile.TarInfo(entry.path)
            if isinstance(entry, Deleted):
                head, slash, name = entry.path.rpartition("/")
                header.name = f"{head}{slash}{WHITEOUT}{name}"
            elif isinstance(entry, Directory):
                header.type, header.mode = tarfile.DIRTYPE, entry.mode
            elif isinstance(entry, Link):
                header.type, header.linkname, header.mode = tarfile.SYMTYPE, entry.target, 0o777
            elif isinstance(entry, HardLink):
                header.type, header.linkname = tarfile.LNKTYPE, entry.target
            elif isinstance(entry, Node):
                header.type, header.devmajor = _NODES[entry.kind], os.major(entry.device)
                header.devminor = os.minor(entry.device)
            else:
                header.mode, header.size = entry.mode, entry.size
            if not isinstance(entry, Deleted | HardLink) and entry.metadata is not None:
                _describe(header, entry.metadata)
            content = _Pieces(pieces(entry, seed)) if isinstance(entry, File) else None
            archive.addfile(header, cast("IO[bytes]", content))
            if isinstance(entry, Directory) and entry.opaque:
                archive.addfile(tarfile.TarInfo(f"{entry.path}/{OPAQUE_FILE}"))
    return f"sha256:{hashed.digest.hexdigest()}"


def _describe(header: tarfile.TarInfo, metadata: Metadata) -> None:
    """Add the metadata of a file; times in pax headers, because the others have whole seconds."""
    header.mode, header.uid, header.gid = metadata.mode, metadata.uid, metadata.gid
    header.pax_headers = {
        "mtime": f"{Decimal(metadata.time).scaleb(-9):f}",
        **{f"{XATTR}{key}": value.decode("utf-8", "surrogateescape") for key, value in metadata.attributes},
    }


def save(layers: Sequence[Layer], depths: Iterable[int], seed: int, target: Path) -> list[str]:
    """Write an archive with one image per depth, of the lowest layers; return the layers' diff ids."""
    manifest: list[dict[str, Any]] = []
    ids: list[str] = []
    with tarfile.open(target, "x", format=tarfile.PAX_FORMAT) as archive:
        for number, layer in enumerate(layers):
            with tempfile.TemporaryFile(dir=target.parent) as file:
                ids.append(layer_tar(layer, seed, file))
                header = tarfile.TarInfo(_layer_name(number))
                header.mode, header.size = 0o644, file.tell()
                file.seek(0)
                archive.addfile(header, file)
        for depth in sorted({*depths}):
            content = _configuration(ids[:depth])
            name = f"{hashlib.sha256(content).hexdigest()}.json"
            _add(archive, name, content)
            names = [_layer_name(number) for number in range(depth)]
            manifest.append({"Config": name, "RepoTags": [image_name(depth)], "Layers": names})
        _add(archive, "manifest.json", json.dumps(manifest).encode())
    return ids


def top_layer(archive: Path, target: Path) -> None:
    """Write the topmost layer of the only image of an archive to `target`, uncompressed.

    Raises BenchError for a truncated or invalid archive, or if the layer does not match its digest.
    """
    try:
        with tarfile.open(archive) as opened:
            [image] = json.loads(_content(opened, "manifest.json"))
            ids = json.loads(_content(opened, image["Config"]))["rootfs"]["diff_ids"]
            content = _content(opened, image["Layers"][-1])
    except (tarfile.TarError, EOFError, OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise BenchError(f"{archive} is no image's archive", why=str(error), fix="save it again") from error
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if digest != ids[-1]:
        why = f"it should be {ids[-1]} and is {digest}"
        raise BenchError(f"a layer of {archive} has a wrong digest", why=why, fix="save it again")
    target.write_bytes(content)


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    header = archive.getmember(name)
    if header.issym():  # docker save writes a layer once and symbolic links for the others
        return _content(archive, os.path.normpath(os.path.join(os.path.dirname(name), header.linkname)))
    member = archive.extractfile(header)
    if member is None:
        raise KeyError(f"{name} is no file")
    data = member.read()
    if len(data) != header.size:
        raise EOFError(f"{name} is cut short")
    return data


def chain_ids(diff_ids: Iterable[str]) -> list[str]:
    """Return the chain id of each layer (OCI image specification, config.md, "Layer ChainID")."""
    chain: list[str] = []
    for identity in diff_ids:
        text = f"{chain[-1]} {identity}" if chain else ""
        chain.append(f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" if text else identity)
    return chain


def _configuration(diff_ids: Sequence[str]) -> bytes:
    document = {
        "architecture": _architecture(),
        "os": "linux",
        "created": EPOCH,
        "config": {"Cmd": list(COMMAND)},
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
        "history": [{"created": EPOCH, "created_by": f"layer {number}"} for number in range(len(diff_ids))],
    }
    return json.dumps(document, sort_keys=True).encode()


def _architecture() -> str:
    """Return this machine's architecture in Go's naming."""
    import platform

    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _layer_name(number: int) -> str:
    return f"layer-{number}.tar"


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    header = tarfile.TarInfo(name)
    header.mode, header.size = 0o644, len(content)
    archive.addfile(header, io.BytesIO(content))


class _Hashed:
    """A file object that hashes all data written to it."""

    def __init__(self, target: IO[bytes]) -> None:
        self.target, self.digest = target, hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        return self.target.write(content)


class _Pieces:
    """A readable file object over an iterator of pieces."""

    def __init__(self, source: Iterator[bytes]) -> None:
        self.source, self.rest = source, b""

    def read(self, size: int) -> bytes:
        while len(self.rest) < size and (piece := next(self.source, b"")):
            self.rest += bytes(piece)
        data, self.rest = self.rest[:size], self.rest[size:]
        return data
