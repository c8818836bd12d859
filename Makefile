# The doors of the repository. Everything is built in one profile, since RocksDB's C++ takes a quarter of an hour.

CARGO ?= cargo
FLAGS := --release --locked --workspace
TARGET = $(or $(CARGO_TARGET_DIR),target)

.DEFAULT_GOAL := help
.PHONY: help setup build test fuzz demo bench lint clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s%s\n", $$1, $$2 }' Makefile

setup: ## check the Rust version and install what building and testing need (Debian)
	@tests/setup

build: setup ## compile the floe command
	$(CARGO) build $(FLAGS) --bins

test: build ## run every test; absence of the reference Nix is a failure
	FLOE_REQUIRE_NIX=1 tests/run

fuzz: ## fuzz each parser of untrusted bytes for SECONDS (60); needs cargo-fuzz and Nix
	fuzz/run all $(or $(SECONDS),60)

demo: build ## build the package set, patch zlib three ways, show what is rebuilt
	FLOE_BIN=$(abspath $(TARGET)/release/floe) demo/run

bench: build ## measure: criterion, and floe side by side with Nix
	$(CARGO) bench --locked -p floe-benches
	FLOE_BIN=$(abspath $(TARGET)/release/floe) benches/side-by-side

lint: setup ## formatting, clippy with warnings denied, licences and duplicates of dependencies
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(FLAGS) --all-targets -- -D warnings
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny --locked check bans licenses sources; \
	else echo "cargo-deny is not installed: dependencies are not checked"; fi

clean: ## remove what was built
	$(CARGO) clean
