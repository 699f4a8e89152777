#!/usr/bin/env bash
# Builds and tests the worker that is a module of its own, against this one: its list of jobs is current,
# its configuration has no faults, its tests pass, and so does its plugin what the worker looks at.
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
if command -v gcc >/dev/null; then
	go build -o "$scratch/worker" .
	"$scratch/worker" jobs build ./plugins/count -o "$scratch/plugins/count.so"
	WORKER_PLUGINS__PATHS="$scratch/plugins/*.so" "$scratch/worker" config check --config plugins/config.toml
fi
