"""What keeps the service from starting, each with what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import text

from audit.ledger import LogError
from audit.lockstore import LockStoreError
from audit.publishing import Standing
from governance.checkpoints import Checkpoints
from governance.database import Database, StoreError
from governance.records import REVISION
from governance.rulekeeping import RuleKeeper, RulesUnavailableError
from governance.rulepublishing import RuleDesk
from governance.settings import Profile, Settings
from policies.archive import pack
from policies.book import load_book

_REVISION: Final = text("SELECT version_num FROM alembic_version")


class StartError(Exception):
    """The service must not start; the message says why and what to do."""


def refuse_another_schema(database: Database) -> None:
    """Refuse a database that is not there or stands at another migration than this program."""
    try:
        with database.reading() as tx:
            revisions = [row[0] for row in tx.rows(_REVISION)]
    except StoreError:
        raise StartError(
            "no database with our schema answers; is it there? A new one is made by: governance init"
        ) from None
    if revisions != [REVISION]:
        raise StartError(
            "the database has the schema of another version; older ones are brought forward by: "
            "governance migrate. A newer one needs the newer service"
        )


def refuse_unless_sound(checkpoints: Checkpoints) -> None:
    """Refuse a log that does not extend what was signed last."""
    try:
        standing = checkpoints.examine()
    except (LogError, LockStoreError) as error:
        raise StartError(f"{error}; run: governance init") from None
    if standing is not Standing.OK:
        raise StartError(
            f"the log does not extend its last signed checkpoint ({standing.value}); nothing is decided on a "
            "log that was rolled back or rewritten. Run: governance audit verify. A database that was put "
            "back from a backup is accepted by two officers: governance audit accept-rollback"
        )


def has_rules(keeper: RuleKeeper, database: Database) -> bool:
    """Say whether rules were ever put in force here."""
    with database.reading() as tx:
        return bool(keeper.fingerprint(tx))


def refuse_other_rules(
    settings: Settings, keeper: RuleKeeper, desk: RuleDesk, database: Database, clock: Callable[[], int]
) -> None:
    """Refuse to start without usable rules in force, or (prod) with a folder that nobody published.

    In dev the folder that GOVERNANCE_RULES names is put in force by the operator's hand, and the log says so.
    """
    if not has_rules(keeper, database):
        raise StartError("no rules are in force here; run: governance init")
    if settings.rules_given:
        book = load_book(settings.rules)
        with database.reading() as tx:
            same = keeper.fingerprint(tx) == book.fingerprint
        if not same and settings.profile is Profile.PROD:
            raise StartError(
                "GOVERNANCE_RULES names other rules than those in force; draft them and let a second person "
                "publish them (governance policy draft, then publish), or leave GOVERNANCE_RULES out"
            )
        if not same:
            desk.establish(pack(settings.rules), book.fingerprint, "GOVERNANCE_RULES", clock())
    try:
        assert keeper.latest.book.grants
    except RulesUnavailableError as error:
        raise StartError(
            f"the rules in force cannot be used by this program ({error}); after an upgrade: governance init"
        ) from None
