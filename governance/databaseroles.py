"""Accounts of PostgreSQL: the service works without owning its tables, an auditor reads the log alone.

Three accounts: one that owns the tables and cannot log in (migrations are run by somebody who may become it),
the service's, and an auditor's. The service's account can neither change nor delete what the log holds, nor
disable or drop a trigger; the owner can, and so can a superuser, which is why the service should be neither.
Statements are idempotent and take back what an earlier version gave too much of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from audit import roles
from governance.database import Database, SchemaError

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}").fullmatch
_ALL: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")
_ADDED_TO: Final = ("consent_event", "notice_version", "notice_text")
"""Tables of other rooms that only grow; their triggers say so as well."""
_RANK: Final = text(
    "SELECT r.rolsuper, pg_has_role(c.relowner, 'MEMBER') FROM pg_roles r, pg_class c"
    " WHERE r.rolname = current_user AND c.oid = 'public.audit_entry'::regclass"
)


class RoleNameError(Exception):
    """The name of an account is not a plain one: small letters, digits and underscores."""


def statements(service: str, auditor: str | None, tables: Iterable[str]) -> list[str]:
    """Return what the owner of the tables says to give both accounts their rights, in order.

    Raises:
        RoleNameError: a name is not a plain one.
    """
    for name in (service, auditor):
        if name is not None and _NAME(name) is None:
            raise RoleNameError("an account's name has small letters, digits and underscores")
    named = sorted(tables)
    found = [
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {service}",
        f"GRANT USAGE ON SCHEMA public TO {service}",
        f"GRANT SELECT ON alembic_version TO {service}",
        *(f"GRANT {', '.join(_rights(table))} ON {table} TO {service}" for table in named),
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {service}",
        *(f"GRANT EXECUTE ON FUNCTION {one} TO {service}" for one in roles.CALLED),
    ]
    if auditor is not None:
        found += [
            f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {auditor}",
            f"GRANT USAGE ON SCHEMA public TO {auditor}",
            *(f"GRANT SELECT ON {table} TO {auditor}" for table in roles.AUDITOR if table in named),
        ]
    return found


def _rights(table: str) -> tuple[str, ...]:
    # What the log's own list does not know yet is only added to: too little shows at once, too much never.
    if table in roles.SERVICE or table.startswith("audit_") or table in _ADDED_TO:
        return roles.SERVICE.get(table, ("SELECT", "INSERT"))
    return _ALL


def grant(url: str, service: str, auditor: str | None) -> None:
    """Give both accounts their rights on the database of ``url``, all or nothing.

    Raises:
        RoleNameError: a name is not a plain one.
        SchemaError: the database refused; the message says what to look for.
    """
    from governance import schema  # noqa: PLC0415 - Alembic is for commands alone

    said = statements(service, auditor, schema.metadata.tables)
    engine = schema.migration_engine(url)
    try:
        with engine.begin() as connection:
            for one in said:
                connection.execute(text(one))
    except SQLAlchemyError as error:
        raise SchemaError(
            f"the rights could not be given ({type(error).__name__}); both accounts must exist, and this one "
            "must own the tables. What would be said is shown by --print"
        ) from None
    finally:
        engine.dispose()


def note(database: Database) -> str:
    """Return what to do when the service's account could change the log; empty when not (PostgreSQL)."""
    [[superuser, owner]] = database.look(_RANK, {})
    if not superuser and not owner:
        return ""
    rank = "a superuser" if superuser else "the owner of the tables"
    return (
        f"the service works as {rank}, who can drop the guards of the log; make an account of its own and "
        "give it its rights: governance migrate --grant-app ROLE"
    )
