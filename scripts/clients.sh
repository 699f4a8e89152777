#!/usr/bin/env bash
# Lets three clients that nobody here wrote talk to the embedded SNS and SQS: boto3 and the AWS CLI from
# PyPI, and sqs-consumer, a worker in JavaScript, from npm; and the last boto3 that spoke SQS's Query
# protocol. They are kept in the cache.
set -euo pipefail
cd "$(dirname "$0")/.."

clients=$PWD/scripts/clients
cache=${XDG_CACHE_HOME:-$HOME/.cache}/stationmaster
home=$cache/clients-$(cat "$clients/pins.txt" "$clients/pins-query.txt" "$clients/package.json" | sha256sum | cut -c1-12)

install_clients() {
	[ -e "$home/.complete" ] && return
	echo "clients: installing into $home"
	rm -rf "$home" && mkdir -p "$home"
	python3 -m venv "$home/python"
	"$home/python/bin/pip" install -q -r "$clients/pins.txt"
	python3 -m venv "$home/query"
	"$home/query/bin/pip" install -q -r "$clients/pins-query.txt"
	cp "$clients/package.json" "$home/"
	(cd "$home" && npm install --silent --no-audit --no-fund --no-package-lock)
	touch "$home/.complete"
}

server=
scratch=$(mktemp -d)
stop() {
	[ -n "$server" ] && kill "$server" 2>/dev/null
	wait
	rm -rf "$scratch"
}
trap stop EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

install_clients
go build -o "$scratch/worker" ./cmd/worker
port=$(free_port) admin=$(free_port)
"$scratch/worker" dev --aws-addr "127.0.0.1:$port" --admin-addr "127.0.0.1:$admin" >"$scratch/log" 2>&1 &
server=$!
for _ in $(seq 100); do
	curl -fsS "http://127.0.0.1:$admin/readyz" >/dev/null 2>&1 && break
	sleep 0.1
done

export AWS_ENDPOINT_URL=http://127.0.0.1:$port AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
unset AWS_PROFILE AWS_SESSION_TOKEN
"$home/python/bin/python" "$clients/invitations.py" "http://127.0.0.1:$admin/status" || { tail -n 30 "$scratch/log" >&2; exit 1; }
"$home/python/bin/python" "$clients/boto.py"
"$home/query/bin/python" "$clients/boto.py"
PATH=$home/python/bin:$PATH "$clients/cli.sh"
cp "$clients/consumer.mjs" "$home/" # node finds its modules beside the script
node --no-warnings "$home/consumer.mjs"
