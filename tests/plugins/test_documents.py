"""What is read out of files: right where they are right, told in words where not, and harmless where they are hostile."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, BinaryIO, TypeAlias

import pytest
from pdfs import pdf
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational
from pypdf import PdfWriter

from trialogue_documents import _docx, _html, _image, _pdf, _text

MANY = 100_000
Read: TypeAlias = Callable[[BinaryIO, int], dict[str, object]]


def read(function: Read, content: bytes, characters: int = MANY) -> dict[str, Any]:
    return function(io.BytesIO(content), characters)


# --- text --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_text_in_any_encoding(encoding: str) -> None:
    assert read(_text.read, "Grüße: naïve".encode(encoding)) == {"text": "Grüße: naïve"}


def test_long_text_is_read_in_part_and_may_be_cut_inside_a_character() -> None:
    text = read(_text.read, "ä".encode() * 1_000_001, 10)["text"]
    assert 10 < len(text) < 100


def test_page_is_what_a_reader_sees() -> None:
    page = b"""<!doctype html><head><title>No</title><style>p{}</style></head><script>alert(1)</script>
    <h1>Head &amp; shoulders</h1><p>One <b>two</b>
    three</p><template>no</template><ul><li>a<li>b</ul>"""
    assert read(_html.read, page)["text"] == "Head & shoulders\nOne two three\na\nb"


def test_page_says_its_encoding() -> None:
    page = '<meta charset="iso-8859-15"><p>20 €</p>'
    assert read(_html.read, page.encode("iso-8859-15"))["text"] == "20 €"
    assert read(_html.read, page.replace("iso-8859-15", "no-such").encode())["text"] == "20 €"


# --- Word --------------------------------------------------------------------------------------------------------

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def docx(body: str, before: str = "", more: Mapping[str, bytes] | None = None) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        xml = f'<?xml version="1.0"?>{before}<w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>'
        archive.writestr("word/document.xml", xml)
        for name, content in (more or {}).items():
            archive.writestr(name, content)
    return out.getvalue()


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def test_document_has_a_line_for_each_paragraph() -> None:
    body = (
        paragraph("One &amp; two")
        + "<w:p><w:r><w:t>a</w:t><w:tab/><w:instrText>no</w:instrText><w:t>b</w:t></w:r></w:p>"
    )
    assert read(_docx.read, docx(body))["text"] == "One & two\na\tb"


def test_macros_are_not_looked_at() -> None:
    content = docx(paragraph("Hello"), more={"word/vbaProject.bin": b"\xd0\xcf\x11\xe0 AutoOpen Shell"})
    assert read(_docx.read, content) == {"text": "Hello"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04 cut off", "damaged"),
        (docx(paragraph("Hello"))[:-30], "damaged"),
        (docx("<w:p>"), "damaged"),
        (docx("&bomb;", '<!DOCTYPE x [<!ENTITY bomb "x">]>'), "document type"),
        (docx(paragraph("x" * 70_000_000)), "unpacks to far more"),
        (docx(paragraph("x" * 5_000_000)), "unpacks to far more"),
    ],
)
def test_document_that_cannot_be_read_says_why(content: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read(_docx.read, content)


def test_zip_without_a_document_is_damaged() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("other", b"")
    with pytest.raises(ValueError, match="damaged"):
        read(_docx.read, out.getvalue())


# --- PDF ---------------------------------------------------------------------------------------------------------


def encrypted(password: str) -> bytes:
    writer = PdfWriter(io.BytesIO(pdf("Secret")))
    writer.encrypt(password, "owner", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_pages_of_a_pdf() -> None:
    assert read(_pdf.read, pdf("Hello", "world"))["text"] == "Hello\n\nworld"
    assert read(_pdf.read, pdf("Hello", "world"), 3)["text"] == "Hello"


def test_pdf_without_text_says_so() -> None:
    assert "scanned" in read(_pdf.read, pdf(""))["detail"]


def test_pdf_that_is_encrypted_without_a_password_is_read() -> None:
    assert read(_pdf.read, encrypted(""))["text"] == "Secret"


@pytest.mark.parametrize(
    ("content", "words"),
    [(encrypted("word"), "encrypted"), (b"%PDF-1.4 nonsense", "damaged"), (pdf("a")[:200], "damaged")],
)
def test_pdf_that_cannot_be_read_says_why(content: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read(_pdf.read, content)


# --- images ------------------------------------------------------------------------------------------------------


def photograph(size: tuple[int, int] = (400, 200), kind: str = "JPEG", **tags: Any) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera"  # Without a tag of its own, what is below is not written.
    for name, value in tags.items():
        ifd, _, tag = name.partition("_")
        if ifd == "GPS":
            exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS[tag]] = value
        elif ifd == "Exif":
            exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base[tag]] = value
        else:
            exif[ExifTags.Base[ifd]] = value
    out = io.BytesIO()
    Image.new("RGB", size, "red").save(out, kind, exif=exif)
    return out.getvalue()


SOMEWHERE: dict[str, Any] = {
    "GPS_GPSLatitude": (52.0, 30.0, 36.0),
    "GPS_GPSLatitudeRef": "S",
    "GPS_GPSLongitude": (13.0, 24.0, 18.0),
    "GPS_GPSLongitudeRef": "W",
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_place_and_time_of_a_photograph(kind: str) -> None:
    found = read(_image.read, photograph(kind=kind, **SOMEWHERE, Exif_DateTimeOriginal="2026:03:01 12:00:00"))
    assert (found["width"], found["height"]) == (400, 200)
    assert (found["lat"], found["lon"]) == (pytest.approx(-52.51), pytest.approx(-13.405))
    assert found["taken_at"] == datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_time_has_the_offset_the_camera_tells() -> None:
    found = read(_image.read, photograph(Exif_DateTimeOriginal="2026:03:01 12:00:00", Exif_OffsetTimeOriginal="+02:00"))
    assert found["taken_at"] == datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {**SOMEWHERE, "GPS_GPSLatitude": (91.0, 0.0, 0.0)},
        {**SOMEWHERE, "GPS_GPSLatitude": (IFDRational(1, 0), 0.0, 0.0)},
        {"GPS_GPSLatitude": (1.0, 0.0, 0.0)},
        {"Exif_DateTimeOriginal": "yesterday"},
    ],
)
def test_what_a_camera_does_not_know_is_not_made_up(tags: dict[str, Any]) -> None:
    found = read(_image.read, photograph(**tags))
    assert not {"lat", "lon", "taken_at"} & found.keys()


def test_smaller_pictures_stand_upright_and_tell_nothing() -> None:
    found = read(_image.read, photograph((4_000, 2_000), Orientation=6, **SOMEWHERE))
    assert (found["width"], found["height"]) == (2_000, 4_000)
    preview, thumbnail = found["variants"]
    assert (preview["kind"], preview["width"], preview["height"]) == ("preview", 784, 1568)
    assert (thumbnail["kind"], thumbnail["width"], thumbnail["height"]) == ("thumbnail", 160, 320)
    for variant in found["variants"]:
        with Image.open(io.BytesIO(variant["data"])) as image:
            assert image.size == (variant["width"], variant["height"])
            assert not image.getexif()
        assert b"Camera" not in variant["data"]


def test_transparency_is_kept() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (10, 10), (0, 0, 0, 0)).save(out, "PNG")
    variants = read(_image.read, out.getvalue())["variants"]
    assert [variant["media_type"] for variant in variants] == ["image/png"] * 2


def test_bomb_of_an_image_is_refused() -> None:
    out = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(out, "PNG")
    with pytest.raises(ValueError, match="million pixels"):
        read(_image.read, out.getvalue())


def test_damaged_image_is_told() -> None:
    with pytest.raises(ValueError, match="damaged"):
        read(_image.read, photograph()[:300])
    with pytest.raises(ValueError, match="damaged"):
        read(_image.read, b"\x89PNG\r\n\x1a\n")
