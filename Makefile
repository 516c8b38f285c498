# Two commands matter: `make demo` shows it, `make test` proves it. Everything else helps to work on it.
# The environment lives in .venv and holds exactly what requirements.lock names, hash by hash.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check bench mutants docs pictures lock clean

VENV   := .venv
PYTHON := $(VENV)/bin/python
# A Python of your choice to make the environment with:  make test BASE_PYTHON=/usr/bin/python3.12
BASE_PYTHON ?=
LOCKED := $(VENV)/.locked
READY  := $(VENV)/.ready

help:  ## this list
	@awk 'BEGIN {FS = ":.*## "; print "make …"} /^[a-z]+:.*## / {printf "  %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY)  ## the story of 张家, served with live traffic; prints links to open (Ctrl-C ends it)
	@$(PYTHON) -P -m governance demo

test: $(READY) | browser  ## the whole test suite, on SQLite and on PostgreSQL (which comes along as a wheel)
	@$(PYTHON) -P -m pytest

check: $(READY)  ## lint, format, types, import contracts, and the rules about this repository
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	@$(PYTHON) -P -m pytest tests/repository -q

bench: $(READY)  ## the benchmark table, each figure beside its floor or peer; writes bench.json
	@PYTHONPATH=tests/bench:tests/policies:tests $(PYTHON) -P tests/bench/run.py

mutants: $(READY)  ## break each rule of the decision on purpose; at least nine of ten must be noticed
	@PYTHONPATH=tests/mutants $(PYTHON) -P tests/mutants/run.py

docs: $(READY)  ## write docs/codes.md and docs/routes.md anew from the code
	@$(PYTHON) -P tests/repository/pages_from_code.py

pictures: $(READY)  ## write the pictures in docs/screenshots anew, in a real Chromium
	@WRITE_SCREENSHOTS=1 $(PYTHON) -P -m pytest -q tests/pages/test_pages_in_chromium.py
	@WRITE_SCREENSHOTS=1 $(PYTHON) -P -m pytest -q tests/pages/test_desks_in_chromium.py
	@WRITE_SCREENSHOTS=1 $(PYTHON) -P -m pytest -q tests/pages/test_log_in_chromium.py

lock:  ## choose versions anew and write requirements.lock (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv; install it with: pipx install uv" >&2; exit 1; }
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
	  --extra dev --python-version 3.11 --upgrade --quiet pyproject.toml -o requirements.lock

clean:  ## remove the environment and everything that was made from the sources
	rm -rf $(VENV) build dist bench.json .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the environment -----------------------------------------------------------------------------

# Made anew from nothing when the lock has changed: what an older lock brought along must not linger.
$(LOCKED): requirements.lock
	@found=; \
	for one in $(or $(BASE_PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
	  if "$$one" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$one; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "This needs Python 3.11 or newer, and none was found." >&2; \
	  echo "Install one (Debian: apt-get install python3 python3-venv), or name one: make test BASE_PYTHON=/path/to/python3.12" >&2; \
	  exit 1; \
	fi; \
	if ! "$$found" -c 'import ensurepip, venv' 2>/dev/null; then \
	  echo "$$found cannot make environments. On Debian: apt-get install python3-venv" >&2; exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$found" --version). The first time this fetches some 300 MB."; \
	"$$found" -m venv --clear $(VENV)
	@$(PYTHON) -m pip install --disable-pip-version-check --only-binary :all: \
	  --require-hashes -r requirements.lock || { \
	  echo "The packages could not be installed. No network? Then check the proxy and pip's own settings." >&2; \
	  echo "A hash that differs means that a package is not the one this version was tested with: do not go on." >&2; \
	  exit 1; }
	@touch $@

$(READY): pyproject.toml $(LOCKED)
	@$(PYTHON) -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: browser
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || { \
	  echo "No Chromium here: the tests that look at the pages in a browser cannot run." >&2; \
	  echo "On Debian: sudo apt-get install chromium fonts-noto-cjk" >&2; }
