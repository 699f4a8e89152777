#!/usr/bin/env bash
# Runs the tests of apply and of the doctor (TestLocalStack in topology and doctor) and the end-to-end test
# against LocalStack: SNS and SQS as somebody else wrote them. What it does otherwise is in
# internal/theirs/DIFFERENCES.md. No Docker: the
# last open release runs from PyPI on Python 3.13, in a virtual environment that is kept in the cache.
#
#   scripts/localstack.sh            run these tests
#   scripts/localstack.sh CMD ARG…   run something else, with AWS_ENDPOINT_URL and keys in its environment
set -euo pipefail
cd "$(dirname "$0")/.."

pins=scripts/localstack-pins.txt
cache=${XDG_CACHE_HOME:-$HOME/.cache}/stationmaster
venv=$cache/localstack-$(sha256sum "$pins" | cut -c1-12)

# python313 prints the path of a Python 3.13: LocalStack's sqs provider does not load on others.
python313() {
	local candidate
	for candidate in python3.13 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13.*/bin/python3.13 python3; do
		if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; then
			command -v "$candidate"
			return
		fi
	done
	if ! command -v uv >/dev/null; then
		python3 -m venv "$cache/uv" && "$cache/uv/bin/pip" install -q uv
		PATH=$cache/uv/bin:$PATH
	fi
	uv python install 3.13 >&2 && uv python find 3.13
}

install_localstack() {
	local python
	[ -e "$venv/.complete" ] && return
	if ! python=$(python313) || [ -z "$python" ]; then
		echo "localstack: no Python 3.13: install one (pyenv install 3.13), or uv, and try again" >&2
		return 1
	fi
	echo "localstack: installing into $venv with $python"
	rm -rf "$venv"
	"$python" -m venv "$venv"
	"$venv/bin/pip" install -q -r "$pins"
	touch "$venv/.complete"
}

# stop ends the server that this script started, and what it wrote.
server=
scratch=$(mktemp -d)
stop() {
	if [ -n "$server" ] && kill "$server" 2>/dev/null; then
		for _ in $(seq 50); do
			kill -0 "$server" 2>/dev/null || break
			sleep 0.1
		done
		kill -9 "$server" 2>/dev/null || true
	fi
	wait 2>/dev/null
	rm -rf "$scratch"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

start() {
	local address=$1 reuse=$2
	env GATEWAY_LISTEN="$address" LOCALSTACK_HOST="$address" SERVICES=sqs,sns,sts EAGER_SERVICE_LOADING=1 \
		SKIP_SSL_CERT_DOWNLOAD=1 DNS_ADDRESS=0 DISABLE_EVENTS=1 FILESYSTEM_ROOT="$scratch/root" \
		SQS_DELAY_PURGE_RETRY=1 SQS_DELAY_RECENTLY_DELETED="$reuse" SQS_ENABLE_MESSAGE_RETENTION_PERIOD=1 \
		"$venv/bin/python" -m localstack.runtime.main >"$scratch/log" 2>&1 &
	server=$!
	for _ in $(seq 240); do
		if curl -fsS "http://$address/_localstack/health" >/dev/null 2>&1; then
			return
		fi
		if ! kill -0 "$server" 2>/dev/null; then
			break
		fi
		sleep 0.25
	done
	echo "localstack: not ready on $address; it said:" >&2
	tail -n 40 "$scratch/log" >&2
	return 1
}

install_localstack
port=$("$venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
reuse=0 # whether the name of a queue that was deleted is free only after a minute, as on AWS: not for tests that wait for it
[ $# -gt 0 ] && reuse=1
start "127.0.0.1:$port" "$reuse"
endpoint=http://127.0.0.1:$port
echo "localstack: ready on $endpoint"

export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1
unset AWS_PROFILE AWS_SESSION_TOKEN
if [ $# -gt 0 ]; then
	AWS_ENDPOINT_URL=$endpoint "$@"
else
	export STATIONMASTER_E2E_ENDPOINT=$endpoint
	# One package at a time: the first two empty the server.
	go test -count=1 -p 1 -v -run '^TestLocalStack$' ./topology ./doctor >"$scratch/test" || {
		grep -vE '^ *(=== |--- (PASS|SKIP))' "$scratch/test"
		exit 1
	}
	grep -E '^(---|ok)' "$scratch/test"
	go test -race -count=1 -v -run '^TestEndToEnd' ./worker ./cli | tee -a "$scratch/test"
	# go test is content when it finds no test, or skips the one it finds; we are not.
	[ "$(grep -c '^--- PASS: TestLocalStack' "$scratch/test")" = 2 ]
	grep -q '^--- PASS: TestEndToEnd ' "$scratch/test"
	grep -q '^--- PASS: TestEndToEndReplay ' "$scratch/test"
fi
