package schedule_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stationmaster/worker/schedule"
)

func parse(t interface{ Fatal(...any) }, expression, zone string) schedule.Times {
	times, err := schedule.Parse(expression, zone)
	if err != nil {
		t.Fatal(err)
	}
	return times
}

func TestParseNamesTheFault(t *testing.T) {
	for _, tt := range []struct{ expression, zone, want string }{
		{"30 2 31 2 *", "", "would never tick"},
		{"0 3 * *", "", "as in \"0 3 * * *\""},
		{"61 3 * * *", "", "61"},
		{"@every 5m", "", "no fixed times"},
		{"TZ=Europe/Berlin 0 3 * * *", "", "belongs in zone"},
		{"0 3 * * *", "Local", "differs from machine to machine"},
		{"0 3 * * *", "Europe/Atlantis", "Europe/Atlantis"},
	} {
		_, err := schedule.Parse(tt.expression, tt.zone)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Parse(%q, %q) = %v, want an error with %q", tt.expression, tt.zone, err, tt.want)
		}
	}
}

func TestNextAcrossDaylightSavingTime(t *testing.T) {
	for _, tt := range []struct {
		what, expression, zone, after string
		want                          []string
	}{
		{"skipped hour", "30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", []string{"2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"}},
		{"doubled hour", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", []string{"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"}},
		{"hourly over the skipped hour", "0 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"}},
		{"hourly over the doubled hour", "0 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", []string{"2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"}},
		{"either day is enough", "0 0 13 * 5", "", "2026-11-06T12:00:00Z", []string{"2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z"}},
		{"leap day", "0 0 29 2 *", "", "2096-03-01T00:00:00Z", []string{"2104-02-29T00:00:00Z"}},
	} {
		times := parse(t, tt.expression, tt.zone)
		at, err := time.Parse(time.RFC3339, tt.after)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for range tt.want {
			at = times.Next(at)
			got = append(got, at.UTC().Format(time.RFC3339))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q in %q ticks at\n%v, want\n%v", tt.what, tt.expression, tt.zone, got, tt.want)
		}
	}
}

// Workers ask at different times and must hear of the same ticks.
func TestNextIsStrictlyLaterAndTheSameForEverybody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		expression := rapid.SampledFrom([]string{"* * * * *", "*/7 * * * *", "30 2 * * *", "0 3 1 * 1", "15 1-3 * 3,10 0", "0 0 29 2 *", "@weekly"}).Draw(t, "cron")
		zone := rapid.SampledFrom([]string{"", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo"}).Draw(t, "zone")
		times := parse(t, expression, zone)
		at := time.Unix(rapid.Int64Range(1.4e9, 2.2e9).Draw(t, "after"), 0)
		for range 20 {
			next := times.Next(at)
			if !next.After(at) {
				t.Fatalf("%q in %q: %v comes after %v", expression, zone, next, at)
			}
			between := at.Add(time.Duration(rapid.Int64Range(0, int64(next.Sub(at))-1).Draw(t, "between")))
			if other := times.Next(between); !other.Equal(next) {
				t.Fatalf("%q in %q: after %v comes %v, after %v comes %v", expression, zone, at, next, between, other)
			}
			at = next
		}
	})
}
