"""Malformed requests, made from a well-formed one: what is changed, and what must come back.

Each attack carries a mark where it can, so that a test can see whether anything of it is echoed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MARK: Final = "zzCanary7f3a"


@dataclass(frozen=True)
class Attempt:
    """One request as it will be sent."""

    method: str
    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


Attack = Callable[[Attempt], Attempt]


def _body(body: bytes, **headers: str) -> Attack:
    return lambda one: Attempt(one.method, one.path, body, {**one.headers, **_named(headers)})


def _at_path_end(one: Attempt, change: Callable[[str], str]) -> Attempt:
    path, mark, query = one.path.partition("?")
    return Attempt(one.method, change(path) + mark + query, one.body, one.headers)


def _headers(**headers: str) -> Attack:
    return lambda one: Attempt(one.method, one.path, one.body, {**one.headers, **_named(headers)})


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _reworked(work: Callable[[bytes], bytes]) -> Attack:
    return lambda one: Attempt(one.method, one.path, work(one.body), one.headers)


def _first_key_twice(body: bytes) -> bytes:
    if body == b"{}":
        return b'{"a": 1, "a": 1}'
    key = json.dumps(next(iter(json.loads(body))))
    return b"{" + key.encode() + b": null, " + body[1:]


def _deep_key_twice(body: bytes) -> bytes:
    return body[:-1] + (b", " if body != b"{}" else b"") + b'"x": [{"y": {"k": 1, "\\u006b": 2}}]}'


def _with(member: str) -> Callable[[bytes], bytes]:
    def work(body: bytes) -> bytes:
        return body[:-1] + (b", " if body != b"{}" else b"") + member.encode() + b"}"

    return work


def _every_text(text: str) -> Callable[[bytes], bytes]:
    """Replace every string value by ``text``."""

    def swap(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: swap(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [swap(inner) for inner in value]
        return "@@" if isinstance(value, str) else value

    def work(body: bytes) -> bytes:
        swapped = json.dumps(swap({**json.loads(body), "x": "@@"}))
        return swapped.replace('"@@"', f'"{text}"').encode()

    return work


# name → what is done, and the codes that may come back; for routes that take a body.
BODIES: Final[Mapping[str, tuple[Attack, frozenset[str]]]] = {
    "no body": (_body(b""), frozenset({"empty_body"})),
    "white space": (_body(b" \n "), frozenset({"malformed_json"})),
    "not JSON": (_body(f"{{{MARK}".encode()), frozenset({"malformed_json"})),
    "cut off": (_reworked(lambda body: body[:-1]), frozenset({"malformed_json"})),
    "something after it": (
        _reworked(lambda body: body + f'"{MARK}"'.encode()),
        frozenset({"malformed_json"}),
    ),
    "a second document": (_reworked(lambda body: body + b"\n" + body), frozenset({"malformed_json"})),
    "an array": (_reworked(lambda body: b"[" + body + b"]"), frozenset({"invalid_request"})),
    "null": (_body(b"null"), frozenset({"invalid_request"})),
    "a string": (_body(f'"{MARK}"'.encode()), frozenset({"invalid_request"})),
    "a number": (_body(b"1"), frozenset({"invalid_request"})),
    "a key twice": (_reworked(_first_key_twice), frozenset({"duplicate_key"})),
    "a key twice, deep inside, once escaped": (_reworked(_deep_key_twice), frozenset({"duplicate_key"})),
    "an unknown member": (_reworked(_with(f'"{MARK}": true')), frozenset({"invalid_request"})),
    "a name as a member": (_reworked(_with(f'"张丽{MARK}": "15400001002"')), frozenset({"invalid_request"})),
    "guessed members": (
        _reworked(_with('"is_guardian": true, "epoch": 9, "rank": "primary_account"')),
        frozenset({"invalid_request"}),
    ),
    "NaN": (_reworked(_with('"x": NaN')), frozenset({"number_out_of_range"})),
    "Infinity": (_reworked(_with('"x": [-Infinity]')), frozenset({"number_out_of_range"})),
    "1e999": (_reworked(_with('"x": 1e999')), frozenset({"number_out_of_range"})),
    "a number of 10,000 digits": (
        _reworked(_with('"x": ' + "9" * 10_000)),
        frozenset({"malformed_json", "number_out_of_range"}),
    ),
    "a number of 4,000 digits": (_reworked(_with('"x": ' + "9" * 4_000)), frozenset({"invalid_request"})),
    "a lone surrogate": (_reworked(_every_text("\\ud83d" + MARK)), frozenset({"unstorable_text"})),
    "a lone low surrogate": (_reworked(_every_text("\\uDE00")), frozenset({"unstorable_text"})),
    "a surrogate as a key": (_reworked(_with('"\\udfff": 1')), frozenset({"unstorable_text"})),
    "NUL": (_reworked(_every_text(MARK + "\\u0000")), frozenset({"unstorable_text"})),
    "raw NUL": (_reworked(_every_text("a\0b")), frozenset({"malformed_json"})),
    "a raw control sign": (_reworked(_every_text("a\x1bb")), frozenset({"malformed_json"})),
    "a BOM": (_reworked(lambda body: b"\xef\xbb\xbf" + body), frozenset({"not_utf8"})),
    "UTF-16": (_reworked(lambda body: body.decode().encode("utf-16")), frozenset({"not_utf8"})),
    "UTF-16 without BOM": (
        _reworked(lambda body: body.decode().encode("utf-16-le")),
        frozenset({"not_utf8", "malformed_json"}),
    ),
    "UTF-32": (_reworked(lambda body: body.decode().encode("utf-32")), frozenset({"not_utf8"})),
    "invalid UTF-8": (_reworked(lambda body: body[:-1] + b', "x": "\xff\xfe"}'), frozenset({"not_utf8"})),
    "a surrogate in UTF-8": (_reworked(lambda body: body[:-1] + b'"\xed\xa0\x80"}'), frozenset({"not_utf8"})),
    "overlong UTF-8": (_reworked(lambda body: body[:-1] + b', "x": "\xc0\xaf"}'), frozenset({"not_utf8"})),
    "100,000 arrays in each other": (_body(b"[" * 100_000), frozenset({"too_deep"})),
    "100,000 closed arrays": (_body(b"[" * 100_000 + b"]" * 100_000), frozenset({"too_deep"})),
    "40,000 objects in each other": (
        _body(b'{"a":' * 40_000 + b"1" + b"}" * 40_000),
        frozenset({"too_deep"}),
    ),
    "60 deep": (
        _reworked(_with('"x": ' + "[" * 60 + "]" * 60)),
        frozenset({"invalid_request", "too_deep"}),
    ),
    "too long": (_body(b'{"x": "' + b"a" * 300_000 + b'"}'), frozenset({"body_too_large"})),
    "text/plain": (_headers(content_type="text/plain"), frozenset({"unsupported_media_type"})),
    "a form": (
        _headers(content_type="application/x-www-form-urlencoded"),
        frozenset({"unsupported_media_type"}),
    ),
    "a JSON dialect": (
        _headers(content_type=f"application/vnd.{MARK}+json"),
        frozenset({"unsupported_media_type"}),
    ),
    "no content type": (_headers(content_type=""), frozenset({"unsupported_media_type"})),
    "UTF-7": (
        _headers(content_type="application/json; charset=utf-7"),
        frozenset({"unsupported_media_type"}),
    ),
    "two charsets": (
        _headers(content_type="application/json; charset=utf-8; charset=utf-16"),
        frozenset({"unsupported_media_type"}),
    ),
    "gzip": (_headers(content_encoding="gzip"), frozenset({"unsupported_media_type"})),
    "unknown coding": (_headers(content_encoding=MARK), frozenset({"unsupported_media_type"})),
    "every text an enormous word": (_reworked(_every_text(MARK * 500)), frozenset({"invalid_request"})),
    "every text a number in full width": (_reworked(_every_text("１２３")), frozenset({"invalid_request"})),
}

# name → what is done, and the codes that may come back; for every route.
HEADS: Final[Mapping[str, tuple[Attack, frozenset[str]]]] = {
    "a header of 100 KB": (_headers(x_filler=MARK * 8_000), frozenset({"headers_too_large"})),
    "a path that goes on": (
        lambda one: Attempt(one.method, f"{one.path}/{MARK}", one.body, one.headers),
        # Of a list it is the address of one of its things, with an id that is none or another method; what
        # was made here may be looked at there.
        frozenset({"not_found", "invalid_request", "method_not_allowed"}),
    ),
    "a slash at the end": (
        lambda one: _at_path_end(one, lambda path: f"{path}/"),
        frozenset({"not_found"}),
    ),
    "two slashes": (
        lambda one: Attempt(one.method, one.path.replace("/", "//", 1), one.body, one.headers),
        frozenset({"not_found", "bad_request_line"}),
    ),
    "a letter percent-escaped": (
        lambda one: _at_path_end(one, lambda path: f"{path[:-1]}%{path[-1].encode().hex()}"),
        frozenset({"not_found", "bad_request_line"}),
    ),
    "a host that is none": (_headers(host=f"[{MARK}"), frozenset({"bad_request_line"})),
    "a host with a path": (_headers(host=f"{MARK}.example/@"), frozenset({"bad_request_line"})),
    "a length that is no number": (
        _headers(content_length="+5"),
        frozenset({"bad_request_line"}),
    ),
    "a length that lies": (_headers(content_length="99999999999999"), frozenset({"body_too_large"})),
    "another method": (
        lambda one: Attempt("PATCH", one.path, b"", one.headers),
        frozenset({"method_not_allowed"}),
    ),
    "TRACE": (
        lambda one: Attempt("TRACE", one.path, b"", one.headers),
        frozenset({"method_not_allowed"}),
    ),
    "an invented method": (
        lambda one: Attempt(MARK.upper(), one.path, b"", one.headers),
        frozenset({"method_not_allowed"}),
    ),
}

# How an id may be misspelt; each is tried in every place of a path where an id stands.
ALIASES: Final[Mapping[str, Callable[[str], str]]] = {
    "upper case": str.upper,
    "upper case digits": lambda id_: id_[:4] + id_[4:].upper(),
    "braces": lambda id_: id_[:4] + "%7B" + id_[4:] + "%7D",
    "no hyphens": lambda id_: id_.replace("-", ""),
    "percent escapes": lambda id_: id_[:-1] + "%" + id_[-1].encode().hex(),
    "a plus": lambda id_: id_[:4] + "+" + id_[4:],
    "a blank at the end": lambda id_: id_ + "%20",
    "a line feed at the end": lambda id_: id_ + "%0A",
    "NUL at the end": lambda id_: id_ + "%00",
    "full-width digits": lambda id_: id_.replace("0", "%EF%BC%90"),
    "another version": lambda id_: id_.replace("-7", "-4", 1),
    "a number": lambda _: "1",
    "a float": lambda _: "1.0",
    "a path upwards": lambda id_: "..%2F" + id_,
    "an asterisk": lambda _: "*",
}
