# Needs make and Python 3.11 or later, nothing else. Everything runs in .venv, which the first target that needs it
# builds; PYTHON=/path/to/python says what with.

VENV := .venv
BIN := $(VENV)/bin
CORE := $(VENV)/core.stamp
DEV := $(VENV)/dev.stamp

# Exact versions, for packages and (by the second name in newer pips) for what builds them.
export PIP_CONSTRAINT := requirements/constraints.txt
export PIP_BUILD_CONSTRAINT := requirements/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_USER := 0

.PHONY: help demo bench test chaos check-zones check format lint types layers wheel constraints clean
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

check: lint types layers test wheel ## all that must pass

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

wheel: $(DEV) ## build the wheel, install it in an empty environment, run a durable job there
	rm -rf build
	$(BIN)/python -m build --outdir build .
	$(BIN)/python -m venv build/env
	build/env/bin/python -m pip install --quiet build/*.whl
	cd build/env && bin/backburner --version && bin/python ../../scripts/wheel_smoke.py

constraints: ## take the newest versions of everything
	rm -rf build/fresh
	python=$$(PYTHON='$(PYTHON)' sh scripts/find_python.sh) && "$$python" -m venv build/fresh
	PIP_CONSTRAINT= PIP_BUILD_CONSTRAINT= build/fresh/bin/python -m pip install --quiet hatchling editables --editable '.[dev]'
	sed -n 1p $(PIP_CONSTRAINT) > build/constraints.txt
	build/fresh/bin/python -m pip freeze --exclude-editable >> build/constraints.txt
	mv build/constraints.txt $(PIP_CONSTRAINT)

clean: ## remove all that make made
	rm -rf $(VENV) build .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(BIN)/pip:
	@python=$$(PYTHON='$(PYTHON)' sh scripts/find_python.sh) && echo "building $(VENV) with $$python" && "$$python" -m venv $(VENV)

$(CORE): pyproject.toml $(PIP_CONSTRAINT) | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(DEV): pyproject.toml $(PIP_CONSTRAINT) | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(CORE) $@
