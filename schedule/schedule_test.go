package schedule_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/stationmaster/worker/internal/pause"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/schedule"
)

type roundTripper struct{ http.RoundTripper }

func (r roundTripper) Do(request *http.Request) (*http.Response, error) { return r.RoundTrip(request) }

// fifo is a FIFO queue of a local AWS without sockets.
type fifo struct {
	*sqs.Client
	url string
}

func newFIFO(t *testing.T) *fifo {
	t.Helper()
	client := sqs.NewFromConfig(aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://localaws.test"),
		HTTPClient:  roundTripper{localaws.New(localaws.Options{}).Transport()},
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
	})
	made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{
		QueueName: aws.String("reports.fifo"), Attributes: map[string]string{"FifoQueue": "true"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &fifo{client, *made.QueueUrl}
}

// send is what a schedule publishes with.
func (q *fifo) send(ctx context.Context, m queue.Message) (string, error) {
	in := sqs.SendMessageInput{
		QueueUrl: &q.url, MessageBody: &m.Body, MessageGroupId: &m.GroupID, MessageDeduplicationId: &m.DeduplicationID,
		MessageAttributes: map[string]types.MessageAttributeValue{},
	}
	for name, a := range m.Attributes {
		in.MessageAttributes[name] = types.MessageAttributeValue{DataType: &a.Type, StringValue: &a.Text}
	}
	out, err := q.SendMessage(ctx, &in)
	if err != nil {
		return "", err
	}
	return *out.MessageId, nil
}

// take receives and deletes some messages.
func (q *fifo) take(t *testing.T) []types.Message {
	t.Helper()
	out, err := q.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: &q.url, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range out.Messages {
		if _, err := q.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: m.ReceiptHandle}); err != nil {
			t.Fatal(err)
		}
	}
	return out.Messages
}

// ticks takes all messages of the queue and counts them by tick.
func (q *fifo) ticks(t *testing.T) map[string]int {
	t.Helper()
	all := map[string]int{}
	for {
		ms := q.take(t)
		if len(ms) == 0 {
			return all
		}
		for _, m := range ms {
			all[*m.MessageAttributes[schedule.TickAttribute].StringValue]++
		}
	}
}

// run runs a schedule for some time, as one life of a worker does.
func run(t *testing.T, s schedule.Schedule, life time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), life)
	defer cancel()
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestFiveWorkersWithRestartsPublishEachTickOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const long = 12 * time.Hour
		q, begin := newFIFO(t), time.Now()
		type life struct{ from, to time.Time }
		var (
			mu    sync.Mutex
			lives []life
			fleet sync.WaitGroup
		)
		for range 5 {
			fleet.Go(func() {
				failures := 0
				s := schedule.Schedule{Name: "minutely", Times: parse(t, "* * * * *", ""), Message: queue.Message{Body: "{}"}}
				s.Publish = func(ctx context.Context, m queue.Message) (string, error) {
					// A third of the tries fails, at most twice in a row: before the send, or after it.
					fails := failures < 2 && rand.N(3) == 0
					if failures++; !fails {
						failures = 0
					}
					if fails && rand.N(2) == 0 {
						return "", queue.ErrThrottled
					}
					id, err := q.send(ctx, m)
					if fails {
						return "", errors.New("the answer was lost")
					}
					return id, err
				}
				for time.Since(begin) < long {
					if pause.For(t.Context(), rand.N(40*time.Minute)) != nil {
						return
					}
					from := time.Now()
					run(t, s, rand.N(10*time.Minute))
					mu.Lock()
					lives = append(lives, life{from, time.Now()})
					mu.Unlock()
				}
			})
		}
		fleet.Wait()
		got, missed := q.ticks(t), 0
		for tick := begin.Truncate(time.Minute).Add(time.Minute); time.Since(tick) > 0; tick = tick.Add(time.Minute) {
			up := false
			for _, l := range lives {
				from, to := l.from, l.to
				if from.Before(tick) {
					from = tick
				}
				if end := tick.Add(schedule.Window); to.After(end) {
					to = end
				}
				// A worker that has just started publishes the ticks before this one first.
				up = up || to.Sub(from) > 40*time.Second
			}
			n := got[tick.UTC().Format(time.RFC3339)]
			if n > 1 || up && n == 0 {
				t.Errorf("tick %v was accepted %d times, a worker was up: %v", tick, n, up)
			}
			if n == 0 {
				missed++
			}
		}
		t.Logf("%d ticks accepted, %d missed with nobody up, %d lives", len(got), missed, len(lives))
		if len(got) < 100 || missed == 0 {
			t.Errorf("%d ticks accepted and %d missed show too little", len(got), missed)
		}
	})
}

