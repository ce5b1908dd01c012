"""What a request becomes: cells, stacks, sizes of volumes, and what is left out and why."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bench import discovery
from bench.engines.base import Engine
from bench.errors import BenchError
from bench.kernel import guest
from bench.measure import compare, planning
from bench.measure.arms import parse_arm, parse_driver
from bench.measure.planning import make, together
from bench.measure.request import PROFILES, Request, parse_depth, parse_profile
from bench.model import NATIVE, Arm, Support, Temperature, parse_seconds
from bench.volumes.base import Recipe
from tests.integration.places import BY_HAND, ENGINES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.drivers.base import Driver
    from bench.measure.plan import Plan

pytestmark = pytest.mark.xdist_group("plans")  # whose chains of layers are made once a process
VOLUMES = ("ext4", "xfs", "xfs-noreflink")
OWN = ("btrfs", "zfs", "devicemapper")  # drivers of one volume each
SMALL: dict[str, Any] = {"scenarios": ("copy_up",), "volumes": ("ext4",), "drivers": ("overlay2",)}


@pytest.fixture(autouse=True)
def everything_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plan as on a machine that has it all, whatever this one has."""

    def yes(self: object, volume: object = None) -> Support:
        return Support.yes()

    # Those of one volume ask the volume only; those of an engine ask that and the driver that they stand beside.
    drivers = {kind for name, kind in discovery.drivers().items() if name in BY_HAND and name not in OWN}
    for kind in {Recipe, *map(type, discovery.volumes().values()), *drivers}:
        monkeypatch.setattr(kind, "probe", yes)
    monkeypatch.setattr(Engine, "probe", classmethod(yes))
    monkeypatch.setattr(guest, "block", lambda: 0)
    monkeypatch.setattr(planning, "require_program", lambda name: Support.yes())


def drivers_with_options() -> Iterator[tuple[str, str, str]]:
    for name, kind in discovery.drivers().items():
        for key, values in kind.options.items():
            for value in values:
                yield name, key, value


# A native arm with options is one to compare with, but with nothing to be compared it is no run.
CHOICES = [choice for choice in drivers_with_options() if choice[0] != "native"]
SCENARIOS = {name: one for name, one in discovery.scenarios().items() if one.command == "run"}


@st.composite
def arms(draw: st.DrawFn) -> Arm:
    name = draw(st.sampled_from(sorted(discovery.drivers())))
    known = discovery.drivers()[name].options
    keys = draw(st.lists(st.sampled_from(sorted(known)), unique=True)) if known else []
    texts = st.sampled_from(["/usr/bin/a", "./a build"])  # of an option that takes any text
    options = tuple(sorted((key, draw(st.sampled_from(known[key]) if known[key] else texts)) for key in keys))
    chosen = dict(options)
    assume(
        not {"fsync", "volatile"} <= chosen.keys() or (chosen["volatile"] == "on") == (chosen["fsync"] == "volatile")
    )
    return Arm(name, draw(st.sampled_from(sorted(discovery.volumes()))), options)


@given(arm=arms(), data=st.data())
def test_an_arm_comes_back_from_its_name_in_any_order_of_options(arm: Arm, data: st.DataObject) -> None:
    assert parse_arm(arm.name) == (arm, {})
    options = data.draw(st.permutations(arm.options))
    text = ",".join([arm.driver, *(f"{key}={value}" for key, value in options)])
    assert parse_driver(text) == (arm.driver, arm.options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("overlay22@ext4", "unknown driver 'overlay22'; did you mean 'overlay2'?"),
        ("overlay2@ext3", "unknown volume 'ext3'; did you mean 'ext4'?"),
        ("overlay2,metacop=on@ext4", "unknown option of overlay2 'metacop'; did you mean 'metacopy'?"),
        ("overlay2,metacopy=yes@ext4", "overlay2 option metacopy='yes' is not known; one of: on, off"),
        ("native,metacopy=on@ext4", "unknown option of native 'metacopy'; did you mean 'copy'?"),
        ("overlay2,metacopy@ext4", "'metacopy' in 'overlay2,metacopy' is not option=value"),
        ("overlay2,volatile=on,volatile=off@ext4", "gives an option twice"),
        ("overlay2", "'overlay2' is not an arm; write it like overlay2,metacopy=on@xfs"),
        ("overlay2@", "unknown volume ''"),
        ("@ext4", "unknown driver ''"),
    ],
)
def test_what_is_no_arm_is_refused_with_the_nearest(text: str, message: str) -> None:
    with pytest.raises(BenchError) as caught:
        parse_arm(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"scenarios": ("copyup",)}, "unknown scenario 'copyup'; did you mean 'copy_up'?"),
        ({"drivers": ("fuse_overlayfs",)}, "unknown driver 'fuse_overlayfs'; did you mean 'fuse-overlayfs'?"),
        ({"volumes": ("xsf",)}, "unknown volume 'xsf'; did you mean 'xfs'?"),
        ({"drivers": ("overlay2,xin=on",)}, "unknown option of overlay2 'xin'; did you mean 'xino'?"),
        ({"drivers": ("overlay2,xino=onn",)}, "overlay2 option xino='onn' is not known; one of: on, off, auto"),
    ],
)
def test_an_unknown_word_is_refused_with_the_nearest(request_: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError) as caught:
        make(Request(**request_))
    assert message in str(caught.value)


