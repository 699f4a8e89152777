// Package receivers is where `worker dev` delivers to: an SMTP server, a receiver of webhooks and a
// collector of CloudEvents, all on loopback, so that what the bundled jobs send arrives somewhere
// and can be seen. Each can be broken and mended, to show what a retry and a dead letter look like.
package receivers

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// The kinds of what arrives.
const (
	KindMail    = "mail"
	KindWebhook = "webhook"
	KindEvent   = "event"
)

// The names of the receivers, for Break and Mend.
const (
	Mail      = "mail"
	Webhook   = "webhook"
	Analytics = "analytics"
)

// Names returns the names that Break and Mend know.
func Names() []string { return []string{Mail, Webhook, Analytics} }

const (
	maxBody     = 2 << 20 // the largest message of SQS, and room for what is around it
	readTimeout = 30 * time.Second
)

// Arrival is one thing that was received. A batch of events is as many arrivals.
type Arrival struct {
	// Kind is KindMail, KindWebhook or KindEvent.
	Kind string
	// ID is the Message-ID, the webhook-id or the event's id.
	ID string
	// To is whom it is for: an address, or the path of the URL.
	To string
	// Summary is what it says, in a few words.
	Summary string
	// Duplicate says that something of this kind with this ID arrived before.
	Duplicate bool
}

// Options of the receivers.
type Options struct {
	// Print is told of each arrival, one at a time; nil when nobody wants to know.
	Print func(Arrival)
}

// Receivers are the three servers, running.
type Receivers struct {
	tell   func(Arrival)
	secret string
	verify *webhooks.Webhook

	mail    *smtp.Server
	mailOn  net.Listener
	web     *http.Server
	webAt   string
	serving sync.WaitGroup

	broken map[string]*atomic.Bool

	mu   sync.Mutex
	seen map[string]*memory // by kind
}

// Start listens on free ports of 127.0.0.1 and serves until Close.
func Start(o Options) (*Receivers, error) {
	r := &Receivers{
		tell:   o.Print,
		broken: map[string]*atomic.Bool{},
		seen:   map[string]*memory{KindMail: {}, KindWebhook: {}, KindEvent: {}},
	}
	for _, name := range Names() {
		r.broken[name] = &atomic.Bool{}
	}
	key := make([]byte, 24)
	_, _ = rand.Read(key) // never fails
	r.secret = "whsec_" + base64.StdEncoding.EncodeToString(key)
	var err error
	if r.verify, err = webhooks.NewWebhook(r.secret); err != nil {
		return nil, fmt.Errorf("start receivers: webhook secret: %w", err)
	}
	mail, err := listen()
	if err != nil {
		return nil, fmt.Errorf("start receivers: mail: %w", err)
	}
	web, err := listen()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start receivers: webhook: %w", err), mail.Close())
	}
	r.mailOn, r.webAt = mail, "http://"+web.Addr().String()
	r.mail, r.web = r.mailServer(), r.webServer()
	r.serving.Go(func() { _ = r.mail.Serve(mail) }) // it ends by Close, or the next Dial says why
	r.serving.Go(func() { _ = r.web.Serve(web) })
	return r, nil
}

func listen() (net.Listener, error) {
	return net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
}

// Close stops the servers and waits until they have stopped. Closing twice is closing once.
func (r *Receivers) Close() error {
	err := r.mail.Close()
	if errors.Is(err, smtp.ErrServerClosed) {
		err = nil
	}
	// The SMTP server closes only a listener that it has begun to serve.
	if again := r.mailOn.Close(); !errors.Is(again, net.ErrClosed) {
		err = errors.Join(err, again)
	}
	err = errors.Join(err, r.web.Close())
	r.serving.Wait()
	return err
}

// MailAddr is host:port of the SMTP server.
func (r *Receivers) MailAddr() string { return r.mailOn.Addr().String() }

// WebhookURL is where webhooks are received.
func (r *Receivers) WebhookURL() string { return r.webAt + webhookPath }

// WebhookSecret is what webhooks must be signed with.
func (r *Receivers) WebhookSecret() string { return r.secret }

// CollectorURL is where CloudEvents are received, in batches or alone.
func (r *Receivers) CollectorURL() string { return r.webAt + collectorPath }

// Break makes a receiver answer that it cannot take anything for now.
func (r *Receivers) Break(name string) error { return r.set(name, true) }

// Mend ends what Break began.
func (r *Receivers) Mend(name string) error { return r.set(name, false) }

func (r *Receivers) set(name string, broken bool) error {
	if !slices.Contains(Names(), name) {
		return fmt.Errorf("receiver %q: unknown: must be one of %s", name, strings.Join(Names(), ", "))
	}
	r.broken[name].Store(broken)
	return nil
}

// Broken reports whether a receiver is broken.
func (r *Receivers) Broken(name string) bool {
	b, known := r.broken[name]
	return known && b.Load()
}

// Count says how much of one kind has arrived, duplicates included.
type Count struct{ Arrived, Duplicates int }

// Counts returns what has arrived, by kind.
func (r *Receivers) Counts() map[string]Count {
	r.mu.Lock()
	defer r.mu.Unlock()
	counts := make(map[string]Count, len(r.seen))
	for kind, m := range r.seen {
		counts[kind] = m.count
	}
	return counts
}

// arrived counts and prints. Print is called under the lock, so that lines come one at a time and in
// the order of the counts.
func (r *Receivers) arrived(a Arrival) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a.Duplicate = r.seen[a.Kind].add(a.ID)
	a.ID, a.To, a.Summary = short(a.ID), short(a.To), short(a.Summary) // for a terminal
	if r.tell != nil {
		r.tell(a)
	}
}

// memory counts arrivals and remembers their ids: the last remembered ones at least, since a
// receiver that runs for weeks must not grow for weeks.
type memory struct {
	count      Count
	now, older map[string]bool
}

const remembered = 50_000

// add reports whether the id was there before.
func (m *memory) add(id string) bool {
	m.count.Arrived++
	if m.now[id] || m.older[id] {
		m.count.Duplicates++
		return true
	}
	if m.now == nil || len(m.now) == remembered {
		m.now, m.older = map[string]bool{}, m.now
	}
	m.now[id] = true
	return false
}

// quiet is where servers write what no one needs to read.
var quiet = log.New(discard{}, "", 0)

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
