"""Run the tests marked ``oclgrind``: kernels in Oclgrind, a simulator that reports invalid accesses and data races.

``python tools/oclgrind.py [pytest's arguments]`` installs Oclgrind by apt where it is missing. The exit status is
pytest's, and 1 where Oclgrind cannot be had.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Where Debian, Ubuntu and a build from source put the driver.
FOLDERS = ("/usr/lib/oclgrind", "/usr/lib/x86_64-linux-gnu/oclgrind", "/usr/local/lib", "/usr/lib")
LIBRARY = "liboclgrind-rt-icd.so"


def find() -> Path | None:
    """Oclgrind's OpenCL driver."""
    return next((file for folder in FOLDERS if (file := Path(folder) / LIBRARY).exists()), None)


def install() -> str:
    """Install Debian's package; why that is not possible, or ""."""
    if shutil.which("apt-get") is None:
        return "this system has no apt-get"
    become = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if become and shutil.which("sudo") is None:
        return "installing a package takes root, or sudo"
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", "oclgrind"]):
        command = [*become, "apt-get", "-q", *arguments]
        print("$", *command, flush=True)
        result = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if result.returncode:
            return f"{' '.join(command)} failed: {result.stderr.strip()}"
    return ""


def main(arguments: list[str]) -> int:
    """Find or install Oclgrind, make it the only driver the loader is told of, and run the tests."""
    why = "" if find() else install()
    library = find()
    if library is None:
        why = why or f"{LIBRARY} is in none of {', '.join(FOLDERS)}"
        print(
            f"Oclgrind is not there and cannot be installed: {why}.\n"
            "Install it as https://github.com/jrprice/Oclgrind says (Debian, Ubuntu: apt-get install oclgrind), then "
            "run this again.",
            file=sys.stderr,
        )
        return 1
    with tempfile.TemporaryDirectory(prefix="kcore-oclgrind-") as folder:
        (Path(folder) / "oclgrind.icd").write_text(f"{library}\n")
        environment = {
            "OCL_ICD_VENDORS": folder,
            "OCLGRIND_LOG": str(Path(folder) / "report"),
            "OCLGRIND_DATA_RACES": "1",
            "OCLGRIND_UNIFORM_WRITES": "1",
            "OCLGRIND_MAX_ERRORS": "1000000",  # behind them it is silent, and later tests would pass
            # Oclgrind 21.10 widens comparisons of vectors to 255 where LLVM has simplified them.
            "OCLGRIND_BUILD_OPTIONS": "-cl-opt-disable",
            # what is kept on disk was compiled with other options
            "KCORE_CACHE_DIR": str(Path(folder) / "cache"),
        }
        command = [sys.executable, "-m", "pytest", "-q", "-m", "oclgrind", "backends/opencl/tests/test_oclgrind.py"]
        return subprocess.run([*command, *arguments], cwd=ROOT, env={**os.environ, **environment}).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
