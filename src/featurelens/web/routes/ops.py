"""For those who run the service."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from featurelens.web.service import Served

router = APIRouter(tags=["operation"])


@router.get("/health")
def health(service: Served) -> dict[str, Any]:
    """Whether the service is up."""
    return {"status": "ok", "images": len(service.gallery)}
