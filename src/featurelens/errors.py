"""The exceptions: each says what was given, what was expected and what to do next."""

from __future__ import annotations


class FeaturelensError(Exception):
    """Base of every error that featurelens raises on purpose; its text is written for the user."""


class ReadError(FeaturelensError):
    """A file or array that cannot be read; `reason` says why in plain words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ImageError(ReadError):
    """A file or array that cannot be read as an image."""


class SoundError(ReadError):
    """A file or array that cannot be read as a sound."""


class UnknownName(FeaturelensError):
    """A name that no catalog, network or folder holds; the text lists close matches."""


class PluginError(FeaturelensError):
    """An installed package offers something by its entry points that cannot be loaded."""


class BackboneError(FeaturelensError):
    """A backbone that cannot be loaded, exported or run as asked."""


class LayerError(FeaturelensError):
    """A layer that the network does not have, or that did not run."""


class MissingExtra(FeaturelensError):
    """An optional dependency is needed; the text gives the command that installs it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package '{package}', which is not installed. "
            f"Install it with: pip install 'featurelens[{extra}]'"
        )
        self.package = package
        self.extra = extra


class GalleryError(FeaturelensError):
    """A gallery that cannot be created, opened, read or written."""


class GalleryBusy(GalleryError):
    """Another process is writing to this gallery."""


class SpecMismatch(FeaturelensError):
    """Vectors of two different backbones were about to be mixed; the text names both."""


class InvalidInput(FeaturelensError, ValueError):
    """An argument outside what the function accepts."""
