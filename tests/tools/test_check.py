"""The test command: what it counts, what it calls failed, and the last line of its output."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools")]

import check  # noqa: E402


@pytest.fixture(autouse=True)
def record(monkeypatch, tmp_path):
    """The file of the summary, here one of the test's own."""
    monkeypatch.setattr(check, "RECORD", tmp_path / "check.txt")
    return check.RECORD


def step(*commands, tests=True):
    """A step, run, of commands given as Python code."""

    def pretended(step):
        for code in commands:
            (step.pytest if tests else step.command)(sys.executable, "-c", code)

    return check.Step(pretended).run()


def says(closing, status=0):
    return f"print('{closing}'); raise SystemExit({status})"


@pytest.mark.parametrize(
    ("closing", "said"),
    [
        ("1018 passed, 2 skipped in 249.08s (0:04:09)", "1018 passed, 2 skipped"),
        ("==== 3 passed, 1 deselected, 4 warnings in 0.10s ====", "3 passed"),
        ("1 skipped, 2 xfailed, 1 xpassed in 0.10s", "1 skipped, 2 xfailed, 1 xpassed"),
    ],
)
def test_the_counts_of_pytests_last_line_stand_in_the_steps_line(closing, said):
    done = step(says(closing))
    assert done.line().endswith(f", {said}"), done.line()
    assert not done.failed


def test_several_runs_of_a_step_are_added_up_and_the_last_line_of_each_counts():
    inner = "print('9 passed in 0.01s')\n"  # printed by a test that runs pytest itself
    done = step(inner + says("2 passed in 0.10s"), says("3 passed, 1 skipped in 0.10s"))
    assert done.line().endswith(", 5 passed, 1 skipped")


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (says("no tests ran in 0.01s", 5), "no test ran, exit status 5: "),
        (says("no tests ran in 0.01s"), "no test ran: "),
        (says("3 deselected in 0.01s"), "no test ran: "),
        ("print('....')", "pytest did not get to its last line: "),
        ("import os; os.kill(os.getpid(), 9)", "pytest did not get to its last line, ended by SIGKILL: "),
    ],
)
def test_a_run_of_pytest_without_a_test_fails_its_step(code, why):
    done = step(code)
    assert " FAILED " in done.line() and "no tests ran" in done.line()
    assert done.failed[0].startswith(why), done.failed
    assert check.total([done], 1.0) == "==== 1 error in 1.00s ===="


def test_a_step_that_failed_says_how_many_tests_did_and_how_to_run_it_alone():
    done = step(says("1 failed, 3 passed, 2 errors in 0.10s", 1))
    first, second, third = done.line().splitlines()
    assert " FAILED " in first and first.endswith(", 1 failed, 3 passed, 2 errors")
    assert second.strip().startswith("1 failed, 2 errors, exit status 1: ")
    assert third.strip().endswith("tools/check.py pretended")


def test_the_total_is_in_pytests_form_and_what_fails_beside_the_tests_is_an_error():
    good, bad = step(says("3 passed, 1 skipped in 0.10s")), step(says("1 failed, 3 passed in 0.10s", 1))
    assert check.total([good], 2.5) == "==== 3 passed, 1 skipped in 2.50s ===="
    assert check.total([good, bad], 2.5) == "==== 1 failed, 6 passed, 1 skipped in 2.50s ===="
    mypy = step("raise SystemExit(1)", tests=False)
    assert mypy.counts is None
    assert check.total([good, mypy], 2.5) == "==== 3 passed, 1 skipped, 1 error in 2.50s ===="
    waiting = check.Step(lambda step: None)
    assert check.total([good, mypy, waiting], 2.5) == "==== 3 passed, 1 skipped, 2 errors in 2.50s ===="
    assert check.CLOSING.fullmatch(check.total([good, bad, mypy], 2.5))


def test_pytest_itself_is_counted(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(
        "import pytest\ndef test_a(): pass\ndef test_b(): pytest.skip('no')\n"
        "def test_c(): assert 0\n@pytest.fixture\ndef broken(): 1 / 0\ndef test_d(broken): pass\n"
    )

    def real(step):
        for only in ("test_it", "nothing"):
            step.pytest(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", only, tmp_path)

    done = check.Step(real).run()
    assert done.counts == {"passed": 1, "skipped": 1, "failed": 1, "errors": 1}
    assert [f.partition(": ")[0] for f in done.failed] == [
        "1 failed, 1 error, exit status 1",
        "no test ran, exit status 5",
    ]
    assert check.total([done], 1.0) == "==== 1 failed, 1 passed, 1 skipped, 2 errors in 1.00s ===="


def test_main_counts_what_its_steps_ran(monkeypatch, capsys, record):
    def counted(step):
        step.pytest(sys.executable, "-c", says("4 passed in 0.10s"))

    def broken(step):
        raise RuntimeError("no disk")

    monkeypatch.setattr(check.signal, "signal", lambda *_: None)
    monkeypatch.setattr(check, "STEPS", (check.Step(counted), check.Step(broken)))
    assert check.main([]) == 1
    assert capsys.readouterr().out.splitlines()[-1].endswith(" s, tests: 4 passed")
    *_, said, last = record.read_text().splitlines()
    assert said == check.SAID
    assert last.startswith("==== 4 passed, 1 error in ")


@pytest.mark.parametrize(
    ("recipe", "ci", "last"),
    [
        (
            "@mkdir .pytest_cache; printf 'said\\n==== 3 passed in 1.00s ====\\n' > {}",
            "ci: all steps passed",
            "==== 3 passed in",
        ),
        (
            f"@mkdir .pytest_cache; printf '{check.SAID}\\n==== 1 failed in 1.00s ====\\n' > {{}}; exit 1",
            "ci: not all is well, see the summary above",
            "==== 1 failed in",
        ),
        (
            "@mkdir .pytest_cache; printf 'style passed\\n==== 4 errors in 1.00s ====\\n' > {}; kill -9 $$$$",
            "style passed",
            "==== 4 errors in",
        ),
        ("@exit 1", "none", "==== 1 error in "),
    ],
)
def test_the_last_line_of_ci_is_the_total(tmp_path, recipe, ci, last):
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    (tmp_path / "Makefile").write_text(f"test:\n\t{recipe.format('.pytest_cache/check.txt')}\n")
    told = subprocess.run([tmp_path / ".ci" / "run"], stdout=subprocess.PIPE, text=True, timeout=60)
    assert told.stdout.splitlines()[-2] == ci, told.stdout
    assert told.stdout.splitlines()[-1].startswith(last), told.stdout
    assert bool(told.returncode) == (ci != "ci: all steps passed")
