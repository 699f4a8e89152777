package email_test

import (
	"testing"
	"time"

	"github.com/stationmaster/worker/jobs/jobstest"
	"github.com/stationmaster/worker/retry"
)

var hourly = jobstest.Policy(retry.Policy{Attempts: 3, First: time.Hour, Factor: 2, Max: 6 * time.Hour})

func mailer(s *server) jobstest.Option {
	return jobstest.Settings(map[string]any{"smtp_addr": s.addr, "from": "Example <no-reply@example.com>"})
}

// in turn are the answers of a mail server, the last one ever after; nil takes the mail.
func inTurn(answers ...func() error) func() error {
	turn := 0
	return func() error {
		turn++
		if answer := answers[min(turn, len(answers))-1]; answer != nil {
			return answer()
		}
		return nil
	}
}

func TestABusyMailServerGetsTheSameMailAgain(t *testing.T) {
	s := serve(t, server{onMail: inTurn(answer(451, 4, 3, 0), nil)})
	life := jobstest.Live(t, "email", body, mailer(s), hourly)
	life.WantTries(0, time.Hour)
	life.WantDone(2)
	if len(s.mails) != 1 {
		t.Errorf("%d mails", len(s.mails))
	}
}

func TestAMailboxThatIsNotThereIsTriedOnce(t *testing.T) {
	s := serve(t, server{onRcpt: answer(550, 5, 1, 1)})
	life := jobstest.Live(t, "email", body, mailer(s), hourly)
	life.WantTries(0)
	life.WantDead("smtp_550")
	life.WantGolden("no_such_mailbox")
}

func TestAMailServerThatStaysBusyIsGivenUp(t *testing.T) {
	s := serve(t, server{onMail: answer(451, 4, 3, 0)})
	life := jobstest.Live(t, "email", body, mailer(s), hourly)
	life.WantTries(0, time.Hour, 3*time.Hour)
	life.WantDead("smtp_451")
}

func TestOneBadAddressHoldsUpNobody(t *testing.T) {
	refuse := 0
	s := serve(t, server{onRcpt: func() error {
		if refuse++; refuse == 2 {
			return answer(550, 5, 1, 1)()
		}
		return nil
	}})
	lives := jobstest.LiveAll(t, "email", []any{
		`{"email":"ada@example.com"}`, `{"email":"nobody@example.com"}`, `{"email":"grace@example.com"}`,
	}, mailer(s), hourly)
	lives.Each[1].WantDead("smtp_550")
	lives.WantOrder("message-1", "message-2", "message-3")
	if len(s.mails) != 2 || s.mails[1].to != "grace@example.com" {
		t.Errorf("%d mails:\n%s", len(s.mails), lives)
	}
}
