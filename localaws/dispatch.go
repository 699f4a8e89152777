package localaws

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
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
	region    string
	account   string  // of the caller
	anonymous bool    // the request has no credentials, which an open action does not need
	def       *action // nil: AWS knows no such action
	host      string  // as the client addressed the server: queue URLs carry it
	body      []byte
	form      url.Values // of the Query protocol
	header    http.Header
	requestID string
	fault     *Fault // nil: nothing is injected
}

// Versions of the Query protocol's services.
const (
	snsVersion = "2010-03-31"
	stsVersion = "2011-06-15"
	sqsVersion = "2012-11-05"
)

// maxRequest bounds what is read of a request. 1 MiB of message can be six times that as JSON, when
// every character is escaped, and a batch repeats it no more than once.
const maxRequest = 16 << 20

var errLost = errors.New("the answer was lost: connection reset by a fault of Control")

// answer performs a request. An error means that there is no answer: the client has gone, or a
// fault lost the answer.
func (s *Server) answer(r *http.Request) (*answer, error) {
	c := &call{
		s: s, ctx: r.Context(), host: r.Host, header: r.Header,
		region: s.region, account: s.account, requestID: newID(),
	}
	if c.host == "" {
		c.host = r.URL.Host
	}
	var err error
	if c.body, err = io.ReadAll(io.LimitReader(r.Body, maxRequest+1)); err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	if a := certificate(r); a != nil {
		return a, nil
	}
	encode := c.open(r)
	c.def = registry[c.service][c.action]
	if len(c.body) > maxRequest {
		return encode(nil, &apiError{Status: http.StatusRequestEntityTooLarge, Code: "RequestEntityTooLarge", Message: "the request is larger than 16 MiB"}), nil
	}
	if err := c.authorize(r); err != nil {
		return encode(nil, err), nil
	}
	return c.perform(encode)
}

// open finds out which service and action a request means, and how its answer is written.
func (c *call) open(r *http.Request) (encode func(any, error) *answer) {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		c.service, c.action = "sqs", target
		if action, ok := strings.CutPrefix(target, "AmazonSQS."); ok {
			c.action = action
		}
		return c.encodeJSON
	}
	c.form = r.URL.Query()
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		if form, err := url.ParseQuery(string(c.body)); err == nil {
			for name, values := range form {
				c.form[name] = append(c.form[name], values...)
			}
		}
	}
	c.action = c.form.Get("Action")
	switch c.form.Get("Version") {
	case snsVersion:
		c.service = "sns"
	case stsVersion:
		c.service = "sts"
	case sqsVersion:
		c.service = "sqs"
	case "": // the URLs in what SNS sends name no version
		if a := registry["sns"][c.action]; a != nil && a.open {
			c.service = "sns"
		}
	}
	return c.encodeXML
}

// perform runs the action with what Control makes of it.
func (c *call) perform(encode func(any, error) *answer) (*answer, error) {
	if c.fault = c.s.inject(c); c.fault == nil {
		c.fault = &Fault{}
	}
	if err := c.pause(c.fault.Delay); err != nil {
		return nil, err
	}
	switch {
	case c.fault.Code != "":
		return encode(nil, &apiError{Status: c.fault.Status, Code: c.fault.Code, Message: c.fault.Message}), nil
	case c.fault.Status != 0:
		return &answer{status: c.fault.Status, header: http.Header{}}, nil
	}
	result, err := c.run()
	switch {
	case c.ctx.Err() != nil:
		return nil, c.ctx.Err()
	case c.fault.Lose:
		return nil, errLost
	}
	return encode(result, err), nil
}

// run performs the action.
func (c *call) run() (any, error) {
	switch {
	case c.service == "sqs" && c.form != nil:
		return nil, unsupported("the Query protocol of SQS (Version " + sqsVersion + "; use an SDK that speaks JSON 1.0)")
	case c.def != nil && c.def.run == nil:
		return nil, refuse("UnsupportedOperation", "%s of %s is not implemented here: localaws.Actions lists what is", c.action, strings.ToUpper(c.service))
	case c.def != nil:
		return c.def.run(c)
	case c.service == "sqs":
		return nil, refuse("UnknownOperationException", "The operation %s is not known to SQS.", c.action)
	case c.action == "":
		return nil, refuse("MissingAction", "the request has neither an X-Amz-Target header nor an Action")
	}
	return nil, refuse("InvalidAction", "The action %s is not valid for this endpoint: %s Version %q", c.action, c.service, c.form.Get("Version"))
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
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
