# Two commands do everything on a fresh machine:
#   make run     a talking avatar on http://127.0.0.1:8000
#   make test    every check and test
# `make help` lists the rest. Slow steps are done once: their stamps are in .setup/.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --quiet
ARGS ?=
FUZZ_S ?= 60
# In this order, the longest first: beside one that only waits at the end, a core would have nothing to do.
TESTS ?= conformance tests/fuzz tests/integration tests/contract tests/unit tests/test_layout.py

# What the tests drive as real WHEP players, and what isolates them. The product itself needs none of these.
DEBIAN := caddy chromium coturn espeak-ng firefox-esr flite fonts-dejavu-core iproute2 nftables \
	gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad \
	gstreamer1.0-nice gstreamer1.0-libav python3-gi python3-gst-1.0 gir1.2-gst-plugins-bad-1.0 nginx-light openssl \
	golang-go golang-github-pion-webrtc.v3-dev $(shell command -v npm >/dev/null || echo nodejs npm)

PEERS := .cache/peers

# 5: none of TESTS is of that kind. 1: some failed; real browsers and networks on a busy machine miss a deadline now and
# then, so these are run once more, one at a time, and what fails twice has failed.
pytest = $(BIN)/python -m pytest -q $(1) $(TESTS) || { failed=$$?; [ $$failed = 5 ] || { [ $$failed = 1 ] && \
	echo "[tests] once more, by themselves, those that failed" && \
	$(BIN)/python -m pytest -q --last-failed --last-failed-no-failures none -m $(2) $(TESTS); }; }

RIVALS := .cache/rivals

.PHONY: help run test check format debian peers rivals fuzz schemathesis bench screenshot clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .setup/run ## start the server on 127.0.0.1:8000 with the stream `demo` on air (ARGS="--port 8001 ...")
	@echo "[server] starting; press Ctrl-C to stop"
	@exec $(BIN)/whep-avatar serve $(ARGS)

test: ## every check and test, in CI's order (TESTS=... for some of them)
	@$(MAKE) --no-print-directory --jobs 4 .setup/dev peers check  # each waits for downloads of its own
	@echo "[tests] those that bear company, two at a time: takes a quarter of an hour"
	@$(call pytest,--numprocesses 2 --dist loadfile --no-loadscope-reorder -m "not alone","not alone")
	@echo "[tests] those that need the machine for themselves: takes five minutes"
	@$(call pytest,-m alone,alone)

check: .setup/dev ## format, lint and types only
	@echo "[check] format";  $(BIN)/ruff format --check --quiet .
	@echo "[check] lint";    $(BIN)/ruff check --quiet .
	@echo "[check] types";   $(BIN)/mypy --no-error-summary

format: .setup/dev ## let ruff format and fix what it can
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

fuzz: .setup/dev ## look for bad input that breaks the server (FUZZ_S=60 seconds a parser; Linux on x86-64)
	@for name in offer fragment headers http pcm rtp datagrams audio; do \
		echo "[fuzz] $$name for $(FUZZ_S) s"; \
		$(BIN)/python -m tests.fuzz $$name --seconds $(FUZZ_S) 2>.setup/fuzz-$$name.log \
			|| { tail -40 .setup/fuzz-$$name.log; exit 1; }; \
	done

schemathesis: .setup/dev ## hold every route against the API's description (FUZZ_S=60 seconds; a real server is started)
	@$(BIN)/python -m tests.fuzz.schema_run --seconds $(FUZZ_S)

bench: .setup/run ## the benchmarks of docs/benchmarks.md
	@for name in all idle stages families; do $(BIN)/whep-avatar bench $$name || exit 1; done

screenshot: .setup/dev debian peers ## take the docs' pictures of our player and of others anew
	@SCREENSHOT=docs/images/speaking.png $(BIN)/python -m pytest -q tests/integration/test_browser.py
	@SCREENSHOT_PUBLISHING=docs/images/publishing.jpg $(BIN)/python -m pytest -q tests/integration/test_live_pages.py
	@$(BIN)/python -m tests.clients.player_screenshots

clean: ## remove everything that was made here
	rm -rf .venv .setup .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- environment

