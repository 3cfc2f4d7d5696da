"""Export: a backbone as a file for other programs, or as a smaller and faster bundle, with its parity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurelens.later import later

if TYPE_CHECKING:
    from featurelens.export.agreement import Agreement as Agreement
    from featurelens.export.run import Exported as Exported
    from featurelens.export.run import export as export

__all__ = ["Agreement", "Exported", "export"]

__getattr__ = later(
    __name__,
    {
        "Agreement": "featurelens.export.agreement",
        "Exported": "featurelens.export.run",
        "export": "featurelens.export.run",
    },
)


def __dir__() -> list[str]:
    return list(__all__)
