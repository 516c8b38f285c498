"""The vault: sealed cells and wrapped keys, stored and returned as such.

Promises never to see a plaintext: it moves ``Sealed`` values between the gate and two tables. Who may
import it is a contract in ``pyproject.toml``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from sqlalchemy import bindparam, delete, insert, select

from governance.identity import Look
from governance.records import Cell, DataKey, IndexToken
from governance.subjects import Hold, SubjectRow, rows_of
from policies.terms import FieldName, KeyClass, SubjectId
from policies.transaction import Transaction
from redaction.sealing import Sealed, WrappedKey

_cell, _key, _token = Cell.__table__, DataKey.__table__, IndexToken.__table__

AGE_FACTS: Final = FieldName("@age")
"""The cell of the birth date as a fact for decisions; its key class is its own, and it is never shown."""

GENDER_FACTS: Final = FieldName("@gender")
"""The cell of the gender as a fact for decisions, likewise."""
FACTS_OF: Final = {FieldName("birth_date"): AGE_FACTS, FieldName("gender"): GENDER_FACTS}
"""Which values are sealed a second time, as facts."""

_CELLS: Final = (
    select(_cell.c.subject_id, _cell.c.field, _cell.c.value, _key.c.kid, _key.c.key_class, _key.c.wrapped)
    .join_from(_cell, _key, _cell.c.kid == _key.c.kid)
    .where(
        _cell.c.subject_id.in_(bindparam("subjects", expanding=True)),
        _cell.c.field.in_(bindparam("fields", expanding=True)),
    )
)
_KEYS: Final = select(_key.c.key_class, _key.c.kid, _key.c.wrapped).where(
    _key.c.owner_id == bindparam("owner")
)
_ADD_KEY: Final = insert(_key)
_DROP_CELL: Final = delete(_cell).where(
    _cell.c.subject_id == bindparam("subject"), _cell.c.field == bindparam("name")
)
_ADD_CELL: Final = insert(_cell)
_DROP_TOKEN: Final = delete(_token).where(
    _token.c.name == bindparam("index"), _token.c.subject_id == bindparam("subject")
)
_ADD_TOKEN: Final = insert(_token)
_BEARER: Final = select(_token.c.subject_id).where(
    _token.c.name == bindparam("index"), _token.c.token == bindparam("value")
)


class SealedCell(NamedTuple):
    """A sealed value together with its wrapped key."""

    sealed: Sealed
    key: WrappedKey


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
                    Sealed(value), WrappedKey(kid, subject, KeyClass(key_class), wrapped)
                )
                for subject, field, value, kid, key_class, wrapped in cells
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

    def put_token(self, tx: Transaction, index: str, token: bytes | None, subject: SubjectId) -> None:
        """Let an index find this subject by this token and no other; None removes the entry."""
        tx.run(_DROP_TOKEN, {"index": index, "subject": subject})
        if token is not None:
            tx.run(_ADD_TOKEN, {"name": index, "token": token, "subject_id": subject})

    def bearer(self, look: Look, index: str, token: bytes) -> SubjectId | None:
        """Return the subject that bears an indexed identifier."""
        rows = look(_BEARER, {"index": index, "value": token})
        return SubjectId(rows[0][0]) if rows else None
