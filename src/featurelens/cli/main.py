"""The command line, and the one place where an error becomes an exit code."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from featurelens.cli.extras import extra_of
from featurelens.cli.table import LOOK, Table
from featurelens.cli.terminal import notice
from featurelens.errors import FeaturelensError, MissingExtra
from featurelens.wording import printable

INTERRUPTED = 130

app = typer.Typer(
    name="featurelens",
    help="Extract, see, assess, adapt and search the features that deep networks learn from images.",
    epilog="Start with: featurelens demo   or   featurelens index ~/Pictures",
    cls=Table,
    no_args_is_help=True,
    **LOOK,
)


@app.callback(invoke_without_command=True)
def _version(
    version: bool = typer.Option(False, "--version", help="Print the version and leave."),
) -> None:
    if version:
        from featurelens import __version__

        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line: exit 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    try:
        app()
    except FeaturelensError as error:
        _failed(str(error))
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except ModuleNotFoundError as error:
        extra = extra_of(error.name)
        if extra is None:
            raise
        _failed(str(MissingExtra(str(error.name).partition(".")[0], extra, "This command")))
    except OSError as error:  # a folder that is not there, a full disk: what the user can mend
        if error.filename is None:
            raise
        _failed(f"{printable(str(error.filename))}: {error.strerror}.")
    except KeyboardInterrupt:
        _interrupted()
    except SystemExit as leaving:  # typer turns Ctrl-C inside a command into this
        if leaving.code == INTERRUPTED:
            _interrupted()
        raise


def _interrupted() -> None:
    notice("Interrupted. What was finished is saved; run the same command again to go on.")
    sys.exit(INTERRUPTED)


def _failed(text: str) -> NoReturn:
    notice(text, mark="Error:", style="bold red")
    sys.exit(1)
