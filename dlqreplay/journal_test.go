package dlqreplay_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/dlqreplay"
)

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func header() dlqreplay.Header {
	return dlqreplay.Header{
		Action: dlqreplay.ActionReplay, DLQ: "orders-dlq", DLQARN: "arn:aws:sqs:us-east-1:000000000000:orders-dlq",
		By: "arn:aws:iam::000000000000:user/ada", Filter: dlqreplay.Filter{{Key: "job", Value: "email"}},
		Pace: dlqreplay.Pace{Rate: 50, Canary: 5, StopOnReturn: 0.05}, To: "origin", MaxDeaths: 3, Check: true, Build: "v1",
	}
}

func TestAResumeKnowsHowFarTheRunCame(t *testing.T) {
	store := dlqreplay.Store{Dir: t.TempDir()}
	j, err := store.Begin(header())
	must(t, err)
	must(t,
		j.Select([]string{"a", "b", "c", "d", "e"}),
		j.Sending([]string{"a", "b", "c", "d"}, "orders"),
		j.Sent([]string{"a", "b"}, []string{"new-a", "new-b"}, []dlqreplay.Refusal{{ID: "c", Why: "too large"}}),
		j.Deleted([]string{"a"}),
		j.Returned(dlqreplay.Return{MessageID: "x", FromID: "a"}),
		j.Close(),
	)
	again, past, err := store.Resume(j.ID())
	must(t, err)
	got := map[string]dlqreplay.State{}
	for _, id := range []string{"a", "b", "c", "d", "e", "f"} {
		got[id] = past.State(id)
	}
	want := map[string]dlqreplay.State{
		"a": dlqreplay.Deleted, "b": dlqreplay.Sent, "c": dlqreplay.Refused, "d": dlqreplay.Sending,
		"e": dlqreplay.Chosen, "f": dlqreplay.NotChosen,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	wantHeader := header()
	wantHeader.V, wantHeader.ReplayID, wantHeader.Started = dlqreplay.HeaderVersion, j.ID(), past.Header.Started
	if diff := cmp.Diff(wantHeader, past.Header); diff != "" {
		t.Error(diff)
	}
	if past.New("b") != "new-b" || past.New("d") != "" || past.Returned != 1 || past.Report != nil || past.Header.Started.IsZero() {
		t.Errorf("new %q %q, %d returned, report %v", past.New("b"), past.New("d"), past.Returned, past.Report)
	}
	must(t, again.End(&dlqreplay.Report{ReplayID: j.ID(), Outcome: dlqreplay.Completed}), again.Close())
	past, err = store.Read(j.ID())
	must(t, err)
	if past.Report == nil || past.Report.Outcome != dlqreplay.Completed || past.Ended.IsZero() {
		t.Errorf("report %+v at %v, want what was recorded", past.Report, past.Ended)
	}
}
