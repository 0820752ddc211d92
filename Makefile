# What is made from what. The numbers are in pipelines/*.toml; mcls does the work.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
MCLS   := $(BIN)/mcls
DATA   ?= ../shared/data
JOBS   ?= 2

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all lint docs clean

help: ## list the targets
	@grep -hE '^[a-zA-Z0-9_%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 28

install: $(VENV)/.installed ## make .venv with mcls in it

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install ## the main job on a synthetic set, about a minute
	$(MCLS) demo

test: install ## the tests but the slow ones
	$(BIN)/python -m pytest

test-all: install ## every test
	$(BIN)/python -m pytest -m ''

lint: install ## ruff, mypy, codespell
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell mcls tests docs pipelines benchmarks *.md Makefile

docs: install ## docs/cli.md from the commands' own help
	$(BIN)/python docs/make_cli_reference.py

clean: ## remove what was made, not the audio
	rm -rf build runs
