package cli_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/worker"
)

type layersKey struct{}

// layer writes its name into the context of a job, behind those outside of it.
func layer(name string) jobs.Middleware {
	return func(next jobs.Call) jobs.Call {
		return func(ctx context.Context, ms []*jobs.Info) []error {
			return next(context.WithValue(ctx, layersKey{}, layersOf(ctx)+name+" "), ms)
		}
	}
}

func layersOf(ctx context.Context) string {
	layers, _ := ctx.Value(layersKey{}).(string)
	return layers
}

// layers are what TestMain gives to Main: each option adds to what those before it have added.
func layers() []worker.Option {
	around := func(name string) worker.Option {
		return func(o *worker.Options) { o.Middleware = append(o.Middleware, layer(name)) }
	}
	return []worker.Option{around("first"), around("second")}
}

const layeredLine = `
[admin]
addr = "off"
[queues.layered]
job = "layered"
wait_time = "1s"
`

// TestMainPutsItsMiddlewareAroundEveryJob: through a process of its own, as users do it.
func TestMainPutsItsMiddlewareAroundEveryJob(t *testing.T) {
	o := newOutside(t)
	file := config(t, layeredLine)
	o.apply(t, file)
	o.fill(t, "layered", 1)
	cmd, said := o.command(t, file, "run", "--until-empty")
	o.start(t, cmd)
	eventually(t, time.Minute, func() bool { return o.distinct() > 0 }, said.String)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
	if want := "first second own 0"; o.heard(want) != 1 {
		t.Errorf("heard %v, want %q\n%s", o.told, want, strings.TrimSpace(said.String()))
	}
}
