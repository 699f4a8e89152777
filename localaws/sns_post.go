package localaws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stationmaster/worker/internal/snsdelivery"
)

// answerWithin is how long an endpoint may take to answer. Source: "Prepare your HTTP endpoint to
// process Amazon SNS messages", Developer Guide.
const answerWithin = 15 * time.Second

var errNotHere = errors.New("localaws posts to loopback addresses only; Options.Deliver lets it out")

// parcel is a message on its way to an HTTP endpoint, with all its attempts.
type parcel struct {
	kind, id string // x-amz-sns-message-type and -id
	raw      bool
	letter   sqsMessage // whose text is posted; all of it is for the dead-letter queue

	topic  *topic
	sub    *subscription
	policy snsdelivery.Policy
	delays []time.Duration // before each retry
	began  time.Time       // the first attempt
	tries  int
	turn   bool // its turn by the throttle policy has come
}

// posts are the parcels of a server. Server.mu guards what is not a function.
type posts struct {
	carrier http.RoundTripper
	closed  bool
	waiting map[*parcel]*time.Timer
	under   map[*parcel]context.CancelFunc // way: those whose request is out
	done    sync.WaitGroup
}

func newPosts(carrier http.RoundTripper) *posts {
	if carrier == nil {
		carrier = loopback()
	}
	return &posts{carrier: carrier, waiting: map[*parcel]*time.Timer{}, under: map[*parcel]context.CancelFunc{}}
}

// loopback is a transport that reaches this machine and nothing else, whatever a name resolves to.
func loopback() *http.Transport {
	dialer := &net.Dialer{Control: func(_, addr string, _ syscall.RawConn) error {
		if to, err := netip.ParseAddrPort(addr); err != nil || !to.Addr().IsLoopback() {
			return errNotHere
		}
		return nil
	}}
	return &http.Transport{DialContext: dialer.DialContext, IdleConnTimeout: time.Second, MaxIdleConnsPerHost: 8}
}

// Close ends what SNS still sends to HTTP endpoints, and waits until it has ended: what was not
// delivered by then is gone, as with the end of the process. A server that posts nothing needs no
// closing. It answers requests still, but posts no more.
func (s *Server) Close() error {
	s.mu.Lock()
	s.posts.closed = true
	for p, timer := range s.posts.waiting {
		timer.Stop()
		delete(s.posts.waiting, p)
	}
	for _, cancel := range s.posts.under {
		cancel()
	}
	s.mu.Unlock()
	s.posts.done.Wait()
	if t, ok := s.posts.carrier.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
	return nil
}

// post sends a parcel to a subscription's endpoint. It goes on when the request has long been
// answered. c.s.mu is held.
func (c *call) post(t *topic, sub *subscription, p *parcel) {
	p.topic, p.sub = t, sub
	p.policy = snsdelivery.Resolve(t.delivery, sub.options.delivery)
	p.delays = p.policy.Retry.Delays()
	c.s.schedule(context.WithoutCancel(c.ctx), p, 0)
}

// schedule lets an attempt begin after a while. s.mu is held.
func (s *Server) schedule(ctx context.Context, p *parcel, after time.Duration) {
	if !s.posts.closed {
		s.posts.waiting[p] = time.AfterFunc(after, func() { s.attempt(ctx, p) })
	}
}

// attempt posts a parcel once, and decides what follows.
func (s *Server) attempt(ctx context.Context, p *parcel) {
	ctx, cancel, ok := s.begin(ctx, p)
	if !ok {
		return
	}
	defer s.posts.done.Done()
	within, stop := context.WithTimeout(ctx, answerWithin)
	status, err := s.request(within, p)
	stop()
	cancel()
	s.mu.Lock()
	delete(s.posts.under, p)
	closed := s.posts.closed
	s.mu.Unlock()
	if !closed {
		s.judge(context.WithoutCancel(ctx), p, status, err)
	}
}

