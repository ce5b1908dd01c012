"""ext4 as mkfs makes it, but with its tables written now rather than in the background of a measurement."""

from __future__ import annotations

from bench.volumes.base import Recipe

VOLUME = Recipe(
    name="ext4",
    title="ext4",
    filesystem="ext4",
    program="mkfs.ext4",
    # lazy_*_init=0: otherwise the kernel zeroes inode tables for minutes after the first mount (mke2fs(8)).
    # -b 4096: mke2fs would take 1 KiB blocks for a volume under 512 MiB (mke2fs.conf(5), `small`).
    # -J size=16: nor a journal of 4 MiB, which no real host has and which would be checkpointed all the time.
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
        "lazy_itable_init=0,lazy_journal_init=0",
    ),
    clones=False,
    directory_bytes=4096,
    # A commit that frees a quarter of the journal writes its new tail with one more flush
    # (fs/jbd2/commit.c, update_tail); a unit writes far less than a quarter, so once at most.
    journal_flushes=1,
    order=1,
)
