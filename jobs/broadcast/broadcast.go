// Package broadcast publishes each message to a Redis channel or stream, so that every pod of an
// application hears of it and can tell its WebSockets: job "broadcast", settings in [jobs.broadcast].
// examples/broadcast is such an application.
//
// What is published is a Message as JSON; of a stream's entry, it is the field "message". A channel
// (PUBLISH) reaches who listens at that moment, and nobody else. A stream (XADD) keeps what was
// published, for those that come back: the last 10,000 messages, unless max_length or max_age say
// otherwise. A message can be published twice, and then has the same id.
//
// Redis' answers decide: a command or a key that it does not take is permanent; all else is tried
// again, a refused password too, since the message is good.
package broadcast

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/retry"
)

func init() { jobs.RegisterJob("broadcast", New) }

// Field is the field of a stream's entry that holds the Message.
const Field = "message"

// defaultLength is what a stream is trimmed to when the settings do not say: one that nobody trims
// grows until Redis has no memory left.
const defaultLength = 10_000

// Message is what is published.
type Message struct {
	// ID is the message's stable id: who has seen it before may leave it out.
	ID string `json:"id"`
	// Topic is where the message was published, if it came from a topic.
	Topic string `json:"topic,omitempty"`
	// Sent is when its producer sent it.
	Sent time.Time `json:"sent,omitzero"`
	// Body is the message's own, as it came but for white space.
	Body json.RawMessage `json:"body"`
}

// Job publishes to Redis.
type Job struct {
	// Addr is host:port of Redis.
	Addr string `config:"addr"`
	// Username and Password log in; a password alone is the default user's.
	Username string      `config:"username"`
	Password jobs.Secret `config:"password"`
	// DB is the number of the database. Channels belong to none.
	DB int `config:"db"`
	// TLS encrypts the connection, and TLSCA is a file with the certificates of who may vouch for the
	// server; the system's, when it is empty.
	TLS   bool   `config:"tls"`
	TLSCA string `config:"tls_ca"`
	// Channel or Stream, one of the two, is where messages go.
	Channel string `config:"channel"`
	Stream  string `config:"stream"`
	// MaxLength is about how many entries the stream keeps, MaxAge about for how long; one of the two.
	MaxLength int           `config:"max_length"`
	MaxAge    time.Duration `config:"max_age"`
	// Timeout bounds one message, from dialling to the answer.
	Timeout time.Duration `config:"timeout"`

	client *redis.Client
}

// New returns the job with its defaults.
func New() *Job { return &Job{Timeout: 5 * time.Second} }

// Provision opens the connections and asks Redis whether it is there. When it is not, the worker
// starts all the same: it may be back for the first message. When it does not let us in, no message
// will get through, and the worker is told so now.
func (j *Job) Provision(ctx context.Context, env *jobs.Env) error {
	options, err := j.options()
	if err != nil {
		return err
	}
	redis.SetLogger(library{env.Log})
	j.client = redis.NewClient(options)
	ctx, cancel := context.WithTimeout(ctx, j.Timeout)
	defer cancel()
	err = judge(ctx, j.client.Ping(ctx).Err())
	answer, answered := errors.AsType[*AnswerError](err)
	switch {
	case err == nil, answered && answer.Word == noPermission:
		return nil // whoever may publish need not be allowed to ask
	case answered && !answer.passing():
		return fmt.Errorf("reach Redis at %s: %w", j.Addr, err)
	}
	env.Log.WarnContext(ctx, "redis is not there yet: messages are tried again until it is", "addr", j.Addr, "err", err)
	return nil
}

// Handle publishes one message.
func (j *Job) Handle(ctx context.Context, m *jobs.Message[json.RawMessage]) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // the body as it came; whoever shows it escapes it
	if err := e.Encode(Message{ID: m.ID, Topic: m.Topic, Sent: m.Sent.UTC(), Body: m.Body}); err != nil {
		return retry.Never(fmt.Errorf("broadcast: encode: %w", err))
	}
	ctx, cancel := context.WithTimeout(ctx, j.Timeout)
	defer cancel()
	if err := judge(ctx, j.publish(ctx, text.Bytes(), time.Now())); err != nil {
		return fmt.Errorf("broadcast: %w", err)
	}
	return nil
}

func (j *Job) publish(ctx context.Context, text []byte, now time.Time) error {
	if j.Channel != "" {
		return j.client.Publish(ctx, j.Channel, text).Err()
	}
	add := &redis.XAddArgs{Stream: j.Stream, Approx: true, Values: []any{Field, text}}
	switch {
	case j.MaxAge > 0:
		// An entry's id begins with the milliseconds of its time.
		add.MinID = strconv.FormatInt(now.Add(-j.MaxAge).UnixMilli(), 10)
	case j.MaxLength > 0:
		add.MaxLen = int64(j.MaxLength)
	default:
		add.MaxLen = defaultLength
	}
	return j.client.XAdd(ctx, add).Err()
}

// Close closes the connections.
func (j *Job) Close() error {
	if j.client == nil {
		return nil // Provision did not come so far
	}
	return j.client.Close()
}

// library lets go-redis, which has one logger for all its clients, write to the worker's log. What
// it says is also in the errors that it returns.
type library struct{ log *slog.Logger }

// Printf implements the logger of go-redis.
func (l library) Printf(ctx context.Context, format string, v ...any) {
	l.log.DebugContext(ctx, "go-redis", "said", fmt.Sprintf(format, v...))
}
