# Everything is installed into .venv from the hashed locks in requirements/, and nowhere else.
#
#   PYTHON=/path/to/python   the interpreter to make .venv with; default: the first good one found
#   ARGS="..."               more arguments for the command that a target runs
#   SECONDS=...              how long `make soak` runs, each harness of `make fuzz`, and the state
#                            machine in `make proof`
#   WORLDS=...               how many worlds `make fidelity` leads through the database and a venue

SHELL := /bin/sh
PYTHON ?=
ARGS ?=
SECONDS ?= 600
WORLDS ?= 240
POSTGRES15 ?= /usr/lib/postgresql/15/bin
PYTHONS := python3 python3.13 python3.12 python3.11
PY := .venv/bin/python
PYTEST := $(PY) -m pytest --numprocesses auto --maxprocesses 8 --cov
COMPILE := .venv/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--no-strip-extras --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(ARGS)

# The certificates that this machine trusts, as with pip; the second is the older name of the first.
export UV_SYSTEM_CERTS := 1
export UV_NATIVE_TLS := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-postgres15 fidelity bench check format lock coverage soak fuzz mutants proof picture screenshots audit-deps clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

demo: .venv/.run-stamp ## show unghost at work, on a database and an exchange of its own
	@$(PY) -m unghost demo $(ARGS)

test: .venv/.dev-stamp ## run every test, and fail where too little is covered
	@$(PYTEST) $(ARGS)

test-postgres15: .venv/.dev-stamp ## run what needs a database once more, on Debian's PostgreSQL 15
	@UNGHOST_TEST_POSTGRES=$(POSTGRES15) $(PYTEST) --no-cov tests/postgres tests/cycle tests/proofs \
		--ignore tests/postgres/test_embedded.py $(ARGS)

fidelity: .venv/.dev-stamp ## hold the decisions on 20 000 made-up lifecycles against the truth
	@$(PY) -m tests.worlds $(ARGS)
	@$(if $(ARGS),,echo && echo "the same where the exchange tells how much of each fill closed" && \
		$(PY) -m tests.worlds --closings)
	@$(if $(ARGS),,UNGHOST_WORLDS=$(WORLDS) $(PY) -m pytest --quiet --no-cov \
		--numprocesses auto --maxprocesses 8 tests/cycle/test_worlds.py)

bench: .venv/.dev-stamp ## measure all figures, print them beside their targets, write docs/performance.md
	@$(PY) -m benchmarks $(ARGS)

check: .venv/.dev-stamp ## lint, formatting, types, and which module may import which
	@$(PY) -m ruff check --quiet
	@$(PY) -m ruff format --check --quiet || { \
		echo "Formatting differs; 'make format' mends it:" >&2; \
		$(PY) -m ruff format --check >&2; exit 1; }
	@$(PY) -m mypy --no-error-summary
	@report=$$(.venv/bin/lint-imports --no-logo 2>&1) || { printf '%s\n' "$$report"; exit 1; }

format: .venv/.dev-stamp ## mend formatting, and what the linter can mend safely
	@$(PY) -m ruff check --fix-only --quiet
	@$(PY) -m ruff format --quiet

lock: .venv/.dev-stamp ## write requirements/*.txt anew from pyproject.toml (ARGS=--upgrade for newer)
	@$(COMPILE) --group build pyproject.toml --output-file requirements/run.txt
	@$(COMPILE) --group dev --constraints requirements/run.txt pyproject.toml \
		--output-file requirements/dev.txt
	@$(COMPILE) --group audit --no-sources --output-file requirements/audit.txt
	@$(COMPILE) --group fuzz --no-sources --output-file requirements/fuzz.txt

coverage: .venv/.dev-stamp ## run every test, and write .coverage-html/index.html
	@$(PYTEST) --cov-report term-missing --cov-report html $(ARGS)

soak: .venv/.dev-stamp ## let the state machine run for SECONDS (default 600), seed after seed
	@UNGHOST_SOAK_SECONDS=$(SECONDS) $(PY) -m pytest -q -s --no-cov --timeout 0 \
		tests/proofs/test_machine.py $(ARGS)

fuzz: .venv/.fuzz-stamp ## feed each harness of hostile input for SECONDS, led by coverage (atheris)
	@PYTHONPATH=.venv/fuzz $(PY) -m tests.hostile.fuzz --seconds $(SECONDS) $(ARGS)

