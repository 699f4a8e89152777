package cli

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/worker"
)

// What a replay does that says nothing else.
const (
	usualCanary = 5
	// fewLetters is how many are replayed without a canary: they are about as many as one.
	fewLetters = 20
)

// replayFlags are what replay-dlq was told.
type replayFlags struct {
	filter dlqreplay.Filter

	limit, expect, maxDeaths int
	rate, concurrency        string
	ramp                     bool
	maxBacklog               int64
	canary                   int
	settle                   time.Duration
	stopOnReturn             string
	check, breakOrder        bool
	to, native               string
	foreign                  bool
	goAhead, yes, quiet, iam bool
	plan                     string
	delete                   bool
	addr                     string

	// given reports whether a flag was on the command line.
	given func(name string) bool
}

// selectors are the flags of terms that have a value: what they choose by, and how that is said.
var selectors = []struct{ key, value, usage string }{
	{"group", "FINGERPRINT", "what died of one cause: the first column of the plan; a prefix is enough"},
	{"job", "NAME", "what died in this job"},
	{"class", "CLASS", "what died of this class of failure"},
	{"id", "MESSAGE-ID", "this dead letter"},
	{"attr", "NAME=VALUE", "what has this message attribute"},
	{"where", "JQ", "what this jq expression is true of; it sees .body, .attrs, .sys, .failure and .sns"},
}

// termFlag collects the terms of one flag, in the order of the command line.
type termFlag struct {
	into  *dlqreplay.Filter
	term  dlqreplay.Term
	value string
}

func (t *termFlag) String() string { return "" }
func (t *termFlag) Type() string   { return t.value }

func (t *termFlag) Set(text string) error {
	term := t.term
	if t.value != "bool" {
		term.Value = text
	} else if on, err := strconv.ParseBool(text); err != nil || !on {
		return err
	}
	*t.into = append(*t.into, term)
	return nil
}

func (t *termFlag) bind(f *pflag.FlagSet, name, usage string) {
	flag := f.VarPF(t, name, "", usage)
	if t.value == "bool" {
		flag.NoOptDefVal = "true"
	}
}

// replayFlagsOf defines the flags of replay-dlq.
func replayFlagsOf(cmd *cobra.Command) *replayFlags {
	r := &replayFlags{}
	f := cmd.Flags()
	f.SortFlags = false
	for _, s := range selectors {
		(&termFlag{&r.filter, dlqreplay.Term{Key: s.key}, s.value}).bind(f, s.key, s.usage)
	}
	(&termFlag{&r.filter, dlqreplay.Term{Key: "since"}, "TIME"}).bind(f, "since", "sent first at this time or later: 2h (ago), 03:00, or as RFC 3339 has it")
	(&termFlag{&r.filter, dlqreplay.Term{Key: "until"}, "TIME"}).bind(f, "until", "sent first before this time")
	(&termFlag{&r.filter, dlqreplay.Term{Key: "deaths"}, "'<2'"}).bind(f, "deaths", "how often it died: 1, <2, >=3")
	(&termFlag{&r.filter, dlqreplay.Term{Key: "unannotated"}, "bool"}).bind(f, "unannotated", "what has no failure record")
	for _, s := range selectors {
		(&termFlag{&r.filter, dlqreplay.Term{Key: s.key, Not: true}, s.value}).bind(f, "not-"+s.key, "the opposite of --"+s.key)
	}
	f.IntVar(&r.limit, "limit", 0, "at most so many, oldest first")
	f.IntVar(&r.expect, "expect", -1, "do nothing unless exactly so many are selected")
	f.IntVar(&r.maxDeaths, "max-deaths", 3, "skip what has died more often; 0: nothing")
	f.StringVar(&r.rate, "rate", "50/s", "the most messages a second, or max")
	f.BoolVar(&r.ramp, "ramp", false, "begin with 1 a second, then 2, 5, 10 … up to --rate")
	f.Int64Var(&r.maxBacklog, "max-backlog", 0, "pause while the destination has more messages waiting; 0: never")
	f.StringVar(&r.concurrency, "concurrency", "auto", "batches on their way at once")
	f.IntVar(&r.canary, "canary", usualCanary, fmt.Sprintf("send so many first, and wait; 0: none (usual when more than %d are selected)", fewLetters))
	f.DurationVar(&r.settle, "settle", 2*time.Minute, "how long to watch for what comes back; 0s: not at all")
	f.StringVar(&r.stopOnReturn, "stop-on-return", "5%", "stop when more than this share has come back; never: do not stop")
	f.BoolVar(&r.check, "check", true, "skip what the job of this build cannot decode")
	f.BoolVar(&r.breakOrder, "break-order", false, "FIFO: let a message overtake one of its group that stays")
	f.StringVar(&r.to, "to", "origin", "where to: origin, a queue, or job:NAME to run that job here")
	f.BoolVar(&r.foreign, "foreign", false, "QUEUE is the dead-letter queue of something else: Lambda, EventBridge")
	f.StringVar(&r.native, "native", "auto", "SQS's own redrive: auto (when it is the better tool), always or never")
	f.StringVar(&r.plan, "plan", "", "only what this saved plan selected, such as p-7f3a")
	f.BoolVar(&r.goAhead, "go", false, "do it: scan, show, ask, replay")
	f.BoolVar(&r.yes, "yes", false, "do not ask (jobs that want to be asked need --job NAME as well)")
	f.BoolVar(&r.delete, "delete", false, "export: remove from the queue what is safely in the file")
	f.BoolVar(&r.quiet, "quiet", false, "print the outcome only")
	f.BoolVar(&r.iam, "print-iam", false, "print the permissions that this needs as an IAM policy, and do nothing")
	f.StringVar(&r.addr, "aws-addr", worker.DefaultDevAddr, "where to look for a dev worker")
	r.given = f.Changed
	return r
}

