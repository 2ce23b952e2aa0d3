# make demo, test, bench, lint: each makes .venv and installs what it needs by itself.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
LOCAL  := -e . -e backends/numpy -e backends/opencl -e backends/cuda -e plugins/rotary
STAMP  := $(VENV)/.kcore-installed
DEMO   := $(VENV)/.kcore-demo-installed
GPU    := $(VENV)/.kcore-gpu-installed-cuda
# What a machine with a GPU installs by the CUDA of its driver, or as `make cuda-wheels CUDA=12` asks.
CUDA   ?= 13
EXTRA   = $(if $(filter 12,$(1)),cuda12-dev,cuda-dev)
# A folder of wheels in place of the index, see cuda-wheels.
INDEX  := $(if $(WHEELS),--no-index --find-links $(WHEELS))
FILES  := pyproject.toml $(wildcard backends/*/pyproject.toml) plugins/rotary/pyproject.toml

.PHONY: help demo test quick bench lint format clean oclgrind cuda-check cuda-sanitize cuda-bench cuda-wheels

help:
	@echo "make demo    train a convolutional model on handwritten digits"
	@echo "make test    lint, types, contracts, tests, conformance, wheels"
	@echo "make quick   the same with a part of the conformance kit on OpenCL"
	@echo "make bench   measure speed and memory; PEERS=path/to/python adds Keras on its engines"
	@echo "make oclgrind  run small kernels of every family in a simulator that reports races and invalid accesses"
	@echo "make cuda-check     on a machine with an NVIDIA GPU: conformance, and trainings beside NumPy"
	@echo "make cuda-sanitize  there: compute-sanitizer over each family of kernels"
	@echo "make cuda-bench     there: the tables; PEERS=path/to/python adds Keras on JAX and torch, and torch itself"
	@echo "make cuda-wheels    fetch what these need into .wheels, for a machine without a network: WHEELS=.wheels"
	@echo "make lint    ruff, mypy and import-linter only"
	@echo "make format  let ruff format the sources"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# Our own distributions come from this checkout, never from an index: they are installed without their dependencies,
# which are then installed by name.
$(DEMO): $(FILES) tools/requirements.py | $(BIN)/python
	$(BIN)/python tools/requirements.py demo opencl > $(VENV)/requirements-demo.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(INDEX) -r $(VENV)/requirements-demo.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(LOCAL)
	@touch $@

$(STAMP): $(DEMO)
	$(BIN)/python tools/requirements.py demo opencl dev > $(VENV)/requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(INDEX) -r $(VENV)/requirements-dev.txt
	@touch $@

demo: $(DEMO)
	$(BIN)/kcore demo

test: $(STAMP)
	$(BIN)/python tools/check.py

quick: $(STAMP)
	$(BIN)/python tools/check.py quick

oclgrind: $(STAMP)
	$(BIN)/python tools/oclgrind.py

# NVIDIA's libraries are large: they are fetched only where there is a GPU to run them, and the tools of `make test` are
# not. The wheels of CuPy for CUDA 12 and 13 exclude each other.
$(GPU)%: $(DEMO)
	$(BIN)/python tools/requirements.py demo opencl $(call EXTRA,$*) > $(VENV)/requirements-gpu.txt
	$(BIN)/python -m pip uninstall --quiet --yes cupy-cuda$(if $(filter 12,$*),13,12)x
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(INDEX) -r $(VENV)/requirements-gpu.txt
	@rm -f $(GPU)*
	@touch $@

cuda-check cuda-sanitize cuda-bench: $(DEMO)
	@$(BIN)/python tools/cuda_gpu.py $@
	@$(MAKE) --no-print-directory $(GPU)$$($(BIN)/python tools/cuda_gpu.py)
	$(BIN)/python $(if $(filter cuda-bench,$@),benchmarks/cuda_bench.py $(if $(PEERS),--peers $(PEERS)),tools/$(subst -,_,$@).py)

# Everything that these install, in one folder: copied along, it takes the place of the index.
cuda-wheels: | $(BIN)/python
	$(BIN)/python tools/requirements.py demo opencl $(call EXTRA,$(CUDA)) > $(VENV)/requirements-wheels.txt
	$(BIN)/python -m pip download --quiet --disable-pip-version-check -d .wheels -r $(VENV)/requirements-wheels.txt

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
