#!/usr/bin/env bash
# Checks what no test sees: that generated files are current, that go.mod says what is imported, that
# downloaded modules are unchanged, and that the config.toml we ship is one we accept.
set -euo pipefail
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

cp -R jobs/all "$scratch/all"
go run ./internal/jobsgen/gen
if ! diff -ru "$scratch/all" jobs/all; then
	echo "jobs/all was not current: commit what make jobs wrote" >&2
	exit 1
fi
cp localaws/doc_actions.go "$scratch"
go run ./internal/actionsgen
if ! diff -u "$scratch/doc_actions.go" localaws/doc_actions.go; then
	echo "localaws/doc_actions.go was not current: commit what make actions wrote" >&2
	exit 1
fi
go mod tidy -diff
go mod verify
# The one setting that a file must not hold; any key of 24 bytes will do here.
WORKER_JOBS__WEBHOOK__SECRET=whsec_$(printf '%024d' 0 | base64) go run ./cmd/worker config check --config config.toml
