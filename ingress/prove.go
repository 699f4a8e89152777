package ingress

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/stationmaster/worker/internal/snssign"
	"github.com/stationmaster/worker/queue"
)

var (
	errRaw     = errors.New("raw message delivery cannot be authenticated: switch RawMessageDelivery of the subscription off")
	errNotSNS  = errors.New("the request has no x-amz-sns-message-type")
	errHeaders = errors.New("the headers tell of another message than the body")
	errOther   = errors.New("the envelope cannot be read as it was signed")
)

// read takes the body of a request that may be of SNS.
func (h *Handler) read(w http.ResponseWriter, r *http.Request) ([]byte, *answer) {
	no := func(status int, err error) ([]byte, *answer) { return nil, &answer{status: status, err: err} }
	switch {
	case r.Method != http.MethodPost:
		return no(http.StatusMethodNotAllowed, fmt.Errorf("method %q: must be POST", r.Method))
	case r.Header.Get("X-Amz-Sns-Rawdelivery") == "true":
		// It is a message somebody wants: not lost, but left to the dead-letter queue.
		return no(http.StatusServiceUnavailable, errRaw)
	case r.Header.Get("X-Amz-Sns-Message-Type") == "":
		return no(http.StatusBadRequest, errNotSNS)
	case r.Header.Get("Content-Encoding") != "":
		return no(http.StatusBadRequest, errors.New("the body is encoded: SNS encodes none"))
	case r.ContentLength > h.o.MaxBody:
		return no(http.StatusRequestEntityTooLarge, fmt.Errorf("the body has %d bytes: must be at most %d", r.ContentLength, h.o.MaxBody))
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.o.MaxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return no(http.StatusRequestEntityTooLarge, fmt.Errorf("the body is too large: must be at most %d bytes", h.o.MaxBody))
	}
	if err != nil {
		return no(http.StatusServiceUnavailable, fmt.Errorf("read the body: %w", err)) // the network's fault
	}
	return body, nil
}

// prove finds out whether SNS wrote a body, for this path and now.
func (h *Handler) prove(r *http.Request, p *path, body []byte) (*snssign.Message, *answer) {
	no := func(status int, err error) (*snssign.Message, *answer) { return nil, &answer{status: status, err: err} }
	m, err := snssign.Parse(body)
	switch {
	case err != nil:
		return no(http.StatusBadRequest, err)
	case differs(r, "Type", m.Type), differs(r, "Id", m.MessageID):
		return no(http.StatusBadRequest, errHeaders)
	}
	// The topic is a claim as yet. One that is not expected here is refused either way, and need not
	// make this process fetch anything.
	topic, ok := p.topics[m.TopicARN]
	switch {
	case !ok && p.neighbour(m.TopicARN):
		return no(http.StatusServiceUnavailable, errOurs)
	case !ok:
		return no(http.StatusForbidden, errForeign)
	}
	// What SNS may come to write is not refused for good: the message waits in the dead-letter queue for
	// a worker that knows its form. Whoever invents one gains nothing but that answer.
	if err := m.Known(); err != nil {
		return nil, &answer{status: http.StatusServiceUnavailable, err: err, stranger: true}
	}
	place, err := topic.place.Certificate(m.SigningCertURL)
	switch {
	case errors.Is(err, snssign.ErrForm):
		return nil, &answer{status: http.StatusServiceUnavailable, err: err, stranger: true}
	case err != nil:
		return no(http.StatusForbidden, err)
	}
	certificate, err := h.certificates.get(r.Context(), place)
	if err != nil {
		return no(http.StatusServiceUnavailable, err)
	}
	switch err := m.Verify(certificate, time.Now()); {
	case errors.Is(err, snssign.ErrCertificate):
		return no(http.StatusServiceUnavailable, err)
	case err != nil:
		return no(http.StatusForbidden, err)
	}
	// From here on it is SNS that speaks: what does not suit is not thrown away.
	if err := h.timely(m); err != nil {
		return no(http.StatusServiceUnavailable, err)
	}
	if n, ok := queue.ReadNotification(string(body)); !ok || n.MessageID != m.MessageID || n.Message != m.Message {
		return no(http.StatusServiceUnavailable, errOther) // its attributes, which are not signed, are no attributes
	}
	return m, nil
}

var (
	errForeign = errors.New("its topic is not subscribed to by this path")
	errOurs    = errors.New("its topic, of this account, is not subscribed to by this path: a worker of another configuration may be meant")
)

// differs compares a header of SNS with what was signed. One that a proxy took away says nothing.
func differs(r *http.Request, name, signed string) bool {
	said := r.Header.Get("X-Amz-Sns-Message-" + name)
	return said != "" && said != signed
}

// timely bounds the time in which a message can be posted again by whoever has seen it.
func (h *Handler) timely(m *snssign.Message) error {
	age := time.Since(m.Sent)
	switch {
	case age > h.o.MaxAge:
		return fmt.Errorf("the message is %v old: must be at most %v; a subscription that is throttled falls behind, and so does a clock", age.Round(time.Second), h.o.MaxAge)
	case age < -maxSkew:
		return fmt.Errorf("the message is %v ahead of this machine's clock: set the clock", (-age).Round(time.Second))
	}
	return nil
}
