"""Reading images as `docker save`, `podman save` and OCI image layouts have them: archives or directories.

Sources: Docker's image specification 1.2 (image/spec/v1.2.md in moby); the OCI image specification 1.1
(image-layout.md, image-index.md, manifest.md, config.md).
"""

from __future__ import annotations

import json
import os
import posixpath
import stat
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, cast

from bench.errors import BenchError
from bench.image.blobs import Store, read_whole, require_digest
from bench.layers.archived import Region, RegionFile
from bench.layers.members import open_archive

__all__ = ["Blob", "Description", "Files", "archive_files", "describe", "layout_files"]

DOCUMENT = 16 << 20  # bytes of a manifest, index or configuration; engines refuse those above 4 MiB or so
SHA256 = 64  # hexadecimal digits
FILES = 1_000_000  # members of an image's archive; it has a few for each layer
INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
LAYERS = (
    *(f"application/vnd.oci.image.layer.v1.tar{suffix}" for suffix in ("", "+gzip", "+zstd")),
    *(f"application/vnd.docker.image.rootfs.diff.tar{suffix}" for suffix in ("", ".gzip", ".zstd")),
)
FOREIGN = ("nondistributable", "foreign")
ATTESTATION = (
    "vnd.docker.reference.type"  # annotation of a manifest that is no image (BuildKit, attestation-storage.md)
)
NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")

Files = Callable[[str], Region | None]
"""Returns the content of a file of the archive or directory by its name; None if it is not there."""


@dataclass(frozen=True)
class Blob:
    """The archive of a layer, perhaps compressed; `digest`: of it as it is stored, empty if that is not said."""

    region: Region
    digest: str = ""


@dataclass(frozen=True)
class Description:
    """What an archive says of one image; `diff_ids`: digests of its layers' uncompressed archives."""

    name: str
    format: str
    platform: str
    blobs: Sequence[Blob]
    diff_ids: Sequence[str]
    history: Sequence[Mapping[str, Any]]
    config: Mapping[str, Any]


def archive_files(archive: Region) -> Files:
    """Return the files of an image's archive; raises BenchError if it is damaged or none."""
    regions: dict[str, Region] = {}
    links: dict[str, str] = {}
    with open_archive(cast("IO[bytes]", BufferedReader(RegionFile(archive))), "the image's archive") as opened:
        for header in _headers(opened):
            name = posixpath.normpath(header.name.lstrip("/"))
            if name in regions or name in links:
                raise _damaged(f"it has {name!r} twice")
            if header.isreg() and header.sparse is None:
                regions[name] = Region(archive.descriptor, archive.offset + header.offset_data, header.size)
            elif header.issym():  # docker save writes them for a layer that is there already
                links[name] = posixpath.normpath(posixpath.join(posixpath.dirname(name), header.linkname))
            if len(regions) + len(links) > FILES:
                raise BenchError(f"the image's archive has more than {FILES:,} files", fix="it may be an attack")
    return lambda name: regions.get(links.get(name, name))


def _headers(opened: tarfile.TarFile) -> Iterable[tarfile.TarInfo]:
    try:
        while (header := opened.next()) is not None:
            yield header
            opened.members.clear()  # type: ignore[attr-defined]  # of which tarfile keeps all
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise _damaged(str(error)) from error


def layout_files(directory: Path, store: Store) -> Files:
    """Return the files of an OCI image layout on disk; no link is followed below its directory."""

    def opened(name: str) -> Region | None:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            *parents, last = name.split("/")
            for part in parents:
                lower = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = lower
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            file = store.keep(os.fdopen(os.open(last, flags, dir_fd=descriptor), "rb", buffering=0))
        except FileNotFoundError:
            return None
        finally:
            os.close(descriptor)
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise BenchError(f"{directory / name} is no file", fix="give an OCI image layout")
        return Region(file.fileno(), 0, status.st_size)

    return opened


