# Two commands matter: `make up` runs everything on this machine, `make test` proves it.
# Needs make and Python 3.11 or newer; everything else goes into .venv.

.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
PY := $(VENV)/bin/python
ARGS ?=
# Test processes at once, each with servers of its own. They wait for half of the time, so two cores feed four.
WORKERS ?= 4

export PIP_ROOT_USER_ACTION := ignore
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# What a shell may say to other Pythons and pips is not for .venv.
export PIP_USER := 0
unexport PYTHONHOME PYTHONPATH

# The Python that makes .venv: set PYTHON to choose. Each candidate is run, because a version manager's shim
# exists for versions that it does not have.
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3 python3.14 python; do \
	$$name -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$name && break; done)

PIP_INSTALL = $(PY) -m pip install --quiet --progress-bar off
INSTALL_PROJECT = $(PIP_INSTALL) --no-deps --no-build-isolation --editable .
UV_COMPILE = pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header --quiet

.PHONY: help
help: ## Show this list
	@echo "make <target>, where <target> is one of:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | while IFS='|' read -r name text; do \
		printf '%-18s %s\n' "$$name" "$$text"; done
	@echo 'Options of a command go into ARGS: make demo ARGS="--help"'

# ---- Run ----

.PHONY: up
up: $(VENV)/.stack ## Run everything: database, Temporal, payment service, worker, shop
	@exec $(PY) -m cli up $(ARGS)

.PHONY: demo
demo: $(VENV)/.stack ## Show the promises being kept, in this terminal, in a minute
	@exec $(PY) -m cli demo $(ARGS)

.PHONY: reset
reset: $(VENV)/.stack ## Delete the data of `make up`
	@exec $(PY) -m cli reset $(ARGS)

# ---- Prove ----

.PHONY: test
test: $(VENV)/.dev ## Run every check and every test
	@said=$$(mktemp); $(MAKE) --no-print-directory check >$$said 2>&1 & checking=$$!; failed=0; \
	trap 'kill $$checking; rm -f $$said; exit 130' INT TERM; \
	$(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS) || failed=1; \
	wait $$checking || failed=1; \
	cat $$said; rm -f $$said; exit $$failed

.PHONY: check
check: $(VENV)/.dev ## Lint, format, types, layers, locks, known vulnerabilities
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(PY) -m pytest --quiet --no-header tests/unit/stack/test_locks.py
	$(PY) -m tests.security.audit_dependencies

.PHONY: chaos
chaos: $(VENV)/.dev ## Break everything for a while, then audit
	$(PY) -m tests.campaigns.chaos $(ARGS)

.PHONY: cluster
cluster: $(VENV)/.dev ## Run the shop on a real Temporal cluster (bring temporal-server): restart, hurt, measure it
	$(PY) -m tests.campaigns.cluster $(ARGS)

.PHONY: containers
containers: $(VENV)/.containers ## Build the image, start docker-compose.yml, kill everything in it once, audit
	$(PY) -m tests.campaigns.containers $(ARGS)

.PHONY: upgrade
upgrade: $(VENV)/.dev ## Rehearse the upgrade from the last release, with processes of both
	$(PY) -m tests.campaigns.upgrade $(ARGS)

.PHONY: schedules
schedules: $(VENV)/.dev ## Run thousands of random schedules of customers, faults and clocks
	$(PY) -m tests.campaigns.schedules $(ARGS)

.PHONY: mutants
mutants: $(VENV)/.dev ## Plant bugs, one at a time, and see whether the tests catch them
	$(PY) -m tests.campaigns.mutants $(ARGS)

.PHONY: bench
bench: $(VENV)/.bench ## Measure the shop beside its peers, in turn
	$(PY) -m bench run $(ARGS)

# ---- Maintain ----

.PHONY: lock
lock: ## Pin the newest dependencies that pyproject.toml allows
	@$(call need_python)
	@tmp=$$(mktemp -d) && trap 'rm -rf "$$tmp"' EXIT && echo "Fetching uv…" && \
	$(PYTHON) -m venv "$$tmp" && "$$tmp/bin/python" -m pip install --quiet uv && uv="$$tmp/bin/uv" && \
	echo "Resolving…" && \
	"$$uv" $(UV_COMPILE) --upgrade --group dev -o requirements/dev.lock && \
	"$$uv" $(UV_COMPILE) --upgrade --group stack -c requirements/dev.lock -o requirements/stack.lock && \
	"$$uv" $(UV_COMPILE) --upgrade -c requirements/dev.lock -o requirements/image.lock && \
	"$$uv" $(UV_COMPILE) --upgrade --group containers -c requirements/dev.lock -o requirements/containers.lock && \
	"$$uv" $(UV_COMPILE) --upgrade --group bench -c requirements/dev.lock -o requirements/bench.lock

.PHONY: record-histories
record-histories: $(VENV)/.dev ## Record workflow histories for the replay tests
	$(PY) -m tests.replay.record $(ARGS)

.PHONY: screenshots
screenshots: $(VENV)/.dev ## Take the pictures of the pages anew
	$(PY) -m tests.browser.screenshots $(ARGS)

.PHONY: clean
clean: ## Delete caches and .venv; the data in var/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- The environment: made once, filled again only when a lock changes ----

define need_python
	if [ -z "$(PYTHON)" ]; then \
		echo "Python 3.11 or newer, with its venv module, was not found: install it (on Debian and Ubuntu:" \
			"apt install python3 python3-venv), or name one with make PYTHON=/path/to/python3.11." >&2; \
		exit 1; \
	fi
endef

# A broken .venv (its Python was removed or upgraded) is made anew. A working one, whoever made it, is kept.
$(VENV)/.made:
	@$(call need_python)
	@$(PY) -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Making $(VENV) with $(PYTHON)…"; $(PYTHON) -m venv --clear $(VENV); }
	@touch $@

$(VENV)/.stack: requirements/stack.lock pyproject.toml $(VENV)/.made
	@echo "Installing what the stack needs (once; about a minute)…"
	@$(PIP_INSTALL) --require-hashes -r requirements/stack.lock
	@$(INSTALL_PROJECT)
	@touch $@

$(VENV)/.dev: requirements/dev.lock pyproject.toml $(VENV)/.made
	@echo "Installing what the tests need (once; about a minute)…"
	@$(PIP_INSTALL) --require-hashes -r requirements/dev.lock
	@$(INSTALL_PROJECT)
	@touch $@

$(VENV)/.bench: requirements/bench.lock pyproject.toml $(VENV)/.made
	@echo "Installing what the benchmark needs (once; about a minute)…"
	@$(PIP_INSTALL) --require-hashes -r requirements/bench.lock
	@$(INSTALL_PROJECT)
	@touch $@

$(VENV)/.containers: requirements/containers.lock pyproject.toml $(VENV)/.made
	@echo "Installing what the containers' tests need (once; about a minute)…"
	@$(PIP_INSTALL) --require-hashes -r requirements/containers.lock
	@$(INSTALL_PROJECT)
	@touch $@

# Seen before any rule runs: a stamp in a .venv whose Python is gone says nothing.
ifneq ($(shell $(PY) -c 'print("works")' 2>/dev/null),works)
.PHONY: $(VENV)/.made $(VENV)/.stack $(VENV)/.dev $(VENV)/.bench $(VENV)/.containers
endif
