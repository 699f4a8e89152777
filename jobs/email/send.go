package email

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strconv"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/stationmaster/worker/retry"
)

// AnswerError is what a mail server answered, without its words: they quote addresses.
type AnswerError struct {
	Step string
	Code int
	// Enhanced is the enhanced status code, like 5.1.1, if there was one.
	Enhanced string
}

func (e *AnswerError) Error() string {
	if e.Enhanced == "" {
		return fmt.Sprintf("%s: answer %d", e.Step, e.Code)
	}
	return fmt.Sprintf("%s: answer %d %s", e.Step, e.Code, e.Enhanced)
}

// Class names the failure in a failure record.
func (e *AnswerError) Class() string { return "smtp_" + strconv.Itoa(e.Code) }

// send makes one connection for one mail. The library looks at the context only while it dials, and
// leaves the connection open when the greeting or the login fails, so the connection is ours: it is
// closed when the context ends, and in any case at the end.
func (j *Job) send(ctx context.Context, mail *gomail.Msg) error {
	end := func() {}
	defer func() { end() }()
	dial := func(dialling context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(dialling, network, addr)
		if err != nil {
			return nil, err
		}
		unwatch := context.AfterFunc(ctx, func() { _ = conn.Close() })
		end = func() { unwatch(); _ = conn.Close() }
		return conn, nil
	}
	client, err := gomail.NewClient(j.host, append(
		j.login(), gomail.WithPort(j.port), gomail.WithTLSPolicy(j.tlsPolicy()),
		gomail.WithTimeout(2*j.Timeout), // a net: the context ends before it, and says why
		gomail.WithDialContextFunc(dial),
	)...)
	if err != nil {
		return retry.Never(fmt.Errorf("set up the client: %w", err))
	}
	smtp, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return fmt.Errorf("reach %s: %w", j.SMTPAddr, unquoted(ctx, err))
	}
	err = client.SendWithSMTPClient(smtp, mail)
	if mail.IsDelivered() {
		// The server has taken it. That the connection broke afterwards must not send it again.
		_ = smtp.Quit()
		return nil
	}
	return judge(ctx, err)
}

func (j *Job) login() []gomail.Option {
	if j.Username == "" {
		return nil
	}
	return []gomail.Option{
		gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover),
		gomail.WithUsername(j.Username), gomail.WithPassword(string(j.Password)),
	}
}

// judge makes of the library's error what the job returns: 5xx in answer to the mail is permanent.
func judge(ctx context.Context, err error) error {
	failed, ok := errors.AsType[*gomail.SendError](err)
	if !ok {
		return unquoted(ctx, err)
	}
	code := failed.ErrorCode()
	if code == 0 {
		if err := ended(ctx); err != nil {
			return fmt.Errorf("%s: %w", failed.Reason, err)
		}
		return fmt.Errorf("%s: the connection broke", failed.Reason)
	}
	answer := &AnswerError{Step: failed.Reason.String(), Code: code, Enhanced: failed.EnhancedStatusCode()}
	if code >= 500 {
		return retry.Never(answer)
	}
	return answer
}

// unquoted takes the server's words off an error of the connection or the login. No code makes it
// permanent: a refused login is the fault of the configuration, and the mail is good.
func unquoted(ctx context.Context, err error) error {
	if err := ended(ctx); err != nil {
		return err
	}
	if answer, ok := errors.AsType[*textproto.Error](err); ok {
		return &AnswerError{Step: "greeting or login", Code: answer.Code}
	}
	return err
}

// ended is why a context is over. On a busy machine the deadline of the connection, which is later, can
// be noticed before that of the context.
func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if end, has := ctx.Deadline(); has && !time.Now().Before(end) {
		return context.DeadlineExceeded
	}
	return nil
}
