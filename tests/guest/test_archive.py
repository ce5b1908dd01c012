"""Kernels of the distribution's archive, from what apt prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bench.errors import BenchError
from bench.guest import archive

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TARGETS = """http://mirror/debian/ main Debian bookworm
http://mirror/debian/ main Debian bookworm-updates
http://mirror/debian-security/ main Debian bookworm-security
https://elsewhere/ main Elsewhere stable
"""
SHOWN = {
    "linux-image-6.1.0-9-cloud-amd64": "Version: 6.1.27-1\nSize: 100\nDepends: kmod, linux-base (>= 4.3~)",
    "linux-image-6.16.3-cloud-amd64": "Version: 6.16.3-1\nSize: 1\nDepends: linux-binary-6.16.3-cloud-amd64 (= 6)",
    "linux-binary-6.16.3-cloud-amd64": "Version: 6.16.3-1\nSize: 50\nPre-Depends: linux-modules-6.16.3-cloud-amd64",
    "linux-modules-6.16.3-cloud-amd64": "Version: 6.16.3-1\nSize: 30\nDepends: linux-base",
}
NAMES = [
    *(name for name in SHOWN if name.startswith("linux-image")),
    *("linux-image-amd64", "linux-image-6.1.0-9-rt-amd64", "linux-image-6.1.0-9-amd64-dbg"),
    *("linux-image-6.1.0-9-amd64-unsigned", "linux-image-6.1.0-9-arm64"),
]


@pytest.fixture(autouse=True)
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An apt that answers from these tables."""

    def call(command: Sequence[Any], directory: Path | None = None) -> str:
        words = [str(word) for word in command]
        if "indextargets" in words:
            return TARGETS
        if "pkgnames" in words:
            return "\n".join(NAMES)
        if "show" in words:
            named = [word for word in words if word in SHOWN]
            return "\n\n".join(f"Package: {name}\n{SHOWN[name]}" for name in named)
        assert "madison" in words
        named = [word for word in words if word in SHOWN]
        source = "http://mirror/debian sid/main amd64 Packages"
        return "".join(f" {name} | {SHOWN[name].split()[1]} | {source}\n" for name in named)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(archive, "_call", call)
    monkeypatch.setattr(archive, "KEYRING", tmp_path / "keys.gpg")
    (tmp_path / "keys.gpg").touch()
    monkeypatch.setattr(archive._Apt, "update", lambda self: None)


def test_an_offer_has_all_parts_of_a_split_kernel() -> None:
    old, new = archive.offers()
    assert (old.release, old.packages, old.bytes, old.suite) == (
        "6.1.0-9-cloud-amd64",
        ("linux-image-6.1.0-9-cloud-amd64=6.1.27-1",),
        100,
        "sid",
    )
    assert new.release == "6.16.3-cloud-amd64"
    assert [package.partition("=")[0] for package in new.packages] == [
        "linux-image-6.16.3-cloud-amd64",
        "linux-binary-6.16.3-cloud-amd64",
        "linux-modules-6.16.3-cloud-amd64",
    ]
    assert new.bytes == 81


def test_sources_are_other_suites_of_the_configured_mirrors(tmp_path: Path) -> None:
    lines = list(archive._sources())
    assert f"deb [signed-by={tmp_path}/keys.gpg] http://mirror/debian/ sid main" in lines
    assert f"deb [signed-by={tmp_path}/keys.gpg] http://mirror/debian-security/ bullseye-security main" in lines
    assert not any("elsewhere" in line or " sid-security" in line for line in lines)
    assert len(lines) == len(set(lines)) == len(archive.SUITES) + len(archive.SECURITY)


def test_a_version_that_the_archive_lacks_is_refused_with_those_that_it_has() -> None:
    with pytest.raises(BenchError, match=r"no kernel 5\.4: the archive has 6\.1, 6\.16; `python -m bench kernel list`"):
        archive.fetch("5.4")


def test_without_an_archive_of_debian_there_is_nothing_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_call", lambda *rest: "https://elsewhere/ main Elsewhere stable\n")
    with pytest.raises(BenchError, match="apt is configured for no archive of Debian"):
        list(archive._sources())
