package localaws

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
)

// noSignature stands where AWS signs. It is no signature and does not look like one: nobody verifies
// what comes out of a queue, and signing would cost more than everything else here.
const noSignature = "bG9jYWxhd3MgZG9lcyBub3Qgc2lnbg==" // "localaws does not sign"

// certificate is the path of AWS's certificates, with a name that none of them has.
const certificate = "/SimpleNotificationService-00000000000000000000000000000000.pem"

// envelope is what a queue gets without raw message delivery: AWS's fields in AWS's order, one a
// line. Source: "Parsing Amazon SNS message formats", Developer Guide.
func (p *published) envelope(t *topic, sub *subscription, host string) string {
	version := t.attributes["SignatureVersion"]
	if version == "" {
		version = "1"
	}
	type value struct{ Type, Value string }
	var attributes map[string]value
	if p.protocols == nil && len(p.attributes) > 0 {
		attributes = make(map[string]value, len(p.attributes))
		for name, a := range p.attributes {
			attributes[name] = value{a.Type, a.text()}
		}
	}
	fields := []struct {
		name  string
		value any
		shown bool
	}{
		{"Type", "Notification", true},
		{"MessageId", p.id, true},
		{"TopicArn", t.arn, true},
		{"Subject", p.subject, p.subject != ""},
		{"Message", p.forSQS(), true},
		{"Timestamp", p.at.UTC().Format("2006-01-02T15:04:05.000Z"), true},
		{"SignatureVersion", version, true},
		{"Signature", noSignature, true},
		{"SigningCertURL", "https://sns." + t.region + ".amazonaws.com" + certificate, true},
		{"UnsubscribeURL", "http://" + host + "/?Action=Unsubscribe&SubscriptionArn=" + url.QueryEscape(sub.arn), true},
		{"MessageAttributes", attributes, attributes != nil},
	}
	var b strings.Builder
	between := "{\n  "
	for _, f := range fields {
		if f.shown {
			b.WriteString(between + `"` + f.name + `" : ` + plainText(f.value))
			between = ",\n  "
		}
	}
	b.WriteString("\n}")
	return b.String()
}

// plainText is JSON without the escapes for HTML, which AWS does not write either.
func plainText(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "null" // strings, and maps of them, always encode
	}
	return strings.TrimSuffix(b.String(), "\n")
}
