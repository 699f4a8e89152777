// Package tracecarrier carries W3C trace context in message attributes: publish injects through
// it, internal/telemetry extracts through it.
//
// Tracing never costs a message: SQS takes ten attributes, and raw delivery of more is lost
// without a word, so a key that finds no room is left out. Nor does it cost a reason: one place is
// kept for the failure record that the message may need one day.
package tracecarrier

import (
	"maps"
	"slices"

	"go.opentelemetry.io/otel/propagation"

	"github.com/stationmaster/worker/queue"
)

const parent = "traceparent"

var _ propagation.TextMapCarrier = (*Carrier)(nil)

// Carrier reads and writes String attributes of one message. It writes to a copy, made at the
// first write, because the map belongs to the caller.
type Carrier struct {
	attributes map[string]queue.Attribute
	copied     bool
}

// New carries over attributes, which may be nil.
func New(attributes map[string]queue.Attribute) *Carrier {
	return &Carrier{attributes: attributes}
}

// Attributes returns the attributes with what was set.
func (c *Carrier) Attributes() map[string]queue.Attribute { return c.attributes }

// Get returns the text of key; empty when there is none or when it is binary.
func (c *Carrier) Get(key string) string { return c.attributes[key].Text }

// Set writes key when the message has it already or has room for it. An empty value would be
// refused by AWS and is left out.
func (c *Carrier) Set(key, text string) {
	if text == "" {
		return
	}
	if _, has := c.attributes[key]; !has && len(c.attributes)+c.reserved(key) >= queue.MaxAttributes {
		return
	}
	if !c.copied {
		own := make(map[string]queue.Attribute, len(c.attributes)+2)
		maps.Copy(own, c.attributes)
		c.attributes, c.copied = own, true
	}
	c.attributes[key] = queue.Attribute{Type: "String", Text: text}
}

// reserved are the places kept for others: for traceparent, without which the other keys say
// nothing and which the propagator writes last, and for the failure record.
func (c *Carrier) reserved(key string) (n int) {
	if _, has := c.attributes[parent]; !has && key != parent {
		n++
	}
	if _, has := c.attributes[queue.StationmasterAttribute]; !has {
		n++
	}
	return n
}

// Keys returns the names of all attributes.
func (c *Carrier) Keys() []string {
	return slices.Collect(maps.Keys(c.attributes))
}
