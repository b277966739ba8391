# Needs make and Python 3.11 or later, nothing else. Everything runs in .venv, which the first target that needs it
# builds; PYTHON=/path/to/python says what with.

VENV := .venv
BIN := $(VENV)/bin
CORE := $(VENV)/core.stamp
DEV := $(VENV)/dev.stamp

# Exact versions, and the hash of each file that is installed; what builds backburner itself is among them. No package is
# built here, since what builds it would not be: PIP_ONLY_BINARY= allows it, where there is no wheel.
INSTALL := $(BIN)/python -m pip install --quiet --require-hashes
THIS := $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
export PIP_ONLY_BINARY ?= :all:
export PIP_CONSTRAINT :=
export PIP_BUILD_CONSTRAINT :=
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_USER := 0

.PHONY: help demo bench test chaos check-zones check format lint types layers docs wheel release-check lock upgrade clean
.DELETE_ON_ERROR:
.NOTPARALLEL:

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

demo: $(CORE) ## run real jobs, kill the worker, lose nothing
	$(BIN)/backburner demo

bench: $(DEV) ## measure the engine, its scheduler and its events beside the raw limit of each store
	$(BIN)/python bench/engine.py --store sqlite
	$(BIN)/python bench/engine.py --store memory
	$(BIN)/python bench/engine.py --store postgres
	$(BIN)/python bench/engine.py --store redis
	$(BIN)/python bench/scheduler.py --store sqlite
	$(BIN)/python bench/scheduler.py --store memory
	$(BIN)/python bench/scheduler.py --store postgres
	$(BIN)/python bench/scheduler.py --store redis
	$(BIN)/python bench/events.py --store sqlite
	$(BIN)/python bench/events.py --store memory
	$(BIN)/python bench/events.py --store postgres
	$(BIN)/python bench/events.py --store redis

test: $(DEV) ## run the test suite with coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 2 --dist worksteal
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

chaos: $(DEV) ## run what the ordinary run tries in short: crowds of processes, killed ones, and every store against memory
	BACKBURNER_TEST_CROWD=20000 $(BIN)/python -m pytest -s -o faulthandler_timeout=1200 tests/chaos/test_crowd.py
	BACKBURNER_TEST_KILLS=10 $(BIN)/python -m pytest -o faulthandler_timeout=1200 tests/chaos/test_limits.py
	BACKBURNER_TEST_TICKS=1000 $(BIN)/python -m pytest -s -o faulthandler_timeout=1200 tests/chaos/test_schedules.py
	BACKBURNER_TEST_EVENTS=5000 $(BIN)/python -m pytest -s -o faulthandler_timeout=1200 tests/chaos/test_events.py
	BACKBURNER_TEST_EXAMPLES=10 $(BIN)/python -m pytest -o faulthandler_timeout=3600 tests/contracts/test_machine.py

check-zones: $(DEV) ## walk every minute about every change of every zone's clocks, 2024 to 2028 (a quarter of an hour)
	BACKBURNER_TEST_ZONES=all $(BIN)/python -m pytest tests/unit/scheduler/test_zones_walked.py

check: lint types layers test wheel docs ## all that must pass

format: $(DEV) ## format the code, mend what lint can mend
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

lint: $(DEV) ## check the format and lint
	$(BIN)/ruff format --check
	$(BIN)/ruff check

types: $(DEV) ## check the types, by mypy and by pyright
	$(BIN)/mypy
	$(BIN)/basedpyright --warnings

layers: $(DEV) ## check that imports point down
	$(BIN)/lint-imports --no-logo --no-cache

docs: $(DEV) ## build the documentation: build/docs/index.html
	$(BIN)/sphinx-build --fresh-env --fail-on-warning --quiet -c docs/site -d build/doctrees docs build/docs

wheel: $(DEV) ## build wheel and sdist, check them, run a durable job in an environment that holds nothing else
	$(BIN)/python -m scripts.release_check --unreleased

release-check: $(DEV) ## all of that, and what a release needs besides: its day in the changelog, all committed
	$(BIN)/python -m scripts.release_check

lock: $(DEV) ## lock what pyproject.toml asks for; what is locked stays as it is
	$(BIN)/python scripts/lock.py

upgrade: $(DEV) ## lock the newest versions of everything
	$(BIN)/python scripts/lock.py --upgrade

clean: ## remove all that make made
	rm -rf $(VENV) build .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(BIN)/pip:
	@python=$$(PYTHON='$(PYTHON)' sh scripts/find_python.sh) && echo "building $(VENV) with $$python" && "$$python" -m venv $(VENV)

$(CORE): pyproject.toml requirements/core.txt requirements/build.txt | $(BIN)/pip
	$(INSTALL) -r requirements/core.txt -r requirements/build.txt
	$(THIS)
	@touch $@

$(DEV): pyproject.toml requirements/dev.txt | $(BIN)/pip
	$(INSTALL) -r requirements/dev.txt
	$(THIS)
	@touch $(CORE) $@
