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

// letter writes rows as SNS does: a JSON object, one line for each.
func letter(rows ...row) string {
	size := 4
	for _, l := range rows {
		size += len(l.name) + len(l.value) + 9
	}
	var b strings.Builder
	b.Grow(size)
	between := "{\n  "
	for _, l := range rows {
		if l.value != "" {
			b.WriteString(between)
			b.WriteString(`"`)
			b.WriteString(l.name)
			b.WriteString(`" : `)
			b.WriteString(l.value)
			between = ",\n  "
		}
	}
	b.WriteString("\n}")
	return b.String()
}

// envelope is a notification up to what differs from subscription to subscription: the URL that ends
// it. Source: "Parsing Amazon SNS message formats", Developer Guide.
type envelope struct {
	before, after string
	seal          *seal // nil: those of FIFO topics are not signed
}

// to is the whole text for a subscription.
func (e *envelope) to(sub *subscription) string { return e.before + sub.arn + e.after }

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
	rows := []row{
		{"Type", `"Notification"`},
		{"MessageId", plainText(p.id)},
		{"SequenceNumber", shown(p.sequence)},
		{"TopicArn", plainText(t.arn)},
		{"Subject", shown(p.subject)},
		{"Message", plainText(p.text(protocol))},
		{"Timestamp", timestamp(p.at)},
	}
	if !t.fifo {
		e.seal = &seal{version: t.signatureVersion()}
		rows = append(rows, e.seal.rows(p.base)...)
	}
	const here = "\x00" // as JSON it cannot stand anywhere
	rows = append(rows, row{"UnsubscribeURL", here}, row{"MessageAttributes", p.attributesText()})
	url := plainText(p.base + "/?Action=Unsubscribe&SubscriptionArn=")
	before, after, _ := strings.Cut(letter(rows...), here)
	e.before, e.after = before+strings.TrimSuffix(url, `"`), `"`+after
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

// rows are the signature's of an envelope, blank as yet.
func (s *seal) rows(base string) []row {
	return []row{
		{"SignatureVersion", plainText(s.version)},
		{"Signature", `"` + blank + `"`},
		{"SigningCertURL", plainText(base + certificatePath)},
	}
}

// request is a confirmation: a message that asks for a visit of its SubscribeURL. Source: "HTTP/HTTPS
// subscription confirmation JSON format", Developer Guide.
func (t *topic) request(kind, id, token, text, base string, at time.Time) (string, *seal) {
	s := &seal{version: t.signatureVersion()}
	rows := append([]row{
		{"Type", plainText(kind)},
		{"MessageId", plainText(id)},
		{"Token", plainText(token)},
		{"TopicArn", plainText(t.arn)},
		{"Message", plainText(text)},
		{"SubscribeURL", plainText(base + "/?Action=ConfirmSubscription&TopicArn=" + t.arn + "&Token=" + token)},
		{"Timestamp", timestamp(at)},
	}, s.rows(base)...)
	return letter(rows...), s
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
