"""Health and admin routes as pure decisions: a question in, an answer out.

    GET  /                           breakers, a page at a time
    GET  /live                       always 200: a restart mends no dependency
    GET  /ready                      200, or 503 for the breakers it was asked to heed;
                                     with a hook, which is not asked here, without names
    GET  /breakers/<name>            one breaker
    POST /breakers/<name>/<action>   trip, force_open, disable, observe, reset

Names come from outside: they are looked up and never make anything. Changing state takes
a switch, a hook that says True, and a request that no form and no foreign page can send.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, cast
from urllib.parse import parse_qs, urlsplit

from .. import (
    BreakerGroup,
    CircuitBreaker,
    Registry,
    Snapshot,
    State,
    breakers,
    get_breaker,
)
from ._answers import Answer, json_answer, problem

Header = Callable[[str], str | None]
"""Returns the value of a header by its name in lower case."""

ACTIONS: Final = {
    "trip": CircuitBreaker.trip,
    "force_open": CircuitBreaker.force_open,
    "disable": CircuitBreaker.disable,
    "observe": CircuitBreaker.observe,
    "reset": CircuitBreaker.reset,
}
_READING = ("GET", "HEAD")
_PAGE, _LARGEST_PAGE = 100, 1000
_PARAMETERS = {"limit", "after", "state"}
_TOTALS = (
    "calls",
    "successes",
    "failures",
    "slow",
    "neutral",
    "rejected",
    "fallbacks",
    "late",
    "lost",
    "trips",
)
_log = logging.getLogger("recloser")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked for, once the request is in order; the hook has not been asked yet."""

    action: str
    """`list`, `show`, or one of the five that change state."""
    name: str = ""
    limit: int = _PAGE
    after: str = ""
    state: State | None = None


class Desk:
    """Answers questions about the breakers of a process. Safe for threads and tasks.

    Args:
        registry: Whose breakers. Default the process's own.
        groups: Groups whose breakers are listed, too.
        ready_unless_open: Names of breakers without which there is nothing to serve:
            while one of them rejects, `/ready` is 503. Default none.
        allow_changes: Whether state can be changed at all. Default False.
        has_hook: Whether somebody decides who may.
    """

    def __init__(
        self,
        *,
        registry: Registry | None,
        groups: Iterable[BreakerGroup],
        ready_unless_open: Iterable[str],
        allow_changes: bool,
        has_hook: bool,
    ) -> None:
        """Check the options.

        Raises:
            TypeError, ValueError: One is wrong; changes without a hook, above all.
        """
        if registry is not None and not isinstance(cast("object", registry), Registry):
            msg = f"registry must be a Registry, got {registry!r}"
            raise TypeError(msg)
        if not isinstance(cast("object", allow_changes), bool):
            msg = f"allow_changes must be True or False, got {allow_changes!r}"
            raise TypeError(msg)
        if allow_changes and not has_hook:
            msg = (
                "allow_changes needs authorise=: a function of (request, action, name) "
                "that returns True for those who may"
            )
            raise ValueError(msg)
        self._registry = registry
        self._groups = _checked_groups(groups)
        self._needed = _checked_names(ready_unless_open)
        self._allow_changes = allow_changes
        self._has_hook = has_hook

    def plan(
        self, method: str, path: str, query: str, header: Header
    ) -> Question | Answer:
        """Return what is asked, or the answer if there is nothing to decide.

        Args:
            method: In capitals.
            path: Below the mount point, unquoted. Slashes at its ends say nothing, as
                some frameworks add one.
            query: As it came.
            header: The request's headers.
        """
        first, _, rest = path.strip("/").partition("/")
        if first == "breakers" and rest:
            return self._about_one(method, rest, header)
        if rest or first not in {"", "live", "ready"}:
            return problem(404, "There is no such route.")
        if method not in _READING:
            return _only(*_READING)
        if first == "live":
            return json_answer(200, {"status": "alive"})
        return self._readiness() if first == "ready" else _listing(query)

    def _about_one(self, method: str, path: str, header: Header) -> Question | Answer:
        if method in _READING:
            return Question(action="show", name=path)
        if method != "POST" or not self._allow_changes:
            return _only(*_READING, *(["POST"] if self._allow_changes else []))
        name, _, action = path.rpartition("/")
        if not name or action not in ACTIONS:
            known = ", ".join(ACTIONS)
            return problem(404, f"There is no such action; there are {known}.")
        return _forgery(header) or Question(action=action, name=name)

    def answer(self, question: Question, *, allowed: object) -> Answer:
        """Do what is asked, if the hook said exactly True.

        Args:
            question: As planned.
            allowed: What the hook said; anything but True is a no, a coroutine that
                nobody awaited above all.
        """
        if allowed is not True:
            return problem(403, "You may not do this.")
        if question.action == "list":
            return self._list(question)
        breaker = self._find(question.name)
        if breaker is None:
            return problem(404, "There is no breaker of this name.")
        if question.action == "show":
            return json_answer(200, _facts(breaker.snapshot()))
        return _change(breaker, question.action)

    def _readiness(self) -> Answer:
        found = {name: self._find(name) for name in self._needed}
        closed_off = [n for n, b in found.items() if b is not None and _rejects(b)]
        status = 503 if closed_off else 200
        content: dict[str, object] = {"status": "not ready" if closed_off else "ready"}
        if (
            self._has_hook
        ):  # it is not asked here, so nobody has said who may know names
            return json_answer(status, content)
        content["open"] = closed_off
        unknown = [name for name, breaker in found.items() if breaker is None]
        if unknown:
            content["unknown"] = unknown
        return json_answer(status, content)

    def _list(self, question: Question) -> Answer:
        by_name = self._all()
        states = dict.fromkeys(State, 0)
        for breaker in by_name.values():
            states[breaker.state] += 1
        names = sorted(
            name
            for name, breaker in by_name.items()
            if question.state in {None, breaker.state}
        )
        begin = bisect_right(names, question.after)
        page = names[begin : begin + question.limit]
        more = begin + len(page) < len(names)
        content: dict[str, object] = {
            "count": len(by_name),
            "states": {str(state): number for state, number in states.items()},
            "breakers": [_facts(by_name[name].snapshot()) for name in page],
            "next": page[-1] if more else None,
        }
        return json_answer(200, content)

    def _all(self) -> dict[str, CircuitBreaker]:
        """Return every breaker, the newest of a name."""
        known = breakers() if self._registry is None else list(self._registry)
        grouped = [breaker for group in self._groups for _, breaker in group.items()]
        return {breaker.name: breaker for breaker in [*grouped, *known]}

    def _find(self, name: str) -> CircuitBreaker | None:
        registry = self._registry
        found = get_breaker(name) if registry is None else registry.get(name)
        if found is not None:
            return found
        grouped = (breaker for group in self._groups for _, breaker in group.items())
        return next((breaker for breaker in grouped if breaker.name == name), None)


