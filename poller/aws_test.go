package poller_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/goleak"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// station is a queue with its dead-letter queue on an SQS in this process, reached as AWS is, without
// sockets. It writes down every request.
type station struct {
	t      *testing.T
	server *localaws.Server
	api    *awsapi.Client
	url    string
	q, dlq *awsapi.Queue
	fifo   bool

	mu   sync.Mutex
	seen []request
}

// request is one that reached the server.
type request struct {
	action  string
	at      time.Time
	entries []string
	body    map[string]any
}

// caller is the server as an HTTP client.
type caller struct{ http.RoundTripper }

func (c caller) Do(r *http.Request) (*http.Response, error) { return c.RoundTrip(r) }

const (
	lease  = 30 * time.Second // the visibility timeout of the queues below
	margin = time.Second      // what awsapi takes off a lease of that length
)

// newStation must be called inside a synctest bubble.
func newStation(t *testing.T, fifo bool) *station {
	t.Helper()
	return newStationOn(t, fifo, localaws.Nasty{})
}

// newStationOn is newStation on a server that is as bad as it is told.
func newStationOn(t *testing.T, fifo bool, nasty localaws.Nasty) *station {
	t.Helper()
	s := &station{t: t, fifo: fifo, server: localaws.New(localaws.Options{Nasty: nasty})}
	s.api = newAPI(s.server)
	suffix, of, dlqOf := "", map[string]string{"VisibilityTimeout": "30"}, map[string]string{}
	if fifo {
		suffix = ".fifo"
		of["FifoQueue"], dlqOf["FifoQueue"] = "true", "true"
		of["ContentBasedDeduplication"] = "true"
	}
	dead, err := s.api.CreateQueue(t.Context(), "mail-dlq"+suffix, dlqOf, nil)
	if err != nil {
		t.Fatal(err)
	}
	of["RedrivePolicy"] = fmt.Sprintf(`{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:mail-dlq%s","maxReceiveCount":50}`, suffix)
	if s.url, err = s.api.CreateQueue(t.Context(), "mail"+suffix, of, nil); err != nil {
		t.Fatal(err)
	}
	s.q = s.api.Queue(s.url, awsapi.QueueOptions{Visibility: lease})
	s.dlq = s.api.Queue(dead, awsapi.QueueOptions{})
	s.spoil("", func(r *localaws.Request) *localaws.Fault {
		seen := request{action: r.Action, at: time.Now(), entries: r.Entries}
		_ = json.Unmarshal(r.Body, &seen.body) // Query requests of STS have no JSON
		s.mu.Lock()
		defer s.mu.Unlock()
		s.seen = append(s.seen, seen)
		return nil
	})
	return s
}

func newAPI(server *localaws.Server) *awsapi.Client {
	at := "http://localhost:4566"
	return awsapi.New(aws.Config{
		Region: "us-east-1", BaseEndpoint: &at, HTTPClient: caller{server.Transport()},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, awsapi.Options{})
}

// on puts a poller on this queue.
func (s *station) on(o *poller.Options) {
	o.Receiver, o.Settler, o.DeadLetters, o.FIFO = s.q, s.q, s.dlq, s.fifo
}

// and is on, and then a change.
func (s *station) and(change func(*poller.Options)) func(*poller.Options) {
	return func(o *poller.Options) { s.on(o); change(o) }
}

// spoil lets requests of an action go wrong. The first function that was given last wins.
func (s *station) spoil(action string, f func(*localaws.Request) *localaws.Fault) (stop func()) {
	return s.server.Control(action, f)
}

// fails lets every request of an action fail until it is stopped.
func (s *station) fails(action string, f localaws.Fault) (stop func()) {
	return s.spoil(action, func(*localaws.Request) *localaws.Fault { return &f })
}

func (s *station) send(bodies ...string) { s.sendGroup("", bodies...) }

func (s *station) sendGroup(group string, bodies ...string) {
	s.t.Helper()
	for chunk := range slices.Chunk(bodies, queue.MaxBatch) {
		batch := make([]queue.Message, len(chunk))
		for i, body := range chunk {
			batch[i] = queue.Message{Body: body, GroupID: group}
		}
		if _, errs := s.q.Send(s.t.Context(), batch); errs != nil {
			s.t.Fatal(errs)
		}
	}
}

// counts are the messages that wait and those that are in flight.
func (s *station) counts() (visible, inFlight int) {
	s.t.Helper()
	n, err := s.api.QueueCounts(s.t.Context(), s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	return int(n.Visible), int(n.InFlight)
}

// holds checks how many messages wait and how many are in flight.
func (s *station) holds(visible, inFlight int) {
	s.t.Helper()
	if v, f := s.counts(); v != visible || f != inFlight {
		s.t.Errorf("the queue has %d visible and %d in flight, want %d and %d", v, f, visible, inFlight)
	}
}

// requests are those of an action, in order of arrival.
func (s *station) requests(action string) (found []request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.seen {
		if r.action == action {
			found = append(found, r)
		}
	}
	return found
}

// dead are the dead letters.
func (s *station) dead() []queue.Delivery {
	s.t.Helper()
	got, err := s.dlq.Receive(s.t.Context(), queue.MaxBatch, time.Second)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

const (
	receiveAction = "ReceiveMessage"
	deleteAction  = "DeleteMessageBatch"
	changeAction  = "ChangeMessageVisibilityBatch"
)

var (
	down   = localaws.Fault{Status: 503, Code: "ServiceUnavailable", Message: "down"}
	denied = localaws.Fault{Status: 403, Code: "AccessDenied", Message: "not allowed"}
)

// hides are the entries of a change of visibility, by their timeout in seconds.
func (r request) hides() (seconds []int) {
	entries, _ := r.body["Entries"].([]any)
	for _, e := range entries {
		if e, ok := e.(map[string]any); ok {
			n, _ := e["VisibilityTimeout"].(float64)
			seconds = append(seconds, int(n))
		}
	}
	return seconds
}
