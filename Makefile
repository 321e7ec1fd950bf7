# What can be done here. Needs only GNU make and Python 3.11 or newer.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-all test-exports check format docs clean

help:  ## list these verbs
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(VENV)/.dev  ## make .venv with everything that development needs

demo: $(VENV)/.core  ## run a whole small study on text that is already on this machine
	$(BIN)/cuvee demo demo/

test: $(VENV)/.dev  ## run the tests that take no longer than some seconds each
	$(PYTEST) -m 'not slow and not exports'

test-all: $(VENV)/.dev  ## run all tests
	$(PYTEST) -m 'not exports'

test-exports: $(VENV)/.dev  ## install light trainers one by one, in a temporary folder, and draw from our exports
	$(PYTEST) -m exports

check: $(VENV)/.dev  ## formatting, lint, types and import floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.dev  ## put the code into the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.core  ## write the tables of docs/registries.md from the registries
	$(BIN)/python -m docs.registries

bench-gpu-%: $(VENV)/.core  ## the same of benchmarks/gpu/TOPIC.py (make bench-gpu-TOPIC)
	$(BIN)/python -m benchmarks.gpu.$*

bench-%: $(VENV)/.core  ## run benchmarks/TOPIC.py and rewrite its tables (make bench-TOPIC)
	$(BIN)/python -m benchmarks.$*

clean:  ## remove .venv, the demo and all caches
	rm -rf $(VENV) demo dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps: an environment is made anew only when what it should hold has changed.
$(VENV)/.core: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "cuvee needs Python 3.11 or newer; try: make PYTHON=python3.12 ...")'
	@echo '==> an environment in $(VENV)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo '==> torch (the largest part; a minute or so)'
	@$(PIP) install -c constraints.txt torch
	@echo '==> cuvee and the rest of what it needs'
	@$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	@echo '==> what development needs'
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@
