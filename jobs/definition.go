package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// DefaultBatch is the most messages that a batch job gets at once unless Batch says otherwise: as
// many as one receive can bring.
const DefaultBatch = queue.MaxBatch

// Handler is a job that takes one message at a time.
type Handler[T any] interface {
	Handle(ctx context.Context, m *Message[T]) error
}

// BatchHandler is a job that takes several messages at once and answers by index; a nil slice means
// that all are done.
type BatchHandler[T any] interface {
	HandleBatch(ctx context.Context, m []*Message[T]) []error
}

// SettingsChecker is a job that can say what is wrong with its settings before anything is opened, so
// that the check of a configuration finds it too. The error is of the settings alone, joined when
// there are several faults; each begins with its key: "secret: not set".
type SettingsChecker interface {
	CheckSettings() error
}

// Provisioner is a job that needs to be set up: connections, templates. Its settings have been
// checked by then. An error stops the worker before the first message.
type Provisioner interface {
	Provision(ctx context.Context, env *Env) error
}

// Publisher publishes to a topic, given by its name in the configuration or by its ARN.
type Publisher interface {
	Publish(ctx context.Context, topic string, m queue.Message) (id string, err error)
}

// Env is what a worker lends to a job. It grows without breaking a job.
type Env struct {
	Job       string
	Log       *slog.Logger
	Publisher Publisher
}

// Call handles one message or a batch and answers by index; a nil slice means that all are done.
type Call func(ctx context.Context, m []*Info) []error

// Middleware wraps every call of a job: one shape for single and for batch jobs. What next returns is nil
// or has an answer for each message that it was given. An error of the middleware is an answer like the
// job's own, marks of package retry included. Package middleware has some ready.
type Middleware func(next Call) Call

// Definition is a registered job: how to make it, not yet made.
type Definition struct {
	Name string
	// Package is the import path of the package that registered it.
	Package string

	batch      int // 1: a single job
	timeout    time.Duration
	middleware []Middleware
	decoder    func(m *Info, into any) error
	settings   func() any
	fresh      func(d *Definition) (made any, call Call)
	check      func(*Info) error
	askReplay  bool
}

// Option changes a definition.
type Option func(*Definition)

// Use wraps the job in middleware; the first is the outermost, and what the worker has for all jobs is
// outside of them.
func Use(m ...Middleware) Option {
	return func(d *Definition) { d.middleware = append(d.middleware, m...) }
}

// Decode replaces the decoding of the body, which is JSON by default. An error is taken for a
// DecodeError; its text must hold no value of the body.
func Decode(decode func(m *Info, into any) error) Option {
	return func(d *Definition) { d.decoder = decode }
}

// Timeout bounds one attempt when the queue's configuration does not.
func Timeout(t time.Duration) Option { return func(d *Definition) { d.timeout = t } }

// ReplayAsk makes replays of the job's dead letters wait for consent: for a job that does something
// which must not be done late, or twice.
func ReplayAsk() Option { return func(d *Definition) { d.askReplay = true } }

// Batch sets the most messages that a batch job gets at once; at least 1.
func Batch(most int) Option {
	return func(d *Definition) {
		if d.batch > 1 {
			d.batch = max(most, 1)
		}
	}
}

// Settings returns a fresh settings struct, with the defaults that New gave it, as a pointer; nil
// when the job has no settings. Its fields tagged `config:"…"` are the settings.
func (d *Definition) Settings() any { return d.settings() }

// TakesBatches reports whether the job is a batch job.
func (d *Definition) TakesBatches() bool { return d.batch > 1 }

// Timeout returns the bound of one attempt that the job asks for; 0 when it asks for none.
func (d *Definition) Timeout() time.Duration { return d.timeout }

// AsksBeforeReplay reports whether a dead letter of the job is replayed only with consent.
func (d *Definition) AsksBeforeReplay() bool { return d.askReplay }

