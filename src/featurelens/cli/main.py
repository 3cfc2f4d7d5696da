"""The table of commands, and the one place where an error becomes an exit code."""

from __future__ import annotations

import sys

import typer

from featurelens.cli.adapt import adapt
from featurelens.cli.assess import assess
from featurelens.cli.before_after import before_after
from featurelens.cli.compare import compare
from featurelens.cli.concepts import concepts
from featurelens.cli.demo import demo
from featurelens.cli.doctor import doctor
from featurelens.cli.duplicates import duplicates
from featurelens.cli.explain import explain
from featurelens.cli.export import export
from featurelens.cli.extract import extract
from featurelens.cli.index import index
from featurelens.cli.label import label
from featurelens.cli.layers import layers
from featurelens.cli.maps import maps
from featurelens.cli.models import models
from featurelens.cli.pretrain import pretrain
from featurelens.cli.search import search
from featurelens.cli.serve import serve
from featurelens.cli.terminal import notice
from featurelens.cli.tune import tune
from featurelens.cli.units import units
from featurelens.cli.visualize import visualize
from featurelens.errors import FeaturelensError

COMMANDS = {
    "demo": demo,
    "index": index,
    "search": search,
    "duplicates": duplicates,
    "label": label,
    "explain": explain,
    "extract": extract,
    "layers": layers,
    "maps": maps,
    "visualize": visualize,
    "units": units,
    "concepts": concepts,
    "assess": assess,
    "compare": compare,
    "pretrain": pretrain,
    "tune": tune,
    "before-after": before_after,
    "adapt": adapt,
    "serve": serve,
    "export": export,
    "models": models,
    "doctor": doctor,
}

INTERRUPTED = 130

app = typer.Typer(
    name="featurelens",
    help="Extract, see, assess, adapt and search the features that deep networks learn from images.",
    epilog="Start with: featurelens demo   or   featurelens index ~/Pictures",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain pages: importing rich for them would take longer than all the rest
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _command in COMMANDS.items():
    app.command(_name, short_help=(_command.__doc__ or "").partition("\n")[0])(_command)


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
        notice(f"[bold red]Error:[/] {_plain(str(error))}")
        sys.exit(1)
    except KeyboardInterrupt:
        _interrupted()
    except SystemExit as leaving:  # typer turns Ctrl-C inside a command into this
        if leaving.code == INTERRUPTED:
            _interrupted()
        raise
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


def _interrupted() -> None:
    notice("Interrupted. What was finished is saved; run the same command again to go on.")
    sys.exit(INTERRUPTED)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
