"""The number of layers that can be mounted with each way of naming them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.reading.claims import Finding, Outcome
from bench.reading.contract import Reading
from bench.reading.headlines import Count, Headline
from bench.reading.laws import Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.reading.analysis import Analysis

MAX_LOWER = 500  # fs/overlayfs/params.c, OVL_MAX_STACK
CLAIMED = 128  # the limit in the description, which is moby's own maxDepth


def judge_depth(analysis: Analysis) -> Iterator[Finding]:
    """C3: whether the kernel's limit is 128 layers."""
    depth = analysis.depth("limits", 1)
    for arm in analysis.arms("limits"):
        kernel = analysis.counter("limits", arm, "layers_lowerdir_plus", depth=depth)
        page = analysis.counter("limits", arm, "layers_relative_links", depth=depth)
        if kernel is None or page is None:
            continue
        if not kernel["maximum"]:
            yield Finding(
                str(arm),
                Outcome.QUALIFIED,
                "this kernel has no lowerdir+ (Linux 6.7), so that only layers mount whose paths fit one page of "
                f"options: {page['maximum']:.0f} as relative links",
            )
            continue
        most = max(kernel["maximum"], page["maximum"])
        yield Finding(
            str(arm),
            Outcome.QUALIFIED if most != CLAIMED else Outcome.CONFIRMED,
            f"this kernel mounted {most:.0f} lower layers and refused {most + 1:.0f}; {CLAIMED} is the engine's own "
            f"limit; in one page of mount(2) options {page['maximum']:.0f} fitted as relative links",
        )


def judge_links(analysis: Analysis) -> Iterator[Finding]:
    """C4: the effect of the short links on the limit of layers."""
    depth = analysis.depth("limits", 1)
    for arm in analysis.arms("limits"):
        full = analysis.counter("limits", arm, "layers_absolute_diff", depth=depth)
        links = analysis.counter("limits", arm, "layers_absolute_links", depth=depth)
        relative = analysis.counter("limits", arm, "layers_relative_links", depth=depth)
        if full is None or links is None or relative is None:
            continue
        yield Finding(
            str(arm),
            Outcome.QUALIFIED,
            f"in one page of options {full['maximum']:.0f} layers fitted by their full paths, "
            f"{links['maximum']:.0f} by l/ links, {relative['maximum']:.0f} by relative links, so the links do extend "
            "the limit; what an engine's layers hold, only the scenario layout tells",
        )


READING = Reading(
    name="limits",
    question="How many lower layers does overlayfs take, and how many fit one page of mount options?",
    method=(
        "Empty layers in Docker's layout; for each way of naming them the largest number that mounts is found by "
        "bisection, each step a real mount. Options longer than a page are refused before the call, because the "
        "kernel would cut them without an error. The mount itself is timed for 1, 128 and 500 layers, by fsconfig or, "
        "on kernels without lowerdir+, by relative links as far as they fit."
    ),
    order=5,
    metrics=(
        Metric("mount_1", "mounting 1 layer"),
        Metric(f"mount_{CLAIMED}", f"mounting {CLAIMED} layers"),
        Metric(f"mount_{MAX_LOWER}", f"mounting {MAX_LOWER} layers"),
    ),
    judged_metric=f"mount_{CLAIMED}",
    headlines=(Headline("layers_page", "layers in a page of options", "1", Count("layers_relative_links")),),
    claims={"C3": judge_depth, "C4": judge_links},
)
