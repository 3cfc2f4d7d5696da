# `make demo` and `make test` each do their whole set-up in .venv on a fresh machine.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
IMAGES ?=
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check
SETUP  := pyproject.toml constraints.txt
AXE    := 4.14.1
# Two files at a time, each on one core: torch with more threads than free cores collapses.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile
ALL    := lab,export,clip,text,sound,heif,table,maps,demo,scale,otel

.PHONY: demo test lint quick slow bench docs clean
.DEFAULT_GOAL := demo

demo: $(VENV)/.base  ## index the demo photos (or IMAGES=DIR) and search them
	@$(BIN)/featurelens demo $(if $(IMAGES),--images "$(patsubst ~/%,$(HOME)/%,$(IMAGES))")

test: lint quick slow  ## everything that CI runs

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile
	$(BIN)/pyright

quick: $(VENV)/.dev $(VENV)/.axe  ## the tests that take seconds
	$(PYTEST) -m "not slow"

slow: $(VENV)/.dev  ## the tests that take minutes
	$(PYTEST) --dist worksteal -m slow

bench: $(VENV)/.dev  ## every benchmark beside its peers; prints what is not met, keeps docs/figures.md
	$(BIN)/python benchmarks/run_all.py --write docs/figures.md

docs: $(VENV)/.dev  ## the reference of the command line, from --help
	$(BIN)/python -m typer featurelens.cli.main utils docs --name featurelens --output docs/cli.md

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "featurelens needs Python 3.11 or newer; this is $$($(PYTHON) --version). Try: make PYTHON=python3.12 demo"; exit 1; }
	@echo "Making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade "pip>=25.1"

$(VENV)/.base: $(VENV)/bin/python $(SETUP)
	@echo "Installing featurelens (no torch), about a minute"
	@$(PIP) install -c constraints.txt -e ".[demo]"
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python $(SETUP)
	@echo "Installing featurelens with all extras and the development tools (torch is large: a few minutes)"
	@$(PIP) install -c constraints.txt -e ".[$(ALL)]" --group dev
	@touch $@ $(VENV)/.base

# axe-core checks the pages for people who see or use them otherwise; without npm its tests are skipped.
$(VENV)/.axe: $(VENV)/bin/python Makefile
	@if command -v npm >/dev/null; then \
	  echo "Installing axe-core $(AXE) for the page tests"; \
	  npm install --silent --no-audit --no-fund --prefix $(VENV)/axe axe-core@$(AXE) || echo "axe-core could not be installed: its tests are skipped"; \
	else echo "No npm: the tests with axe-core are skipped"; fi
	@touch $@

clean:
	rm -rf $(VENV) demo-gallery .pytest_cache .ruff_cache .hypothesis
