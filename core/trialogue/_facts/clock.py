"""What time it is, for whoever is not told by a simulation."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The system's clock, in UTC."""
    return datetime.now(UTC)