@pytest.mark.parametrize("depth", [501, 5000, 10**9])
@pytest.mark.parametrize("driver", ["overlay2", "fuse-overlayfs"])
def test_a_depth_above_the_limit_is_refused_at_once(depth: int, driver: str) -> None:
    with pytest.raises(BenchError) as caught:
        make(Request(drivers=(driver,), scenarios=("lookup",), volumes=("ext4",), depths=(4, depth)))
    assert str(caught.value) == f"{driver} takes at most 500 layers: depth {depth} was asked for"


@pytest.mark.parametrize("driver", ["vfs", "native"])
def test_a_driver_without_a_limit_is_not_asked_for_more_than_can_be_compared(driver: str) -> None:
    with pytest.raises(BenchError, match="a stack here takes at most 500 layers: depth 1000000 was asked for"):
        make(Request(drivers=(driver,), scenarios=("lookup",), volumes=("ext4",), depths=(10**6,)))


@pytest.mark.parametrize("scenario", ["lookup", "copy_up"])
def test_a_stack_too_large_for_the_profile_is_left_out_with_the_reason(scenario: str) -> None:
    plan = make(Request(scenarios=(scenario,), volumes=("ext4",), drivers=("overlay2", "vfs"), depths=(1, 125)))
    assert {cell.depth for cell in plan.cells[scenario] if cell.arm.driver == "overlay2"} == {1, 125}
    assert all(cell.depth == 1 for cell in plan.cells[scenario] if cell.arm.driver == "vfs")
    [skip] = [skip for skip in plan.skips if skip.what.startswith(f"{scenario} on vfs@ext4 at depth 125")][:1]
    assert "profile quick builds up to 20,000" in skip.reason
    assert skip.fix == "--profile standard builds more"


def test_the_largest_profile_names_no_larger_one() -> None:
    plan = make(Request(profile="full", scenarios=("inodes",), volumes=("ext4",), drivers=("vfs",), depths=(1, 500)))
    [skip, *_] = [skip for skip in plan.skips if "at depth 500" in skip.what]
    assert "profile full builds up to 500,000" in skip.reason
    assert skip.fix == ""


def test_a_size_larger_than_any_disk_leaves_nothing_and_says_why() -> None:
    with pytest.raises(BenchError) as caught:
        make(Request(**SMALL, sizes=(1 << 50,)))
    assert "nothing to measure" in str(caught.value)
    assert f"{1 << 30:,} MiB here" in str(caught.value)


@pytest.mark.parametrize("profile", list(PROFILES))
def test_native_is_in_every_comparison_of_every_profile(profile: str) -> None:
    plan = make(Request(profile=profile, drivers=("overlay2", "fuse-overlayfs", "vfs")))
    for name, cells in plan.cells.items():
        if name in {"limits", "mounting", "types"}:  # of lower layers, which a directory has none of
            continue
        native = {(cell.arm.volume, cell.temperature, cell.params) for cell in cells if cell.arm.driver == NATIVE}
        others = {(cell.arm.volume, cell.temperature, cell.params) for cell in cells if cell.arm.driver != NATIVE}
        assert others <= native, name


