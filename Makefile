# make demo | test | lint | check | bench       each makes .venv first, if need be
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Two test processes: most tests wait for a server, and every process has its own.
PYTEST_ARGS ?= -n 2

.PHONY: help venv demo test test-containers screenshots chaos chaos-long lint check bench bench-second bench-large bench-fleet bench-dispatch fmt clean
# `check` looks before it tests.
.NOTPARALLEL:
.DEFAULT_GOAL := help

help:
	@echo "make demo    publish an example website to a local FTPS server, with everything real"
	@echo "make test    the tests; those for servers that are not installed are skipped"
	@echo "make chaos   workers, Redis, sessions and commands killed in the middle (a minute and a half)"
	@echo "make chaos-long  the same with all of WordPress (five minutes); SITEFERRY_CHAOS_SEED=N repeats one"
	@echo "make test-containers  image and compose stack on a Docker Engine, pods on a podman (Debian, root)"
	@echo "make lint    formatting, lint, types, layers"
	@echo "make check   what CI runs: lint and test"
	@echo "make bench   measurements against other clients (needs their programs, root, hours)"
	@echo "make bench-second  the second run, with nothing or one file changed (a quarter of an hour)"
	@echo "make bench-large   100,000 files: time and memory (three minutes)"
	@echo "make bench-fleet     200 websites on 20 accounts of one address (four minutes)"
	@echo "make bench-dispatch  what Celery costs, as a share of the engine's time (twenty minutes)"
	@echo "make screenshots     the pictures of docs/flower.md anew (needs Chromium)"
	@echo "make fmt     format, and mend what lint can mend"
	@echo "make clean   remove $(VENV) and caches (not .cache, which holds downloads)"
	@echo "PYTHON=$(PYTHON) makes $(VENV); it must be 3.11 or later"

venv: $(VENV)/.complete

$(VENV)/.complete: pyproject.toml
	@test ! -L $(VENV) || { echo "$(VENV) is a link to an environment that may be others' too: remove the link, and make one here" >&2; exit 1; }
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not installed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else "siteferry needs Python 3.11 or later, $(PYTHON) is %d.%d: make PYTHON=/path/to/python3.11" % v[:2])'
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "$(PYTHON) has no venv module (Debian: apt install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: venv
	$(BIN)/siteferry demo

test: venv
	$(BIN)/python -m pytest $(PYTEST_ARGS)

test-containers: venv
	tests/container/install.sh
	SITEFERRY_CONTAINER_TESTS=1 $(BIN)/python -m pytest --durations=15 tests/container

screenshots: venv
	$(BIN)/python -m tests.acceptance.flower_screenshots

chaos: venv
	$(BIN)/python -m pytest -s tests/chaos

chaos-long: venv
	SITEFERRY_LONG_TESTS=1 $(BIN)/python -m pytest -s tests/chaos tests/integration/test_ledger_states.py

lint: venv
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test

bench: venv
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.report

bench-second: venv
	$(BIN)/python -m benchmarks.second_run

bench-large: venv
	$(BIN)/python -m benchmarks.many_files --check

bench-fleet: venv
	$(BIN)/python -m benchmarks.fleet --check

bench-dispatch: venv
	$(BIN)/python -m benchmarks.dispatch_cost --check

fmt: venv
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
