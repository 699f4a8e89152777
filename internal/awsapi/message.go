package awsapi

import (
	"crypto/fips140"
	"crypto/md5" // a checksum that SQS defines, not a protection
	"encoding/hex"
	"strconv"
	"time"

	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/stationmaster/worker/queue"
)

// checksums is false where MD5 is forbidden and using it would panic.
var checksums = !fips140.Enforced()

// intact tells whether body has the MD5 that SQS gave with it. A missing sum is no fault.
func intact(body, sum *string) bool {
	if !checksums || body == nil || sum == nil {
		return true
	}
	digest := md5.Sum([]byte(*body))
	var text [2 * md5.Size]byte
	hex.Encode(text[:], digest[:])
	return string(text[:]) == *sum
}

// read fills d in place from what SQS sent.
func read(d *queue.Delivery, m *types.Message, received time.Time, lease time.Duration) {
	system := m.Attributes
	d.Body = value(m.Body)
	d.MessageID = value(m.MessageId)
	d.Handle = queue.ReceiptHandle(value(m.ReceiptHandle))
	d.GroupID = system["MessageGroupId"]
	d.DeduplicationID = system["MessageDeduplicationId"]
	d.TraceHeader = system["AWSTraceHeader"]
	d.SourceARN = system["DeadLetterQueueSourceArn"]
	d.Sent = milliseconds(system["SentTimestamp"])
	d.FirstReceived = milliseconds(system["ApproximateFirstReceiveTimestamp"])
	d.Received = received
	d.Deadline = received.Add(lease)
	// A server that does not count has delivered it at least this once.
	d.Receives = 1
	if n, err := strconv.Atoi(system["ApproximateReceiveCount"]); err == nil && n > 0 {
		d.Receives = n
	}
	if len(m.MessageAttributes) == 0 {
		return
	}
	d.Attributes = make(map[string]queue.Attribute, len(m.MessageAttributes))
	for name, a := range m.MessageAttributes {
		d.Attributes[name] = queue.Attribute{Type: value(a.DataType), Text: value(a.StringValue), Binary: a.BinaryValue}
	}
}

// milliseconds reads SQS's epoch milliseconds; the zero time when it is none.
func milliseconds(text string) time.Time {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(n)
}

// binary tells the types that carry bytes: "Binary" and its custom kinds, "Binary.png".
func binary(dataType string) bool {
	const word = "Binary"
	return len(dataType) >= len(word) && dataType[:len(word)] == word &&
		(len(dataType) == len(word) || dataType[len(word)] == '.')
}

func sqsAttributes(from map[string]queue.Attribute) map[string]types.MessageAttributeValue {
	if len(from) == 0 {
		return nil
	}
	to := make(map[string]types.MessageAttributeValue, len(from))
	for name, a := range from {
		if v := (types.MessageAttributeValue{DataType: &a.Type}); binary(a.Type) {
			v.BinaryValue = a.Binary
			to[name] = v
		} else {
			v.StringValue = &a.Text
			to[name] = v
		}
	}
	return to
}

func snsAttributes(from map[string]queue.Attribute) map[string]snstypes.MessageAttributeValue {
	if len(from) == 0 {
		return nil
	}
	to := make(map[string]snstypes.MessageAttributeValue, len(from))
	for name, a := range from {
		if v := (snstypes.MessageAttributeValue{DataType: &a.Type}); binary(a.Type) {
			v.BinaryValue = a.Binary
			to[name] = v
		} else {
			v.StringValue = &a.Text
			to[name] = v
		}
	}
	return to
}
