package localaws

import (
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// phone is a number that SNS takes. Source: ITU E.164, which AWS's documentation names.
var phone = regexp.MustCompile(`^\+?[1-9][0-9]{1,14}$`)

var roleARN = regexp.MustCompile(`^arn:[a-z-]+:iam::[0-9]{12}:role/.+$`)

// rawProtocols can have raw message delivery. Source: "Amazon SNS raw message delivery", Developer
// Guide.
var rawProtocols = []string{"sqs", "http", "https", "firehose"}

func isHTTP(protocol string) bool { return protocol == "http" || protocol == "https" }

// checkEndpoint takes what can be subscribed to a topic, by its spelling alone.
func checkEndpoint(protocol, endpoint string, t *topic) *apiError {
	switch protocol {
	case "sqs":
		return checkQueue(endpoint, t)
	case "http", "https", "email", "email-json", "sms", "lambda", "firehose", "application":
	default:
		return invalidParameter("Amazon SNS does not support this protocol string: %s", protocol)
	}
	if t.fifo {
		return invalidParameter("Protocol Reason: a FIFO topic delivers to SQS queues only, not by %s", protocol)
	}
	switch protocol {
	case "http", "https":
		u, err := url.Parse(endpoint)
		if err != nil || u.Scheme != protocol || u.Host == "" {
			return invalidParameter("Endpoint must match the specified protocol")
		}
	case "email", "email-json":
		if _, err := mail.ParseAddress(endpoint); err != nil {
			return invalidParameter("Email address")
		}
	case "sms":
		if !phone.MatchString(endpoint) {
			return refuse("InvalidParameter", "Invalid SMS endpoint: %s", endpoint)
		}
	case "lambda":
		return checkARN(endpoint, "lambda", "Lambda endpoint ARN")
	case "firehose":
		return checkARN(endpoint, "firehose", "Firehose endpoint ARN")
	case "application":
		return checkARN(endpoint, "sns", "ApplicationEndpoint ARN")
	}
	return nil
}

func checkQueue(endpoint string, t *topic) *apiError {
	_, name, ok := queueOf(endpoint)
	switch {
	case !ok:
		return invalidParameter("SQS endpoint ARN")
	case isFIFO(name) && !t.fifo:
		return invalidParameter("Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics")
	}
	return nil
}

func checkARN(arn, service, what string) *apiError {
	parts := strings.Split(arn, ":")
	if len(parts) < 6 || parts[0] != "arn" || parts[2] != service || slices.Contains(parts[:6], "") {
		return invalidParameter("%s", what)
	}
	return nil
}

// queueOf takes a queue's ARN apart.
func queueOf(arn string) (account, name string, ok bool) {
	parts := strings.Split(arn, ":")
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "sqs" || parts[3] == "" || parts[5] == "" {
		return "", "", false
	}
	return parts[4], parts[5], true
}

// asks tells whether a new subscription has to be confirmed: by whoever reads the mail or answers at
// the URL, and by the owner of a queue that somebody else subscribes.
func (sub *subscription) asks() bool {
	switch sub.options.protocol {
	case "http", "https", "email", "email-json":
		return true
	case "sqs":
		account, _, _ := queueOf(sub.endpoint)
		return account != sub.account
	default:
		return false
	}
}
