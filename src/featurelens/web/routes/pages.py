"""The pages: empty of data (their modules fetch it as JSON), so they are the same for every gallery."""

from __future__ import annotations

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, select_autoescape

from featurelens.web.assets import read_assets

PAGES = {
    "/": "search",
    "/why": "why",
    "/map": "map",
    "/image": "inside",
    "/image/{id}": "inside",
    "/unit": "unit",
    "/duplicates": "duplicates",
    "/quality": "quality",
    "/jobs": "jobs",
}


def add_pages(app: FastAPI) -> None:
    """Give the app its pages and their static files."""
    assets = read_assets()
    templates = Environment(
        loader=PackageLoader("featurelens.web"), autoescape=select_autoescape(), trim_blocks=True
    )
    templates.globals["static"] = assets.url
    templates.globals["modules"] = assets.modules

    def static(version: str, path: str) -> Response:
        if version != assets.version or path not in assets.files:
            raise HTTPException(404, "There is no such file.")
        keep = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
        return Response(assets.files[path], media_type=assets.kind(path), headers=keep)

    app.add_api_route("/static/{version}/{path:path}", static, methods=["GET"], include_in_schema=False)

    # One text for each page, rendered once: it depends on nothing but the files in the package.
    texts = {name: templates.get_template(f"{name}.html").render(page=name) for name in set(PAGES.values())}

    def page(request: Request) -> Response:
        name = PAGES[request.scope["route"].path]
        return HTMLResponse(texts[name], headers={"Cache-Control": "no-cache"})

    for path in PAGES:
        app.add_api_route(path, page, methods=["GET"], include_in_schema=False)
