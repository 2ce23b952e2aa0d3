"""What the commands on files share: trouble with a file is a line on the screen, not a traceback."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable

from kcore.errors import KcoreError

Command = Callable[[argparse.Namespace], int]


def telling_trouble(run: Command) -> Command:
    """Decorator: a file that cannot be read or written ends a command with its message and exit status 2."""

    @functools.wraps(run)
    def told(args: argparse.Namespace) -> int:
        try:
            return run(args)
        except BrokenPipeError:
            raise
        except (OSError, ValueError, KcoreError) as error:
            print(f"kcore: {error}", file=sys.stderr)
            return 2

    return told
