"""What is started while the harness stays on one processor may run on the others."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from bench.host.processors import ALLOWED, allow_all


@pytest.mark.skipif(len(ALLOWED) < 2, reason="there is one processor")
def test_a_thread_that_is_born_on_one_processor_may_run_on_all() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(ALLOWED)})
    try:
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(os.sched_getaffinity, 0).result() == {min(ALLOWED)}
        with ThreadPoolExecutor(1, initializer=allow_all) as pool:
            assert pool.submit(os.sched_getaffinity, 0).result() == ALLOWED
        assert os.sched_getaffinity(0) == {min(ALLOWED)}
    finally:
        os.sched_setaffinity(0, before)
