package telemetry_test

import (
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/internal/telemetry"
)

func inAnHour(after time.Time) time.Time { return after.Truncate(time.Hour).Add(time.Hour) }

// TestStatusTellsOfSchedules: its keys are an interface.
func TestStatusTellsOfSchedules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		hourly := k.Schedule(telemetry.ScheduleOptions{Name: "hourly", Queue: "reports.fifo", Next: inAnHour})
		k.Schedule(telemetry.ScheduleOptions{Name: "resting", Topic: "ticks.fifo", Next: inAnHour, Paused: true})
		const resting = `"resting":{"topic":"ticks.fifo","state":"paused","accepted":0,"missed":0,"failed":0}`
		want := func(now string) {
			t.Helper()
			status, body := k.get(t, "/status")
			_, got, _ := strings.Cut(body, `"schedules":`)
			if diff := cmp.Diff(`{"hourly":{"queue":"reports.fifo","state":"ticking",`+now+`},`+resting+"}}\n", got); diff != "" || status != http.StatusOK {
				t.Errorf("%d %s", status, diff)
			}
		}
		want(`"next":"2000-01-01T01:00:00Z","accepted":0,"missed":0,"failed":0`)
		<-time.After(time.Hour)
		tick := time.Now().In(time.FixedZone("CET", 3600))
		hourly.Failed(t.Context(), errors.New("send to reports.fifo: throttled"))
		hourly.Failed(t.Context(), errors.New("send to reports.fifo: reset"))
		want(`"next":"2000-01-01T02:00:00Z","accepted":0,"missed":0,"failed":2,"error":"send to reports.fifo: reset"`)
		<-time.After(2 * time.Second)
		hourly.Done(t.Context(), tick, nil)
		want(`"next":"2000-01-01T02:00:00Z","last":{"tick":"2000-01-01T01:00:00Z","outcome":"accepted","at":"2000-01-01T01:00:02Z"},"accepted":1,"missed":0,"failed":2`)
		<-time.After(time.Hour)
		hourly.Done(t.Context(), tick.Add(time.Hour), errors.New("throttled"))
		want(`"next":"2000-01-01T03:00:00Z","last":{"tick":"2000-01-01T02:00:00Z","outcome":"missed","at":"2000-01-01T02:00:02Z","error":"throttled"},"accepted":1,"missed":1,"failed":2`)
	})
}

// TestATickIsOneRecord: an outage of four minutes is two, however often it was tried.
func TestATickIsOneRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		s := k.Schedule(telemetry.ScheduleOptions{Name: "hourly", Queue: "reports.fifo", Next: inAnHour})
		s.Done(t.Context(), start, nil)
		for range 20 {
			s.Failed(t.Context(), errors.New("throttled"))
		}
		s.Done(t.Context(), start.Add(time.Hour), errors.New("throttled"))
		s.Failed(t.Context(), errors.New("throttled"))
		s.Done(t.Context(), start.Add(2*time.Hour), nil)
		s.Ended(t.Context(), errors.New("schedule hourly: has no further tick"))
		record := func(level, text string, more map[string]any) map[string]any {
			all := map[string]any{"level": level, "msg": text, "queue": "reports.fifo", "schedule": "hourly"}
			maps.Copy(all, more)
			return all
		}
		const again = "tick could not be published: it is tried again within its 4 minutes"
		if diff := cmp.Diff([]map[string]any{
			record("DEBUG", "tick published", map[string]any{"tick": "2000-01-01T00:00:00Z"}),
			record("WARN", again, map[string]any{"err": "throttled"}),
			record("ERROR", "tick missed: this worker could not publish it in time", map[string]any{"tick": "2000-01-01T01:00:00Z", "err": "throttled"}),
			record("WARN", again, map[string]any{"err": "throttled"}),
			record("INFO", "tick published after all", map[string]any{"tick": "2000-01-01T02:00:00Z", "failed": 1.}),
			record("ERROR", "schedule ended: it does not tick any more", map[string]any{"err": "schedule hourly: has no further tick"}),
		}, k.book.Take(t)); diff != "" {
			t.Error(diff)
		}
	})
}
