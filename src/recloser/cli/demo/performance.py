"""The whole demo: service, two clients, one breaker, and those who watch."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from . import picture, report
from .figures import figures
from .guard import payments_breaker
from .log import Log
from .records import Client, Recording
from .service import Service
from .story import Story
from .traffic import Traffic
from .view import Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

_REFRESH = 0.15
"""Seconds between two looks at the run."""


def perform(seconds: float, seed: int, folder: Path, *, plain: bool) -> int:
    """Run the story once, show it, and save picture and figures in `folder`.

    Args:
        seconds: Length of the run.
        seed: Settles pauses and chances.
        folder: A folder that exists and can be written.
        plain: Lines instead of a live view; so is a run without a terminal.

    Returns:
        The exit code: 0.
    """
    console = _console(plain=plain)
    story = Story.lasting(seconds)
    recording = Recording(story=story, seed=seed, elapsed=_stopwatch())
    _run(recording, console)
    both = {client: figures(recording, client) for client in Client}
    console.print(report.table(both, plain=not console.is_terminal))
    paths = picture.save(recording, both, folder)
    paths.append(report.save(both, folder))
    for path in paths:
        console.print(f"saved {path}", soft_wrap=True, highlight=False)
    return 0


def _console(*, plain: bool) -> Console:
    adapt = getattr(sys.stdout, "reconfigure", None)
    if adapt:
        adapt(errors="replace")  # a log in ASCII is no reason to fail
    if plain or not sys.stdout.isatty():
        return Console(force_terminal=False, no_color=True, highlight=False, width=100)
    return Console(highlight=False)


def _run(recording: Recording, console: Console) -> None:
    """Let service and clients run through the script, and show it."""
    breaker = payments_breaker(recording)
    with (
        Service(recording) as service,
        Traffic(Client.UNGUARDED, service.url, recording) as unguarded,
        Traffic(Client.GUARDED, service.url, recording, breaker) as guarded,
        _display(Scene(recording, service, breaker), console) as show,
    ):
        try:
            while recording.elapsed() < recording.story.seconds:
                show(recording.elapsed())
                unguarded.check()
                guarded.check()
                time.sleep(_REFRESH)
            show(recording.story.seconds)
        except BaseException:
            service.let_go()  # nobody waits for a script that is not played to its end
            raise
        finally:
            unguarded.stop()
            guarded.stop()
    unguarded.check()
    guarded.check()


def _stopwatch() -> Callable[[], float]:
    began = time.monotonic()
    return lambda: time.monotonic() - began


@contextmanager
def _display(scene: Scene, console: Console) -> Generator[Callable[[float], None]]:
    """Give the function that shows a moment: as a picture, or as lines."""
    if not console.is_terminal:
        yield Log(scene.recording, console).write
        return
    with Live(console=console, auto_refresh=False) as live:

        def show(now: float) -> None:
            live.update(scene.draw(now, *console.size), refresh=True)

        yield show