mutants: .venv/.dev-stamp ## break each guard in a copy, and name the test that notices
	@$(PY) -m tests.proofs.mutants $(ARGS)

proof: .venv/.dev-stamp ## try all proofs, the state machine for SECONDS, and write docs/proof.md
	@$(PY) -m tests.proofs.pack --seconds $(SECONDS) $(ARGS)

picture: .venv/.run-stamp ## draw the picture of the demo anew, docs/images/demo.svg
	@mkdir -p docs/images
	@$(PY) -m unghost demo --svg docs/images/demo.svg $(ARGS)

screenshots: .venv/.dev-stamp ## photograph the console anew, docs/images/console-*.png; needs chromium
	@mkdir -p docs/images
	@$(PY) -m tests.web.console.screenshots docs/images $(ARGS)

# pip-audit says "no known vulnerabilities" also where it could look nothing up; --strict does not.
audit-deps: .venv/.dev-stamp ## compare the locks with published advisories (pip-audit, by itself)
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	.venv/bin/uv venv --quiet --python $(PY) "$$folder" && \
	.venv/bin/uv pip install --quiet --python "$$folder/bin/python" --require-hashes \
		--requirement requirements/audit.txt && \
	"$$folder/bin/python" -m pip_audit --strict --require-hashes --disable-pip \
		--progress-spinner off --requirement requirements/run.txt \
		--requirement requirements/dev.txt $(ARGS) || { \
		echo "The audit did not pass. Where a dependency is \"not found\" above, or a server does" \
			"not answer, the advisories cannot be reached from here: nothing was found out." >&2; \
		exit 1; }

clean: ## remove .venv and all that was built, cached or measured; no data of unghost
	@rm -rf .venv build dist .coverage .coverage.* .coverage-html .hypothesis .import_linter_cache \
		.mypy_cache .pytest_cache .ruff_cache
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.run-stamp: requirements/run.txt pyproject.toml
	$(call install,requirements/run.txt)
	@touch $@

.venv/.dev-stamp: .venv/.run-stamp requirements/dev.txt
	$(call install,requirements/dev.txt)
	@touch .venv/.run-stamp $@

# Apart from the rest, and only for who fuzzes: it is large, and not for every platform and Python.
.venv/.fuzz-stamp: .venv/.dev-stamp requirements/fuzz.txt
	@rm -rf .venv/fuzz
	@.venv/bin/uv pip install --quiet --python $(PY) --target .venv/fuzz --require-hashes \
		--requirement requirements/fuzz.txt
	@touch $@

# install LOCK: bring .venv to what LOCK says, with uv if it is there, else with venv and pip.
# The stamps go first and come back last, and without the run stamp .venv is made anew: so an
# install that was cut short is never built upon. The project's own build backend is in the locks.
define install
	@set -e; \
	if [ -f .venv/.run-stamp ] && $(PY) -c '' 2>/dev/null; then fresh=no; else fresh=yes; fi; \
	rm -f .venv/.run-stamp .venv/.dev-stamp; \
	echo "Installing $(1) into .venv" >&2; \
	if command -v uv >/dev/null 2>&1; then \
		if [ $$fresh = yes ]; then \
			rm -rf .venv; \
			uv venv --quiet --python "$(or $(PYTHON),>=3.11)" .venv; \
		fi; \
		uv pip install --quiet --python $(PY) --require-hashes --requirement $(1); \
		uv pip install --quiet --python $(PY) --no-deps --no-build-isolation --editable .; \
	else \
		if [ $$fresh = yes ] || ! $(PY) -m pip --version >/dev/null 2>&1; then \
			$(make_venv); \
		fi; \
		$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes \
			--requirement $(1); \
		$(PY) -m pip install --quiet --disable-pip-version-check --no-index --no-deps \
			--no-build-isolation --editable .; \
	fi
endef

define make_venv
for name in $(or $(PYTHON),$(PYTHONS)); do \
	if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
		python=$$name; break; \
	fi; \
done; \
if [ -z "$${python:-}" ]; then \
	echo "unghost needs Python 3.11 or newer, and none was found as" \
		"$(or $(PYTHON),$(PYTHONS)): install one, or name one with PYTHON=/path/to/python." >&2; \
	exit 1; \
fi; \
rm -rf .venv; \
"$$python" -m venv .venv || { \
	echo "$$python cannot make a virtual environment: install its venv module" \
		"(on Debian and Ubuntu the package python3-venv), or uv." >&2; \
	exit 1; \
}
endef
