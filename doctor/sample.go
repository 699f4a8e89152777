package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/stationmaster/worker/internal/snsfilter"
)

// Sample is a message as it is published.
type Sample struct {
	Name  string // "FILE:2", for people
	Topic string // the name of the topic; empty: any that leads to whom it is for
	// For are the queues that must get it; empty: at least one subscription of the topic.
	For        []string
	Body       string
	Attributes map[string]Attribute
	Dedup      string // its deduplication id
}

// Attribute is a message attribute.
type Attribute struct{ Type, Value string }

// UnmarshalJSON reads {"type": …, "value": …}, or a text, a number or a list for the usual type of it.
func (a *Attribute) UnmarshalJSON(text []byte) error {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	switch v := v.(type) {
	case string:
		*a = Attribute{Type: "String", Value: v}
	case float64:
		*a = Attribute{Type: "Number", Value: string(text)}
	case []any:
		*a = Attribute{Type: "String.Array", Value: string(text)}
	case map[string]any:
		kind, isText := v["type"].(string)
		value, both := v["value"].(string)
		if !isText || !both {
			return errors.New(`an attribute is a text, a number, a list, or {"type": "String", "value": "…"}`)
		}
		*a = Attribute{Type: kind, Value: value}
	default:
		return errors.New(`an attribute is a text, a number, a list, or {"type": "String", "value": "…"}`)
	}
	return nil
}

// ReadSamples reads samples: JSON objects one after the other, with the keys topic, for, body (a text,
// or any JSON, which is published as it is written), attributes and dedup_id.
func ReadSamples(from io.Reader, name string) ([]Sample, error) {
	var all []Sample
	d := json.NewDecoder(from)
	d.DisallowUnknownFields()
	for n := 1; ; n++ {
		var one struct {
			Topic      string               `json:"topic"`
			For        []string             `json:"for"`
			Body       json.RawMessage      `json:"body"`
			Attributes map[string]Attribute `json:"attributes"`
			Dedup      string               `json:"dedup_id"`
		}
		err := d.Decode(&one)
		if errors.Is(err, io.EOF) && len(all) > 0 {
			return all, nil
		}
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("sample %s: is empty: %s", name, sampleForm)
		}
		if err != nil {
			return nil, fmt.Errorf("sample %s:%d: %w: %s", name, n, plainly(err), sampleForm)
		}
		s := Sample{Name: fmt.Sprintf("%s:%d", name, n), Topic: one.Topic, For: one.For, Attributes: one.Attributes, Dedup: one.Dedup, Body: string(one.Body)}
		if text := ""; json.Unmarshal(one.Body, &text) == nil {
			s.Body = text
		}
		if s.Body == "" {
			return nil, fmt.Errorf("sample %s: has no body: %s", s.Name, sampleForm)
		}
		all = append(all, s)
	}
}

// sampleForm says what a sample looks like.
const sampleForm = `each sample is an object like {"body": {"event": "paid"}, "attributes": {"plan": "gold"}}, and may have topic, for and dedup_id`

// plainly is a decoder's error without the words of Go.
func plainly(err error) error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) && kind.Field == "" {
		return fmt.Errorf("is no object but %s", kind.Value)
	}
	if errors.As(err, &kind) {
		return fmt.Errorf("%s is no %s", kind.Field, kind.Value)
	}
	if key, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
		return fmt.Errorf("a sample has no key %s (a whole message belongs under body)", key)
	}
	return err
}

// samples runs the samples through what stands between their topics and the queues.
func (e *examiner) samples(context.Context) {
	if e.o.Brief {
		return
	}
	e.unsampled()
	for i := range e.o.Samples {
		s := &e.o.Samples[i]
		if _, known := e.state.Topics[s.Topic]; s.Topic != "" && !known {
			e.unknown(Unknown{Codes: []string{"D-12"}, Subjects: []string{"sample " + s.Name}, Reason: "topic " + s.Topic + " is not declared", Mend: "correct its topic"})
			continue
		}
		e.sampled(s, e.o.Samples[:i])
	}
}

// sampled looks what becomes of a sample. One that names no topic may be meant for any: what is wrong is
// only found when it is wrong by each of them.
func (e *examiner) sampled(s *Sample, before []Sample) {
	var wrong, right, codes []string
	var found []Finding
	topics := e.topicsOf(s)
	for _, topic := range topics {
		f := append(e.published(s, topic), e.deduplicated(s, before, topic)...)
		if len(f) == 0 {
			right = append(right, topic)
			continue
		}
		wrong, found = append(wrong, topic), append(found, f...)
		for i := range f {
			codes = append(codes, f[i].Code)
		}
	}
	subjects := []string{"sample " + s.Name}
	switch {
	case len(topics) == 0:
		e.unknown(Unknown{Codes: []string{"D-12"}, Subjects: subjects, Reason: "no subscription leads to " + strings.Join(s.For, ", "), Mend: "correct for, or its topic"})
	case len(right) == 0:
		for i := range found {
			e.find(found[i])
		}
	case len(wrong) > 0:
		slices.Sort(codes)
		e.unknown(Unknown{
			Codes: slices.Compact(codes), Subjects: subjects, Mend: "say its topic in the sample",
			Reason: "it names no topic, and is all right when it is published to " + strings.Join(right, ", ") + ", not to " + strings.Join(wrong, ", "),
		})
	}
}