def test_every_scenario_driver_and_volume_is_planned_unless_left_out() -> None:
    plan = make(Request())
    usual_ones = {name for name, one in SCENARIOS.items() if not one.needs_engine}
    usual_ones -= {"commit", "drivers", "mounting", "types"}
    assert set(plan.cells) == usual_ones
    left = {skip.what: skip for skip in plan.skips if skip.by_choice}
    assert {"scenario drivers", "scenario mounting", "scenario layout", "scenario choice"} <= set(left)
    assert left["scenario drivers"].fix == "--profile standard"
    assert set(plan.volumes) == set(VOLUMES)
    arms = {cell.arm.name for cells in plan.cells.values() for cell in cells}
    usual = [name for name, kind in discovery.drivers().items() if kind.profile == "quick"]
    assert arms == {f"{driver}@{volume}" for driver in usual for volume in VOLUMES}


def test_a_more_thorough_profile_has_every_driver_where_it_can_be_and_a_quick_one_says_what_it_leaves_out() -> None:
    plan = make(Request(profile="standard"))
    arms = {cell.arm.name for cells in plan.cells.values() for cell in cells}
    assert set(plan.cells) == set(SCENARIOS)
    quick = {name for name in BY_HAND if discovery.driver(name).profile == "quick"}
    everywhere = {f"{name}@{volume}" for name in quick for volume in VOLUMES}
    everywhere |= {f"{name}@btrfs" for name in ("native", "overlay2", "vfs")}
    everywhere |= {f"{name}@{volume}" for name in {*BY_HAND} - {*quick, *OWN} for volume in ("ext4", "xfs")}
    elsewhere = {"docker/btrfs", "docker/devicemapper"}
    engines = {f"{name}@{volume}" for name in ENGINES if name not in elsewhere for volume in ("ext4", "xfs")}
    special = {"btrfs@btrfs", "docker/btrfs@btrfs", "docker/vfs@btrfs", "zfs@zfs", "native@zfs"}
    thin = ("devicemapper", "docker/devicemapper", "native")
    special |= {f"{name}@{volume}" for name in thin for volume in ("thin-ext4", "thin-xfs")}
    assert arms == {*everywhere, *engines, *special}
    assert {cell.arm.driver for cell in plan.cells["drivers"]} >= {*ENGINES, "native"}
    told = {skip.what: skip for skip in make(Request()).skips}
    for what, fix in (
        ("driver overlay", "--profile standard, or --driver overlay"),
        ("volume btrfs", "--profile standard, or --volume btrfs"),
    ):
        assert (told[what].reason, told[what].fix) == ("profile quick leaves it out", fix)
        assert told[what].by_choice


def test_a_volume_that_differs_in_one_scenario_is_measured_in_that_and_elsewhere_if_it_is_named() -> None:
    def scenarios_on(volume: str, **request: Any) -> set[str]:
        cells = make(Request(**request)).all_cells
        return {cell.scenario for cell in cells if cell.arm.volume == volume}

    for profile in ("quick", "standard"):
        assert scenarios_on("xfs-noreflink", profile=profile) == {"copy_up"}
    assert scenarios_on("xfs-noreflink", profile="full") == scenarios_on("ext4", profile="full") - {"layout", "choice"}
    assert scenarios_on("xfs-noreflink", volumes=("xfs-noreflink",)) == scenarios_on("xfs")
    assert scenarios_on("xfs-noreflink", scenarios=("lookup", "steady")) == set()
    for request, what in (
        (Request(), "volume xfs-noreflink, except in copy_up"),
        (Request(scenarios=("lookup",)), "volume xfs-noreflink"),
    ):
        [skip] = [skip for skip in make(request).skips if "noreflink" in skip.what]
        assert (skip.what, skip.reason, skip.fix, skip.by_choice) == (
            *(what, "profile quick leaves it out", "--profile full, or --volume xfs-noreflink", True),
        )


def test_a_driver_that_is_named_is_measured_where_it_can_be_and_refused_where_it_cannot_be_anywhere() -> None:
    plan = make(Request(drivers=("btrfs",), volumes=("ext4", "btrfs")))
    arms = {cell.arm.name for cells in plan.cells.values() for cell in cells}
    assert arms == {"native@ext4", "native@btrfs", "btrfs@btrfs"}
    with pytest.raises(BenchError, match="arm btrfs@ext4 cannot run here: its layers are subvolumes of btrfs"):
        make(Request(drivers=("btrfs",), volumes=("ext4",)))


