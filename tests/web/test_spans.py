"""Traces: a span for each request, under its caller's trace, without its query; nothing of it where nobody asks."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware.opentelemetry import OpenTelemetryMiddleware

from featurelens.backbone import load_backbone
from featurelens.search import Gallery
from featurelens.web.app import make_app
from featurelens.web.spans import hide_query, trace_id
from fixtures.drawn import draw_many
from fixtures.galleries import filled
from fixtures.serve_process import serve_process
from fixtures.served import called

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="traces need the extra otel")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "service.md").read_text(encoding="utf-8")
AS_THE_PAGE_SAYS = dict(
    re.findall(r"\b((?:FASTAPI_)?OTEL_\w+)=(\S+)", PAGE.split("### Traces")[1].split("```")[1])
)
FROM_CALLER = {"traceparent": f"00-{TRACE}-{CALLER}-01"}


@contextmanager
def collector() -> Iterator[tuple[str, dict[str, list[bytes]]]]:
    """What is sent to an OTLP endpoint of this process, by path."""
    got: dict[str, list[bytes]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.setdefault(self.path, []).append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", got
        server.shutdown()


def spans_of(bodies: list[bytes]) -> list[Any]:
    found = []
    for body in bodies:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            found += [span for scope in resource.scope_spans for span in scope.spans]
    return found


def about(span: Any) -> dict[str, Any]:
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


def test_the_service_sends_a_span_for_each_request(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos, tokens = tmp_path / "photos", tmp_path / "tokens"
    draw_many(photos, 3)
    tokens.write_text("right")
    with Gallery.create(photos, backbone=load_backbone("classic:colour")) as gallery:
        gallery.update()
    with collector() as (endpoint, got):
        for name, value in {**AS_THE_PAGE_SAYS, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}.items():
            monkeypatch.setenv(name, value)
        with serve_process(photos, "--token-file", str(tokens)) as service:
            with httpx.Client(
                base_url=service.address, headers={"authorization": "Bearer right", **FROM_CALLER}
            ) as client:
                assert client.get("/api/v1/images/1?secret=secret").status_code == 200
                assert client.get("/api/v1/images/99").status_code == 404
            assert httpx.get(f"{service.address}/api/v1/gallery?token=secret").status_code == 401
            service.process.send_signal(signal.SIGTERM)
            assert service.process.wait(30) == 0, "what was noted is sent before it ends"
            service.log.seek(0)
            lines = [json.loads(line) for line in service.log if "/images/1" in line]
    assert set(got) == {"/v1/traces", "/v1/metrics"}
    assert lines[0]["trace"] == TRACE
    whole = b"".join(body for bodies in got.values() for body in bodies)
    assert b"secret" not in whole
    assert b"right" not in whole
    spans = spans_of(got["/v1/traces"])
    served = [span for span in spans if span.parent_span_id.hex() == CALLER]
    assert {span.trace_id.hex() for span in served} == {TRACE}
    assert [span.name for span in served] == ["GET /api/v1/images/{id}"] * 2
    assert [about(span)["http.response.status_code"] for span in served] == [200, 404]
    assert about(served[0])["http.route"] == "/api/v1/images/{id}"
    assert [about(s)["url.query"] for s in spans if "url.query" in about(s)] == ["REDACTED"] * 2
    (refused,) = [one for one in spans if about(one).get("http.response.status_code") == 401]
    assert about(refused)["url.path"] == "/api/v1/gallery"


@pytest.fixture
def noted() -> Iterator[tuple[TracerProvider, InMemorySpanExporter]]:
    provider, memory = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    yield provider, memory
    provider.shutdown()


def test_another_instrumentation_keeps_no_query_either(tmp_path, noted) -> None:
    draw_many(tmp_path, 2)
    provider, memory = noted
    app: Any = OpenTelemetryMiddleware(make_app(filled(tmp_path), token="right"), tracer_provider=provider)
    with called(app) as client:
        client.get("/?token=right", headers=FROM_CALLER, follow_redirects=False)
        client.get("/api/v1/images?token=wrong")
    spans = memory.get_finished_spans()
    assert [span.attributes["url.query"] for span in spans] == ["REDACTED"] * 2
    assert f"{spans[0].context.trace_id:032x}" == TRACE


def test_the_test_would_see_a_query(noted) -> None:
    """The sabotage: an app that does not hide it."""
    provider, memory = noted
    app: Any = OpenTelemetryMiddleware(Starlette(), tracer_provider=provider)
    with called(app) as client:
        client.get("/?token=right")
    assert "right" in memory.get_finished_spans()[0].attributes["url.query"]


def test_nothing_of_it_is_imported_unless_asked_for(tmp_path) -> None:
    draw_many(tmp_path, 1)
    filled(tmp_path).close()
    code = (
        "import sys; from fastapi.testclient import TestClient; from featurelens.web.app import make_app\n"
        f"with TestClient(make_app({str(tmp_path)!r}), base_url='http://127.0.0.1') as client:\n"
        "    assert client.get('/health').status_code == 200\n"
        "print([m for m in sys.modules if m.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_request_that_comes_while_it_is_being_imported_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", ModuleType("opentelemetry.trace"))
    hide_query({"type": "http", "query_string": b"token=secret"})
    assert trace_id() is None