// Check decodes a message as the job would, and says what is wrong with it. The job is neither made
// nor set up.
func (d *Definition) Check(m *Info) error {
	mine := *m
	mine.Job = d.Name
	return guarded(d.check, &mine)
}

// Open makes the job: settings are decoded into it by decode (which may be nil) and checked, then
// Provision is called. The middleware given here wraps what the definition has. Close the Instance at the end.
func (d *Definition) Open(ctx context.Context, decode func(into any) error, env *Env, outer ...Middleware) (*Instance, error) {
	made, call := d.fresh(d)
	if decode != nil && hasSettings(made) {
		if err := decode(made); err != nil {
			return nil, fmt.Errorf("job %s: %w", d.Name, err)
		}
	}
	i := &Instance{name: d.Name, batch: d.batch, timeout: d.timeout, check: d.check}
	if c, ok := made.(io.Closer); ok {
		i.close = c.Close
	}
	if err := prepare(ctx, made, env); err != nil {
		// Whatever Provision opened before it failed is closed.
		return nil, errors.Join(fmt.Errorf("job %s: %w", d.Name, err), i.Close())
	}
	outer = slices.Concat(outer, d.middleware)
	for _, m := range slices.Backward(outer) {
		call = m(complete(call))
	}
	i.call = complete(call)
	if env != nil {
		i.log = env.Log
	}
	return i, nil
}

// complete lets a call answer for each of its messages, or with nil.
func complete(call Call) Call {
	return func(ctx context.Context, ms []*Info) []error { return answers(call(ctx, ms), len(ms)) }
}

// prepare checks the settings of a job and lets it set itself up.
func prepare(ctx context.Context, made any, env *Env) (err error) {
	step := "settings"
	defer func() {
		if v := recover(); v != nil {
			err = Recovered(v)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", step, err)
		}
	}()
	if c, ok := made.(SettingsChecker); ok {
		if err := c.CheckSettings(); err != nil {
			return err
		}
	}
	p, ok := made.(Provisioner)
	if !ok {
		return nil
	}
	step = "provision"
	if env == nil {
		env = &Env{}
	}
	lent := *env
	if lent.Log == nil {
		lent.Log = slog.New(slog.DiscardHandler)
	}
	return p.Provision(ctx, &lent)
}

// hasSettings reports whether a job is a struct with tagged fields.
func hasSettings(made any) bool {
	t := reflect.TypeOf(made)
	if t == nil || t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return false
	}
	for f := range t.Elem().Fields() {
		if _, tagged := f.Tag.Lookup("config"); tagged && f.IsExported() {
			return true
		}
	}
	return false
}

// body decodes the body of one message into T.
func body[T any](d *Definition, m *Info) (T, error) {
	var v T
	if err := d.decode(m, &v); err != nil {
		if _, already := errors.AsType[*DecodeError](err); !already {
			err = &DecodeError{Err: err}
		}
		return v, retry.Never(err)
	}
	return v, nil
}

func (d *Definition) decode(m *Info, into any) error {
	if d.decoder != nil {
		return d.decoder(m, into)
	}
	if raw, ok := into.(*json.RawMessage); ok {
		if !json.Valid([]byte(m.Raw)) {
			return errors.New("not JSON")
		}
		*raw = json.RawMessage(m.Raw)
		return nil
	}
	return plain(json.Unmarshal([]byte(m.Raw), into), m.Raw)
}

// plain says what is wrong with a body and where, without a value of it: the decoder's own words
// quote the character or the literal that it stumbled over.
func plain(err error, raw string) error {
	if err == nil {
		return nil
	}
	if strings.TrimSpace(raw) == "" {
		return errors.New("the body is empty")
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("not JSON: syntax error at byte %d", syntax.Offset)
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		kind, _, _ := strings.Cut(wrong.Value, " ") // "number 12.5" quotes the number
		where := "the body"
		if wrong.Field != "" {
			where = "field " + wrong.Field
		}
		return fmt.Errorf("%s: got %s, want %s", where, kind, wrong.Type)
	}
	return fmt.Errorf("refused by %T", err)
}
