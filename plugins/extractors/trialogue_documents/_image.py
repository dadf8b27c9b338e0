"""Images: their size as shown, where and when they were taken, and two smaller pictures that hold nothing else of them."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Mapping
from datetime import datetime
from typing import Any, BinaryIO

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

#: Pixels of an image: a camera's hundred millions are few, a bomb's are many more.
MOST_PIXELS = 120_000_000
#: Longest sides: of a tile on a page, and of what a model looks at.
SIDES = (("preview", 1568), ("thumbnail", 320))
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")


def read(source: BinaryIO, characters: int) -> dict[str, object]:
    """What is known of an image, and its pictures."""
    del characters
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    try:
        with Image.open(source, formats=_FORMATS) as image:
            return _facts(image) | _pictures(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"the image has more than {MOST_PIXELS // 1_000_000} million pixels") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ZeroDivisionError, EOFError) as error:
        raise ValueError("the image is damaged, or of a kind that is not read here") from error


def _facts(image: Image.Image) -> dict[str, object]:
    exif = image.getexif()
    width, height = image.size
    # Five to eight are the orientations that lie on their side.
    if exif.get(ExifTags.Base.Orientation) in (5, 6, 7, 8):
        width, height = height, width
    facts: dict[str, object] = {"width": width, "height": height}
    place = _place(exif.get_ifd(ExifTags.IFD.GPSInfo))
    if place is not None:
        facts["lat"], facts["lon"] = place
    taken = _taken(exif.get_ifd(ExifTags.IFD.Exif))
    if taken is not None:
        facts["taken_at"] = taken
    return facts


def _place(gps: Mapping[int, Any]) -> tuple[float, float] | None:
    try:
        lat = _degrees(gps[ExifTags.GPS.GPSLatitude], gps[ExifTags.GPS.GPSLatitudeRef], "S")
        lon = _degrees(gps[ExifTags.GPS.GPSLongitude], gps[ExifTags.GPS.GPSLongitudeRef], "W")
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    right = math.isfinite(lat) and math.isfinite(lon) and abs(lat) <= 90 and abs(lon) <= 180
    return (lat, lon) if right else None


def _degrees(parts: Any, half: str, negative: str) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    value = degrees + minutes / 60 + seconds / 3600
    return -value if half.upper().startswith(negative) else value


def _taken(exif: Mapping[int, Any]) -> datetime | None:
    written, offset = exif.get(ExifTags.Base.DateTimeOriginal), exif.get(ExifTags.Base.OffsetTimeOriginal)
    try:
        # Without an offset it is the camera's own time, of which nobody knows the zone.
        return datetime.strptime(f"{written}{offset or '+00:00'}", "%Y:%m:%d %H:%M:%S%z")
    except (TypeError, ValueError):
        return None


def _pictures(image: Image.Image) -> dict[str, object]:
    enough = 2 * SIDES[0][1]
    image.draft("RGB", (enough, enough))  # A JPEG can be unpacked smaller, in a fraction of the time.
    picture = ImageOps.exif_transpose(image)
    made: list[dict[str, object]] = []
    for kind, side in SIDES:
        picture = _smaller(picture, side)
        data, media_type = _saved(picture)
        width, height = picture.size
        made.append({"kind": kind, "media_type": media_type, "width": width, "height": height, "data": data})
    return {"variants": made}


def _smaller(image: Image.Image, side: int) -> Image.Image:
    clear = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    copy = image.convert("RGBA" if clear else "RGB")
    copy.thumbnail((side, side), Image.Resampling.LANCZOS)
    # Nothing of what the original said of itself.
    copy.info.clear()
    return copy


def _saved(image: Image.Image) -> tuple[bytes, str]:
    out = io.BytesIO()
    if image.mode == "RGBA":
        image.save(out, "PNG")
        return out.getvalue(), "image/png"
    image.save(out, "JPEG", quality=85)
    return out.getvalue(), "image/jpeg"
