# Everything from a fresh clone: Python 3.11 or newer and make; no Docker, no Java.
#   make demo            a ward on this machine, live in the terminal
#   make test ARGS=-x    arguments go to the program behind a target
#   PYTHON=python3.12    another interpreter for .venv

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
LOCK   := .cache/lock
STAMP  := $(VENV)/.installed
SUITES := $(wildcard tests/unit tests/integration tests/e2e)
PIP    := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test check lint bench lock clean

help: ## Show these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "wardstream needs Python 3.11 or newer and found $$($(PYTHON) --version 2>&1);" \
	    "name one, as in: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@echo "== setting up $(VENV): the first time takes a few minutes, torch is large"
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "python3 -m venv failed: install your system's venv package (Debian: apt install python3-venv)" >&2; exit 1; }
	$(PIP) install -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## Show a ward on this machine: embedded Kafka and Redis, one worker, a minute (ARGS="--forever")
	@$(BIN)/wardstream demo $(ARGS)

test: $(STAMP) ## Run unit, integration and end-to-end tests
	$(BIN)/python -m pytest $(SUITES) $(ARGS)

check: $(STAMP) ## Check format, lint, types, import rules and that the settings page is in step
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(if $(wildcard docs/settings.md),$(BIN)/wardstream settings --check docs/settings.md)

lint: $(STAMP) ## Format the code and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP) ## Measure throughput, cost and latency on this machine
	$(BIN)/python -m bench $(ARGS)

# A fresh environment with what pyproject.toml allows today; torch's own GPU packages follow torch by themselves.
lock: ## Renew requirements.lock from pyproject.toml
	@rm -rf $(LOCK) build
	$(PYTHON) -m venv $(LOCK)
	$(LOCK)/bin/python -m pip install 'setuptools>=77' '.[dev]'
	@sed '/^#/!d' requirements.lock > requirements.lock.new
	@$(LOCK)/bin/python -m pip freeze --all --exclude pip --exclude wardstream \
	  | grep -Ev '^(nvidia-|cuda-|triton)' | sed -e 's/+[^;]*//' \
	  >> requirements.lock.new
	@mv requirements.lock.new requirements.lock
	@rm -rf $(LOCK) build
	@echo "requirements.lock is new: run make test"

clean: ## Remove the environment and everything that was made
	rm -rf $(VENV) build *.egg-info .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
