"""Kernels of the distribution's archive: listed and fetched by apt, with a configuration of their own.

The mirror is the one that the machine is configured for, and apt checks the signatures as always. Nothing is installed,
and the machine's own package lists are left as they are.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.guest.kernels import Kernel, find, matches, places, preference, store

__all__ = ["Offer", "fetch", "forget", "obtain", "offers", "short"]

# The suites that have kernels, oldest first; one that the mirror lacks is left out.
SUITES = ("bullseye", "bookworm", "bookworm-backports", "trixie", "trixie-backports", "forky", "sid")
SECURITY = ("bullseye-security", "bookworm-security", "trixie-security")
PART = re.compile(r"linux-(?:binary|modules|base)-\d[\w.+~-]*")  # packages that the image was split into
IMAGE = re.compile(r"linux-image-(\d\S*)")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
FRESH = 24 * 3600.0  # seconds that the archive's lists are used again
MACHINE = "amd64"
NOTHING: Mapping[str, str] = {}  # the fields of a package that the archive lacks


@dataclass(frozen=True)
class Offer:
    """A kernel that can be fetched: its release, the packages with their versions, their bytes, and the suite."""

    release: str
    packages: tuple[str, ...]
    bytes: int
    suite: str


def offers() -> list[Offer]:
    """Return the kernels of the archive, oldest first; raises BenchError if it cannot be asked."""
    apt = _Apt()
    apt.update()
    names = sorted(name for name in apt.run("apt-cache", "pkgnames", "linux-image-").split() if _wanted(name))
    records = apt.records(names)
    while parts := {part for record in records.values() for part in _parts(record)} - set(records):
        records |= dict.fromkeys(parts, NOTHING) | apt.records(sorted(parts))
    suites = apt.suites(names)
    found = []
    for name in names:
        members = _closure(name, records)
        if all(records.get(member, NOTHING) for member in members):  # the archive may have dropped a part
            size = sum(int(records[member]["Size"]) for member in members)
            packages = tuple(f"{member}={records[member]['Version']}" for member in members)
            found.append(Offer(name.removeprefix("linux-image-"), packages, size, suites.get(packages[0], "archive")))
    return sorted(found, key=lambda offer: preference(offer.release))


def obtain(text: str) -> Kernel:
    """Return the kernel that a user means: of a file, of this machine, or else fetched."""
    return find(text) or fetch(text)


def fetch(text: str) -> Kernel:
    """Fetch the newest kernel of the archive that `text` names, and return it; raises BenchError if there is none."""
    known = offers()
    named = [offer for offer in known if matches(offer.release, text)]
    if not named:
        versions = ", ".join(dict.fromkeys(short(offer.release) for offer in known))
        raise BenchError(f"no kernel {text}", why=f"the archive has {versions}", fix="`python -m bench kernel list`")
    offer = named[-1]
    places().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=places()) as name:
        directory = Path(name)
        apt = _Apt()
        apt.run("apt-get", "download", "-qq", *offer.packages, directory=directory)
        root = directory / "root"
        for package in sorted(directory.glob("*.deb")):
            _call(["dpkg-deb", "-x", package, root])
            package.unlink()
        modules = next(root.glob(f"*/modules/{offer.release}"), None) or next(
            root.glob(f"usr/lib/modules/{offer.release}"), None
        )
        image = next((path for path in root.rglob("vmlinuz*") if path.is_file()), None)
        if image is None or modules is None:
            raise BenchError(f"the packages of {offer.release} have no kernel or no modules", why=str(offer.packages))
        if image.is_relative_to(modules):
            image = Path(shutil.move(image, root / "vmlinuz"))
        return store(offer.release, image, modules, f"Debian {offer.suite}")


def forget() -> None:
    """Remove the archive's lists."""
    shutil.rmtree(places().parent / "apt", ignore_errors=True)


def short(release: str) -> str:
    """Return the version that names a kernel's line: 6.12 of 6.12.43+deb13-cloud-amd64."""
    match = re.match(r"\d+\.\d+", release)
    return match[0] if match else release


def _wanted(name: str) -> bool:
    match = IMAGE.fullmatch(name)
    return bool(match) and name.endswith(f"-{MACHINE}") and "-rt-" not in name


def _parts(record: Mapping[str, str]) -> Iterator[str]:
    for field in ("Pre-Depends", "Depends"):
        for name in re.split(r"[,|]\s*", record.get(field, "")):
            if match := PART.match(name.strip()):
                yield match[0]


