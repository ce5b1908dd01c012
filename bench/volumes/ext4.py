"""ext4 with the defaults of mkfs, except that tables are initialised by mkfs and not in the background."""

from __future__ import annotations

from bench.host.packages import Package
from bench.volumes.base import Recipe

VOLUME = Recipe(
    name="ext4",
    title="ext4",
    filesystem="ext4",
    program="mkfs.ext4",
    packages=(Package("mkfs.ext4", "e2fsprogs", "ext4 volumes", version="-V"),),
    # lazy_*_init=0: otherwise the kernel zeroes inode tables for minutes after the first mount (mke2fs(8)).
    # nodiscard: otherwise mke2fs deallocates the blocks below the device, see bench.kernel.loop.fill.
    # -b 4096: mke2fs would choose 1 KiB blocks for a volume under 512 MiB (mke2fs.conf(5), `small`).
    # -J size=16: otherwise the journal would have 4 MiB, unlike those of hosts, and fill four times as fast.
    arguments=(
        "-q",
        "-F",
        "-b",
        "4096",
        "-J",
        "size=16",
        "-N",
        "{inodes}",
        "-E",
        "nodiscard,lazy_itable_init=0,lazy_journal_init=0",
    ),
    typeless=("-q", "-F", "-b", "4096", "-N", "{inodes}", "-O", "^filetype"),
    clones=False,
    directory_bytes=4096,
    # Once, with a journal of 4 MiB, a unit had one flush more than its fsyncs. The likely reason, not verified: a
    # commit that frees enough of the journal also writes its new tail (fs/jbd2/commit.c, update_tail). A unit writes
    # far less than that, so this happens at most once.
    journal_flushes=1,
    order=1,
)