def _rejects(breaker: CircuitBreaker) -> bool:
    """Tell whether it is open and still waits.

    Once the wait is over a call has to come, or it would never close: an instance that
    gets no traffic because it is not ready would not get ready again.
    """
    if breaker.state not in {State.OPEN, State.FORCED_OPEN}:
        return False
    return breaker.snapshot().retry_after != 0.0


def _listing(query: str) -> Question | Answer:
    try:
        given = parse_qs(query, keep_blank_values=True, max_num_fields=10)
    except ValueError:
        return problem(400, "The query has too many parts.")
    if not given.keys() <= _PARAMETERS or any(len(v) > 1 for v in given.values()):
        known = ", ".join(sorted(_PARAMETERS))
        return problem(400, f"The query may have {known}, once each.")
    limit = given.get("limit", [str(_PAGE)])[0]
    if not (limit.isascii() and limit.isdecimal() and len(limit) <= len("1000")):
        limit = "0"
    if not 1 <= int(limit) <= _LARGEST_PAGE:
        return problem(400, f"limit must be from 1 to {_LARGEST_PAGE}.")
    state = given.get("state", [None])[0]
    if state is not None and state not in set(State):
        return problem(400, f"state must be one of {', '.join(State)}.")
    return Question(
        action="list",
        limit=int(limit),
        after=given.get("after", [""])[0],
        state=None if state is None else State(state),
    )


def _forgery(header: Header) -> Answer | None:
    """Refuse what another site's page could have had a browser send.

    Source: Go's `net/http.CrossOriginProtection`; a JSON body is, besides, what no form
    can send and no script without asking first.
    """
    kind = (header("content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return problem(415, "The Content-Type must be application/json.")
    site, origin = header("sec-fetch-site"), header("origin")
    if site is not None:
        same = site.strip().lower() in {"same-origin", "none"}
    else:
        same = origin is None or _host_of(origin) == (header("host") or "").lower()
    return None if same else problem(403, "Requests from other sites are refused.")


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def _change(breaker: CircuitBreaker, action: str) -> Answer:
    before = breaker.state
    try:
        ACTIONS[action](breaker)
    except ValueError as error:  # somebody holds it
        return problem(409, str(error))
    _log.warning(
        "%r: %s, by hand through the admin route (was %s)", breaker.name, action, before
    )
    return json_answer(200, _facts(breaker.snapshot()))


def _only(*methods: str) -> Answer:
    return problem(
        405, "There is no such method here.", headers=(("Allow", ", ".join(methods)),)
    )


def _facts(now: Snapshot) -> dict[str, object]:
    """Return a breaker as JSON has it: no message of any exception is in it."""
    left = now.retry_after
    return {
        "name": now.name,
        "state": str(now.state),
        "retry_after": None if left is None else round(left, 3),
        "reason": now.reason,
        "last_failure": None if now.last_failure is None else now.last_failure.type,
        "epoch": now.epoch,
        "failures_in_a_row": now.streak,
        "rates": [
            {"window": str(window), "failure_rate": failed, "slow_rate": slow}
            for window, (failed, slow) in now.rates.items()
        ],
        "totals": {name: getattr(now.totals, name) for name in _TOTALS},
    }


def _checked_groups(groups: Iterable[BreakerGroup]) -> tuple[BreakerGroup, ...]:
    given = tuple(groups)
    for group in given:
        if not isinstance(cast("object", group), BreakerGroup):
            msg = f"groups must be of BreakerGroup, got {group!r}"
            raise TypeError(msg)
    return given


def _checked_names(names: Iterable[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        msg = f"ready_unless_open must be a tuple such as ({names!r},), got {names!r}"
        raise TypeError(msg)
    given = tuple(names)
    for name in given:
        if not isinstance(cast("object", name), str) or not name:
            msg = f"ready_unless_open must hold names of breakers, got {name!r}"
            raise TypeError(msg)
    return given
