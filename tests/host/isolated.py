"""Run a piece of a test in namespaces of its own, where it may mount."""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING

import pytest

from bench.kernel.namespaces import run_isolated

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["isolated", "needs_root"]


def needs_root(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that mounts for real; skipped with the reason for an ordinary user."""
    skip = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
    marked: Callable[..., None] = pytest.mark.root(skip(test))
    return marked


def isolated(work: Callable[[], None]) -> None:
    """Call `work` in a forked child with a private mount namespace; its failure is the test's."""
    reading, writing = os.pipe()

    def child() -> int:
        try:
            work()
        except BaseException:
            os.write(writing, traceback.format_exc().encode())
            return 1
        return 0

    try:
        status = run_isolated(child, user_namespace=False)
    finally:
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            said = pipe.read().decode()
    assert status == 0, said
