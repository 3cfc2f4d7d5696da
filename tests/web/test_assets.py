"""The pages and their static files, asked for without a browser."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from featurelens.web import assets as module
from featurelens.web.assets import read_assets
from featurelens.web.routes.pages import PAGES, add_pages


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = FastAPI()
    add_pages(app)
    return TestClient(app)


@pytest.mark.parametrize("path", [path.replace("{id}", "7") for path in PAGES])
def test_each_page_is_complete_and_holds_no_inline_script_or_style(client: TestClient, path: str) -> None:
    text = client.get(path).text
    assert text.startswith("<!doctype html>")
    assert "</html>" in text
    assert not re.search(r"<script(?![^>]*\bsrc=)", text), "the CSP refuses inline scripts"
    assert not re.search(r"\sstyle=|<style|\son\w+=", text), "the CSP refuses inline styles and handlers"
    assert not re.search(r"https?://(?!www\.w3\.org/)", text), "nothing comes from elsewhere"
    named = re.findall(r'(?:src|href)="(/static/[^"]+)"', text)
    assert named
    for address in named:
        answer = client.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]


def test_what_a_page_preloads_is_all_that_it_imports() -> None:
    assets = read_assets()
    for name in set(PAGES.values()):
        found = assets.modules(f"{name}/page.js")
        assert len(found) == len(set(found)) > 3
        for path in found:
            for line in assets.files[path].decode().splitlines():
                wanted = re.search(r'from "(\.[^"]+)"', line)
                if wanted:
                    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), wanted.group(1)))
                    assert target in found, f"{path} imports {target}"


def test_no_module_reaches_for_what_the_csp_forbids() -> None:
    for path, content in read_assets().files.items():
        text = content.decode()
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|\beval\(|new Function|document\.write", text
        ), path
        assert 'setAttribute("style"' not in text, path
        assert not re.search(r"https?://(?!www\.w3\.org/)", text), path
        assert len(text.splitlines()) <= 300, path


def test_only_files_of_the_folder_are_given_out(client: TestClient) -> None:
    version = read_assets().version
    for path in ("../assets.py", "..%2fassets.py", "%2e%2e/assets.py", "nothing.js", "css/"):
        assert client.get(f"/static/{version}/{path}").status_code == 404
    assert client.get("/static/000000000000/css/base.css").status_code == 404


def test_the_version_changes_with_any_file(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("1")
    before = module.read_assets(tmp_path).version
    (tmp_path / "a.js").write_text("2")
    assert module.read_assets(tmp_path).version != before


def test_the_sheets_of_every_page_come_in_one(client: TestClient) -> None:
    files = read_assets().files
    for name in ("tokens", "base", "shell", "parts"):
        assert files[f"css/{name}.css"] in files["css/common.css"]
    sheets = re.findall(r'rel="stylesheet" href="[^"]+/(css/[^"]+)"', client.get("/").text)
    assert sheets == ["css/common.css", "css/search.css"]