// verbs are what can be done with a dead-letter queue besides a plan, and the flags of replay-dlq that
// each of them takes. Those of everywhere are taken by all.
var verbs = map[string][]string{
	"":        nil, // all of them, save --delete
	"show":    {},
	"run":     {"check", "yes", "to"},
	"export":  {"limit", "expect", "delete", "yes", "concurrency", "plan"},
	"import":  {"limit", "expect", "max-deaths", "rate", "ramp", "max-backlog", "canary", "settle", "stop-on-return", "concurrency", "check", "to", "yes", "break-order"},
	"discard": {"limit", "expect", "yes", "concurrency", "plan", "go"},
	"resume":  {"yes"},
	"history": {},
}

// everywhere are the flags that every verb takes.
var everywhere = []string{"quiet", "aws-addr", "json", "config", "foreign", "print-iam", "help"}

// allowed refuses flags that a verb does not know: one that is ignored would be believed.
func (r *replayFlags) allowed(cmd *cobra.Command, verb string) error {
	var faults []error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if !takes(verb, f.Name) {
			faults = append(faults, fmt.Errorf("--%s does nothing for %s", f.Name, orWord(verb, "a plan or a replay")))
		}
	})
	return errors.Join(faults...)
}

func takes(verb, flag string) bool {
	if slices.Contains(everywhere, flag) {
		return true
	}
	if verb == "" {
		return flag != "delete"
	}
	if verb == "export" || verb == "discard" || verb == "import" {
		if _, isTerm := termOf(flag); isTerm {
			return true
		}
	}
	return slices.Contains(verbs[verb], flag)
}

// termOf is the key of the term that a flag adds.
func termOf(flag string) (key string, ok bool) {
	key = strings.TrimPrefix(flag, "not-")
	switch key {
	case "since", "until", "deaths", "unannotated":
		return key, key == flag
	}
	for _, s := range selectors {
		if s.key == key {
			return key, true
		}
	}
	return "", false
}

// pace reads the flags of the pace; every fault is told at once.
func (r *replayFlags) pace() (p dlqreplay.Pace, err error) {
	var faults []error
	note := func(err error) {
		if err != nil {
			faults = append(faults, err)
		}
	}
	p = dlqreplay.Pace{Ramp: r.ramp, MaxBacklog: r.maxBacklog, Canary: r.canary, Settle: r.settle}
	p.Rate, err = rate(r.rate)
	note(err)
	p.StopOnReturn, err = share(r.stopOnReturn)
	note(err)
	p.Loops, err = loops(r.concurrency)
	note(err)
	for _, n := range []struct {
		flag string
		n    int64
	}{{"limit", int64(r.limit)}, {"max-deaths", int64(r.maxDeaths)}, {"max-backlog", r.maxBacklog}, {"canary", int64(r.canary)}} {
		if n.n < 0 {
			faults = append(faults, fmt.Errorf("--%s %d: must not be negative", n.flag, n.n))
		}
	}
	if r.expect < 0 && r.given("expect") {
		faults = append(faults, fmt.Errorf("--expect %d: must not be negative", r.expect))
	}
	if r.settle < 0 {
		faults = append(faults, fmt.Errorf("--settle %v: must not be negative; 0s does not wait", r.settle))
	}
	switch r.native {
	case "auto", "always", "never":
	default:
		faults = append(faults, fmt.Errorf("--native %q: must be auto, always or never", r.native))
	}
	if r.to == "" || r.to == "job:" {
		faults = append(faults, fmt.Errorf(`--to %q: must be origin, a queue, or job:NAME`, r.to))
	}
	return p, errors.Join(faults...)
}

// paceFor completes a pace for n letters: a canary is no use where it is all of them.
func (r *replayFlags) paceFor(p dlqreplay.Pace, n int) dlqreplay.Pace {
	if !r.given("canary") && n <= fewLetters {
		p.Canary = 0
	}
	return p
}

// rate reads "50/s", "600/m", "50" or "max".
func rate(text string) (float64, error) {
	if text == "max" {
		return 0, nil
	}
	number, unit, _ := strings.Cut(text, "/")
	per := map[string]float64{"": 1, "s": 1, "m": 60, "h": 3600}[unit]
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || per == 0 || n <= 0 || math.IsInf(n, 0) {
		return 0, fmt.Errorf("--rate %q: must be a number above 0 with /s, /m or /h, such as 50/s, or max", text)
	}
	return n / per, nil
}

// share reads "5%", "0.05" or "never".
func share(text string) (float64, error) {
	if text == "never" {
		return 1, nil
	}
	number, percent := strings.CutSuffix(text, "%")
	n, err := strconv.ParseFloat(number, 64)
	if percent {
		n /= 100
	}
	if err != nil || !(n >= 0 && n <= 1) {
		return 0, fmt.Errorf("--stop-on-return %q: must be from 0%% to 100%%, or never", text)
	}
	return n, nil
}

func loops(text string) (int, error) {
	const most = 256
	if text == "auto" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("--concurrency %q: must be from 1 to %d, or auto", text, most)
	}
	return n, nil
}

func orWord(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