// topicsOf are the topics that a sample may be published to, of those that lead to whom it is for.
func (e *examiner) topicsOf(s *Sample) (all []string) {
	for i := range e.lines {
		l := &e.lines[i]
		meant := s.Topic == "" || s.Topic == l.topic.Name
		if meant && (len(s.For) == 0 || s.isFor(l)) && !slices.Contains(all, l.topic.Name) {
			all = append(all, l.topic.Name)
		}
	}
	if len(all) == 0 && s.Topic != "" && len(s.For) == 0 {
		return []string{s.Topic}
	}
	return all
}

// isFor tells whether a line leads to a queue that the sample names.
func (s *Sample) isFor(l *line) bool { return l.queue != nil && slices.Contains(s.For, l.queue.Name) }

// unsampled says what samples would have shown.
func (e *examiner) unsampled() {
	var filtered, raw []string
	for _, l := range e.lines {
		if l.have == nil {
			continue
		}
		if filter, _ := filterOf(l.have.Attributes); filter != "" {
			filtered = append(filtered, "subscription "+l.name)
		}
		if l.have.Attributes[attrRaw] == "true" && l.protocol == "sqs" {
			raw = append(raw, "subscription "+l.name)
		}
	}
	const mend = "give messages as they are published with --sample FILE"
	if len(e.o.Samples) == 0 && len(filtered) > 0 {
		e.unknown(Unknown{Codes: []string{"D-12"}, Subjects: filtered, Reason: "no sample message shows whether your messages pass the filter", Mend: mend})
	}
	if len(e.o.Samples) == 0 && len(raw) > 0 {
		e.unknown(Unknown{Codes: []string{"D-16"}, Subjects: raw, Reason: "no sample message shows how many attributes your messages have", Mend: mend})
	}
}

// published follows a sample from a topic to the queues that must get it.
func (e *examiner) published(s *Sample, topic string) (found []Finding) {
	let := map[string]bool{} // whom it reaches
	stopped := map[string][]Finding{}
	for i := range e.lines {
		l := &e.lines[i]
		if l.topic.Name != topic || l.have == nil || l.have.Attributes == nil || len(s.For) > 0 && !s.isFor(l) {
			continue
		}
		to := "" // anybody
		if len(s.For) > 0 {
			to = l.queue.Name
		}
		f, passes := e.passes(l, s)
		if !passes {
			stopped[to] = append(stopped[to], f)
			continue
		}
		let[to] = true
		found = append(found, e.tooMany(l, s)...)
	}
	for _, to := range slices.Sorted(maps.Keys(stopped)) {
		if !let[to] {
			found = append(found, stopped[to]...)
		}
	}
	return found
}

func (e *examiner) passes(l *line, s *Sample) (Finding, bool) {
	filter, scope := filterOf(l.have.Attributes)
	if filter == "" {
		return Finding{}, true
	}
	p, err := snsfilter.Parse(filter, snsfilter.Scope(scope))
	if err != nil {
		e.unknown(Unknown{Codes: []string{"D-12"}, Subjects: []string{"subscription " + l.name}, Reason: "its filter cannot be read here: " + err.Error()})
		return Finding{}, true
	}
	v := p.Explain(s.filtered())
	return Finding{
		Code: "D-12", Subject: "subscription " + l.name, Queues: l.suffers(),
		Evidence: []string{"sample " + s.Name + ", published to topic " + l.topic.Name, scope + ": " + v.Why},
		Happens:  "it is kept away from the queue, and nobody sees an error; only " + string(v.Metric) + " counts it",
		Mend:     Mend{Text: "correct filter or filter_on of the subscription, or what is published, and apply"},
	}, v.Passes
}

// mostRaw is how many attributes a raw delivery may have. Source: "Amazon SNS message attributes".
const mostRaw = 10

func (e *examiner) tooMany(l *line, s *Sample) []Finding {
	if l.protocol != "sqs" || l.have.Attributes[attrRaw] != "true" || len(s.Attributes) <= mostRaw {
		return nil
	}
	return []Finding{{
		Code: "D-16", Subject: "subscription " + l.name, Queues: l.suffers(),
		Evidence: []string{fmt.Sprintf("%s true; sample %s has %d attributes, and SQS takes %d", attrRaw, s.Name, len(s.Attributes), mostRaw)},
		Happens:  "SNS takes it, cannot deliver it, does not try again, and " + l.fate(),
		Mend: Mend{
			Text: "publish at most ten attributes, or leave raw out of the subscription and apply",
			AWS:  []string{setSubscription(l.have.ARN, attrRaw, "false")},
		},
	}}
}

// deduplicated tells whether a FIFO topic refuses a sample, or takes it for one that came before.
func (e *examiner) deduplicated(s *Sample, before []Sample, name string) (found []Finding) {
	t := e.state.Topics[name]
	if !isFIFO(name) || s.Dedup != "" || t.Attributes == nil {
		return nil
	}
	if t.Attributes[attrByContent] != "true" {
		return []Finding{{
			Code: "Q-19", Subject: "topic " + name, Evidence: []string{attrByContent + " false; sample " + s.Name + " has no deduplication id"},
			Happens: "its publisher gets an error", Mend: Mend{Text: "publish with a deduplication id, or set content_based_deduplication"},
		}}
	}
	for _, other := range before {
		if other.Body == s.Body && other.Dedup == "" && (other.Topic == "" || other.Topic == name) && !reflect.DeepEqual(other.Attributes, s.Attributes) {
			found = append(found, Finding{
				Code: "Q-20", Subject: "topic " + name, Evidence: []string{attrByContent + " true; samples " + other.Name + " and " + s.Name + " have the same body and other attributes"},
				Happens: "within five minutes the second one is taken and thrown away",
				Mend:    Mend{Text: "publish with deduplication ids"},
			})
		}
	}
	return found
}
