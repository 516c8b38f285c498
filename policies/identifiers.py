"""Typed ids: a prefix that names the kind, and a UUIDv7 (RFC 9562 §5.7) in its one canonical form.

An id has exactly one spelling: lower case, hyphens, version 7. Aliases (upper case, braces, ``+1``,
percent-escapes) are not ids, so rate limits, audit search and caches cannot be tricked by a twin.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import uuid_utils


class Prefix(StrEnum):
    """The kinds of thing that have an id."""

    MEMBER = "mem_"
    HOUSEHOLD = "hh_"
    STAFF = "stf_"
    SERVICE = "svc_"
    CONSENT = "con_"
    DECISION = "dec_"
    MESSAGE = "msg_"
    REVIEW = "rev_"
    ENTRY = "aud_"
    COMPLAINT = "cmp_"
    REQUEST = "req_"
    PERMIT = "prm_"
    KEY = "key_"
    APPROVAL = "apr_"
    EVENT = "evt_"
    WEBHOOK = "whk_"
    INCIDENT = "inc_"
    IMPORT = "imp_"
    SHARE = "shr_"
    INVITATION = "inv_"
    RIGHT = "rgt_"
    HOLD = "hld_"
    SEARCH = "sch_"
    EXPORT = "exp_"
    LIFT = "lft_"


_UUID7: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def pattern(*prefixes: Prefix) -> str:
    """Return the anchored regular expression of ids with one of these prefixes."""
    return "^(?:" + "|".join(prefixes) + ")" + _UUID7 + "$"


_ANY: Final = re.compile(pattern(*Prefix).removesuffix("$") + r"\Z")


def new_id(prefix: Prefix) -> str:
    """Return a fresh id; ids made later sort later (to the millisecond)."""
    return f"{prefix}{uuid_utils.uuid7()}"


def kind_of(text: str) -> Prefix | None:
    """Return the kind of a well-formed id, or None for anything else."""
    if _ANY.match(text) is None:
        return None
    return Prefix(text[: text.index("_") + 1])
