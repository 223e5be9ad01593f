"""What an integration says when its library is missing or too old; listeners say it too."""

from __future__ import annotations

from .._extras import extra

__all__ = ["extra"]
