"""The pages: empty of data (their modules fetch it as JSON), so they are the same for every gallery."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from featurelens.web.assets import Assets, read_assets

if TYPE_CHECKING:
    from fastapi import FastAPI

PAGES = {
    "/": "search",
    "/why": "why",
    "/map": "map",
    "/image": "inside",
    "/image/{id}": "inside",
    "/unit": "unit",
    "/concepts": "concepts",
    "/concept/{number}": "concept",
    "/duplicates": "duplicates",
    "/quality": "quality",
    "/jobs": "jobs",
}


STATIC = "/static/{version}/{path:path}"


class Pages:
    """The pages' texts, each rendered once (they depend on nothing but the files in the package), and their files."""

    def __init__(self, assets: Assets) -> None:
        from jinja2 import Environment, PackageLoader, select_autoescape

        templates = Environment(
            loader=PackageLoader("featurelens.web"), autoescape=select_autoescape(), trim_blocks=True
        )
        templates.globals["static"] = assets.url
        templates.globals["modules"] = assets.modules
        self._assets, self._templates = assets, templates
        self._texts: dict[str, str] = {}

    def page(self, path: str) -> Response:
        """The page of a path of PAGES."""
        return HTMLResponse(self._text(PAGES[path]), headers={"Cache-Control": "no-cache"})

    def missing(self) -> Response:
        """404 for people: there is no such page, and the way back."""
        return HTMLResponse(self._text("missing"), 404)

    def file(self, version: str, path: str) -> Response:
        """A static file; 404 for one that is not of this version."""
        if version != self._assets.version or path not in self._assets.files:
            raise HTTPException(404, "There is no such file.")
        keep = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
        return Response(self._assets.files[path], media_type=self._assets.kind(path), headers=keep)

    def _text(self, name: str) -> str:
        if name not in self._texts:
            self._texts[name] = self._templates.get_template(f"{name}.html").render(page=name)
        return self._texts[name]


@lru_cache(1)
def read_pages() -> Pages:
    """The pages, read from the package once."""
    return Pages(read_assets())


def add_pages(app: FastAPI) -> None:
    """Give the app its pages and their static files."""
    pages = read_pages()

    def static(version: str, path: str) -> Response:
        return pages.file(version, path)

    def page(request: Request) -> Response:
        return pages.page(request.scope["route"].path)

    app.add_api_route(STATIC, static, methods=["GET"], include_in_schema=False)
    for path in PAGES:
        app.add_api_route(path, page, methods=["GET"], include_in_schema=False)
