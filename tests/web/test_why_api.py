"""Why and Inside: the service gives what featurelens.see gives, and says what is missing where it cannot."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from featurelens.images.decode import decode
from featurelens.search import Gallery
from featurelens.see import similarity
from featurelens.web import explaining
from featurelens.web.app import make_app
from featurelens.web.explaining import METHODS, has_gradients
from fixtures.drawn import draw_many, encoded
from fixtures.galleries import filled
from fixtures.numpy_backbone import NumpyBackbone
from fixtures.served import called, wait_for

LIMIT = 200_000_000  # pixels; twice what is read without a word about it


def grid(told) -> np.ndarray:
    return np.array(told["values"]).reshape(told["rows"], told["cols"])


def test_a_match_is_the_split_that_see_computes(client, gallery: Gallery):
    data = encoded(31)
    token = client.post("/api/v1/uploads", files={"file": ("x.png", data)}).json()["upload"]
    told = client.post("/api/v1/match", json={"query": {"upload": token}, "id": 2}).json()
    expected = similarity(gallery.backbone, data, gallery.image(2).path)
    assert told["similarity"] == pytest.approx(expected.cosine, abs=1e-6)
    assert told["kind"] == expected.kind
    np.testing.assert_allclose(grid(told["a"]), expected.a, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(grid(told["b"]), expected.b, rtol=1e-3, atol=1e-6)
    assert [(tuple(x["a"]), tuple(x["b"])) for x in told["lines"]] == [
        (line.first, line.second) for line in expected.lines(12)
    ]
    head, _, body = told["b"]["picture"].partition(",")
    assert head == "data:image/webp;base64"
    assert Image.open(io.BytesIO(base64.b64decode(body))).size == (32, 32)


def test_why_reads_images_as_the_gallery_does(tmp_path, monkeypatch):
    """Sabotage: with the limits of `decode` alone, what is indexed with larger ones cannot be explained."""
    draw_many(tmp_path, 2)
    asked = []

    def spied(source, **options):
        asked.append((options["exact"], options["max_pixels"]))
        return decode(source, **options)

    monkeypatch.setattr("featurelens.see.read_pixels.decode", spied)
    with called(make_app(filled(tmp_path, NumpyBackbone(), exact=True, max_pixels=LIMIT))) as client:
        assert client.post("/api/v1/match", json={"query": {"id": 1}, "id": 2}).status_code == 200
    assert asked == [(True, LIMIT)] * 2


@pytest.mark.parametrize(
    ("pair", "status"),
    [
        ({"query": {}, "id": 1}, 422),
        ({"query": {"id": 1, "upload": "x"}, "id": 1}, 422),
        ({"query": {"id": 1}, "id": 99}, 404),
        ({"query": {"id": 99}, "id": 1}, 404),
        ({"query": {"upload": "gone"}, "id": 1}, 404),
        ({"query": {"id": 1}}, 422),
    ],
)
def test_a_wrong_pair(client, pair, status):
    assert client.post("/api/v1/match", json=pair).status_code == status


def test_the_embedded_network_has_no_gradients_and_says_what_has(tmp_path):
    draw_many(tmp_path, 3)
    with Gallery.create(tmp_path) as gallery:
        gallery.update()
    with called(make_app(tmp_path)) as client:
        asked = {"query": {"id": 1}, "id": 2, "method": "grad-cam"}
        answer = client.post("/api/v1/explain", json=asked)
        assert answer.status_code == 409
        assert "--backbone resnet18" in answer.json()["detail"]
        assert client.get("/api/v1/gallery").json()["methods"] == []


def test_its_last_map_can_be_seen(tmp_path):
    pytest.importorskip("torch", reason="the pictures of maps come with the extra lab")
    draw_many(tmp_path, 3)
    with Gallery.create(tmp_path) as gallery:
        gallery.update()
        maps = gallery.backbone.maps
        with called(make_app(gallery)) as client:
            (layer,) = client.get("/api/v1/images/1/layers").json()["layers"]
            found = maps(np.asarray(Image.open(tmp_path / "000.png").resize((128, 128)))[None])
            assert (layer["channels"], layer["rows"], layer["cols"]) == found.shape[1:]
            peaks = [one["peak"] for one in layer["strongest"]]
            assert len(peaks) == 32
            picture = client.get("/api/v1/images/1/layers/map/colours.png")
            assert Image.open(io.BytesIO(picture.content)).format == "PNG"


def test_without_torch_the_extra_is_named(client, monkeypatch):
    monkeypatch.setattr(explaining, "lab_is_there", lambda: False)
    answer = client.post("/api/v1/explain", json={"id": 2, "method": "saliency"})
    assert answer.status_code == 501
    assert answer.json()["extra"] == "lab"
    assert "featurelens[lab]" in answer.json()["detail"]


def test_which_networks_have_gradients():
    assert has_gradients("resnet18")
    assert has_gradients("torchvision:vgg16")
    assert not any(map(has_gradients, ("embedded", "onnx:/x.onnx", "classic:hog", "bundle:/nowhere")))


def test_the_methods_are_those_of_see():
    pytest.importorskip("torch")
    from featurelens.see import methods

    assert tuple(methods.METHODS) == METHODS


@pytest.fixture(scope="module")
def torch_client(tmp_path_factory):
    """A gallery of a small torch network, which the service gets when it asks for the network on torch."""
    pytest.importorskip("torch", reason="gradients and layers come with the extra lab")
    from fixtures.small_backbone import small

    folder = tmp_path_factory.mktemp("photos")
    draw_many(folder, 6)
    network = small()
    app = make_app(filled(folder, network, max_pixels=LIMIT))
    app.state.current.service.lab.fresh = lambda: network
    with called(app) as client:
        yield client, network, folder


def test_an_explanation_is_the_one_that_see_gives(torch_client):
    from featurelens.see import explain
    from featurelens.see.targets import likeness

    client, network, folder = torch_client
    asked = {"query": {"id": 1}, "id": 2, "method": "integrated-gradients"}
    told = client.post("/api/v1/explain", json=asked)
    assert told.status_code == 200, told.text
    pixels = decode(folder / "000.png", fit=network.spec.fit).pixels
    expected = explain(
        network, folder / "001.png", method="integrated-gradients", target=likeness(network, pixels)
    )
    np.testing.assert_allclose(grid(told.json()["map"]), expected.values, rtol=1e-3, atol=1e-6)
    assert told.json()["score"] == pytest.approx(expected.score, abs=1e-5)
    assert told.json()["trust"] is None


def test_an_explanation_reads_as_the_gallery_does(torch_client, monkeypatch):
    client, _, _ = torch_client
    asked = []

    def spied(source, **options):
        asked.append(options["max_pixels"])
        return decode(source, **options)

    monkeypatch.setattr("featurelens.see.read_pixels.decode", spied)
    why = {"query": {"id": 1}, "id": 3, "method": "saliency"}
    assert client.post("/api/v1/explain", json=why).status_code == 200
    assert asked == [LIMIT]


def test_the_verdict_comes_when_asked_for(torch_client):
    client, _, _ = torch_client
    asked = {"query": {"id": 1}, "id": 2, "method": "saliency", "check": True}
    trust = client.post("/api/v1/explain", json=asked).json()["trust"]
    assert trust["level"] in ("good", "with care", "do not trust")
    assert trust["words"]


def test_layers_and_their_pictures(torch_client):
    client, _, _ = torch_client
    layers = client.get("/api/v1/images/1/layers").json()["layers"]
    assert layers
    layer = layers[-1]
    at = f"/api/v1/images/1/layers/{layer['name']}"
    best = layer["strongest"][0]["channel"]
    for path in (f"{at}/sheet.png", f"{at}/colours.png", f"{at}/channels/{best}.png?over=1"):
        answer = client.get(path)
        assert answer.status_code == 200, answer.text
        assert Image.open(io.BytesIO(answer.content)).format == "PNG"
    listed = client.get(f"{at}/channels.json").json()["channels"]
    assert listed[0] == layer["strongest"][0]
    assert client.get("/api/v1/images/1/layers/none/sheet.png").status_code == 404
    assert client.get(f"{at}/channels/{layer['channels']}.png").status_code == 404


def test_units_are_there_once_their_job_has_run(torch_client):
    client, _, _ = torch_client
    layer = client.get("/api/v1/images/1/layers").json()["layers"][-1]["name"]
    before = client.get(f"/api/v1/layers/{layer}/units/0").json()
    assert (before["made"], before["images"], before["job_kind"]) == (False, [], "units")
    job = client.post("/api/v1/jobs", json={"kind": "units"}).json()
    done = wait_for(
        lambda: (now := client.get(f"/api/v1/jobs/{job['id']}").json())["state"] != "running" and now
    )
    assert done["state"] == "done", done
    unit = client.get(f"/api/v1/layers/{layer}/units/0").json()
    assert (unit["made"], unit["of"], unit["units"]) == (True, 6, 6)
    answers = [one["answer"] for one in unit["images"]]
    assert answers == sorted(answers, reverse=True)
    assert len({one["id"] for one in unit["images"]}) == 6
    beyond = client.get(f"/api/v1/layers/{layer}/units/6")
    assert (beyond.status_code, beyond.json()["detail"]) == (
        404,
        f"'{layer}' has units 0 to 5; there is no unit 6.",
    )
