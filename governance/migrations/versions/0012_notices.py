"""Published notices: versions and their texts, which only ever grow."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_GUARDS_SQLITE = (
    """CREATE TRIGGER notice_version_no_update BEFORE UPDATE ON notice_version
           BEGIN SELECT RAISE(ABORT, 'notice_version is append-only'); END""",
    """CREATE TRIGGER notice_version_no_delete BEFORE DELETE ON notice_version
           BEGIN SELECT RAISE(ABORT, 'notice_version is append-only'); END""",
    """CREATE TRIGGER notice_version_no_replace BEFORE INSERT ON notice_version
           WHEN EXISTS (SELECT 1 FROM notice_version WHERE id = NEW.id AND version = NEW.version)
           BEGIN SELECT RAISE(ABORT, 'notice_version is append-only'); END""",
    """CREATE TRIGGER notice_text_no_update BEFORE UPDATE ON notice_text
           BEGIN SELECT RAISE(ABORT, 'notice_text is append-only'); END""",
    """CREATE TRIGGER notice_text_no_delete BEFORE DELETE ON notice_text
           BEGIN SELECT RAISE(ABORT, 'notice_text is append-only'); END""",
    """CREATE TRIGGER notice_text_no_replace BEFORE INSERT ON notice_text
           WHEN EXISTS (SELECT 1 FROM notice_text
                        WHERE id = NEW.id AND version = NEW.version AND locale = NEW.locale)
           BEGIN SELECT RAISE(ABORT, 'notice_text is append-only'); END""",
)
_GUARDS_POSTGRESQL = (
    """CREATE FUNCTION notice_version_append_only() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'notice_version is append-only'; END $$""",
    """CREATE TRIGGER notice_version_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON notice_version
           FOR EACH STATEMENT EXECUTE FUNCTION notice_version_append_only()""",
    """CREATE FUNCTION notice_text_append_only() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'notice_text is append-only'; END $$""",
    """CREATE TRIGGER notice_text_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON notice_text
           FOR EACH STATEMENT EXECUTE FUNCTION notice_text_append_only()""",
)


def upgrade() -> None:
    """Make both tables. Consents on record keep the references they were given with."""
    op.create_table(
        "notice_version",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("categories", sa.Text(), nullable=False),
        sa.Column("methods", sa.Text(), nullable=False),
        sa.Column("recipients", sa.Text(), nullable=False),
        sa.Column("processors", sa.Text(), nullable=False),
        sa.Column("retention_days", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("assessment", sa.Text(), nullable=False),
        sa.Column("changed", sa.Text(), nullable=False),
        sa.Column("effective_from", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("published_by", sa.Text(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("id", "version"),
    )
    op.create_table(
        "notice_text",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", "version", "locale"),
    )
    sqlite = op.get_bind().dialect.name == "sqlite"
    for guard in _GUARDS_SQLITE if sqlite else _GUARDS_POSTGRESQL:
        op.execute(guard)
