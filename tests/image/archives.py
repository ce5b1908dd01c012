"""Images made blob by blob: what docker save, podman save and OCI image layouts have, and what they must not have."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import zstandard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["COMPRESS", "MANIFEST", "OCI_LAYER", "configuration", "descriptor", "docker", "empty", "layout", "pack"]

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda content: content,
    "+gzip": gzip.compress,
    "+zstd": zstandard.ZstdCompressor().compress,
}
Files = dict[str, bytes]


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def configuration(layers: Sequence[bytes], **more: Any) -> bytes:
    """Return the configuration of an image of these layers, whose history says `RUN NUMBER`."""
    history = [{"created_by": f"RUN {number}"} for number in range(len(layers))]
    content = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
        "history": [{"created_by": "ENV A=1", "empty_layer": True}, *history],
    }
    return json.dumps({**content, **more}).encode()


def docker(layers: Sequence[bytes], *, name: str = "app:1", config: bytes | None = None) -> Files:
    """Return the files of `docker save`."""
    content = configuration(layers) if config is None else config
    path = f"{digest(content).partition(':')[2]}.json"
    paths = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": path, "RepoTags": [name], "Layers": paths}]
    return {"manifest.json": json.dumps(manifest).encode(), path: content, **dict(zip(paths, layers, strict=True))}


def descriptor(content: bytes, kind: str, files: Files | None = None, **more: Any) -> dict[str, Any]:
    """Return the descriptor of a blob, and add the blob to `files`."""
    name = digest(content)
    if files is not None:
        files[f"blobs/{name.replace(':', '/')}"] = content
    return {"mediaType": kind, "digest": name, "size": len(content), **more}


def layout(layers: Sequence[bytes], *, suffix: str = "", kind: str = OCI_LAYER, entries: Any = None) -> Files:
    """Return the files of an OCI image layout; `entries` makes the index from the manifest's descriptor."""
    files: Files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
    blobs = [descriptor(COMPRESS[suffix](layer), f"{kind}{suffix}", files) for layer in layers]
    config = descriptor(configuration(layers), CONFIG, files)
    content = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": blobs}).encode()
    manifest = descriptor(content, MANIFEST, files)
    index = {"schemaVersion": 2, "manifests": entries(manifest, files) if entries else [manifest]}
    return {**files, "index.json": json.dumps(index).encode()}


def pack(files: Files, path: Path) -> Path:
    """Write an archive of the files."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return path


def empty() -> bytes:
    """Return the archive of a layer without anything."""
    return bytes(1024)
