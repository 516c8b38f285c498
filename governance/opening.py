"""The one place where plaintext exists: opens sealed cells, seals new ones, knows each value's place.

Promises that a birth date or gender opened as a fact for a decision is never released by that path, and
that what a place is follows from the rule book and the locked subject row, never from a caller. Which
modules may come near keys and sealing is a list in ``pyproject.toml``; this is the only one that opens.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import date
from typing import Final

from governance.subjects import Hold
from governance.vault import AGE_FACTS, FACTS_OF, GENDER_FACTS, Found, SealedCell, Vault
from policies.book import RuleBook
from policies.identifiers import Prefix, new_id
from policies.terms import FieldName, Gender, KeyClass, SubjectId
from policies.transaction import Transaction
from redaction.sealing import ALGORITHM, Place, Sealed, Sealer, SealError, WrappedKey

_KEPT_FACTS: Final = 4096

DoesNotOpenError = SealError
"""What opening raises; one error for every cause."""
SEALED_WITH: Final = ALGORITHM
"""The number of the algorithm of a fresh seal, for who writes down how something was sealed."""


class Opening:
    """Sealing and opening by place."""

    def __init__(self, sealer: Sealer, vault: Vault) -> None:
        self._sealer = sealer
        self._vault = vault
        # Facts by ciphertext: a rewritten cell is another key, an erased one is never looked up.
        self._facts: OrderedDict[bytes, str] = OrderedDict()

    def value(self, found: Found, subject: SubjectId, field: FieldName) -> str:
        """Open one value. Only after the decision that allows it has been committed."""
        cell = found.cells[subject, field]
        # The class it was sealed under, whatever class later rules give the field: the key is bound to it.
        place = _place(found, subject, field, cell.key.key_class)
        return self._sealer.open(cell.key, place, cell.sealed)

    def birth(self, found: Found, subject: SubjectId) -> date | None:
        """Open the birth date as a fact for a decision; None if there is none on record."""
        text = self._fact(found, subject, AGE_FACTS)
        return None if text is None else date.fromisoformat(text)

    def gender(self, found: Found, subject: SubjectId) -> Gender | None:
        """Open the gender as a fact for a decision; None if there is none on record, or none we know."""
        text = self._fact(found, subject, GENDER_FACTS)
        return next((known for known in Gender if known == text), None)

    def _fact(self, found: Found, subject: SubjectId, field: FieldName) -> str | None:
        cell = found.cells.get((subject, field))
        if cell is None:
            return None
        known = self._facts.get(cell.sealed.cell)
        if known is None:
            known = self._facts[cell.sealed.cell] = self.value(found, subject, field)
            if len(self._facts) > _KEPT_FACTS:
                self._facts.popitem(last=False)
        return known

    def birth_of(self, tx: Transaction, member: SubjectId) -> date | None:
        """Return a member's birth date as a fact, for decisions outside the two walks."""
        return self.birth(self.facts_about(tx, member), member)

    def births_of(self, tx: Transaction, members: Collection[SubjectId]) -> dict[SubjectId, date | None]:
        """Return many birth dates as facts; a member whose cell does not open is left out."""
        found = self._vault.find(tx, members, (), Hold.NONE)
        births: dict[SubjectId, date | None] = {}
        for member in members:
            with suppress(DoesNotOpenError, ValueError):
                births[member] = self.birth(found, member)
        return births

    def facts_about(self, tx: Transaction, subject: SubjectId) -> Found:
        """Return a subject with what is sealed as facts about it, and none of its values."""
        return self._vault.peek(tx, subject)

    def contact(self, tx: Transaction, member: SubjectId, field: FieldName) -> str | None:
        """Open where a member is reached, to write to that very member; None if it is not on record.

        Only for handing a message to a gateway, after the entry that announces the message was committed.
        """
        found = self._vault.find(tx, [member], [field], Hold.NONE)
        return self.value(found, member, field) if (member, field) in found.cells else None

    def seal(
        self,
        tx: Transaction,
        book: RuleBook,
        found: Found,
        subject: SubjectId,
        values: Mapping[FieldName, str],
        now: int,
    ) -> dict[FieldName, SealedCell]:
        """Seal values at their places; birth date and gender a second time, as facts for decisions."""
        keys = self._vault.keys_of(tx, subject)
        texts = dict(values)
        texts |= {fact: values[field] for field, fact in FACTS_OF.items() if field in values}
        cells = {}
        for field, text in texts.items():
            place = _place(found, subject, field, _class_of(book, field))
            key = keys.get(place.key_class)
            if key is None:
                key = keys[place.key_class] = self._fresh_key(tx, subject, place.key_class, now)
            cells[field] = SealedCell(self._sealer.seal(key, place, text), key)
        return cells

    def enter_birth(self, tx: Transaction, book: RuleBook, member: SubjectId, birth: date, now: int) -> None:
        """Seal and store a new member's birth date: until it is known, the member counts as a child."""
        found = self._vault.peek(tx, member)
        values = {FieldName("birth_date"): birth.isoformat()}
        self._vault.put(tx, member, self.seal(tx, book, found, member, values, now), now)

    def seal_alone(self, tx: Transaction, owner_id: str, entity: str, text: str, now: int) -> Sealed:
        """Seal a text that belongs to no member, with a key of its own (a review's message text)."""
        key = self._fresh_key(tx, owner_id, KeyClass.MESSAGE, now)
        return self._sealer.seal(key, _alone(owner_id, entity, "text"), text)

    def seal_beside(self, tx: Transaction, owner_id: str, entity: str, column: str, text: str) -> Sealed:
        """Seal a further text under the key that ``seal_alone`` made for this owner."""
        return self._sealer.seal(self._key_alone(tx, owner_id), _alone(owner_id, entity, column), text)

    def open_alone(
        self, tx: Transaction, owner_id: str, entity: str, sealed: Sealed | bytes, column: str = "text"
    ) -> str:
        """Open what ``seal_alone`` or ``seal_beside`` sealed."""
        place = _alone(owner_id, entity, column)
        cell = Sealed(sealed) if isinstance(sealed, bytes) else sealed
        return self._sealer.open(self._key_alone(tx, owner_id), place, cell)

    def seal_detail(
        self, tx: Transaction, owner_id: str, entry_id: str, text: str, now: int
    ) -> tuple[str, Sealed]:
        """Seal what a log entry says beside its leaf, under its owner's key for that; return the key's id."""
        key = self._vault.keys_of(tx, owner_id).get(KeyClass.AUDIT_DETAIL)
        if key is None:
            key = self._fresh_key(tx, owner_id, KeyClass.AUDIT_DETAIL, now)
        return key.kid, self._sealer.seal(key, _beside(owner_id, entry_id), text)

    def open_detail(self, tx: Transaction, kid: str, entry_id: str, sealed: bytes) -> str:
        """Open what ``seal_detail`` sealed. Raises ``DoesNotOpenError`` once the key is destroyed."""
        key = self._vault.key_with(tx, kid)
        if key is None:
            raise DoesNotOpenError
        return self._sealer.open(key, _beside(key.owner_id, entry_id), Sealed(sealed))

    def _key_alone(self, tx: Transaction, owner_id: str) -> WrappedKey:
        key = self._vault.keys_of(tx, owner_id).get(KeyClass.MESSAGE)
        if key is None:
            raise DoesNotOpenError
        return key

    def _fresh_key(self, tx: Transaction, owner_id: str, key_class: KeyClass, now: int) -> WrappedKey:
        key = self._sealer.new_key(new_id(Prefix.KEY), owner_id, key_class)
        self._vault.add_key(tx, key, now)
        return key


def _place(found: Found, subject: SubjectId, field: FieldName, key_class: KeyClass) -> Place:
    return Place(subject, found.subjects[subject].kind, subject, field, key_class)


def _class_of(book: RuleBook, field: FieldName) -> KeyClass:
    key_class = KeyClass.AGE if field in FACTS_OF.values() else book.fields[field].key_class
    assert key_class is not None, "channels hold no values and are never sealed"
    return key_class


def _beside(owner_id: str, entry_id: str) -> Place:
    return Place(owner_id, "audit_entry", entry_id, "detail", KeyClass.AUDIT_DETAIL)


def _alone(owner_id: str, entity: str, column: str) -> Place:
    return Place(owner_id, entity, owner_id, column, KeyClass.MESSAGE)
