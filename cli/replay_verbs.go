package cli

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/worker"
)

// list counts what is in the dead-letter queues of the configuration. Nothing is received.
func (r *replaying) list(ctx context.Context) error {
	if r.f.goAhead {
		return usagef("worker replay-dlq QUEUE --go", "worker replay-dlq: QUEUE is missing")
	}
	if len(r.f.filter) > 0 || r.f.plan != "" { // it would be taken for what the counts are of
		return usagef("worker replay-dlq QUEUE "+r.chosen(), "worker replay-dlq: QUEUE is missing: the list counts whole queues")
	}
	all, where, err := worker.ListDeadLetters(ctx, r.s.workerOptions(), r.f.addr)
	if err != nil {
		return err
	}
	if r.s.json {
		return r.s.encode(all)
	}
	if len(all) == 0 {
		return usagef("worker replay-dlq QUEUE", "the configuration has no dead-letter queue: name a queue")
	}
	rows := [][]string{{"DEAD-LETTER QUEUE", "OF", "MESSAGES", "IN FLIGHT"}}
	most := all[0]
	for _, d := range all {
		messages, flying := fmt.Sprint(d.Messages), fmt.Sprint(d.InFlight)
		if d.Fault != "" {
			messages, flying = "?", d.Fault
		}
		rows = append(rows, []string{d.DLQ, d.Of, messages, flying})
		if d.Messages > most.Messages {
			most = d
		}
	}
	r.s.printf("%s\n", where)
	r.s.table(rows)
	if most.Messages > 0 {
		r.s.printf("Next:  %s\n", r.command(shellWord(most.DLQ)))
	}
	return nil
}

// chosen is what was asked to be selected, as it is written.
func (r *replaying) chosen() string {
	var words []string
	for _, t := range r.f.filter {
		words = append(words, t.String())
	}
	if r.f.plan != "" {
		words = append(words, "--plan "+shellWord(r.f.plan))
	}
	return strings.Join(words, " ")
}

// permissions prints the IAM policy that a replay needs.
func (r *replaying) permissions(ctx context.Context) error {
	if r.asked.queue == "" {
		return usagef("worker replay-dlq QUEUE --print-iam", "worker replay-dlq: QUEUE is missing")
	}
	text, err := worker.ReplayPolicy(ctx, r.s.workerOptions(), worker.ReplayOptions{
		Queue: r.asked.queue, To: r.f.to, Foreign: r.f.foreign, DevAddr: r.f.addr,
	})
	if err == nil {
		r.s.printf("%s\n", text)
	}
	return err
}

// one scans for one letter.
func (r *replaying) one(ctx context.Context) (*dlqreplay.Held, *dlqreplay.Letter, error) {
	held, err := r.scan(ctx, []string{r.asked.object})
	if err != nil {
		return nil, nil, err
	}
	r.screen.rest()
	l := held.Get(r.asked.object)
	if l == nil {
		n := len(held.Letters())
		elsewhere := held.Elsewhere()
		r.release(ctx, held)
		err := fmt.Errorf("%s is not among the %s of %s", r.asked.object, count(n, "message"), r.w.DLQ.Name)
		if elsewhere > 0 {
			err = fmt.Errorf("%w that can be seen: %d are in the hands of somebody else until their visibility timeouts end", err, elsewhere)
		}
		return nil, nil, &coded{err, exitNothing}
	}
	return held, l, nil
}

// shown is a dead letter as show prints it in JSON.
type shown struct {
	*dlqreplay.Letter
	Attributes map[string]queue.Attribute `json:"attributes"`
	Trace      string                     `json:"trace_header,omitempty"`
	Body       string                     `json:"body"`
}

func (r *replaying) show(ctx context.Context) error {
	if err := r.w.Preflight(ctx, worker.Needs{}); err != nil {
		return err
	}
	held, l, err := r.one(ctx)
	if err != nil {
		return err
	}
	m, err := held.Message(l)
	r.release(ctx, held)
	if err != nil {
		return err
	}
	if r.s.json {
		return r.s.encode(shown{l, m.Attributes, m.TraceHeader, m.Body})
	}
	r.screen.must(r.letterText(l, &m))
	return nil
}

