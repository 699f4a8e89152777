#!/usr/bin/env bash
# Runs each fuzz target of the module for FUZZTIME. The go command fuzzes one target at a time.
set -euo pipefail
cd "$(dirname "$0")/.."

found=0
while IFS=: read -r file line; do
	target=${line#func }
	target=${target%%(*}
	found=$((found + 1))
	go test -run '^$' -fuzz "^${target}\$" -fuzztime "${FUZZTIME:-10s}" "$(dirname "$file")"
done < <(grep -r --include='*_test.go' --exclude-dir=.git '^func Fuzz' .)
echo "fuzzed $found targets"