def test_what_changes_files_of_the_image_is_not_measured_without_copy_on_write() -> None:
    plan = make(Request(drivers=("mergerfs",), volumes=("ext4",)))
    measured = {name for name, cells in plan.cells.items() if "mergerfs" in {cell.arm.driver for cell in cells}}
    assert measured == {"lookup", "inodes"}
    reasons = {skip.what: skip.reason for skip in plan.skips}
    for name in ("copy_up", "whiteouts", "steady"):
        assert reasons[f"{name} on mergerfs@ext4"].startswith("mergerfs has no copy-on-write")


@pytest.mark.parametrize("profile", list(PROFILES))
def test_no_cell_comes_twice(profile: str) -> None:
    for cells in make(Request(profile=profile)).cells.values():
        keys = [(cell.arm, cell.depth, cell.temperature, cell.params) for cell in cells]
        assert len(set(keys)) == len(keys)


def needed(plan: Plan, volume: str) -> tuple[int, int]:
    stacks = [stack.footprint for key, stack in plan.stacks.items() if key.volume == volume]
    return sum(stack.inodes for stack in stacks), sum(stack.bytes for stack in stacks)


@given(
    depths=st.lists(st.integers(1, 60), min_size=1, max_size=3),
    sizes=st.lists(st.integers(0, 4 << 20), min_size=1, max_size=3),
    volumes=st.lists(st.sampled_from(VOLUMES), min_size=1, max_size=3, unique=True),
)
def test_volumes_hold_more_than_their_stacks(depths: list[int], sizes: list[int], volumes: list[str]) -> None:
    plan = make(
        Request(
            scenarios=("copy_up", "inodes"),
            drivers=("overlay2",),
            volumes=tuple(volumes),
            depths=tuple(depths),
            sizes=tuple(sizes),
        )
    )
    assert set(plan.volumes) == set(volumes)
    for name, volume in plan.volumes.items():
        inodes, size = needed(plan, name)
        assert volume.inodes > inodes
        # Beside the stacks: the largest copy_up of all files of a unit, for each of two containers.
        assert volume.bytes > size + 3 * max(sizes)
        assert volume.bytes >= discovery.volume(name).minimum_bytes
    assert plan.needed_bytes == sum(volume.bytes for volume in plan.volumes.values())


def test_each_chain_is_as_deep_as_its_deepest_cell() -> None:
    plan = make(Request(scenarios=("lookup", "copy_up"), volumes=("ext4", "xfs")))
    for key, stack in plan.stacks.items():
        depths = {
            cell.depth
            for cell in plan.cells[key.scenario]
            if (cell.arm.driver, cell.arm.volume) == (key.driver, key.volume) and set(key.content) <= set(cell.params)
        }
        assert set(stack.depths) == depths
        assert len(stack.layers) == max(depths)


def test_arms_with_options_share_the_chain_of_their_driver() -> None:
    plan = make(Request(scenarios=("lookup",), volumes=("xfs",), drivers=("overlay2", "overlay2,metacopy=on")))
    assert {key.driver for key in plan.stacks} == {NATIVE, "overlay2"}
    assert len(plan.stacks) == 2
    assert {cell.arm.name for cell in plan.cells["lookup"]} == {
        "native@xfs",
        "overlay2@xfs",
        "overlay2,metacopy=on@xfs",
    }


def test_depth_and_size_take_the_place_of_the_grids() -> None:
    plan = make(Request(**SMALL, depths=(2, 5), sizes=(4096, 0)))
    overlay2 = [cell for cell in plan.cells["copy_up"] if cell.arm.driver == "overlay2"]
    assert {cell.depth for cell in overlay2} == {2, 5}
    assert {cell.values["size"] for cell in overlay2} == {0, 4096}
    assert {cell.values["position"] for cell in overlay2} == {"top", "middle", "bottom"}
    unlayered = {cell.depth for cell in plan.cells["copy_up"] if cell.arm.driver == NATIVE}
    assert unlayered == {2, 5}


def test_size_leaves_scenarios_without_a_size_as_they_are() -> None:
    request = {"scenarios": ("lookup",), "volumes": ("ext4",)}
    assert make(Request(**request, sizes=(4096,))).cells == make(Request(**request)).cells  # type: ignore[arg-type]


def test_an_ordinary_user_gets_the_directory_no_cold_cells_and_the_reasons() -> None:
    plan = make(Request(rootless=True, drivers=("overlay2",)))
    cells = list(itertools.chain.from_iterable(plan.cells.values()))
    assert {cell.arm.volume for cell in cells} == {"dir"}
    assert Temperature.COLD not in {cell.temperature for cell in cells}
    told = {skip.what: skip for skip in plan.skips}
    for what in ("volume ext4", "volume xfs", "lookup: cold cells"):
        assert told[what].fix == "run as root"


