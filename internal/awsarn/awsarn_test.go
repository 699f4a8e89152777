package awsarn_test

import (
	"testing"

	"github.com/stationmaster/worker/internal/awsarn"
)

func TestAnARNInItsParts(t *testing.T) {
	const topic = "arn:aws-cn:sns:cn-north-1:123456789012:news"
	for _, tt := range []struct {
		text string
		want awsarn.ARN
		is   bool
		name string
	}{
		{topic, awsarn.ARN{Partition: "aws-cn", Service: "sns", Region: "cn-north-1", Account: "123456789012", Resource: "news"}, true, "news"},
		{topic + ":5a1e", awsarn.ARN{Partition: "aws-cn", Service: "sns", Region: "cn-north-1", Account: "123456789012", Resource: "news:5a1e"}, true, "5a1e"},
		{"arn:aws:iam::123456789012:root", awsarn.ARN{Partition: "aws", Service: "iam", Account: "123456789012", Resource: "root"}, true, "root"},
		{"arn:aws:sqs:us-east-1", awsarn.ARN{}, true, "us-east-1"},
		{"urn:aws:sqs:us-east-1:123456789012:q", awsarn.ARN{}, false, "q"},
		{"PendingConfirmation", awsarn.ARN{}, false, "PendingConfirmation"},
		{"", awsarn.ARN{}, false, ""},
	} {
		if got := awsarn.Parse(tt.text); got != tt.want {
			t.Errorf("%q is %+v, want %+v", tt.text, got, tt.want)
		}
		if is, name := awsarn.Is(tt.text), awsarn.Name(tt.text); is != tt.is || name != tt.name {
			t.Errorf("%q: is %v, name %q", tt.text, is, name)
		}
	}
}
