"""The gateway's metrics, all of them; `/metrics` shows them with those of the Python process. What is worth an alert:
docs/operations.md."""

from prometheus_client import Counter, Histogram

# By route template, never by URL: keys and ids must not become labels.
REQUESTS = Counter("checkout_http_requests_total", "HTTP requests", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "checkout_http_request_seconds",
    "Time to the answer's first byte",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
REFUSED = Counter("checkout_http_refused_total", "Requests that were refused before any route saw them", ["status"])
EVENTS = Counter(
    "checkout_webhook_events_total",
    "Events sent to us: taken, not_needed, or refused: malformed, unsigned, mismatch, too_old, in_the_future",
    ["outcome"],
)
