# Everything that a person types. Each target sets up what it needs and is quick the second time.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8501
HOST ?= 127.0.0.1

# Without an NVIDIA GPU, Linux takes torch's CPU build; the default one brings gigabytes of CUDA.
TORCH := $(shell sed -n 's/^torch==//p' requirements.txt)
ifeq ($(shell uname -s),Linux)
ifeq ($(shell command -v nvidia-smi),)
TORCH := $(TORCH)+cpu
TORCH_INDEX := --extra-index-url https://download.pytorch.org/whl/cpu --retries 1
endif
endif
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: run test lint check benchmarks clean

run: $(VENV)/installed
	$(BIN)/python -m uvicorn app.server:app --host $(HOST) --port $(PORT) --workers 1 --ws-per-message-deflate false --timeout-keep-alive 75

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test

benchmarks: $(VENV)/installed-dev
	for file in benchmarks/[a-z]*.py; do $(BIN)/python $$file || exit 1; done

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache

$(VENV)/installed: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing; the first time takes some minutes."
	$(PIP) "torch==$(TORCH)" $(TORCH_INDEX)
	$(PIP) -r requirements.txt
	touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/installed
	$(PIP) -r requirements-dev.txt
	touch $@
