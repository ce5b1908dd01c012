"""The runs of several kernels share the processors: what begins when, and what of it goes on if one fails."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from bench.errors import BenchError
from bench.guest import boots
from bench.guest.kernels import Kernel
from bench.measure import session
from bench.measure.request import Request
from bench.measure.workshop import RunContext
from tests.measure.fakes import Quiet

if TYPE_CHECKING:
    from collections.abc import Sequence

KERNELS = [Kernel(version, Path(version), Path(), "nowhere") for version in ("5.10.0", "6.1.0", "7.2.0")]


@dataclass
class Machine:
    """A guest that ends at the third look, or says that it failed if its kernel is to fail."""

    image: Path
    file: int
    seed: int
    block: int
    memory_mib: int
    looks: int = 0
    silent = False
    fails: ClassVar[str] = ""
    log: ClassVar[list[str]] = []
    running: ClassVar[int] = 0
    most: ClassVar[int] = 0

    def __post_init__(self) -> None:
        Machine.running += 1
        Machine.most = max(Machine.most, Machine.running)
        self.log.append(f"begin {self.image} {self.block}")

    @property
    def alive(self) -> bool:
        self.looks += 1
        return self.looks < 3

    def messages(self) -> Sequence[dict[str, Any]]:
        if str(self.image) == self.fails:
            return [{"failed": "it is to fail"}]
        return [{"end": 0}] if self.looks >= 3 else []

    def close(self) -> None:
        Machine.running -= 1
        self.log.append(f"end {self.image} {self.block}")


@dataclass
class Written:
    """What a run's writer was told."""

    directory: Path
    provenance: dict[str, Any] = field(default_factory=dict)

    def save(self, **facts: Any) -> None:
        self.provenance |= facts

    def close(self) -> None:
        self.provenance["closed"] = True


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> dict[str, Written]:
    made: dict[str, Written] = {}

    def prepared(asked: boots.GuestRequest, kernel: Kernel, context: RunContext) -> boots._Boots:
        made[kernel.release] = Written(Path(kernel.release))
        return boots._Boots(kernel, asked, made[kernel.release], os.memfd_create("none"), 0.0)  # type: ignore[arg-type]

    monkeypatch.setattr(boots, "VirtualMachine", Machine)
    monkeypatch.setattr(boots, "_prepared", prepared)
    monkeypatch.setattr(boots, "PAUSE", 0)
    monkeypatch.setattr(session, "host_lock", nullcontext)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    monkeypatch.setattr(Machine, "log", [])
    monkeypatch.setattr(Machine, "most", 0)
    monkeypatch.setattr(Machine, "running", 0)
    return made


def carried_out(number: int = 3) -> list[tuple[Path, int] | BenchError]:
    context = RunContext(Path(), Path(), (), lambda: nullcontext(Quiet()), 0.0)
    return boots.execute_each(boots.GuestRequest(Request(scenarios=("lookup",)), number), KERNELS, context)


def test_the_next_kernel_begins_as_soon_as_a_processor_is_free(written: dict[str, Written]) -> None:
    assert carried_out() == [(Path(kernel.release), 0) for kernel in KERNELS]
    assert Machine.most == 2
    began = [line.split()[1:] for line in Machine.log if line.startswith("begin")]
    assert began == [[kernel.release, f"{block}"] for kernel in KERNELS for block in range(3)]
    assert Machine.log.index("begin 6.1.0 0") < Machine.log.index("end 5.10.0 2")
    assert all(one.provenance["complete"] and one.provenance["closed"] for one in written.values())


def test_a_kernel_that_fails_ends_its_guests_and_the_others_go_on(
    written: dict[str, Written], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Machine, "fails", "6.1.0")
    first, failed, last = carried_out()
    assert isinstance(failed, BenchError)
    assert str(failed) == "nothing measured on 6.1.0: it is to fail"
    assert (first, last) == ((Path("5.10.0"), 0), (Path("7.2.0"), 0))
    assert written["6.1.0"].provenance["complete"] is False
    assert written["6.1.0"].provenance["closed"]
    assert Machine.running == 0


def test_a_single_kernel_that_fails_is_an_error(written: dict[str, Written], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "fails", "5.10.0")
    context = RunContext(Path(), Path(), (), lambda: nullcontext(Quiet()), 0.0)
    with pytest.raises(BenchError, match=r"nothing measured on 5\.10\.0"):
        boots.execute(boots.GuestRequest(Request(scenarios=("lookup",)), 2), KERNELS[0], context)
    assert Machine.running == 0
