package worker

import (
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stationmaster/worker/internal/config"
	"github.com/stationmaster/worker/internal/plugins"
	"github.com/stationmaster/worker/jobs"
)

// Options say what a worker is made of. The zero value is a worker of the jobs that have registered
// themselves, configured by config.toml and AWS's default chain.
type Options struct {
	// ConfigFile is the configuration; empty is config.toml, if there is one.
	ConfigFile string
	// Environ is the environment as os.Environ has it: where WORKER_* and AWS_* are read from.
	Environ []string
	// Flags are settings of the command line by key path; they win over everything.
	Flags map[string]any
	// Jobs are the registered jobs; nil is jobs.Default().
	Jobs *jobs.Registry
	// Middleware wraps every job, the first outermost.
	Middleware []jobs.Middleware
	// AWS replaces AWS's default chain.
	AWS *aws.Config
	// Log takes the records; nil makes a logger for LogTo from the settings worker.log_*.
	Log *slog.Logger
	// LogTo is where a logger made here writes; nil discards. LogText says that somebody reads
	// along: records are text then, unless configured otherwise.
	LogTo   io.Writer
	LogText bool
	// TextHandler makes the handler of text records; nil is slog's own.
	TextHandler func(to io.Writer, level slog.Leveler) slog.Handler
	// Version goes into /status and into failure records.
	Version string
	// Metrics answers GET /metrics on the admin port; nil: nothing does. The worker measures through
	// the global meter provider of OpenTelemetry, so it is for whoever installs that to say how its
	// metrics are read. The worker command installs one.
	Metrics http.Handler
	// UntilEmpty ends Run by itself once its queues are empty.
	UntilEmpty bool
	// NoPlugins loads no plugins, so that no foreign code runs. What the configuration says of jobs that
	// are not registered is not checked then, where it names plugins.
	NoPlugins bool

	// embedded: AWS is the server in this process, whose topology is ours to apply and which hands
	// nothing to a caller that has gone.
	embedded bool
	// nasty: it does hand messages to callers that have gone.
	nasty  bool
	layers []config.Layer
	// plugged are the plugins that the configuration has loaded.
	plugged []plugins.Plugin
	// reach tells the embedded server where the paths below a public URL are served; nil when there is
	// none. certificates carries the requests for the certificates of SNS; nil is net/http's.
	reach        func(publicURL, addr string)
	certificates http.RoundTripper
}

// Option adjusts the options that the command line made.
type Option func(*Options)

func (o *Options) fill() {
	if o.Jobs == nil {
		o.Jobs = jobs.Default()
	}
	if o.LogTo == nil {
		o.LogTo = io.Discard
	}
	if o.Version == "" {
		o.Version = "devel"
	}
}

// lookup reads one variable of the environment; the last of several counts.
func (o *Options) lookup(name string) (value string, set bool) {
	for _, entry := range o.Environ {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value, set = v, true
		}
	}
	return value, set
}

// settings returns the settings of a job, for the strict check of [jobs.<name>].
func (o *Options) settings(job string) (any, bool) {
	d, ok := o.Jobs.Lookup(job)
	if !ok {
		return nil, false
	}
	return d.Settings(), true
}

// logger makes the logger that the configuration asks for.
func (o *Options) logger(level slog.Level, format string) *slog.Logger {
	if o.Log != nil {
		return o.Log
	}
	switch {
	case format == "json" || (format != "text" && !o.LogText):
	case o.TextHandler != nil:
		return slog.New(o.TextHandler(o.LogTo, level))
	default:
		return slog.New(slog.NewTextHandler(o.LogTo, &slog.HandlerOptions{Level: level}))
	}
	return slog.New(slog.NewJSONHandler(o.LogTo, &slog.HandlerOptions{Level: level, ReplaceAttr: readable}))
}

// readable makes "1.06ms" of a duration, which slog writes as nanoseconds in JSON, and UTC of a time,
// so that the records of several machines sort.
func readable(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindDuration:
		a.Value = slog.StringValue(threeDigits(a.Value.Duration()).String())
	case slog.KindTime:
		a.Value = slog.TimeValue(a.Value.Time().UTC())
	default:
	}
	return a
}

func threeDigits(d time.Duration) time.Duration {
	to := time.Duration(1)
	for d.Abs()/to >= 1000 {
		to *= 10
	}
	return d.Round(to)
}

// hostname is who we are in a failure record.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}
