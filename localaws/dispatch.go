package localaws

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// call is one request on its way through the server.
type call struct {
	s         *Server
	ctx       context.Context
	service   string // "sqs", "sns", "sts"
	action    string
	def       *action // nil: AWS knows no such action
	version   string  // of the Query protocol
	region    string
	account   string // of the caller
	anonymous bool   // the request has no credentials; account is then the server's
	scope     string // the service that the signature is for
	scheme    string // "http" or "https"; with host, how the client addressed the server
	host      string
	from      string // the client's address, with its port
	queuePath string // the queue URL that a request of the Query protocol was sent to
	body      []byte
	form      url.Values // of the Query protocol; nil: the request is JSON
	header    http.Header
	requestID string
	fault     *Fault // nil: nothing is injected
	encode    func(result any, err error) *answer
}

var (
	errLost = errors.New("the answer was lost: connection reset by a fault of Control")
	errCut  = errors.New("the connection was cut by a fault of Control")
	// errNoOperation is answered with a status and a name, in no protocol.
	errNoOperation = errors.New("the request names no action")
)

// answer performs a request. An error means that there is no answer: the client has gone, or a
// fault lost the answer.
func (s *Server) answer(r *http.Request) (*answer, error) {
	if a := certificate(r); a != nil {
		return a, nil
	}
	c := s.newCall(r)
	c.identify(r)
	var err error
	if c.body, err = read(r); err != nil {
		if refused := (*apiError)(nil); !errors.As(err, &refused) {
			return nil, err
		}
	}
	if opened := c.open(r); err == nil {
		err = opened
	}
	if err == nil {
		err = c.authorize()
	}
	if err != nil {
		return c.encode(nil, err), nil
	}
	return c.perform()
}

func (s *Server) newCall(r *http.Request) *call {
	c := &call{
		s: s, ctx: r.Context(), scheme: "http", host: r.Host, header: r.Header, from: r.RemoteAddr,
		region: s.region, account: s.account, requestID: newID(),
	}
	if r.TLS != nil || r.URL.Scheme == "https" {
		c.scheme = "https"
	}
	if c.host == "" {
		c.host = r.URL.Host
	}
	c.encode = c.encodeJSON
	return c
}

// base is the server's address, as the client called it.
func (c *call) base() string { return c.scheme + "://" + c.host }

// perform runs the action with what Control makes of it.
func (c *call) perform() (*answer, error) {
	if c.fault = c.s.inject(c); c.fault == nil {
		c.fault = &Fault{}
	}
	if err := c.pause(c.fault.Delay); err != nil {
		return nil, err
	}
	switch {
	case c.fault.Cut:
		return nil, errCut
	case c.fault.Code != "":
		return c.encode(nil, &apiError{Status: c.fault.Status, Code: c.fault.Code, Message: c.fault.Message}), nil
	case c.fault.Status != 0:
		return &answer{status: c.fault.Status, header: http.Header{}, body: []byte(c.fault.Body)}, nil
	}
	result, err := c.run()
	if c.ctx.Err() == nil {
		if late := c.pause(c.fault.Late); late != nil {
			return nil, late
		}
	}
	switch {
	case c.ctx.Err() != nil:
		return nil, c.ctx.Err()
	case c.fault.Lose:
		return nil, errLost
	}
	return c.encode(result, err), nil
}

// run performs the action.
func (c *call) run() (any, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.def.run == nil {
		return nil, refuse("UnsupportedOperation", "%s of %s is not implemented here: localaws.Actions lists what is", c.action, strings.ToUpper(c.service))
	}
	return c.def.run(c)
}

// pause waits as long as the client does.
func (c *call) pause(d time.Duration) error {
	if d <= 0 {
		return c.ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
}

// arn is the ARN of something that is the caller's, in the request's region.
func (c *call) arn(service, name string) string { return c.arnOf(c.account, service, name) }

func (c *call) arnOf(account, service, name string) string {
	return "arn:" + partition(c.region) + ":" + service + ":" + c.region + ":" + account + ":" + name
}

// newID makes an id as AWS's requests and messages have them: a random UUID.
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand would end the program
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	text := make([]byte, 0, 36)
	for i, part := range [][]byte{b[:4], b[4:6], b[6:8], b[8:10], b[10:]} {
		if i > 0 {
			text = append(text, '-')
		}
		text = hex.AppendEncode(text, part)
	}
	return string(text)
}
