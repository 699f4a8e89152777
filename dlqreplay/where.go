package dlqreplay

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/itchyny/gojq"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/queue"
)

const (
	// whereFor is the time that an expression has for one letter.
	whereFor = 250 * time.Millisecond
	// mostWhere bounds an expression.
	mostWhere = 10_000
)

// errUnjudged says that an expression failed on a letter.
var errUnjudged = errors.New("the expression failed")

// errSlow says that it took too long.
var errSlow = fmt.Errorf("%w: it took longer than %s", errUnjudged, whereFor)

// where compiles a jq expression over {body, attrs, sys, failure, sns}. A letter matches when any result is
// neither false nor null.
func where(expression string) (matches, error) {
	if len(expression) > mostWhere {
		return nil, fmt.Errorf("the expression has %d bytes: must be at most %d", len(expression), mostWhere)
	}
	query, err := gojq.Parse(expression)
	if err != nil {
		return nil, place(expression, err)
	}
	code, err := gojq.Compile(query)
	if err != nil {
		return nil, fmt.Errorf("%w; it sees .body .attrs .sys .failure .sns", err)
	}
	return func(ctx context.Context, c *candidate) (bool, error) {
		if c.view == nil {
			m, err := c.read()
			if err != nil {
				return false, err
			}
			c.view = view(c.Letter, m)
		}
		ctx, cancel := context.WithTimeout(ctx, whereFor)
		defer cancel()
		return truthy(ctx, code, c)
	}, nil
}

func truthy(ctx context.Context, code *gojq.Code, c *candidate) (bool, error) {
	for results := code.RunWithContext(ctx, c.view); ; {
		v, more := results.Next()
		if !more {
			return false, nil
		}
		err, failed := v.(error)
		if halt, ok := errors.AsType[*gojq.HaltError](err); failed && ok && halt.Value() == nil {
			return false, nil
		}
		switch {
		case failed && errors.Is(err, context.DeadlineExceeded):
			return false, errSlow
		case failed && errors.Is(err, context.Canceled):
			return false, err
		case failed:
			return false, fmt.Errorf("%w: %s", errUnjudged, withoutValues(err, c.message))
		}
		if v != nil && v != false {
			return true, nil
		}
	}
}

// withoutValues is what jq says, without the values of the message that it quotes.
func withoutValues(err error, m *queue.Message) string {
	return deadletter.New(&queue.Delivery{Message: *m}, deadletter.Death{}, err).Reason
}

// place points at where an expression is wrong.
func place(expression string, err error) error {
	parse, ok := errors.AsType[*gojq.ParseError](err)
	if !ok {
		return err
	}
	at := min(max(parse.Offset-len(parse.Token), 0), len(expression))
	before, after := expression[:at], expression[at:]
	if strings.TrimSpace(after) == "" {
		return fmt.Errorf("the expression ends too soon, after %q", last(before, 20))
	}
	return fmt.Errorf("unexpected %q at character %d, after %q", first(after, max(len(parse.Token), 1)), len([]rune(before))+1, last(before, 20))
}

func first(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

func last(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return "…" + strings.ToValidUTF8(s[len(s)-n:], "")
}

// view is what an expression sees of a letter: body is what the producer wrote, opened from SNS's envelope
// and parsed when it is JSON; attrs are the texts of its attributes.
func view(l *Letter, m *queue.Message) map[string]any {
	body, attrs := m.Body, map[string]any{}
	var sns any
	if n, enveloped := queue.ReadNotification(m.Body); enveloped {
		body = n.Message
		texts(attrs, n.Attributes)
		sns = map[string]any{
			"type": n.Type, "message_id": n.MessageID, "topic": n.TopicARN, "subject": n.Subject, "sent": stamp(n.Sent),
		}
	}
	texts(attrs, m.Attributes)
	return map[string]any{
		"body": parsed(body), "attrs": attrs, "sns": sns, "failure": failure(l),
		"sys": map[string]any{
			"message_id": l.MessageID, "kind": string(l.Kind), "sent": stamp(l.Sent), "first_received": stamp(l.FirstReceived),
			"receives": l.Receives, "source_arn": l.SourceARN, "group_id": l.GroupID,
			"deduplication_id": m.DeduplicationID, "trace_header": m.TraceHeader, "size": l.Size,
		},
	}
}

func texts(into map[string]any, from map[string]queue.Attribute) {
	for name, a := range from {
		if strings.HasPrefix(a.Type, "Binary") {
			into[name] = base64.StdEncoding.EncodeToString(a.Binary)
		} else {
			into[name] = a.Text
		}
	}
}

// parsed is a JSON value as jq knows it, large numbers exact; else the text itself.
func parsed(body string) any {
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return body
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return body // something follows
	}
	return v
}

func failure(l *Letter) any {
	r := l.Record
	if r.V == 0 && !l.explained() {
		return nil
	}
	return map[string]any{
		"id": r.ID, "job": l.Job, "class": l.Class, "reason": l.Reason, "fingerprint": l.Fingerprint,
		"deaths": l.Deaths(), "died": stamp(r.Died), "origin": r.Origin, "build": r.Build, "host": r.Host,
		"trace": r.Trace, "replayed": r.Replay != nil,
	}
}

// stamp is a time as jq's fromdate reads it; null for none.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}
