"""Which distribution provides the module ``casbin``, without importing it.

The maintained distribution is ``pycasbin``; the older ``casbin`` owns the very same files. pip does not
notice, and the one installed last wins: the start refuses to leave that to luck.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata


class TwinDistributionsError(Exception):
    """Two distributions provide the module ``casbin``; which code runs is then a matter of luck."""


def refuse_twin_distributions() -> None:
    """Refuse to start when both ``casbin`` and ``pycasbin`` are installed.

    They overwrite each other's files, so pip reports one version and Python runs the other.

    Raises:
        TwinDistributionsError: both are installed.
    """
    if len(twins := providers()) > 1:
        raise TwinDistributionsError(f"uninstall all but pycasbin: {', '.join(twins)} are installed")


def providers(installed: Iterable[str] | None = None) -> tuple[str, ...]:
    """Return which of the distributions that provide the module ``casbin`` are installed."""
    names = (dist.name for dist in metadata.distributions()) if installed is None else installed
    return tuple(sorted({name.lower().replace("_", "-") for name in names} & {"casbin", "pycasbin"}))
