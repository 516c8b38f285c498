"""Puts the rooms together. The only place that knows which database, keys and rules are in use.

Start refuses, with everything that is wrong at once: a key ring others can read, rules with a fault, two
Casbin distributions over one another, a schema of another version, a log that was rolled back or forked.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url

from consent.outbox import CodeSender, DevelopmentOutbox
from consent.vocabulary import SIGNATURE
from governance.accessrequests import AccessRequests
from governance.approving import Approving
from governance.checkpoints import Checkpoints
from governance.consenting import Consenting
from governance.database import Database
from governance.delivering import Delivering
from governance.dispatch import Dispatch
from governance.egress import Egress
from governance.erasing import TYPE as CERTIFICATE
from governance.erasing import Erasing
from governance.erasureledger import ErasureLedger, ErasureLedgerError
from governance.gate import Gate
from governance.holds import Holds
from governance.homes import Homes
from governance.importing import Importing
from governance.lifecycle import Lifecycle
from governance.logbook import Logbook
from governance.logpieces import LogPieces
from governance.logroom import LogRoom, furnished
from governance.lostnotes import LostNotes
from governance.noticing import Noticing
from governance.opening import Opening
from governance.optingout import Links, OptingOut
from governance.permits import PermitDesk
from governance.reaching import sender_of
from governance.receipting import TYPE as RECEIPT
from governance.receipting import Receipts
from governance.requesting import Approvals
from governance.retaining import Retaining
from governance.rights import Rights
from governance.rightsdeciding import RightsDeciding
from governance.rollbacks import Rollbacks
from governance.rulekeeping import RuleKeeper, Rules
from governance.rulepublishing import SYSTEM, RuleDesk
from governance.settings import Profile, Settings
from governance.sharing import Sharing
from governance.signing import DocumentSigner
from governance.sqlite import SqliteDatabase
from governance.starting import (
    StartError,
    has_rules,
    refuse_another_schema,
    refuse_other_rules,
    refuse_unless_sound,
)
from governance.transitions import Transitions
from governance.vault import Vault
from governance.webhooks import Webhooks
from governance.witnesstargets import witnessing_of
from policies.archive import book_of, pack
from policies.book import load_book
from policies.distributions import refuse_twin_distributions
from policies.plan import compile_plan
from redaction.finding import Finder
from redaction.keys import KeyRing
from redaction.logkeys import KeyRingError
from redaction.lookup import BlindIndex
from redaction.screening import Screener
from redaction.sealing import Sealer

ROOMS: Final = ("policies", "consent", "audit", "redaction", "governance")


@dataclass(frozen=True, slots=True)
class Service:
    """Everything a process needs to serve, wired once at the start."""

    settings: Settings
    database: Database
    ring: KeyRing
    keeper: RuleKeeper
    desk: RuleDesk
    finder: Finder
    opening: Opening
    gate: Gate
    dispatch: Dispatch
    consenting: Consenting
    noticing: Noticing
    receipts: Receipts
    webhooks: Webhooks
    delivering: Delivering
    importing: Importing
    sharing: Sharing
    opting_out: OptingOut
    lifecycle: Lifecycle
    homes: Homes
    transitions: Transitions
    approving: Approving
    permits: PermitDesk
    sender: CodeSender | None
    log: LogRoom
    rights: Rights
    deciding: RightsDeciding
    erasing: Erasing
    holds: Holds
    retaining: Retaining
    certificates: DocumentSigner
    clock: Callable[[], int]
    approvals: Approvals | None = None
    """The desk that denials send people to; while there is none, no denial offers it."""

    @property
    def rules(self) -> Rules:
        """The rules used last, for titles, pages and texts; decisions look at the pointer themselves."""
        return self.keeper.latest

    def tidy(self) -> None:
        """Do the work of a day: transitions at 14 and 18, values and entries kept long enough."""
        self.transitions.run(self.clock())
        self.retaining.run(self.clock())
        self.log.pruning.run(self.clock())
        self.log.pieces.tidy()
        self.log.oversight.tidy(self.clock())

    def oversee(self) -> None:
        """Do the work of a minute: put what the log shows before officers."""
        self.log.oversight.scanning.run(self.clock())

    def close(self) -> None:
        """Give the database back."""
        self.database.close()


def wall_clock() -> int:
    """Return milliseconds since the epoch, UTC."""
    return time.time_ns() // 1_000_000


def open_database(url: str) -> Database:
    """Open the database a URL names: ``sqlite:///path`` or ``postgresql+psycopg://…``."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        return SqliteDatabase(Path(parsed.database))
    if parsed.drivername == "postgresql+psycopg":
        from governance.postgres import PostgresDatabase  # noqa: PLC0415 - the driver is 15 MB that SQLite spares

        return PostgresDatabase(url)
    raise StartError("GOVERNANCE_DATABASE_URL is sqlite:///FILE or postgresql+psycopg://…")