def describe(files: Files, *, name: str | None, platform: str, what: str) -> Description:
    """Return the description of one image; `name` chooses among several. Raises BenchError if it is invalid."""
    if files("manifest.json") is not None:
        return _of_docker(files, name)
    if files("index.json") is not None:
        return _of_oci(files, name, platform)
    raise BenchError(
        f"{what} is no image",
        why="it has neither manifest.json (docker save) nor index.json (OCI image layout)",
        fix="save one by `docker save` or `podman save`",
    )


def _of_docker(files: Files, name: str | None) -> Description:
    images = _document(files, "manifest.json", list)
    if not all(isinstance(image, dict) for image in images):
        raise _damaged("manifest.json is no list of images")
    choices = [(_names(image.get("RepoTags")), image) for image in images]
    tags, chosen = _choose(choices, name)
    path = _text(chosen, "Config", "manifest.json")
    content = _document(files, path, dict)
    digest = posixpath.basename(path).removesuffix(".json")
    if len(digest) == SHA256:  # which names it, in all versions of docker and podman save
        require_digest(_required(files, path), f"sha256:{digest}", "the image's configuration")
    paths = chosen.get("Layers")
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise _damaged("manifest.json names no layers")
    blobs = [Blob(_required(files, posixpath.normpath(path))) for path in paths]
    return _description(tags[0] if tags else "", "docker save", content, blobs)


def _of_oci(files: Files, name: str | None, platform: str) -> Description:
    manifests = _descriptors(_document(files, "index.json", dict), "index.json")
    choices = [(_names([_annotation(entry)]), entry) for entry in manifests if not _is_attestation(entry)]
    tags, entry = _choose(choices, name)
    seen = 0
    while entry.get("mediaType") in INDEXES:
        seen += 1
        if seen > len(INDEXES):
            raise _damaged("its indexes lead to each other")
        below = [each for each in _descriptors(_blob_document(files, entry), "an index") if not _is_attestation(each)]
        entry = _of_platform(below, platform)
    if (kind := entry.get("mediaType")) not in MANIFESTS:
        raise BenchError("the image's archive has no image that is known", why=f"its manifest is of type {kind!r}")
    manifest = _blob_document(files, entry)
    content = _blob_document(files, _mapping(manifest, "config", "the manifest"))
    blobs = [
        _layer_blob(files, layer, number) for number, layer in enumerate(_list(manifest, "layers", "the manifest"))
    ]
    return _description(tags[0] if tags else "", "OCI image layout", content, blobs)


def _layer_blob(files: Files, layer: Any, number: int) -> Blob:
    if not isinstance(layer, dict):
        raise _damaged(f"layer {number} is no descriptor")
    kind = str(layer.get("mediaType"))
    digest = _text(layer, "digest", f"layer {number}")
    if any(word in kind for word in FOREIGN):
        why = "it is foreign: its content is not in the archive but at an address, and nothing is fetched"
        raise BenchError(f"layer {number} cannot be read", why=why, fix="give an image without foreign layers")
    if kind not in LAYERS:
        raise BenchError(f"layer {number} cannot be read", why=f"its type is {kind!r}, which is not known")
    return Blob(_required(files, _blob_name(digest)), digest)


def _description(name: str, form: str, content: Mapping[str, Any], blobs: Sequence[Blob]) -> Description:
    root = _mapping(content, "rootfs", "the configuration")
    diff_ids = _list(root, "diff_ids", "the configuration")
    if len(diff_ids) != len(blobs) or not all(isinstance(each, str) for each in diff_ids):
        raise _damaged(f"it has {len(blobs)} layers, and its configuration names {len(diff_ids)}")
    history = [entry for entry in content.get("history") or () if isinstance(entry, dict)]
    settings = content.get("config")
    parts = (content.get("os"), content.get("architecture"), content.get("variant"))
    platform = "/".join(str(part) for part in parts if part)
    return Description(name, form, platform, blobs, diff_ids, history, settings if isinstance(settings, dict) else {})


