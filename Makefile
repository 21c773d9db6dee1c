# Two commands are all a fresh machine needs: `make demo` and `make test`. Both install what is missing.
# `make test` checks and changes nothing; `make fix` formats.

SHELL := /bin/bash
export PATH := $(HOME)/.cargo/bin:$(PATH)
VENV := .venv
JAVASCRIPT := tests/clients/javascript
# A workspace of its own: what it links is none of the product's.
RUST := tests/clients/rust/Cargo.toml
DEMO_ARGS ?=
CHAOS_ARGS ?=
BENCH_ARGS ?=

# Seeds that `make sim` runs.
SEEDS ?= 1000

# How long `make fuzz` takes for each target, and which: all, or some by name.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?=

# States that `make model` generates in each scope, and random walks.
STATES ?= 500000
WALKS ?= 40000

.PHONY: demo test fix build lint deny unit sim model fuzz known-bugs clients venv chaos bench setup clean

demo: build
	target/debug/claviger demo $(DEMO_ARGS)

test: lint deny unit known-bugs clients

fix:
	cargo fmt --all
	cargo fmt --manifest-path $(RUST)
	cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged

build: setup
	cargo build --locked

lint: setup
	cargo fmt --all --check
	cargo fmt --manifest-path $(RUST) --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

deny: setup
	command -v cargo-deny >/dev/null || cargo install --locked cargo-deny --version 0.20.2
	cargo deny --workspace --all-features check bans licenses sources
	cargo deny --manifest-path $(RUST) --all-features check --allow license-not-encountered --allow license-exception-not-encountered bans licenses sources

# Unit and property tests of every crate, and the tests that run real processes from Rust (tests/it).
unit: setup
	cargo test --locked --workspace

# The simulation of whole regions (docs/testing.md), with more seeds than `unit` runs.
sim: setup
	CLAVIGER_SIM_SEEDS=$(SEEDS) cargo test --locked --test sim -- --nocapture --exact seeds::seeds_hold

# Everything that reads what others chose, under libFuzzer (docs/testing.md); `unit` runs the same targets on their seeds.
fuzz: setup
	FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_TARGETS="$(FUZZ_TARGETS)" tests/fuzz/run.sh

# The model of the multi-region protocol (docs/multi-region.md), deeper than `unit` looks; prints the states of each scope.
model: setup
	CLAVIGER_MODEL_STATES=$(STATES) cargo test --locked -p claviger-protocol --lib -- --nocapture --exact model::every_scope_holds
	CLAVIGER_MODEL_WALKS=$(WALKS) cargo test --locked -p claviger-protocol --lib -- model::random

# The model and the simulation again, with bugs in them: they must catch each. It leaves the ordinary program in target/debug.
known-bugs: setup
	cargo clippy --locked -p claviger-protocol --features known-bugs --all-targets -- -D warnings
	cargo test --locked -p claviger-protocol --features known-bugs --lib -- --nocapture model::planted
	cargo clippy --locked --features known-bugs --test sim -- -D warnings
	cargo test --locked --features known-bugs --test sim -- --nocapture planted
	cargo build --locked

# AWS's own client against a real deployment of three regions with three nodes each.
clients: build venv
	CLAVIGER_BIN=target/debug/claviger $(VENV)/bin/pytest -q -x --durations=5 tests/clients

# Five minutes of full load while nodes are killed every ten seconds: fails unless retries mend every error.
chaos: setup
	cargo build --locked --release
	python3 chaos/run.py --claviger target/release/claviger $(CHAOS_ARGS)

# The table of docs/performance.md, on a machine that does nothing else.
bench: setup
	cargo build --locked --release
	python3 benches/table.py --claviger target/release/claviger $(BENCH_ARGS)

venv: setup $(VENV)/.installed $(JAVASCRIPT)/node_modules/.installed

$(VENV)/.installed: tests/clients/requirements.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --requirement tests/clients/requirements.txt
	touch $@

$(JAVASCRIPT)/node_modules/.installed: $(JAVASCRIPT)/package-lock.json
	cd $(JAVASCRIPT) && npm ci --no-audit --no-fund --silent
	touch $@

setup:
	@deploy/setup.sh

clean:
	cargo clean
	rm -rf $(VENV) $(JAVASCRIPT)/node_modules demo
