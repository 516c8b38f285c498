"""The vault: sealed cells and wrapped keys, stored and returned as such.

Promises never to see a plaintext: it moves ``Sealed`` values between the gate and two tables. Who may
import it is a contract in ``pyproject.toml``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from sqlalchemy import bindparam, delete, exists, insert, select

from governance.identity import Look
from governance.records import Cell, DataKey, HeldCell, IndexToken
from governance.subjects import Hold, SubjectRow, rows_of
from policies.terms import FieldName, KeyClass, SubjectId
from policies.transaction import Transaction
from redaction.sealing import Sealed, WrappedKey

_cell, _key, _token = Cell.__table__, DataKey.__table__, IndexToken.__table__
_held = HeldCell.__table__

AGE_FACTS: Final = FieldName("@age")
"""The cell of the birth date as a fact for decisions; its key class is its own, and it is never shown."""

GENDER_FACTS: Final = FieldName("@gender")
"""The cell of the gender as a fact for decisions, likewise."""
FACTS_OF: Final = {FieldName("birth_date"): AGE_FACTS, FieldName("gender"): GENDER_FACTS}
"""Which values are sealed a second time, as facts."""

_CELLS: Final = (
    select(
        _cell.c.subject_id,
        _cell.c.field,
        _cell.c.value,
        _key.c.kid,
        _key.c.key_class,
        _key.c.wrapped,
        _cell.c.written_at,
    )
    .join_from(_cell, _key, _cell.c.kid == _key.c.kid)
    .where(
        _cell.c.subject_id.in_(bindparam("subjects", expanding=True)),
        _cell.c.field.in_(bindparam("fields", expanding=True)),
    )
)
_KEYS: Final = select(_key.c.key_class, _key.c.kid, _key.c.wrapped).where(
    _key.c.owner_id == bindparam("owner")
)
_KEY: Final = select(_key.c.owner_id, _key.c.key_class, _key.c.wrapped).where(_key.c.kid == bindparam("key"))
_ADD_KEY: Final = insert(_key)
_DROP_CELL: Final = delete(_cell).where(
    _cell.c.subject_id == bindparam("subject"), _cell.c.field == bindparam("name")
)
_ADD_CELL: Final = insert(_cell)
_WAS: Final = select(_cell.c.kid, _cell.c.value, _cell.c.written_at).where(
    _cell.c.subject_id == bindparam("subject"), _cell.c.field == bindparam("name")
)
_KEEP: Final = insert(_held)
_KEYS_OWNED: Final = delete(_key).where(_key.c.owner_id.in_(bindparam("owners", expanding=True)))
_CELLS_OWNED: Final = delete(_cell).where(_cell.c.subject_id == bindparam("subject"))
_HELD_OWNED: Final = delete(_held).where(_held.c.subject_id == bindparam("subject"))
_TOKENS_OWNED: Final = delete(_token).where(_token.c.subject_id == bindparam("subject"))
_DROP_LAPSED: Final = delete(_cell).where(
    _cell.c.subject_id == bindparam("subject"),
    _cell.c.field == bindparam("name"),
    _cell.c.written_at <= bindparam("cutoff"),
)
# A key of the log's details opens no cell and is not idle for that: it goes with the person alone.
_IDLE_KEYS: Final = delete(_key).where(
    _key.c.owner_id == bindparam("owner"),
    _key.c.key_class != KeyClass.AUDIT_DETAIL.value,
    ~exists().where(_cell.c.kid == _key.c.kid, _cell.c.subject_id == _key.c.owner_id),
    ~exists().where(_held.c.kid == _key.c.kid, _held.c.subject_id == _key.c.owner_id),
)
_DROP_TOKEN: Final = delete(_token).where(
    _token.c.name == bindparam("index"), _token.c.subject_id == bindparam("subject")
)
_ADD_TOKEN: Final = insert(_token)
_BEARER: Final = select(_token.c.subject_id).where(
    _token.c.name == bindparam("index"), _token.c.token == bindparam("value")
)


class SealedCell(NamedTuple):
    """A sealed value together with its wrapped key, and when it was written (milliseconds)."""

    sealed: Sealed
    key: WrappedKey
    written_at: int = 0


class Destroyed(NamedTuple):
    """How many cells, keys and index entries were deleted."""

    cells: int
    keys: int
    tokens: int

    def __add__(self, other: object) -> Destroyed:
        """Return both together."""
        if not isinstance(other, Destroyed):
            return NotImplemented
        return Destroyed(self.cells + other.cells, self.keys + other.keys, self.tokens + other.tokens)


class Found(NamedTuple):
    """The locked subjects and the sealed cells of one batch."""

    subjects: Mapping[SubjectId, SubjectRow]
    cells: Mapping[tuple[SubjectId, FieldName], SealedCell]


class Vault:
    """Sealed cells by subject and field. Stateless: all state is in the transaction it is given."""

    def find(
        self,
        tx: Transaction,
        subjects: Collection[SubjectId],
        fields: Collection[FieldName],
        hold: Hold,
    ) -> Found:
        """Read the subjects, held as asked, and their cells."""
        known = rows_of(tx, subjects, hold)
        cells = tx.rows(_CELLS, {"subjects": sorted(subjects), "fields": [*FACTS_OF.values(), *fields]})
        return Found(
            known,
            {
                (SubjectId(subject), FieldName(field)): SealedCell(
                    Sealed(value), WrappedKey(kid, subject, KeyClass(key_class), wrapped), written_at
                )
                for subject, field, value, kid, key_class, wrapped, written_at in cells
            },
        )

    def peek(self, tx: Transaction, subject: SubjectId) -> Found:
        """Read one subject's facts without holding its row, for decisions outside the two walks."""
        return self.find(tx, [subject], (), Hold.NONE)

    def keys_of(self, tx: Transaction, owner_id: str) -> dict[KeyClass, WrappedKey]:
        """Return the owner's wrapped data keys by class."""
        return {
            KeyClass(key_class): WrappedKey(kid, owner_id, KeyClass(key_class), wrapped)
            for key_class, kid, wrapped in tx.rows(_KEYS, {"owner": owner_id})
        }

    def key_with(self, tx: Transaction, kid: str) -> WrappedKey | None:
        """Return the wrapped data key of this id, or None once it is destroyed."""
        for owner, key_class, wrapped in tx.rows(_KEY, {"key": kid}):
            return WrappedKey(kid, owner, KeyClass(key_class), wrapped)
        return None

    def add_key(self, tx: Transaction, key: WrappedKey, now: int) -> None:
        """Store a fresh wrapped key."""
        tx.run(
            _ADD_KEY,
            {
                "owner_id": key.owner_id,
                "key_class": key.key_class.value,
                "kid": key.kid,
                "wrapped": key.wrapped,
                "created_at": now,
            },
        )

    def put(
        self, tx: Transaction, subject: SubjectId, cells: Mapping[FieldName, SealedCell], now: int
    ) -> None:
        """Store sealed cells in place of older ones."""
        for field, one in cells.items():
            tx.run(_DROP_CELL, {"subject": subject, "name": field})
            tx.run(
                _ADD_CELL,
                {
                    "subject_id": subject,
                    "field": field,
                    "kid": one.key.kid,
                    "value": one.sealed.cell,
                    "written_at": now,
                },
            )

    def keep(self, tx: Transaction, subject: SubjectId, fields: Collection[FieldName], now: int) -> None:
        """Keep what is about to be written over, as it is: a legal hold stands."""
        for field in fields:
            for kid, value, written_at in tx.rows(_WAS, {"subject": subject, "name": field}):
                row = {"subject_id": subject, "field": field, "kept_at": now, "kid": kid}
                tx.run(_KEEP, {**row, "value": value, "written_at": written_at})

    def destroy(self, tx: Transaction, subject: SubjectId, owners: Collection[str]) -> Destroyed:
        """Delete every cell and index entry of a subject and every key of these owners besides its own.

        Only ``governance.erasing`` calls this, after it has looked for a legal hold.
        """
        cells = tx.run(_CELLS_OWNED, {"subject": subject}) + tx.run(_HELD_OWNED, {"subject": subject})
        tokens = tx.run(_TOKENS_OWNED, {"subject": subject})
        keys = tx.run(_KEYS_OWNED, {"owners": sorted({subject, *owners})})
        return Destroyed(cells, keys, tokens)

    def sweep(self, tx: Transaction, subject: SubjectId, field: FieldName, cutoff: int) -> Destroyed:
        """Delete a value written no later than ``cutoff``, and the keys that open nothing any more.

        Only ``governance.retaining`` calls this, after it has looked for a legal hold.
        """
        cells = tx.run(_DROP_LAPSED, {"subject": subject, "name": field, "cutoff": cutoff})
        fact = FACTS_OF.get(field)
        if cells and fact is not None:
            cells += tx.run(_DROP_CELL, {"subject": subject, "name": fact})
        tokens = tx.run(_DROP_TOKEN, {"index": field, "subject": subject}) if cells else 0
        return Destroyed(cells, tx.run(_IDLE_KEYS, {"owner": subject}), tokens)

    def release(self, tx: Transaction, subject: SubjectId) -> Destroyed:
        """Delete what was only kept for a legal hold that is over, likewise."""
        cells = tx.run(_HELD_OWNED, {"subject": subject})
        return Destroyed(cells, tx.run(_IDLE_KEYS, {"owner": subject}), 0)

    def put_token(self, tx: Transaction, index: str, token: bytes | None, subject: SubjectId) -> None:
        """Let an index find this subject by this token and no other; None removes the entry."""
        tx.run(_DROP_TOKEN, {"index": index, "subject": subject})
        if token is not None:
            tx.run(_ADD_TOKEN, {"name": index, "token": token, "subject_id": subject})

    def bearer(self, look: Look, index: str, token: bytes) -> SubjectId | None:
        """Return the subject that bears an indexed identifier."""
        rows = look(_BEARER, {"index": index, "value": token})
        return SubjectId(rows[0][0]) if rows else None
