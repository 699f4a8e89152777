package config

import (
	"encoding"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/stationmaster/worker/internal/period"
	"github.com/stationmaster/worker/jobs"
)

// kind names the TOML type of a raw value.
func kind(raw any) string {
	switch raw := raw.(type) {
	case nil:
		return "nothing"
	case string:
		return "a string"
	case bool:
		return "true or false"
	case int64:
		return "the whole number " + strconv.FormatInt(raw, 10)
	case float64:
		return "the number " + strconv.FormatFloat(raw, 'g', -1, 64)
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a date or time"
}

// wanted names what a field takes.
func wanted(t reflect.Type) string {
	if t == durationType {
		return `a duration such as "5s"`
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return fmt.Sprintf("a whole number (%s)", t.Kind())
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.String:
		return "a string"
	default:
		return "a " + t.String()
	}
}

// literal writes a raw scalar as the file has it, or nearly so.
func literal(raw any) string {
	if s, ok := raw.(string); ok {
		return strconv.Quote(s)
	}
	return fmt.Sprint(raw)
}

// durationHook makes durations of strings.
func durationHook(_, to reflect.Type, raw any) (any, error) {
	s, ok := raw.(string)
	if !ok || to != durationType {
		return raw, nil
	}
	return parseDuration(s)
}

// parseDuration is time.ParseDuration with days: "14d", "1d12h".
func parseDuration(s string) (time.Duration, error) {
	days, rest, ok := strings.Cut(s, "d")
	if !ok {
		return time.ParseDuration(s)
	}
	n, err := strconv.ParseUint(days, 10, 16) // no more days than a duration holds
	if err != nil {
		return 0, fmt.Errorf("days of %q: %w", s, err)
	}
	d := time.Duration(n) * day
	if rest == "" {
		return d, nil
	}
	more, err := time.ParseDuration(rest)
	if err != nil || more < 0 || d+more < d {
		return 0, fmt.Errorf("%q is no duration", s)
	}
	return d + more, nil
}

// durationText writes a duration without its empty parts: "1m", "15m", "14d".
func durationText(d time.Duration) string {
	if d > 0 && d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	return period.Text(d)
}

// text writes a typed value for people; a secret stays one, in lists and URLs too.
func text(v reflect.Value) string {
	if v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return ""
		}
		return text(v.Elem())
	}
	switch x := v.Interface().(type) {
	case jobs.Secret:
		return x.String()
	case DLQ:
		if x.Off {
			return "false"
		}
		return x.Name
	case time.Duration:
		return durationText(x)
	case encoding.TextMarshaler:
		if b, err := x.MarshalText(); err == nil {
			return string(b)
		}
	}
	switch v.Kind() {
	case reflect.String:
		return withoutPassword(v.String())
	case reflect.Slice, reflect.Array:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = text(v.Index(i))
		}
		return strings.Join(parts, ", ")
	case reflect.Map:
		if b, err := json.Marshal(v.Interface()); err == nil {
			return string(b)
		}
	default:
	}
	return fmt.Sprint(v.Interface())
}

// withoutPassword redacts the password of a URL that carries one.
func withoutPassword(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.User == nil {
		return s
	}
	if _, set := u.User.Password(); !set {
		return s
	}
	return u.Redacted()
}