def refuse_scattered_rooms() -> None:
    """Refuse to start when another distribution's ``audit/`` (say) shadows one of the five packages."""
    homes = {Path(sys.modules[room].__file__ or "").parent.parent for room in ROOMS if room in sys.modules}
    if len(homes) > 1:
        raise StartError(
            "the five packages do not lie side by side; another package of that name shadows one"
        )


def load_ring(settings: Settings) -> KeyRing:
    """Read the deployment's secrets, or say what to do."""
    try:
        return KeyRing.load(settings.key_ring)
    except KeyRingError as error:
        raise StartError(str(error)) from None


def load_archive(archive: bytes, finder: Finder) -> Rules:
    """Load, check and compile one version of the rules."""
    book = book_of(archive)
    rehearsed = book.rehearsed
    return Rules(
        book,
        compile_plan(book),
        Screener(book.lexicon, finder),
        None if rehearsed is None else (rehearsed, compile_plan(rehearsed)),
    )


def load_rules(folder: Path) -> Rules:
    """Load, check and compile the rules of a folder, for commands that need no database."""
    refuse_twin_distributions()
    load_book(folder)  # a fault is told with the folder's own lines
    return load_archive(pack(folder), Finder())


def initialise(settings: Settings) -> None:
    """Make the home, the key ring, the schema, the log and its lock store, each where it is missing."""
    rules = load_rules(settings.rules)  # before anything is made: a fault leaves nothing half done
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chmod(settings.home, 0o700)  # noqa: PTH101 - the mode of an existing home counts as well
    ring = (
        load_ring(settings)
        if settings.key_ring.exists()
        else KeyRing.create(settings.key_ring, settings.tenant)
    )
    from governance.schema import migrate  # noqa: PLC0415 - serving never migrates and spares Alembic's memory

    migrate(settings.database_url)
    database = open_database(settings.database_url)
    try:
        checkpoints = Checkpoints(database, ring, settings.lock_store)
        checkpoints.create_log(f"{ring.tenant}.governance/audit/main")
        keeper = _keeper(database, ring, Finder())
        desk = RuleDesk(database, keeper)
        if not has_rules(keeper, database) or _outlived(desk, settings):
            desk.establish(pack(settings.rules), rules.book.fingerprint, "init", wall_clock())
        if not settings.erasures.exists():
            ErasureLedger.create(settings.erasures)
    finally:
        database.close()


def _outlived(desk: RuleDesk, settings: Settings) -> bool:
    """Say whether the rules in force are an earlier program's that this one cannot use and may replace.

    Without usable rules nothing is decided, so the operator's hand may put others in force, and the log says
    so. What people published is not thrown away for our own: the operator names the folder that replaces it.
    """
    version = desk.outlived()
    if version is None:
        return False
    if version.drafted_by != SYSTEM and not settings.rules_given:
        raise StartError(
            f"version {version.number} of the rules is in force and cannot be used by this program. Take its "
            "folder, mend what this names: governance policy test FOLDER; then put it in force with: "
            "GOVERNANCE_RULES=FOLDER governance init"
        )
    return True


def assemble(
    settings: Settings,
    *,
    clock: Callable[[], int] = wall_clock,
    sender: CodeSender | None = None,
    database: Database | None = None,
    examine: bool = True,
) -> Service:
    """Wire a service, or refuse to start. Only commands that inspect a damaged log leave out ``examine``."""
    refuse_scattered_rooms()
    ring = load_ring(settings)
    refuse_twin_distributions()
    database = database or open_database(settings.database_url)
    try:
        return _wired(settings, ring, database, clock, sender, examine=examine)
    except BaseException:
        database.close()
        raise


