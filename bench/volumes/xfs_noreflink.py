"""xfs without reflink: the default of mkfs before xfsprogs 5.1, and still a common host file system.

It differs from xfs where files are copied up. In a survey on both (docs/method.md), the intervals of all other headline
figures overlap.
"""

from __future__ import annotations

from bench.volumes.xfs import TYPELESS, XfsRecipe

VOLUME = XfsRecipe(
    name="xfs-noreflink",
    title="xfs (reflink=0)",
    filesystem="xfs",
    program="mkfs.xfs",
    arguments=("-q", "-f", "-K", "-n", "ftype=1", "-m", "reflink=0"),
    typeless=TYPELESS,
    clones=False,
    directory_bytes=0,
    minimum_bytes=320 << 20,
    order=3,
    profile="full",
    scenarios=("copy_up",),
)
