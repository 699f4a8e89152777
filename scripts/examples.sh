#!/usr/bin/env bash
# Builds and tests the worker that is a module of its own, against this one: its list of jobs is current,
# its configuration has no faults, and its tests pass.
set -euo pipefail
cd "$(dirname "$0")/../examples/ownworker"

go mod tidy -diff
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp jobs/all/all.go "$scratch"
go run . jobs generate
diff -u "$scratch/all.go" jobs/all/all.go
go vet ./...
go test ./...
go run . config check