def _wired(
    settings: Settings,
    ring: KeyRing,
    database: Database,
    clock: Callable[[], int],
    sender: CodeSender | None,
    *,
    examine: bool,
) -> Service:
    checkpoints = Checkpoints(database, ring, settings.lock_store)
    if examine:
        refuse_another_schema(database)
        refuse_unless_sound(checkpoints)
        LogPieces(database).grow()
    finder = Finder()
    keeper = _keeper(database, ring, finder)
    desk = RuleDesk(database, keeper)
    refuse_other_rules(settings, keeper, desk, database, clock)
    if settings.profile is Profile.PROD and (weak := database.weaknesses()):
        raise StartError(f"prod needs a database that keeps what it acknowledged: {'; '.join(weak)}")
    permits = PermitDesk(ring.permit_key)
    vault = Vault()
    opening = Opening(Sealer(ring), vault)
    egress = Egress(loopback=settings.webhook_loopback)
    sender = sender or sender_of(settings.outside, database, opening)
    if sender is None and settings.profile is Profile.DEV:
        sender = DevelopmentOutbox()
    approving = Approving(database, keeper)
    certificates = DocumentSigner(ring.receipt_key, CERTIFICATE)
    erasures = _erasures(settings)
    erasing = Erasing(database, keeper, vault, erasures, certificates, ring.tenant)
    if examine:
        erasing.replay_erasures(clock())
    witnessing = witnessing_of(settings, database, egress, clock)
    logbook = Logbook(database, checkpoints, clock, witnessing.await_quorum)
    index = BlindIndex(ring.index_key, ring.tenant)
    gate = Gate(database, keeper, vault, opening, index, logbook)
    rights = Rights(database, keeper, opening, ring.pepper, sender, erasures)
    consenting = Consenting(database, keeper, ring.pepper, sender, opening.birth_of)
    signer = DocumentSigner(ring.receipt_key, RECEIPT, SIGNATURE)
    return Service(
        settings=settings,
        database=database,
        ring=ring,
        keeper=keeper,
        desk=desk,
        finder=finder,
        opening=opening,
        gate=gate,
        dispatch=Dispatch(database, keeper, vault, opening, permits),
        noticing=Noticing(database, keeper),
        consenting=consenting,
        receipts=Receipts(consenting, signer, ring.receipt_names_key, ring.tenant, settings.outside),
        webhooks=Webhooks(database, keeper, opening, egress),
        delivering=Delivering(database, keeper, opening, egress, clock),
        importing=Importing(database, keeper, opening, clock),
        sharing=Sharing(database, keeper, opening.birth_of),
        opting_out=OptingOut(database, keeper, Links(ring.cursor_key), gate.bearer_of, opening.births_of),
        lifecycle=Lifecycle(opening, keeper),
        homes=Homes(database, keeper, opening.birth_of),
        transitions=Transitions(database, keeper, opening),
        approving=approving,
        approvals=AccessRequests(database, approving),
        permits=permits,
        sender=sender,
        log=furnished(checkpoints, witnessing, logbook, database, keeper, opening, ring.cursor_key),
        rights=rights,
        deciding=RightsDeciding(database, keeper, rights, erasing, gate),
        erasing=erasing,
        holds=Holds(database, keeper, opening),
        retaining=Retaining(database, keeper, vault, opening.birth_of),
        certificates=certificates,
        clock=clock,
    )


def rollbacks_of(settings: Settings, database: Database) -> Rollbacks:
    """Return the desk that accepts a restored log, while the service itself refuses to start."""
    refuse_another_schema(database)
    ring, erasures = load_ring(settings), _erasures(settings)
    certificates = DocumentSigner(ring.receipt_key, CERTIFICATE)
    keeper = _keeper(database, ring, Finder())
    erasing = Erasing(database, keeper, Vault(), erasures, certificates, ring.tenant)
    checkpoints = Checkpoints(database, ring, settings.lock_store)
    return Rollbacks(database, checkpoints, LostNotes(settings.lost_notes), erasing.replay_erasures)


def _erasures(settings: Settings) -> ErasureLedger:
    try:
        return ErasureLedger(settings.erasures)
    except ErasureLedgerError as error:
        raise StartError(str(error)) from None


def _keeper(database: Database, ring: KeyRing, finder: Finder) -> RuleKeeper:
    return RuleKeeper(database, ring.cursor_key, lambda archive: load_archive(archive, finder))
