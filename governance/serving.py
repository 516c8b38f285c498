"""The factory a server process calls: settings from the environment, one wired service, its application."""

from __future__ import annotations

import gc
import os

from fastapi import FastAPI

from governance.app import build
from governance.settings import Profile, read_settings
from governance.wiring import assemble
from policies.book import packaged_rules


def app() -> FastAPI:
    """Return the application of this process."""
    # What is made while starting stays; looking for cycles in it only delays readiness (see app.build).
    gc.disable()
    service = assemble(read_settings(os.environ, packaged_rules()))
    # In development one process suffices; in production webhooks have a process of their own.
    return build(service, delivering=service.settings.profile is Profile.DEV)