def _choose(choices: Sequence[tuple[list[str], dict[str, Any]]], name: str | None) -> tuple[list[str], dict[str, Any]]:
    """Return the image called `name`, or the only one."""
    if not choices:
        raise BenchError("the image's archive has no image", fix="save one by `docker save` or `podman save`")
    matching = [choice for choice in choices if name is None or name in choice[0]]
    if len(matching) == 1:
        return matching[0]
    known = ", ".join(tag for tags, _ in choices for tag in tags) or "none has a name"
    if name is None:
        raise BenchError(f"the archive has {len(choices)} images", fix=f"choose one by --image NAME: {known}")
    raise BenchError(f"the archive has no image {name!r}" if not matching else f"{name!r} is not one image", fix=known)


def _of_platform(entries: Sequence[dict[str, Any]], platform: str) -> dict[str, Any]:
    """Return the descriptor of this platform, or the only one."""
    own = [entry for entry in entries if _platform(entry) == platform or _platform(entry).startswith(f"{platform}/")]
    found = own or (list(entries) if len(entries) == 1 else [])
    if not found:
        known = ", ".join(sorted({_platform(entry) for entry in entries})) or "none"
        raise BenchError(f"the archive has no image for {platform}", fix=f"choose by --platform: {known}")
    return found[0]


def _platform(entry: Mapping[str, Any]) -> str:
    platform = entry.get("platform")
    parts = [platform.get(key) for key in ("os", "architecture", "variant")] if isinstance(platform, dict) else []
    return "/".join(str(part) for part in parts if part)


def _is_attestation(entry: Mapping[str, Any]) -> bool:
    return ATTESTATION in (entry.get("annotations") or {}) or _platform(entry) == "unknown/unknown"


def _annotation(entry: Mapping[str, Any]) -> str | None:
    annotations = entry.get("annotations")
    return (
        next((annotations[key] for key in NAMES if key in annotations), None) if isinstance(annotations, dict) else None
    )


def _names(tags: Any) -> list[str]:
    return [tag for tag in tags or () if isinstance(tag, str)] if isinstance(tags, list | None) else []


def _descriptors(index: Mapping[str, Any], what: str) -> list[dict[str, Any]]:
    entries = _list(index, "manifests", what)
    if not all(isinstance(entry, dict) for entry in entries):
        raise _damaged(f"{what} has what is no descriptor")
    return entries


def _blob_name(digest: str) -> str:
    algorithm, _, number = digest.partition(":")
    return f"blobs/{algorithm}/{number}"


def _blob_document(files: Files, descriptor: Mapping[str, Any]) -> dict[str, Any]:
    digest = _text(descriptor, "digest", "a descriptor")
    region = _required(files, _blob_name(digest))
    require_digest(region, digest, f"blob {digest[:19]}")
    content: dict[str, Any] = _document(files, _blob_name(digest), dict)
    return content


def _required(files: Files, name: str) -> Region:
    region = None if "\0" in name or ".." in name.split("/") else files(name)
    if region is None:
        raise BenchError(f"the image's archive lacks {name[:100]!r}", why="its manifest names it", fix="save it again")
    return region


def _document(files: Files, name: str, kind: type) -> Any:
    """Return a JSON document of this type; raises BenchError if it is none."""
    content = read_whole(_required(files, name), f"{name[:100]!r} of the image's archive", DOCUMENT)
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _damaged(f"{name[:100]!r} is no JSON: {error}") from error
    if not isinstance(document, kind):
        raise _damaged(f"{name[:100]!r} is not what it should be")
    return document


def _mapping(document: Mapping[str, Any], key: str, what: str) -> dict[str, Any]:
    value = document.get(key)
    if not isinstance(value, dict):
        raise _damaged(f"{what} has no {key}")
    return value


def _list(document: Mapping[str, Any], key: str, what: str) -> list[Any]:
    value = document.get(key)
    if not isinstance(value, list):
        raise _damaged(f"{what} has no {key}")
    return value


def _text(document: Mapping[str, Any], key: str, what: str) -> str:
    value = document.get(key)
    if not isinstance(value, str):
        raise _damaged(f"{what} has no {key}")
    return value


def _damaged(why: str) -> BenchError:
    return BenchError("the image's archive is damaged", why=why, fix="save the image again")
