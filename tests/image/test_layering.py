"""However an image's layers are merged, a container sees the tree that the image specification says."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.drivers.overlay2 import Overlay2
from bench.image.layering import halved, merged, squashed
from bench.layers.content import Deleted, Directory, File
from bench.layers.materialise import materialise
from bench.layers.tree import Tree as Merged
from bench.layers.tree import flatten
from tests.host.isolated import isolated, needs_root
from tests.image.chains import layers_of
from tests.integration.places import made
from tests.layers.archives import Given
from tests.layers.drawn import CHAINS, EXAMPLES, Tree, on_disk, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.layers.content import Entry

MOUNTED = EXAMPLES // 20  # chains that are mounted for real


def below_of(layers: Sequence[Sequence[Entry]]) -> Merged:
    tree = Merged()
    for layer in layers:
        tree.add(layer)
    return tree


def written(entries: Sequence[Entry], tree: Tree) -> object:
    """Return what is on disk of one layer; the root has the mode of the image's, which a layer need not name."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        root.chmod(int(str(tree[()].value)))
        materialise(entries, root, 0)
        return on_disk(root)


@settings(max_examples=EXAMPLES)
@given(chain=CHAINS, start=st.integers(0, 3), count=st.integers(1, 3))
def test_merged_layers_give_the_same_tree(chain: list[list[Given]], start: int, count: int) -> None:
    files: list[int] = []
    try:
        layers, tree = layers_of(chain, files)
        expected = shown(tree)
        assert written(flatten(layers), tree) == expected
        assert written(squashed(layers), tree) == expected
        assert written(flatten(halved(layers)), tree) == expected
        some = [
            *layers[:start],
            merged(layers[start : start + count], below_of(layers[:start])),
            *layers[start + count :],
        ]
        assert written(flatten(some), tree) == expected
    finally:
        for file in files:
            os.close(file)


@needs_root
@settings(max_examples=MOUNTED, deadline=None)
@given(data=st.data())
def test_overlayfs_shows_the_same_tree(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """In one namespace, because making one takes longer than mounting."""
    chain = data.draw(CHAINS)
    place = tmp_path_factory.mktemp("image")

    def work() -> None:
        files: list[int] = []
        layers, tree = layers_of(chain, files)
        if not layers:
            return
        expected = shown(tree)
        with made("ext4", place) as volume:
            for number, layering in enumerate((layers, halved(layers), [squashed(layers)])):
                driver = Overlay2()
                stack = driver.build(volume.path / f"{number}", layering, (len(layering),), 0)
                container = driver.create_read_write(stack, len(layering))
                with driver.mount(container) as root:
                    root.chmod(int(str(tree[()].value)))
                    assert on_disk(root) == expected

    isolated(work)


@pytest.mark.parametrize(
    ("chain", "last"),
    [
        ([[Directory("d")], [Deleted("d")], [Directory("d")]], [Directory("d", opaque=True)]),
        ([[Directory("d"), File("d/a", 1)], [Deleted("d/a")], [Deleted("d")]], [Deleted("d")]),
        ([[File("d", 1)], [Directory("d"), File("d/a", 1)], [Directory("d"), Deleted("d/a")]], [Directory("d")]),
        (
            [[Directory("d")], [Directory("d", opaque=True)], [Directory("d", 0o700)]],
            [Directory("d", 0o700, opaque=True)],
        ),
    ],
)
def test_what_two_layers_hide_together_is_hidden(chain: list[list[Entry]], last: list[Entry]) -> None:
    assert merged(chain[1:], below_of(chain[:1])) == last
