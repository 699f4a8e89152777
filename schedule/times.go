package schedule

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/netresearch/go-cron"
)

const (
	// years is how far ahead a tick is looked for: 29 February is up to eight years away.
	years = 10
	// shift is more than any zone has moved its clocks at once: a day, when Samoa changed sides of the
	// date line.
	shift = 25 * time.Hour
	// everyHour are the bits of an hour field that leaves no hour out.
	everyHour = 1<<24 - 1
)

// Times are the ticks of one cron expression in one time zone.
//
// Where the clocks are changed, an expression that names hours ticks once for each of its local times:
// one in the hour that is doubled ticks in the first of the two, and one in the hour that is skipped
// ticks as long after it as its time is in it (02:30 at 03:30). So does RFC 5545, section 3.3.5, read a
// local time. An expression of every hour ticks whenever the local clock shows its minutes, so that the
// distance of its ticks stays the same: also in both of the doubled hours, and not in the skipped one.
type Times struct {
	spec cron.SpecSchedule // of the local clock's readings, which it takes for UTC
	zone *time.Location
	// through: it ticks through a change of the clocks, whatever they show.
	through bool
}

// Parse reads five fields (minute, hour, day of month, month, day of week) or one of @hourly, @daily,
// @weekly, @monthly and @yearly. When both days are given, either is enough, as in cron(8). The zone
// is a name of the IANA time zone database, and UTC when it is empty. A program that runs where the system
// has no such database imports time/tzdata, as package cli does.
func Parse(expression, zone string) (Times, error) {
	// Local is the zone of one machine, and the fleet must agree on its ticks.
	if zone == "Local" {
		return Times{}, fmt.Errorf("zone %q: differs from machine to machine; name one, as in Europe/Berlin", zone)
	}
	location, err := time.LoadLocation(zone)
	if err != nil {
		return Times{}, fmt.Errorf("zone %q: %w; use a name of the IANA time zone database, such as Europe/Berlin", zone, err)
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
	spec.Location, spec.MaxSearchYears = time.UTC, years
	t := Times{spec: *spec, zone: location, through: spec.Hour&everyHour == everyHour}
	// The year does not matter: ten years hold every day that there is.
	if t.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return fault("no such day in any year, so it would never tick")
	}
	return t, nil
}

// Next is the first tick after a time, in the zone of the schedule; zero when there is none within ten
// years.
func (t Times) Next(after time.Time) time.Time {
	at := after.In(t.zone)
	start, end := at.ZoneBounds()
	if start.IsZero() || at.Sub(start) > shift {
		// The change before is too long ago to matter, and the next one only for what lies beyond it.
		reading := t.spec.Next(shown(at))
		if reading.IsZero() {
			return time.Time{}
		}
		if next := at.Add(reading.Sub(shown(at))); end.IsZero() || next.Before(end) {
			return next
		}
	}
	// A reading of the clock and its tick may be apart by the change, so that the order of the one is not
	// the order of the other.
	var first time.Time
	for reading := t.spec.Next(shown(at).Add(-shift)); !reading.IsZero(); reading = t.spec.Next(reading) {
		if !first.IsZero() && reading.Sub(shown(first)) > shift {
			break
		}
		for _, tick := range t.ticks(reading) {
			if tick.After(after) && (first.IsZero() || tick.Before(first)) {
				first = tick
			}
		}
	}
	return first
}

// ticks are the times at which the schedule ticks for one reading of the local clock.
func (t Times) ticks(reading time.Time) []time.Time {
	all := showing(reading, t.zone)
	switch {
	case len(all) == 0 && t.through:
		return nil
	case len(all) == 0:
		return []time.Time{afterGap(reading, t.zone)}
	case t.through:
		return all
	}
	return all[:1]
}

// shown is what the local clock shows at a time, taken for UTC.
func shown(at time.Time) time.Time {
	_, offset := at.Zone()
	return at.UTC().Add(time.Duration(offset) * time.Second)
}

// near is one of the times around a reading of the clock: that reading itself, where the clock shows it.
func near(reading time.Time, zone *time.Location) time.Time {
	y, m, d := reading.Date()
	return time.Date(y, m, d, reading.Hour(), reading.Minute(), reading.Second(), 0, zone)
}

// showing are the times at which the clock shows a reading, the first one first: none where it is
// skipped, two where it is doubled.
func showing(reading time.Time, zone *time.Location) (all []time.Time) {
	at := near(reading, zone)
	start, end := at.ZoneBounds()
	around := []time.Time{at}
	if !start.IsZero() {
		around = append(around, start.Add(-1))
	}
	if !end.IsZero() {
		around = append(around, end)
	}
	for _, other := range around {
		_, offset := other.Zone()
		if same := reading.Add(-time.Duration(offset) * time.Second).In(zone); shown(same).Equal(reading) {
			all = append(all, same)
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	return slices.CompactFunc(all, time.Time.Equal)
}

// afterGap is the time of a reading that the clock skips, by the clock as it was before. What near finds
// then lies on either side of the gap: after it, it is that time, and before it, it is as much too early
// as the gap is long.
func afterGap(reading time.Time, zone *time.Location) time.Time {
	at := near(reading, zone)
	return at.Add(max(0, reading.Sub(shown(at))))
}
