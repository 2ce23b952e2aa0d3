"""The test command: style, types, room contracts, tests, conformance, and wheels that work away from the checkout.

``python tools/check.py`` runs what must pass before a change goes in and prints a summary; ``check.py quick`` a part of
the conformance kit on OpenCL in place of the whole, ``check.py style tests`` only some steps, ``check.py exhaustive``
what is too long for every day. Steps that keep one core busy run two at once.
The exit status is 1 if a step failed; later steps run all the same. The summary comes also where a step, or this
program, is ended from outside; each line of it is in ``.pytest_cache/check.txt`` as soon as its step is over, and below
them, in the form of pytest's own last line, how many tests there were in all. What failed without a test that did, mypy
say, is one error there.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from requirements import ROOT, projects, requirements

BIN = Path(sys.executable).parent
PACKAGES = ["kcore", *(f"backends/{b}/kcore_{b}" for b in ("numpy", "opencl", "cuda")), "plugins/rotary/kcore_rotary"]
#: The summary as far as it has come; its last line is that of `total`.
RECORD = ROOT / ".pytest_cache" / "check.txt"
#: A line of it: the summary was printed.
SAID = "the summary was printed"
#: The line with which pytest ends, quiet or not.
CLOSING = re.compile(r"=* ?((?:\d+ [a-z]+, )*\d+ [a-z]+|no tests ran) in \d+\.\d+s(?: \(\d+:\d\d:\d\d\))?(?: =*)?")
#: What is told of its counts, in pytest's order.
OUTCOMES = ("failed", "passed", "skipped", "xfailed", "xpassed", "errors")
#: Cores that are kept busy.
CORES = 2


@dataclass
class Step:
    """One step: what it runs, and how it went.

    Attributes:
        work: runs the step's commands.
        cores: how many cores it keeps busy.
        seconds, processor, peak: wall time, time of all processors, and bytes of the largest process.
        failed: the commands that failed, with how they ended.
        counts: how many tests passed, failed, ..., by pytest's words; None before the first run of pytest.
        untested: how many commands failed though no test of theirs did.
        left_out: why the step had nothing to run.
    """

    work: Callable[[Step], object]
    cores: int = 1
    seconds: float = 0.0
    processor: float = 0.0
    peak: int = 0
    failed: list[str] = field(default_factory=list)
    counts: Counter[str] | None = None
    untested: int = 0
    left_out: str = ""
    done: bool = False

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return self.work.__name__

    def run(self) -> Step:
        """Run it, and note how long it took and how it went."""
        start = time.perf_counter()
        try:
            self.work(self)
        except Exception as error:  # a step that breaks off must not take the others' summary with it
            self.failed.append(f"{type(error).__name__}: {error}")
            self.untested += 1
        self.seconds, self.done = time.perf_counter() - start, not _ended.is_set()
        say(self.name, self.line())
        return self

    def command(self, *arguments: object, cwd: Path = ROOT, **environment: str) -> bool:
        """Run a command and say whether it went well; its output is printed line by line, the step's name before."""
        return self._command(arguments, cwd, environment)

    def pytest(self, *arguments: object) -> bool:
        """Run a command that is pytest at its end, and count its tests; one that ran no test has failed."""
        return self._command(arguments, ROOT, {}, tests=True)

    def _command(
        self, arguments: Iterable[object], cwd: Path, environment: dict[str, str], tests: bool = False
    ) -> bool:
        if _ended.is_set():
            return False
        words = [str(a) for a in arguments]
        say(self.name, f"$ {shlex.join(words)}")
        process = subprocess.Popen(
            words,
            cwd=cwd,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        closing = ""
        with running(process):
            assert process.stdout is not None
            for line in process.stdout:
                say(self.name, line.rstrip("\n"))
                if tests and (found := CLOSING.fullmatch(line.strip())):
                    closing = found[1]  # a test may print such a line: the last is pytest's own
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        self.processor += used.ru_utime + used.ru_stime
        self.peak = max(self.peak, used.ru_maxrss << 10)
        counts, how = counted(closing), []
        if tests:
            self.counts = (self.counts or Counter()) + counts
            how = [] if counts else ["no test ran" if closing else "pytest did not get to its last line"]
            how += [told(Counter({word: counts[word]})) for word in ("failed", "errors") if counts[word]]
        if process.returncode:
            code = process.returncode
            how.append(f"exit status {code}" if code > 0 else f"ended by {signal.Signals(-code).name}")
        if how:
            self.failed.append(f"{', '.join(how)}: {shlex.join(words)}")
            self.untested += not (counts["failed"] or counts["errors"])
        return not how

    def line(self) -> str:
        """How it went, in one line, and below it what failed and how to run the step alone."""
        state = "not done" if not self.done else "FAILED" if self.failed else "passed"
        text = f"{self.name:18} {state:8} {self.seconds:7.1f} s, processors {self.processor:7.1f} s"
        text += f", largest process {self.peak / 1e6:5.0f} MB" if self.peak else ""
        text += f", {told(self.counts)}" if self.counts is not None else ""
        text += f", {self.left_out}" if self.left_out else ""
        again = [f"    {f}" for f in self.failed]
        if again or not self.done:
            again.append(f"    the step alone: {os.path.relpath(sys.executable, ROOT)} tools/check.py {self.name}")
        return "\n".join([text, *again])


def counted(text: str) -> Counter[str]:
    """The counts of a closing line of pytest, "1 failed, 3 passed, 1 error"; nothing for "no tests ran"."""
    found = ((int(number), "errors" if word == "error" else word) for number, word in re.findall(r"(\d+) (\w+)", text))
    return Counter({word: number for number, word in found if word in OUTCOMES and number})


def told(counts: Counter[str]) -> str:
    """Counts in pytest's words."""
    words = {"errors": "error"} if counts["errors"] == 1 else {}
    return ", ".join(f"{counts[w]} {words.get(w, w)}" for w in OUTCOMES if counts[w]) or "no tests ran"


def total(steps: Iterable[Step], seconds: float) -> str:
    """How all tests went, in the form of pytest's own last line; what failed beside them counts as errors.

    A step that is not done is one error.
    """
    counts: Counter[str] = Counter()
    for step in steps:
        counts += step.counts or Counter()
        counts["errors"] += step.untested + (not step.done)
    return f"==== {told(counts)} in {seconds:.2f}s ===="


def write(steps: list[Step], seconds: float, *more: str) -> None:
    """Put the summary into `RECORD` as far as it is."""
    over = [step for step in steps if step.done]
    RECORD.write_text("\n".join([*(step.line() for step in over), *more, total(steps, seconds)]) + "\n")


_printing = threading.Lock()
_processes: set[subprocess.Popen[str]] = set()
_ended = threading.Event()


def say(name: str, text: str) -> None:
    """Print lines, the name of the step before each."""
    with _printing:
        for line in text.split("\n"):
            print(f"{name:18}| {line}", flush=True)


@contextmanager
def running(process: subprocess.Popen[str]) -> Iterator[None]:
    """Context in which a process, and those it started, are ended when this program is."""
    _processes.add(process)
    try:
        yield
    finally:
        _processes.discard(process)


# -- the steps -------------------------------------------------------------------------------------------------------


def style(step: Step) -> None:
    """Ruff, and import-linter for the contracts between rooms."""
    step.command(BIN / "ruff", "format", "--check", ".")
    step.command(BIN / "ruff", "check", ".")
    step.command(BIN / "lint-imports")


def types(step: Step) -> None:
    """Mypy."""
    step.command(BIN / "mypy")


def tests(step: Step) -> None:
    """Unit tests of all distributions, in two processes."""
    step.pytest(BIN / "python", "-m", "pytest", "-q", "-n", "2", "--dist", "worksteal")


def doctests(step: Step) -> None:
    """Every example in a docstring."""
    options = ["-q", "-n", "2", "--doctest-modules", "--ignore=kcore/testing"]
    step.pytest(BIN / "python", "-m", "pytest", *options, *PACKAGES)


def numpy(step: Step) -> None:
    """The conformance kit on numpy."""
    kit(step, "numpy")


def numpy_primitives(step: Step) -> None:
    """The conformance kit on numpy without the kernels of composites."""
    kit(step, "numpy", "--primitives-only")


def nvrtc(step: Step) -> None:
    """Every CUDA kernel compiled for each architecture; the unit tests compile some."""
    step.pytest(BIN / "python", "-m", "pytest", "-q", "-m", "nvrtc", "backends/cuda/tests/test_nvrtc.py")


def opencl(step: Step) -> None:
    """A part of the kit on an OpenCL driver: the first sample of every op, compiled, in float32."""
    code = "import kcore; print('intel-cpu' if kcore.is_backend_available('opencl:intel-cpu') else 'pocl')"
    name = subprocess.run([BIN / "python", "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout.strip()
    kit(step, f"opencl:{name}", "--", "--dtypes", "float32", "--case", "*:0:*", "-k", "test_compiled")


def opencl_intel(step: Step) -> None:
    """The conformance kit on Intel's OpenCL driver for CPUs."""
    kit(step, "opencl:intel-cpu")


def opencl_pocl(step: Step) -> None:
    """The conformance kit on PoCL."""
    kit(step, "opencl:pocl")


def exhaustive(step: Step) -> None:
    """What takes long: the slow tests, and the kit on OpenCL's CPU drivers without the kernels of composites."""
    step.pytest(BIN / "python", "-m", "pytest", "-q", "-n", "2", "--dist", "worksteal", "-m", "slow")
    for name in ("opencl:intel-cpu", "opencl:pocl"):
        kit(step, name, "--primitives-only", "--", "-n", "2")


def kit(step: Step, name: str, *options: str) -> None:
    """The conformance kit on a device, where it answers: every driver of the tests comes by pip on x86-64 Linux."""
    code = f"import kcore; raise SystemExit(not kcore.is_backend_available({name!r}))"
    if subprocess.run([BIN / "python", "-c", code], cwd=ROOT).returncode:
        step.left_out = f"{name} does not answer here"
        return
    more = [] if "--" in options else ["--"]
    step.pytest(BIN / "kcore", "test-backend", name, *options, *more, "-q")


def wheels(step: Step) -> None:
    """Build every distribution, install the wheels into a new environment far from here, and run the demo there."""
    folder = Path(tempfile.mkdtemp(prefix="kcore-wheels-"))
    try:
        for project in projects():
            options = ("--no-isolation", "--wheel", "--outdir", folder, project)
            if not step.command(BIN / "python", "-m", "build", *options):
                return
        built = sorted(folder.glob("*.whl"))
        cuda = [wheel for wheel in built if wheel.name.startswith("kcore_cuda")]
        away = folder / "away"
        away.mkdir()
        python = folder / "venv" / "bin" / "python"
        pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        home = {"HOME": str(away), "KERAS_HOME": "", "KERAS_BACKEND": "", "PYTHONPATH": ""}
        kcore = python.parent / "kcore"
        _ = (
            step.command(sys.executable, "-m", "venv", folder / "venv", cwd=away)
            and step.command(*pip, *requirements(["demo", "opencl"]), cwd=away)
            and step.command(*pip, "--no-deps", *(wheel for wheel in built if wheel not in cuda), cwd=away)
            and step.command(python, "-m", "pip", "check", cwd=away)
            and step.command(kcore, "--version", cwd=away, **home)
            and step.command(kcore, "doctor", cwd=away, **home)
            and step.command(kcore, "demo", cwd=away, **home)
            # where there is no GPU the doctor misses one; all else goes on
            and step.command(*pip, "--no-deps", *cuda, cwd=away)
            and step.command(python, "-m", "pip", "check", cwd=away)
            and step.command(kcore, "devices", cwd=away, **home)
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


#: Cheap ones, and those likely to fail, first.
STEPS = (
    Step(style),
    Step(types),
    Step(numpy),
    Step(numpy_primitives),
    Step(tests, cores=2),
    Step(doctests, cores=2),
    Step(wheels),
    Step(nvrtc),
    Step(opencl_intel),
    Step(opencl_pocl),
)
#: What `quick` leaves out, and what it has in their place.
WHOLE, PART = (nvrtc, opencl_intel, opencl_pocl), Step(opencl)
#: Steps that run only when they are named.
LONG = (Step(exhaustive, cores=2),)


def run(steps: list[Step]) -> None:
    """Run the steps in order, as many at once as there are cores for."""
    waiting, busy, start = list(steps), {}, time.perf_counter()
    with ThreadPoolExecutor(CORES) as pool:
        while waiting or busy:
            while waiting and waiting[0].cores <= CORES - sum(s.cores for s in busy.values()):
                step = waiting.pop(0)
                busy[pool.submit(step.run)] = step
            finished: set[Future[Step]] = wait(busy, return_when=FIRST_COMPLETED).done
            for future in finished:
                del busy[future]
            write(steps, time.perf_counter() - start)


def end(number: int, frame: object) -> None:
    """End what runs when a signal asks this program to end, and print the summary."""
    _ended.set()
    for process in list(_processes):
        os.killpg(process.pid, signal.SIGKILL)
    print(f"\nended by {signal.Signals(number).name}")
    raise SystemExit(128 + number)


def main(names: list[str]) -> int:
    """Run the steps and print how each went."""
    known = {step.name: step for step in (*STEPS, PART, *LONG)}
    if names == ["quick"]:
        names = [*(step.name for step in STEPS if step.work not in WHOLE), PART.name]
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no step is called {', '.join(unknown)}; there are: quick, {', '.join(known)}")
        return 2
    steps = [known[name] for name in names] or list(STEPS)
    RECORD.parent.mkdir(exist_ok=True)
    write(steps, 0.0)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, end)
    start = time.perf_counter()
    try:
        run(steps)
    finally:
        print("\n=== summary ===")
        for step in steps:
            print(step.line())
        seconds = time.perf_counter() - start
        counts = sum((step.counts for step in steps if step.counts), Counter[str]())
        print(f"{len(steps)} steps in {seconds:.0f} s, tests: {told(counts)}", flush=True)
        write(steps, seconds, SAID)
    return 0 if all(step.done and not step.failed for step in steps) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
