"""`concepts` and `search --concept` as a user types them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from featurelens.cli.main import app
from fixtures.worded import paint


def featurelens(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for name in ("red", "green", "blue", "yellow"):
        paint(folder / name, [name], each=6)
    done = featurelens("index", folder)
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="module")
def learned(photos: Path) -> dict[str, object]:
    done = featurelens("concepts", photos, "--count", 6, "--active", 2, "--top", 4, "--steps", 200, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_concepts_are_told_and_drawn(photos: Path, learned) -> None:
    assert len(learned["found"]) == 6
    assert learned["images"] == learned["vectors"] == 24
    page = Path(learned["page"]).read_text(encoding="utf-8")
    assert page.count('id="concept-') == 6
    shown = sum(len(one["exemplars"]) for one in learned["found"])
    assert page.count('src="data:image/webp;base64,') == shown
    assert not re.search(r'(src|href)="(?!data:|file:)', page), "the page fetches nothing"
    plain = featurelens("concepts", photos, "--count", 6, "--active", 2, "--steps", 50, "--out", photos / "x")
    assert plain.exit_code == 0, plain.output
    assert "label of half or more" in plain.stdout


def test_searching_by_a_concept_and_along_it(photos: Path, learned) -> None:
    live = [one for one in learned["found"] if one["exemplars"]]
    number = max(live, key=lambda one: one["exemplars"][0]["activation"])["number"]
    best = {e["image"] for e in learned["found"][number]["exemplars"]}
    done = featurelens("search", "--concept", number, "-g", photos, "-k", 4, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["concepts"] == {str(number): 1.0}
    assert {hit["name"] for hit in found["hits"]} & best
    other = next(i for i in range(1, 25) if _name(photos, i) not in best)

    def likeness(weight: str) -> float:
        done = featurelens(
            "search", f"id:{other}", "--concept", f"{number}{weight}", "-g", photos, "-k", 8, "--json"
        )
        assert done.exit_code == 0, done.output
        names = [hit["name"] for hit in json.loads(done.stdout)["hits"]]
        return float(np.mean([name in best for name in names]))

    assert likeness(":-1") <= likeness(":0") < likeness(":2")


def _name(photos: Path, one: int) -> str:
    return json.loads(featurelens("search", f"id:{one}", "-g", photos, "-k", 1, "--json").stdout)["hits"][0][
        "name"
    ]


def test_more_likes_and_a_page_go_with_concepts(photos: Path, learned, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    asked = ("search", "id:1", "--more", "id:2", "--less", "id:9", "--concept", "0:0.3", "-g", photos)
    done = featurelens(*asked, "--page", page)
    assert done.exit_code == 0, done.output
    assert "concept 0 × 0.3" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("wrong", ["x", "1:", "1:y", "-1", "1:2:3"])
def test_what_is_no_concept_is_wrong_usage(photos: Path, wrong: str) -> None:
    done = featurelens("search", f"--concept={wrong}", "-g", photos)
    assert done.exit_code == 2
    assert "12:0.5" in done.output


def test_wrong_usage_and_missing_concepts_are_told(photos: Path, learned, tmp_path: Path) -> None:
    assert featurelens("search", "id:1", "--concept", 0, "--box", "0,0,1,1", "-g", photos).exit_code == 2
    assert featurelens("concepts", photos, "--of", "pixels").exit_code == 2
    done = featurelens("search", "--concept", 0, "--concepts", tmp_path, "-g", photos)
    assert "Learn some with: featurelens concepts" in str(done.exception)
    done = featurelens("search", "--concept", 99, "-g", photos)
    assert "There is no concept 99" in str(done.exception)
    done = featurelens("concepts", photos, "--count", 25)
    assert "fewer with count (--count)" in str(done.exception)


def test_concepts_of_another_backbone_are_refused(photos: Path, learned, tmp_path: Path) -> None:
    assert featurelens("index", photos, "--at", tmp_path / "hog", "--backbone", "classic:hog").exit_code == 0
    done = featurelens("search", "--concept", 0, "--concepts", learned["concepts"], "-g", tmp_path / "hog")
    assert "Learn them anew" in str(done.exception)


def test_searching_by_a_concept_needs_no_torch(photos: Path, learned) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from typer.testing import CliRunner; from featurelens.cli.main import app\n"
        f"done = CliRunner().invoke(app, ['search', '--concept', '0', '-g', {str(photos)!r}])\n"
        "print(done.exit_code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "False"], done.stdout
