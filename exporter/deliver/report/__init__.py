"""The report over a week or another period: gathered once, shown as JSON, HTML and PDF."""
