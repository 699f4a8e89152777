package localaws

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
)

// row is one line of an envelope. A row without a value is left out.
type row struct {
	name  string
	value string // JSON
}

// letter writes rows as SNS does: a JSON object, one line for each, without its end.
func letter(rows ...row) string {
	size := 2
	for _, l := range rows {
		size += len(l.name) + len(l.value) + 9
	}
	var b strings.Builder
	b.Grow(size)
	between := "{\n  \""
	for _, l := range rows {
		if l.value != "" {
			b.WriteString(between)
			b.WriteString(l.name)
			b.WriteString(`" : `)
			b.WriteString(l.value)
			between = ",\n  \""
		}
	}
	return b.String()
}

// envelope is what SNS sends, up to what differs from subscription to subscription: the ARN in the URL
// that ends it. Queues keep it so, one for all of them, and write it out when it is received. Source:
// "Parsing Amazon SNS message formats", Developer Guide.
type envelope struct {
	before, after string
	seal          *seal // nil: those of FIFO topics are not signed

	// Whether SQS takes these characters, found out once. Server.mu guards it.
	checked bool
	fault   error
}

// size is how long it is for a subscription.
func (e *envelope) size(arn string) int { return len(e.before) + len(arn) + len(e.after) }

// text is the envelope for a subscription, signed. No lock must be held: a signature takes its time.
func (e *envelope) text(arn string) string { return e.seal.put(e.before + arn + e.after) }

// check says why SQS does not take it, or nil.
func (e *envelope) check() error {
	if !e.checked {
		e.checked, e.fault = true, checkCharacters(e.before)
		if e.fault == nil {
			e.fault = checkCharacters(e.after)
		}
	}
	return e.fault
}

// envelope puts the message for a protocol into AWS's fields in AWS's order. It is made once for all
// subscriptions with the same text.
func (p *published) envelope(t *topic, protocol string) *envelope {
	if p.protocols == nil {
		protocol = ""
	}
	if e := p.envelopes[protocol]; e != nil {
		return e
	}
	e := &envelope{}
	rows := make([]row, 0, 11)
	rows = append(rows, row{"Type", `"Notification"`}, row{"MessageId", plainText(p.id)}, row{"SequenceNumber", shown(p.sequence)},
		row{"TopicArn", plainText(t.arn)}, row{"Subject", shown(p.subject)}, row{"Message", plainText(p.text(protocol))},
		row{"Timestamp", timestamp(p.at)})
	if !t.fifo {
		e.seal = &seal{version: t.signatureVersion()}
		rows = e.seal.rows(rows, p.base)
	}
	url := plainText(p.base + "/?Action=Unsubscribe&SubscriptionArn=")
	e.before, e.after = letter(append(rows, row{"UnsubscribeURL", url[:len(url)-1]})...), "\"\n}"
	if attributes := p.attributesText(); attributes != "" {
		e.after = "\",\n  \"MessageAttributes\" : " + attributes + "\n}"
	}
	if p.envelopes == nil {
		p.envelopes = map[string]*envelope{}
	}
	p.envelopes[protocol] = e
	return e
}

func (p *published) attributesText() string {
	if p.protocols != nil || len(p.attributes) == 0 { // with MessageStructure=json attributes are not sent
		return ""
	}
	type value struct{ Type, Value string }
	attributes := make(map[string]value, len(p.attributes))
	for name, a := range p.attributes {
		attributes[name] = value{a.Type, a.text()}
	}
	return plainText(attributes)
}

// rows adds the signature's, blank as yet.
func (s *seal) rows(to []row, base string) []row {
	return append(to, row{"SignatureVersion", plainText(s.version)}, row{"Signature", blankText}, row{"SigningCertURL", plainText(base + certificatePath)})
}

// request is a confirmation: a message that asks for a visit of its SubscribeURL. Source: "HTTP/HTTPS
// subscription confirmation JSON format", Developer Guide.
func (t *topic) request(kind, id, token, text, base string, at time.Time) *envelope {
	e := &envelope{seal: &seal{version: t.signatureVersion()}, after: "\n}"}
	e.before = letter(e.seal.rows([]row{
		{"Type", plainText(kind)},
		{"MessageId", plainText(id)},
		{"Token", plainText(token)},
		{"TopicArn", plainText(t.arn)},
		{"Message", plainText(text)},
		{"SubscribeURL", plainText(base + "/?Action=ConfirmSubscription&TopicArn=" + t.arn + "&Token=" + token)},
		{"Timestamp", timestamp(at)},
	}, base)...)
	return e
}

func (t *topic) signatureVersion() string {
	if v := t.attributes["SignatureVersion"]; v != "" {
		return v
	}
	return "1"
}

func timestamp(at time.Time) string { return plainText(at.UTC().Format("2006-01-02T15:04:05.000Z")) }

// shown is a text that is left out when it is empty.
func shown(text string) string {
	if text == "" {
		return ""
	}
	return plainText(text)
}

// plainText is JSON without the escapes for HTML, which AWS does not write either.
func plainText(v any) string {
	if text, ok := v.(string); ok && isPlain(text) {
		return `"` + text + `"`
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "null" // strings, and maps of them, always encode
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// isPlain tells of a text that is JSON as it is, between quotes: most are.
func isPlain(text string) bool {
	for i := range len(text) {
		if b := text[i]; b < 0x20 || b >= 0x7f || b == '"' || b == '\\' {
			return false
		}
	}
	return true
}
