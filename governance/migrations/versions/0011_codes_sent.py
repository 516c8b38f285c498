"""How many codes a consent's challenge has had, so that asking again and again comes to an end."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Count from one: every challenge there is has had its first code."""
    op.add_column("consent_challenge", sa.Column("codes", sa.Integer(), nullable=False, server_default="1"))
