# `make` alone lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Tests and servers would fight for the processor. The containers are an exception: they wait for
# packages and for each other, and the tests with servers leave half the processor free.
ifndef AT_ONCE
.NOTPARALLEL:
endif

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
# More than two cores hold: many tests wait rather than work.
WORKERS ?= 4
# Each of these runs whole servers, which wait for each other half of the time.
SERVERS ?= 3

export PYTHON DEMO_SECONDS FLEETSCOPE_DEMO_DIR GRAFANA_HOME

.PHONY: help setup servers demo smoke lint types audit fuzz unit quick stack check test lock generate \
	clean advisories soak prometheus pressure rows bench chart evaluate containers digests

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv from the lock file (instant when it is up to date)

$(STAMP): requirements-dev.lock pyproject.toml provisioning/setup.sh
	@provisioning/setup.sh
	@touch $@

servers: setup ## install Debian's InfluxDB, Prometheus and Alertmanager where they are absent
	@$(BIN)/python -m provisioning.local servers

demo: setup ## run everything with simulated sites (DEMO_SECONDS=90 ends by itself)
	@$(BIN)/python -m provisioning.local demo

smoke: setup ## run everything, check it from outside, and stop
	@$(BIN)/python -m provisioning.local smoke

lint: setup ## ruff's rules and formatting, and the direction of imports
	@$(BIN)/ruff check -q .
	@$(BIN)/ruff format --check -q .
	@$(BIN)/lint-imports --no-cache >.venv/imports.log 2>&1 || { cat .venv/imports.log; exit 1; }

types: setup ## mypy, strict
	@$(BIN)/mypy --no-error-summary

audit: setup ## hashes, consistency, known vulnerabilities of dependencies (AUDIT_UNCHECKED=allow)
	@$(BIN)/python -m provisioning.audit

# The file is kept with its date, for machines that cannot ask the database.
advisories: setup ## write advisories.json from the packaging authority's database (ADVISORY_DATABASE)
	@$(BIN)/python -m provisioning.advisories

fuzz: setup ## a hundred thousand hostile inputs for each target (FUZZ_INPUTS=, FUZZ_TARGET=)
	@$(BIN)/python -m tests.fuzz

unit: setup ## tests that need no server
	@$(BIN)/python -m pytest -q -n $(WORKERS) -m "not stack and not containers"

quick: setup ## the unit tests but those that start processes or try many examples
	@$(BIN)/python -m pytest -q -n $(WORKERS) -m "not stack and not containers and not slow"

# A test that only passes the second time is named with RERUN in the summary: a defect to mend.
stack: servers ## tests against real servers
	@$(BIN)/python -m pytest -q -n $(SERVERS) --dist loadfile --reruns 1 -m stack

# Some gigabytes stay in .fleetscope, so that only the first run builds everything.
containers: setup ## run docker-compose.yml on Debian's podman and check it (root; says if it cannot)
	@$(BIN)/python -m pytest -q --reruns 1 -m containers tests/containers

digests: setup ## pin the images of docker-compose.yml by the digests that the registries hold
	@$(BIN)/python -m provisioning.digests

check: lint types quick ## lint, types and the quick unit tests, without servers

# A machine without a way to the database of vulnerabilities can run the tests; the audit says so.
test: export AUDIT_UNCHECKED ?= allow
test: servers lint types audit unit ## everything: check, rules with promtool, stack tests, containers
	@$(MAKE) --no-print-directory -j 2 --output-sync=target AT_ONCE=yes stack containers

soak: servers ## random faults and kills for SOAK_MINUTES (10), seeded by SOAK_SEED
	@$(BIN)/python -m tests.faults.soak

# Debian's is of the 2.x line; a folder with prometheus and promtool of another release stands first.
prometheus: servers ## rules and queries of dashboards on the Prometheus of PROMETHEUS_HOME, such as 3.x
	@export PATH="$${PROMETHEUS_HOME:?names the folder of prometheus and promtool}:$$PATH"; \
	prometheus --version 2>&1 | head -1; \
	$(BIN)/python -m pytest -q -n $(SERVERS) --dist loadfile tests/rules tests/stack/test_queries.py

pressure: setup ## readers, attackers and polling at once for SOAK_MINUTES (10); the latest scrape
	@$(BIN)/python -m tests.bench.pressure

rows: servers ## scrapes lost in each kind of trouble, by the real service (some rows need root)
	@$(BIN)/python -m tests.faults.rows

bench: setup ## CPU of a scrape with 100 to 10,000 sites, beside vmagent and a floor (BENCH_SITES)
	@for sites in $${BENCH_SITES:-100 1000 4000 10000}; do \
		$(BIN)/python -m tests.bench.scale --sites $$sites; done
	@$(BIN)/python -m tests.bench.mqtt --sites 2000

evaluate: servers ## every detector against labelled faults and look-alikes (half an hour on two cores)
	@$(BIN)/python -m tests.evaluation --write

chart: setup ## lint, render and check the Helm chart (needs helm and kubeconform)
	@helm lint deploy/helm/fleetscope 2>&1 | grep -v "symbolic link"
	@helm template fleetscope deploy/helm/fleetscope --kube-version 1.30.0 --set shards=4 \
		--set influxdb.url=http://influxdb:8086 --set influxdb.token=example 2>/dev/null >.venv/chart.yaml
	@others=$$($(BIN)/python -m tests.provisioning.kubernetes_schemas .venv/chart.yaml .venv/kubernetes) && \
		kubeconform -summary -strict -skip "$$others" \
		-schema-location '.venv/kubernetes/{{.ResourceKind}}{{.KindSuffix}}.json' .venv/chart.yaml

lock: ## resolve the dependencies again (needs uv, or installs it beside .venv)
	@command -v uv >/dev/null || [ -x .fleetscope/uv/bin/uv ] || \
		{ $(PYTHON) -m venv .fleetscope/uv && .fleetscope/uv/bin/pip install -q uv; }
	@uv=$$(command -v uv || echo .fleetscope/uv/bin/uv); \
	compile() { "$$uv" pip compile --universal --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-header --python-version 3.11 --upgrade -q "$$@"; }; \
	compile pyproject.toml --extra forecast --extra import --extra mcp --extra oidc --extra report -o requirements.lock; \
	compile -c requirements.lock pyproject.toml -o requirements-core.lock; \
	compile --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock; \
	echo setuptools | compile -c requirements-dev.lock - -o requirements-build.lock

generate: setup ## write the generated pages under docs/, the alert rules and the dashboards' JSON
	@$(BIN)/python -m exporter.cli.reference
	@$(BIN)/python -m provisioning.prometheus
	@$(BIN)/python -m grafana

clean: ## stop a running demo, remove caches, demo data and .venv
	@[ ! -x $(BIN)/python ] || $(BIN)/python -m provisioning.local stop
	@rm -rf $(VENV) .fleetscope build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
