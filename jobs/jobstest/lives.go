package jobstest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Lives are what became of several messages that were sent together to one job.
type Lives struct {
	// Each are the lives, in the order of the sends, and behind them those of messages that the job
	// published and that came back to it.
	Each []*Life
	// Published is what the job published in all its tries, in order.
	Published []Published
	// Lasted is from the send to the end of the last.
	Lasted time.Duration

	t     testing.TB
	job   string
	order []*Life // one for each try, as they began
	calls []int   // how many messages each call of the job had
}

// oneAtATime keeps lives of parallel tests apart: they may share http.DefaultTransport, and a connection that
// one bubble has opened must not be used or closed by another.
var oneAtATime sync.Mutex

// LiveAll is Live for several messages. They are sent at once, in order, and each has a life and wants of its own:
//
//	lives := jobstest.LiveAll(t, "charge", []any{
//		jobstest.With(first, jobstest.ID("a1"), jobstest.Group("a")),
//		jobstest.With(second, jobstest.ID("a2"), jobstest.Group("a")),
//	}, jobstest.FIFO())
//	lives.WantOrder("a1", "a1", "a2") // the first failed once, and the second waited for it
//	lives.Each[1].WantDone(1)
//
// A single job runs one at a time unless Slots says otherwise. A batch job is given what there is, at most
// what its registration allows; what failed together may come back apart, as from SQS.
func LiveAll[J Job](t *testing.T, job J, bodies []any, o ...Option) *Lives {
	t.Helper()
	s, d := set(o), definition(t, job)
	l := &living{
		setup: s, job: d.Name, all: &Lives{t: t, job: d.Name}, by: map[string]*Life{},
		calls: map[any]*call{},
	}
	oneAtATime.Lock()
	defer oneAtATime.Unlock()
	defer watchClock(t, l)()
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		l.run(t, d, bodies)
	})
	return l.all
}

// WantAllDone fails the test unless the job succeeded with every message.
func (l *Lives) WantAllDone() {
	l.t.Helper()
	var dead []string
	for _, one := range l.Each {
		if !one.Done {
			dead = append(dead, one.Name)
		}
	}
	if len(dead) > 0 {
		l.fail("want all done, dead are %s", strings.Join(dead, " "))
	}
}

// WantOrder fails the test unless the tries of the messages named here began in this order: a name for each
// try. Tries of messages that are not named do not count, so that one group of several can be looked at.
// A standard queue keeps no order: those that come back to it at one instant come in any.
func (l *Lives) WantOrder(names ...string) {
	l.t.Helper()
	var got []string
	for _, one := range l.order {
		if slices.Contains(names, one.Name) {
			got = append(got, one.Name)
		}
	}
	if !slices.Equal(got, names) {
		l.fail("want the tries in the order %s, got %s", strings.Join(names, " "), strings.Join(got, " "))
	}
}

// WantBatches fails the test unless the job was called with so many messages each time.
func (l *Lives) WantBatches(sizes ...int) {
	l.t.Helper()
	if !slices.Equal(l.calls, sizes) {
		l.fail("want calls with %v messages, got %v", sizes, l.calls)
	}
}

// WantPublished fails the test unless the job published to these topics in all its tries, in this order;
// without a topic, unless it published nothing.
func (l *Lives) WantPublished(topics ...string) {
	l.t.Helper()
	if got := topicsOf(l.Published); !slices.Equal(got, topics) {
		l.fail("want %s, got %s", toTopics(topics), toTopics(got))
	}
}

func (l *Lives) fail(format string, a ...any) {
	l.t.Helper()
	l.t.Errorf("jobstest: job %s: %s:\n%s", l.job, fmt.Sprintf(format, a...), l)
}

// PublishedTo returns the bodies of what was published to a topic, decoded from JSON. It fails the test when
// one cannot be decoded.
//
//	welcomed := jobstest.PublishedTo[Welcome](t, life.Published, "welcomed")
func PublishedTo[T any](t testing.TB, published []Published, topic string) []T {
	t.Helper()
	var bodies []T
	for n, p := range published {
		if p.Topic != topic {
			continue
		}
		var body T
		if err := json.Unmarshal([]byte(p.Message.Body), &body); err != nil {
			t.Errorf("jobstest: message %d of %d, published to %s, is no %T: %v:\n  %s", n+1, len(published), topic, body, err, p.Message.Body)
		}
		bodies = append(bodies, body)
	}
	return bodies
}

func topicsOf(published []Published) []string {
	topics := make([]string, len(published))
	for n, p := range published {
		topics[n] = p.Topic
	}
	return topics
}

func toTopics(topics []string) string {
	if len(topics) == 0 {
		return "nothing published"
	}
	return "published to " + strings.Join(topics, " ")
}
