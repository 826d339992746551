# Everything that a person or a machine does with this repository. `make` lists it.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

# The second environment: what the first has, and the optional dependencies that are too big for every developer.
FULL       := .venv-full
FULL_STAMP := $(FULL)/.installed

# Two processes: more are quicker on bigger machines, but then nobody knows how long the suite takes on a small one.
TEST_PROCESSES ?= 2
ELSEWHERE      := slow or browser or network or postgres or extra or spark or soak or bench

# The tests start a hundred interpreters. Where bytecode may not be written, each would compile every library again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup setup-full demo test test-slow test-extra test-full check bench lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv from the hashed lock and install the package into it

setup-full: $(FULL_STAMP) ## create .venv-full, the second environment, with every optional dependency

$(STAMP): requirements/dev.txt pyproject.toml
$(FULL_STAMP): requirements/full.txt pyproject.toml
$(STAMP) $(FULL_STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Roadworthy needs Python 3.11 or newer; $(PYTHON) is older. Remedy: make PYTHON=python3.12 setup"; exit 2; }
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(STAMP) ## inspect a real pilot from end to end; everything it makes lies under build/demo
	$(BIN)/roadworthy demo --dir build/demo

# Tests that measure time run after the others: a neighbour would show in their figures. Only their files are collected
# again; .ci/run asks for every test that is marked so, wherever it stands.
test: $(STAMP) ## the default tests under coverage, outbound connections refused; make check runs those of the house
	@mkdir -p build
	@$(BIN)/coverage erase
	$(BIN)/python -m coverage run -p -m pytest --ignore=tests/house --record=build/tests.json \
	  -n $(TEST_PROCESSES) --dist worksteal -m "not (alone or $(ELSEWHERE))"
	$(BIN)/python -m coverage run -p -m pytest --ignore=tests/house --record=build/alone.json \
	  -m "alone and not ($(ELSEWHERE))" $$(grep -rl --include='test_*.py' 'mark\.alone' tests)
	@$(BIN)/coverage combine --quiet
	$(BIN)/python -m coverage json --quiet -o build/coverage.json
	$(BIN)/python tools/coverage_gates.py build/coverage.json --before-slow

SLOW := slow or browser or postgres

test-slow: $(STAMP) ## the tests that start many processes, under coverage too; with make test before it, every gate holds
	@mkdir -p build
	$(BIN)/python -m coverage run -p -m pytest -q --record=build/slow.json \
	  -n $(TEST_PROCESSES) --dist worksteal -m "($(SLOW)) and not alone"
	$(BIN)/python -m coverage run -p -m pytest -q --record=build/slow-alone.json -m "($(SLOW)) and alone"
	@$(BIN)/coverage combine --quiet --append
	$(BIN)/python -m coverage json --quiet -o build/coverage.json
	$(BIN)/python tools/coverage_gates.py build/coverage.json

test-extra: $(FULL_STAMP) ## the tests of the optional dependencies, Spark on two workers among them, in .venv-full
	@mkdir -p build
	$(FULL)/bin/python -m pytest --record=build/extra.json -m "extra or spark"

test-full: $(STAMP) ## every test of the first environment but those that leave this machine or run by hand
	@mkdir -p build
	$(BIN)/python -m pytest --record=build/tests-full.json -m "not (network or extra or spark or soak or bench)"

check: $(STAMP) ## lint, format, types, import contracts, house rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	@mkdir -p build
	$(BIN)/python -m pytest -q tests/house --record=build/house.json

# The servers that a bench runs against stand beside it.
BENCHES := $(filter-out %_server.py, $(wildcard tests/bench/*.py))

bench: $(STAMP) ## measure; tables on the screen, JSON under build/bench
	@mkdir -p build/bench
	@missed=; for script in $(BENCHES); do echo "== $$script"; $(BIN)/python "$$script" || missed="$$missed $$script"; done; \
	if [ -n "$$missed" ]; then echo "A bar was missed, or a bench could not run:$$missed"; exit 1; fi

# Small enough for every developer; the others (Spark, Inspect) are in the second environment only.
DEV_EXTRAS := --extra entities --extra postgres --extra retrieval
LOCK := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-header

lock: $(STAMP) ## recompile requirements/*.txt from pyproject.toml
	$(LOCK) -o requirements/run.txt
	$(LOCK) --group dev $(DEV_EXTRAS) -o requirements/dev.txt
	$(LOCK) --group dev --all-extras -o requirements/full.txt

clean: ## remove what the other targets made, the environment included
	rm -rf $(VENV) $(FULL) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
