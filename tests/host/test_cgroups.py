"""Control groups that a killed run left are found, and removed with nothing beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.host import cgroups
from bench.host.leftovers import find

if TYPE_CHECKING:
    from pathlib import Path


def test_those_without_processes_are_idle_and_are_removed(tmp_path: Path) -> None:
    root = tmp_path / "fs" / "cgroup"
    for path in ("cpu/layer-bench/one", "memory/layer-bench/two/three", "memory/other", "layer-bench"):
        (root / path).mkdir(parents=True)
    (root / "cpu/layer-bench/one/cgroup.procs").write_text("12\n")
    idle = {root / "memory/layer-bench", root / "layer-bench"}
    assert set(cgroups.idle(root)) == idle
    assert {item.path for item in find(tmp_path, sys=tmp_path) if item.kind == "control group"} == idle
    cgroups.remove(root)
    assert cgroups.idle(root) == []
    assert (root / "memory/other").is_dir()
    assert (root / "cpu/layer-bench/one/cgroup.procs").exists()
