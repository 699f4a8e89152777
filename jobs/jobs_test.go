package jobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

type invited struct {
	Email string  `json:"email"`
	Count int     `json:"count"`
	Note  *string `json:"note"`
}

var errBoom = errors.New("boom")

func open(t *testing.T, r *jobs.Registry, name string, m ...jobs.Middleware) *jobs.Instance {
	t.Helper()
	d, ok := r.Lookup(name)
	if !ok {
		t.Fatalf("%s is not registered", name)
	}
	i, err := d.Open(t.Context(), nil, nil, m...)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func info(body string) *jobs.Info {
	return jobs.Read(&queue.Delivery{Message: queue.Message{Body: body}, MessageID: "sqs-1", Receives: 2})
}

func TestASingleJobGetsItsDecodedMessage(t *testing.T) {
	r := jobs.NewRegistry()
	var got jobs.Message[invited]
	jobs.AddTo(r, "email", func(_ context.Context, m *jobs.Message[invited]) error { got = *m; return errBoom })
	errs := open(t, r, "email").Run(t.Context(), []*jobs.Info{info(`{"email":"ada@example.com","count":2}`)})
	if len(errs) != 1 || !errors.Is(errs[0], errBoom) {
		t.Errorf("answers %v, want boom", errs)
	}
	want := jobs.Message[invited]{
		Info: jobs.Info{ID: "sqs-1", Job: "email", Attempt: 2, Receives: 2, Raw: `{"email":"ada@example.com","count":2}`},
		Body: invited{Email: "ada@example.com", Count: 2},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReadOpensTheEnvelopeAndKeepsItsAttributesAndTime(t *testing.T) {
	body := `{"Type":"Notification","MessageId":"sns-1","TopicArn":"arn:aws:sns:us-east-1:000000000000:invitations",
	"Subject":"hi","Message":"{\"email\":\"x\"}","Timestamp":"2026-11-23T12:00:00.000Z",
	"MessageAttributes":{"job":{"Type":"String","Value":"mail"}}}`
	got := jobs.Read(&queue.Delivery{
		Message:   queue.Message{Body: body, GroupID: "tenant-1", Attributes: map[string]queue.Attribute{"outer": {Type: "String", Text: "x"}}},
		MessageID: "sqs-1", Receives: 1, Sent: time.Unix(0, 0),
	})
	want := &jobs.Info{
		ID: "sns-1", Topic: "invitations", Subject: "hi", GroupID: "tenant-1", Attempt: 1, Receives: 1, Raw: `{"email":"x"}`,
		Sent:       time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		Attributes: map[string]queue.Attribute{"job": {Type: "String", Text: "mail"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if kind, ok := got.Kind("attribute:job"); !ok || kind != "mail" {
		t.Errorf("kind %q %v", kind, ok)
	}
}

func TestKind(t *testing.T) {
	for _, row := range []struct {
		body, rule, want string
		ok               bool
	}{
		{`{"event":"user_invited"}`, "body:event", "user_invited", true},
		{`{"event":7}`, "body:event", "", false},
		{`{"Event":"user_invited"}`, "body:event", "", false},
		{`{}`, "body:event", "", false},
		{`not json`, "body:event", "", false},
		{`{"event":"x"}`, "attribute:event", "", false},
		{`{"event":"x"}`, "header:event", "", false},
		{`{"event":"x"}`, "event", "", false},
	} {
		if got, ok := info(row.body).Kind(row.rule); got != row.want || ok != row.ok {
			t.Errorf("Kind(%q) of %s = %q, %v; want %q, %v", row.rule, row.body, got, ok, row.want, row.ok)
		}
	}
}

func TestAnUndecodableBodyIsPermanentAndQuotesNothing(t *testing.T) {
	r := jobs.NewRegistry()
	jobs.AddTo(r, "email", func(context.Context, *jobs.Message[invited]) error { t.Error("was called"); return nil })
	i := open(t, r, "email")
	for _, row := range []struct{ body, want string }{
		{`{"email":`, "decode body: not JSON: syntax error at byte 9"},
		{`hunter2`, "decode body: not JSON: syntax error at byte 1"},
		{``, "decode body: the body is empty"},
		{`{"count":"hunter2"}`, "decode body: field count: got string, want int"},
		{`{"count":12.5}`, "decode body: field count: got number, want int"},
		{`[1]`, "decode body: the body: got array, want jobs_test.invited"},
	} {
		err := i.Run(t.Context(), []*jobs.Info{info(row.body)})[0]
		if decode, ok := errors.AsType[*jobs.DecodeError](err); !ok || decode.Class() != "decode" {
			t.Errorf("%q: %v, want a DecodeError", row.body, err)
		}
		if !retry.IsNever(err) {
			t.Errorf("%q: %v is not permanent", row.body, err)
		}
		if err.Error() != row.want {
			t.Errorf("%q: %q, want %q", row.body, err, row.want)
		}
		if check := i.Check(info(row.body)); check == nil || check.Error() != row.want {
			t.Errorf("%q: Check = %v", row.body, check)
		}
	}
	if err := i.Check(info(`{"email":"x"}`)); err != nil {
		t.Errorf("Check of a good body = %v", err)
	}
}

func explode(*invited) { panic(fmt.Errorf("at the top: %w", errBoom)) }

func TestAPanicIsAFailureWithItsStack(t *testing.T) {
	r := jobs.NewRegistry()
	jobs.AddTo(r, "email", func(_ context.Context, m *jobs.Message[invited]) error { explode(&m.Body); return nil })
	jobs.AddTo(r, "nilmap", func(_ context.Context, m *jobs.Message[invited]) error {
		return errors.New(*m.Body.Note) // nil
	})
	err := open(t, r, "email").Run(t.Context(), []*jobs.Info{info(`{}`)})[0]
	p, ok := errors.AsType[*jobs.PanicError](err)
	if !ok || !errors.Is(err, errBoom) || p.Class() != "panic" {
		t.Fatalf("%v, want a PanicError that wraps boom", err)
	}
	if !strings.Contains(string(p.Stack), "explode") {
		t.Errorf("the stack does not name the function:\n%s", p.Stack)
	}
	if want := "github.com/stationmaster/worker/jobs_test.explode"; p.Frame() != want {
		t.Errorf("frame %q, want %q", p.Frame(), want)
	}
	err = open(t, r, "nilmap").Run(t.Context(), []*jobs.Info{info(`{}`)})[0]
	if p, ok := errors.AsType[*jobs.PanicError](err); !ok || !strings.Contains(p.Frame(), "TestAPanicIsAFailureWithItsStack") {
		t.Errorf("%v: want a PanicError with the frame of the job", err)
	}
}

func TestABatchJobAnswersPerMessage(t *testing.T) {
	r := jobs.NewRegistry()
	jobs.AddBatchTo(r, "analytics", func(_ context.Context, ms []*jobs.Message[invited]) []error {
		errs := make([]error, len(ms))
		for i, m := range ms {
			if m.Body.Count == 2 {
				errs[i] = errBoom
			}
		}
		return errs
	})
	jobs.AddBatchTo(r, "all-done", func(context.Context, []*jobs.Message[invited]) []error { return nil })
	jobs.AddBatchTo(r, "short", func(context.Context, []*jobs.Message[invited]) []error { return make([]error, 1) }, jobs.Batch(25))
	batch := func() []*jobs.Info {
		return []*jobs.Info{info(`{"count":1}`), info(`not json`), info(`{"count":2}`)}
	}
	i := open(t, r, "analytics")
	if i.Batch() != jobs.DefaultBatch {
		t.Errorf("Batch() = %d", i.Batch())
	}
	errs := i.Run(t.Context(), batch())
	if errs[0] != nil || !retry.IsNever(errs[1]) || !errors.Is(errs[2], errBoom) {
		t.Errorf("answers %v, want none, decode, boom", errs)
	}
	errs = open(t, r, "all-done").Run(t.Context(), batch())
	if errs[0] != nil || !retry.IsNever(errs[1]) || errs[2] != nil {
		t.Errorf("answers %v: only the undecodable one failed", errs)
	}
	i = open(t, r, "short")
	if i.Batch() != 25 {
		t.Errorf("Batch() = %d, want 25", i.Batch())
	}
	errs = i.Run(t.Context(), batch())
	if errs[0] != nil || errs[2] == nil || !strings.Contains(errs[2].Error(), "1 answers for 2 messages") {
		t.Errorf("answers %v: a message without an answer is not done", errs)
	}
}

func TestMiddlewareWrapsFromTheOutsideIn(t *testing.T) {
	r := jobs.NewRegistry()
	var order []string
	mark := func(name string) jobs.Middleware {
		return func(next jobs.Call) jobs.Call {
			return func(ctx context.Context, m []*jobs.Info) []error {
				order = append(order, name)
				return next(ctx, m)
			}
		}
	}
	jobs.AddTo(r, "email", func(context.Context, *jobs.Message[invited]) error { order = append(order, "job"); return nil },
		jobs.Use(mark("own-1"), mark("own-2")))
	open(t, r, "email", mark("worker")).Run(t.Context(), []*jobs.Info{info(`{}`)})
	if diff := cmp.Diff([]string{"worker", "own-1", "own-2", "job"}, order); diff != "" {
		t.Error(diff)
	}
	swallow := func(jobs.Call) jobs.Call {
		return func(context.Context, []*jobs.Info) []error { return []error{errBoom, errBoom} }
	}
	errs := open(t, r, "email", swallow).Run(t.Context(), []*jobs.Info{info(`{}`)})
	if len(errs) != 1 || errs[0] == nil {
		t.Errorf("answers %v: always one per message", errs)
	}
}

type mailer struct {
	Addr  string        `config:"smtp_addr"`
	Wait  time.Duration `config:"wait"`
	Token jobs.Secret   `config:"token"`

	env    *jobs.Env
	fail   error
	closed *int
}

func (m *mailer) Provision(_ context.Context, env *jobs.Env) error { m.env = env; return m.fail }
func (m *mailer) Handle(_ context.Context, msg *jobs.Message[invited]) error {
	return fmt.Errorf("%s via %s", msg.Body.Email, m.Addr)
}
func (m *mailer) Close() error { *m.closed++; return nil }

func TestAJobWithSettingsIsMadeSetUpAndClosedOnce(t *testing.T) {
	r := jobs.NewRegistry()
	closed := 0
	jobs.AddJobTo(r, "email", func() *mailer { return &mailer{Addr: "default:25", closed: &closed} }, jobs.Timeout(time.Minute))
	d, _ := r.Lookup("email")
	if s, ok := d.Settings().(*mailer); !ok || s.Addr != "default:25" {
		t.Fatalf("Settings() = %#v", d.Settings())
	}
	i, err := d.Open(t.Context(), func(into any) error {
		into.(*mailer).Addr = "mail:587"
		return nil
	}, &jobs.Env{Job: "email"}, func(next jobs.Call) jobs.Call { return next })
	if err != nil {
		t.Fatal(err)
	}
	if got := i.Run(t.Context(), []*jobs.Info{info(`{"email":"ada"}`)})[0]; got == nil || got.Error() != "ada via mail:587" {
		t.Errorf("Run = %v", got)
	}
	if i.Timeout() != time.Minute || i.Name() != "email" || i.Batch() != 1 {
		t.Errorf("timeout %v, name %s, batch %d", i.Timeout(), i.Name(), i.Batch())
	}
	for range 2 {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	}
	if closed != 1 {
		t.Errorf("closed %d times", closed)
	}
}

// strict is a job that checks its settings before it is set up.
type strict struct {
	Name string `config:"name"`

	provisioned *bool
}

func (s *strict) CheckSettings() error {
	if s.Name == "" {
		return errors.New("name: not set")
	}
	return nil
}

func (s *strict) Provision(context.Context, *jobs.Env) error           { *s.provisioned = true; return nil }
func (s *strict) Handle(context.Context, *jobs.Message[invited]) error { return nil }

func TestSettingsAreCheckedBeforeAnythingIsOpened(t *testing.T) {
	r := jobs.NewRegistry()
	provisioned := false
	jobs.AddJobTo(r, "strict", func() *strict { return &strict{provisioned: &provisioned} })
	d, _ := r.Lookup("strict")
	if _, err := d.Open(t.Context(), nil, nil); err == nil || err.Error() != "job strict: settings: name: not set" || provisioned {
		t.Errorf("Open = %v, provisioned %v", err, provisioned)
	}
	i, err := d.Open(t.Context(), func(into any) error { into.(*strict).Name = "set"; return nil }, nil)
	if err != nil || !provisioned {
		t.Fatalf("Open = %v, provisioned %v", err, provisioned)
	}
	if err := i.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenNamesTheJobAndTheStepThatFailed(t *testing.T) {
	r := jobs.NewRegistry()
	closed := 0
	jobs.AddJobTo(r, "email", func() *mailer { return &mailer{fail: errBoom, closed: &closed} })
	d, _ := r.Lookup("email")
	_, err := d.Open(t.Context(), nil, nil)
	if !errors.Is(err, errBoom) || err.Error() != "job email: provision: boom" {
		t.Errorf("Open = %v", err)
	}
	if closed != 1 {
		t.Error("what Provision had opened was not closed")
	}
	_, err = d.Open(t.Context(), func(any) error { return errBoom }, nil)
	if err == nil || err.Error() != "job email: boom" {
		t.Errorf("Open = %v", err)
	}
}

type valued struct {
	Name string `config:"name"`
}

func (v valued) Handle(context.Context, *jobs.Message[json.RawMessage]) error {
	return errors.New(v.Name)
}

func TestAJobThatIsAPlainStructTakesSettingsToo(t *testing.T) {
	r := jobs.NewRegistry()
	jobs.AddJobTo(r, "v", func() valued { return valued{} })
	d, _ := r.Lookup("v")
	i, err := d.Open(t.Context(), func(into any) error { into.(*valued).Name = "set"; return nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := i.Run(t.Context(), []*jobs.Info{info(`{}`)})[0]; got == nil || got.Error() != "set" {
		t.Errorf("Run = %v, want the setting", got)
	}
}

func TestRegistrationPanicsOnFaults(t *testing.T) {
	nothing := func(context.Context, *jobs.Message[invited]) error { return nil }
	r := jobs.NewRegistry()
	jobs.AddTo(r, "email", nothing)
	for _, row := range []struct{ name, want string }{
		{"email", "registered twice"}, {"all", "reserved"}, {"jobstest", "reserved"}, {"middleware", "reserved"}, {"Email", "lower-case"}, {"", "lower-case"}, {"a b", "lower-case"},
	} {
		func() {
			defer func() {
				if v := recover(); v == nil || !strings.Contains(fmt.Sprint(v), row.want) {
					t.Errorf("register %q: panic %v, want %q", row.name, v, row.want)
				}
			}()
			jobs.AddTo(r, row.name, nothing)
		}()
	}
	if diff := cmp.Diff([]string{"email"}, r.Names()); diff != "" {
		t.Error(diff)
	}
}

func init() {
	jobs.Register("who", func(context.Context, *jobs.Message[invited]) error { return nil })
	jobs.RegisterBatchJob("who-batch", func() *batcher { return &batcher{} })
}

func TestTheDefaultRegistryKnowsWhoRegistered(t *testing.T) {
	for _, name := range []string{"who", "who-batch"} {
		d, ok := jobs.Default().Lookup(name)
		if !ok || d.Package != "github.com/stationmaster/worker/jobs_test" {
			t.Errorf("%s: %v, package %q", name, ok, d.Package)
		}
	}
	d, _ := jobs.Default().Lookup("who-batch")
	if !d.TakesBatches() || d.Settings() != nil {
		t.Errorf("batches %v, settings %v", d.TakesBatches(), d.Settings())
	}
}

type batcher struct{}

func (*batcher) HandleBatch(context.Context, []*jobs.Message[invited]) []error { return nil }

func TestASecretPrintsNowhere(t *testing.T) {
	s := jobs.Secret("hunter2")
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "secret", s, "group", slog.GroupValue(slog.Any("s", s)))
	encoded, err := json.Marshal(map[string]any{"s": s})
	if err != nil {
		t.Fatal(err)
	}
	type settings struct{ Token jobs.Secret }
	for _, out := range []string{
		fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q %x %d", s, s, s, s, s, s, s), fmt.Sprintf("%#v %v", settings{s}, settings{s}),
		string(encoded), logged.String(),
	} {
		if strings.Contains(out, "hunter2") || strings.Contains(out, "68756e746572") {
			t.Errorf("printed: %s", out)
		}
		if !strings.Contains(out, "redacted") {
			t.Errorf("says nothing: %s", out)
		}
	}
	if fmt.Sprint(jobs.Secret("")) != "" {
		t.Error("an empty secret pretends to be one")
	}
}

func FuzzReadAndDecode(f *testing.F) {
	r := jobs.NewRegistry()
	jobs.AddTo(r, "email", func(context.Context, *jobs.Message[invited]) error { return nil })
	d, _ := r.Lookup("email")
	i, err := d.Open(f.Context(), nil, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(`{"email":"x"}`)
	f.Add(`{"Type":"Notification","MessageId":"1","TopicArn":"arn:x","Message":"{}"}`)
	f.Fuzz(func(t *testing.T, body string) {
		m := info(body)
		errs := i.Run(t.Context(), []*jobs.Info{m})
		if err := queue.At(errs, 0); err != nil {
			if _, ok := errors.AsType[*jobs.DecodeError](err); !ok {
				t.Errorf("%q: %v", body, err)
			}
		}
	})
}
