# The menu: make help.  Everything runs in .venv, which is made from requirements.txt when it is missing or older.
PYTHON ?= python3.11
BIN := .venv/bin
# SentencePiece's types are freed behind pytest's closing line, with a warning about them
QUIET := PYTHONWARNINGS="ignore:builtin type swig:DeprecationWarning"
# two at a time: half the suite waits for processes that it starts
TWO := -n 2 --dist worksteal
.DEFAULT_GOAL := help
.PHONY: help demo test test-fast lint preflight bench bench-workload bench-optimizers parity faults check doctor calibrate watch card verify clean

help:            ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.venv/done: requirements.txt setup.cfg
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

demo: .venv/done ## prepare real digits, train to the target on the CPU, print and plot the time
	$(BIN)/algoperf-prepare digits --out demo/data/digits --verify
	$(BIN)/python train.py workload=digits submission=nadamw trainer=cpu data.dir=demo/data experiment_dir=demo/experiments

test: .venv/done ## the whole test suite
	$(QUIET) $(BIN)/python -m pytest $(TWO)

test-fast: .venv/done ## the tests that take less than five seconds each
	$(QUIET) $(BIN)/python -m pytest $(TWO) -m "not slow and not ddp"

lint: .venv/done ## style and types
	$(BIN)/flake8
	$(BIN)/isort --check --quiet .
	$(BIN)/mypy

preflight: .venv/done ## memory, speed, hours and price of a trial: make preflight W=wmt S=nadamw
	$(BIN)/python -m algoperf_pt.preflight workload=$(W) submission=$(S)

bench-workload: .venv/done ## a workload's speed: make bench-workload W=cifar
	$(BIN)/python scripts/bench_workload.py --workload $(W) --what step eval loader trial

bench: .venv/done ## our cost per step, time to an error and to the first step, memory
	$(BIN)/python scripts/bench_overhead.py

bench-optimizers: .venv/done ## what an update costs: make bench-optimizers W=ogbg S="nadamw soap"
	$(BIN)/python scripts/bench_optimizers.py --workloads $(W) --rules $(S)

parity: .venv/done ## our models, losses and metrics against the golden numbers
	for fixture in tests/golden/*/; do $(BIN)/python scripts/parity.py --fixture $$fixture || exit 1; done

faults: .venv/done ## harm real trials, data and logs in every way we know; writes docs/reliability.md
	$(BIN)/python scripts/fault_campaign.py --markdown docs/reliability.md

check: .venv/done ## is a submission within the rules? make check S=my_opt (a folder, a YAML, a class, a name)
	$(BIN)/python -m algoperf_pt.check $(S)

doctor: .venv/done ## is this machine fit for a trial?  a line for each problem with its fix
	$(BIN)/python -m algoperf_pt.doctor

calibrate: .venv/done ## time this machine: kernels and a step of each workload; trials take it along
	$(BIN)/python -m algoperf_pt.calibrate

watch: .venv/done ## all trials while they run: make watch E="experiments --serve"
	$(BIN)/python -m algoperf_pt.watch $(E)

card: .venv/done ## a page of a trial: make card F=FOLDER
	$(BIN)/python -m algoperf_pt.card $(F)

verify: .venv/done ## do all files of trials agree? make verify F=experiments
	$(BIN)/python -m algoperf_pt.verify $(F)

clean:           ## remove the environment and the demo
	rm -rf .venv demo build *.egg-info
