"""The comparisons of a user's image: as it was built against fewer layers, another driver, or another image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.errors import BenchError
from bench.image.registry import AS_BUILT, HALVED, SQUASHED, Subject, subject
from bench.measure.arms import parse_arm
from bench.measure.compare import Comparison
from bench.measure.support import arm_support, cell_support
from bench.model import NATIVE, Arm, Cell, Temperature
from bench.stats.paired import Procedure

__all__ = ["LOOKS", "Against", "comparisons_of"]

SCENARIO = "image"
LOOKS = (8, 16, 32, 64, 128, 256)  # pairs; a command may take a second, and 8 pairs are the fewest that can tell
CONTROL_EVERY = 2  # blocks: pairs are worth more than pairs of the control
LONG_CONTROL_EVERY = 4  # where a unit of the control takes as long as one of the image
PLAIN = (("copy", "off"),)  # options of the plain directory, which is too large to be copied for each unit
# By operation, the temperatures at which layers can matter: a hot lookup costs the same whatever the layers.
TEMPERATURES: Mapping[str, tuple[Temperature, ...]] = {
    "mount": (Temperature.HOT,),
    "lookup": (Temperature.NEW, Temperature.COLD),
    "list": (Temperature.NEW,),
    "write": (Temperature.NEW,),
    "start": (Temperature.NEW, Temperature.COLD),
    "run": (Temperature.NEW, Temperature.COLD),
}


@dataclass(frozen=True)
class Against:
    """What an image is compared with: a layering of the image `key`, on `driver`."""

    key: str
    layering: str
    driver: str


def comparisons_of(
    keys: Sequence[str], drivers: Iterable[str], volumes: Sequence[str], procedure: Procedure, *, rootless: bool = False
) -> list[Comparison]:
    """Return the comparisons of the first image with others, numbered from 0.

    `keys`: of bench.image.registry; a second one is another image to compare with. `drivers`: the first stacks the
    image, which is also compared on each of the others. Raises BenchError for what cannot run here.
    """
    first, *others = drivers
    whole = Against(keys[0], AS_BUILT, first)
    comparisons: list[Comparison] = []
    for other in _others(keys, first, others):
        for volume in volumes:
            for operation, temperature in _operations(subject(keys[0]), rootless=rootless):
                a, b = (_cell(side, volume, operation, temperature, rootless=rootless) for side in (whole, other))
                if operation == "mount" and NATIVE in (a.arm.driver, b.arm.driver):
                    continue
                own = operation in {"mount", "run"}  # which have no plain directory beside them
                comparisons.append(
                    Comparison(
                        len(comparisons),
                        SCENARIO,
                        operation,
                        a,
                        b,
                        procedure,
                        control=a.arm if own else Arm(NATIVE, a.arm.volume, PLAIN),
                        control_every=LONG_CONTROL_EVERY if own else CONTROL_EVERY,
                    )
                )
    return comparisons


def _others(keys: Sequence[str], driver: str, drivers: Iterable[str]) -> Iterator[Against]:
    """Yield what the image is compared with."""
    depth = len(subject(keys[0]).layers(AS_BUILT))
    for key in keys[1:]:
        yield Against(key, AS_BUILT, driver)
    if depth > 1:
        yield Against(keys[0], SQUASHED, driver)
    if depth > 3:  # two layers of three are nearly one
        yield Against(keys[0], HALVED, driver)
    for other in drivers:
        yield Against(keys[0], AS_BUILT, other)
    if depth == 1 and len(keys) == 1:
        yield Against(keys[0], AS_BUILT, f"{NATIVE},copy=off")


def _operations(known: Subject, *, rootless: bool) -> Iterator[tuple[str, Temperature]]:
    """Yield what is measured on an image: what its user gave, else samples of its paths."""
    given = {"start": known.steps, "run": known.command}
    samples = {"lookup": known.lookups, "list": known.listings, "write": known.writes}
    chosen: Mapping[str, object] = {"mount": True, **(given if known.steps or known.command else samples)}
    for operation, temperatures in TEMPERATURES.items():
        if chosen.get(operation):
            yield from ((operation, each) for each in temperatures if not (rootless and each is Temperature.COLD))


def _cell(side: Against, volume: str, operation: str, temperature: Temperature, *, rootless: bool) -> Cell:
    arm, parameters = parse_arm(f"{side.driver}@{volume}")
    if parameters:
        raise BenchError(f"{side.driver!r} is no driver", fix="write it like overlay2,metacopy=on")
    depth = len(subject(side.key).layers(side.layering))
    for support in (arm_support(arm, rootless=rootless), cell_support(arm, depth, temperature)):
        if not support.ok:
            raise BenchError(f"arm {arm.name} cannot run here", why=support.reason, fix=support.fix)
    params = (("image", side.key), ("layering", side.layering), ("operation", operation))
    return Cell(SCENARIO, arm, depth, temperature, params)
