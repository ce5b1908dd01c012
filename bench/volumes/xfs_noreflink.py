"""xfs without reflink: the default of mkfs before xfsprogs 5.1, and still a common host file system.

It differs from xfs where files are copied up. Of the headline figures in results/survey, all others agree between the
two within their intervals.
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
