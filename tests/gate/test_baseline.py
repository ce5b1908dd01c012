"""A baseline: what it takes from a run, that it comes back as written, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.gate.baseline import Baseline, Machine, Ratio, check_suite, make_baseline
from bench.gate.baseline_file import read_baseline, write_baseline
from bench.gate.figures import Figure
from bench.model import Temperature
from bench.reading.laws import Metric
from tests.builders import make_reading
from tests.gate.made import HOW, READINGS, analysed, timed, units

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.reading.analysis import Analysis

NEW = Temperature.NEW
FIGURE = "writes bytes overlay2@ext4 hot depth=1 position=top size=4096"
PARAMS = {"size": 4096, "position": "top"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "baseline.json"


def example(directory: Path) -> Analysis:
    return analysed(directory / "run", units([{"bytes": 4096}, {"bytes": 8192}], params=PARAMS), timed(2, depth=3))


def test_it_holds_what_the_run_counted_mounted_and_timed(tmp_path: Path) -> None:
    told = make_baseline(example(tmp_path), READINGS)
    assert (told.version, told.scenarios) == ("1.2.3", ("writes",))
    assert told.machine == Machine("A CPU", "x86_64", 2, 8, True, "6.1")
    assert told.options == {"writes overlay2@ext4": ("rw,relatime over ext4 rw,relatime",)}
    assert told.counters == {Figure.parse(FIGURE): (4096.0, 8192.0)}
    (figure,) = told.ratios
    assert str(figure) == "writes time overlay2@ext4 hot depth=3"
    ratio = told.ratios[figure]
    assert 1.98 < ratio.low <= ratio.value <= ratio.high < 2.02
    assert ratio.n == 12


def test_cells_of_comparisons_are_not_in_it_but_how_they_were_mounted_is(tmp_path: Path) -> None:
    compared = {"comparison": 0, "side": "a", "setup": 1}
    other = units([{"bytes": 1}], "overlay2,volatile=on@ext4", params=compared)
    told = make_baseline(analysed(tmp_path / "run", units([{"bytes": 2}]), other), READINGS)
    assert [str(figure) for figure in told.counters] == ["writes bytes overlay2@ext4 hot depth=1"]
    assert sorted(told.options) == ["writes overlay2,volatile=on@ext4", "writes overlay2@ext4"]


@pytest.mark.parametrize(
    ("how", "volume", "options"),
    [
        ({**HOW, "options": "rw,uuid=on,lowerdir×64"}, "ext4", ("rw,uuid=on over ext4 rw,relatime",)),
        ({**HOW, "options": "ro,lowerdir+=/a,lowerdir=b,upperdir=/c,workdir=/d"}, "xfs", ("ro over ext4 rw,relatime",)),
        ({**HOW, "options": "rw,log=/tmp/x"}, "ext4", ("rw over ext4 rw,relatime",)),
        ({"mount": "none: a directory", "backing": "xfs rw"}, "xfs", ("xfs rw",)),
        ({**HOW, "options": "rw", "backing": "btrfs rw,subvolid=7"}, "dir", ("rw",)),
        ({}, "ext4", None),
    ],
)  # fmt: skip
def test_options_tell_no_layer_and_no_place(
    tmp_path: Path, how: dict[str, str], volume: str, options: tuple[str, ...] | None
) -> None:
    told = make_baseline(analysed(tmp_path / "run", units([{"bytes": 1}], f"overlay2@{volume}", how=how)), READINGS)
    assert told.options.get(f"writes overlay2@{volume}") == options


def test_a_unit_that_failed_tells_no_options(tmp_path: Path) -> None:
    failed = units([{}], how={"backing": "ext4 ro"}, error="it broke")
    told = make_baseline(analysed(tmp_path / "run", units([{"bytes": 1}]), failed), READINGS)
    assert told.options == {"writes overlay2@ext4": ("rw,relatime over ext4 rw,relatime",)}


def test_only_a_headline_that_is_a_time_is_stored(tmp_path: Path) -> None:
    analysis = analysed(tmp_path / "run", timed(2))
    for headline, unit in (("other", "ns"), ("time", "bytes/s")):
        metrics = (Metric("other", "another"), Metric("time", "this", unit))
        scenario = make_reading("writes", metrics=metrics, judged_metric=headline)
        with pytest.raises(BenchError, match="makes no baseline"):
            make_baseline(analysis, {"writes": scenario})
    assert make_baseline(analysis, READINGS).ratios


def test_a_ratio_without_an_interval_is_not_stored(tmp_path: Path) -> None:
    told = make_baseline(analysed(tmp_path / "run", timed(2, blocks=1), units([{"bytes": 1}])), READINGS)
    assert not told.ratios


def test_the_file_has_a_figure_a_line_sorted(tmp_path: Path, path: Path) -> None:
    write_baseline(path, make_baseline(example(tmp_path), READINGS))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert f'  "{FIGURE}": [4096, 8192]' in lines
    assert '  "cpu_model": "A CPU",' in lines
    assert json.loads(path.read_text(encoding="utf-8"))["schema"] == 1
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == [path.name]
    counters = units([{"b": 1, "a": 2, "c": 3}])
    write_baseline(path, make_baseline(analysed(tmp_path / "other", counters), READINGS))
    told = [line.split('"')[1] for line in path.read_text(encoding="utf-8").splitlines() if ": [" in line]
    assert [name.split()[1] for name in told if "depth" in name] == ["a", "b", "c"]


words = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=8)
numbers = st.one_of(st.integers(-(2**50), 2**50).map(float), st.floats(-1e9, 1e9))
arms = st.lists(words, min_size=1, max_size=3).map(" ".join)
wheres = st.tuples(st.sampled_from(Temperature), st.integers(0, 500), st.lists(words, max_size=3)).map(
    lambda told: " ".join([told[0].value, f"depth={told[1]}", *told[2]])
)
figures = st.builds(Figure, st.sampled_from(["writes", "reads"]), words, arms, wheres)
ratios = st.builds(Ratio, *[st.floats(1e-6, 1e6)] * 3, st.integers(1, 1000)).map(
    lambda told: Ratio(told.value, min(told.low, told.high), max(told.low, told.high), told.n)
)
machines = st.builds(
    Machine, st.none() | words, st.none() | words, st.none() | st.integers(1, 512), st.none() | st.integers(0, 4096),
    st.none() | st.booleans(), st.none() | words,
)  # fmt: skip
baselines = st.builds(
    Baseline, words, st.just(("reads", "writes")), machines,
    st.dictionaries(words, st.lists(words, max_size=2).map(tuple), max_size=3),
    st.dictionaries(figures, st.tuples(numbers, numbers).map(lambda told: (min(told), max(told))), max_size=4),
    st.dictionaries(figures, ratios, max_size=4),
)  # fmt: skip


@given(figure=figures)
def test_a_figure_is_read_as_it_is_written(figure: Figure) -> None:
    assert Figure.parse(str(figure)) == figure


@given(baseline=baselines)
def test_a_baseline_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, baseline: Baseline) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    write_baseline(path, baseline)
    assert read_baseline(path) == baseline
    first = path.read_bytes()
    others: dict[str, Any] = {
        name: dict(reversed(getattr(baseline, name).items())) for name in ("options", "counters", "ratios")
    }
    write_baseline(path, dataclasses.replace(baseline, **others))
    assert path.read_bytes() == first, "the order in which figures were met is seen in the file"


def test_arms_of_every_kind_have_a_name_that_is_read_back(tmp_path: Path, path: Path) -> None:
    arm = "overlay2,metacopy=on@ext4"
    told = make_baseline(analysed(tmp_path / "run", units([{"bytes": 1.5}], arm, temperature=NEW)), READINGS)
    write_baseline(path, told)
    assert read_baseline(path) == told
    assert Figure.parse("w b overlay2@ext4,mkfs=-O ^has_journal new container depth=8").arm.endswith("has_journal")


def test_there_must_be_something_to_store(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="run run makes no baseline: it has no counter and no ratio to native"):
        make_baseline(analysed(tmp_path / "run", units([{}])), READINGS)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    told = make_baseline(example(tmp_path), READINGS)
    with pytest.raises(BenchError, match=r"cannot write the baseline to .*: No such file or directory"):
        write_baseline(tmp_path / "missing" / "baseline.json", told)


def put(*keys: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Return a change of a baseline: this value at these keys."""

    def change(told: dict[str, Any]) -> None:
        for key in keys[:-1]:
            told = told[key]
        told[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (put("schema", value=2), "was written by a newer version: schema 2, this version reads up to 1"),
        (put("schema", value="1"), "schema is '1': expected a whole number, got text"),
        (put("schema", value=True), "schema is True: expected a whole number, got true or false"),
        (put("schema", value=0), "schema is 0: expected a whole number >= 1"),
        (put("conters", value={}), "'conters'; did you mean 'counters'?"),
        (lambda told: told.pop("counters"), "it lacks counters"),
        (lambda told: told["machine"].pop("kernel"), "it lacks kernel"),
        (put("counters", value=[]), "counters cannot be read: expected a table, got a list"),
        (put("suite", "scenarios", value=["reads"]), "it has figures of writes, which is not among its scenarios"),
        (put("suite", "scenarios", value="writes"), "suite.scenarios is 'writes': expected a list, got text"),
        (put("suite", "version", value=1), "suite.version is 1: expected text"),
        (put("machine", "cores", value="2"), "machine.cores is '2': expected a whole number or nothing"),
        (put("machine", "cores", value=True), "machine.cores is True: expected a whole number or nothing"),
        (put("options", "writes overlay2@ext4", value="rw"), "options[...] cannot be read: expected a list, got text"),
        (put("counters", FIGURE, value=4096), "counters[...] cannot be read: expected a list, got a whole number"),
        (put("counters", FIGURE, value=[1, 2, 3]), "expected a list of length 2, got 3"),
        (put("counters", FIGURE, value=["1", 2]), "counters[...][0] cannot be read: expected a number, got text"),
        (put("counters", FIGURE, value=[True, 2]), "counters[...][0] cannot be read: expected a number"),
        (put("counters", FIGURE, value=[1, 10**400]), "counters[...][1] cannot be read: number out of range"),
        (put("counters", FIGURE, value=[2, 1]), f"{FIGURE} has 2 as the least and 1 as the largest value"),
        (put("counters", "writes bytes", value=[1, 2]), "'writes bytes' is not SCENARIO FIGURE ARM TEMPERATURE"),
        (put("ratios", FIGURE, value=[1, 2, 3]), "expected a list of length 4, got 3"),
        (put("ratios", FIGURE, value=[1, 2, 1, 3]), "no ratio with its interval"),
        (put("ratios", FIGURE, value=[-1, 1, 2, 3]), "no ratio with its interval"),
        (put("ratios", FIGURE, value=[1, 1, 2, 0]), "no ratio with its interval"),
        (put("ratios", FIGURE, value=[1, 1, 2, 1.5]), "no ratio with its interval"),
    ],
)  # fmt: skip
def test_what_is_no_baseline_is_one_line(
    tmp_path: Path, path: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    write_baseline(path, make_baseline(example(tmp_path), READINGS))
    told = json.loads(path.read_text(encoding="utf-8"))
    change(told)
    path.write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(BenchError) as caught:
        read_baseline(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"schema": NaN}', "is not JSON: JSON is malformed"),
        ('{"schema": 1, "suite": \ud800}'.encode("utf-8", "surrogatepass"), "is not JSON"),
        ("[1]", "expected a table, got a list"),
        ("null", "expected a table, got nothing"),
    ],
)
def test_what_is_no_json_is_one_line(path: Path, text: str | bytes, said: str) -> None:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(BenchError) as caught:
        read_baseline(path)
    assert said in str(caught.value)


def test_a_file_that_is_missing_or_cannot_be_read(tmp_path: Path, path: Path) -> None:
    with pytest.raises(BenchError, match=r"no baseline .*baseline.json; make one from a run you trust"):
        read_baseline(path)
    with pytest.raises(BenchError, match=r"cannot read .*: Is a directory"):
        read_baseline(tmp_path)


def test_a_baseline_of_other_scenarios_is_refused(tmp_path: Path, path: Path) -> None:
    analysis = example(tmp_path)
    told = make_baseline(analysis, READINGS)
    check_suite(told, path, analysis, READINGS)
    with pytest.raises(BenchError, match=r"baseline.json has figures of scenario 'writes': version 1.2.3 had it"):
        check_suite(told, path, analysis, {"reads": READINGS["reads"]})
    other = analysed(tmp_path / "other", units([{"bytes": 1}], scenario="reads"))
    with pytest.raises(BenchError, match="no figure of run other: it is about writes; the run, about reads"):
        check_suite(told, path, other, READINGS)
