# `make test` checks everything, `make demo` shows what the package does. Both need only Python and make.

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
BIN := $(VENV)/bin

# One BLAS and Numba thread per process: the test workers already fill the cores.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1
# scikit-learn's array API checks need SciPy's switch, which is read at import.
TEST_ENV := $(ONE_THREAD) SCIPY_ARRAY_API=1 MPLBACKEND=Agg

.PHONY: help test demo bench slow lint format clean
.DEFAULT_GOAL := help

help:
	@echo "make test    lint, tests, doctests and examples, in $(VENV)"
	@echo "make demo    a simulated group study, from data to report"
	@echo "make bench   speed and accuracy next to other packages"
	@echo "make slow    the long recovery studies"
	@echo "make lint    ruff check and ruff format --check"
	@echo "make format  ruff fixes and formats"
	@echo "make clean   remove $(VENV), caches and builds"

test: $(VENV)/.dev lint
	$(TEST_ENV) $(BIN)/python -m pytest -n $(WORKERS)

demo: $(VENV)/.demo
	$(BIN)/mvica demo --force -o demo_report

bench: $(VENV)/.dev
	$(ONE_THREAD) $(BIN)/python -m benchmarks all

slow: $(VENV)/.dev
	$(TEST_ENV) $(BIN)/python -m pytest -n $(WORKERS) -m slow

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis demo_report
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The empty files record that an installation succeeded, so that a second call is quick.
$(VENV)/.dev: pyproject.toml setup.py | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@

$(VENV)/.demo: pyproject.toml setup.py | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[meg]"
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("mvica needs Python 3.11 or later; choose one with make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
