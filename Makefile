# make demo   pages that show how a population of networks learned, and how well that is predicted
# make test   the test suite
# make quick  the tests that take no training of seconds: the loop of daily work
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

# One process a core, each with one thread: two threads a process on two cores would wait for each other. Processes take a test
# from whoever has most left, so that modules stay together for as long as possible and their fixtures are made once.
# Byte code is kept, also where an image turns that off: a process that has to rewrite all tests starts 10 s later.
PYTEST := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist worksteal $(ARGUMENTS)

# What the API reference covers: all of it but the command line, which docs/cli.md describes.
MODULES := axonometry $(filter-out axonometry.cli,$(patsubst src/axonometry/%/__init__.py,axonometry.%,$(wildcard src/axonometry/*/__init__.py))) \
           axonometry.errors axonometry.statistics axonometry.values

.PHONY: help setup demo test quick fuzz lint format bench docs clean

help:
	@echo "make demo    train a population of small networks and write report.html and prediction.html"
	@echo "make test    run the tests; ARGUMENTS=... are handed to pytest"
	@echo "make quick   run the tests that are not marked slow, for the loop of daily work"
	@echo "make fuzz    read thousands of damaged files and command lines, about 10 minutes; ARGUMENTS=... are handed to it"
	@echo "make lint    check style, types and import directions"
	@echo "make format  bring the code into the style that lint checks"
	@echo "make bench   measure speed against the claims in docs/benchmarks.md"
	@echo "make docs    write the API reference to build/docs"
	@echo "make setup   install everything into .venv"
	@echo "make clean   remove what the other targets made, .venv excepted"

# A stamp file per set of packages: what to run needs fewer than what to develop.
$(BIN)/.installed: pyproject.toml constraints.txt
	@echo "Installing PyTorch and Axonometry into .venv: once, a few minutes."
	$(PYTHON) -m venv .venv
	$(PIP) torch
	$(PIP) --editable '.[all]'
	@touch $@

$(BIN)/.installed-dev: $(BIN)/.installed
	$(PIP) --editable '.[dev]'
	@touch $@

setup: $(BIN)/.installed-dev

demo: $(BIN)/.installed
	$(BIN)/axonometry demo --report report.html --prediction prediction.html

test: $(BIN)/.installed-dev
	$(PYTEST)

quick: $(BIN)/.installed-dev
	$(PYTEST) -m "not slow"

fuzz: $(BIN)/.installed-dev
	$(BIN)/python -m tests.fuzz $(ARGUMENTS)

lint: $(BIN)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(BIN)/.installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(BIN)/.installed-dev
	$(BIN)/python -m benchmarks

docs: $(BIN)/.installed-dev
	$(BIN)/pdoc --docformat google --output-directory build/docs $(MODULES)

clean:
	rm -rf build dist report.html prediction.html .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests benchmarks examples -name __pycache__ -prune -exec rm -rf {} +
