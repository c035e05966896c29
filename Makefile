# Everything here is a shorthand; each line can be typed by hand.
.DEFAULT_GOAL := help
.PHONY: help dev test fuzz check fmt lint bench psql up down

DATA ?= .rollcall
FUZZTIME ?= 10s
TOOL := go tool -modfile=tools/go.mod

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

dev: ## Run everything in one process: API, worker, Temporal with its Web UI, PostgreSQL, the dev world
	go run ./cmd/rollcall-dev --data $(DATA)

test: ## Run the tests
	go test ./...

fuzz: ## Try every decoder with input that nobody thought of, each for FUZZTIME
	@grep -rn --include='*_test.go' '^func Fuzz' . | sed -E 's|^(.*)/[^/]*:[0-9]+:func (Fuzz[A-Za-z]*).*|\1 \2|' | sort | \
	while read -r package target; do \
		echo "$$package $$target"; \
		go test $$package -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x < /dev/null || exit; \
	done

check: ## Run everything that CI runs
	.ci/run

fmt: ## Format the code
	$(TOOL) golangci-lint fmt

lint: ## Look for mistakes, and for imports that climb a floor
	$(TOOL) golangci-lint run
	$(TOOL) workflowcheck ./workflows/...

bench: ## Measure this machine against the budgets
	go run ./cmd/rollcall-bench

psql: ## Open the database of the compose file
	docker compose exec postgres psql -U rollcall rollcall

up: ## Start the production shape with Docker Compose
	docker compose up --detach --wait

down: ## Stop it; the data stays
	docker compose down
