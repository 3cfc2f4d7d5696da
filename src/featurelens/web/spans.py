"""Traces (OpenTelemetry), which FastAPI writes when it is told to: what they may say, and their id for the log.

OpenTelemetry is never imported here: whoever traces has imported it.
"""

from __future__ import annotations

import sys
from typing import Any

from starlette.types import Scope

_URLS = ("url.full", "http.url", "http.target")  # of other instrumentations; with the query in them
_HIDDEN = "REDACTED"  # OpenTelemetry's own word


def hide_query(scope: Scope) -> None:
    """Take the query out of the span of this request: a token, or what is searched for, may stand in it."""
    span = _span()
    if span is None or not scope["query_string"] or not span.is_recording():
        return
    span.set_attribute("url.query", _HIDDEN)
    told = getattr(span, "attributes", None) or {}
    for name in _URLS:
        if name in told:
            span.set_attribute(name, str(told[name]).partition("?")[0])


def trace_id() -> str | None:
    """The id of the trace that this request belongs to, 32 hexadecimal digits; None where nothing is traced."""
    span = _span()
    context = None if span is None else span.get_span_context()
    return f"{context.trace_id:032x}" if context is not None and context.is_valid else None


def _span() -> Any:
    trace = sys.modules.get("opentelemetry.trace")
    current = getattr(trace, "get_current_span", None)  # none as long as another thread is importing it
    return None if current is None else current()
