"""Objectives as a user types them: layer3:42, layer3:0-31, logit:281, layer3:4@center, layer2:1-layer2:7."""

from __future__ import annotations

import re
from collections.abc import Sequence

from featurelens.errors import InvalidInput
from featurelens.see.objectives import Objective, channel, logit, neuron

# A sign that joins two terms is followed by another "layer:"; one inside a range of units is not.
_JOINT = re.compile(r"\s*([+-])\s*(?=[^:+-]*:)")
_LIST = r"\d+(?:\s*-\s*\d+)?(?:\s*,\s*\d+(?:\s*-\s*\d+)?)*"
_UNITS = re.compile(_LIST)
_TERM = re.compile(
    r"(?:(?P<factor>\d+(?:\.\d+)?)\s*\*\s*)?(?P<layer>[^:*\s]+)\s*:\s*"
    rf"(?P<units>{_LIST})(?:@(?P<place>center|centre|\d+,\d+))?"
)
_HELP = (
    "Write LAYER:UNIT, as in layer3:42, layer3:0-31, layer3:3,7,9, layer3:42@center or @ROW,COLUMN (one place), "
    "logit:281 (a class), and sums such as layer3:4+layer3:9 or 2*layer3:4-logit:7."
)


def spoken(text: str) -> list[Objective]:
    """The objectives that a text names: several for a list or range of units, one for a sum.

    Raises InvalidInput, which explains the notation.

    >>> [one.name for one in spoken("layer3:4,8-10")]
    ['layer3:4', 'layer3:8', 'layer3:9', 'layer3:10']
    >>> spoken("layer3:4 - 2*logit:7")[0].name
    'layer3:4-2*logit:7'
    """
    first, *rest = _JOINT.split(text.strip())
    if not rest:
        return _term(first, text)
    total = _single(first, text)
    for sign, term in zip(rest[::2], rest[1::2], strict=True):
        one = _single(term, text)
        total = total + one if sign == "+" else total - one
    return [total]


def as_objectives(given: str | Objective | Sequence[str | Objective]) -> list[Objective]:
    """Texts and objectives, one or many, as a list of objectives; InvalidInput for an empty one."""
    if isinstance(given, str | Objective):
        given = [given]
    found = [one for each in given for one in (spoken(each) if isinstance(each, str) else [each])]
    if not found:
        raise InvalidInput(f"Nothing to show was named. {_HELP}")
    return found


def unit_numbers(text: str) -> list[int]:
    """The numbers in a list such as "3,7,10-12"; InvalidInput for anything else.

    >>> unit_numbers("3,7,10-12")
    [3, 7, 10, 11, 12]
    """
    if not _UNITS.fullmatch(text.strip()):
        raise InvalidInput(f"'{text}' is no list of units; write it like 3,7,10-12.")
    return [unit for part in text.split(",") for unit in _range(part, text)]


def _single(term: str, text: str) -> Objective:
    found = _term(term, text)
    if len(found) != 1:
        raise InvalidInput(f"'{text}': a sum takes one unit in each place; '{term}' names {len(found)}.")
    return found[0]


def _term(term: str, text: str) -> list[Objective]:
    match = _TERM.fullmatch(term.strip())
    if match is None:
        raise InvalidInput(f"'{text}' cannot be understood at '{term}'. {_HELP}")
    layer, place = match["layer"], match["place"]
    units = unit_numbers(match["units"])
    if layer == "logit":
        made = [logit(unit) for unit in units]
    elif place is None:
        made = [channel(layer, unit) for unit in units]
    elif "," in place:
        row, col = map(int, place.split(","))
        made = [neuron(layer, unit, (row, col)) for unit in units]
    else:
        made = [neuron(layer, unit) for unit in units]
    return [float(match["factor"]) * one for one in made] if match["factor"] else made


def _range(part: str, text: str) -> range:
    first, dash, last = part.partition("-")
    if not dash:
        return range(int(first), int(first) + 1)
    if int(last) < int(first):
        raise InvalidInput(f"'{text}': the range {part.strip()} runs backwards.")
    return range(int(first), int(last) + 1)
