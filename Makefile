# One entry for everything; `make` alone lists the targets. Every install uses constraints.txt.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Users without a GPU: make setup PIP_TORCH="--extra-index-url https://download.pytorch.org/whl/cpu" (docs/install.md)
PIP_TORCH ?=
PYTEST_ARGS ?=
FUZZ_SECONDS ?= 1800
STAMP := $(VENV)/.seedgolf-installed

.DEFAULT_GOAL := help
.PHONY: help setup test test-shapes lint types arch fuzz golden bench bench-backbone bench-score bench-train clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "seedgolf needs Python >= 3.11; got $$($(PYTHON) -V 2>&1). Set PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python lacks venv or ensurepip: install the package python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(PIP_TORCH) -e '.[dev,fast,plot]'
	@touch $@

setup: $(STAMP) ## virtual environment with everything for development

test: $(STAMP) ## the whole suite: CPU, offline
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto $(PYTEST_ARGS)

test-shapes: $(STAMP) ## the model's tests with every shape annotation checked at run time
	$(BIN)/python -m pytest tests/artifact/model --jaxtyping-packages=artifact.model,beartype.beartype

lint: $(STAMP) ## ruff: format and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP) ## mypy --strict
	$(BIN)/mypy

arch: $(STAMP) ## the direction of imports
	$(BIN)/lint-imports

fuzz: $(STAMP) ## coverage-guided fuzzing of the reader, FUZZ_SECONDS long
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	$(BIN)/python tests/fuzz/fuzz_reader.py -max_total_time=$(FUZZ_SECONDS)

golden: $(STAMP) ## rewrite the vector kit; read the diff before committing it
	$(BIN)/python tests/vectors/make.py
	$(BIN)/python -m tests.verifier.write_schema

bench: bench-backbone bench-score bench-train ## every benchmark, each side by side in one run

bench-backbone: $(STAMP) ## the generator against torch.normal_ and QR
	$(BIN)/python benchmarks/bench_backbone.py

bench-score: $(STAMP) ## scoring against a plain eager loop, tokens per second
	$(BIN)/python benchmarks/bench_score.py

bench-train: $(STAMP) ## the training step against a straightforward two-path LoRA
	$(BIN)/python benchmarks/bench_train.py

clean: ## remove caches and the virtual environment
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
