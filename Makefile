# One file that names what can be done here. `make help` prints the lines that carry two hashes.

# Any Python from 3.11 on; everything else runs in the checkout's own .venv.
PYTHON ?= python3
VENV := .venv/bin
STACK := $(PYTHON) -m stack
PYTEST := $(VENV)/python -m pytest
# A module's tests stay in one process, because they share servers that its fixtures start. Most wait more than they
# compute, so there are more processes than a small machine has cores (tests/distribution.py).
SIDE_BY_SIDE := -p tests.distribution --dist loadfile --numprocesses
OPA := $$($(VENV)/python -m stack.opa)
# uv reads the machine's own index settings; the lock files name packages and hashes, never a host.
LOCK := $(VENV)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11

.DEFAULT_GOAL := help
.PHONY: images test-deploy release test-hosts help up down status logs reset demo install test test-python test-unit test-integration test-java test-policy lint docs bench bench-sync bench-vault bench-session bench-workspace lock sbom

help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: ## install, start PostgreSQL, Keycloak, OPA and the vault, apply configs/iam, tell the story once
	@$(STACK) up

down: ## stop everything, the database last
	@$(STACK) down

status: ## one line per service: up or down, address, pid, age, health
	@$(STACK) status

logs: ## follow every log (SERVICE=keycloak for one)
	@$(STACK) logs --follow $(SERVICE)

reset: ## stop, and delete the stack's data and secrets (tools stay)
	@$(STACK) reset

demo: ## tell the story again on the running stack
	@$(STACK) demo

install: ## only install and build what `up` and `test` need
	@$(STACK) install

test: ## everything that must pass: lint, rules, Java, unit and integration tests
	@$(MAKE) --no-print-directory install
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory test-policy
	@$(MAKE) --no-print-directory test-java
	@$(MAKE) --no-print-directory test-python

test-python: install ## unit and integration tests side by side, so that one computes while another waits
	$(PYTEST) $(SIDE_BY_SIDE) 4

test-unit: install ## tests that need no Keycloak (some start PostgreSQL or OPA of their own)
	$(PYTEST) $(SIDE_BY_SIDE) 4 -m "not integration"

test-integration: install ## tests on whole stacks of their own in .stack-test-*
	$(PYTEST) $(SIDE_BY_SIDE) 2 -m integration

test-java: ## unit tests of the Keycloak extension
	mvn -q -B -ntp -f realm/extension verify

test-policy: install ## the rules' own tests
	$(OPA) check --strict policy
	$(OPA) test --fail-on-empty policy

lint: install ## ruff, mypy --strict, opa fmt, the import rule
	$(VENV)/ruff check .
	$(VENV)/ruff format --check --quiet .
	$(VENV)/mypy
	@test -z "$$($(OPA) fmt --list policy)" || { $(OPA) fmt --diff policy; exit 1; }
	$(PYTEST) -q tests/test_architecture.py

docs: install ## write what is generated from code again, fail if it was not current; check that links lead somewhere
	@$(VENV)/python -m admin_sync.reference --check || { $(VENV)/python -m admin_sync.reference; exit 1; }
	$(PYTEST) -q tests/test_docs.py

images: ## all container images of docker-compose.yml, from Debian and language packages alone (root, docker, debootstrap)
	$(PYTHON) -m stack install
	$(VENV)/python -m stack.images $(NAMES)

test-deploy: ## docker compose up, the main job through the proxy, attacks on the boundary, down (root, docker, images; 4-15 min)
	$(VENV)/python -m stack.compose.rehearsal

release: ## everything that a host needs but Debian's packages, as one archive for Ansible (docs/ansible.md)
	$(PYTHON) -m stack install
	@$(VENV)/python -m stack.hosts.release

test-hosts: ## Ansible's site.yml on a systemd host in a container, twice, and a login from outside (root, docker, a release)
	$(PYTHON) -m stack install
	$(VENV)/python -m stack.hosts.rehearsal

bench: bench-sync bench-vault bench-session bench-workspace ## every benchmark beside its peers (bench/README.md says which are wanted)

bench-sync: install ## a realm as code: ours and the peers that are here (SIZES=small,medium,large)
	$(VENV)/python -m bench.sync --sizes $(or $(SIZES),small,medium)

bench-vault: install ## release, store and rotation beside OpenBao
	$(VENV)/python -m bench.vault

bench-session: install ## the door beside nginx alone and oauth2-proxy, Keycloak's logins and refreshes, faults under load
	$(VENV)/python -m bench.session

bench-workspace: install ## a login from the click to the page, a thousand of them, and what each page weighs
	$(VENV)/python -m bench.workspace

sbom: install ## what the product is made of, with hashes and licences (CycloneDX; FILE=…, else stdout)
	@$(VENV)/python -m stack.sbom $(FILE)

lock: install ## pin requirements/*.in again, with hashes
	$(LOCK) --output-file requirements/product.txt requirements/product.in
	$(LOCK) --constraint requirements/product.txt --output-file requirements/kms.txt requirements/kms.in
	$(LOCK) --constraint requirements/product.txt --output-file requirements/dev.txt requirements/dev.in
