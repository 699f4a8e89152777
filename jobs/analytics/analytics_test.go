package analytics_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/jobs/analytics"
	"github.com/stationmaster/worker/retry"
)

func open(t *testing.T, set func(*analytics.Job)) (*jobs.Instance, error) {
	t.Helper()
	r := jobs.NewRegistry()
	jobs.AddBatchJobTo(r, "analytics", analytics.New)
	d, _ := r.Lookup("analytics")
	return d.Open(t.Context(), func(into any) error { set(into.(*analytics.Job)); return nil }, nil)
}

// run posts bodies to a collector that gives each request the status that answer says for its ids.
// It returns the requests' ids too.
func run(t *testing.T, answer func(ids string) int, bodies ...string) (errs []error, requests []string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var events []struct{ ID string }
		if err := json.NewDecoder(r.Body).Decode(&events); err != nil {
			t.Error(err)
		}
		ids := ""
		for _, e := range events {
			ids += e.ID
		}
		requests = append(requests, ids)
		w.WriteHeader(answer(ids))
	}))
	defer s.Close()
	i, err := open(t, func(j *analytics.Job) { j.CollectorURL, j.AllowPrivate = s.URL, true })
	if err != nil {
		t.Fatal(err)
	}
	var ms []*jobs.Info
	for n, body := range bodies {
		ms = append(ms, &jobs.Info{ID: string(rune('a' + n)), Raw: body})
	}
	errs = i.Run(t.Context(), ms)
	if err := i.Close(); err != nil {
		t.Error(err)
	}
	return errs, requests
}

// say is what became of each message: done, again or dead.
func say(errs []error) string {
	said := ""
	for _, err := range errs {
		switch {
		case err == nil:
			said += "done "
		case retry.IsNever(err):
			said += "dead "
		default:
			said += "again "
		}
	}
	return strings.TrimSpace(said)
}

const good = `{"event":"user_invited"}`

func TestABatchIsOneRequestOfCloudEvents(t *testing.T) {
	var got []map[string]any
	var media string
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		media = r.Header.Get("Content-Type")
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
	}))
	defer s.Close()
	i, err := open(t, func(j *analytics.Job) { j.CollectorURL, j.AllowPrivate = s.URL, true })
	if err != nil {
		t.Fatal(err)
	}
	sent := time.Date(2026, 11, 23, 12, 0, 0, 123e6, time.UTC)
	errs := i.Run(t.Context(), []*jobs.Info{
		{ID: "m-1", Sent: sent, Raw: `{"event":"user_invited","email":"<ada@example.com>","n":12345678901234567890}`},
		{ID: "m-2", Raw: `{"event":"user_left"}`},
	})
	if say(errs) != "done done" || media != "application/cloudevents-batch+json" {
		t.Errorf("answers %v, content-type %q", errs, media)
	}
	want := []map[string]any{
		{
			"specversion": "1.0", "id": "m-1", "source": "/stationmaster", "type": "user_invited", "time": "2026-11-23T12:00:00.123Z",
			"datacontenttype": "application/json",
			"data":            map[string]any{"event": "user_invited", "email": "<ada@example.com>", "n": 12345678901234567890.0},
		},
		{
			"specversion": "1.0", "id": "m-2", "source": "/stationmaster", "type": "user_left",
			"datacontenttype": "application/json", "data": map[string]any{"event": "user_left"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOneAnswerIsForTheWholeBatch(t *testing.T) {
	for code, want := range map[int]string{
		202: "done done", 503: "again again", 429: "again again", 404: "dead dead", 401: "dead dead", 302: "dead dead",
	} {
		errs, requests := run(t, func(string) int { return code }, good, good)
		if say(errs) != want || len(requests) != 1 {
			t.Errorf("%d: %s in %d requests, want %s in one", code, say(errs), len(requests), want)
		}
	}
}

func TestABadEventDoesNotKillItsMates(t *testing.T) {
	for _, code := range []int{400, 413, 422} {
		errs, requests := run(t, func(ids string) int {
			if strings.Contains(ids, "b") {
				return code
			}
			return 202
		}, good, good, good)
		if say(errs) != "done dead done" {
			t.Errorf("%d: %s", code, say(errs))
		}
		if diff := cmp.Diff([]string{"abc", "a", "b", "c"}, requests); diff != "" {
			t.Error(diff)
		}
	}
}

func TestEachAnswersForItselfWhenPostedAlone(t *testing.T) {
	errs, _ := run(t, func(ids string) int {
		return map[string]int{"abc": 400, "a": 503, "b": 400, "c": 202}[ids]
	}, good, good, good)
	if say(errs) != "again dead done" {
		t.Error(errs)
	}
	errs, requests := run(t, func(string) int { return 400 }, good)
	if say(errs) != "dead" || len(requests) != 1 {
		t.Errorf("one alone: %v in %d requests", errs, len(requests))
	}
}

func TestABodyWithoutATypeIsLeftOut(t *testing.T) {
	errs, requests := run(t, func(string) int { return 202 }, `{"email":"hunter2"}`, good, `hunter2`, `{"event":7}`)
	if say(errs) != "dead done dead dead" {
		t.Errorf("answers: %v", errs)
	}
	if diff := cmp.Diff([]string{"b"}, requests); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(fmt.Sprint(errs), "hunter2") {
		t.Errorf("a value of the body is in %v", errs)
	}
	errs, requests = run(t, func(string) int { return 202 }, `{}`)
	if say(errs) != "dead" || len(requests) != 0 {
		t.Errorf("nothing to post: %v in %d requests", errs, len(requests))
	}
}

func TestProvisionTellsAllFaultsAtOnce(t *testing.T) {
	_, err := open(t, func(j *analytics.Job) { *j = analytics.Job{CollectorURL: "http://10.0.0.1/", Timeout: -1} })
	want := `job analytics: settings: collector_url: address 10.0.0.1 is refused: private; allow_private = true allows it
source: "": must be a URI or the path of one
timeout: -1ns: must be more than 0`
	if err == nil || err.Error() != want {
		t.Errorf("Open: %v", err)
	}
	if _, err := open(t, func(j *analytics.Job) { j.CollectorURL = "https://example.com/" }); err != nil {
		t.Error(errors.Unwrap(err))
	}
}
