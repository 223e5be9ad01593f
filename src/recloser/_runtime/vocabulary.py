"""What other libraries call our options, for the error on an unknown keyword."""

from __future__ import annotations

_WORDS = {
    "fail_max": ("pybreaker", "trip=5"),
    "reset_timeout": ("pybreaker", "recovery=30"),
    "success_threshold": ("pybreaker", "probes=3"),
    "exclude": ("pybreaker", "successes=(...) or ignore=(...)"),
    "state_storage": ("pybreaker", "share=..."),
    "timeout_duration": ("aiobreaker", "recovery=30"),
    "failure_threshold": ("circuitbreaker", "trip=5"),
    "recovery_timeout": ("circuitbreaker", "recovery=30"),
    "expected_exception": ("circuitbreaker", "failures=(...)"),
    "fallback_function": ("circuitbreaker", "@breaker(fallback=...)"),
    "fallback": ("a guard", "@breaker(fallback=...)"),
    "wait": ("a guard", "@breaker(wait=...)"),
    "key": ("a guard", "@breaker(key=...)"),
    "threshold": ("purgatory", "trip=5"),
    "ttl": ("purgatory", "recovery=30"),
    "open_window_s": ("dorm", "recovery=30"),
    "failure_rate_threshold": ("interlock", "trip=FailureRate(0.5)"),
    "max_concurrent_probes": ("interlock", "probe_concurrency=1"),
    "timeout": ("the guarded call", "recovery=30 for the time to stay open"),
}


def unknown_option(name: str) -> TypeError:
    """Return the error for a keyword that is not ours."""
    if name in _WORDS:
        whose, ours = _WORDS[name]
        return TypeError(
            f"CircuitBreaker has no {name!r}: it is the word of {whose}; use {ours}"
        )
    return TypeError(f"CircuitBreaker has no option {name!r}")


def unknown_guard_option(name: str) -> TypeError:
    """Return the error for a keyword that no guard takes."""
    return TypeError(
        f"a guard has no option {name!r}: it takes fallback, wait, key, ignore, "
        "successes, failures, failure_result and retry_after"
    )
