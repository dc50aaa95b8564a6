# Every target works from a fresh clone: it makes the virtual environment, installs, runs.
#
#   make train    train on IMDB with default options      ARGS="--epochs 2" passes options
#   make test     the test suite without its slow tests   ARGS="-k lstm" likewise
#   make help     all targets

PYTHON ?= python3
VENV   ?= .venv
ARGS   ?=
# Processes that share the tests: a number, auto (one a core), or 0 for none.
JOBS   ?= auto
SHARE  := --dist worksteal
# What the tests compare with. Empty (make test TORCH=) leaves it out: those tests then skip.
TORCH  ?= torch==2.13.0
# Tables that users hand in; the package itself never imports it.
PANDAS ?= pandas
# The MPI library of the tests under mpiexec; empty where the system has one.
MPI    ?= mpich

BIN     := $(VENV)/bin
PIP     := $(BIN)/python -m pip --disable-pip-version-check
SOURCES := pyproject.toml setup.py $(wildcard fastlstm/kernels/native/*.p* fastlstm/kernels/native/src/*)
ASAN    := build/asan
TSAN    := build/tsan
ASAN_CC ?= gcc
ASAN_TESTS ?= tests/kernels
ASAN_ISA := $(if $(filter aarch64 arm64,$(shell uname -m)),neon,avx2)
ASAN_LEFT_OUT := do_not_come or recomputing_large or tokens_on_threads or long_sums or H130 or H384
, := ,
# The package with sanitizers $(1) in its kernels, in folder $(2).
sanitized   = rm -rf $(2) && CC=$(ASAN_CC) FASTLSTM_SANITIZE=$(1) \
              $(PIP) install --quiet --no-deps --target $(2) . && touch $(2)/built

.PHONY: help train test test-slow bench lint format docs asan attack neon windows werror wheel clean

help:
	@echo "make train      train on IMDB with default options (ARGS=... passes more)"
	@echo "make test       tests, without the slow ones (ARGS=... goes to pytest; TORCH= leaves torch out)"
	@echo "make test-slow  the slow tests"
	@echo "make bench      benchmarks against torch (ARGS=... goes to pytest)"
	@echo "make lint       ruff, mypy --strict and stubtest, clang-format; make format rewrites"
	@echo "make docs       the site, in build/site, with a reference of every public name"
	@echo "make asan       kernel tests under AddressSanitizer and UndefinedBehaviorSanitizer"
	@echo "make attack     hostile calls, files, kills and full disks by the 100,000 (ARGS=--quick: a minute)"
	@echo "make neon       kernels compiled for aarch64, tested under qemu-user"
	@echo "make windows    kernels compiled for Windows with mingw-w64, tested under Wine"
	@echo "make werror     kernels compiled with gcc and clang, warnings as errors"
	@echo "make wheel      sdist and wheel in dist/, for the Linux systems it runs on; contents and sizes checked"
	@echo "make clean      removes what the targets made"

# The environment. A stamp file stands for each set of packages, so that a second run starts at once
# and a changed C source builds again.

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(SOURCES) | $(BIN)/python
	$(PIP) install --quiet --editable '.[plot]'
	@touch $@

# ALSO=dev,docs: those, too, in the same go of pip.
$(VENV)/installed-test: $(SOURCES) | $(BIN)/python
	$(PIP) install --quiet --editable '.[plot,html,sklearn,translate,tune,test,browser,numba,bench,peers,keras,onnx,mpi$(if $(TORCH),$(,)rl)$(ALSO:%=$(,)%)]' $(TORCH) $(MPI) $(PANDAS)
	@touch $(VENV)/installed $@ $(addprefix $(VENV)/installed-,$(subst $(,), ,$(ALSO)))

# Tools only: nothing is compiled, and an extension that is there stays.
$(VENV)/installed-dev: pyproject.toml | $(BIN)/python
	FASTLSTM_NO_EXTENSION=1 $(PIP) install --quiet --editable '.[dev,plot]'
	@touch $@

# Apart from the other tools: no kernels are compiled for it.
$(VENV)/installed-docs: pyproject.toml | $(BIN)/python
	FASTLSTM_NO_EXTENSION=1 $(PIP) install --quiet --editable '.[docs]'
	@touch $@

train: $(VENV)/installed
	$(BIN)/train_imdb $(ARGS)

test: $(VENV)/installed-test
	FASTLSTM_REQUIRE_NATIVE=1 $(BIN)/python -m pytest -n $(JOBS) $(SHARE) -m "not slow" $(ARGS)

test-slow: $(VENV)/installed-test
	FASTLSTM_REQUIRE_NATIVE=1 FASTLSTM_REQUIRE_NUMBA=1 $(BIN)/python -m pytest -n $(JOBS) $(SHARE) -m slow $(ARGS)

bench: $(VENV)/installed-test
	$(BIN)/python -m pytest benchmarks $(ARGS)

C_FILES := $(wildcard fastlstm/kernels/native/src/*.c fastlstm/kernels/native/src/*.h tests/c/*.c benchmarks/*.c)
PY_FILES := fastlstm benchmarks tests docs/site docs/notebooks setup.py

# The stub of the extension beside the extension itself: where it is compiled, as for `make test`.
# What the stub does not list, and how objects lie in memory, is nobody's concern.
NATIVE := fastlstm.kernels.native._native
STUBTEST = if $(BIN)/python -c 'import $(NATIVE)' 2> /dev/null; then \
	    echo 'stubtest $(NATIVE)'; \
	    $(BIN)/python -m mypy.stubtest $(NATIVE) --concise --mypy-config-file tests/packaging/stubtest.ini \
	        --ignore-missing-stub --ignore-disjoint-bases; \
	else \
	    echo 'lint: the stub is not checked, as $(NATIVE) is not compiled here: make test does that'; \
	fi

lint: $(VENV)/installed-dev
	$(BIN)/ruff check $(PY_FILES)
	$(BIN)/ruff format --check $(PY_FILES)
	$(BIN)/mypy
	@$(STUBTEST)
	$(BIN)/clang-format --dry-run --Werror $(C_FILES)

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix $(PY_FILES)
	$(BIN)/ruff format $(PY_FILES)
	$(BIN)/clang-format -i $(C_FILES)

docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo build/site/index.html

# A second copy of the package, in build/asan. It is imported because it lies in the working folder.
# Python itself is not built with the sanitizers, so their runtime is preloaded, its own allocator is
# switched off (it would hide small overruns), and leaks (Python's own) are not reported.
# One instruction set a family: the C harness runs the others under the sanitizers, without Python.
# It also runs, under all of them, what is left out here as it takes long: calls that leave threads
# behind, large ones by recomputing and by tokens, the largest that threads share, and sums of many
# terms.
asan: $(VENV)/installed-test $(ASAN)/built
	cd $(ASAN) && \
	LD_PRELOAD="$$($(ASAN_CC) -print-file-name=libasan.so) $$($(ASAN_CC) -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 \
	UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
	PYTHONMALLOC=malloc FASTLSTM_EXPECT_SANITIZER=1 FASTLSTM_REQUIRE_NATIVE=1 FASTLSTM_TEST_ISA=$(ASAN_ISA) \
	$(CURDIR)/$(BIN)/python -m pytest -n $(JOBS) $(SHARE) -m "not slow" -p no:cacheprovider \
	    -k "($(ASAN_ISA) or sanitizer) and not ($(ASAN_LEFT_OUT))" \
	    $(CURDIR)/tests/packaging/test_sanitizer.py \
	    $(ASAN_TESTS:%=$(CURDIR)/%) $(ARGS)

# Apart from the tests, as it takes an hour: tests/attack. It uses the same copy and one more; a
# failure comes with the command that makes it happen again.
PACKAGE := $(SOURCES) $(shell find fastlstm -name '*.py')
$(ASAN)/built: $(PACKAGE) | $(VENV)/installed-test
	$(call sanitized,address$(,)undefined,$(ASAN))

$(TSAN)/built: $(PACKAGE) | $(VENV)/installed-test
	$(call sanitized,thread,$(TSAN))

attack: $(VENV)/installed-test $(ASAN)/built $(TSAN)/built
	$(PIP) install --quiet 'Cython>=3.1' # faults planted in the extension are compiled
	PYTHONPATH=tests $(BIN)/python -m attack $(ARGS)

neon: $(VENV)/installed-test
	FASTLSTM_REQUIRE_NEON=1 $(BIN)/python -m pytest tests/c -k neon $(ARGS)

windows: $(VENV)/installed-test
	FASTLSTM_REQUIRE_WINDOWS=1 $(BIN)/python -m pytest -n0 tests/c/test_c_windows.py $(ARGS)

# With each of these compilers that is there; setup.py holds the flags. gcc warns of some things only
# as it optimizes; clang never does, and takes a sixth of the time without.
COMPILERS ?= gcc clang
werror: | $(BIN)/python
	@for cc in $(COMPILERS); do \
	    command -v $$cc > /dev/null || { echo "werror: $$cc is not installed, left out"; continue; }; \
	    echo "werror: $$cc"; \
	    case $$cc in *clang*) flags=-O0;; *) flags=;; esac; \
	    CC=$$cc FASTLSTM_WERROR=1 FASTLSTM_CFLAGS=$$flags $(PIP) wheel --quiet --no-deps -w build/werror . || exit 1; \
	done

wheel: $(VENV)/installed-dev
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python tests/packaging/repair_wheel.py dist
	$(BIN)/python tests/packaging/check_dist.py dist

clean:
	rm -rf build dist $(VENV) *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find fastlstm -name '*.so' -delete
