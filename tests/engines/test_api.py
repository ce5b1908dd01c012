"""An engine that is named by its socket is asked; whatever else listens, or nothing, is one clear line."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench import doctor
from bench.engines import api
from bench.errors import BenchError
from tests.host.isolated import needs_root

if TYPE_CHECKING:
    from collections.abc import Iterator

TOLD = {
    "ServerVersion": "20.10.24",
    "Driver": "overlay2",
    "DriverStatus": [["Backing Filesystem", "extfs"], ["Supports d_type", "true"]],
    "DockerRootDir": "/var/lib/docker",
}
NOBODY = 65534


@contextmanager
def listening(answer: bytes) -> Iterator[Path]:
    """A socket on which every request gets `answer`, in a directory that everybody may enter."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as server:
        os.chmod(directory, 0o755)
        path = Path(directory, "engine.sock")
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1 << 16)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield path
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def reply(content: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(content), content)


def test_it_says_how_it_stores() -> None:
    with listening(reply(json.dumps(TOLD).encode())) as path:
        assert api.info(path) == TOLD
        assert api.status(path, "GET", "/_ping") == 200
        support = doctor.socket_storage(path)
    assert support.ok
    assert support.reason == (
        "version 20.10.24, running; driver overlay2 on extfs; root /var/lib/docker; Supports d_type: true"
    )


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH_9.2\r\n", reply(b"<html>"), reply(b"[]"), reply(b"{}"), b""],
    ids=["another protocol", "no JSON", "no object", "nothing of storage", "silence"],
)
def test_what_is_no_engine_is_refused(answer: bytes) -> None:
    with listening(answer) as path, pytest.raises(BenchError, match="does not speak Docker's API"):
        api.info(path)


def test_an_engine_that_refuses_is_told_with_its_status() -> None:
    with (
        listening(reply(b"{}", "503 Service Unavailable")) as path,
        pytest.raises(BenchError, match="to /info it says 503 Service Unavailable"),
    ):
        api.info(path)


@needs_root
def test_a_socket_without_permission_is_refused_with_who_may() -> None:
    with listening(reply(json.dumps(TOLD).encode())) as path:
        path.chmod(0o600)
        os.seteuid(NOBODY)
        try:
            with pytest.raises(BenchError) as caught:
                api.info(path)
        finally:
            os.seteuid(0)
    assert (caught.value.why, caught.value.fix) == ("no permission", "run as root")


def test_a_socket_that_is_not_there_or_on_which_nobody_listens_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="No such file or directory"):
        api.info(tmp_path / "nothing")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "dead"))
    with pytest.raises(BenchError, match="Connection refused"):
        api.info(tmp_path / "dead")
