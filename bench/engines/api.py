"""Client of Docker's API on a Unix socket; podman's service implements the same API.

Source: the Docker Engine API, v1.41 (`GET /info`, `GET /_ping`, `HEAD /containers/{id}/archive`).
"""

from __future__ import annotations

import grp
import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from bench.errors import BenchError

__all__ = ["info", "save_image", "status"]

SECONDS = 1.0  # timeout of a ping and of a stat of a file
INFO_SECONDS = 30.0  # timeout of /info, for which the daemon counts its containers and images
MESSAGE = 1 << 16  # bytes of an error message that are read
NOT_DOCKER = "what listens there does not speak Docker's API"


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def status(path: Path, method: str, target: str) -> int:
    """Return the HTTP status of a request to the daemon at the socket `path`; raises OSError if it does not answer."""
    with closing(_Unix(path, SECONDS)) as connection:
        connection.request(method, target)
        return connection.getresponse().status


def info(path: Path) -> dict[str, Any]:
    """Return the answer to `GET /info` of the daemon at the socket `path`; raises BenchError if there is none."""
    with _answer(path, "/info") as response:
        if response.status != http.HTTPStatus.OK:
            raise BenchError(_no_answer(path), why=f"to /info it says {response.status} {response.reason}")
        document = json.loads(response.read())
    if not isinstance(document, dict) or "Driver" not in document:
        raise BenchError(_no_answer(path), why=NOT_DOCKER)
    return document


def save_image(path: Path, reference: str, target: IO[bytes], limit: int) -> int:
    """Write the archive of an image of the daemon at the socket `path` (`docker save`); return its bytes.

    Raises BenchError if there is no such image, or if its archive has more than `limit` bytes.
    """
    problem = f"the engine at {path} does not save {reference}"
    size = 0
    with _answer(path, f"/images/{quote(reference, safe='/:@')}/get") as response:
        if response.status != http.HTTPStatus.OK:
            message = _message(response.read(MESSAGE))
            raise BenchError(problem, why=message or f"it says {response.status} {response.reason}")
        while piece := response.read(1 << 20):
            size += len(piece)
            if size > limit:
                raise BenchError(problem, why=f"its archive has more than {limit:,} bytes", fix="give a larger --limit")
            target.write(piece)
    return size


def _message(content: bytes) -> str:
    """Return the message of an error, from the API's JSON."""
    try:
        document = json.loads(content)
    except ValueError:
        return ""
    return str(document.get("message", "")) if isinstance(document, dict) else ""


@contextmanager
def _answer(path: Path, target: str) -> Iterator[http.client.HTTPResponse]:
    """Yield the response to a GET request; raise BenchError if there is none."""
    problem = _no_answer(path)
    try:
        with closing(_Unix(path, INFO_SECONDS)) as connection:
            connection.request("GET", target)
            yield connection.getresponse()
    except PermissionError as error:
        raise BenchError(problem, why="no permission", fix=_permission_hint(path)) from error
    except (http.client.HTTPException, ValueError) as error:
        raise BenchError(problem, why=NOT_DOCKER) from error
    except OSError as error:
        raise BenchError(problem, why=error.strerror or str(error), fix="name the socket of one that runs") from error


def _no_answer(path: Path) -> str:
    return f"no engine answers at {path}"


def _permission_hint(path: Path) -> str:
    """Return a hint: who may use the socket."""
    try:
        group = grp.getgrgid(path.stat().st_gid).gr_name
    except (OSError, KeyError):
        return "run as root"
    return "run as root" if group == "root" else f"run as root or as a member of the group {group}"
