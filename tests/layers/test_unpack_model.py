"""Layers drawn at random, applied one over the other, give the tree that the image specification says."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings

from bench.errors import BenchError
from bench.layers.unpack import apply
from tests.layers.archives import DIRECTORY, Given, crafted, link
from tests.layers.drawn import CHAINS, EXAMPLES, Node, RefusedError, Tree, on_disk, reference, shown


@settings(max_examples=EXAMPLES)
@given(chain=CHAINS)
@example(chain=[[("b", DIRECTORY)], [("a/b", {**DIRECTORY, "mode": 0o700}), ("a", link("."))]])
@example(chain=[[("a/a", {**DIRECTORY, "mode": 0o700}), ("c", link("a")), ("c/a", DIRECTORY)]])
def test_layers_give_the_tree_that_the_specification_says(chain: list[list[Given]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        root.chmod(0o755)
        tree: Tree = {(): Node("directory", 0o755)}
        for layer in chain:
            try:
                tree = reference(tree, layer)
            except RefusedError:
                with pytest.raises(BenchError):
                    apply(crafted(*layer), root)
            else:
                apply(crafted(*layer), root)
            assert on_disk(root) == shown(tree)
