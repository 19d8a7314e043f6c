"""`dpk`: find the command, parse its arguments, run it, show its result, end with the right exit code."""

from __future__ import annotations

import gc
import signal
import sys

TYPE_CHECKING = False  # as typing's, which `dpk --version` need not import
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from dpkg.cli.parse import Parsed
    from dpkg.errors import DpkgError

BROKEN_PIPE, INTERRUPTED = 141, 130
_stopped = False  # whether there was a Ctrl-C


def main(argv: list[str] | None = None) -> int:
    """Run one command line; returns the exit code (dpkg.errors). Never raises."""
    args = sys.argv[1:] if argv is None else argv
    try:
        code = _run(args)
        sys.stdout.flush()
        if _stopped:  # and what was called did not mind
            raise KeyboardInterrupt
        return code
    except BrokenPipeError:
        _drop_output()
        return BROKEN_PIPE
    except (Exception, KeyboardInterrupt) as e:  # noqa: BLE001 - the one place where all errors end
        return _fail(e, args)


def _run(args: list[str]) -> int:
    if args[:1] in (["--version"], ["-V"]):
        from dpkg import __version__

        sys.stdout.write(f"dpk {__version__}\n")
        return 0
    if args[:1] == ["__complete"]:  # what the scripts of 'dpk completion' call
        from dpkg.cli import complete

        return complete.main(args[1:])
    from dpkg.cli import commands, output, parse

    name, rest = parse.split(args)
    if name is None:
        from dpkg import __version__
        from dpkg.cli import help

        output.show(help.overview(__version__))
        return 0 if args else 2
    module = commands.module_of(name)
    if module is None:
        from dpkg.errors import Usage, nearest

        near = nearest(name, commands.names())
        raise Usage(f"'{name}' is not a dpk command", f"did you mean 'dpk {near}'?" if near else "see 'dpk --help'")
    loaded = __import__(module, fromlist=["COMMAND"])
    given = parse.parse(loaded.COMMAND, rest)
    if "help" in given.common:
        from dpkg.cli import help

        output.show(help.of_command(loaded.COMMAND, output.terminal_width(sys.stdout) or 100))
        return 0
    return _call(getattr(loaded, name.replace("-", "_")), loaded, given)


def _call(function: Any, module: ModuleType, given: Parsed) -> int:
    """Call a command's function and show its result, which may bring an exit code."""
    if given.progress == "none" or (not given.progress and given.common & {"json", "quiet"}):
        return _show(function(**given.values), module, given)
    from dpkg.cli import bars

    with bars.shown(given.progress) as progress:
        return _show(function(**given.values), module, given, progress.hide)


def _show(result: Any, module: ModuleType, given: Parsed, before: Callable[[], None] = lambda: None) -> int:
    from dpkg.cli import output

    command = module.COMMAND
    if "json" in given.common:
        output.show_json(result, f"dpk.{command.name}/{command.json}", before)
    elif not (
        "quiet" in given.common and command.prose and not _code(result) and not getattr(result, "asked_for", False)
    ):
        output.show(module.render(result, **given.view), before)
    return _code(result)


def _code(result: Any) -> int:
    """The exit code that a result brings; that of a stream is known at its end."""
    return int(getattr(result, "exit_code", 0))


def _fail(error: BaseException, args: list[str]) -> int:
    """Say on stderr what went wrong; returns the exit code."""
    from contextlib import suppress

    from dpkg.cli.output import show_error
    from dpkg.cli.parse import common

    options = common(args)
    try:
        sys.stdout.flush()  # what was found comes before what went wrong
    except OSError:
        _drop_output()
    if "debug" in options:
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    said = _for_user(error)
    with suppress(OSError):  # nobody reads what we say
        show_error(said, "json" in options)
        sys.stderr.flush()
    return said.exit_code


def _for_user(error: BaseException) -> DpkgError:
    """The error as one of ours."""
    from dpkg.errors import DpkgError, Storage, Usage

    if isinstance(error, KeyboardInterrupt) or _stopped:
        return _interrupted()
    if isinstance(error, DpkgError):
        return error
    if isinstance(error, MemoryError):
        return Storage("there is not enough memory for this", "close other programs, or work on a part")
    if isinstance(error, OSError):
        where = f": '{error.filename}'" if error.filename else ""
        return Storage(f"{error.strerror or error}{where}", "check the disk and its permissions, then try again")
    if isinstance(error, UnicodeEncodeError):
        return Usage("an argument is not valid UTF-8", "names and messages are text")
    what = f"{type(error).__name__}: {error}"
    return DpkgError(f"this should not happen: {what}", "it is a bug in dpkg; the same call with --debug shows where")


def _interrupted() -> DpkgError:
    from dpkg.errors import DpkgError

    class Interrupted(DpkgError):
        exit_code = INTERRUPTED

    return Interrupted("interrupted", "nothing is half-done; the same call again goes on from what is stored")


def _drop_output() -> None:
    """Nobody takes what is left to write: keep Python from trying it at exit."""
    import os

    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def _stop(*_: object) -> None:
    """The first Ctrl-C: whatever error comes of it (an import that is cut off gives odd ones), it was this.

    The next one kills.
    """
    global _stopped
    _stopped = True
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise KeyboardInterrupt


def _lost(error: sys.UnraisableHookArgs) -> None:
    """A Ctrl-C that hit where Python drops errors, as in a callback of its import locks: again, a moment later."""
    if not (_stopped and error.exc_type is KeyboardInterrupt):
        sys.__unraisablehook__(error)
        return
    signal.signal(signal.SIGALRM, _stop)
    signal.setitimer(signal.ITIMER_REAL, 0.01)


def run() -> None:
    """The entry point of the `dpk` script."""
    try:
        code = _prepared()
        if not _stopped:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done and said
    except KeyboardInterrupt:  # a moment before or after
        code = INTERRUPTED
    if "duckdb" not in sys.modules:  # which tells people of all its objects that no collection at exit has reached
        gc.freeze()
    sys.exit(code)


def _prepared() -> int:
    """main() in a process of its own."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where who called us ignores it
        sys.unraisablehook = _lost
        signal.signal(signal.SIGINT, _stop)
    # A quarter of a short command's time went into collections during imports and at exit.
    gc.set_threshold(50_000, 10, 10)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by who called us
            setattr(sys, name, open("/dev/null", "w"))  # noqa: SIM115 - for as long as the process runs
        else:
            stream.reconfigure(errors="backslashreplace")
    return main()
