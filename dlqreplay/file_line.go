package dlqreplay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/queue"
)

const (
	// fileFormat marks the first line of an export.
	fileFormat = "dead-letters"
	// fileVersion is the version of the format that this build writes.
	fileVersion = 1
)

// fileHead is the first line of an export, fileEnd the last; each line between them is a fileLetter.
type fileHead struct {
	Format string `json:"stationmaster"`
	V      int    `json:"v"`
	Header Header `json:"header"`
}

type fileEnd struct {
	End *struct {
		Count int `json:"count"`
		// SHA256 is of all lines before this one.
		SHA256 string `json:"sha256"`
	} `json:"end"`
}

// fileLetter is a dead letter as a file holds it: all that SQS said of it, and what it was found to be.
type fileLetter struct {
	ID            exact           `json:"id"`
	Kind          Kind            `json:"kind"`
	Job           exact           `json:"job,omitempty"`
	Class         exact           `json:"class,omitempty"`
	Reason        exact           `json:"reason,omitempty"`
	Fingerprint   exact           `json:"fingerprint,omitempty"`
	Receives      int             `json:"receives,omitempty"`
	Sent          time.Time       `json:"sent,omitzero"`
	FirstReceived time.Time       `json:"first_received,omitzero"`
	SourceARN     exact           `json:"source_arn,omitempty"`
	Group         exact           `json:"group_id,omitempty"`
	Dedup         exact           `json:"dedup_id,omitempty"`
	Trace         exact           `json:"trace_header,omitempty"`
	Attributes    []fileAttribute `json:"attributes,omitempty"`
	Body          exact           `json:"body"`
}

type fileAttribute struct {
	Name   exact  `json:"name"`
	Type   exact  `json:"type"`
	Text   exact  `json:"text,omitempty"`
	Binary []byte `json:"binary,omitempty"`
}

// exact is text of any bytes. JSON has strings of valid UTF-8 only: other text is written in base64.
type exact string

type encoded struct {
	Base64 []byte `json:"base64"`
}

// MarshalJSON writes a string, or an object with the text in base64.
func (e exact) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(e)) {
		return marshal(string(e))
	}
	return json.Marshal(encoded{[]byte(e)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (e *exact) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '{' {
		var b encoded
		if err := json.Unmarshal(text, &b); err != nil {
			return err
		}
		*e = exact(b.Base64)
		return nil
	}
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	*e = exact(s)
	return nil
}

// marshal is json.Marshal that leaves <, > and & readable.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func encodeLetter(l *Letter, m *queue.Message) ([]byte, error) {
	f := fileLetter{
		ID: exact(l.MessageID), Kind: l.Kind, Job: exact(l.Job), Class: exact(l.Class), Reason: exact(l.Reason),
		Fingerprint: exact(l.Fingerprint), Receives: l.Receives, Sent: l.Sent.UTC(), FirstReceived: l.FirstReceived.UTC(),
		SourceARN: exact(l.SourceARN), Group: exact(m.GroupID), Dedup: exact(m.DeduplicationID), Trace: exact(m.TraceHeader),
		Body: exact(m.Body),
	}
	for _, name := range slices.Sorted(maps.Keys(m.Attributes)) {
		a := m.Attributes[name]
		f.Attributes = append(f.Attributes, fileAttribute{Name: exact(name), Type: exact(a.Type), Text: exact(a.Text), Binary: a.Binary})
	}
	line, err := marshal(f)
	if err != nil {
		return nil, fmt.Errorf("write message %s: %w", l.MessageID, err)
	}
	return line, nil
}

func (f *fileLetter) message() queue.Message {
	m := queue.Message{Body: string(f.Body), GroupID: string(f.Group), DeduplicationID: string(f.Dedup), TraceHeader: string(f.Trace)}
	if len(f.Attributes) > 0 {
		m.Attributes = make(map[string]queue.Attribute, len(f.Attributes))
	}
	for _, a := range f.Attributes {
		m.Attributes[string(a.Name)] = queue.Attribute{Type: string(a.Type), Text: string(a.Text), Binary: a.Binary}
	}
	return m
}

func (f *fileLetter) letter(m *queue.Message) *Letter {
	l := &Letter{
		MessageID: string(f.ID), Kind: f.Kind, Job: string(f.Job), Class: string(f.Class),
		Reason: string(f.Reason), Fingerprint: string(f.Fingerprint), Receives: f.Receives,
		Sent: f.Sent, FirstReceived: f.FirstReceived, SourceARN: string(f.SourceARN), GroupID: string(f.Group), Size: m.Size(),
	}
	record, found := deadletter.Read(m)
	if !found {
		return l
	}
	l.Record = deadletter.Refresh(record)
	if l.Kind == Recorded {
		l.Fingerprint = l.Record.Fingerprint // fingerprints of another version tell nothing here
	}
	return l
}
