package jobstest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
)

// updateVariable lets golden files be written where the test has no flag of that kind.
const updateVariable = "JOBSTEST_UPDATE"

// WantGolden fails the test unless the message is dead and its dead letter is as testdata/NAME.golden has
// it: the failure record, and the topic, attributes and body of the message, as JSON.
//
// What differs from run to run or from one release of the worker to the next is a placeholder there: <id>
// for the record's id and origin_id, <time> for sent, first_received and died, <version> for v and build,
// <host> for host, <trace> for trace and for the attributes traceparent and tracestate. All else counts:
// job, class, fingerprint, reason, origin, receives, deaths and what the producer wrote. Of a message that
// SQS moved the record is null.
//
// The file is written, not compared, when the environment has JOBSTEST_UPDATE=1, or when the test's own
// package has a flag -update and it is set:
//
//	var _ = flag.Bool("update", false, "write the golden files") // go test ./jobs/charge -update
//
// This package defines no flag itself, so that it stands beside any other that does: a flag that is defined
// twice ends a program at its start.
func (l *Life) WantGolden(name string) {
	l.t.Helper()
	if l.Done {
		l.fail("want it dead as testdata/%s.golden has it, it was done", name)
		return
	}
	got, err := l.golden()
	if err != nil {
		l.fail("want it dead as testdata/%s.golden has it: %v", name, err)
		return
	}
	if !filepath.IsLocal(name) {
		l.t.Errorf("jobstest: golden file %q: must be a name within testdata", name)
		return
	}
	path := filepath.Join("testdata", filepath.FromSlash(name)+".golden")
	if updates() {
		if err := write(path, got); err != nil {
			l.t.Errorf("jobstest: %v", err)
		}
		return
	}
	want, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.t.Errorf("jobstest: %s of job %s: %s is not there: look at what it would be and write it with\n  %s\n\n%s",
			l.Name, l.job, path, l.updating(), indented(got))
	case err != nil:
		l.t.Errorf("jobstest: %v", err)
	default:
		// A checkout on Windows may have changed the ends of lines.
		if want := strings.ReplaceAll(string(want), "\r\n", "\n"); want != got {
			l.t.Errorf("jobstest: %s of job %s: the dead letter is not as %s has it (- want, + got); if it is right now, write it with\n  %s\n\n%s\n%s",
				l.Name, l.job, path, l.updating(), indented(difference(want, got)), l)
		}
	}
}

// updates reports whether golden files are to be written.
func updates() bool {
	if set, _ := updateFlag(); set {
		return true
	}
	// The variable is the test author's: this package runs in tests alone.
	set := os.Getenv(updateVariable) //nolint:forbidigo // a kit that defines no flag has nothing else to be told by
	return set != "" && set != "0"
}

// updating is the command that writes the golden file of this test.
func (l *Life) updating() string {
	// Names of subtests are slashes apart, as -run wants them.
	parts := strings.Split(l.t.Name(), "/")
	for n, part := range parts {
		parts[n] = "^" + regexp.QuoteMeta(part) + "$"
	}
	test := "go test -run '" + strings.Join(parts, "/") + "'"
	if _, has := updateFlag(); has {
		return test + " -update"
	}
	return updateVariable + "=1 " + test
}

// updateFlag is the flag -update of the test's own package, if it has one and it is a bool.
func updateFlag() (set, has bool) {
	f := flag.Lookup("update")
	if f == nil {
		return false, false
	}
	if g, ok := f.Value.(flag.Getter); ok {
		set, has = g.Get().(bool)
	}
	return set, has
}

