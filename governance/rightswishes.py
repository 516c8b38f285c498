"""What somebody asks for under a law, looked at before it is taken.

Promises that a wish that cannot be met is refused at once, with the place in it and a word that says what is
wrong there; and that the guardian of a ward of 14 or more learns nothing from asking for explanations.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final, NamedTuple

from audit import ledger
from governance.rightsrecords import Right
from governance.speaking import Speaks
from governance.testimony import party
from policies.book import RuleBook
from policies.identifiers import Prefix, kind_of
from policies.terms import ActorId, FieldName, Purpose, SubjectId, SubjectKind
from policies.transaction import Transaction

BIRTH: Final = FieldName("birth_date")
_NEEDED: Final = {Right.RECTIFICATION: "values", Right.EXPLANATION: "decision_id"}
_ALLOWED: Final = _NEEDED | {Right.OBJECTION: "purpose", Right.RESTRICTION: "purpose"}


class UnfitRequestError(Exception):
    """What was asked for does not exist; ``pointer`` says where in the wish, ``code`` what is wrong."""

    def __init__(self, pointer: str, code: str) -> None:
        super().__init__(pointer, code)
        self.pointer = pointer
        self.code = code


class Wish(NamedTuple):
    """What somebody asks for; ``detail`` holds what its kind needs.

    Rectification: ``values``. Objection and restriction: ``purpose``, empty for everything. Explanation:
    ``decision_id``. ``evidence`` is a service's reference to how it identified the person.
    """

    kind: Right
    regime: str
    detail: Mapping[str, object]
    evidence: str = ""


def examine(
    tx: Transaction, book: RuleBook, subject: SubjectId, wish: Wish, speaker: Speaks, who: ActorId
) -> None:
    """Look at a wish before it is taken.

    Raises:
        UnfitRequestError: something in it is missing, unknown, unexpected or, for a birth date, no date.
    """
    for name in wish.detail:
        if name != _ALLOWED.get(wish.kind):
            raise UnfitRequestError(f"/{name}", "unexpected")
    needed = _NEEDED.get(wish.kind)
    if needed is not None and not wish.detail.get(needed):
        raise UnfitRequestError(f"/{needed}", "missing")
    purpose = str(wish.detail.get("purpose", ""))
    if purpose and Purpose(purpose) not in book.purposes:
        raise UnfitRequestError("/purpose", "unknown")
    _examine_values(book, wish.detail.get("values", {}))
    decision = wish.detail.get("decision_id")
    if decision is not None and not concerns(tx, str(decision), subject, speaker, who):
        raise UnfitRequestError("/decision_id", "unknown")


def _examine_values(book: RuleBook, values: object) -> None:
    if not isinstance(values, dict):
        raise UnfitRequestError("/values", "missing")
    for name, text in values.items():
        declared = book.fields.get(FieldName(name))
        if declared is None or declared.subject is not SubjectKind.MEMBER:
            raise UnfitRequestError(f"/values/{name}", "unknown")
        if name == BIRTH and not _is_date(str(text)):
            raise UnfitRequestError(f"/values/{name}", "not_a_date")


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def concerns(tx: Transaction, decision_id: str, subject: SubjectId, speaker: Speaks, reader: ActorId) -> bool:
    """Say whether the log has this decision about this subject, and may explain it to the reader.

    The guardian of a ward of 14 or more is told about its own asking only; what the ward and others did is
    what stands in the ward's list of accesses.
    """
    found = ledger.entry_of_decision(tx, decision_id) if kind_of(decision_id) is Prefix.DECISION else None
    names = ledger.names_of(tx, [subject, reader])
    if found is None or subject not in names or names[subject] not in found[1].subjects:
        return False
    actor = found[1].actor
    own = reader in names and (actor.on_behalf_of or actor.party) == party(reader, names)
    return own or not speaker.kinds_only
