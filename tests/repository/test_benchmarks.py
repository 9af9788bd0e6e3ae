"""The comparisons of speed: the harness measures what it says, and each manifest is of the script as it is."""

import importlib
import json
import re
import time
from functools import partial
from pathlib import Path

import harness
import pytest
import torch
from harness import OURS, PEER, Built, Case

ROOT = Path(__file__).resolve().parents[2]
NAMES = re.search(r"^COMPARISONS := (.+)$", (ROOT / "Makefile").read_text(), re.M)[1].split()
PINNED = dict(
    line.split("==") for line in (ROOT / "benchmarks/requirements.txt").read_text().splitlines() if line[0] != "#"
)
each = pytest.mark.parametrize("name", NAMES)


def manifest(name: str) -> dict:
    return json.loads((ROOT / f"results/bench-{name.replace('_', '-')}.json").read_text())


def compute(milliseconds: float) -> None:
    end = time.process_time() + milliseconds / 1000
    while time.process_time() < end:
        pass


def test_the_ratio_is_that_of_the_work():
    sides = {OURS: partial(Built, partial(compute, 2)), PEER: partial(Built, partial(compute, 5))}
    case = Case("waiting", "nobody", sides, items=10)
    spent = harness.take_turns({side: build().call for side, build in case.sides.items()}, rounds=5, seconds=0.01)
    ratios = [a / b for a, b in zip(spent[OURS], spent[PEER], strict=True)]
    assert harness.quartiles(ratios)["median"] == pytest.approx(0.4, abs=0.08)


def test_the_sides_take_turns_of_equally_many_calls():
    called = []

    def side(name, milliseconds):
        return lambda: (called.append(name), compute(milliseconds))

    harness.take_turns({"a": side("a", 1), "b": side("b", 3)}, rounds=3, seconds=0.009)
    turns = [found[0] for found in re.finditer(r"a+|b+", "".join(called[8:]))]  # a call and three to count, each
    assert len(turns) == 6 and len({turns[0], turns[2], turns[4]}) == len({turns[1], turns[3], turns[5]}) == 1
    assert len(turns[0]) > len(turns[1]) >= 2, "the quicker side makes more calls in a turn"


def test_waiting_for_the_machine_does_not_count():
    assert harness.cpu_seconds(lambda: time.sleep(0.02), 2) < 0.01


def test_sides_whose_results_differ_are_not_compared():
    case = Case("two numbers", "nobody", {}, difference=lambda: 2e-4)
    with pytest.raises(SystemExit, match="two numbers: the results of the two sides differ by 0.0002, above 0.0001"):
        harness.measure(case, 1, 0.01)


def test_peak_memory_is_that_of_a_side_in_a_process_of_its_own():
    ballast = torch.ones(100_000_000)  # 400 MB here, which must not count there
    plain, hungry = (harness.peak_memory(partial(Built, partial(torch.ones, count))) for count in (1, 100_000_000))
    assert 380 < hungry - plain < 500 and plain < 900
    assert ballast[0] == 1


def test_a_peer_that_is_missing_is_named_with_what_to_install():
    with pytest.raises(SystemExit, match="no-such-peer is not installed here(.|\n)*-r benchmarks/requirements.txt"):
        harness.need("no_such_peer", "no-such-peer")


@each
def test_each_side_can_be_built_or_says_which_peer_is_missing(name):
    for case in importlib.import_module(name).CASES.values():
        for build in case.sides.values():
            try:
                assert callable(build().call)
            except SystemExit as stop:
                assert re.match(r"(\S+) is not installed here", str(stop))[1] in PINNED


@pytest.mark.filterwarnings("ignore::UserWarning:torchmetrics")
def test_the_metrics_agree_with_torchmetrics():
    for name, case in importlib.import_module("metrics").CASES.items():
        assert case.difference() <= case.allowed <= 1e-4, name


@each
def test_each_manifest_is_of_its_script_as_it_is(name):
    cases, measured = importlib.import_module(name).CASES, manifest(name)
    assert measured["command"].startswith(f"python benchmarks/{name}.py ") and measured["threads"] == 1
    assert {key: [case.about, case.peer] for key, case in cases.items()} == {
        key: [case["about"], case["against"]] for key, case in measured["cases"].items()
    }
    for key, case in measured["cases"].items():
        sides = [side for side in (OURS, PEER) if side in case]
        assert set(sides) == set(cases[key].sides)
        for side in sides:
            seconds = case[side]["cpu_seconds"]
            assert 0 < seconds["q1"] <= seconds["median"] <= seconds["q3"] and case[side]["peak_memory_mb"] > 100
        if OURS in case:
            assert case["ratio"]["q1"] <= case["ratio"]["median"] <= case["ratio"]["q3"]


@each
def test_a_peer_was_measured_in_the_version_that_is_asked_for(name):
    peers = {case.peer for case in importlib.import_module(name).CASES.values()} & set(PINNED)
    assert {peer: manifest(name)["versions"][peer] for peer in peers} == {peer: PINNED[peer] for peer in peers}


@each
def test_equal_work_has_about_equal_parameters(name):
    for case in manifest(name)["cases"].values():
        if OURS in case:
            assert case[OURS]["parameters"] == pytest.approx(case[PEER]["parameters"], rel=0.01)
