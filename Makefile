# What a person types: `make demo`, `make setup`, `make test`. What a developer adds: `make lint`, `make test-all`, `make servers`,
# `make bench`, `make quality`, `make arena`, `make faults`, `make fuzz`, `make soak`, `make image`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ENGINE ?= docker
IMAGE := pattern-aggregates
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install -c constraints.txt

.PHONY: demo setup test test-slow test-all servers lint bench quality arena faults fuzz soak image clean
.DELETE_ON_ERROR:

demo: $(VENV)/.demo
	$(BIN)/pattern-aggregates demo

# Settings for your own home; ARGS names Home Assistant's folder, its database file or a database URL.
setup: $(VENV)/.demo
	$(BIN)/pattern-aggregates setup $(ARGS)

# All but the slow tests. Tests of a server that is not installed are left out; the last lines say which.
test: $(VENV)/.test
	$(BIN)/python -m pytest -m "not slow" $(ARGS)

test-slow: $(VENV)/.test
	$(BIN)/python -m pytest -m slow $(ARGS)

test-all: $(VENV)/.test
	$(BIN)/python -m pytest $(ARGS)

servers:
	.ci/servers

lint: $(VENV)/.lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.test
	$(BIN)/python -m tests.benchmarks

quality: $(VENV)/.test
	$(BIN)/python -m tests.quality $(ARGS)

# Ours and other kinds of rules over the same homes (docs/arena.md); ARGS="--help" says how to choose some.
arena: $(VENV)/.arena
	$(BIN)/python -m tests.arena $(ARGS)

faults: $(VENV)/.test
	$(BIN)/python -m tests.faults $(ARGS)

# Ten minutes of random input; `make test` tries some that is always the same.
fuzz: $(VENV)/.test
	$(BIN)/python -m tests.fuzz $(ARGS)

soak: $(VENV)/.test
	$(BIN)/python -m tests.soak $(ARGS)

image: $(VENV)/.test
	$(ENGINE) build $(if $(findstring podman,$(ENGINE)),--format docker) $(BUILD_ARGS) --tag $(IMAGE) .
	ENGINE=$(ENGINE) PATTERN_AGGREGATES_IMAGE=$(IMAGE) $(BIN)/python -m pytest -rs tests/packaging/test_container.py

clean:
	rm -rf $(VENV) demo-home dist .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name it with: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "On Debian: apt install python3-venv"; exit 1; }
	@touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) --editable '.[test]'
	@touch $@

$(VENV)/.arena: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) --editable '.[test,arena]'
	@touch $@

$(VENV)/.lint: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) --editable '.[test,arena,lint]'
	@touch $@
