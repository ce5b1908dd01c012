"""What a scenario measures and what its rows mean belong together."""

from __future__ import annotations

import pytest

from bench import discovery
from bench.engines.docker import Docker
from bench.layers.content import Directory
from bench.scenario import clock
from scenarios.inodes import measure as inodes
from scenarios.inodes.reading import DIRECTORIES, TYPICAL
from scenarios.layout.reading import MOST
from scenarios.limits.reading import MAX_LOWER
from scenarios.lookup.reading import PASSES


def test_every_scenario_has_a_reading() -> None:
    assert {name: scenario.reading for name, scenario in discovery.scenarios().items()} == discovery.readings()
    assert [*discovery.scenarios()] == [*discovery.readings()]


@pytest.mark.parametrize("name", discovery.readings())
def test_a_reading_speaks_of_its_own_metrics(name: str) -> None:
    reading = discovery.readings()[name]
    compared = discovery.scenario(name).compared
    spoken = {reading.judged_metric, *(law.metric for law in reading.laws), *([compared.metric] if compared else [])}
    assert spoken <= {metric.name for metric in reading.metrics}


def test_numbers_of_readings_are_those_of_what_is_measured() -> None:
    assert Docker.most_layers == MOST
    assert discovery.driver("overlay2").max_depth == MAX_LOWER
    assert clock.PASSES == PASSES


@pytest.mark.parametrize(("name", "copies"), [("overlay2", 1), ("overlay", TYPICAL[0])])
def test_a_directory_of_the_bottom_layer_takes_as_many_inodes_as_the_claim_says(name: str, copies: int) -> None:
    depth, files = TYPICAL
    layers = [inodes.layer(index, {"files": files}) for index in range(depth)]
    more = [(*layers[0], *(Directory(f"directory-{number}") for number in range(DIRECTORIES))), *layers[1:]]
    counts = [
        discovery.driver(name)().footprint(tree, (depth,), discovery.volume("ext4")).inodes for tree in (layers, more)
    ]
    assert counts[1] - counts[0] == copies * DIRECTORIES
