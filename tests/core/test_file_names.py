"""Names and types of files: whatever a client says, what is shown is one clean line, and content alone says what it is."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialogue._files.file_names import LONGEST, clean_name
from trialogue._files.media_types import HEAD, media_type_of


@given(st.text(max_size=400))
def test_any_name_becomes_one_that_can_be_shown(name: str) -> None:
    clean = clean_name(name)
    assert clean
    assert len(clean.encode()) <= LONGEST
    assert clean == clean.strip(". ")
    assert not {"/", "\\"} & set(clean)
    assert not {unicodedata.category(c) for c in clean} & {"Cc", "Zl", "Zp", "Cs"}
    assert not set(clean) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u200b")
    assert clean_name(clean) == clean


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\nrest", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio/wav"),
        (b"\x00\x00\x00\x20ftypavif", "image/avif"),
        (b"\x00\x00\x00\x20ftypisom", "video/mp4"),
        (b"%PDF-1.7", "application/pdf"),
        (b"PK\x03\x04" + b"\x00" * 26 + b"[Content_Types].xml....word/document.xml",
         "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (b"PK\x03\x04" + b"\x00" * 14 + b"\x14" + b"\x00" * 11 + b"mimetypeapplication/epub+zipPK", "application/epub+zip"),
        (b"PK\x03\x04" + b"\x00" * 26 + b"readme.txt", "application/zip"),
        (b"hello", "text/plain"),
        ("grüße".encode(), "text/plain"),
        ("grüße an alle".encode("cp1252"), "text/plain"),
        ("hello".encode("utf-16"), "text/plain"),
        (b"", "text/plain"),
        (b"BM is how some texts begin", "text/plain"),
        (b"MZ too", "text/plain"),
        (b"MZ\x90\x00\x03", "application/vnd.microsoft.portable-executable"),
        (b"  <!-- x --><!DOCTYPE html><p>", "text/html"),
        (b"<script>alert(1)</script>", "text/html"),
        (b"\xef\xbb\xbf<html>", "text/html"),
        (b"<?xml version='1.0'?><svg onload='x'/>", "image/svg+xml"),
        (b"<?xml version='1.0'?><feed/>", "application/xml"),
        (b"\x00\x01\x02", "application/octet-stream"),
        (bytes(range(128, 256)), "application/octet-stream"),
    ],
)  # fmt: skip
def test_content_says_what_it_is(content: bytes, media_type: str) -> None:
    assert media_type_of(content, whole=True) == media_type


def test_text_that_is_cut_inside_a_character_is_text() -> None:
    assert media_type_of("ä".encode() * (HEAD // 2), whole=False) == "text/plain"
    assert media_type_of(("ä".encode() * HEAD)[: HEAD - 1], whole=False) == "text/plain"


@given(st.binary(max_size=300))
def test_anything_is_something(content: bytes) -> None:
    family, slash, kind = media_type_of(content, whole=True).partition("/")
    assert (bool(family), slash, bool(kind)) == (True, "/", True)
