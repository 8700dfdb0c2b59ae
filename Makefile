# LLM Ledger. `make help` lists the targets. Written for make 3.81: nothing here needs GNU extensions beyond it.
VENV = .venv
BIN = $(VENV)/bin
LOCK_FLAGS = --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet

.PHONY: help install install-dev run test check format lint types locks bench bench-query bench-peers faults kafka clickhouse clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile

$(BIN)/python:
	@sh deploy/find-python.sh make-venv $(VENV)

$(VENV)/.installed: $(BIN)/python requirements.lock pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: $(BIN)/python requirements-dev.lock pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.installed

install: $(VENV)/.installed ## what `make run` needs, pinned with hashes, into .venv

install-dev: $(VENV)/.installed-dev ## what tests and benchmarks need too

run: $(VENV)/.installed ## start the standalone product on 127.0.0.1
	@$(BIN)/llmledger

test: $(VENV)/.installed-dev check ## lint, types and all tests
	$(BIN)/pytest

check: $(VENV)/.installed-dev lint types ## lint and types, without the tests

format: $(VENV)/.installed-dev ## rewrite the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: $(VENV)/.installed-dev
	$(BIN)/mypy

bench: $(VENV)/.installed-dev ## measure throughput, freshness, memory and list beside what their parts can do (about 7 minutes)
	$(BIN)/python -m tests.bench

bench-query: $(VENV)/.installed-dev ## measure reading over ten million rows beside plain SQL (20 GB of disk, an hour)
	$(BIN)/python -m tests.bench.query --folder .cache/bench-query

bench-peers: $(VENV)/.installed-dev ## measure the same calls into Arize Phoenix, MLflow and us (2 GB of disk, a quarter of an hour)
	$(BIN)/python -m tests.bench.peers

faults: $(VENV)/.installed-dev ## kill, stop, starve and cut off the product, and show that nothing is lost (hours)
	$(BIN)/python -m tests.faults

kafka: $(VENV)/.installed-dev ## a real Apache Kafka on 127.0.0.1:9092, until Ctrl-C
	$(BIN)/python -m tests.support.kafka_broker

clickhouse: $(VENV)/.installed-dev ## the ClickHouse engine over HTTP on 127.0.0.1:8123, until Ctrl-C
	$(BIN)/python -m tests.support.clickhouse_front --path .clickhouse

locks: ## compile the requirement locks anew
	$(BIN)/uv pip compile $(LOCK_FLAGS) pyproject.toml requirements-build.in -o requirements.lock
	$(BIN)/uv pip compile $(LOCK_FLAGS) --extra dev pyproject.toml requirements-build.in -o requirements-dev.lock
	$(BIN)/uv pip compile $(LOCK_FLAGS) tests/bench/peers/phoenix.in -o tests/bench/peers/phoenix.lock
	$(BIN)/uv pip compile $(LOCK_FLAGS) tests/bench/peers/mlflow.in -o tests/bench/peers/mlflow.lock

clean: ## remove everything that the targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
