package schedule

import (
	"fmt"
	"strings"
	"time"

	"github.com/netresearch/go-cron"
)

// years is how far ahead a tick is looked for: 29 February is up to eight years away.
const years = 10

// Times are the ticks of one cron expression in one time zone. Where the clocks go forward, a tick
// in the hour that is skipped comes an hour later by the clock; where they go back, a tick in the
// hour that is doubled comes in both.
type Times struct {
	spec cron.SpecSchedule
}

// Parse reads five fields (minute, hour, day of month, month, day of week) or one of @hourly, @daily,
// @weekly, @monthly and @yearly. When both days are given, either is enough, as in cron(8). The zone
// is a name of the IANA time zone database, and UTC when it is empty.
func Parse(expression, zone string) (Times, error) {
	// Local is the zone of one machine, and the fleet must agree on its ticks.
	if zone == "Local" {
		return Times{}, fmt.Errorf("zone %q: differs from machine to machine; name one, as in Europe/Berlin", zone)
	}
	location, err := time.LoadLocation(zone)
	if err != nil {
		return Times{}, fmt.Errorf("zone %q: %w; use a name such as Europe/Berlin, and import time/tzdata where the system has no zone data", zone, err)
	}
	fault := func(format string, args ...any) (Times, error) {
		return Times{}, fmt.Errorf("cron %q: %w; write minute, hour, day of month, month and day of week, as in \"0 3 * * *\"",
			expression, fmt.Errorf(format, args...))
	}
	if strings.Contains(expression, "=") {
		return fault("a time zone belongs in zone")
	}
	parser := cron.MustNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor | cron.DowOrDom)
	parsed, err := parser.Parse(expression)
	if err != nil {
		return fault("%w", err)
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		// Its ticks would count from the start of each worker, and no two would agree.
		return fault("@every has no fixed times")
	}
	spec.Location, spec.MaxSearchYears = location, years
	t := Times{spec: *spec}
	// The year does not matter: ten years hold every day that there is.
	if t.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return fault("no such day in any year, so it would never tick")
	}
	return t, nil
}

// Next is the first tick after a time, in the zone of the schedule.
func (t Times) Next(after time.Time) time.Time {
	return t.spec.Next(after.In(t.spec.Location))
}
