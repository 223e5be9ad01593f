"""Benchmarks that anyone can run: `python -m benchmarks`.

Reading order: `subjects` (who is measured) → `loops` and `rounds` (how) → one module
per kind of work (`calls`, `rare`, `windows`, `threads`, `herd`, `memory`, `imports`,
`instructions`) → `goals`, `tables`, `plot` and `page` (what comes out).
"""
