"""/metrics is what Prometheus reads, and counts what happened; /health says that it is up."""

from __future__ import annotations

import re

from featurelens import __version__

LINE = re.compile(r'^[a-z_]+(\{[a-z_]+="[^"\n]*"(,[a-z_]+="[^"\n]*")*\})? [0-9.e+-]+$')


def samples(text: str) -> dict[str, float]:
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            assert re.match(r"^# (HELP [a-z_]+ .+|TYPE [a-z_]+ (counter|gauge|histogram))$", line), line
            continue
        assert LINE.match(line), line
        name, _, value = line.rpartition(" ")
        assert name not in found, f"{name} stands twice"
        found[name] = float(value)
    return found


def test_counts_and_times(client, gallery):
    before = samples(client.get("/metrics").text)
    for _ in range(3):
        client.post("/api/v1/search", json={"ids": [gallery.images()[0].id]})
    client.get('/api/v1/images/"%0A/file')
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    after = samples(answer.text)
    one = 'featurelens_http_requests_total{method="POST",route="/api/v1/search",status="200"}'
    assert after[one] - before.get(one, 0) == 3
    assert after["featurelens_images"] == 13
    assert after['featurelens_queue_items_total{queue="search"}'] >= 3
    route = 'route="/api/v1/search"'
    counted = [v for k, v in after.items() if k.startswith(f"featurelens_http_seconds_bucket{{{route}")]
    assert counted == sorted(counted)
    assert counted[-1] == after[f"featurelens_http_seconds_count{{{route}}}"]


def test_health(client):
    assert client.get("/health").json() == {"status": "ok", "version": __version__}
