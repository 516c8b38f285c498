"""Life of households: invitations, transitions at 14 and 18, approvals of acts in host applications."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    # Approvals so far are about fields and have no resource; who asked for them stands in the log.
    op.add_column("approval", sa.Column("resource", sa.Text(), nullable=False, server_default=""))
    op.add_column("approval", sa.Column("asked_by", sa.Text(), nullable=False, server_default=""))
    op.create_index("relation_actor", "relation", ["actor_id", "relation"])
    op.create_table(
        "invitation",
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=True),
        sa.Column("member_id", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("expires_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", "id"),
    )
    op.create_index("invitation_id", "invitation", ["id"], unique=True)
    op.create_index("invitation_code", "invitation", ["code_hash"], unique=True)
    op.create_index("invitation_member", "invitation", ["member_id"])
    op.create_table(
        "transition",
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("years", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", "years"),
    )
