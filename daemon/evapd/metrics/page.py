"""The table of docs/metrics.md; a test compares the page with it."""

from evapd.metrics.collector import METRICS

BEGIN = "<!-- metrics: begin -->"
END = "<!-- metrics: end -->"


def markdown() -> str:
    """Give the table."""
    rows = ["| metric | kind | labels | meaning |", "| --- | --- | --- | --- |"]
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.doc} |")
    return "\n".join(rows)
