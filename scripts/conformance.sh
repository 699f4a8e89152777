#!/usr/bin/env bash
# Checks the facts about AWS of localaws' TestConformance: on the embedded server, or on the one that
# AWS_ENDPOINT_URL names; scripts/localstack.sh starts one.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -n "${AWS_ENDPOINT_URL:-}" ]; then
	export LOCALAWS_CONFORMANCE_ENDPOINT=$AWS_ENDPOINT_URL
fi
go test -count=1 -v -run '^TestConformance$' ./localaws | grep -E 'conformance|^ +--- FAIL|^(---|ok|FAIL)'
