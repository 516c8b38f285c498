"""Requests under a law as they stand on record, in the words of the Data Rights Protocol.

Promises that a request that waits for its code expires by itself, half-open and without a sweep, that every
refusal is one word of a closed list with a sentence in Chinese and English (个人信息保护法 第五十条), and
that nobody's name or value is in a row: the details are sealed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from typing import Final, NamedTuple, Self

from sqlalchemy import and_, bindparam, delete, insert, or_, select, update

from governance.records import ErasureCertificate, RelationRow, RightsRequest
from policies.identifiers import Prefix
from policies.terms import ActorId, Relation, SubjectId
from policies.transaction import Row, Transaction

_t = RightsRequest.__table__
_certificate = ErasureCertificate.__table__
_relation = RelationRow.__table__
ENTITY: Final = "rights_request"
NEEDS_CODE: Final = "need_user_verification"
MOST: Final = 100
"""How many requests a list shows."""
EXPORT_MS: Final = 30 * 86_400_000
"""How long a fulfilled request hands out an export: a month to fetch it. What was asked for once must not
stay a standing door to what is recorded later; asking again costs nothing."""


class Right(StrEnum):
    """What a person can ask for (个人信息保护法 第四十四条至第四十八条)."""

    ACCESS = "access"
    PORTABILITY = "portability"
    RECTIFICATION = "rectification"
    ERASURE = "erasure"
    RESTRICTION = "restriction"
    OBJECTION = "objection"
    EXPLANATION = "explanation"


FOR_OFFICERS: Final = frozenset({Right.RECTIFICATION, Right.ERASURE})
"""What changes or destroys data waits for an officer; everything else takes effect at once."""


class Status(StrEnum):
    """The statuses of the Data Rights Protocol."""

    OPEN = "open"
    IN_PROGRESS = "in_progress"
    FULFILLED = "fulfilled"
    REVOKED = "revoked"
    DENIED = "denied"
    EXPIRED = "expired"


WAITING: Final = (Status.OPEN.value, Status.IN_PROGRESS.value)


class Refusal(Enum):
    """Why a request is denied, in the protocol's words, and what the person reads."""

    zh: str
    en: str

    def __new__(cls, code: str, zh: str, en: str) -> Self:
        """Make the code the value and keep the sentences beside it."""
        refusal = object.__new__(cls)
        refusal._value_ = code
        refusal.zh = zh
        refusal.en = en
        return refusal

    SUSPECTED_FRAUD = (
        "suspected_fraud",
        "有迹象表明请求不是本人提出的。",
        "There are signs that somebody else made this request.",
    )
    INSUFFICIENT = (
        "insuf_verification",
        "身份没有得到足够的证明。",
        "The identity was not shown well enough.",
    )
    NO_MATCH = ("no_match", "我们没有与请求相符的信息。", "We hold nothing that the request is about.")
    NOT_COVERED = (
        "claim_not_covered",
        "法律要求我们在规定期限内继续保存这些信息。",
        "The law obliges us to keep this for a certain time.",
    )
    OUTSIDE = (
        "outside_jurisdiction",
        "请求所依据的法律在这里不适用。",
        "The law that the request names does not apply here.",
    )

    def sentence(self, language: str) -> str:
        """Return the sentence in ``"zh"`` or ``"en"``."""
        return self.en if language == "en" else self.zh


class Extension(Enum):
    """Why an answer takes longer, in the words of GDPR Art. 12(3), and what the person reads."""

    zh: str
    en: str

    def __new__(cls, code: str, zh: str, en: str) -> Self:
        """Make the code the value and keep the sentences beside it."""
        extension = object.__new__(cls)
        extension._value_ = code
        extension.zh = zh
        extension.en = en
        return extension

    COMPLEX = ("complexity", "请求较为复杂，需要更多时间。", "The request is complex and needs more time.")
    MANY = (
        "number",
        "您的请求较多，需要更多时间。",
        "You made many requests; they need more time.",
    )

    def sentence(self, language: str) -> str:
        """Return the sentence in ``"zh"`` or ``"en"``."""
        return self.en if language == "en" else self.zh


