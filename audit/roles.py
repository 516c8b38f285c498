"""What an account of PostgreSQL may do with the tables of the log.

Promises that the service's account adds to the log and takes nothing from it: entries, their index,
checkpoints and statements are only ever inserted; what moves by rule (head, tiles) is watched by triggers;
waiting leaves go into the log; and what is pruned goes through functions that look at statement and floor
themselves. The search index is made from the leaves, and sealed details lie beside them: those may go. The
auditor's account reads the log, without the link from random names to people and without the details.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from audit import partitions
from audit.roomguards import PRUNING

_ADD: Final = ("SELECT", "INSERT")
SERVICE: Final[Mapping[str, tuple[str, ...]]] = {
    "audit_entry": _ADD,
    "audit_subject": _ADD,
    "audit_checkpoint": _ADD,
    "audit_cosignature": _ADD,
    "audit_pruned": _ADD,
    "audit_term": (*_ADD, "DELETE"),
    "audit_span": (*_ADD, "UPDATE", "DELETE"),
    "audit_detail": (*_ADD, "DELETE"),
    "audit_pending": (*_ADD, "DELETE"),
    "audit_tile": (*_ADD, "UPDATE"),
    "audit_head": ("SELECT", "UPDATE"),
    "subject_pseudonym": (*_ADD, "DELETE"),
}
"""The rights of the service's account, by table of the log."""
AUDITOR: Final = tuple(table for table in SERVICE if table not in {"subject_pseudonym", "audit_detail"})
"""The tables that the auditor's account may read."""
CALLED: Final = (*PRUNING, *partitions.CALLED)
"""The functions that the service's account may call."""