// begin takes the parcel's turn; it is not ok when there is none, or not yet.
func (s *Server) begin(ctx context.Context, p *parcel) (_ context.Context, cancel context.CancelFunc, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.posts.waiting, p)
	if s.posts.closed {
		return nil, nil, false
	}
	now := time.Now()
	if most := p.policy.MaxReceivesPerSecond; most > 0 && !p.turn {
		p.turn = true
		at := p.sub.free
		if at.Before(now) {
			at = now
		}
		p.sub.free = at.Add(time.Second / time.Duration(most))
		if at.After(now) {
			s.schedule(ctx, p, at.Sub(now))
			return nil, nil, false
		}
	}
	p.turn = false
	if p.tries++; p.tries == 1 {
		p.began = now
	}
	ctx, cancel = context.WithCancel(ctx)
	s.posts.under[p] = cancel
	s.posts.done.Add(1)
	return ctx, cancel, true
}

// request posts the parcel. A redirect is an answer like any other.
func (s *Server) request(ctx context.Context, p *parcel) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.sub.endpoint, strings.NewReader(p.letter.text()))
	if err != nil {
		return 0, fmt.Errorf("post to %s: %w", p.sub.endpoint, err)
	}
	r.Header.Set("Content-Type", snsdelivery.DefaultContentType)
	if p.kind == "Notification" {
		r.Header.Set("Content-Type", p.policy.ContentType)
	}
	r.Header.Set("User-Agent", "Amazon Simple Notification Service Agent")
	r.Header.Set("Accept-Encoding", "gzip,deflate")
	r.Header.Set("X-Amz-Sns-Message-Type", p.kind)
	r.Header.Set("X-Amz-Sns-Message-Id", p.id)
	r.Header.Set("X-Amz-Sns-Topic-Arn", p.topic.arn)
	if p.kind != "SubscriptionConfirmation" {
		r.Header.Set("X-Amz-Sns-Subscription-Arn", p.sub.arn)
	}
	if p.raw {
		r.Header.Set("X-Amz-Sns-Rawdelivery", "true")
	}
	if password, has := r.URL.User.Password(); has {
		r.SetBasicAuth(r.URL.User.Username(), password)
	}
	response, err := s.posts.carrier.RoundTrip(r)
	if err != nil {
		return 0, fmt.Errorf("post to %s: %w", p.sub.endpoint, err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)); err != nil {
		return 0, fmt.Errorf("read the answer of %s: %w", p.sub.endpoint, err)
	}
	return response.StatusCode, nil
}

// judge has SNS's rules: an attempt has failed when there is no answer in time, or one outside 200 to
// 499. What the endpoint refuses with 300 to 499 is therefore over: it is not tried again, and no
// dead-letter queue gets it. Whether AWS counts it as failed is not known; losing it is the unkind
// reading, and Dropped tells of it. Source: "Prepare your HTTP endpoint to process Amazon SNS
// messages", Developer Guide.
func (s *Server) judge(ctx context.Context, p *parcel, status int, err error) {
	why := ""
	switch {
	case err == nil && status >= 200 && status < 300:
		return
	case err == nil && status >= 300 && status < 500:
		s.drop(p.sub.drop(fmt.Sprintf("the endpoint answered %d: that is no failure to SNS, which does not try again", status), p.id))
		return
	case err != nil:
		why = err.Error()
	default:
		why = fmt.Sprintf("the endpoint answered %d", status)
	}
	if !errors.Is(err, errNotHere) && s.retry(ctx, p) {
		return
	}
	why = fmt.Sprintf("%s, attempt %d of %d", why, p.tries, len(p.delays)+1)
	if p.kind != "Notification" { // SNS gives a confirmation up without a trace
		s.drop(p.sub.drop(p.kind+": "+why, p.id))
		return
	}
	s.mu.Lock()
	drops := s.bounce(p.topic, p.sub, p.letter, p.id, why)
	s.mu.Unlock()
	for _, d := range drops {
		s.drop(d)
	}
}

// retry lets the next attempt follow, if there is one left.
func (s *Server) retry(ctx context.Context, p *parcel) bool {
	if p.tries > len(p.delays) {
		return false
	}
	delay := p.delays[p.tries-1]
	if time.Since(p.began)+delay > snsdelivery.Longest {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.schedule(ctx, p, delay)
	return true
}
