package localaws

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stationmaster/worker/internal/iampolicy"
)

// settings are the attributes of a queue that the server acts on, read.
type settings struct {
	visibility, delay, wait, retention time.Duration
	maxSize                            int
	fifo, contentDedup, groupScope     bool
	access                             *iampolicy.Policy // nil: none
	redrive                            *redrive          // nil: messages are received for ever
	allow                              *redriveAllow     // nil: every queue may move messages here
}

type redrive struct {
	target      string // ARN of the dead-letter queue
	maxReceives int
}

type redriveAllow struct {
	permission string
	sources    []string
}

// numbers are the attributes that are whole numbers, with their bounds and defaults. Source:
// SetQueueAttributes, SQS API reference.
var numbers = map[string]struct{ min, max, preset int }{
	"VisibilityTimeout":             {0, 43_200, 30},
	"DelaySeconds":                  {0, 900, 0},
	"MaximumMessageSize":            {1_024, 1 << 20, 1 << 20},
	"MessageRetentionPeriod":        {60, 1_209_600, 345_600},
	"ReceiveMessageWaitTimeSeconds": {0, 20, 0},
	"KmsDataKeyReusePeriodSeconds":  {60, 86_400, 300},
}

// texts are the other attributes that can be set on any queue.
var texts = []string{"Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId", "SqsManagedSseEnabled"}

// computed are the attributes that only the queue itself sets.
var computed = []string{
	"QueueArn", "CreatedTimestamp", "LastModifiedTimestamp",
	"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed",
}

// presets are the attributes of a new queue.
func presets(fifo bool) map[string]string {
	m := map[string]string{"SqsManagedSseEnabled": "true"}
	if fifo {
		maps.Copy(m, fifoPresets)
	}
	for name, n := range numbers {
		m[name] = strconv.Itoa(n.preset)
	}
	return m
}

func unknownAttribute(name string) *apiError {
	return refuse("InvalidAttributeName", "Unknown Attribute %s.", name)
}

func invalidAttribute(name string) *apiError {
	return refuse("InvalidAttributeValue", "Invalid value for the parameter %s.", name)
}

// apply lays changes over attributes and reads the result. s.mu is held; neither map is changed.
func (c *call) apply(arn string, old, changes map[string]string) (map[string]string, settings, error) {
	merged := maps.Clone(old)
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		_, number := numbers[name]
		switch {
		case fifoPresets[name] != "":
			if err := checkFIFO(name, changes[name], old["FifoQueue"] == "true"); err != nil {
				return nil, settings{}, err
			}
			merged[name] = changes[name]
		case !number && !slices.Contains(texts, name):
			return nil, settings{}, unknownAttribute(name)
		case changes[name] == "" && !number:
			delete(merged, name) // the empty text takes an attribute away
		default:
			merged[name] = changes[name]
		}
	}
	if err := encryption(merged, changes); err != nil {
		return nil, settings{}, err
	}
	set, err := c.readSettings(arn, merged, changes)
	return merged, set, err
}

// encryption keeps the two kinds of encryption apart, as SQS does: a KMS key turns SQS's own off,
// and taking the key away does not turn it on again.
func encryption(merged, changes map[string]string) error {
	if value, ok := changes["SqsManagedSseEnabled"]; ok && value != "true" && value != "false" {
		return invalidAttribute("SqsManagedSseEnabled")
	}
	managed := changes["SqsManagedSseEnabled"] == "true"
	switch {
	case managed && changes["KmsMasterKeyId"] != "":
		return refuse("InvalidAttributeName", "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE.")
	case managed:
		delete(merged, "KmsMasterKeyId")
	case merged["KmsMasterKeyId"] != "":
		merged["SqsManagedSseEnabled"] = "false"
	}
	return nil
}

// readSettings reads attributes. What was not changed is not checked again: a dead-letter queue may
// be gone by now.
func (c *call) readSettings(arn string, merged, changes map[string]string) (settings, error) {
	read := map[string]int{}
	for name, n := range numbers {
		value, err := strconv.Atoi(merged[name])
		if err != nil || value < n.min || value > n.max {
			return settings{}, invalidAttribute(name)
		}
		read[name] = value
	}
	seconds := func(name string) time.Duration { return time.Duration(read[name]) * time.Second }
	set := settings{
		visibility: seconds("VisibilityTimeout"), delay: seconds("DelaySeconds"),
		wait: seconds("ReceiveMessageWaitTimeSeconds"), retention: seconds("MessageRetentionPeriod"),
		maxSize: read["MaximumMessageSize"],
	}
	if err := set.readFIFO(merged); err != nil {
		return settings{}, err
	}
	var err error
	if set.access, err = readPolicy(merged["Policy"], arn); err != nil {
		return settings{}, err
	}
	if set.redrive, err = readRedrive(merged["RedrivePolicy"]); err != nil {
		return settings{}, err
	}
	if set.redrive != nil && changes["RedrivePolicy"] != "" {
		if err := c.checkRedrive(arn, merged["RedrivePolicy"], set.redrive.target); err != nil {
			return settings{}, err
		}
	}
	set.allow, err = readRedriveAllow(merged["RedriveAllowPolicy"])
	return set, err
}

