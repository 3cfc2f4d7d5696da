"""`python -m featurelens` is the command line."""

from featurelens.cli.main import main

if __name__ == "__main__":
    main()
