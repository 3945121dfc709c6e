# Everything a fresh machine needs is Python >= 3.11 with venv, and make. `make help` lists the targets.

# The system's own Python, where it is new enough, before another one in the PATH: the service runs on that (its units
# hide /home and /root, where others live), its owner mends it, and distributions build it optimised for speed.
PYTHON ?= $(shell /usr/bin/python3 -c '$(HAS_VENV); $(NEW_ENOUGH)' 2>/dev/null && echo /usr/bin/python3 || echo python3)
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
HAS_VENV := import ensurepip, venv
TEST_WORKERS ?= 2
BULWARK_DATA ?= ../shared/data
ARGS ?=
SIZE ?= M

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INSTALL := $(PIP) install --require-hashes --only-binary :all:
SOURCES := bot backtest simulator tests

# One stamp a stage, each newer than what it was made from. The chain created -> run -> dev keeps `make -j` from two
# installs at a time.
CREATED := $(VENV)/.stamp-created
RUN := $(VENV)/.stamp-run
DEV := $(VENV)/.stamp-dev

export BULWARK_DATA

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv run test gate check format bench bench-workload faults real real-backtest sabotage lock clean

help: ## this table
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(RUN) ## install, then trade on a simulated Coinbase: no keys, no network (ARGS="--speed 60")
	@$(BIN)/bot demo $(ARGS)

test: $(DEV) ## install, then run the whole test suite (ARGS="-k cooldown")
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) $(ARGS)

gate: $(DEV) ## three short backtests of config/ against its baseline (ARGS="--accept" makes a change that was meant the baseline)
	@$(BIN)/backtest gate $(ARGS)

check: $(DEV) ## format, lint, types and import rules, changing nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV) ## rewrite the sources as `check` wants them
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

bench: $(DEV) ## measure speed and memory
	@$(BIN)/python -m tests.bench $(ARGS)

bench-workload: $(DEV) ## time whole backtests of the common workload, five processes (SIZE=S, M or L; ARGS="--every-cycle")
	@$(BIN)/python -m tests.bench.workload $(SIZE) $(ARGS)

faults: $(DEV) ## do to the bot what happened to others, row by row (ARGS="--only F013,F067")
	@$(BIN)/python -m tests.faults $(ARGS)

real: $(DEV) ## checks on recorded market data (BULWARK_DATA=../shared/data)
	@$(BIN)/python -m tests.real $(ARGS)

real-backtest: $(DEV) ## what config/ earned on the recorded markets, after fees (ARGS="--alone" each rule by itself)
	@$(BIN)/python -m tests.real.backtests $(ARGS)

sabotage: $(DEV) ## make each known mistake once and see a test turn red (ARGS="--only stop-above")
	@$(BIN)/python -m tests.sabotage $(ARGS)

venv: $(DEV) ## only install: .venv with everything, from the lock files

lock: $(DEV) ## resolve pyproject.toml into requirements/*.lock (ARGS="--upgrade" moves versions)
	@cp requirements/dev.lock requirements/dev.lock.tmp && cp requirements/run.lock requirements/run.lock.tmp
	@$(LOCK) --extra dev --output-file requirements/dev.lock.tmp $(ARGS)
	@$(LOCK) --constraints requirements/dev.lock.tmp --no-annotate --output-file requirements/run.lock.tmp $(ARGS)
	@mv requirements/dev.lock.tmp requirements/dev.lock && mv requirements/run.lock.tmp requirements/run.lock

clean: ## remove .venv, caches and build leftovers; data/ stays
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

# Universal: one file for every Python from 3.11 on and every platform, one version of each package.
LOCK = $(BIN)/uv pip compile pyproject.toml --quiet --universal --fork-strategy fewest --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	--extra sim --extra backtest --group pyproject.toml:build

$(CREATED):
	@command -v $(PYTHON) >/dev/null || \
		{ echo "make: no $(PYTHON) here; name a Python 3.11 or newer: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c '$(NEW_ENOUGH)' || \
		{ echo "make: Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) --version 2>&1); try make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c '$(HAS_VENV)' 2>/dev/null || \
		{ echo "make: $(PYTHON) lacks the venv module; on Debian and Ubuntu it is the package python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

# The sources are compiled as pip compiles packages: where bytecode may not be written later
# (PYTHONDONTWRITEBYTECODE, a read-only checkout), every start would compile them anew, for a quarter of a second.
$(RUN): requirements/run.lock pyproject.toml | $(CREATED)
	@echo "installing what the bot needs, from requirements/run.lock"
	@$(INSTALL) -r requirements/run.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q bot backtest simulator
	@touch $@

$(DEV): requirements/dev.lock $(RUN)
	@echo "installing what the tests need, from requirements/dev.lock"
	@$(INSTALL) -r requirements/dev.lock
	@touch $@