func invalidRedrive(parameter, text, format string, args ...any) *apiError {
	e := refuse("InvalidParameterValue", format, args...)
	e.Message = "Value " + text + " for parameter " + parameter + " is invalid. Reason: " + e.Message
	return e
}

// readRedrive reads {"deadLetterTargetArn":"…","maxReceiveCount":5}; the count may be a string.
func readRedrive(text string) (*redrive, error) {
	if text == "" {
		return nil, nil
	}
	invalid := func(format string, args ...any) (*redrive, error) {
		return nil, invalidRedrive("RedrivePolicy", text, format, args...)
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		return invalid("Redrive policy is not a valid JSON map.")
	}
	for _, name := range []string{"deadLetterTargetArn", "maxReceiveCount"} {
		if fields[name] == nil {
			return invalid("Redrive policy does not contain mandatory attribute: %s.", name)
		}
	}
	for name := range fields {
		if name != "deadLetterTargetArn" && name != "maxReceiveCount" {
			return invalid("Only following attributes are supported: [deadLetterTargetArn, maxReceiveCount].")
		}
	}
	target, isText := fields["deadLetterTargetArn"].(string)
	if parts := strings.Split(target, ":"); !isText || len(parts) != 6 || parts[0] != "arn" || parts[2] != "sqs" {
		return invalid("Invalid value for deadLetterTargetArn.")
	}
	count, whole := 0, false
	switch n := fields["maxReceiveCount"].(type) {
	case float64:
		count, whole = int(n), n == float64(int(n))
	case string:
		parsed, err := strconv.Atoi(n)
		count, whole = parsed, err == nil
	}
	if !whole || count < 1 || count > 1000 {
		return invalid("Invalid value for maxReceiveCount: %v, valid values are from 1 to 1000 both inclusive.", fields["maxReceiveCount"])
	}
	return &redrive{target: target, maxReceives: count}, nil
}

// checkRedrive asks the dead-letter queue whether it exists and takes messages of this queue.
func (c *call) checkRedrive(source, text, target string) error {
	dlq := c.s.queues[target]
	switch {
	case dlq == nil:
		return invalidRedrive("RedrivePolicy", text, "Dead letter target does not exist.")
	case dlq.fifo != fifoName(source):
		return invalidRedrive("RedrivePolicy", text, "Dead letter queue must be same type of queue as the source.")
	case dlq.region != c.region:
		return invalidRedrive("RedrivePolicy", text, "Dead letter target must be in the same region as the source.")
	case dlq.account != c.account:
		return invalidRedrive("RedrivePolicy", text, "Dead letter target owner should be same as the source.")
	case dlq.allow != nil && !dlq.allow.takes(source):
		return invalidRedrive("RedrivePolicy", text, "The dead letter queue's RedriveAllowPolicy does not allow the source queue %s.", source)
	}
	return nil
}

func (a *redriveAllow) takes(source string) bool {
	return a.permission == "allowAll" || a.permission == "byQueue" && slices.Contains(a.sources, source)
}

// readRedriveAllow reads {"redrivePermission":"byQueue","sourceQueueArns":[…]}.
func readRedriveAllow(text string) (*redriveAllow, error) {
	if text == "" {
		return nil, nil
	}
	var fields struct {
		RedrivePermission string   `json:"redrivePermission"`
		SourceQueueARNs   []string `json:"sourceQueueArns"`
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&fields); err != nil {
		return nil, invalidRedrive("RedriveAllowPolicy", text, "Redrive allow policy is not a valid JSON map of redrivePermission and sourceQueueArns.")
	}
	for _, arn := range fields.SourceQueueARNs {
		if parts := strings.Split(arn, ":"); len(parts) != 6 || parts[0] != "arn" || parts[2] != "sqs" {
			return nil, invalidRedrive("RedriveAllowPolicy", text, "Invalid value for sourceQueueArns: %s.", arn)
		}
	}
	n := len(fields.SourceQueueARNs)
	switch fields.RedrivePermission {
	case "allowAll", "denyAll":
		if n > 0 {
			return nil, invalidRedrive("RedriveAllowPolicy", text, "sourceQueueArns is only valid with the redrivePermission byQueue.")
		}
	case "byQueue":
		if n == 0 || n > 10 {
			return nil, invalidRedrive("RedriveAllowPolicy", text, "byQueue takes 1 to 10 sourceQueueArns, not %d.", n)
		}
	default:
		return nil, invalidRedrive("RedriveAllowPolicy", text, "Invalid value for redrivePermission: %q.", fields.RedrivePermission)
	}
	return &redriveAllow{permission: fields.RedrivePermission, sources: fields.SourceQueueARNs}, nil
}

// same says whether an attribute already has a value; documents are compared by what they say.
func same(name, have, want string) bool {
	if have == want {
		return true
	}
	var a, b any
	return slices.Contains([]string{"Policy", "RedrivePolicy", "RedriveAllowPolicy"}, name) &&
		json.Unmarshal([]byte(have), &a) == nil && json.Unmarshal([]byte(want), &b) == nil && reflect.DeepEqual(a, b)
}
