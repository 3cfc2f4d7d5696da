"""Shapes as types: jaxtyping's names where it is installed (the tests check them), plain marks elsewhere.

Bare GPU machines run the compute rooms without jaxtyping; there an annotation is only text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Float32, Float64, Int, Int8, Int64, Integer, Shaped, UInt8
else:
    try:
        from jaxtyping import Bool, Float, Float32, Float64, Int, Int8, Int64, Integer, Shaped, UInt8
    except ImportError:

        class _Mark:
            def __class_getitem__(cls, item: tuple[Any, str]) -> Any:
                return item[0]

        Bool = Float = Float32 = Float64 = Int = Int8 = Int64 = Integer = Shaped = UInt8 = _Mark

__all__ = ["Bool", "Float", "Float32", "Float64", "Int", "Int8", "Int64", "Integer", "Shaped", "UInt8"]
