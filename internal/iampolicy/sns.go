package iampolicy

import (
	"slices"
	"time"
)

// SNS is the service that delivers to queues, as a policy names it.
const SNS = "sns.amazonaws.com"

// optIn are the regions that an account has to switch on. Source: "AWS Regions", AWS Account Management
// Reference Guide.
var optIn = []string{
	"af-south-1", "ap-east-1", "ap-east-2", "ap-south-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5",
	"ap-southeast-6", "ap-southeast-7", "ca-west-1", "eu-central-2", "eu-south-1", "eu-south-2", "il-central-1",
	"me-central-1", "me-south-1", "mx-central-1",
}

// SNSFrom is who SNS is to a queue: from a region that has to be switched on to one that has not, it
// comes by the name of its region. Source: "Cross-region delivery", SNS Developer Guide.
func SNSFrom(topicRegion, queueRegion string) string {
	if slices.Contains(optIn, topicRegion) && !slices.Contains(optIn, queueRegion) {
		return "sns." + topicRegion + ".amazonaws.com"
	}
	return SNS
}

// Delivery is the request by which SNS, as service, puts a message of a topic of account into a queue.
func Delivery(service, topicARN, account, queueARN string, now time.Time) Request {
	return Request{
		Principal: Principal{Service: service}, Action: "sqs:SendMessage", Resource: queueARN, Time: now,
		Context: map[string][]string{
			"aws:SourceArn": {topicARN}, "aws:SourceAccount": {account}, "aws:SecureTransport": {"true"},
		},
	}
}
