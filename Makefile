# One entry for everything; `make` alone lists the targets. Every install uses constraints.txt.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Users without a GPU: make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
PYTEST_ARGS ?=
FUZZ_SECONDS ?= 1800
RUNTIME := $(VENV)/.seedgolf-runtime
STAMP := $(VENV)/.seedgolf-installed

.DEFAULT_GOAL := help
.PHONY: help demo serve setup test test-shapes lint types arch docs links docker-check dist fuzz golden bench bench-backbone bench-score bench-train chaos load hostile clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

$(RUNTIME): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "no $(PYTHON) here: install Python 3.11 or newer, or set PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "seedgolf needs Python >= 3.11; got $$($(PYTHON) -V 2>&1). Set PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python lacks venv or ensurepip: install the package python3-venv" >&2; exit 1; }
	@echo "installing into $(VENV)"; start=$$(date +%s); $(PYTHON) -m venv $(VENV) && $(PIP_INSTALL) -e '.[fast]' && echo "installed in $$(($$(date +%s) - start)) s"
	@touch $@

$(STAMP): $(RUNTIME)
	@echo "installing what development needs"; $(PIP_INSTALL) -e '.[dev,docker,docs,fast,plot]'
	@touch $@

demo: $(RUNTIME) ## the whole path: train two minutes on a CPU, pack, serve, submit, verify, report (KEEP=1: go on serving)
	@SEEDGOLF=$(BIN)/seedgolf DEMO_KEEP=$(KEEP) ./demo.sh

serve: $(RUNTIME) ## a verification server with its data in ./data/server
	$(BIN)/seedgolf serve --data data/server

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

docs: $(STAMP) ## the documentation as a site in ./site; broken links and anchors fail
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict  # --quiet would make --strict pass everything

links: docs ## the site's external links too; needs the internet
	$(PIP_INSTALL) -e '.[links]'
	$(BIN)/linkchecker --no-status --check-extern --ignore-url '404\.html' --ignore-url '^https?://(golf\.example|localhost|127\.0\.0\.1)' site/index.html

docker-check: $(STAMP) ## compose.yaml and Dockerfile, without an engine
	$(BIN)/python -m pytest -q tests/docker

dist: $(STAMP) ## wheel and sdist in ./dist
	$(BIN)/python -m build

fuzz: $(STAMP) ## coverage-guided fuzzing of the reader, FUZZ_SECONDS long
	$(PIP_INSTALL) -e '.[fuzz]'
	$(BIN)/python tests/fuzz/fuzz_reader.py -max_total_time=$(FUZZ_SECONDS)

golden: $(STAMP) ## rewrite the vector kit; read the diff before committing it
	$(BIN)/python tests/vectors/make.py
	$(BIN)/python -m tests.verifier.write_schema
	$(BIN)/python -m tests.docs.write_reference

bench: bench-backbone bench-score bench-train ## every benchmark, each side by side in one run

bench-backbone: $(STAMP) ## the generator against torch.normal_ and QR
	$(BIN)/python -m benchmarks.bench_backbone

bench-score: $(STAMP) ## scoring against a plain eager loop, tokens per second
	$(BIN)/python -m benchmarks.bench_score

bench-train: $(STAMP) ## the training step against a straightforward two-path LoRA
	$(BIN)/python -m benchmarks.bench_train

chaos: $(STAMP) ## 200 submissions while workers, API and PostgreSQL are killed at random
	$(BIN)/python -m benchmarks.chaos

load: $(STAMP) ## 50 clients with 16 MB each, 1,000 submissions of 100 artifacts
	$(BIN)/python -m benchmarks.load

hostile: $(STAMP) ## mutated files through the API
	$(BIN)/python -m benchmarks.hostile

clean: ## remove caches and the virtual environment
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
