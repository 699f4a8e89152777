// Package awsarn takes the ARNs of queues, topics and subscriptions apart. Source: "Identify AWS resources
// with Amazon Resource Names (ARNs)", IAM User Guide.
package awsarn

import "strings"

// ARN is one in its parts. Resource may have colons: a subscription's is the name of its topic and an id.
type ARN struct{ Partition, Service, Region, Account, Resource string }

// Parse takes one apart. What is no ARN has no parts: the zero ARN.
func Parse(s string) ARN {
	parts := strings.SplitN(s, ":", 6)
	if len(parts) < 6 || parts[0] != "arn" {
		return ARN{}
	}
	return ARN{Partition: parts[1], Service: parts[2], Region: parts[3], Account: parts[4], Resource: parts[5]}
}

// Is tells an ARN from a name, a URL, or a word that AWS lists in its place.
func Is(s string) bool { return strings.HasPrefix(s, "arn:") }

// Name is what stands behind the last colon: the name of a queue or a topic. A name is its own.
func Name(s string) string { return s[strings.LastIndexByte(s, ':')+1:] }
