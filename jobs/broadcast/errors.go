package broadcast

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/stationmaster/worker/retry"
)

// AnswerError is what Redis answered: the first word, like WRONGTYPE. The rest of an answer may quote
// the command, and with it the message.
type AnswerError struct{ Word string }

func (e *AnswerError) Error() string { return "redis answers " + e.Word }

// Class names the failure in a failure record.
func (e *AnswerError) Class() string { return "redis_" + strings.ToLower(e.Word) }

// The words of answers that somebody has to mend: those that no message gets past, and those to a
// login or a permission, which come and go while passwords are changed.
var (
	ours     = []string{"WRONGTYPE", "MOVED", "ERR"}
	refusals = []string{"NOAUTH", "WRONGPASS", noPermission}
)

const (
	full         = "MAXCLIENTS"
	noPermission = "NOPERM"
)

// passing says whether the next connection may get another answer without anybody's doing.
func (e *AnswerError) passing() bool {
	return !slices.Contains(ours, e.Word) && !slices.Contains(refusals, e.Word)
}

// judge makes of the client's error what the job returns.
func judge(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	answered, ok := errors.AsType[redis.Error](err)
	if !ok {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded): // the connection has the context's deadline, and may notice first
			return context.DeadlineExceeded
		}
		return err
	}
	answer := &AnswerError{Word: word(answered)}
	if slices.Contains(ours, answer.Word) {
		return retry.Never(answer)
	}
	return answer
}

// word is the code that an answer begins with; ERR for those that have none of their own.
func word(answered redis.Error) string {
	if redis.IsMaxClientsError(answered) {
		return full
	}
	text := answered.Error()
	if e, ok := errors.AsType[redis.Error](errors.Unwrap(answered)); ok {
		text = e.Error() // the client has put its own words before the server's
	}
	first, rest, _ := strings.Cut(text, " ")
	switch {
	case first == "ERR" && slices.ContainsFunc(logins, func(s string) bool { return strings.HasPrefix(rest, s) }):
		return "WRONGPASS"
	case first == "" || strings.Trim(first, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "":
		return "ERR"
	}
	return first
}

// logins begin the answers to a login that have no code: those of Redis before version 6, and that of
// a server which wants no password.
var logins = []string{"invalid password", "Client sent AUTH", "AUTH "}
