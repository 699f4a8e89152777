package localaws

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxRequest bounds what is read of a request, in bytes. 1 MiB of message can be six times that as
// JSON, when every character is escaped, and a batch repeats it no more than once.
const maxRequest = 16 << 20

// maxParameters bounds what one request can make this server build: the pairs of a form, the values
// of a JSON document. The largest honest request, ten messages with ten attributes each, has a tenth.
const maxParameters = 10_000

// Versions of the Query protocol's services.
const (
	snsVersion = "2010-03-31"
	stsVersion = "2011-06-15"
	sqsVersion = "2012-11-05"
)

// sqsVersions are those that SQS knows, for old clients.
var sqsVersions = []string{"2008-01-01", "2009-02-01", "2011-10-01", sqsVersion}

// read reads a request's body, and nothing of one that says it is too large.
func read(r *http.Request) ([]byte, error) {
	if r.ContentLength > maxRequest {
		return nil, tooLarge()
	}
	body := make([]byte, 0, max(r.ContentLength, 0)+512) // as much more as ReadAll reads to find the end
	limited := &io.LimitedReader{R: r.Body, N: maxRequest + 1}
	for {
		n, err := limited.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > maxRequest:
			return nil, tooLarge()
		case err == io.EOF:
			return body, nil
		case err != nil:
			return nil, fmt.Errorf("read the request: %w", err)
		case len(body) == cap(body):
			body = slices.Grow(body, len(body))
		}
	}
}

func tooLarge() *apiError {
	return &apiError{
		Status: http.StatusRequestEntityTooLarge, Code: "RequestEntityTooLarge",
		Message: fmt.Sprintf("the request is larger than %d bytes", maxRequest),
	}
}

// open finds out which service and action a request means, and in which protocol. What the request
// says about itself counts in this order: its target header, the scope of its signature, its Version,
// the name of its action, the form of its path.
func (c *call) open(r *http.Request) error {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		c.service, c.action = "sqs", strings.TrimPrefix(target, "AmazonSQS.")
		c.def = registry["sqs"][c.action]
		return nil
	}
	c.encode = c.encodeXML
	err := c.readForm(r)
	c.action, c.version = c.form.Get("Action"), c.form.Get("Version")
	onQueue := isQueuePath(r.URL.Path)
	c.service = c.meant(onQueue)
	c.def = registry[c.service][c.action]
	if c.service == "sqs" && onQueue {
		c.queuePath = c.base() + r.URL.Path
	}
	return err
}

// readForm reads the parameters of the Query protocol: those of the URL, and of the body if it is a
// form.
func (c *call) readForm(r *http.Request) error {
	c.form = url.Values{}
	texts := []string{r.URL.RawQuery}
	if kind := r.Header.Get("Content-Type"); kind == "" || strings.HasPrefix(kind, "application/x-www-form-urlencoded") {
		texts = append(texts, string(c.body))
	}
	for _, text := range texts {
		if n := strings.Count(text, "&"); n >= maxParameters {
			return malformed("it has %d parameters, at most %d", n+1, maxParameters)
		}
		form, err := url.ParseQuery(text)
		if err != nil {
			return malformed("%v", err)
		}
		if len(c.form) == 0 {
			c.form = form
			continue
		}
		for name, values := range form {
			c.form[name] = append(c.form[name], values...)
		}
	}
	return nil
}

func malformed(format string, args ...any) *apiError {
	return &apiError{Status: http.StatusNotFound, Code: "MalformedQueryString", Message: "The query string contains a syntax error: " + fmt.Sprintf(format, args...)}
}

// meant is the service that a request of the Query protocol is for; empty: nothing says.
func (c *call) meant(onQueue bool) string {
	switch c.scope {
	case "sqs", "sns", "sts":
		return c.scope
	}
	switch {
	case c.version == snsVersion:
		return "sns"
	case c.version == stsVersion:
		return "sts"
	case slices.Contains(sqsVersions, c.version):
		return "sqs"
	}
	only := ""
	for service, actions := range registry {
		if actions[c.action] != nil {
			if only != "" {
				only = ""
				break
			}
			only = service
		}
	}
	if only == "" && onQueue {
		return "sqs"
	}
	return only
}

// isQueuePath tells the path of a queue URL, /123456789012/name.
func isQueuePath(path string) bool {
	account, name, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return ok && len(account) == 12 && strings.Trim(account, "0123456789") == "" && name != "" && !strings.Contains(name, "/")
}

// check refuses what AWS refuses before it looks at an action's own parameters.
func (c *call) check() error {
	switch {
	case c.def != nil && c.form == nil:
		return nil
	case c.form == nil:
		return refuse("UnknownOperationException", "The operation %s is not known to SQS.", c.action)
	case c.action == "" && (c.service == "sqs" || c.service == ""):
		return errNoOperation
	case c.action == "":
		return refuse("MissingAction", "The request must contain the parameter Action.")
	case c.service == "sqs":
		return c.checkSQS()
	case c.version == "" && c.service != "sns", c.def == nil:
		return noOperation(c.action, c.version)
	case c.version != "" && c.version != map[string]string{"sns": snsVersion, "sts": stsVersion}[c.service]:
		return noOperation(c.action, c.version)
	}
	return nil
}

func (c *call) checkSQS() error {
	switch {
	case c.version != "" && !slices.Contains(sqsVersions, c.version):
		return refuse("NoSuchVersion", "The requested version (%s) of service AmazonSQS does not exist.", c.version)
	case c.def == nil, c.queuePath != "" && (c.action == "CreateQueue" || c.action == "ListQueues"):
		return refuse("InvalidAction", "The action %s is not valid for this endpoint.", c.action)
	}
	return nil
}

// noOperation is how SNS and STS name an action that they do not know. They know none without a
// version, except that SNS's own UnsubscribeURL and SubscribeURL carry none.
func noOperation(action, version string) *apiError {
	if version == "" {
		version = "NO_VERSION_SPECIFIED"
	}
	return refuse("InvalidAction", "Could not find operation %s for version %s", action, version)
}
