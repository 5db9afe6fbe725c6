# Everything runs in .venv, made on first use. Another interpreter: make test PYTHON=python3.12

PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CANDIDATES := $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.10 python)
SUITABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))

# Packages are compiled when they are first imported, also where the environment says otherwise: the tests start many processes.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test lint types unit gpu docs notebooks dist matrix clean

demo: $(STAMP)
	@$(BIN)/umzoo quickstart --out demo

test: $(STAMP)
	@$(MAKE) --no-print-directory --jobs 3 lint types unit

lint: $(STAMP)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .

types: $(STAMP)
	@$(BIN)/mypy --no-error-summary

unit: $(STAMP)
	@OMP_NUM_THREADS=1 $(BIN)/pytest -n 3 --dist worksteal

gpu: $(STAMP)
	@$(BIN)/python benchmarks/gpu.py

docs: $(VENV)/.docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "The site is in build/site; to search in it: $(BIN)/python -m http.server -d build/site"

notebooks: $(VENV)/.docs
	@$(BIN)/python docs/execute.py

dist: $(VENV)/.release
	@$(BIN)/python .ci/wheels.py

matrix:
	@.ci/matrix.sh $(PYTHONS)

$(VENV)/.docs $(VENV)/.release: $(STAMP)
	@$(BIN)/python -m pip install -qq --no-compile --editable ".[$(patsubst .%,%,$(notdir $@))]"
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info plugins/*/*.egg-info demo
	find . -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@for python in $(CANDIDATES); do \
	    if "$$python" -c "$(SUITABLE)" 2>/dev/null; then \
	        echo "Making $(VENV) with $$python"; exec "$$python" -m venv --clear $(VENV); \
	    fi; \
	done; \
	echo "umzoo needs Python >= 3.10 with venv, found none of: $(CANDIDATES)." \
	     "Install one (with its venv package), or name it: make PYTHON=/path/to/python3" >&2; \
	exit 1

$(STAMP): pyproject.toml constraints.txt $(wildcard plugins/*/pyproject.toml) | $(BIN)/python
	@echo "Installing umzoo and its development tools into $(VENV) (a few minutes the first time)"
	@$(BIN)/python -m pip install -qq --no-compile --constraint constraints.txt --editable ".[dev]" \
	    $(patsubst %/pyproject.toml,--editable ./%,$(wildcard plugins/*/pyproject.toml))
	@touch $@
