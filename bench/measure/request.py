"""The request for a run, and the profiles."""

from __future__ import annotations

from dataclasses import dataclass

from bench.errors import BenchError, nearest

__all__ = ["PRECISION", "PROFILES", "Profile", "Request", "parse_depth", "parse_precision", "parse_profile"]


@dataclass(frozen=True)
class Profile:
    """Total seconds of a run, the precision that it aims at, and the size of the largest stack that it builds."""

    name: str
    seconds: float
    precision: float
    stack_inodes: int
    stack_bytes: int


PRECISION = 0.05  # the target of two minutes, which reach it on a virtual machine with two CPUs
PROFILES = {
    profile.name: profile
    for profile in (
        Profile("quick", 105, PRECISION, 20_000, 300 << 20),
        Profile("standard", 855, 0.02, 120_000, 512 << 20),
        Profile("full", 2370, 0.02, 500_000, 20 << 30),
    )
}


@dataclass(frozen=True)
class Request:
    """The user's selection; empty means all. `precision`: half an interval as a share, for every headline figure."""

    profile: str = "quick"
    seed: int = 1
    budget: float | None = None
    precision: float = PRECISION
    scenarios: tuple[str, ...] = ()
    drivers: tuple[str, ...] = ()  # with options: overlay2,metacopy=on
    volumes: tuple[str, ...] = ()
    depths: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()
    rootless: bool = False

    @property
    def seconds(self) -> float:
        """The total time of the run."""
        return self.budget if self.budget is not None else PROFILES[self.profile].seconds


def parse_profile(name: str) -> str:
    """Return `name` if it is a profile."""
    if name not in PROFILES:
        raise nearest("profile", name, PROFILES)
    return name


def parse_precision(text: str) -> float:
    """Return a share above 0 and below 1, written as `5%` or `0.05`."""
    number, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise BenchError(f"{text!r} is not a precision", fix="write it like 5%")
    return share


def parse_depth(text: str) -> int:
    """Return a number of layers, 1 or more."""
    if not text.strip().isdecimal() or int(text) < 1:
        raise BenchError(f"{text!r} is not a depth", fix="give a number of layers, 1 or more")
    return int(text)