REFUSALS: Final = {one.value: one for one in Refusal}
EXTENSIONS: Final = {one.value: one for one in Extension}
_EXTENDED: Final = "/"
"""What stands between the two words of the one column that holds refusal and extension."""
_COLUMNS: Final = (
    *("subject_id", "id", "kind", "regime", "state", "actor_id", "via", "known_by", "detail"),
    *("asked_at", "verify_by", "due_at", "exact", "refusal", "proposed_by", "decided_by", "decided_at"),
)
_SELECT: Final = select(*(_t.c[name] for name in _COLUMNS))
_ADD: Final = insert(_t)
_ONE: Final = _SELECT.where(_t.c.id == bindparam("request"))
_ABOUT: Final = _SELECT.where(_t.c.subject_id == bindparam("subject")).order_by(_t.c.id.desc())
# Whoever was ever a guardian finds what it asked for; by wards, since requests are keyed by their subject.
_WARDS: Final = select(_relation.c.subject_id).where(
    _relation.c.actor_id == bindparam("member"), _relation.c.relation == Relation.WARD.value
)
_MINE: Final = (
    _SELECT.where(
        or_(
            _t.c.subject_id == bindparam("member"),
            and_(_t.c.subject_id.in_(_WARDS), _t.c.actor_id == bindparam("member")),
        )
    )
    .order_by(_t.c.id.desc())
    .limit(MOST)
)
_SAME: Final = _SELECT.where(
    _t.c.subject_id == bindparam("subject"),
    _t.c.kind == bindparam("right"),
    _t.c.state.in_(WAITING),
    _t.c.known_by != "",
)
_QUEUE: Final = (
    _SELECT.where(_t.c.state.in_(WAITING), _t.c.known_by != "").order_by(_t.c.due_at, _t.c.id).limit(MOST)
)
_SET: Final = (
    update(_t)
    .where(_t.c.subject_id == bindparam("subject"), _t.c.id == bindparam("request"))
    .values(
        state=bindparam("now_state"),
        known_by=bindparam("known"),
        due_at=bindparam("due"),
        refusal=bindparam("why"),
        proposed_by=bindparam("first"),
        decided_by=bindparam("second"),
        decided_at=bindparam("at"),
    )
)
_ADD_CERTIFICATE: Final = insert(_certificate)
_DROP_CERTIFICATE: Final = delete(_certificate).where(_certificate.c.request_id == bindparam("request"))
_CERTIFICATE: Final = select(_certificate.c.body, _certificate.c.via, _certificate.c.made_at).where(
    _certificate.c.request_id == bindparam("request")
)
_FOLLOWS: Final = Prefix.RIGHT.encode()
"""How the body of a row begins that is no certificate but follows another request: certificates are JSON."""


class Certificate(NamedTuple):
    """The signed statement of an erasure, and when it was made."""

    body: bytes
    made_at: int


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Times in milliseconds; ``due_at`` is the first instant that is too late.

    ``exact`` is false where no calendar of working days was there, so that every day was counted.
    ``via`` is the service that passed the request on, or the member who made it in a session.
    ``extension`` is why the answer takes longer, empty while it does not.
    """

    subject_id: SubjectId
    id: str
    kind: Right
    regime: str
    state: Status
    actor_id: ActorId
    via: str
    known_by: str
    detail: bytes
    asked_at: int
    verify_by: int | None
    due_at: int
    exact: bool
    refusal: str = ""
    extension: str = ""
    proposed_by: str | None = None
    decided_by: str | None = None
    decided_at: int | None = None

    def status(self, now: int) -> Status:
        """Return how it stands; without its code it expires by itself."""
        if self.verify_by is not None and not self.known_by and now >= self.verify_by:
            return Status.EXPIRED if self.state in (Status.OPEN, Status.IN_PROGRESS) else self.state
        return self.state

    def exports(self, now: int) -> bool:
        """Say whether an export may still be fetched: 30 days from the fulfilment, half-open."""
        return self.decided_at is not None and now < self.decided_at + EXPORT_MS

    def reason(self, now: int) -> str:
        """Return the protocol's reason beside the status, empty where there is none."""
        if self.state is Status.DENIED:
            return self.refusal
        waits = not self.known_by and self.status(now) in (Status.IN_PROGRESS, Status.EXPIRED)
        return NEEDS_CODE if waits else ""


def request_of(row: Row) -> Request:
    """Return a row as a request."""
    values = dict(zip(_COLUMNS, row, strict=True))
    refusal, _, extension = values["refusal"].partition(_EXTENDED)
    values |= {
        "refusal": refusal,
        "extension": extension,
        "kind": Right(values["kind"]),
        "state": Status(values["state"]),
        "detail": bytes(values["detail"]),
        "exact": bool(values["exact"]),
    }
    return Request(**values)


