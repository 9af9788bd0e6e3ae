# Thin: each target is one or two commands that can also be typed by hand.
# PYTHON=python3.12 picks the interpreter that makes .venv; CONSTRAINTS= installs the newest versions instead of the pinned ones.
PYTHON ?= python3
CONSTRAINTS ?= -c constraints.txt
BIN := .venv/bin
READY := .venv/ready
LAB_READY := .venv/lab-ready
BENCH := .venv-bench/bin
BENCH_READY := .venv-bench/ready
COMPARISONS := metrics gan_step dcgan_step vgan_step mocogan_step tganv2_step moving_digits quantizer transformer videogpt_step videogpt_cache video_diffusion nuwa latte
TIMED := gan digits-3d
NBVAL := --nbval --nbval-current-env --nbval-sanitize-with tests/nbval.ini --nbval-cell-timeout 300 --ignore=notebooks/student
# Tests are shared out between two processes; those of one file stay together.
SHARED := -n 2 --dist loadfile

export OMP_NUM_THREADS = 1

.PHONY: help book slides pdf browser test notebooks lab tensorboard checkpoints bench board versions address clean

help:
	@echo "make book         build the pages from the committed outputs, and print where they are"
	@echo "make slides       the pictures and films of each chapter as slides for a class, in _build/slides"
	@echo "make pdf          the whole book as one PDF, _build/vidgen_lab.pdf, printed by Chromium"
	@echo "make browser      visit every page in Chromium, and write results/browser.json"
	@echo "make test         style, import contracts, unit tests, every lab cell, the repository itself"
	@echo "make notebooks    run every lab again at preset ci and write its outputs, card and set-up cell"
	@echo "make lab          open the labs in JupyterLab"
	@echo "make tensorboard  open TensorBoard on runs/"
	@echo "make checkpoints  list the weights that ship, and how to train them again"
	@echo "make bench        speed and memory beside public peers, which get an environment of their own (long)"
	@echo "make board        train every model of the leaderboard again; make book ranks them (hours)"
	@echo "make versions     unit tests and lab 1 on older torch versions, in fresh environments (long)"
	@echo "make address URL=https://github.com/OWNER/REPO   change the repository's address everywhere"
	@echo "make clean        remove what was built; .venv stays"

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is too old: Python 3.11 or later is needed. Try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install $(CONSTRAINTS) -e '.[book,test]'
	touch $@

$(LAB_READY): $(READY)
	$(BIN)/python -m pip install $(CONSTRAINTS) -e '.[teach]'
	touch $@

book: $(READY)
	$(BIN)/jupyter-book build . --all -W -n --keep-going --quiet
	@echo "The book is built: $(CURDIR)/_build/html/index.html"

slides: $(READY)
	$(BIN)/python tools/slides.py

pdf: $(READY)
	$(BIN)/python tools/print_book.py

browser: $(READY)
	$(BIN)/python tools/browser.py

test: export VIDGEN_PRESET = ci
test: book
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python -m pytest notebooks $(NBVAL) $(SHARED)
	$(BIN)/python -m pytest tests $(SHARED) --cov=vidgen_lab --cov-report=
	@echo "Coverage of vidgen_lab in %, at least 90 (coverage report shows the lines):"
	@$(BIN)/coverage report --fail-under=90 --format=total

notebooks: $(READY)
	$(BIN)/python tools/labs.py run

lab: $(LAB_READY)
	$(BIN)/jupyter lab notebooks

tensorboard: $(READY)
	$(BIN)/tensorboard --logdir runs

checkpoints: $(READY)
	$(BIN)/python tools/checkpoints.py

# The peers lie in an environment of their own, which sees that of the course.
$(BENCH_READY): $(READY) benchmarks/requirements.txt
	$(BIN)/python -m venv .venv-bench
	$(BIN)/python -c 'import site; print("import site; site.addsitedir(%r)" % site.getsitepackages()[0])' \
		> $$($(BENCH)/python -c 'import site; print(site.getsitepackages()[0])')/course.pth
	$(BENCH)/python -m pip install $(CONSTRAINTS) -r benchmarks/requirements.txt
	touch $@

bench: export TQDM_DISABLE = 1
bench: $(BENCH_READY)
	for name in $(COMPARISONS); do \
		$(BENCH)/python -W ignore benchmarks/$$name.py --json results/bench-$$(echo $$name | tr _ -).json || exit 1; \
	done
	for name in $(TIMED); do $(BIN)/vidgen bench $$name --preset ci --device cpu --json results/speed-$$name.json || exit 1; done

board: $(READY)
	$(BIN)/vidgen bench --board

versions: $(READY)
	$(BIN)/python tools/versions.py

address: $(READY)
	$(BIN)/python tools/address.py $(URL)

clean:
	rm -rf _build build dist .pytest_cache .ruff_cache .import_linter_cache .coverage *.egg-info
