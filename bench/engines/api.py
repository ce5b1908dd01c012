"""Client of Docker's API on a Unix socket; podman's service implements the same API.

Source: the Docker Engine API, v1.41 (`GET /info`, `GET /_ping`, `HEAD /containers/{id}/archive`).
"""

from __future__ import annotations

import grp
import http.client
import json
import socket
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.errors import BenchError

__all__ = ["info", "status"]

SECONDS = 1.0  # timeout of a ping and of a stat of a file
INFO_SECONDS = 30.0  # timeout of /info, for which the daemon counts its containers and images


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
    problem = f"no engine answers at {path}"
    try:
        with closing(_Unix(path, INFO_SECONDS)) as connection:
            connection.request("GET", "/info")
            response = connection.getresponse()
            content = response.read()
            if response.status != http.HTTPStatus.OK:
                raise BenchError(problem, why=f"to /info it says {response.status} {response.reason}")
            document = json.loads(content)
    except PermissionError as error:
        raise BenchError(problem, why="no permission", fix=_permission_hint(path)) from error
    except (http.client.HTTPException, ValueError) as error:
        raise BenchError(problem, why="what listens there does not speak Docker's API") from error
    except OSError as error:
        raise BenchError(problem, why=error.strerror or str(error), fix="name the socket of one that runs") from error
    if not isinstance(document, dict) or "Driver" not in document:
        raise BenchError(problem, why="what listens there does not speak Docker's API")
    return document


def _permission_hint(path: Path) -> str:
    """Return a hint: who may use the socket."""
    try:
        group = grp.getgrgid(path.stat().st_gid).gr_name
    except (OSError, KeyError):
        return "run as root"
    return "run as root" if group == "root" else f"run as root or as a member of the group {group}"