func write(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// letter is a dead letter as a golden file has it.
type letter struct {
	Record     *record                    `json:"record"`
	Topic      string                     `json:"topic,omitempty"`
	GroupID    string                     `json:"group_id,omitempty"`
	Attributes map[string]goldenAttribute `json:"attributes,omitempty"`
	Body       json.RawMessage            `json:"body,omitempty"`
	Text       string                     `json:"text,omitempty"` // a body that is no JSON
}

type goldenAttribute struct {
	Type   string `json:"type"`
	Value  string `json:"value,omitempty"`
	Base64 string `json:"base64,omitempty"`
}

// record is deadletter.Record with placeholders.
type record struct {
	V             string             `json:"v"`
	ID            string             `json:"id"`
	Job           string             `json:"job,omitempty"`
	Class         string             `json:"class,omitempty"`
	Fingerprint   string             `json:"fingerprint,omitempty"`
	Reason        string             `json:"reason,omitempty"`
	Origin        string             `json:"origin,omitempty"`
	OriginID      string             `json:"origin_id,omitempty"`
	Receives      int                `json:"receives,omitempty"`
	Deaths        int                `json:"deaths"`
	Sent          string             `json:"sent,omitempty"`
	FirstReceived string             `json:"first_received,omitempty"`
	Died          string             `json:"died,omitempty"`
	Build         string             `json:"build,omitempty"`
	Host          string             `json:"host,omitempty"`
	Trace         string             `json:"trace,omitempty"`
	Replay        *deadletter.Replay `json:"replay,omitempty"`
}

// golden is the dead letter as its golden file has it.
func (l *Life) golden() (string, error) {
	info := jobs.Read(&queue.Delivery{Message: l.Dead})
	out := letter{Topic: info.Topic, GroupID: info.GroupID, Attributes: map[string]goldenAttribute{}}
	if l.Record.Failed() {
		out.Record = stable(l.Record)
	}
	for name, a := range info.Attributes {
		switch name {
		case deadletter.Attribute:
			continue
		case "traceparent", "tracestate":
			a.Text = "<trace>"
		}
		out.Attributes[name] = goldenAttribute{Type: a.Type, Value: a.Text, Base64: base64.StdEncoding.EncodeToString(a.Binary)}
	}
	if json.Valid([]byte(info.Raw)) {
		out.Body = json.RawMessage(info.Raw)
	} else {
		out.Text = info.Raw
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // "<id>", as it is read
	e.SetIndent("", "  ")
	if err := e.Encode(out); err != nil {
		return "", fmt.Errorf("encode the dead letter: %w", err)
	}
	return text.String(), nil
}

// stable is a record without what differs from run to run.
func stable(r deadletter.Record) *record {
	hide := func(placeholder string, has bool) string {
		if !has {
			return ""
		}
		return placeholder
	}
	at := func(t time.Time) string { return hide("<time>", !t.IsZero()) }
	return &record{
		V: "<version>", ID: hide("<id>", r.ID != ""), Job: r.Job, Class: r.Class, Fingerprint: r.Fingerprint, Reason: r.Reason,
		Origin: r.Origin, OriginID: hide("<id>", r.OriginID != ""), Receives: r.Receives, Deaths: r.Deaths,
		Sent: at(r.Sent), FirstReceived: at(r.FirstReceived), Died: at(r.Died),
		Build: hide("<version>", r.Build != ""), Host: hide("<host>", r.Host != ""), Trace: hide("<trace>", r.Trace != ""), Replay: r.Replay,
	}
}

// difference are the lines of two texts: "- " what only want has, "+ " what only got has.
func difference(want, got string) string {
	a, b := strings.Split(strings.TrimSuffix(want, "\n"), "\n"), strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	// common[i][j] is how many lines a[i:] and b[j:] have in common, in order.
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i, line := range slices.Backward(a) {
		for j, other := range slices.Backward(b) {
			common[i][j] = max(common[i+1][j], common[i][j+1])
			if line == other {
				common[i][j] = common[i+1][j+1] + 1
			}
		}
	}
	var out strings.Builder
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out.WriteString("  " + a[i] + "\n")
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			out.WriteString("- " + a[i] + "\n")
			i++
		default:
			out.WriteString("+ " + b[j] + "\n")
			j++
		}
	}
	return out.String()
}

func indented(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
}
