package queue

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// StationmasterAttribute is the one message attribute that this program writes: JSON with the
// message's stable id ("id"), when it may start ("not_before"), and, on a dead letter, the failure
// record (package deadletter).
const StationmasterAttribute = "stationmaster"

// Notification is what SNS puts around a message on its way to a queue when raw message delivery
// is off. Source: "Amazon SNS message and JSON formats", Developer Guide.
type Notification struct {
	// Type is "Notification"; "SubscriptionConfirmation" and "UnsubscribeConfirmation" can reach a
	// queue too, when somebody subscribes it from another account.
	Type string
	// MessageID is SNS's id: the same for every subscription and every delivery of one publish.
	MessageID      string
	TopicARN       string
	Subject        string
	Message        string
	SequenceNumber string // FIFO topics only
	Sent           time.Time
	Attributes     map[string]Attribute
}

type envelope struct {
	Type, MessageID, TopicARN, Message *string
	Subject                            *string
	SequenceNumber                     string
	Timestamp                          string
	MessageAttributes                  map[string]struct{ Type, Value string }
}

// UnmarshalJSON takes SNS's spelling of the keys exactly: encoding/json alone would also take
// "topicarn" of a producer's own body for an envelope's.
func (e *envelope) UnmarshalJSON(data []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	for key, into := range map[string]any{
		"Type": &e.Type, "MessageId": &e.MessageID, "TopicArn": &e.TopicARN, "Message": &e.Message,
		"Subject": &e.Subject, "SequenceNumber": &e.SequenceNumber, "Timestamp": &e.Timestamp,
		"MessageAttributes": &e.MessageAttributes,
	} {
		if text, has := raw[key]; has {
			if err := json.Unmarshal(text, into); err != nil {
				return err
			}
		}
	}
	return nil
}

// ReadNotification opens an SNS envelope; false when body is none. Whether a message is enveloped
// shows only in the message itself: raw delivery can be switched while old messages still wait.
func ReadNotification(body string) (Notification, bool) {
	// Most bodies are decided without parsing them.
	if !strings.HasPrefix(strings.TrimLeft(body, " \t\r\n"), "{") || !strings.Contains(body, `"TopicArn"`) {
		return Notification{}, false
	}
	var e envelope
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		return Notification{}, false
	}
	if e.Type == nil || e.MessageID == nil || e.TopicARN == nil || e.Message == nil || !strings.HasPrefix(*e.TopicARN, "arn:") {
		return Notification{}, false
	}
	switch *e.Type {
	case "Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation":
	default:
		return Notification{}, false
	}
	n := Notification{
		Type: *e.Type, MessageID: *e.MessageID, TopicARN: *e.TopicARN, Message: *e.Message,
		SequenceNumber: e.SequenceNumber, Attributes: attributes(e.MessageAttributes),
	}
	if e.Subject != nil {
		n.Subject = *e.Subject
	}
	n.Sent, _ = time.Parse(time.RFC3339, e.Timestamp) // an unreadable time is no time
	return n, true
}

func attributes(in map[string]struct{ Type, Value string }) map[string]Attribute {
	if len(in) == 0 {
		return nil
	}
	out := make(map[string]Attribute, len(in))
	for name, a := range in {
		if strings.HasPrefix(a.Type, "Binary") {
			if data, err := base64.StdEncoding.DecodeString(a.Value); err == nil {
				out[name] = Attribute{Type: a.Type, Binary: data}
				continue
			}
		}
		out[name] = Attribute{Type: a.Type, Text: a.Value}
	}
	return out
}

// Identified is the stationmaster attribute that gives a message its stable id, as a producer writes it.
func Identified(id string) Attribute {
	text, _ := json.Marshal(map[string]string{"id": id}) // a string is always JSON
	return Attribute{Type: "String", Text: string(text)}
}

// StableID returns the id that a message keeps through retries, dead-lettering and replay: the id
// in its stationmaster attribute, else SNS's MessageId, else SQS's.
func StableID(d *Delivery) string {
	n, enveloped := ReadNotification(d.Body)
	return StableIDOf(d, n, enveloped)
}

// StableIDOf is StableID for a caller that has opened the envelope already.
func StableIDOf(d *Delivery, n Notification, enveloped bool) string {
	if id := writtenID(d.Attributes); id != "" {
		return id
	}
	if enveloped {
		if id := writtenID(n.Attributes); id != "" {
			return id
		}
		return n.MessageID
	}
	return d.MessageID
}

func writtenID(attributes map[string]Attribute) string {
	a, has := attributes[StationmasterAttribute]
	if !has {
		return ""
	}
	var written struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(a.Text), &written); err != nil {
		return ""
	}
	return written.ID
}
