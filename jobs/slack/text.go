package slack

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
	"unicode/utf8"

	"github.com/stationmaster/worker/jobs"
)

const (
	// maxText is where Slack cuts a message off, in characters.
	maxText = 40_000
	// maxPrinted bounds what a template may print, so that one which repeats itself ends.
	maxPrinted = 4 * maxText
	// escape is the function that every value passes. It is known only after the template was parsed:
	// no template can name it, or go without it.
	escape = "escape"
)

// text is the template, each of its values escaped.
type text struct{ template *template.Template }

// view is what a template sees.
type view struct {
	ID, Job, Queue, Topic, Subject, GroupID string
	Attributes                              map[string]string
	Sent                                    string
	Attempt                                 int
	Raw                                     string
	Body                                    any
}

// parseText reads the setting text.
func parseText(setting string) (*text, error) {
	if strings.TrimSpace(setting) == "" {
		return nil, errors.New(`text: not set: give a template, like "{{.Body.email}} has been invited"`)
	}
	t, err := template.New("text").Parse(setting)
	if err != nil {
		return nil, fmt.Errorf("text: not a template: %s", strings.Replace(err.Error(), "template: text:", "line ", 1))
	}
	t.Funcs(template.FuncMap{escape: escaped})
	for _, each := range t.Templates() {
		if each.Tree != nil {
			escapeAll(each.Root)
		}
	}
	return &text{t}, nil
}

// of writes the text of one message. The error tells where the template did not fit, and nothing of
// the message.
func (t *text) of(m *jobs.Info, body json.RawMessage) (string, error) {
	v := view{
		ID: m.ID, Job: m.Job, Queue: m.Queue, Topic: m.Topic, Subject: m.Subject, GroupID: m.GroupID,
		Attributes: map[string]string{}, Attempt: m.Attempt, Raw: m.Raw,
	}
	if !m.Sent.IsZero() {
		v.Sent = m.Sent.UTC().Format(time.RFC3339)
	}
	for name, a := range m.Attributes {
		v.Attributes[name] = a.Text
	}
	numbers := json.NewDecoder(bytes.NewReader(body))
	numbers.UseNumber() // an id of nineteen digits stays what it is
	if err := numbers.Decode(&v.Body); err != nil {
		return "", errors.New("the body is not JSON") // the job's decoder has seen to that
	}
	var b bounded
	if err := t.template.Execute(&b, v); err != nil && !errors.Is(err, errFull) {
		return "", misfit(err)
	}
	said := strings.TrimSpace(b.String())
	if said == "" {
		return "", errors.New("the template printed nothing: does the body hold what it names?")
	}
	return cut(said), nil
}

// misfit keeps of an error the piece of the template; what follows it may quote the message.
func misfit(err error) error {
	if _, at, found := strings.Cut(err.Error(), " at <"); found {
		what, _, _ := strings.Cut(at, ">: ")
		return fmt.Errorf("<%s> does not fit the message", what)
	}
	return errors.New("the template does not fit the message")
}

// escapeAll appends the escape to every action that prints, as html/template does with its own.
func escapeAll(n parse.Node) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return // no else
		}
		for _, each := range n.Nodes {
			escapeAll(each)
		}
	case *parse.IfNode:
		escapeAll(n.List)
		escapeAll(n.ElseList)
	case *parse.RangeNode:
		escapeAll(n.List)
		escapeAll(n.ElseList)
	case *parse.WithNode:
		escapeAll(n.List)
		escapeAll(n.ElseList)
	case *parse.ActionNode:
		if len(n.Pipe.Decl) > 0 {
			return // it sets a variable and prints nothing
		}
		call := &parse.CommandNode{NodeType: parse.NodeCommand, Pos: n.Pos}
		call.Args = []parse.Node{parse.NewIdentifier(escape).SetPos(n.Pos)}
		n.Pipe.Cmds = append(n.Pipe.Cmds, call)
	}
}

var entities = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// escaped writes a value with the three characters that Slack reads as more than text.
func escaped(v any) (string, error) {
	var said string
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		said = v
	case json.Number:
		said = v.String()
	case bool:
		said = strconv.FormatBool(v)
	case map[string]any, []any:
		whole, err := encode(v)
		if err != nil {
			return "", err
		}
		said = strings.TrimSpace(string(whole))
	default:
		said = fmt.Sprint(v)
	}
	return entities.Replace(strings.ToValidUTF8(said, "\uFFFD")), nil
}

// encode is json.Marshal that leaves & and < and > as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

// cut shortens a text to what Slack shows, and breaks no entity.
func cut(s string) string {
	if utf8.RuneCountInString(s) <= maxText {
		return s
	}
	s = string([]rune(s)[:maxText-1])
	if at := strings.LastIndexByte(s, '&'); at >= 0 && !strings.Contains(s[at:], ";") {
		s = s[:at]
	}
	return s + "…"
}

var errFull = errors.New("the text is long enough")

// bounded is a buffer that takes no more than can be shown.
type bounded struct{ strings.Builder }

func (b *bounded) Write(p []byte) (int, error) {
	room := maxPrinted - b.Len()
	if len(p) <= room {
		return b.Builder.Write(p)
	}
	_, _ = b.Builder.Write(p[:room]) // never fails
	return room, errFull
}
