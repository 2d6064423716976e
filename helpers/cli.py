"""What all commands share: what a user can fix becomes one sentence, a bug stays a traceback."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Callable
from typing import Any


class UserError(ValueError):
    """What a user can fix; the message names the file or the choice, and says how to fix it."""


def start() -> None:
    """While a command is imported: no traceback of Ctrl-C, and none of what a user can fix."""

    def show(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        if not isinstance(error, UserError):
            return sys.__excepthook__(kind, error, trace)
        print(error, file=sys.stderr)
        sys.exit(2)

    sys.excepthook = show
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # `run` puts it back
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def run(main: Callable[[list[str] | None], int], arguments: list[str] | None = None) -> int:
    """Run a command.

    Args:
        main: takes the command's arguments, None for those of this process; gives its exit code
        arguments: see there

    Returns:
        the exit code: that of `main`; 2 after one sentence on stderr if it raised `UserError`, or
        if what is printed cannot be written; as of a shell, 130 after Ctrl-C and 141 if nobody
        reads what is printed, as after ``| head``
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # see `start`
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file name that the console's encoding lacks is no reason to stop.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = main(arguments)
        print(end="", flush=True)  # what is left of the output may break the pipe, too
        return code
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        return _of_output(error)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130


def parsed(parser: argparse.ArgumentParser, arguments: list[str] | None) -> argparse.Namespace:
    """The arguments of a command that takes several things and options between them.

    Args:
        parser: of the command
        arguments: None for those of this process; after ``--`` there are no options
    """
    given = sys.argv[1:] if arguments is None else arguments
    # With --, argparse does not mix them.
    return parser.parse_args(given) if "--" in given else parser.parse_intermixed_args(given)


def _of_output(error: OSError) -> int:
    """The exit code, if nothing more can be printed; else the error is a bug, and raised again."""
    try:
        print(flush=True)
    except OSError as again:
        # Python flushes once more at its end, see "Note on SIGPIPE" in its documentation.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(again, BrokenPipeError):
            return 141
        said = f"The output cannot be written ({again.strerror}): make room, or send it elsewhere."
        print(said, file=sys.stderr)
        return 2
    raise error
