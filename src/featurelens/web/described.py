"""The OpenAPI document of the service."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from featurelens.web.shown import ShownProblem
from featurelens.web.subjects import Subjects


def describe(app: FastAPI, subjects: Subjects, *, token: bool) -> None:
    """Let the app make its OpenAPI document with problems as RFC 9457, and the token where there is one."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            subjects.complete()
            made = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
            )
            parts = made.setdefault("components", {})
            parts.setdefault("schemas", {})["ShownProblem"] = ShownProblem.model_json_schema()
            for path, methods in made["paths"].items():
                for operation in methods.values() if path.startswith("/v1/") else ():
                    operation["responses"].pop("422", None)  # FastAPI's own; here wrong input is 400
            for unused in ("HTTPValidationError", "ValidationError"):
                parts["schemas"].pop(unused, None)
            if token:
                parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
                made["security"] = [{"token": []}]
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # FastAPI's own way: https://fastapi.tiangolo.com/how-to/extending-openapi/