def test_a_directory_is_never_cold_for_root_either() -> None:
    plan = make(Request(volumes=("dir",), scenarios=("lookup",)))
    assert {cell.temperature for cell in plan.cells["lookup"]} == {Temperature.HOT, Temperature.NEW}
    reasons = [skip.reason for skip in plan.skips if skip.what == "lookup on overlay2@dir"]
    assert any(reason.startswith("no cold cells: the file system of a directory") for reason in reasons)


def test_an_absent_program_leaves_out_its_scenario_and_says_how_to_add_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "require_program", lambda name: Support.no(f"no {name}"))
    plan = make(Request(volumes=("ext4",)))
    assert "steady" not in plan.cells
    [skip] = [skip for skip in plan.skips if skip.what == "scenario steady"]
    assert skip.reason == "the program fio is not installed"
    assert "fio" in skip.fix
    with pytest.raises(BenchError, match="nothing to measure: scenario steady: the program fio is not installed"):
        make(Request(volumes=("ext4",), scenarios=("steady",)))


def refuse(reason: str) -> Any:
    return lambda self, volume=None: Support.no(reason, "add it")


def test_what_does_not_work_here_is_left_out_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(discovery.volume("xfs")), "probe", refuse("no xfs"))
    monkeypatch.setattr(discovery.driver("fuse-overlayfs"), "probe", refuse("no fuse"))
    told = {skip.what: skip for skip in make(Request(scenarios=("lookup",))).skips}
    assert (told["volume xfs"].reason, told["volume xfs"].fix) == ("no xfs", "add it")
    assert told["arm fuse-overlayfs@ext4"].reason == "no fuse"
    with pytest.raises(BenchError, match="volume xfs cannot be made here: no xfs; add it"):
        make(Request(volumes=("xfs",)))
    with pytest.raises(BenchError, match="arm fuse-overlayfs@ext4 cannot run here: no fuse; add it"):
        make(Request(drivers=("fuse-overlayfs",), volumes=("ext4",)))


