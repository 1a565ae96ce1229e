# Every target sets itself up on a fresh clone: a virtual environment with the versions that pyproject.toml pins.
# `make help` lists the targets. Overridable: PYTHON (a Python 3.11 to 3.13; the tests run on 3.11), VENV (folder of the environment).

VENV ?= .venv
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := $(VENV)/bin
TEST_STAMP := $(VENV)/installed-test
PARALLEL := -n auto --dist loadfile
DEV_STAMP := $(VENV)/installed-dev

.PHONY: help demo test test-all lint types drawing reference site bench train clean tools
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

demo: tools $(TEST_STAMP) ## two trained checkpoints to chips that answer prompts, compared bit for bit (build/demo, demo2)
	$(BIN)/hardloom demo --out build/demo
	$(BIN)/hardloom demo checkpoints/demo2 --out build/demo2

test: tools $(TEST_STAMP) ## the tests, a file a core, without those marked slow
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow"

test-all: tools $(TEST_STAMP) ## all tests, those with random examples on fresh ones
	$(BIN)/python -m pytest $(PARALLEL) --hypothesis-profile=fresh

lint: $(DEV_STAMP) ## ruff: rules and format; import-linter: floors and circles
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: $(DEV_STAMP) ## mypy over all four floors, and docs
	$(BIN)/mypy hardloom docs

drawing: $(TEST_STAMP) ## the rooms and their imports, drawn into docs/architecture.md and docs/images/rooms.svg
	$(BIN)/python -m docs.drawing

reference: $(TEST_STAMP) ## docs/cli.md and docs/api.md, from the code, and what the notebook prints
	$(BIN)/python -m docs.reference notebook

site: $(TEST_STAMP) ## the documentation as a site, into build/site
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

bench: demo ## the figures of docs/benchmarks.md, measured here, but for those that it lists as slow
	$(BIN)/hardloom bench accuracy --prompts 1000
	$(BIN)/hardloom bench chip build/demo/chip
	$(BIN)/hardloom bench cycles
	$(BIN)/hardloom synth build/demo/chip --all
	$(BIN)/hardloom verify build/demo/chip --gate-level
	$(BIN)/hardloom bench equivalence
	$(BIN)/hardloom bench layer --growth
	$(BIN)/hardloom bench tiles -o build/fit.json

train: $(TEST_STAMP) ## the demonstration checkpoint, trained from scratch into build/trained
	$(BIN)/hardloom train -o build/trained

clean: ## everything made here, but not the virtual environment
	rm -rf build .pytest_cache .ruff_cache .mypy_cache .hypothesis

tools:
	@for tool in g++ make; do command -v $$tool > /dev/null || missing=1; done; \
	if [ -n "$$missing" ]; then echo "error: g++ or make is missing; run: apt-get install g++ make" >&2; exit 1; fi

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2> /dev/null || \
	{ echo "error: '$(PYTHON)' is no Python 3.11 to 3.13; install one or name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	{ echo "error: no virtual environment at $(VENV); on Debian run: apt-get install python3.11-venv" >&2; exit 1; }

# PyPI's PyTorch for Linux on x86-64 brings gigabytes of CUDA; this index has the same version without. `make TORCH_INDEX=` takes PyPI's.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
$(VENV)/torch: pyproject.toml | $(VENV)/bin/python
	@test -z "$(TORCH_INDEX)" || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --retries 0 --timeout 15 \
		--index-url "$(TORCH_INDEX)" "$$(sed -n 's/^ *"\(torch==[^"]*\)".*/\1/p' pyproject.toml)" 2> /dev/null || \
		echo "no PyTorch at $(TORCH_INDEX): taking that of PyPI, which may bring CUDA" >&2
	@touch $@

$(TEST_STAMP): pyproject.toml | $(VENV)/torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

$(DEV_STAMP): pyproject.toml | $(TEST_STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
