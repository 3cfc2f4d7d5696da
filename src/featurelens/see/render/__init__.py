"""From numbers to pictures: colour maps, overlays, sheets, and files that say how they were made.

Pictures are uint8 RGB `[row, col, 3]`, maps are float `[row, col]`. Only numpy and Pillow are needed.
"""

from __future__ import annotations

from featurelens.see.render.colour import colourize
from featurelens.see.render.overlay import enlarge, heat, overlay
from featurelens.see.render.save import save
from featurelens.see.render.scale import to_range
from featurelens.see.render.sheet import captioned, sheet

__all__ = ["captioned", "colourize", "enlarge", "heat", "overlay", "save", "sheet", "to_range"]
