package ingress

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/stationmaster/worker/internal/snssign"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
)

const (
	// DefaultMaxBody takes the largest message of SNS, 256 KiB, with each of its characters escaped,
	// and its envelope: what is refused for its size is lost.
	DefaultMaxBody = 2*256<<10 + 16<<10
	// MaxMaxBody is the most that a body may be allowed.
	MaxMaxBody = 1 << 20
	// DefaultMaxAge is how old a message may be: SNS tries for an hour at most.
	DefaultMaxAge = time.Hour
	// DefaultTimeout is the time to an answer.
	DefaultTimeout = 12 * time.Second
	// MaxTimeout is the most that it may be: SNS waits 15 s.
	MaxTimeout = 14 * time.Second
	// DefaultSlots is how many messages of a path are handled at once.
	DefaultSlots = 8
	// maxSkew is how far a message's time may be ahead of this machine's clock.
	maxSkew = 5 * time.Minute
)

// Options say what is served.
type Options struct {
	Paths []Path
	// SNS is asked to confirm; nil refuses every confirmation.
	SNS Subscriptions
	// Endpoint is where a server that stands for AWS listens; empty is AWS. It shows the certificates.
	Endpoint string
	// Certificates carries the requests for certificates; nil is net/http's.
	Certificates http.RoundTripper
	// MaxBody bounds a request's body, MaxAge the time since its message was published, Timeout the
	// time to the answer. 0 is the default of each.
	MaxBody         int64
	MaxAge, Timeout time.Duration
	// Prefix is the path of the public URL: paths are served below it, too, for who passes requests on
	// does or does not take it away.
	Prefix string
	// Build and Host go into failure records.
	Build, Host string
}

// Path is one endpoint.
type Path struct {
	// Path begins with "/".
	Path string
	// Topics are those whose messages are taken.
	Topics []Topic
	// Job handles them.
	Job *jobs.Instance
	// Slots is how many are handled at once; 0 is DefaultSlots.
	Slots int
	Hooks Hooks
}

// Topic is a topic whose messages a path takes, and how the path is subscribed to it.
type Topic struct {
	ARN string
	// Attributes are those of the subscription as SNS spells them, set once it is confirmed and then
	// read back: the dead-letter queue above all. An empty value is removed.
	Attributes map[string]string
	// DeadLetters takes what fails for good: the subscription's own dead-letter queue. With nil such
	// a message stays with SNS, which tries again and gives up by itself.
	DeadLetters queue.Sender
	// Protocol ("http", "https") and Endpoint, the public URL of the path, are for subscribing again.
	Protocol, Endpoint string
	// Resubscribe subscribes again when SNS says that the subscription was ended. It may have been
	// meant.
	Resubscribe bool
}

func (o *Options) fill() {
	if o.MaxBody == 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.MaxAge == 0 {
		o.MaxAge = DefaultMaxAge
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
}

// below is a path below the path of the public URL.
func (o *Options) below(path string) string { return strings.TrimSuffix(o.Prefix, "/") + path }

func (o *Options) check() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if o.MaxBody < 0 || o.MaxBody > MaxMaxBody {
		fault("max body %d: must be at most %d bytes", o.MaxBody, MaxMaxBody)
	}
	if o.MaxAge < 0 || o.MaxAge > 24*time.Hour {
		fault("max age %v: must be at most 24h", o.MaxAge)
	}
	if o.Timeout < 0 || o.Timeout > MaxTimeout {
		fault("timeout %v: must be at most %v: SNS waits 15s for an answer", o.Timeout, MaxTimeout)
	}
	served := map[string]bool{}
	for _, p := range o.Paths {
		if !strings.HasPrefix(p.Path, "/") || served[p.Path] {
			fault("path %q: must begin with / and come once", p.Path)
		}
		served[p.Path] = true
	}
	for _, p := range o.Paths {
		if below := o.below(p.Path); below != p.Path && served[below] {
			fault("path %s: is path %s too, below the path of the public URL: give one of them another name", below, p.Path)
		}
		if p.Job == nil {
			fault("path %s: has no job", p.Path)
		}
		if p.Slots < 0 {
			fault("path %s: slots %d: must be at least 1", p.Path, p.Slots)
		}
		if len(p.Topics) == 0 {
			fault("path %s: has no topic: nothing could be delivered to it", p.Path)
		}
		for _, t := range p.Topics {
			if strings.HasSuffix(t.ARN, ".fifo") {
				fault("path %s: topic %s: a FIFO topic delivers to queues only", p.Path, t.ARN)
			}
		}
	}
	return errors.Join(faults...)
}

// path is one endpoint that is served.
type path struct {
	Path
	topics map[string]expected // by ARN
	slots  chan struct{}
	memory *memory

	mu     sync.Mutex
	paused time.Time
}

// expected is a topic with the place of its certificates.
type expected struct {
	Topic
	place snssign.Place
}

func newPath(p Path, endpoint string) (*path, error) {
	if p.Slots == 0 {
		p.Slots = DefaultSlots
	}
	made := &path{Path: p, topics: map[string]expected{}, slots: make(chan struct{}, p.Slots)}
	for _, t := range p.Topics {
		place, err := snssign.PlaceOf(t.ARN)
		if err == nil && endpoint != "" {
			place, err = snssign.PlaceAt(endpoint)
		}
		if err != nil {
			return nil, fmt.Errorf("path %s: %w", p.Path, err)
		}
		made.topics[t.ARN] = expected{Topic: t, place: place}
	}
	var err error
	made.memory, err = newMemory()
	return made, err
}

// neighbour tells whether a topic is of the account and the region of one that is expected.
func (p *path) neighbour(topicARN string) bool {
	at := strings.LastIndexByte(topicARN, ':') + 1
	if at == len(topicARN) {
		return false
	}
	for arn := range p.topics {
		if topicARN[:at] == arn[:strings.LastIndexByte(arn, ':')+1] {
			return true
		}
	}
	return false
}

// pause lets the path rest until a time.
func (p *path) pause(until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until.After(p.paused) {
		p.paused = until
	}
}

// pausedUntil is when the pause that is on ends; zero when there is none.
func (p *path) pausedUntil() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().Before(p.paused) {
		return p.paused
	}
	return time.Time{}
}

// acquire takes a slot; false when the context ended first.
func (p *path) acquire(ctx context.Context) bool {
	select {
	case p.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}