def _closure(name: str, records: Mapping[str, Mapping[str, str]]) -> list[str]:
    members = [name]
    for member in members:
        members += [part for part in _parts(records.get(member, NOTHING)) if part not in members]
    return members


class _Apt:
    """apt with its state and sources below the cache directory."""

    def __init__(self) -> None:
        if shutil.which("apt-get") is None:
            raise BenchError(
                "no kernel can be fetched", why="this machine has no apt", fix="give the path of a bzImage"
            )
        self.home = places().parent / "apt"
        self.configuration = self.home / "apt.conf"

    def update(self) -> None:
        """Make the configuration, and get the lists if they are older than a day."""
        stamp = self.home / "updated"
        if stamp.exists() and time.time() - stamp.stat().st_mtime < FRESH:
            return
        for name in ("lists/partial", "cache/archives/partial"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        (self.home / "status").touch()
        (self.home / "sources.list").write_text("".join(f"{line}\n" for line in _sources()))
        self.configuration.write_text(
            f'Dir::Etc::sourcelist "{self.home}/sources.list";\nDir::Etc::sourceparts "/dev/null";\n'
            f'Dir::Etc::preferencesparts "/dev/null";\nDir::State::lists "{self.home}/lists";\n'
            f'Dir::State::status "{self.home}/status";\nDir::Cache "{self.home}/cache";\n'
            'Dir::Cache::pkgcache "pkgcache.bin";\nDir::Cache::srcpkgcache "srcpkgcache.bin";\n'
            'APT::Sandbox::User "root";\nAcquire::Languages "none";\n'
        )
        # A suite that the mirror lacks makes apt-get fail, after it got the others.
        done = subprocess.run(self._command("apt-get", "update", "-q"), capture_output=True, text=True, check=False)
        if not any((self.home / "lists").glob("*_Packages*")):
            lines = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:"))]
            raise BenchError("the archive's lists cannot be fetched", why=lines[0] if lines else "apt got nothing")
        stamp.touch()

    def run(self, program: str, *arguments: str, directory: Path | None = None) -> str:
        """Run an apt program and return what it prints."""
        return _call(self._command(program, *arguments), directory)

    def records(self, names: Sequence[str]) -> dict[str, Mapping[str, str]]:
        """Return the fields of the newest version of each package."""
        if not names:
            return {}
        text = self.run("apt-cache", "show", "--no-all-versions", *names)
        found: dict[str, Mapping[str, str]] = {}
        for paragraph in text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if re.match(r"[\w-]+: ", line))
            if "Package" in fields:
                found.setdefault(fields["Package"], fields)
        return found

    def suites(self, names: Sequence[str]) -> dict[str, str]:
        """Return the suite that each version (`NAME=VERSION`) of packages is from."""
        found: dict[str, str] = {}
        for line in self.run("apt-cache", "madison", *names).splitlines():
            name, version, source = (part.strip() for part in line.split("|"))
            found.setdefault(f"{name}={version}", source.split()[1].partition("/")[0])
        return found

    def _command(self, program: str, *arguments: str) -> list[str]:
        return [program, "-c", str(self.configuration), *arguments]


def _sources() -> Iterator[str]:
    """Yield a line for each suite of the configured mirrors."""
    form = "$(REPO_URI) $(COMPONENT) $(ORIGIN) $(CODENAME)"
    text = _call(["apt-get", "indextargets", "--format", form, "Created-By: Packages"])
    seen: set[tuple[str, str]] = set()
    for line in text.splitlines():
        uri, component, origin, codename = line.split()
        if origin == "Debian" and component == "main":
            suites = SECURITY if codename.endswith("-security") else SUITES
            seen.update((suite, uri) for suite in suites)
    if not seen:
        raise BenchError(
            "no kernel can be fetched",
            why="apt is configured for no archive of Debian, or its lists were never fetched",
            fix="apt-get update, or give the path of a bzImage",
        )
    signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""  # else what apt trusts by itself
    for suite, uri in sorted(seen):
        yield f"deb {signed}{uri} {suite} main"


def _call(command: Sequence[str | Path], directory: Path | None = None) -> str:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise BenchError(f"{command[0]} failed", why=lines[-1] if lines else f"status {done.returncode}")
    return done.stdout
