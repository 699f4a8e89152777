package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/doctor"
	"github.com/stationmaster/worker/internal/pause"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/worker"
)

// timetable has a queue that ticks each minute, and one that others send to.
const timetable = `
[worker]
drain_timeout = "20m"
[admin]
addr = "off"
[queues.reports]
fifo = true
name = "nightly-reports.fifo"
job  = "report"
[queues.other]
job = "slow"
[schedules.minutely]
cron = "* * * * *"
queue = "reports"
body = '{"event":"tick"}'
attributes = { plan = "gold" }
`

// depot is an account without sockets, in which workers come and go.
type depot struct {
	o      worker.Options
	server *localaws.Server
	log    *lines

	mu   sync.Mutex
	runs map[string]int // of the job, by tick
	sent int            // requests to put messages into a queue or a topic
}

type doer struct{ http.RoundTripper }

func (d doer) Do(r *http.Request) (*http.Response, error) { return d.RoundTrip(r) }

func newDepot(t *testing.T, config string) *depot {
	t.Helper()
	d := &depot{server: localaws.New(localaws.Options{}), log: &lines{}, runs: map[string]int{}}
	r := jobs.NewRegistry()
	jobs.AddTo(r, "report", func(_ context.Context, m *jobs.Message[invited]) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.runs[m.Attributes["tick"].Text]++
		if m.Body.Event != "tick" || m.Attributes["plan"].Text != "gold" || m.GroupID == "" {
			t.Errorf("message %+v", m)
		}
		return nil
	})
	jobs.AddTo(r, "slow", func(ctx context.Context, _ *jobs.Message[invited]) error { return pause.For(ctx, 10*time.Minute) })
	d.o = worker.Options{
		ConfigFile: write(t, config), Jobs: r, LogTo: d.log,
		AWS: &aws.Config{
			Region: "us-east-1", BaseEndpoint: aws.String("http://localaws.test"), HTTPClient: doer{d.server.Transport()},
			Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
		},
	}
	d.server.Control("", func(r *localaws.Request) *localaws.Fault {
		if r.Action == "SendMessageBatch" || r.Action == "Publish" {
			d.mu.Lock()
			d.sent++
			d.mu.Unlock()
		}
		return nil
	})
	if _, err := d.operator(t).Apply(t.Context(), 0, nil); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *depot) operator(t *testing.T) *worker.Operator {
	t.Helper()
	o, err := worker.OpenOperator(t.Context(), d.o, "")
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// live is one life of a worker.
func (d *depot) live(t *testing.T, length time.Duration) {
	w, err := worker.New(t.Context(), d.o)
	if err != nil {
		t.Error(err)
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	if _, err := w.Run(ctx); err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// counts are how often the job ran for each tick, and the requests that it took.
func (d *depot) counts() (runs map[string]int, sent int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.runs, d.sent
}

// TestFiveWorkersRunEachTickOnce lets five workers be restarted in turns for two hours.
func TestFiveWorkersRunEachTickOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const long = 2 * time.Hour
		d, begin := newDepot(t, timetable), time.Now()
		var fleet sync.WaitGroup
		for n := range 5 {
			fleet.Go(func() {
				// At any time at least three are there.
				life := time.Duration(n+1) * time.Minute
				for time.Since(begin) < long {
					d.live(t, min(life, long-time.Since(begin)))
					life = 4 * time.Minute
					if pause.For(t.Context(), time.Duration(10+15*n)*time.Second) != nil {
						return
					}
				}
			})
		}
		fleet.Wait()
		runs, sent := d.counts()
		for tick := begin; tick.Before(begin.Add(long)); tick = tick.Add(time.Minute) {
			if n := runs[tick.UTC().Format(time.RFC3339)]; n != 1 {
				t.Errorf("tick %v ran %d times", tick, n)
			}
		}
		// The ticks before the first worker came are within four minutes, too.
		if len(runs) != 120+3 || sent < 3*len(runs) {
			t.Errorf("%d ticks of %d requests", len(runs), sent)
		}
		t.Logf("%d ticks ran once, of %d that were published", len(runs), sent)
	})
}

func TestADrainPublishesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, timetable)
		if _, err := d.operator(t).Send(t.Context(), "other", queue.Message{Body: "{}"}); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		_, before := d.counts()
		d.live(t, 150*time.Second)
		_, sent := d.counts()
		if drained := time.Since(begin); drained < 10*time.Minute || sent-before != 4+2 {
			t.Errorf("%d ticks were published within %v: want those of the 4 minutes before and of 2 minutes, and a drain of 10", sent-before, drained)
		}
	})
}

func TestATickThatCannotBePublishedIsTriedAgainAndStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hourly := strings.Replace(timetable, "* * * * *", "30 * * * *", 1)
		d := newDepot(t, hourly)
		begin, outage := time.Now(), 0
		d.server.Control("SendMessageBatch", func(*localaws.Request) *localaws.Fault {
			since := time.Since(begin)
			// The first tick is at half past twelve, the second an hour later.
			if since > 95*time.Minute || since > 32*time.Minute && since < 90*time.Minute {
				return nil
			}
			outage++
			return &localaws.Fault{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable"}
		})
		d.live(t, 3*time.Hour)
		runs, _ := d.counts()
		if runs["2000-01-01T00:30:00Z"] != 1 || runs["2000-01-01T02:30:00Z"] != 1 || len(runs) != 2 || outage < 10 {
			t.Errorf("ran %v after %d failures, want the first and the third tick", runs, outage)
		}
		for _, text := range []string{`"tick could not be published`, `"tick published after all"`, `"tick missed: this worker could not publish it in time"`, `"queue":"nightly-reports.fifo","schedule":"minutely"`} {
			if !d.log.has(text) {
				t.Errorf("the log lacks %s", text)
			}
		}
	})
}

func TestWhatDoesNotTick(t *testing.T) {
	for name, change := range map[string]func(*depot){
		"until empty": func(d *depot) { d.o.UntilEmpty = true },
		"paused":      func(d *depot) { d.o.Environ = []string{"WORKER_SCHEDULES__MINUTELY__PAUSED=true"} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDepot(t, timetable)
				change(d)
				d.live(t, 10*time.Minute)
				if _, sent := d.counts(); sent != 0 {
					t.Errorf("%d ticks were published", sent)
				}
			})
		})
	}
}

func TestATickGoesByATopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, strings.Replace(timetable, `queue = "reports"`, `topic = "ticks"`, 1)+`
[topics.ticks]
name = "all-ticks.fifo"
fifo = true
[[subscriptions]]
topic = "ticks"
protocol = "sqs"
endpoint = "reports"
`)
		var fleet sync.WaitGroup
		for range 2 {
			fleet.Go(func() { d.live(t, 150*time.Second) })
		}
		fleet.Wait()
		runs, sent := d.counts()
		for tick, n := range runs {
			if n != 1 {
				t.Errorf("tick %s ran %d times", tick, n)
			}
		}
		if len(runs) != 6 || sent != 2*len(runs) {
			t.Errorf("%d ticks of %d requests", len(runs), sent)
		}
	})
}

