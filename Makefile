# datawatch: make alone lists what there is to make.

MODULES := pkg collector preprocessor validator deploy
LINT    := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
ROOT    := $(CURDIR)

# The tests' servers are needed where CI runs; elsewhere what is missing skips with a line that says so.
export DATAWATCH_REQUIRE_SERVERS ?= $(if $(CI),1,)

.DEFAULT_GOAL := help
.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z\/-]+:.*## / {printf "  \033[1m%-22s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Use

.PHONY: demo
demo: ## Run the whole pipeline with a shop, its PostgreSQL, Kafka and MongoDB, and a chat page (Ctrl-C ends it)
	@cd deploy && go build -o $(ROOT)/bin/demo ./cmd/demo && exec $(ROOT)/bin/demo

.PHONY: build
build: ## Build the programs into bin/
	@mkdir -p bin
	@for s in collector preprocessor validator; do (cd $$s && go build -o $(ROOT)/bin/ ./cmd/$$s) || exit 1; done
	@cd deploy && go build -o $(ROOT)/bin/ ./cmd/standalone

##@ Test

.PHONY: test
test: ## Run every test of every module with -race, on real servers
	go test -race -p 3 -timeout 25m $(TESTFLAGS) work
	go test -timeout 5m $(TESTFLAGS) -run '^TestWriterThatTheBrokerGaveUpIsOpenedAgain$$' datawatch/collector/internal/supervise
	go test -timeout 5m $(TESTFLAGS) -run '^TestProcessStaysSmallWhateverUnfolds$$' datawatch/preprocessor

.PHONY: test/postgres-versions
test/postgres-versions: ## Run the tests of capture on each supported version of PostgreSQL, 13 to 18
	@for v in $${VERSIONS:-13 14 15 16 17 18}; do echo "PostgreSQL $$v"; \
	  (cd collector && DATAWATCH_REQUIRE_SERVERS=1 DATAWATCH_TEST_POSTGRES_VERSION=$$v go test -count=1 -timeout 15m -skip TestOtherVersions $(TESTFLAGS) ./internal/postgres/...) || exit 1; done

.PHONY: servers
servers: ## Fetch the servers that the tests run on into the cache
	@cd pkg && go run ./testrig/cmd/fetch && go run ./testrig/cmd/fetch -kafka 3.9.1

.PHONY: soak
soak: ## Run the kill, fault and soak tests for DATAWATCH_SOAK each (default 5m)
	DATAWATCH_SOAK=$${DATAWATCH_SOAK:-5m} DATAWATCH_REQUIRE_SERVERS=1 go test -race -count=1 -timeout 0 -run 'Soak|Kill|Model|Survives|Cut|Faulty|SlowOrAbsent|UnderWrites' work

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (default 20s)
	@for m in $(MODULES); do (cd $$m && for p in $$(go list ./...); do \
	  for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	    echo "fuzz $$p $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $${FUZZTIME:-20s} $$p || exit 1; done; done) || exit 1; done

.PHONY: bench
bench: ## Run the benchmarks: ratios against a bound measured in the same run
	@go test -run '^$$' -bench . -benchmem work

##@ Check

.PHONY: ci
ci: export DATAWATCH_SOAK ?= 20s
ci: TESTFLAGS += -skip '^TestDemoShows' # demo/check runs it
ci: format lint modules build test demo/check ## All that CI checks

.PHONY: format
format: ## Check the formatting (make format/fix mends it)
	@files=$$(gofmt -l $(MODULES)); if [ -n "$$files" ]; then echo "not formatted; run make format/fix:"; echo "$$files"; exit 1; fi

.PHONY: format/fix
format/fix: ## Format the code
	@gofmt -w $(MODULES)

.PHONY: lint
lint: ## Lint every module; the architecture is drawn in .golangci.yml
	$(LINT) config verify
	$(LINT) run $$(go list -m -f '{{.Dir}}/...')

.PHONY: modules
modules: ## Check go.work, go.mod and that each module builds without the workspace
	@cp go.work.sum /tmp/go.work.sum.$$$$ 2>/dev/null; go work sync && git diff --exit-code --stat -- '*go.mod' '*go.sum'
	@for m in $(MODULES); do (cd $$m && GOWORK=off go mod tidy -diff && GOWORK=off go build ./... && GOWORK=off go vet ./...) || exit 1; done

.PHONY: demo/check
demo/check: ## Start the demo, wait for its first alert, stop it, and see that nothing is left
	@cd deploy && go test -count=1 -run TestDemo ./cmd/demo
