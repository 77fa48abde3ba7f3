# Each target does everything from a bare checkout, and nothing twice. One that needs a tool which
# is not there says so first.
#
#   make demo       logs of two sites, made and encrypted here, filtered to Parquet; all under demo/
#   make test       every test but the long ones
#   make test-slow  the long ones, and the properties by examples drawn anew
#   make lint       formats, lints, types, docs of the code
#   make bench      speed beside igzip and the peers; takes long
#   make fuzz       the scanner, the gzip reader, the tables and the decoders against others, a minute
#                   each, or SECONDS=… each
#   make docs       pages that follow from the code, and the site of all pages, in site/
#   make clean      remove all that was made
#
# The demo, the tests and the checks share one quick build (`profile.dev` of Cargo.toml), in a virtual
# environment of its own; `make bench` takes the wheel as it is released, and so do the others with
# PROFILE=release.

PROFILE := dev
VENV := .venv
PYTHON := $(VENV)/bin/python
BENCH_VENV := .venv-bench
# Where to look for a Python that can make the environment.
PYTHONS := python3 python3.14 python3.13 python3.12 python3.11

TOOLS := $(VENV)/.tools
WHEEL := $(VENV)/.wheel-$(PROFILE)
SOURCES := Cargo.toml Cargo.lock pyproject.toml LICENSE release/THIRD-PARTY-LICENSES.txt \
	$(shell find rust python release/wheel -not -name '__pycache__' -not -name '*.pyc' -not -name '*.so')

# The user's environment must not reach into ours.
unexport VIRTUAL_ENV CONDA_PREFIX PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTEST_ADDOPTS
export PYO3_PYTHON := $(CURDIR)/$(PYTHON)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_REQUIRE_VIRTUALENV := 0

.PHONY: demo test test-slow lint bench fuzz docs clean needs-rust needs-gpg
.DELETE_ON_ERROR:

demo: needs-rust needs-gpg $(WHEEL)
	$(PYTHON) benches/demo.py

test: needs-rust needs-gpg $(WHEEL)
	cargo test --locked --quiet
	$(PYTHON) -m pytest -n auto -m "not slow"

test-slow: needs-rust needs-gpg $(WHEEL)
	cargo test --locked --quiet -- --ignored
	$(PYTHON) -m pytest -m slow
	$(PYTHON) -m pytest -n auto -m "hypothesis and not slow" --hypothesis-profile=anew

lint: needs-rust $(WHEEL)
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/stubtest edxlogs._core --mypy-config-file pyproject.toml

bench: needs-rust needs-gpg $(VENV)/.wheel-release $(BENCH_VENV)/.tools
	$(PYTHON) benches/end_to_end.py
	$(PYTHON) benches/sync.py
	$(PYTHON) benches/s3.py
	$(PYTHON) benches/dataset_runs.py
	$(PYTHON) benches/soak.py
	$(PYTHON) benches/tables.py
	$(PYTHON) benches/event_tables.py

# cargo-fuzz needs switches that stable Rust keeps for itself unless told otherwise.
fuzz: export RUSTC_BOOTSTRAP := 1
fuzz: SECONDS := 60
fuzz: needs-rust
	@if ! cargo fuzz --version >/dev/null 2>&1; then \
		echo "Not fuzzed, cargo-fuzz is missing: cargo install cargo-fuzz"; \
	elif ! command -v c++ >/dev/null; then \
		echo "Not fuzzed, a C++ compiler is missing: apt-get install g++"; \
	else fuzz/run $(SECONDS); fi

docs: needs-rust needs-gpg $(WHEEL)
	$(PYTHON) docs/make_columns.py
	$(PYTHON) docs/make_event_tables.py
	PYTHONPATH=benches $(PYTHON) docs/make_derived.py
	$(PYTHON) docs/make_notebook.py
	$(PYTHON) docs/make_man.py
	$(PYTHON) docs/make_reference.py
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet

clean:
	rm -rf target target-cross fuzz/target fuzz/corpus fuzz/artifacts $(VENV) $(BENCH_VENV) dist site \
		demo bench-data .hypothesis .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.wheel-%: $(SOURCES) $(TOOLS)
	rm -f dist/*.whl $(VENV)/.wheel-*
	$(VENV)/bin/maturin build --profile $* --locked --interpreter $(PYTHON) --out dist
	$(PYTHON) -m pip install --quiet --no-deps --force-reinstall dist/*.whl
	touch $@

$(VENV)/bin/python $(BENCH_VENV)/bin/python:
	@for python in $(PYTHONS); do \
		if $$python -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
		then echo "$$python -m venv $(@D:/bin=)"; exec $$python -m venv --clear $(@D:/bin=); fi; \
	done; \
	echo "Python 3.11 or later with venv is missing: apt-get install python3 python3-venv" >&2; \
	exit 1

$(VENV)/.tools: requirements-dev.txt | $(VENV)/bin/python
	$(PYTHON) -m pip install --quiet --requirement $<
	touch $@

$(BENCH_VENV)/.tools: requirements-bench.txt | $(BENCH_VENV)/bin/python
	$(BENCH_VENV)/bin/python -m pip install --quiet --requirement $<
	touch $@

needs-rust:
	@{ cargo --version && rustc --version; } >/dev/null 2>&1 || { \
		echo "Rust is missing: install it from https://rustup.rs (1.95 or later)" >&2; exit 1; }
	@command -v cc >/dev/null || { \
		echo "A C compiler is missing: apt-get install gcc libc6-dev" >&2; exit 1; }

needs-gpg:
	@command -v gpg >/dev/null && command -v gpgconf >/dev/null || { \
		echo "GnuPG is missing: apt-get install gnupg" >&2; exit 1; }
