"""What is measured on a user's image."""

from __future__ import annotations

from bench.reading.contract import Reading
from bench.reading.laws import Metric

READING = Reading(
    name="image",
    question="What do the layers of this image cost?",
    method=(
        "The image's own layers are built as Docker lays them out: as they are, in pairs of neighbours merged to one, "
        "and squashed to a single one. A unit is a new container of one of these. `mount` mounts and unmounts another "
        "container several times; `lookup` looks up a sample of the image's own paths once each, with access(2), and "
        "gives the mean; `list` lists the directories that the most layers have, once each; `write` opens files of the "
        "image and writes their first page back, which copies them up; `start` looks up, reads and writes the paths of "
        "a list in order; `run` is a command of the image from exec to exit, in namespaces of its own."
    ),
    order=95,
    metrics=(
        Metric("mount", "mounting and unmounting"),
        Metric("lookup", "a lookup of a path of the image"),
        Metric("list", "listing a merged directory"),
        Metric("write", "a first write to a file of the image"),
        Metric("start", "the paths of a start"),
        Metric("run", "the command"),
    ),
    judged_metric="lookup",
)