// TestTheWorkersPolicyLetsItTick wherever a schedule leads, and nowhere else.
func TestTheWorkersPolicyLetsItTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, timetable+`
[topics.ticks]
fifo = true
[topics.idle]
fifo = true
[schedules.daily]
cron = "@daily"
topic = "ticks"
body = "{}"
`)
		text, err := d.operator(t).Policy("worker", false)
		if err != nil {
			t.Fatal(err)
		}
		var policy struct {
			Statement []struct {
				Sid              string
				Action, Resource []string
			}
		}
		if err := json.Unmarshal([]byte(text), &policy); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, s := range policy.Statement {
			if strings.Contains(s.Sid, "Ticks") {
				got[strings.Join(s.Action, " ")] = strings.Join(s.Resource, " ")
			}
		}
		want := map[string]string{
			"sqs:SendMessage": "arn:aws:sqs:us-east-1:000000000000:nightly-reports.fifo",
			"sns:Publish":     "arn:aws:sns:us-east-1:000000000000:ticks.fifo",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestTheDoctorLooksWhereTicksGo, as at every queue and topic of the file.
func TestTheDoctorLooksWhereTicksGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, timetable)
		d.o.ConfigFile = write(t, timetable+`
[topics.ticks]
fifo = true
[queues.late]
fifo = true
job = "report"
[schedules.daily]
cron = "@daily"
topic = "ticks"
body = "{}"
[schedules.hourly]
cron = "@hourly"
queue = "late"
body = "{}"
`)
		r, err := d.operator(t).Examine(t.Context(), worker.Checkup{})
		if err != nil {
			t.Fatal(err)
		}
		for _, subject := range []string{"topic ticks.fifo", "queue late.fifo"} {
			if !slices.ContainsFunc(r.Findings, func(f doctor.Finding) bool { return f.Subject == subject && f.Mend.Apply }) {
				t.Errorf("nothing is said of %s, which is not there: %v", subject, r.Findings)
			}
		}
	})
}

func TestStatusHasTheSchedules(t *testing.T) {
	s := startSite(t, strings.Replace(line1, "%ADMIN%", `addr = "127.0.0.1:0"`, 1)+`
[queues.yearly]
fifo = true
job = "mail"
wait_time = "1s"
[schedules.yearly]
cron = "@yearly"
zone = "Europe/Berlin"
queue = "yearly"
body = '"x"'
[schedules.resting]
cron = "@yearly"
queue = "yearly"
body = '"x"'
paused = true
`)
	response, err := http.Get("http://" + s.w.AdminAddr() + "/status") //nolint:noctx // a test of one line
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var status struct {
		Schedules map[string]struct {
			Queue, State string
			Next         time.Time
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
		t.Fatal(err)
	}
	got := status.Schedules["yearly"]
	if got.Queue != "yearly.fifo" || got.State != "ticking" || !got.Next.After(time.Now()) || status.Schedules["resting"].State != "paused" {
		t.Errorf("schedules %+v", status.Schedules)
	}
}

func TestListSchedules(t *testing.T) {
	o := worker.Options{Jobs: jobs.NewRegistry(), ConfigFile: write(t, `
[topics.ticks]
fifo = true
[schedules.weekly]
cron = "0 3 * * 1"
zone = "Europe/Berlin"
topic = "ticks"
body = "{}"
[schedules.daily]
cron = "@daily"
topic = "ticks"
body = "{}"
paused = true
`)}
	all, err := worker.ListSchedules(o, 3)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || all[0].Name != "daily" || !all[0].Paused || all[1].Topic != "ticks.fifo" || all[1].Queue != "" || len(all[1].Next) != 3 {
		t.Fatalf("schedules %+v", all)
	}
	for i, at := range all[1].Next {
		if at.Format("Mon 15:04") != "Mon 03:00" || !at.After(time.Now()) || i > 0 && !at.After(all[1].Next[i-1]) {
			t.Errorf("ticks at %v", all[1].Next)
		}
	}
	o.ConfigFile = write(t, "[schedules.daily]\ncron = \"x\"\n")
	if _, err := worker.ListSchedules(o, 3); err == nil || !strings.Contains(fmt.Sprint(err), "schedules.daily.cron") {
		t.Errorf("error %v", err)
	}
	var coded interface{ ExitCode() int }
	if _, err := worker.ListSchedules(o, 3); !errors.As(err, &coded) || coded.ExitCode() != 2 {
		t.Errorf("error %v", err)
	}
}
