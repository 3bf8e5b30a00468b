# Everything is one word: `make` alone lists the words.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Where cargo puts programs: .cargo/config.toml names the target explicitly.
HOST   = $(shell rustc -vV | sed -n 's/^host: //p')
BIN    = $(or $(CARGO_TARGET_DIR),target)/$(HOST)/release
PREFIX ?= /usr/local
# The engines beside the machine's own that scripts/engine can start, and that the tests are to pass on; also: podman.
ENGINES ?= docker-26 docker-26-containerd
# The tests that speak to an engine.
ENGINE_TESTS := --test engine --test engine_assembly
# Of these, those whose names contain one of ONLY; all by default.
ONLY ?=

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F'\t' '{ printf "make %-18s %s\n", $$1, $$2 }'

.PHONY: build
build: ## debug programs
	cargo build --workspace --locked

.PHONY: release
release: ## static programs, small and fast
	cargo build --workspace --locked --release

.PHONY: demo
demo: ## an exam served from examples/ by this machine's Docker, in one command
	@scripts/demo

.PHONY: test
test: build ## every test, on a real engine, which is started if none answers
	@scripts/engine ensure
	@scripts/engine tools
	cargo test --workspace --locked

.PHONY: test-engines
test-engines: build ## the tests that speak to an engine (or ONLY some), on each of ENGINES
	@scripts/with-engines "$(ENGINES)" cargo test --locked $(ENGINE_TESTS) -- $(ONLY)

.PHONY: test-unit
test-unit: build ## the systemd unit, in a container with a real systemd
	@scripts/engine ensure
	scripts/test-unit "$(dir $(BIN))debug"

.PHONY: test-package
test-package: build ## the Debian package, installed, upgraded and removed in a container with a real systemd
	@scripts/engine ensure
	scripts/test-package "$(dir $(BIN))debug"

.PHONY: test-git
test-git: build ## manifests from Git behind ssh, in a container with a real systemd: forge away, reboot, what is refused
	@scripts/engine ensure
	scripts/test-git "$(dir $(BIN))debug"

.PHONY: fuzz
fuzz: ## look for inputs that nobody thought of: FUZZ_SECONDS=30 for each target (needs g++)
	@scripts/fuzz

.PHONY: lint
lint: ## formatting, clippy, the scripts, the systemd unit
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@command -v shellcheck >/dev/null || { echo 'shellcheck is missing: apt-get install shellcheck' >&2; exit 1; }
	shellcheck scripts/* .ci/run debian/*.postinst debian/*.prerm debian/*.postrm
	@command -v systemd-analyze >/dev/null || { echo 'systemd-analyze is missing: apt-get install systemd' >&2; exit 1; }
	scripts/check-unit

.PHONY: deny
deny: ## the dependencies: their licences and where they come from
	@command -v cargo-deny >/dev/null || { echo 'cargo-deny is missing: cargo install --locked cargo-deny' >&2; exit 1; }
	@# It looks at the crates of every platform, of which a build fetches its own.
	cargo fetch --locked --quiet
	cargo deny --offline --locked check --hide-inclusion-graph bans licenses sources

.PHONY: check
check: lint deny test schema-check ## what CI runs: lint, deny, test, and the schemas are up to date

.PHONY: schema
schema: ## write the manifests' JSON Schemas (schemas/) anew
	cargo run --quiet --locked -- schema --write

.PHONY: schema-check
schema-check:
	cargo run --quiet --locked -- schema --check

.PHONY: bench
bench: release ## the ratios to raw calls, to docker build, and to Compose where it is installed
	@scripts/engine ensure
	scripts/bench "$(BIN)/invigil"

.PHONY: bench-peers
bench-peers: ## the same, with Compose from Debian
	@COMPOSE=$$(scripts/engine compose-path) $(MAKE) --no-print-directory bench

.PHONY: deb
deb: release ## a Debian package, in target/debian
	@scripts/deb "$(BIN)" target/debian

# The exam server goes beside the daemon, which puts it into images. Manifests hold the keys of exams: they are root's alone.
# Whoever may ask how things stand may read the configuration; one that is there stays.
.PHONY: install
install: release ## programs and systemd unit, under PREFIX and DESTDIR
	install -d -m 0755 "$(DESTDIR)$(PREFIX)/bin"
	install -m 0755 "$(BIN)/invigil" "$(BIN)/invigil-exam" "$(DESTDIR)$(PREFIX)/bin/"
	install -d -m 0755 "$(DESTDIR)/etc/systemd/system"
	sed 's#/usr/local/bin/invigil#$(PREFIX)/bin/invigil#' systemd/invigil.service > "$(DESTDIR)/etc/systemd/system/invigil.service"
	chmod 0644 "$(DESTDIR)/etc/systemd/system/invigil.service"
	install -d -m 0755 "$(DESTDIR)/etc/invigil"
	install -d -m 0700 "$(DESTDIR)/etc/invigil/manifests"
	[ -e "$(DESTDIR)/etc/invigil/config.yaml" ] || install -m 0644 systemd/config.yaml "$(DESTDIR)/etc/invigil/config.yaml"
	@echo 'next: put manifests into /etc/invigil/manifests, then: systemctl daemon-reload && systemctl enable --now invigil'
