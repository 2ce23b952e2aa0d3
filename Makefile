# make demo, test, bench, lint: each makes .venv and installs what it needs by itself.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
LOCAL  := -e . -e backends/numpy -e backends/opencl -e backends/cuda -e plugins/rotary
STAMP  := $(VENV)/.kcore-installed
DEMO   := $(VENV)/.kcore-demo-installed
FILES  := pyproject.toml $(wildcard backends/*/pyproject.toml) plugins/rotary/pyproject.toml

.PHONY: help demo test bench lint format clean oclgrind

help:
	@echo "make demo    train a convolutional model on handwritten digits"
	@echo "make test    lint, types, contracts, tests, conformance, wheels"
	@echo "make bench   measure speed and memory; PEERS=path/to/python adds Keras on its engines"
	@echo "make oclgrind  run small kernels of every family in a simulator that reports races and invalid accesses"
	@echo "make lint    ruff, mypy and import-linter only"
	@echo "make format  let ruff format the sources"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# Our own distributions come from this checkout, never from an index: they are installed without their dependencies,
# which are then installed by name.
$(DEMO): $(FILES) tools/requirements.py | $(BIN)/python
	$(BIN)/python tools/requirements.py demo opencl > $(VENV)/requirements-demo.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(VENV)/requirements-demo.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(LOCAL)
	@touch $@

$(STAMP): $(DEMO)
	$(BIN)/python tools/requirements.py demo opencl dev > $(VENV)/requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(VENV)/requirements-dev.txt
	@touch $@

demo: $(DEMO)
	$(BIN)/kcore demo

test: $(STAMP)
	$(BIN)/python tools/check.py

oclgrind: $(STAMP)
	$(BIN)/python tools/oclgrind.py

lint: $(STAMP)
	$(BIN)/python tools/check.py style types

bench: $(STAMP)
	KERAS_BACKEND=numpy $(BIN)/python benchmarks/workloads.py --lib kcore
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/accuracy.py
	$(BIN)/python benchmarks/memory.py
	$(if $(PEERS),$(BIN)/python benchmarks/compare.py --peers $(PEERS))

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache
