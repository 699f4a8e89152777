#!/usr/bin/env bash
# The AWS CLI, as an operator types it.
set -euo pipefail

# Version 1 of the CLI reads AWS_ENDPOINT_URL for SNS, but not for SQS in us-east-1.
call() { aws --endpoint-url "$AWS_ENDPOINT_URL" --output text "$@"; }
checks=0
same() { # same WHAT GOT WANT
	[ "$2" = "$3" ] || { echo "aws cli: $1: got '$2', want '$3'" >&2; exit 1; }
	checks=$((checks + 1))
}

name=cli-$$-$RANDOM
queue=$(call sqs create-queue --queue-name "$name" --query QueueUrl)
arn=$(call sqs get-queue-attributes --queue-url "$queue" --attribute-names QueueArn --query Attributes.QueueArn)
same "the ARN ends in the name" "${arn##*:}" "$name"
same "the default visibility timeout" "$(call sqs get-queue-attributes --queue-url "$queue" --attribute-names All --query Attributes.VisibilityTimeout)" 30
topic=$(call sns create-topic --name "$name" --query TopicArn)
policy=$(printf '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"%s"}]}' "$arn")
call sqs set-queue-attributes --queue-url "$queue" --attributes "$(printf '%s' "$policy" | python3 -c 'import json, sys; print(json.dumps({"Policy": sys.stdin.read()}))')"
call sns subscribe --topic-arn "$topic" --protocol sqs --notification-endpoint "$arn" --attributes RawMessageDelivery=true >/dev/null
id=$(call sns publish --topic-arn "$topic" --message hello --query MessageId)
same "a MessageId is a UUID" "${#id}" 36
same "the message arrives" "$(call sqs receive-message --queue-url "$queue" --wait-time-seconds 2 --query 'Messages[0].Body')" hello
error=$(call sqs get-queue-url --queue-name "$name-none" 2>&1 || true)
same "what is not there is named" "$(grep -c 'NonExistentQueue' <<<"$error")" 1
call sns delete-topic --topic-arn "$topic"
call sqs delete-queue --queue-url "$queue"
echo "$(aws --version 2>&1 | cut -d' ' -f1 | tr / ' '): $checks checks passed"
