"""Is the page of proven requirements true, complete and up to date?"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from local_controller.station.blocks.configuration import Configuration
from tests.test_functional_blocks import CLAIMED, GUARDED, SELDOM

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "docs" / "make_ocpp_coverage.py"


@pytest.fixture(scope="module")
def coverage() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_ocpp_coverage", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_committed_page_is_what_the_markers_say_and_every_marker_names_a_known_id() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--check"], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith("of 150 proven")


def test_the_list_is_complete_and_says_of_each_requirement_what_it_must(coverage: ModuleType) -> None:
    requirements = coverage.read_requirements(coverage.SOURCE)
    assert [one.id for one in requirements] == [f"LC-{number:03}" for number in range(1, 151)]
    for one in requirements:
        assert one.text.endswith("."), one
        assert set(one.versions.split()) <= {"1.6", "2.0.1", "2.1"}, one
        assert one.versions, one
        assert one.priority in {"must", "should", "optional"}, one


@pytest.mark.parametrize(
    ("still_open", "tests", "verdict"),
    [
        ("", [("a.py", "test_it", "")], "proven"),
        ("", [], "no test yet"),
        ("", [("a.py", "test_it", "skip: later")], "no test yet"),
        ("", [("a.py", "test_it", "xfail: known"), ("a.py", "test_more", "")], "proven"),
        ("the rest", [("a.py", "test_it", "")], "partly; open: the rest"),
        (None, [("a.py", "test_it", "")], "partly: nobody has judged yet whether these tests prove all of it"),
    ],
)
def test_only_running_tests_that_were_found_to_prove_all_of_it_count(
    coverage: ModuleType, still_open: str | None, tests: list[tuple[str, str, str]], verdict: str
) -> None:
    one = coverage.Requirement("LC-001", "Topic", "It works.", "2.1", "must", still_open)
    found = {coverage.Test(*test) for test in tests}
    assert coverage.verdict(one, found) == verdict
    counted = 1 if verdict == "proven" else 0
    assert coverage.summary([one], {"LC-001": found}) == f"LC requirements: {counted} of 1 proven"


def test_an_id_that_does_not_exist_is_named_with_its_test(coverage: ModuleType) -> None:
    one = coverage.Requirement("LC-001", "Topic", "It works.", "2.1", "must", "")
    test = coverage.Test("tests/a.py", "test_it")
    assert coverage.unknown_ids([one], {"LC-001": {test}}) == []
    (complaint,) = coverage.unknown_ids([one], {"LC-001": {test}, "LC-999": {test}})
    assert "tests/a.py::test_it names 'LC-999'" in complaint


@pytest.mark.requirement("LC-150")
def test_every_action_has_a_class_and_a_dialogue_with_an_answer_and_one_with_an_error(coverage: ModuleType) -> None:
    classes, shown = coverage.read_classes(coverage.CLASSES), coverage.shown_in(coverage.DIALOGUES)
    every = {version: coverage.actions(folder) for version, (_, folder) in coverage.VERSIONS.items()}
    assert {version: len(actions) for version, actions in every.items()} == {
        "ocpp1.6": 39,
        "ocpp2.0.1": 64,
        "ocpp2.1": 91,
    }
    assert {action for actions in every.values() for action in actions} == set(classes)
    assert {class_ for _, letters in classes.values() for class_ in letters.split()} == set("POIQLG")
    for version, actions in every.items():
        for action in actions:
            one = shown[version, action]
            assert one.played, (version, action)
            assert (one.answered and one.refused) or action == "NotifyPeriodicEventStream", (version, action)


def test_what_may_be_changed_or_refused_is_what_the_blocks_claim_or_revise(coverage: ModuleType) -> None:
    classes = coverage.read_classes(coverage.CLASSES)
    intercepted = {action for action, (_, letters) in classes.items() if "I" in letters.split()}
    guarded = {action for action, (_, letters) in classes.items() if "G" in letters.split()}
    assert guarded == set(GUARDED)
    assert intercepted - guarded == set(CLAIMED) | Configuration.REVISES | set(SELDOM)


def test_an_action_without_a_dialogue_is_shown_as_such(coverage: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text('# version: ocpp2.1\ncsms    > [2, "a","Reset",{}]\nstation > [4, "a","X","",{}]\n')
    shown = coverage.shown_in(tmp_path)
    assert coverage.actions_summary("ocpp2.1", ["Reset", "Heartbeat"], shown) == "1 of 2 actions in dialogues"
    assert (shown["ocpp2.1", "Reset"].refused, shown["ocpp2.1", "Reset"].answered) == ({"a.txt"}, set())
    part = "\n".join(coverage.actions_part(coverage.read_classes(coverage.CLASSES), shown))
    assert "| Heartbeat | Station to CSMS | O L | none | none |" in part
    assert "| Reset | CSMS to station | O | none | [a]" in part


STORY = """
import pytest

@pytest.mark.requirement("LC-001")
@pytest.mark.parametrize("n", [1, 2])
def test_both(n): pass

@pytest.mark.parametrize("n", [pytest.param(1, marks=pytest.mark.requirement("LC-002")), 2])
def test_one_of_two(n): pass

@pytest.mark.skip(reason="too slow")
@pytest.mark.requirement("LC-003")
def test_later(): pass
"""


def test_marks_are_collected_as_pytest_sees_them(tmp_path: Path) -> None:
    (tmp_path / "test_story.py").write_text(STORY)
    code = f"import sys; sys.path.insert(0, {str(SCRIPT.parent)!r})\nimport make_ocpp_coverage as m\nfrom pathlib import Path\n"
    code += f"m.ROOT = Path({str(tmp_path)!r})\n"
    code += "for i, tests in sorted(m.collect(m.ROOT).items()): print(i, *(f'{t.name} {t.never_runs}'.strip() for t in tests))"
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert said.splitlines() == ["LC-001 test_both", "LC-002 test_one_of_two[1]", "LC-003 test_later skip: too slow"]
