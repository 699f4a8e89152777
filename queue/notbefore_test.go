package queue_test

import (
	"testing"

	"github.com/stationmaster/worker/queue"
)

// TestARecordOutweighsTheDelayInTheEnvelope: a dead letter that is sent back starts at once.
func TestARecordOutweighsTheDelayInTheEnvelope(t *testing.T) {
	body := `{"Type":"Notification","MessageId":"1","TopicArn":"arn:aws:sns:us-east-1:000000000000:t","Message":"x",` +
		`"MessageAttributes":{"stationmaster":{"Type":"String","Value":"{\"not_before\":\"2030-01-02T03:04:05Z\"}"}}}`
	d := queue.Delivery{Message: queue.Message{Body: body}}
	n, enveloped := queue.ReadNotification(body)
	if queue.NotBefore(&d).IsZero() || queue.NotBeforeOf(&d, n, enveloped).IsZero() {
		t.Error("the time in the envelope is not read")
	}
	d.Attributes = map[string]queue.Attribute{queue.StationmasterAttribute: {Type: "String", Text: `{"v":1,"id":"a"}`}}
	if !queue.NotBefore(&d).IsZero() || !queue.NotBeforeOf(&d, n, enveloped).IsZero() {
		t.Error("a record outside does not outweigh it")
	}
}
