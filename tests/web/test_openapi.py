"""The OpenAPI document tells the truth: schemathesis sends what it allows and what it does not."""

from __future__ import annotations

import re
from traceback import format_exception

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from featurelens.web.app import make_app
from fixtures.drawn import draw_many
from fixtures.galleries import filled
from fixtures.numpy_backbone import NumpyBackbone
from fixtures.serving import serving

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """Drawn images under the name of no network, so that nothing tries to load torch."""
    folder = tmp_path_factory.mktemp("photos")
    draw_many(folder / "cat", 4)
    draw_many(folder / "dog", 4, first=4)
    gallery = filled(folder, NumpyBackbone())
    return make_app(gallery)


@pytest.fixture(scope="module")
def address(app):
    """The app behind a port: closed only when all tests are done."""
    with serving(app) as address:
        yield address


# The server's threads in this process draw from `random` too; hypothesis takes that for its strategies' doing.
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning")
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda m: m.value)
def test_no_5xx_and_no_undocumented_answer(address: str, mode: GenerationMode):
    """What the document allows, and what it does not."""
    document = schemathesis.openapi.from_url(f"{address}/openapi.json")
    operations = [found.ok() for found in document.get_all_operations()]
    assert len(operations) > 30
    failed = {}
    for operation in operations:
        try:
            strategy = operation.as_strategy(generation_mode=mode)
        except Unsatisfiable:
            continue

        @settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=strategy)
        def sent(case):
            case.call_and_validate(base_url=address, checks=CHECKS, timeout=120)

        try:
            sent()
        except Unsatisfiable:  # there is no way to get a request without parameters wrong
            continue
        except (AssertionError, BaseExceptionGroup) as error:
            failed[operation.label] = "".join(format_exception(error))[-3000:]
    assert not failed, "\n\n".join(f"{label}: {why}" for label, why in failed.items())


def test_every_operation_is_described_and_every_request_has_an_example(app):
    document = app.openapi()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            assert operation.get("description"), where
            assert operation["tags"], where
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if body:
                name = body["schema"]["$ref"].rpartition("/")[2]
                assert document["components"]["schemas"][name].get("examples"), where


def test_the_examples_work(app, address: str):
    document = app.openapi()
    with httpx.Client(base_url=address, timeout=30) as client:
        for path, methods in document["paths"].items():
            body = methods.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json")
            if body is None or re.search("explain|match-text|embeddings|jobs", path):
                continue  # these need a network with gradients or for text, a whole image, and time
            name = body["schema"]["$ref"].rpartition("/")[2]
            for example in document["components"]["schemas"][name]["examples"]:
                assert client.post(path, json=example).status_code == 200, path