func TestATickIsPublishedOnlyWithinItsWindow(t *testing.T) {
	for _, tt := range []struct {
		late time.Duration
		want int
	}{{3 * time.Minute, 1}, {schedule.Window, 0}, {schedule.Window + time.Minute, 0}} {
		synctest.Test(t, func(t *testing.T) {
			q := newFIFO(t)
			midnight := time.Now().Truncate(24 * time.Hour).Add(24 * time.Hour)
			if err := pause.For(t.Context(), time.Until(midnight.Add(tt.late))); err != nil {
				t.Fatal(err)
			}
			run(t, schedule.Schedule{Name: "nightly", Times: parse(t, "@daily", ""), Message: queue.Message{Body: "{}"}, Publish: q.send}, time.Hour)
			if got := len(q.ticks(t)); got != tt.want {
				t.Errorf("a worker that starts %v after the tick published %d messages, want %d", tt.late, got, tt.want)
			}
		})
	}
}

func TestAFailureIsToldOnceAndTheNextTickIsPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFIFO(t)
		first := parse(t, "@hourly", "").Next(time.Now())
		var told []error
		run(t, schedule.Schedule{
			Name: "hourly", Times: parse(t, "@hourly", ""), Message: queue.Message{Body: "{}"},
			Publish: func(ctx context.Context, m queue.Message) (string, error) {
				if time.Since(first) > schedule.Window {
					return q.send(ctx, m)
				}
				return "", queue.ErrThrottled
			},
			Done: func(_ time.Time, err error) { told = append(told, err) },
		}, 2*time.Hour+30*time.Minute)
		// The first is the tick of the very start, which is the first full hour itself.
		if len(told) < 2 || !errors.Is(told[len(told)-2], queue.ErrThrottled) || told[len(told)-1] != nil {
			t.Errorf("told %v, want a missed tick and a published one", told)
		}
		if got := len(q.ticks(t)); got != 1 {
			t.Errorf("%d messages, want 1", got)
		}
	})
}

func TestATryThatHangsDoesNotTakeTheWholeWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, tries := newFIFO(t), 0
		run(t, schedule.Schedule{
			Name: "hourly", Times: parse(t, "30 * * * *", ""), Message: queue.Message{Body: "{}"},
			Publish: func(ctx context.Context, m queue.Message) (string, error) {
				if tries++; tries < 3 {
					<-ctx.Done()
					return "", ctx.Err()
				}
				return q.send(ctx, m)
			},
		}, 50*time.Minute)
		if got := len(q.ticks(t)); got != 1 || tries != 3 {
			t.Errorf("%d messages after %d tries, want 1 after 3", got, tries)
		}
	})
}

func TestAMessageSaysItsTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFIFO(t)
		run(t, schedule.Schedule{
			Name: "nightly", Times: parse(t, "0 3 * * *", "Europe/Berlin"), Publish: q.send,
			Message: queue.Message{Body: "{}", Attributes: map[string]queue.Attribute{"job": {Type: "String", Text: "report"}}},
		}, 3*time.Hour)
		ms := q.take(t)
		if len(ms) != 1 {
			t.Fatalf("received %d messages, want 1", len(ms))
		}
		m := ms[0]
		if group, id := m.Attributes["MessageGroupId"], m.Attributes["MessageDeduplicationId"]; *m.Body != "{}" || group != "nightly" || id != "nightly-20000101T020000Z" {
			t.Errorf("body %q, group %q, deduplication id %q", *m.Body, group, id)
		}
		for name, want := range map[string]string{
			"job": "report", "schedule": "nightly", "tick": "2000-01-01T02:00:00Z", "stationmaster": `{"id":"nightly-20000101T020000Z"}`,
		} {
			if got := m.MessageAttributes[name].StringValue; got == nil || *got != want {
				t.Errorf("attribute %s is %v, want %q", name, got, want)
			}
		}
	})
}

func TestRunRefusesWhatCanNeverBePublished(t *testing.T) {
	taken := queue.Message{Body: "{}", Attributes: map[string]queue.Attribute{"tick": {Type: "String", Text: "x"}}}
	for _, tt := range []struct {
		s    schedule.Schedule
		want string
	}{
		{schedule.Schedule{Name: "Nightly"}, "the name must be"},
		{schedule.Schedule{Name: "nightly"}, "the body is empty"},
		{schedule.Schedule{Name: "nightly", Message: taken}, "written by the schedule itself"},
	} {
		if err := tt.s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Run = %v, want an error with %q", err, tt.want)
		}
	}
}