def one(tx: Transaction, request_id: str) -> Request | None:
    """Return a request by its id."""
    rows = tx.rows(_ONE, {"request": request_id})
    return request_of(rows[0]) if rows else None


def of_subject(tx: Transaction, subject: SubjectId) -> list[Request]:
    """Return everything that was asked about a person, newest first."""
    return [request_of(row) for row in tx.rows(_ABOUT, {"subject": subject})]


def of_member(tx: Transaction, member: SubjectId) -> list[Request]:
    """Return what was asked about a member and what the member asked for a ward, newest first."""
    return [request_of(row) for row in tx.rows(_MINE, {"member": member})]


def same(tx: Transaction, subject: SubjectId, kind: Right) -> Request | None:
    """Return an identified request of this kind that waits already."""
    rows = tx.rows(_SAME, {"subject": subject, "right": kind.value})
    return request_of(rows[0]) if rows else None


def queue(tx: Transaction) -> list[Request]:
    """Return the identified requests that wait for an officer, the most urgent first."""
    return [request_of(row) for row in tx.rows(_QUEUE)]


def add(tx: Transaction, request: Request) -> None:
    """Store a new request."""
    row: dict[str, object] = {name: getattr(request, name) for name in _COLUMNS}
    row |= {"kind": request.kind.value, "state": request.state.value, "exact": int(request.exact)}
    tx.run(_ADD, row)


def settle(tx: Transaction, request: Request) -> None:
    """Store what became of a request."""
    tx.run(
        _SET,
        {
            "subject": request.subject_id,
            "request": request.id,
            "now_state": request.state.value,
            "known": request.known_by,
            "due": request.due_at,
            "why": request.refusal + (_EXTENDED + request.extension if request.extension else ""),
            "first": request.proposed_by,
            "second": request.decided_by,
            "at": request.decided_at,
        },
    )


def certify(tx: Transaction, request_id: str, via: str, body: bytes, now: int) -> None:
    """Keep the certificate of an erasure; a repeated erasure, after a restored backup, has the newest."""
    tx.run(_DROP_CERTIFICATE, {"request": request_id})
    tx.run(_ADD_CERTIFICATE, {"request_id": request_id, "via": via, "body": body, "made_at": now})


def certificate(tx: Transaction, request_id: str, via: str) -> Certificate | None:
    """Return the certificate of an erasure that this service passed on, or followed."""
    return None if _kept(tx, request_id, via) is None else issued(tx, request_id)


def issued(tx: Transaction, request_id: str) -> Certificate | None:
    """Return the certificate of an erasure, whoever asked for it."""
    rows = tx.rows(_CERTIFICATE, {"request": request_id})
    if rows and bytes(rows[0][0]).startswith(_FOLLOWS):
        rows = tx.rows(_CERTIFICATE, {"request": bytes(rows[0][0]).decode()})
    return Certificate(bytes(rows[0][0]), rows[0][2]) if rows else None


def follow(tx: Transaction, first: Request, via: str, now: int) -> Request:
    """Give a second service a request of its own for an erasure that waits already.

    It stands beside the certificates, where it outlives the person like them: its body is the id of the
    first. The id is made of both, so that asking again finds it.
    """
    digits = hashlib.sha256(f"{first.id} {via}".encode()).hexdigest()
    start = len(Prefix.RIGHT) + len("00000000-0000-")
    id_ = f"{first.id[:start]}7{digits[:3]}-8{digits[3:6]}-{digits[6:18]}"
    if _kept(tx, id_, via) is None:
        body = first.id.encode()
        tx.run(_ADD_CERTIFICATE, {"request_id": id_, "via": via, "body": body, "made_at": now})
    return replace(first, id=id_, via=via)


def followed(tx: Transaction, request_id: str, via: str) -> Request | None:
    """Return the request that a service's own one follows, under the service's id; None where it is gone."""
    kept = _kept(tx, request_id, via)
    if kept is None or not kept.body.startswith(_FOLLOWS):
        return None
    first = one(tx, kept.body.decode())
    return None if first is None else replace(first, id=request_id, via=via)


def _kept(tx: Transaction, request_id: str, via: str) -> Certificate | None:
    rows = tx.rows(_CERTIFICATE, {"request": request_id})
    return Certificate(bytes(rows[0][0]), rows[0][2]) if rows and rows[0][1] == via else None
