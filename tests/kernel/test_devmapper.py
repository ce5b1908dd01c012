"""Device mapper: what is told of it where a kernel has none, and the sizes of a pool's parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench import discovery
from bench.drivers.devicemapper import DeviceMapper
from bench.errors import BenchError
from bench.kernel import devmapper, guest
from bench.volumes.ext4 import VOLUME as EXT4
from bench.volumes.thin import POOL_BLOCK, ThinPool, ThinVolume

if TYPE_CHECKING:
    from pathlib import Path


def has_device_mapper() -> bool:
    try:
        return bool(devmapper.targets())
    except OSError:  # a node may be there without a driver
        return False


without = pytest.mark.skipif(has_device_mapper(), reason="this kernel has device mapper")


@without
@pytest.mark.root
def test_without_device_mapper_the_reason_and_a_remedy_are_told() -> None:
    support = discovery.volume("thin-ext4").probe()
    assert support.ok is False
    assert support.reason == "not supported by this kernel: no device mapper"
    assert "--kernel" in support.fix
    assert DeviceMapper().probe(EXT4).fix == "--volume thin-ext4 or thin-xfs"


@without
def test_an_error_names_the_device() -> None:
    with pytest.raises(OSError, match="/dev/mapper/control"):
        devmapper.status("a-pool")


def test_the_structures_have_the_sizes_of_the_kernels() -> None:
    assert devmapper._HEAD.size == 312  # include/uapi/linux/dm-ioctl.h
    assert devmapper._TARGET.size == 40


@pytest.mark.parametrize("size", [64 << 20, 1 << 30, (3 << 30) + 12_345])
def test_a_pool_lies_within_its_device_in_whole_blocks(size: int) -> None:
    pool = ThinPool("name", "/dev/loop0", size, EXT4)
    assert pool.metadata_sectors * 512 % POOL_BLOCK == 0
    assert pool.sectors * 512 % POOL_BLOCK == 0
    assert size - POOL_BLOCK < (pool.metadata_sectors + pool.sectors) * 512 <= size


def test_a_stack_elsewhere_is_refused(tmp_path: Path) -> None:
    assert ThinVolume.of(tmp_path) is None
    with pytest.raises(BenchError, match="is on no thin volume; --volume thin-ext4 or thin-xfs"):
        DeviceMapper().build(tmp_path / "home", [()], (1,), 1)


def test_a_guest_is_known_by_its_command_line(tmp_path: Path) -> None:
    line = tmp_path / "cmdline"
    line.write_text("console=ttyS0 bench.block=7 quiet\n")
    assert guest.block(line) == 7
    line.write_text("console=ttyS0 quiet\n")
    assert guest.block(line) is None