// letterText is a dead letter for people: why it died, what it came with, what it says.
func (r *replaying) letterText(l *dlqreplay.Letter, m *queue.Message) string {
	var b strings.Builder
	add := func(label, text string) {
		if text != "" {
			b.WriteString(line(label, text, r.s.columns) + "\n")
		}
	}
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.Local().Format("2006-01-02 15:04:05 MST")
	}
	rec := l.Record
	b.WriteString(l.MessageID + "  in " + r.w.DLQ.Name + "\n\n")
	add("why", reason(dlqreplay.Group{Kind: l.Kind, Class: l.Class, Reason: l.Reason}))
	add("group", clean(l.Fingerprint))
	add("kind", string(l.Kind))
	add("job", clean(l.Job))
	add("from", clean(orWord(rec.Origin, l.SourceARN)))
	add("id", clean(rec.ID))
	if n := l.Deaths(); n > 0 {
		add("deaths", fmt.Sprint(n))
	}
	add("sent", at(l.Sent))
	add("died", at(rec.Died))
	add("receives", fmt.Sprint(l.Receives))
	add("worker", strings.TrimSpace(clean(rec.Build+" "+rec.Host)))
	if rec.Replay != nil {
		add("replayed", clean(fmt.Sprintf("%s by %s at %s", rec.Replay.ID, orWord(rec.Replay.By, "?"), at(rec.Replay.At))))
	}
	add("groupid", clean(m.GroupID))
	add("trace", clean(orWord(rec.Trace, m.TraceHeader)))
	if id := orWord(rec.OriginID, l.MessageID); id != "" {
		add("logs", fmt.Sprintf(`filter message_id = "%s"`, clean(id)))
	}
	add("size", fmt.Sprintf("%d bytes", l.Size))
	for _, name := range slices.Sorted(maps.Keys(m.Attributes)) {
		a := m.Attributes[name]
		value := a.Text
		if len(a.Binary) > 0 {
			value = base64.StdEncoding.EncodeToString(a.Binary)
		}
		add("attr", clean(fmt.Sprintf("%s (%s) %s", name, a.Type, value)))
	}
	b.WriteString("\n" + cleanLines(m.Body) + "\n")
	return b.String()
}

// cleanLines is clean for text of several lines.
func cleanLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = clean(strings.TrimSuffix(lines[i], "\r"))
	}
	return strings.Join(lines, "\n")
}

// runHere runs the job of one letter in this process: success deletes the letter, anything else releases
// it unchanged.
func (r *replaying) runHere(ctx context.Context) error {
	if err := r.mayAsk(); err != nil {
		return err
	}
	name, isJob := strings.CutPrefix(r.f.to, worker.ToJob)
	if !isJob {
		name = ""
	}
	if !isJob && r.f.given("to") {
		return usageOf(fmt.Errorf("run --to %s: must be job:NAME, or left out", r.f.to))
	}
	if err := r.w.Preflight(ctx, worker.Needs{Takes: true}); err != nil {
		return err
	}
	held, l, err := r.one(ctx)
	if err != nil {
		return err
	}
	to, err := r.w.RunHere(l, name)
	if err != nil {
		r.release(ctx, held)
		return err
	}
	r.f.to = worker.ToJob + orWord(name, l.Job) // for a resume: it runs here, too
	r.f.filter = dlqreplay.Filter{{Key: "id", Value: l.MessageID}}
	judging := r.judging()
	judging.MaxDeaths, judging.Check = 0, r.f.check
	judging.Agreed[l.Job] = !r.w.AsksBeforeReplay(l.Job) || r.f.given("to") || !r.f.yes
	judge := r.w.Judge(ctx, judging)
	judge.To = func(*dlqreplay.Letter) (*dlqreplay.Destination, error) { return to, nil }
	plan, err := held.Plan(ctx, r.f.filter, judge, r.now)
	if err != nil {
		r.release(ctx, held)
		return err
	}
	a := &acting{held: held, plan: plan, judging: judging, action: dlqreplay.ActionReplay, verb: "run", to: to}
	if len(plan.Selected) == 0 {
		r.release(ctx, held)
		r.screen.must(fmt.Sprintf("Not run, and released unchanged: %s.", strings.Join(skipTexts(plan), "; ")))
		return &quiet{exitLeft}
	}
	if !r.f.yes {
		answer, err := r.ask(ctx, fmt.Sprintf("Run %s here on %s: %q?  [y/N] ", to.Name, l.MessageID, reason(plan.Groups[0])))
		if err != nil || answer != "y" && answer != "yes" {
			r.release(ctx, held)
			r.screen.must("Not run, and released unchanged.")
			return orQuiet(err, exitLeft)
		}
	}
	report, err := r.runs(ctx, a)
	if report == nil {
		return err
	}
	return r.ranHere(to.Name, report, err)
}

func orQuiet(err error, code int) error {
	if err != nil {
		return err
	}
	return &quiet{code}
}

func skipTexts(plan *dlqreplay.Plan) []string {
	v := planView{Plan: plan, Build: "this build"}
	texts := v.skips()
	if text := v.checks(); text != "" {
		texts = append(texts, text)
	}
	return texts
}

// ranHere says what became of the letter.
func (r *replaying) ranHere(job string, report *dlqreplay.Report, err error) error {
	switch {
	case r.s.json:
	case report.Replayed == 1 && report.Undeleted == 0:
		r.screen.must(fmt.Sprintf("%s succeeded: the dead letter is deleted from %s.", job, r.w.DLQ.Name))
	case report.Replayed == 1:
		r.screen.must(fmt.Sprintf("%s succeeded, and the dead letter could not be deleted. Delete it: %s", job, r.command("resume", report.ReplayID)))
	case len(report.Failures) > 0:
		r.screen.must(fmt.Sprintf("%s failed: %s. The dead letter is released unchanged.", job, clean(report.Failures[0].Why)))
	default:
		r.screen.must(fmt.Sprintf("%s did not run: %s. The dead letter is released unchanged.", job, clean(orWord(report.Why, string(report.Outcome)))))
	}
	if err != nil {
		return err
	}
	if v := (&reportView{Report: report}); v.code() != ExitDone {
		return &quiet{v.code()}
	}
	return nil
}
