# Everything happens in .venv, which any target makes when it needs it. `make help` lists the targets.
#   PYTHON=python3.12   the interpreter of .venv (default: the newest that works)
#   EXAMPLE=chat        what run serves, of examples/ (default: hello; others: chat, migration)
#   ARGS="..."          further arguments for run, bench or pytest, as in: make test ARGS="-k hpack"

VENV := .venv
BIN := $(VENV)/bin

# A pyenv shim may stand on PATH and yet not run, so each one is tried.
PYTHONS := python3.14 python3.13 python3.12 python3.11 python3
newest_python = $(shell for python in $(PYTHONS); do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

EXAMPLE ?= hello
# What the examples import beyond Portway.
EXAMPLES_NEED := fastapi flask django
# An example with a portway.toml is served as that says, any other by its main.py.
serve_example = $(if $(wildcard examples/$(EXAMPLE)/portway.toml),\
	cd examples/$(EXAMPLE) && $(CURDIR)/$(BIN)/portway serve,$(BIN)/portway serve examples/$(EXAMPLE)/main.py)
# Debian packages that the tests need. Who has got these programs elsewhere says APT_PACKAGES=
APT_PACKAGES ?= chromium curl openssl nghttp2-client postgresql
test-apps: APT_PACKAGES = git
# A package is there when a program of its name is; or of another, where it has none.
program_of_nghttp2-client := h2load
program_of_postgresql := $(firstword $(wildcard /usr/lib/postgresql/*/bin/initdb) initdb)
# Three processes for two cores: many tests wait for servers, and they share nothing.
PYTEST := $(BIN)/pytest -q -n 3 $(ARGS)

# pip at its quietest still says why it fails.
PIP = $(BIN)/python -m pip -qq --disable-pip-version-check
EDITABLE = SKIP_EXTENSIONS=1 $(PIP) install --no-build-isolation --editable

# .venv belongs to one folder and to the interpreter asked for; a copied or a different one is made anew.
folder_of_venv := $(shell cat $(VENV)/.folder 2>/dev/null)
version_of = $(if $(1),$(shell $(1) -c 'import sys; print(sys.version)' 2>/dev/null))
ifneq ($(folder_of_venv),$(CURDIR))
.PHONY: $(VENV)/.made
else ifneq ($(origin PYTHON),undefined)
ifneq ($(call version_of,$(PYTHON)),$(call version_of,$(BIN)/python))
.PHONY: $(VENV)/.made
endif
endif
PYTHON ?= $(newest_python)

# A stale extension beats an edited .py, and an orphaned one a .py whose .pxd is gone.
pxds := $(shell find src -name '*.pxd' -exec sh -c 'test -e "$${0%.pxd}.py"' {} \; -print 2>/dev/null)
orphans := $(foreach so,$(shell find src -name '*.so' 2>/dev/null),$(if $(wildcard $(basename $(basename $(so))).pxd),,$(so)))
missing := $(foreach pxd,$(pxds),$(if $(wildcard $(pxd:.pxd=.*.so)),,$(pxd)))
ifneq ($(strip $(orphans) $(missing)),)
.PHONY: $(VENV)/.built
endif

.PHONY: help run certs test test-apps .tested-apps lint format bench docs build venv clean distclean debian
.NOTPARALLEL:
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

run: $(VENV)/.examples $(VENV)/.built ## serve examples/hello, or EXAMPLE=chat, on http://127.0.0.1:8000
	@$(serve_example) $(ARGS)

certs: $(VENV)/.made ## make certs/, to try https with: an authority of your own, a certificate for this machine
	@$(BIN)/python -c 'import trustme' 2>/dev/null || { echo "installing trustme …"; $(PIP) install trustme; }
	@$(BIN)/python examples/certs.py

test: export REQUIRE_EXTENSIONS = 1
test: export REQUIRE_CHROMIUM = 1
test: export REQUIRE_CLIENTS = 1
test: export REQUIRE_POSTGRES = 1
test: debian $(VENV)/.test $(VENV)/.built lint ## lint, then run the tests compiled and interpreted
	@echo "testing, compiled …"
	@$(PYTEST)
	@echo "testing, interpreted …"
	@PORTWAY_PURE=1 $(PYTEST)

test-apps: debian ## test with WSGI applications from PyPI and their clients, in an environment of its own (takes minutes)
	@$(MAKE) --no-print-directory VENV=.venv-apps .tested-apps

.tested-apps: $(VENV)/.apps $(VENV)/.built
	@echo "testing with real applications …"
	@$(PYTEST) tests/apps

lint: $(VENV)/.test ## check style and types
	@echo "checking style and types …"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "some files are not formatted: make format"; exit 1; }
	@$(BIN)/mypy --no-error-summary

format: $(VENV)/.test ## format the source, and mend what ruff can mend
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

bench: $(VENV)/.test $(VENV)/.built ## measure Portway against its peers (takes minutes)
	@echo "measuring; this takes minutes …"
	@$(BIN)/python bench/run.py $(ARGS)

docs: $(VENV)/.docs ## build the documentation into site/
	@echo "building site/ …"
	@PORTWAY_PURE=1 NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --site-dir site

build: $(VENV)/.built ## compile the hot modules in place
	@:

clean: ## remove all that was built; leaves .venv
	@rm -rf build dist site src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis $(VENV)/.built
	@find src -name '*.so' -delete
	@find . -name '.venv*' -prune -o -name __pycache__ -prune -exec rm -rf {} +

distclean: clean ## remove .venv as well
	@rm -rf $(VENV) .venv-apps

venv: $(VENV)/.made
	@:

$(VENV)/.made:
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Portway needs Python 3.11 or newer; tried $(or $(PYTHON),$(PYTHONS)). Try: make PYTHON=/path/to/python3.13" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(call apt_install,$(debian_python)-venv)
	@echo "making $(VENV) with Python $(firstword $(call version_of,$(PYTHON))) …"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install $(shell sed -n 's/^requires = \[\(.*\)\]/\1/p' pyproject.toml | tr -d ,)
	@echo '$(CURDIR)' >$(VENV)/.folder
	@touch $@

$(VENV)/.built: $(VENV)/.made setup.py pyproject.toml $(pxds) $(pxds:.pxd=.py)
	@rm -f $(orphans)
	@test -z "$(pxds)" || echo "compiling $(words $(pxds)) modules …"
	@mkdir -p build
	@$(BIN)/python setup.py --quiet build_ext --inplace $(if $(filter %setup.py,$?),--force) 2>build/log; status=$$?; \
		grep '^portway:' build/log || cat build/log >&2; exit $$status
	@touch $@

$(VENV)/.examples: $(VENV)/.made pyproject.toml
	@echo "installing Portway and what the examples need …"
	@$(EDITABLE) . $(EXAMPLES_NEED)
	@touch $@

$(VENV)/.test: $(VENV)/.made pyproject.toml
	@echo "installing Portway and what its tests need …"
	@$(EDITABLE) '.[test,lint]'
	@touch $@

$(VENV)/.apps: $(VENV)/.made pyproject.toml
	@echo "installing Portway, applications and their clients …"
	@$(EDITABLE) '.[apps]'
	@touch $@

$(VENV)/.docs: $(VENV)/.made pyproject.toml
	@echo "installing what the documentation needs …"
	@$(EDITABLE) '.[docs]'
	@touch $@

# Debian ships pip's seed and the C headers of its Python apart, as python3.x-venv and python3.x-dev.
debian_python = python$(shell echo "$(call version_of,$(PYTHON))" | cut -d. -f1,2)
headers = import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")
sudo = $(if $(filter-out 0,$(shell id -u)),sudo)
apt_get = $(sudo) apt-get install -qq --no-install-recommends
apt_install = { \
	command -v apt-get >/dev/null || { echo "something is missing; install what your system calls: $(1)" >&2; exit 1; }; \
	echo "installing the Debian package $(1) …"; \
	$(apt_get) $(1) >/dev/null 2>&1 || { $(sudo) apt-get update -qq && $(apt_get) $(1) >/dev/null; } \
	|| { echo "please run: $(sudo) apt-get install $(1)" >&2; exit 1; }; }

debian:
	$(if $(strip $(missing)),@$(PYTHON) -c '$(headers)' 2>/dev/null || $(call apt_install,$(debian_python)-dev))
	@$(foreach package,$(APT_PACKAGES),{ command -v $(or $(program_of_$(package)),$(package)) || dpkg -s $(package); } \
		>/dev/null 2>&1 || $(call apt_install,$(package));) :