.venv/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "[setup] Python 3.11 or newer is needed; name it with: make PYTHON=python3.11 ..."; exit 1; }
	@if ! $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "[setup] python3-venv: waiting for Debian's packages"; \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null; \
		else \
			echo "[setup] Python cannot make environments; as root: apt-get install python3-venv"; exit 1; \
		fi; \
	fi
	@echo "[setup] environment in .venv"
	@$(PYTHON) -m venv .venv

.setup/run: pyproject.toml .venv/pyvenv.cfg
	@echo "[setup] installing whep-avatar and what it needs: waiting for pip (PyTorch is large: minutes on the first run)"
	@$(PIP) --editable .
	@mkdir -p .setup && touch $@

.setup/dev: pyproject.toml .venv/pyvenv.cfg
	@echo "[setup] installing whep-avatar with its test tools: waiting for pip (PyTorch is large: minutes on the first run)"
	@$(PIP) --editable '.[dev]'
	@mkdir -p .setup && touch $@ .setup/run

# coturn's package would start a server on this machine; the tests start their own.
debian: | .venv/pyvenv.cfg # which may install packages, too
	@missing=$$(for name in $(DEBIAN); do \
		dpkg-query -W -f '$${Status}' $$name 2>/dev/null | grep -q 'ok installed' || echo $$name; done | xargs); \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "[setup] browsers and players for the tests: waiting for Debian's packages ($$missing)"; \
		apt-get update -qq; \
		if [ -d /run/systemd/system ]; then case " $$missing " in *" coturn "*) systemctl --quiet mask coturn;; esac; fi; \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >.setup/debian.log 2>&1 \
			|| { tail -20 .setup/debian.log; exit 1; }; \
	else \
		echo "[setup] the tests need these Debian packages; as root: apt-get install --no-install-recommends $$missing"; \
		exit 1; \
	fi

peers: $(PEERS)/pages/browser.bundle.js $(PEERS)/pion_player $(PEERS)/turn_server ## the third-party players, publishers and servers that the tests run

# npm installs away from its manifest, so that no node_modules lies among the sources; no package's install script is run.
$(PEERS)/node_modules/.package-lock.json: tests/peers/package.json tests/peers/package-lock.json | debian
	@echo "[setup] third-party WebRTC clients: waiting for npm"
	@mkdir -p $(PEERS) && cp $^ $(PEERS)
	@cd $(PEERS) && npm ci --ignore-scripts --no-audit --no-fund --loglevel error && touch node_modules/.package-lock.json

$(PEERS)/pages/browser.bundle.js: $(addprefix tests/peers/,browser.js bundle.mjs common.mjs peers.html) \
		$(PEERS)/node_modules/.package-lock.json
	@node tests/peers/bundle.mjs $(@D)

# Debian's Go packages are a GOPATH; nothing is fetched.
$(PEERS)/pion_player $(PEERS)/turn_server: $(PEERS)/%: tests/peers/%.go | debian
	@echo "[setup] pion's $*: waiting for Go's compiler"
	@mkdir -p $(@D)
	@version=$$(dpkg-query -W -f '$${Version}' golang-github-pion-webrtc.v3-dev) && GO111MODULE=off GOPATH=/usr/share/gocode \
		GOCACHE=$(CURDIR)/$(PEERS)/go go build -ldflags "-X main.version=$${version%-*}" -o $@ $<

rivals: $(RIVALS)/fastrtc/.ready $(RIVALS)/pipecat/.ready $(RIVALS)/relay ## what `whep-avatar bench side-by-side` compares with (2 GB)

$(RIVALS)/%/.ready: bench/rivals/%.txt
	@echo "[setup] $*: waiting for pip"
	@$(PYTHON) -m venv $(@D) && $(@D)/bin/pip --disable-pip-version-check install --quiet --quiet -r $< && touch $@

$(RIVALS)/relay: bench/rivals/relay.go | debian
	@echo "[setup] the pion relay: waiting for Go's compiler"
	@mkdir -p $(@D) && GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE=$(CURDIR)/$(PEERS)/go go build -o $@ $<