def test_native_alone_is_nothing_to_measure() -> None:
    with pytest.raises(BenchError, match="nothing to measure"):
        make(Request(drivers=(NATIVE,), volumes=("ext4",)))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("5m", 300), ("1h", 3600), ("1.5m", 90), (" 2 min ", 120), ("8 sec", 8)],
)
def test_budgets(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds
    assert Request(budget=seconds).seconds == seconds


@pytest.mark.parametrize("text", ["", "m", "-5m", "5 days", "1e3", "5mm", "nan", "inf"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BenchError, match="is not a time; write it like 90s, 5m or 1h"):
        parse_seconds(text)


def test_a_profile_has_its_time() -> None:
    assert [Request(profile=name).seconds for name in ("quick", "standard", "full")] == [
        PROFILES[name].seconds for name in ("quick", "standard", "full")
    ]
    assert parse_profile("full") == "full"
    with pytest.raises(BenchError, match=r"unknown profile 'ful'; did you mean 'full'\?"):
        parse_profile("ful")


@pytest.mark.parametrize("text", ["0", "-1", "", "four", "1.5", "²"])
def test_what_is_no_depth_is_refused(text: str) -> None:
    with pytest.raises(BenchError, match="is not a depth; give a number of layers, 1 or more"):
        parse_depth(text)
    assert parse_depth(" 125 ") == 125


@pytest.mark.parametrize(("driver", "key", "value"), CHOICES)
def test_every_option_a_driver_declares_is_an_arm(driver: str, key: str, value: str) -> None:
    plan = make(Request(scenarios=("lookup",), volumes=("ext4",), drivers=(f"{driver},{key}={value}",), depths=(1,)))
    assert f"{driver},{key}={value}@ext4" in {cell.arm.name for cell in plan.cells["lookup"]}


def footprint_is_monotonous(driver: Driver, depth: int) -> bool:
    layers = [discovery.scenario("inodes").layer(index, {"files": 3}) for index in range(depth + 1)]
    recipe = discovery.volume("ext4")
    fewer, more = (driver.footprint(layers[:count], (count,), recipe) for count in (depth, depth + 1))
    return fewer.inodes < more.inodes and fewer.bytes < more.bytes


@pytest.mark.parametrize("name", sorted((*BY_HAND, *ENGINES)))
@given(depth=st.integers(1, 20))
def test_one_more_layer_takes_more(name: str, depth: int) -> None:
    assert footprint_is_monotonous(discovery.driver(name)(), depth)


@pytest.mark.parametrize(
    ("text", "volume", "values"),
    [
        ("overlay2@ext4,mkfs=-O quota,project,depth=3", "ext4,mkfs=-O quota,project", {"depth": "3"}),
        ("overlay2@ext4,mkfs=-E 'a=1,b=2',depth=3", "ext4,mkfs=-E 'a=1,b=2'", {"depth": "3"}),
        ("overlay2@ext4,mkfs=-m 0,mkfs=-O a,b", "ext4,mkfs=-m 0,mkfs=-O a,b", {}),
    ],
)
def test_an_argument_for_mkfs_may_have_commas(text: str, volume: str, values: dict[str, str]) -> None:
    arm, parameters = parse_arm(text)
    assert (arm.volume, parameters) == (volume, values)
    assert parse_arm(arm.name)[0] == arm


def test_braces_in_an_argument_for_mkfs_are_left_alone() -> None:
    recipe = discovery.volume("ext4,mkfs=-L {x}")
    assert recipe.mkfs("/dev/loop7", inodes=5)[-3:] == ["-L", "{x}", "/dev/loop7"]
    assert "5" in recipe.mkfs("/dev/loop7", inodes=5)


def test_an_open_quote_in_an_argument_for_mkfs_is_told() -> None:
    with pytest.raises(BenchError, match="No closing quotation; close the quote"):
        parse_arm("overlay2@ext4,mkfs=-O 'x")


def test_a_named_driver_is_measured_where_it_is_at_home_unless_a_volume_is_named_too() -> None:
    def arms(driver: str, *volumes: str) -> set[str]:
        plan = make(Request("standard", scenarios=("lookup",), drivers=(driver,), volumes=volumes))
        assert set(plan.volumes) == {cell.arm.volume for cell in plan.cells["lookup"]}
        return {cell.arm.name for cell in plan.cells["lookup"]}

    loops = {f"{driver}@{volume}" for driver in ("native", "overlay2") for volume in ("ext4", "xfs", "btrfs")}
    assert arms("overlay2") == loops
    assert arms("overlay") == {"native@ext4", "native@xfs", "overlay@ext4", "overlay@xfs"}
    assert arms("overlay", "btrfs") == {"native@btrfs", "overlay@btrfs"}
    assert arms("zfs") == {"native@zfs", "zfs@zfs"}


def test_a_scenario_that_is_named_is_measured_by_the_least_profile_that_has_it() -> None:
    """The quick profile has no cells of mounting; who names it wants some."""
    assert "mounting" not in make(Request(volumes=("ext4",))).cells
    named = make(Request(scenarios=("mounting", "lookup"), volumes=("ext4",), drivers=("overlay2",))).cells
    standard = make(
        Request("standard", scenarios=("mounting", "lookup"), volumes=("ext4",), drivers=("overlay2",))
    ).cells
    assert named["mounting"] == standard["mounting"]
    assert len(named["lookup"]) < len(standard["lookup"])


def test_several_requests_make_one_plan_of_the_cells_that_each_has() -> None:
    first = Request(scenarios=("lookup",), drivers=("overlay2",), volumes=("ext4",), depths=(1, 4))
    other = replace(first, scenarios=("inodes",), drivers=("overlay2", "overlay"))
    plan = together([first, other])
    assert plan.all_cells == [*make(first).all_cells, *make(other).all_cells]
    assert (plan.request.scenarios, plan.request.drivers) == (("lookup", "inodes"), ("overlay2", "overlay"))
    assert {cell.arm.driver for cell in plan.cells["lookup"]} == {"native", "overlay2"}
    assert set(plan.volumes) == {"ext4"}


def test_a_plain_directory_that_is_not_copied_is_for_units_that_change_nothing() -> None:
    assert compare.make("native,copy=off@ext4", "overlay2@ext4", scenarios=["lookup"])
    with pytest.raises(BenchError, match=r"copy_up does not apply to .*: native has no copy here: what a unit changes"):
        compare.make("native,copy=off@ext4", "overlay2@ext4", scenarios=["copy_up"])
