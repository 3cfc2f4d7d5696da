"""Shapes as types: jaxtyping's names where it has been imported (the tests check them), plain marks elsewhere.

Elsewhere an annotation is only text, and nobody waits for an import that checks nothing.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or "jaxtyping" in sys.modules:
    from jaxtyping import Bool, Float, Float32, Float64, Int, Int8, Int64, Integer, Shaped, UInt8
else:

    class _Mark:
        def __class_getitem__(cls, item: tuple[Any, str]) -> Any:
            return item[0]

    Bool = Float = Float32 = Float64 = Int = Int8 = Int64 = Integer = Shaped = UInt8 = _Mark

__all__ = ["Bool", "Float", "Float32", "Float64", "Int", "Int8", "Int64", "Integer", "Shaped", "UInt8"]
