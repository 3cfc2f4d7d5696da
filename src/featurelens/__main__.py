"""`featurelens`, and `python -m featurelens`: the command line."""

import gc

_ALLOCATIONS = 10_000  # Python's own 700 lets the imports of a command spend a fifth of their time looking for garbage


def main() -> None:
    """Run the command line."""
    gc.set_threshold(_ALLOCATIONS)
    from featurelens.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
