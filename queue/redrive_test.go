package queue_test

import (
	"testing"

	"github.com/stationmaster/worker/queue"
)

func TestReadRedrive(t *testing.T) {
	const arn = "arn:aws:sqs:us-east-1:123456789012:dlq"
	for policy, want := range map[string]queue.Redrive{
		`{"deadLetterTargetArn":"` + arn + `","maxReceiveCount":5}`:     {Target: arn, Receives: 5},
		`{"maxReceiveCount":"5","deadLetterTargetArn":"` + arn + `"}`:   {Target: arn, Receives: 5},
		`{"deadLetterTargetArn":"` + arn + `"}`:                         {Target: arn},
		`{"deadLetterTargetArn":"` + arn + `","maxReceiveCount":"few"}`: {Target: arn},
		"": {}, "{}": {}, "[": {}, `{"deadLetterTargetArn":5}`: {},
	} {
		if got := queue.ReadRedrive(policy); got != want {
			t.Errorf("%s: got %+v, want %+v", policy, got, want)
		}
	}
}
