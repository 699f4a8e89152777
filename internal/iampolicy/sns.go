package iampolicy

import (
	"maps"
	"slices"
	"strings"
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

// SNSFrom is who SNS is to a queue or a function: from a region that has to be switched on to one that has
// not, it comes by the name of its region. In the other direction, and within a region, it comes as
// everywhere; between two regions that have to be switched on it does not deliver. Source: "Sending Amazon
// SNS messages to an Amazon SQS queue or AWS Lambda function in a different Region", SNS Developer Guide.
func SNSFrom(topicRegion, queueRegion string) string {
	if slices.Contains(optIn, topicRegion) && !slices.Contains(optIn, queueRegion) {
		return "sns." + topicRegion + ".amazonaws.com"
	}
	return SNS
}

// ownSid names our statement in a queue's policy; those for principals of regions are named after them.
const ownSid = "stationmaster-sns"

// Admission lets topics send to a queue: one statement for each principal by whom SNS comes, with all of
// its topics, because a policy may have ten conditions only ("Amazon SQS policy quotas", Developer Guide),
// and a list of topics counts as one. The conditions name the topics and not their subscriptions, also on
// a dead-letter queue of a delivery.
func Admission(queueARN string, topicARNs ...string) []Statement {
	by := map[string][]string{}
	for _, topic := range topicARNs {
		service := SNSFrom(regionOf(topic), regionOf(queueARN))
		by[service] = append(by[service], topic)
	}
	var all []Statement
	for _, service := range slices.Sorted(maps.Keys(by)) {
		sid := ownSid
		if service != SNS {
			sid += "-" + regionOf(by[service][0])
		}
		all = append(all, Statement{
			Sid: sid, Effect: "Allow", Principal: map[string]string{"Service": service}, Action: "sqs:SendMessage", Resource: queueARN,
			Condition: map[string]map[string][]string{"ArnEquals": {"aws:SourceArn": by[service]}},
		})
	}
	return all
}

// regionOf is the region of an ARN; empty when it is none.
func regionOf(arn string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		return parts[3]
	}
	return ""
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
