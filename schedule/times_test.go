package schedule_test

import (
	"fmt"
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
		{"in the skipped hour", "30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", []string{"2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"}},
		{"at its begin", "0 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"}},
		{"in it and after it", "0 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z", "2026-03-30T01:00:00Z"}},
		{"often in it", "*/20 2 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-29T01:20:00Z", "2026-03-29T01:40:00Z", "2026-03-30T00:00:00Z"}},
		{"in the doubled hour", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", []string{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}},
		{"asked between the two", "30 2 * * *", "Europe/Berlin", "2026-10-25T01:00:00Z", []string{"2026-10-26T01:30:00Z"}},
		{"after it", "0 3 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", []string{"2026-10-25T02:00:00Z", "2026-10-26T02:00:00Z"}},
		{"every second hour", "0 */2 * * *", "Europe/Berlin", "2026-10-24T22:00:00Z", []string{"2026-10-25T00:00:00Z", "2026-10-25T03:00:00Z"}},
		{"hourly over the skipped hour", "0 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"}},
		{"hourly over the doubled hour", "@hourly", "Europe/Berlin", "2026-10-24T23:30:00Z", []string{"2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"}},
		{"all hours written out", "0 0-23 * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", []string{"2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"}},
		{"a midnight that is skipped", "@daily", "Africa/Cairo", "2026-04-23T12:00:00Z", []string{"2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"}},
		{"a midnight that is doubled", "@daily", "America/Havana", "2026-10-31T12:00:00Z", []string{"2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"}},
		{"half an hour is skipped", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", []string{"2026-10-03T15:45:00Z", "2026-10-04T15:15:00Z"}},
		{"in it and past it", "20,40 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", []string{"2026-10-03T15:40:00Z", "2026-10-03T15:50:00Z", "2026-10-04T15:20:00Z"}},
		{"half an hour is doubled", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00Z", []string{"2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"}},
		{"a day is skipped", "0 12 * * *", "Pacific/Apia", "2011-12-29T12:00:00Z", []string{"2011-12-29T22:00:00Z", "2011-12-30T22:00:00Z", "2011-12-31T22:00:00Z"}},
		{"either day is enough", "0 0 13 * 5", "", "2026-11-06T12:00:00Z", []string{"2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z"}},
		{"leap day", "0 0 29 2 *", "Europe/Berlin", "2096-03-01T00:00:00Z", []string{"2104-02-28T23:00:00Z"}},
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

// zones change their clocks by an hour, half an hour, at midnight, twice around Ramadan, and not at all.
var zones = []string{"", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Cairo", "Africa/Casablanca", "Asia/Kolkata"}

// TestATimeOfDayTicksOnceEachDay counts the ticks of a time of day over years, by the days of the local
// calendar: whatever the clocks did, each has one, and it is the time that was asked for wherever the
// clock showed it.
func TestATimeOfDayTicksOnceEachDay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom(zones).Draw(t, "zone")
		location, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		hour, minute := rapid.IntRange(0, 3).Draw(t, "hour"), rapid.IntRange(0, 59).Draw(t, "minute")
		times := parse(t, fmt.Sprintf("%d %d * * *", minute, hour), zone)
		from := time.Date(rapid.IntRange(2012, 2030).Draw(t, "year"), 1, 1, 12, 0, 0, 0, location)
		at := from
		for day := range 364 {
			at = times.Next(at)
			y, m, d := from.AddDate(0, 0, day+1).Date()
			if got := at.Day(); got != d || at.Month() != m || at.Year() != y {
				t.Fatalf("%02d:%02d in %q: tick %v where %d-%02d-%02d was due", hour, minute, zone, at, y, m, d)
			}
			shown := at.Format("15:04") == fmt.Sprintf("%02d:%02d", hour, minute)
			for _, back := range []time.Duration{time.Hour, time.Hour / 2} {
				if at.Add(-back).Format("2 15:04") == at.Format("2 15:04") {
					t.Fatalf("%02d:%02d in %q: %v is the second of two", hour, minute, zone, at)
				}
			}
			if !shown {
				if jump := offset(at) - offset(at.Add(-3*time.Hour)); jump <= 0 {
					t.Fatalf("%02d:%02d in %q: %v, and no clock was put forward", hour, minute, zone, at)
				}
			}
		}
	})
}

func offset(at time.Time) int {
	_, seconds := at.Zone()
	return seconds
}

// TestEveryHourTicksWheneverTheClockShowsItsMinute walks through each minute of the days around a change.
func TestEveryHourTicksWheneverTheClockShowsItsMinute(t *testing.T) {
	for _, zone := range zones {
		times := parse(t, "*/15 * * * *", zone)
		location, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, from := range []string{"2026-02-14T00:00:30Z", "2026-03-07T00:00:30Z", "2026-03-28T00:00:30Z", "2026-04-04T00:00:30Z", "2026-10-24T00:00:30Z"} {
			at, err := time.Parse(time.RFC3339, from)
			if err != nil {
				t.Fatal(err)
			}
			next := times.Next(at)
			for minute := at.Truncate(time.Minute).Add(time.Minute); minute.Sub(at) < 72*time.Hour; minute = minute.Add(time.Minute) {
				if shows := minute.In(location).Minute()%15 == 0; shows != next.Equal(minute) {
					t.Fatalf("%q: the clock shows %v, and the next tick is %v", zone, minute.In(location), next)
				}
				if next.Equal(minute) {
					next = times.Next(minute)
				}
			}
		}
	}
}

// Workers ask at different times and must hear of the same ticks.
func TestNextIsStrictlyLaterAndTheSameForEverybody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		expression := rapid.SampledFrom([]string{"* * * * *", "*/7 * * * *", "30 2 * * *", "0 3 1 * 1", "15 1-3 * 3,10 0", "0 0 29 2 *", "@weekly", "*/20 1-3 * * *"}).Draw(t, "cron")
		zone := rapid.SampledFrom(zones).Draw(t, "zone")
		times := parse(t, expression, zone)
		at := time.Unix(rapid.Int64Range(1.4e9, 2.2e9).Draw(t, "after"), 0)
		if change := nextChange(t, at, zone); !change.IsZero() && rapid.Bool().Draw(t, "near a change") {
			at = change.Add(time.Duration(rapid.IntRange(-30*60, 30*60).Draw(t, "minutes")) * time.Minute)
		}
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

// nextChange is when the clocks of a zone are changed next.
func nextChange(t *rapid.T, at time.Time, zone string) time.Time {
	location, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	_, end := at.In(location).ZoneBounds()
	return end
}

// Whatever the expression, it is refused or it ticks, each time later than the last.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"* * * * *", "*/7 0-23/3 1,15 * 1-5", "@daily", "0 0 29 2 *", "0 3 L * *", "0 3 * * 5#3", "H H * * *", "60 24 32 13 8", "0 3 * * 7", "a b c d e", "5-1 * * * *", "*/0 * * * *", "0 3 31W * *"} {
		f.Add(seed, "Europe/Berlin")
	}
	f.Add("30 2 * * *", "Pacific/Apia")
	f.Add("0 0 * * *", "../x")
	f.Fuzz(func(t *testing.T, expression, zone string) {
		times, err := schedule.Parse(expression, zone)
		if err != nil {
			return
		}
		at := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)
		for range 5 {
			next := times.Next(at)
			if !next.After(at) || next.Second() != 0 && zone == "" {
				t.Fatalf("%q in %q: %v comes after %v", expression, zone, next, at)
			}
			at = next
		}
	})
}
