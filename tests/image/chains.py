"""Images of layers drawn at random."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bench.errors import BenchError
from bench.image.layering import complete
from bench.layers.archived import Region, read_layer
from bench.layers.content import Directory
from bench.layers.tree import Tree as Merged
from tests.layers.archives import Given, crafted
from tests.layers.drawn import Node, RefusedError, Tree, read, reference

if TYPE_CHECKING:
    from bench.layers.content import Entry

__all__ = ["layers_of"]


def layers_of(chain: list[list[Given]], files: list[int]) -> tuple[list[list[Entry]], Tree]:
    """Return the layers of an image, and the tree that they give; a layer that cannot be is refused and left out."""
    below = Merged()
    below.add([Directory("", 0o755)])
    layers: list[list[Entry]] = []
    tree: Tree = {(): Node("directory", 0o755)}
    for members in chain:
        content = crafted(*members).getvalue()
        files.append(os.memfd_create("layer"))
        os.write(files[-1], content)
        region = Region(files[-1], 0, len(content))
        try:
            new = reference(tree, members)
            told = read(tree, members)
            if told.borrowed or () in told.opaque:  # what only a whole tree can have
                raise RefusedError
        except RefusedError:
            with pytest.raises(BenchError):
                complete(read_layer(region), below)
            continue
        layer = complete(read_layer(region), below)
        below.add(layer)
        layers.append(layer)
        tree = new
    return layers, tree
