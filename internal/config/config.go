// Package config reads the worker's configuration: defaults ← config.toml ← layers ← environment ←
// flags. It is strict: an unknown key or an impossible value is a fault, and all faults are told at
// once, each with its key, the value, the limit and the way out. It yields values only; package
// worker makes topology and poller options of them.
package config

import (
	"math"
	"time"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// Config is the effective configuration: every default is filled in.
//
// Tags name the keys of the file. After the name, "auto" lets a whole number be "auto" (Auto here).
type Config struct {
	Worker        Worker                    `config:"worker"`
	Admin         Admin                     `config:"admin"`
	Topics        map[string]Topic          `config:"topics"`
	Queues        map[string]Queue          `config:"queues"`
	Subscriptions []Subscription            `config:"subscriptions"`
	Schedules     map[string]Schedule       `config:"schedules"`
	Jobs          map[string]map[string]any `config:"jobs"` // as written; see Loaded.DecodeJob
	Ingress       Ingress                   `config:"ingress"`
	Topology      Topology                  `config:"topology"`
	Plugins       Plugins                   `config:"plugins"`
}

// Plugins are jobs that are loaded from files. They are loaded before the rest is checked.
type Plugins struct {
	// Paths are files, or patterns of them like plugins/*.so; a relative one is below the folder of the
	// configuration file.
	Paths []string `config:"paths"`
}

// Worker is what concerns the whole process.
type Worker struct {
	// DrainTimeout is how long running jobs may go on after the first signal.
	DrainTimeout time.Duration `config:"drain_timeout"`
	LogLevel     string        `config:"log_level"`  // debug, info, warn or error
	LogFormat    string        `config:"log_format"` // text, json or auto
	// HTTPClient is how requests reach SQS: lean, or standard, which is net/http and the SDK alone.
	HTTPClient string `config:"http_client"`
	// Region and Endpoint replace what AWS's own variables and profiles say; empty leaves it to them.
	Region   string `config:"region"`
	Endpoint string `config:"endpoint"`
	// Budget caps the messages that are handled at once over all queues; 0: no cap.
	Budget int `config:"budget"`
	// Verify is what becomes of a queue that would lose messages, as the topology stands: stop, warn or off.
	Verify string `config:"verify"`
}

// Admin is the port for probes, metrics and status.
type Admin struct {
	// Addr is host:port, "unix:" and the path of a socket that only its user can open, or "off".
	Addr string `config:"addr"`
	// Token allows the routes that write to whoever has it; empty: there are none, save on a socket.
	Token jobs.Secret `config:"token"`
}

// Topic is one SNS topic.
type Topic struct {
	Name   string            `config:"name"` // as AWS knows it
	ARN    string            `config:"arn"`  // of somebody else's topic
	Manage bool              `config:"manage"`
	Tags   map[string]string `config:"tags"`
	FIFO   bool              `config:"fifo"` // its name ends in .fifo
	// ContentDeduplication lets SNS take messages without a deduplication id: the same body within five
	// minutes is the same message, whatever its attributes.
	ContentDeduplication bool `config:"content_based_deduplication"`
	// FIFOThroughput is what the limits of a FIFO topic count for: topic or group; empty: left as it is.
	FIFOThroughput string `config:"fifo_throughput"`
	// SignatureVersion is how SNS signs: 2 (SHA-256) or 1 (SHA-1); 0: left as it is.
	SignatureVersion int    `config:"signature_version"`
	KMSKey           string `config:"kms_key"` // empty: left as it is
	// DeliveryLogRole is the ARN of the role with which SNS logs the deliveries that fail.
	DeliveryLogRole string `config:"delivery_log_role"`
}

// Queue is one SQS queue and how it is worked.
type Queue struct {
	// Job takes every message; or Jobs maps kinds to jobs, and Kind says where a kind is read:
	// "body:event" or "attribute:job".
	Job  string            `config:"job"`
	Jobs map[string]string `config:"jobs"`
	Kind string            `config:"kind"`

	Name   string `config:"name"` // as AWS knows it
	URL    string `config:"url"`  // of somebody else's queue
	ARN    string `config:"arn"`  // of somebody else's queue
	Manage bool   `config:"manage"`

	Slots     int `config:"slots"`
	Prefetch  int `config:"prefetch,auto"`
	Receivers int `config:"receivers,auto"`
	// Weight is this queue's part of worker.budget when it is short, beside those of the others.
	Weight int `config:"weight"`
	// Rate bounds the messages started per second; 0: no bound.
	Rate float64 `config:"rate"`
	// Breaker rests the polling while half of the runs fail.
	Breaker bool `config:"breaker"`
	// Paused: it is not polled until somebody resumes it.
	Paused bool `config:"paused"`
	// SuspectAfter is on which try beyond it a message runs alone, because it may be what ended the
	// process before; 0: never.
	SuspectAfter int `config:"suspect_after"`

	VisibilityTimeout time.Duration `config:"visibility_timeout"` // 0: the queue's own, when it is somebody else's
	Timeout           time.Duration `config:"timeout"`            // of one attempt; 0: the job's own, if it has one
	Retry             retry.Policy  `config:"retry"`
	MaxReceiveCount   int           `config:"max_receive_count"`
	UnknownGrace      time.Duration `config:"unknown_grace"`
	WaitTime          time.Duration `config:"wait_time"`

	DLQ          DLQ           `config:"dlq"`
	Retention    time.Duration `config:"retention"` // 0: left as it is, which for a new queue is ownRetention
	DLQRetention time.Duration `config:"dlq_retention"`

	Tags map[string]string `config:"tags"`
	FIFO bool              `config:"fifo"` // its name ends in .fifo, and that of its DLQ
	// ContentDeduplication is as in Topic, for what is sent to the queue past every topic.
	ContentDeduplication bool `config:"content_based_deduplication"`
	// HighThroughput counts the limits of a FIFO queue for each message group.
	HighThroughput bool `config:"high_throughput"`

	// KMSKey encrypts the queue and its dead-letter queues with a key of the account's; SSE with one of
	// SQS's. Neither: left as it is, which for a new queue is SSE.
	KMSKey         string         `config:"kms_key"`
	SSE            *bool          `config:"sse"`
	Delay          *time.Duration `config:"delay"`            // of every message; nil: left as it is
	MaxMessageSize int            `config:"max_message_size"` // in bytes; 0: left as it is
}

// DLQ is a dead-letter queue: a name, true for the usual one, or false for none. Name is empty when
// there is none, and when it is left to the redrive policy of somebody else's queue.
type DLQ struct {
	Off  bool
	Name string
}

// Auto is a whole number that the worker finds by itself; the file calls it "auto".
const Auto = math.MinInt32

const (
	day = 24 * time.Hour
	// fifoSuffix ends the name of every FIFO queue and topic. Source: CreateQueue, SQS API reference.
	fifoSuffix = ".fifo"
	// socketPrefix begins the address of an admin port that is a socket.
	socketPrefix = "unix:"
	// notGiven stands for a number whose default follows from others.
	notGiven = Auto + 1
	// suspectAfter is the least number of tries that make nobody a suspect.
	suspectAfter = 5
	// adminOff is the address of no admin port.
	adminOff = "off"
	// leaveRoom is how far max_receive_count stays above the attempts by default, leastRoom the
	// least: deploys and crashes use up receives that were no attempts.
	leaveRoom, leastRoom = 10, 3
	// usualSlots is how many deliveries to a path are handled at once, mostSlots the most that a path or
	// a queue may have.
	usualSlots, mostSlots = 8, 10_000
	// mostReceives is what SQS allows in a redrive policy.
	mostReceives = 1000
	// ownRetention is what SQS gives a new queue. A queue that is there may have more, and shortening
	// it would delete messages. Source: CreateQueue, SQS API reference.
	ownRetention = 4 * day
)

// defaults is the configuration of an empty file.
func defaults() Config {
	return Config{
		// Kubernetes kills after 30 s unless told otherwise.
		Worker: Worker{DrainTimeout: 25 * time.Second, LogLevel: "info", LogFormat: "auto", HTTPClient: "lean", Verify: "stop"},
		Admin:  Admin{Addr: "127.0.0.1:8080"},
		Ingress: Ingress{
			Addr: "127.0.0.1:8081", MaxBody: usualBody, MaxAge: time.Hour, Timeout: 12 * time.Second,
		},
	}
}

// kept is how long the queue keeps a message, as far as the file knows.
func (q *Queue) kept() time.Duration {
	if q.Retention == 0 {
		return ownRetention
	}
	return q.Retention
}

// preset is a table of which there may be many; it starts from its defaults.
type preset interface{ preset(managed bool) }

func (t *Topic) preset(managed bool) { t.Manage, t.SignatureVersion = managed, notGiven }

func (q *Queue) preset(managed bool) {
	*q = Queue{
		Manage:       managed,
		Slots:        10,
		Receivers:    Auto,
		Weight:       notGiven,
		SuspectAfter: notGiven,
		Retry:        retry.Default,
		UnknownGrace: 15 * time.Minute,
		WaitTime:     queue.MaxWait,
	}
	if managed { // somebody else's queue keeps what its owner gave it
		q.VisibilityTimeout, q.DLQRetention = time.Minute, 14*day
	}
}
