package jobs

import (
	"context"
	"fmt"
	"reflect"
)

// Register registers a function that handles one message. It panics on a bad name and when the name
// is taken: call it from init.
func Register[T any](name string, handle func(context.Context, *Message[T]) error, o ...Option) {
	AddTo(standard, name, handle, append(o, from(registrant()))...)
}

// RegisterBatch registers a function that handles several messages at once and answers by index.
func RegisterBatch[T any](name string, handle func(context.Context, []*Message[T]) []error, o ...Option) {
	AddBatchTo(standard, name, handle, append(o, from(registrant()))...)
}

// RegisterJob registers a job with settings or connections. fresh makes one; it is also called to
// learn the settings, so it opens nothing.
func RegisterJob[J Handler[T], T any](name string, fresh func() J, o ...Option) {
	AddJobTo(standard, name, fresh, append(o, from(registrant()))...)
}

// RegisterBatchJob registers a batch job with settings or connections, as RegisterJob does.
func RegisterBatchJob[J BatchHandler[T], T any](name string, fresh func() J, o ...Option) {
	AddBatchJobTo(standard, name, fresh, append(o, from(registrant()))...)
}

// AddTo is Register for a registry of one's own.
func AddTo[T any](r *Registry, name string, handle func(context.Context, *Message[T]) error, o ...Option) {
	addChecked[T](r, &Definition{
		Name: name, batch: 1, settings: none,
		fresh: func(d *Definition) (any, Call) { return nil, single(d, handle) },
	}, o)
}

// AddBatchTo is RegisterBatch for a registry of one's own.
func AddBatchTo[T any](r *Registry, name string, handle func(context.Context, []*Message[T]) []error, o ...Option) {
	addChecked[T](r, &Definition{
		Name: name, batch: DefaultBatch, settings: none,
		fresh: func(d *Definition) (any, Call) { return nil, batched(d, handle) },
	}, o)
}

// AddJobTo is RegisterJob for a registry of one's own.
func AddJobTo[J Handler[T], T any](r *Registry, name string, fresh func() J, o ...Option) {
	addChecked[T](r, &Definition{
		Name: name, batch: 1, settings: settingsOf(fresh),
		fresh: func(d *Definition) (any, Call) {
			j := pointed(fresh())
			return j, single(d, j.(Handler[T]).Handle)
		},
	}, o)
}

// AddBatchJobTo is RegisterBatchJob for a registry of one's own.
func AddBatchJobTo[J BatchHandler[T], T any](r *Registry, name string, fresh func() J, o ...Option) {
	addChecked[T](r, &Definition{
		Name: name, batch: DefaultBatch, settings: settingsOf(fresh),
		fresh: func(d *Definition) (any, Call) {
			j := pointed(fresh())
			return j, batched(d, j.(BatchHandler[T]).HandleBatch)
		},
	}, o)
}

func from(pkg string) Option {
	return func(d *Definition) {
		if d.Package == "" {
			d.Package = pkg
		}
	}
}

func none() any { return nil }

func settingsOf[J any](fresh func() J) func() any {
	return func() any {
		if j := pointed(fresh()); hasSettings(j) {
			return j
		}
		return nil
	}
}

// pointed returns a job that is a struct as a pointer to it: settings need a place to be put in.
func pointed(j any) any {
	v := reflect.ValueOf(j)
	if v.Kind() != reflect.Struct {
		return j
	}
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	return p.Interface()
}

// single makes the innermost call of a job that takes one message at a time.
func single[T any](d *Definition, handle func(context.Context, *Message[T]) error) Call {
	return func(ctx context.Context, ms []*Info) []error {
		errs := make([]error, len(ms))
		for i, m := range ms {
			v, err := body[T](d, m)
			if err == nil {
				err = handle(ctx, &Message[T]{Info: *m, Body: v})
			}
			errs[i] = err
		}
		return errs
	}
}

// batched makes the innermost call of a batch job: what cannot be decoded does not reach the job
// and does not hold up its mates.
func batched[T any](d *Definition, handle func(context.Context, []*Message[T]) []error) Call {
	return func(ctx context.Context, ms []*Info) []error {
		errs := make([]error, len(ms))
		good := make([]*Message[T], 0, len(ms))
		places := make([]int, 0, len(ms))
		for i, m := range ms {
			v, err := body[T](d, m)
			if err != nil {
				errs[i] = err
				continue
			}
			good = append(good, &Message[T]{Info: *m, Body: v})
			places = append(places, i)
		}
		if len(good) == 0 {
			return errs
		}
		for i, err := range answers(handle(ctx, good), len(good)) {
			errs[places[i]] = err
		}
		return errs
	}
}

// answers makes a job's answers as many as its messages; nil means that all are done.
func answers(errs []error, n int) []error {
	if errs == nil || len(errs) == n {
		return errs
	}
	all := make([]error, n)
	for i := range all {
		all[i] = fmt.Errorf("%w: %d answers for %d messages", errNoAnswer, len(errs), n)
	}
	copy(all, errs)
	return all
}

// addChecked adds a job whose messages have a T for their body.
func addChecked[T any](r *Registry, d *Definition, o []Option) {
	d.check = func(m *Info) error {
		_, err := body[T](d, m)
		return err
	}
	r.add(d, o)
}
