"""`featurelens`, and `python -m featurelens`: the command line."""

import gc

# Python looks for garbage every 700 allocations: a fifth of the time that the imports of a command take.
_ALLOCATIONS = 10_000


def main() -> None:
    """Run the command line."""
    gc.set_threshold(_ALLOCATIONS)
    from featurelens.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
