package doctor

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/stationmaster/worker/internal/period"
)

// Attributes as SQS and SNS spell them.
const (
	attrPolicy       = "Policy"
	attrRedrive      = "RedrivePolicy"
	attrRedriveAllow = "RedriveAllowPolicy"
	attrVisibility   = "VisibilityTimeout"
	attrRetention    = "MessageRetentionPeriod"
	attrMaxSize      = "MaximumMessageSize"
	attrKey          = "KmsMasterKeyId"
	attrSSE          = "SqsManagedSseEnabled"
	attrDelay        = "DelaySeconds"
	attrWait         = "ReceiveMessageWaitTimeSeconds"
	attrByContent    = "ContentBasedDeduplication"
	attrRaw          = "RawMessageDelivery"
	attrFilter       = "FilterPolicy"
	attrScope        = "FilterPolicyScope"
	attrSignature    = "SignatureVersion"
)

func isFIFO(name string) bool { return strings.HasSuffix(name, ".fifo") }

func kind(fifo bool) string {
	if fifo {
		return "FIFO"
	}
	return "standard"
}

// number reads an attribute; ok is false when it is not there.
func number(attributes map[string]string, name string) (n int, ok bool) {
	n, err := strconv.Atoi(attributes[name])
	return n, err == nil
}

// seconds reads an attribute that is a number of seconds.
func seconds(attributes map[string]string, name string) (d time.Duration, ok bool) {
	n, ok := number(attributes, name)
	return time.Duration(n) * time.Second, ok
}

// human says a duration: 14 days, 1h30m.
func human(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day && d%day == 0 {
		return strconv.Itoa(int(d/day)) + " days"
	}
	return period.Text(d)
}

// quote makes one word of the shell.
func quote(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,@%+", r)
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// compact is v as JSON for a command line.
func compact(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return "" // what is given here always marshals
	}
	return string(text)
}

// setQueue is the plain command that sets attributes of a queue.
func setQueue(url string, attributes map[string]string) string {
	return "aws sqs set-queue-attributes --queue-url " + quote(url) + " --attributes " + quote(compact(attributes))
}

// setSubscription is the plain command that sets an attribute of a subscription.
func setSubscription(arn, name, value string) string {
	return "aws sns set-subscription-attributes --subscription-arn " + quote(arn) + " --attribute-name " + name + " --attribute-value " + quote(value)
}

// setTopic is the plain command that sets an attribute of a topic.
func setTopic(arn, name, value string) string {
	return "aws sns set-topic-attributes --topic-arn " + quote(arn) + " --attribute-name " + name + " --attribute-value " + quote(value)
}
