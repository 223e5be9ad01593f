"""The application: it holds what the project's settings say."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from inspect import iscoroutinefunction
from typing import Any, cast, final

from django.apps import AppConfig
from django.apps import apps as installed
from django.conf import settings
from django.core.checks import register
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from ...settings import Settings
from .._health import Desk
from .._rejections import Told, checked

_HEALTH = {"allow_changes", "authorise", "groups", "ready_unless_open"}
Options = Mapping[str, Any]  # what people write in settings.py


@final
class RecloserConfig(AppConfig):
    """Our part of a Django project. Made by Django, once."""

    name = "recloser.integrations.django"
    label = "recloser"
    verbose_name = "Circuit breakers"

    def ready(self) -> None:
        """Register the checks, and follow the setting where tests override it."""
        from .checks import check_settings  # noqa: PLC0415 - it imports this module

        register(check_settings)
        setting_changed.connect(self._follow, dispatch_uid="recloser")

    @cached_property
    def circuits(self) -> Settings:
        """Breakers and groups of the project.

        Raises:
            ImproperlyConfigured: The setting is wrong.
        """
        return self._read()

    @property
    def tell(self) -> frozenset[Told]:
        """What callers of rejected views may know.

        Raises:
            ImproperlyConfigured: The setting is wrong.
        """
        try:
            return checked(_options().get("tell", ()))
        except (TypeError, ValueError) as error:
            msg = f"RECLOSER: {error}"
            raise ImproperlyConfigured(msg) from error

    @cached_property
    def desk(self) -> tuple[Desk, Any]:
        """What answers on the health routes, and the hook that decides who may.

        Raises:
            ImproperlyConfigured: The setting is wrong.
        """
        health = _options().get("health", {})
        try:
            return self._desk(health)
        except (ImportError, TypeError, ValueError) as error:
            msg = f"RECLOSER: health: {error}"
            raise ImproperlyConfigured(msg) from error

    def reload(self) -> list[str]:
        """Take over what the setting says now."""
        try:
            changed = self.circuits.update(self._read())
        except ValueError as error:
            msg = f"RECLOSER: {error}"
            raise ImproperlyConfigured(msg) from error
        self.__dict__.pop("desk", None)
        return changed

    def _read(self) -> Settings:
        table = {k: v for k, v in _options().items() if k not in {"tell", "health"}}
        try:
            return Settings(table)
        except (TypeError, ValueError) as error:
            msg = f"RECLOSER: {error}"
            raise ImproperlyConfigured(msg) from error

    def _desk(self, health: Any) -> tuple[Desk, Any]:
        if not isinstance(health, Mapping):
            msg = f"must be a mapping, got {health!r}"
            raise TypeError(msg)
        options = cast("Options", health)
        for key in options:
            if key not in _HEALTH:
                msg = f"{key}: unknown; known here: {', '.join(sorted(_HEALTH))}"
                raise ValueError(msg)
        hook = _hook(options.get("authorise"))
        desk = Desk(
            registry=None,
            groups=[self.circuits.group(name) for name in options.get("groups", ())],
            ready_unless_open=options.get("ready_unless_open", ()),
            allow_changes=options.get("allow_changes", False),
            has_hook=hook is not None,
        )
        return desk, hook

    def _follow(self, *, setting: str, **_: object) -> None:
        if setting == "RECLOSER":
            self.reload()


def application() -> RecloserConfig:
    """Return our part of the running project."""
    return cast("RecloserConfig", installed.get_app_config("recloser"))


def _options() -> Options:
    options: object = getattr(settings, "RECLOSER", {})
    if not isinstance(options, Mapping):
        msg = f"RECLOSER: must be a mapping, got {options!r}"
        raise ImproperlyConfigured(msg)
    return cast("Options", options)


def _hook(given: object) -> Any:  # a function of the project
    hook = import_string(given) if isinstance(given, str) else given
    if hook is not None and (not callable(hook) or iscoroutinefunction(hook)):
        msg = f"authorise must be a plain function, or the dotted path to one, got {given!r}"
        raise TypeError(msg)
    return hook
