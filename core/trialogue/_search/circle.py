"""A circle on the Earth as the box that an index of degrees understands. Pure; for stores."""

from __future__ import annotations

import math

from trialogue._search.search import Circle

#: Degrees by which the box is larger than it need be: what rounding may take away. The circle is a metre larger.
_SLACK = 1e-9


def box_of(circle: Circle) -> dict[str, float]:
    """The values of a statement that asks for what is near: ``lat``, ``lon``, ``reach`` in metres, and the box.

    Longitudes are two intervals, of which the second one may be empty: ``west`` to ``east``, ``west2`` to ``east2``.
    """
    angle = circle.angle
    reach = math.degrees(angle) + _SLACK
    south, north = circle.lat - reach, circle.lat + reach
    values = {"lat": circle.lat, "lon": circle.lon, "south": south, "north": north, "reach": circle.radius + 1.0}
    if south <= -90 or north >= 90:  # A pole lies within, and all longitudes with it.
        return values | _intervals(-180, 180, 1, 0)
    half = math.degrees(math.asin(min(1.0, math.sin(angle) / math.cos(math.radians(circle.lat))))) + _SLACK
    west, east = circle.lon - half, circle.lon + half
    if west <= -180:
        return values | _intervals(-180, east, west + 360, 180)
    if east >= 180:
        return values | _intervals(west, 180, -180, east - 360)
    return values | _intervals(west, east, 1, 0)


def _intervals(west: float, east: float, west2: float, east2: float) -> dict[str, float]:
    return {"west": west, "east": east, "west2": west2, "east2": east2}
