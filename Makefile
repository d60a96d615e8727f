# Every target sets up what it needs: the virtual environment from the lock file, binaries into a cache outside
# the checkout ($CONTROLLERKIT_CACHE, else ~/.cache/controllerkit).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
API ?= embedded
ROUNDS ?= 3
SECONDS ?= 600
SEED ?= 1
SEEDS ?= 1000
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

.PHONY: help setup system system-cluster binaries demo test test-real sweep soak bench docs lint format lock clean

help:  ## what there is to do
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 17

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

setup: $(VENV)/.installed  ## the virtual environment, from the lock file

system:  ## the system's package for the sandbox that Pods run in
	@$(PYTHON) testbed/system.py $(if $(filter cluster,$(API)),--cluster)

system-cluster:  ## and, as root, those for the full cluster, and a Prometheus 2 to judge configurations
	@$(PYTHON) testbed/system.py --cluster --prometheus

binaries: setup  ## every real component, built once into the cache
	$(BIN)/python -m controllerkit.devcluster.binaries

demo: setup system  ## the main job: a real etcd cluster, created and healed (API=embedded|real|cluster)
	$(BIN)/python -m operators.etcd.demo --api $(API)

test: setup system  ## everything that needs no built binaries
	$(BIN)/python -m pytest tests/unit tests/conformance
	$(BIN)/python -m pytest --doctest-modules controllerkit operators

test-real: binaries system-cluster  ## all that speaks to an API server, on the real one; nodes, operators, containers
	$(BIN)/python -m pytest tests/conformance --api=real
	$(BIN)/python -m pytest tests/unit --api=real
	$(BIN)/python -m pytest tests/real --bed=embedded --bed=real
	@if [ "$$(id -u)" = 0 ]; then set -x; $(BIN)/python -m pytest tests/real/etcd/test_scenarios.py --bed=cluster; \
	else echo "not root: the scenarios in the full cluster are left out"; fi

sweep: setup  ## sample reconcilers and the etcd operator by seeds, and planted mistakes (SEEDS=1000); writes build/sweep.json
	$(BIN)/python -m tests.sweep --seeds $(SEEDS)

soak: binaries  ## informers and a manager while everything breaks (SECONDS=600 SEED=1); writes build/soak.json
	$(BIN)/python -m tests.soak --seconds $(SECONDS) --seed $(SEED)

bench: setup  ## ours beside client-go and controller-runtime (ONLY=queue ROUNDS=3)
	$(BIN)/python -m benchmarks $(foreach each,$(ONLY),--only $(each)) --rounds $(ROUNDS)

docs: setup  ## the pages that are made: parity (and the Prometheus operator's) from the tests' marks, benchmarks from the last results
	$(BIN)/python -m tests.parity.table
	$(BIN)/python -m tests.parity.prometheus.page
	$(BIN)/python -m benchmarks.table

lint: setup  ## ruff, formatting, types, the layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup  ## rewrite the code in the one format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: setup  ## pin every dependency anew
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra cel --extra prometheus --group work --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --upgrade -o requirements.lock

clean:  ## what the targets made in this folder
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
