"""Why two images match."""

from __future__ import annotations

import base64
import io
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from featurelens.see import similarity
from featurelens.web.queries import pixels_of
from featurelens.web.service import Served
from featurelens.web.shown import ID, problems

router = APIRouter(prefix="/api/v1", tags=["why"])


class Side(BaseModel):
    """An image: of the gallery by `id`, or an `upload`."""

    model_config = ConfigDict(extra="forbid")
    id: ID | None = None
    upload: Annotated[str, Field(max_length=64)] | None = None


class Pair(BaseModel):
    """The query, and the image of the gallery that it is compared with."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"query": {"id": 1}, "id": 2}]})
    query: Side
    id: ID


@router.post("/match", responses=problems(404, 408, 409, 413, 422))
def match(service: Served, pair: Pair) -> dict[str, Any]:
    """The similarity of two images, split over their regions, and which region answers which."""
    backbone = service.gallery.backbone
    first = pixels_of(service, pair.query.id, pair.query.upload)
    found = similarity(backbone, first, pixels_of(service, pair.id, None))
    return {
        "similarity": found.cosine,
        "kind": found.kind,
        "residual": list(found.residual),
        "a": _side(found.a, found.pixels[0]),
        "b": _side(found.b, found.pixels[1]),
        "lines": [
            {"a": line.first, "b": line.second, "share": line.strength, "strength": line.strength}
            for line in found.lines()
        ],
    }


def _side(values: np.ndarray, pixels: np.ndarray) -> dict[str, Any]:
    rows, cols = values.shape
    flat = [round(float(value), 6) for value in values.ravel()]
    return {"rows": rows, "cols": cols, "values": flat, "picture": data_uri(pixels)}


def data_uri(pixels: np.ndarray) -> str:
    """Pixels as a data URI (WebP, lossless enough to look at)."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=90, method=2)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
