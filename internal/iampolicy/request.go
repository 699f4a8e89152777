package iampolicy

import (
	"strconv"
	"strings"
	"time"
)

// Request is one use of a queue or a topic, as IAM sees it.
type Request struct {
	Principal Principal
	Action    string    // "sqs:SendMessage"
	Resource  string    // ARN
	Time      time.Time // aws:CurrentTime and aws:EpochTime; zero: they are absent
	// Context holds the values of condition keys ("aws:SourceArn"); their case does not matter. What
	// follows from Principal and Time need not be here: see values.
	Context map[string][]string
}

// values are a condition key's in the request; none: it is absent.
func (q *Request) values(key string) []string {
	for name, values := range q.Context {
		if strings.EqualFold(name, key) {
			return values
		}
	}
	value := ""
	switch key = strings.ToLower(key); {
	case key == "aws:currenttime" && !q.Time.IsZero():
		value = q.Time.UTC().Format(time.RFC3339)
	case key == "aws:epochtime" && !q.Time.IsZero():
		value = strconv.FormatInt(q.Time.Unix(), 10)
	case key == "aws:principalisawsservice":
		value = strconv.FormatBool(q.Principal.Service != "")
	case q.Principal.Service != "" && key == "aws:principalservicename":
		value = q.Principal.Service
	case q.Principal.Service == "":
		value = q.Principal.value(key)
	}
	if value == "" {
		return nil
	}
	return []string{value}
}

// value is what somebody of an account tells by a key, in lower case. Source: "AWS global condition
// context keys", IAM User Guide; aws:SourceOwner is in no guide, but the policy that SNS gives to a new
// topic lets the topic's account in by it.
func (p Principal) value(key string) string {
	if p.AWS == "" {
		return map[string]string{"aws:principaltype": "Anonymous", "aws:userid": "anonymous"}[key]
	}
	account := accountOf(p.AWS)
	_, user, isUser := strings.Cut(p.AWS, ":user/")
	role := roleOf(p.AWS)
	switch key {
	case "aws:principalaccount", "aws:sourceowner":
		return account
	case "aws:principalarn":
		switch {
		case p.AWS == account:
			return "arn:aws:iam::" + account + ":root"
		case role != "":
			return role
		}
		return p.AWS
	case "aws:principaltype":
		switch {
		case isUser:
			return "User"
		case role != "":
			return "AssumedRole"
		case canonical(p.AWS) == account:
			return "Account"
		}
	case "aws:userid": // of others it is an id that only IAM knows
		if canonical(p.AWS) == account {
			return account
		}
	case "aws:username":
		if isUser {
			return user[strings.LastIndexByte(user, '/')+1:]
		}
	}
	return ""
}
