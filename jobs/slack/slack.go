// Package slack says in a Slack channel what a message tells: job "slack", settings in [jobs.slack].
//
// The text is a template (package text/template) over the message: {{.Body.email}} is a value of its
// JSON body, {{.ID}}, {{.Topic}}, {{.Subject}}, {{.Sent}} and {{.Attributes.name}} are what is known
// of it besides. Whatever the template prints is escaped as Slack demands, so that no message can
// call a channel together or disguise a link; the template's own text is not, so that it can. A value
// that is not there prints nothing.
//
// Slack's answers decide. 429 pauses the queue for as long as Slack asks; a payload that Slack does
// not take, an archived channel or a webhook that is no more is permanent; 5xx is tried again. Slack
// knows no idempotency key: a post whose answer was lost is posted twice.
package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/jobs/internal/outbound"
	"github.com/stationmaster/worker/retry"
)

func init() { jobs.RegisterJob("slack", New) }

// defaultPause is how long the queue rests when Slack asks for less than is worth a pause, or does
// not say how long.
const defaultPause = retry.MinRest

// Job posts to an incoming webhook.
type Job struct {
	// URL is that of the incoming webhook. It is all that is needed to post, so it is a secret.
	URL jobs.Secret `config:"url"`
	// Text is the template.
	Text string `config:"text"`
	// AllowPrivate lets posts go to loopback, link-local and private addresses, and by http.
	AllowPrivate bool `config:"allow_private"`
	// Timeout bounds one request.
	Timeout time.Duration `config:"timeout"`

	to     *url.URL
	text   *text
	client *outbound.Client
}

// New returns the job with its defaults.
func New() *Job { return &Job{Timeout: outbound.DefaultTimeout} }

// CheckSettings tells all that is wrong with the settings; of the URL it shows nothing.
func (j *Job) CheckSettings() error {
	var errs [3]error
	j.to, errs[0] = j.parseURL()
	j.text, errs[1] = parseText(j.Text)
	if j.Timeout <= 0 {
		errs[2] = fmt.Errorf("timeout: %s: must be more than 0", j.Timeout)
	}
	return errors.Join(errs[:]...)
}

func (j *Job) parseURL() (*url.URL, error) {
	switch raw := string(j.URL); {
	case raw == "":
		return nil, errors.New("url: not set: give the URL of the incoming webhook, like https://hooks.slack.com/services/…")
	case !strings.HasPrefix(raw, "https://") && !j.AllowPrivate:
		return nil, errors.New("url: must begin with https://: the URL is a credential")
	default:
		return outbound.ParseURL("url", raw, j.AllowPrivate)
	}
}

// Provision makes the client.
func (j *Job) Provision(context.Context, *jobs.Env) error {
	j.client = outbound.New(outbound.Options{AllowPrivate: j.AllowPrivate, Timeout: j.Timeout})
	return nil
}

// Handle posts one message.
func (j *Job) Handle(ctx context.Context, m *jobs.Message[json.RawMessage]) error {
	said, err := j.text.of(&m.Info, m.Body)
	if err != nil {
		return retry.Never(fmt.Errorf("slack: text: %w", err))
	}
	body, err := encode(payload{said})
	if err != nil {
		return retry.Never(fmt.Errorf("slack: encode: %w", err))
	}
	answer, err := j.client.Exchange(ctx, j.to, http.Header{"Content-Type": {"application/json"}}, body)
	if err != nil {
		return fmt.Errorf("slack: %w", err)
	}
	if err := judge(answer, time.Now()); err != nil {
		return fmt.Errorf("slack: %w", err)
	}
	return nil
}

// Close gives up idle connections.
func (j *Job) Close() error { return j.client.Close() }

// payload is what an incoming webhook takes.
type payload struct {
	Text string `json:"text"`
}

// AnswerError is what Slack answered: the status, and the word that it documents, if it said one.
type AnswerError struct {
	Code int
	Word string
}

func (e *AnswerError) Error() string {
	if e.Word == "" {
		return (&outbound.StatusError{Code: e.Code}).Error()
	}
	return fmt.Sprintf("answer %d %s", e.Code, e.Word)
}

// Class names the failure in a failure record.
func (e *AnswerError) Class() string {
	if e.Word == "" {
		return "http_" + strconv.Itoa(e.Code)
	}
	return "slack_" + e.Word
}

// words are the errors of incoming webhooks that Slack documents. Only these are ever repeated: an
// answer of somebody else can hold anything.
var words = []string{
	"invalid_payload", "invalid_blocks", "invalid_blocks_format", "missing_text_or_fallback_or_attachments", "no_text",
	"too_many_attachments", "user_not_found", "channel_not_found", "channel_is_archived", "action_prohibited",
	"posting_to_general_channel_denied", "invalid_token", "no_service", "no_service_id", "no_team", "no_active_hooks",
	"team_disabled", "rollup_error", "rate_limited", "ratelimited",
}

// judge makes of Slack's answer what the job returns.
func judge(answer *outbound.Answer, now time.Time) error {
	if answer.OK() {
		return nil
	}
	err := &AnswerError{Code: answer.Code, Word: word(answer.Said)}
	if answer.Code == http.StatusTooManyRequests {
		// The limit is the webhook's: every other message of the queue would hear the same.
		rest := max(answer.RetryAfter(), defaultPause)
		return retry.Pause(fmt.Errorf("post %s: %w", answer.From, err), now.Add(rest))
	}
	return answer.As(err)
}

// word finds the documented word that an answer begins with.
func word(said []byte) string {
	first := strings.TrimSpace(string(said))
	if end := strings.IndexFunc(first, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }); end >= 0 {
		first = first[:end]
	}
	for _, w := range words {
		if w == first {
			return w
		}
	}
	return ""
}
