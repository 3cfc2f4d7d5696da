"""Which extra brings a package that is not there."""

from __future__ import annotations

PACKAGES = {
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "open_clip": "open-clip-torch",
    "lance": "pylance",
}
"""Modules whose package has another name."""


def extra_of(module: str | None) -> str | None:
    """The first extra of featurelens with the package of this module; None where no extra has it.

    >>> extra_of("torch.nn"), extra_of("sklearn"), extra_of("nothing_known")
    ('lab', 'lab', None)
    """
    import re
    from importlib.metadata import requires

    name = (module or "").partition(".")[0]
    package = re.escape(PACKAGES.get(name, name).replace("_", "-"))
    for line in requires("featurelens") or ():
        found = re.match(rf"{package}(?![\w-]).*extra == ['\"](\w+)", line, re.IGNORECASE)
        if found:
            return found[1]
    return None
