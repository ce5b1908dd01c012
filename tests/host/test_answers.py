"""JSON among what else a program prints, or the program's own words."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.host.answers import answered, ended, last_words

WORDS = st.text(alphabet='ab{}[]":, \n', max_size=30)


@given(before=WORDS, after=WORDS)
def test_an_answer_is_found_among_warnings(before: str, after: str) -> None:
    text = f"{before}\n{json.dumps({'wanted': {'inside': [1]}})}{after}"
    assert answered("program", text, lambda told: told["wanted"]["inside"]) == [1]


@pytest.mark.parametrize(
    ("text", "said", "words"),
    [
        ("", "", "it said nothing"),
        ("", "a\nthe reason\n\n", "the reason"),
        ("no answer\n", "", "no answer"),
        ('{"other": 1}', "", '{"other": 1}'),
        ('{"wanted": [1, 2', "", '{"wanted": [1, 2'),
        ("[" * 10_000, "too deep", "too deep"),
    ],
)
def test_without_an_answer_it_is_the_programs_own_words(text: str, said: str, words: str) -> None:
    with pytest.raises(BenchError) as caught:
        answered("program", text, lambda told: told["wanted"], said=said)
    assert str(caught.value) == f"program gave no answer that can be read: {words}"


@pytest.mark.parametrize(
    ("status", "stderr", "words"),
    [
        (0, "", ""),
        (1, "why\n", "program failed with status 1: why"),
        (1, "", "program failed with status 1: out"),
        (-9, "why", "program was ended by SIGKILL: why"),
        (-40, "", "program was ended by signal 40: out"),
    ],
)
def test_how_a_program_ended(status: int, stderr: str, words: str) -> None:
    done: subprocess.CompletedProcess[Any] = subprocess.CompletedProcess(["program"], status, "out\n", stderr)
    if not words:
        ended("program", done)
        return
    with pytest.raises(BenchError) as caught:
        ended("program", done)
    assert str(caught.value) == words


def test_last_words_are_of_the_first_that_said_anything() -> None:
    assert last_words("\n \n", "one\ntwo \n\n") == "two"
    assert last_words("", '{\n  "jobs": [\nfio: why\n  ]\n}\n') == "fio: why"
    assert last_words('{"all": 1}') == '{"all": 1}'
