# Everything a developer types. `make` alone lists it.

GOLANGCI_LINT_VERSION := v2.15.0

# Tools and the LocalStack environment live outside the tree, so that a clean clone is quick again.
CACHE  := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/stationmaster
LINTER := $(CACHE)/golangci-lint-$(GOLANGCI_LINT_VERSION)/golangci-lint

.DEFAULT_GOAL := help

.PHONY: help
help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## Run the worker with an embedded SNS+SQS: nothing else is needed
	@go run ./cmd/worker dev

.PHONY: dev
dev: ## Run only the embedded SNS+SQS with the topology applied
	@go run ./cmd/worker dev --aws-only

.PHONY: build
build: ## Build bin/worker
	go build -trimpath -o bin/worker ./cmd/worker

.PHONY: test
test: ## Run every test under the race detector, in random order
	go test -race -shuffle=on -timeout 5m ./...

.PHONY: race
race: ## Run what is concurrent ten times over, under the race detector
	go test -race -shuffle=on -count=10 -timeout 20m ./poller ./localaws ./worker

.PHONY: chaos
chaos: ## Kill, restart and cut off workers for a minute, and count what is lost: nothing
	STATIONMASTER_CHAOS=1 go test -count=1 -v -timeout 15m -run '^TestChaos' ./cli

.PHONY: cover
cover: ## Write coverage.out and print the total
	go test -coverpkg=./... -coverprofile=coverage.out ./...
	@go tool cover -func=coverage.out | tail -n 1

.PHONY: fuzz
fuzz: ## Fuzz each fuzz target for FUZZTIME (10s)
	scripts/fuzz.sh

.PHONY: lint
lint: $(LINTER) ## Run the linters, in the pinned version
	$(LINTER) run ./...

$(LINTER):
	GOBIN=$(@D) GOFLAGS= go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)

.PHONY: jobs
jobs: ## Write jobs/all, the list of the jobs that are compiled in
	go run ./internal/jobsgen/gen

.PHONY: actions
actions: ## Write the table of AWS's actions in the documentation of localaws
	go run ./internal/actionsgen

.PHONY: verify
verify: ## Check that generated files, modules and config.toml are as they should be
	scripts/verify.sh

.PHONY: examples
examples: ## Build and test the example that is a module of its own
	scripts/examples.sh

.PHONY: tidy
tidy: ## Bring go.mod and go.sum up to date, here and in the example
	go mod tidy
	cd examples/ownworker && go mod tidy

.PHONY: bench
bench: ## Measure the worker beside a plain SDK loop: a table, and one line that sums it up
	go run ./bench

.PHONY: bench-plugins
bench-plugins: ## Measure a job loaded from a .so beside the same one compiled in: it fails when the .so costs a tenth more
	go test -run '^$$' -bench Dispatch ./internal/plugins

.PHONY: bench-replay
bench-replay: build ## Measure replay-dlq and what it does when things go wrong: speed, memory, losses (none)
	STATIONMASTER_REPLAY_BENCH=$(CURDIR)/bin/worker go test -count=1 -v -timeout 40m -parallel 8 -run '^TestReplayBench' ./cli

.PHONY: bench-localaws
bench-localaws: ## Measure the embedded SNS and SQS beside a stub that does nothing
	go test -run '^$$' -bench 'ReceiveAndDelete|PublishToThreeQueues|Stored|WaitingPolls|Start' -benchtime 5x ./localaws

.PHONY: image
image: ## Build the container image and run it once (buildah or docker)
	scripts/image.sh

.PHONY: test-localstack
test-localstack: ## Run the tests of apply, of the doctor and end to end against LocalStack, installed from PyPI, without Docker
	scripts/localstack.sh

.PHONY: test-conformance
test-conformance: ## Check the same facts about AWS on the embedded server and on LocalStack
	env -u AWS_ENDPOINT_URL scripts/conformance.sh
	scripts/localstack.sh scripts/conformance.sh

.PHONY: test-browser
test-browser: ## Look at the page of examples/broadcast in Chromium, with a real Redis (apt-get install chromium redis-server)
	STATIONMASTER_BROWSER=$${STATIONMASTER_BROWSER:-chromium} go test -count=1 -v -run TestBrowser ./examples/broadcast

.PHONY: test-clients
test-clients: ## Let boto3, the AWS CLI and sqs-consumer talk to the embedded SNS and SQS
	scripts/clients.sh
