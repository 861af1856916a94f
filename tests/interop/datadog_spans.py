"""What ddtrace sends: run with DD_TRACE_AGENT_URL and DD_TRACE_API_VERSION set; it prints the spans as
JSON, with the identifiers that the tracer drew."""

import json
import sys

from ddtrace.trace import Context, tracer

SECOND = 1_700_000_000 * 10**9
STACK = "Traceback (most recent call last):\n  File \"shop.py\", line 7, in buy\nValueError: broken käse\n"


def span(name, start, **options):
    made = tracer.trace(name, **options)
    made.start_ns = SECOND + start
    return made


def send():
    made = []

    def end(span, duration, **expected):
        span._finish_ns(span.start_ns + duration)
        made.append({
            "name": span.name, "resource": span.resource, "service": span.service, "type": span.span_type,
            "trace": f"{span.trace_id:032x}", "span": f"{span.span_id:016x}",
            "parent": f"{span.parent_id:016x}" if span.parent_id else None,
            "start": span.start_ns, "duration": duration, "error": span.error, "expected": expected,
        })

    root = span("web.request", 1, service="shop", resource="GET /käse/{id} 🧀", span_type="web")
    root.set_tag("http.method", "GET")
    root.set_tag("http.url", "http://shop.test/käse/7?q=1")
    root.set_tag("text", "käse \"🧀\"\n\t\\")
    root.set_tag("empty", "")
    root.set_metric("ratio", 0.1)
    root.set_metric("big", 2**53)
    root.set_metric("negative", -42)
    child = span("db.query", 1_001, service="shop-db", resource="SELECT 1", span_type="sql")
    child.set_tag("span.kind", "client")
    inner = span("inner", 2_002)
    try:
        raise ValueError("broken käse")
    except ValueError:
        inner.set_exc_info(*sys.exc_info())
    # The tracer's own names the folder that this file lies in.
    inner.set_tag("error.stack", STACK)
    end(inner, 3_003)
    end(child, 123_456_789)
    linked = span("queue.send", 5_005, service="shop", span_type="queue")
    linked.set_tag("span.kind", "producer")
    linked.link_span(
        Context(trace_id=0x0123456789ABCDEF_FEDCBA9876543210, span_id=0x8877665544332211),
        attributes={"link.kind": "follows", "n": 7},
    )
    linked.set_link(trace_id=5, span_id=6, tracestate="dd=s:1", flags=1)
    linked._add_event("plain", {}, SECOND + 6_006)
    linked._add_event(
        "rich", {"text": "käse", "yes": True, "int": -3, "double": 0.5, "texts": ["a", "b"], "ints": [1, 2]}, SECOND + 7_007,
    )
    end(linked, 0)
    end(root, 2_000_000_001)
    # A trace of one span with the most of its numbers.
    last = span("last", 0, service="shop")
    end(last, 2**40)
    tracer.flush()
    tracer.shutdown()
    return made


if __name__ == "__main__":
    print(json.dumps(send()))
