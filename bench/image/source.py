"""Opening what a user names as an image: an archive, a directory, or an engine's image."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.engines import api
from bench.errors import BenchError
from bench.image import archive
from bench.image.blobs import LIMIT, Store, is_compressed, require_digest
from bench.image.layering import complete
from bench.image.model import Image, ImageLayer, printable
from bench.image.rootfs import read_directory
from bench.layers.archived import Region, Room, read_layer
from bench.layers.content import Archived, Entry, File
from bench.layers.tree import Tree
from bench.model import format_size

__all__ = ["opened"]

MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm/v7", "ppc64le": "ppc64le", "s390x": "s390x"}
ENGINES = ("docker", "podman")  # prefixes of an engine's image, both with Docker's API


@contextmanager
def opened(
    what: str,
    workdir: Path,
    *,
    name: str | None = None,
    platform_name: str | None = None,
    socket: Path | None = None,
    limit: int = LIMIT,
) -> Iterator[Image]:
    """Yield the image `what`; its content stays in open files while entered.

    Raises BenchError, and leaves nothing, for an image that is damaged, not one, or larger than `limit` bytes.
    """
    store = Store(workdir, limit)
    try:
        engine, colon, reference = what.partition(":")
        if engine in ENGINES and colon and not os.path.exists(what):
            yield _archived(_saved(engine, reference, socket, store), what, store, name, platform_name)
        elif not os.path.exists(what):
            raise BenchError(f"no image {what}", fix="give an archive, a directory, or docker:NAME with --socket")
        elif os.path.isdir(what) and not os.path.exists(os.path.join(what, "index.json")):
            yield read_directory(Path(what), limit)
        else:
            yield _archived(_region(Path(what), store), what, store, name, platform_name)
    finally:
        store.close()


def _region(path: Path, store: Store) -> Region | Path:
    """Return the file of an archive, or the directory of a layout."""
    if path.is_dir():
        return path
    try:
        file = store.keep(path.open("rb", buffering=0))
    except OSError as error:
        raise BenchError(f"cannot read {path}", why=error.strerror or str(error)) from error
    return Region(file.fileno(), 0, os.fstat(file.fileno()).st_size)


def _saved(engine: str, reference: str, socket: Path | None, store: Store) -> Region:
    """Ask an engine for an image."""
    if socket is None:
        why = "no engine is asked unless its socket is named"
        raise BenchError(f"cannot get {reference} from {engine}", why=why, fix="give --socket /var/run/docker.sock")
    target = store.file()
    size = api.save_image(socket, reference, target, store.limit)
    return Region(target.fileno(), 0, size)


def _archived(source: Region | Path, what: str, store: Store, name: str | None, platform_name: str | None) -> Image:
    if isinstance(source, Path):
        files = archive.layout_files(source, store)
    else:
        whole, _ = store.plain(source, what) if is_compressed(source) else (source, "")
        files = archive.archive_files(whole)
    own = f"linux/{MACHINES.get(platform.machine(), platform.machine())}"
    described = archive.describe(files, name=name, platform=platform_name or own, what=what)
    store.used = 0  # the outer archive is not the image
    return Image(
        name=printable(described.name or os.path.basename(what.rstrip("/"))),
        source=described.format,
        platform=printable(described.platform),
        layers=_layers(described, store),
        config=described.config,
    )


def _layers(described: archive.Description, store: Store) -> Sequence[ImageLayer]:
    """Read all layers, bottom first."""

    def plain(number: int) -> tuple[Region, str]:
        blob, what = described.blobs[number], f"layer {number} of the image"
        if blob.digest:
            require_digest(blob.region, blob.digest, what)
        return store.plain(blob.region, what)

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        regions = list(pool.map(plain, range(len(described.blobs))))
    layers: list[ImageLayer] = []
    below, room, size = Tree(), Room(), 0
    commands = _commands(described)
    for number, (region, digest) in enumerate(regions):
        what = f"layer {number} of the image"
        if digest != described.diff_ids[number]:
            why = f"its content has {digest[:19]}…, the configuration says {described.diff_ids[number][:19]}…"
            raise BenchError(f"{what} is damaged or was changed", why=why, fix="save the image again")
        try:
            read = read_layer(region, devices=True, room=room)
            entries = [_of_layer(entry, number) for entry in complete(read, below)]
        except BenchError as error:
            raise BenchError(f"{what}: {error.what}", why=error.why, fix=error.fix) from error
        size += sum(entry.size for entry in entries if isinstance(entry, File))
        if size > store.limit:
            why = f"its files have more than {format_size(store.limit)}"
            raise BenchError(f"{what} is too large", why=why, fix="give a larger --limit if you trust it")
        below.add(entries)
        layers.append(ImageLayer(entries, digest, region.size, commands[number]))
    return layers


def _of_layer(entry: Entry, number: int) -> Entry:
    """Return the entry with the number of its layer, by which a merged tree tells where a file is from."""
    return replace(entry, origin=number) if isinstance(entry, Archived) else entry


def _commands(described: archive.Description) -> list[str]:
    """Return each layer's command; empty ones if the history does not fit the layers."""
    made = [entry for entry in described.history if not entry.get("empty_layer")]
    if len(made) != len(described.blobs):
        return [""] * len(described.blobs)
    return [printable(str(entry.get("created_by") or entry.get("comment") or "")) for entry in made]
