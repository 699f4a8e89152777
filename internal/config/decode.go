package config

import (
	"encoding"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"

	"github.com/stationmaster/worker/jobs"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	secretType   = reflect.TypeFor[jobs.Secret]()
	dlqType      = reflect.TypeFor[DLQ]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// setting is one key of a table: the field that it sets and what its tag allows.
type setting struct {
	name  string
	index int
	typ   reflect.Type
	auto  bool
}

// settings returns the keys of a table. A struct without a single tag (retry.Policy) has its
// fields' names in lower case.
func settings(t reflect.Type) []setting {
	var tagged, plain []setting
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		s := setting{name: strings.ToLower(f.Name), index: i, typ: f.Type}
		plain = append(plain, s)
		if tag, ok := f.Tag.Lookup("config"); ok {
			name, option, _ := strings.Cut(tag, ",")
			s.name, s.auto = name, option == "auto"
			tagged = append(tagged, s)
		}
	}
	if len(tagged) > 0 {
		return tagged
	}
	return plain
}

// names are the keys of a table, sorted.
func names(of []setting) []string {
	var all []string
	for _, s := range of {
		all = append(all, s.name)
	}
	slices.Sort(all)
	return all
}

var bare = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// join appends a key to a key path, quoted where TOML would quote it.
func join(path, key string) string {
	if !bare.MatchString(key) {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func at(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// decoder sets typed values from raw ones and notes every fault on the way.
type decoder struct{ *collector }

// table sets the fields of a struct and knows no other keys.
func (d decoder) table(path string, raw any, to reflect.Value) {
	values, ok := raw.(map[string]any)
	if !ok {
		d.addf(path, "must be a table, not %s", kind(raw))
		return
	}
	known := settings(to.Type())
	for _, key := range slices.Sorted(maps.Keys(values)) {
		at := join(path, key)
		i := slices.IndexFunc(known, func(s setting) bool { return s.name == key })
		switch {
		case i < 0:
			d.addf(at, "is no setting: %s", hint(key, names(known)))
		case known[i].auto && values[key] == "auto":
			to.Field(known[i].index).SetInt(Auto)
		default:
			d.value(at, values[key], to.Field(known[i].index))
		}
	}
}

// value sets one value of any type.
func (d decoder) value(path string, raw any, to reflect.Value) {
	t := to.Type()
	switch {
	case t.Kind() == reflect.Pointer:
		fresh := reflect.New(t.Elem())
		if p, ok := reflect.TypeAssert[interface{ defaults() }](fresh); ok {
			p.defaults()
		}
		if !to.IsNil() {
			fresh.Elem().Set(to.Elem())
		}
		d.value(path, raw, fresh.Elem())
		to.Set(fresh)
	case t == dlqType:
		d.dlq(path, raw, to.Addr().Interface().(*DLQ))
	case reflect.PointerTo(t).Implements(textType):
		d.scalar(path, raw, to)
	case t.Kind() == reflect.Struct:
		d.table(path, raw, to)
	case t.Kind() == reflect.Map:
		d.entries(path, raw, to)
	case t.Kind() == reflect.Slice:
		d.list(path, raw, to)
	case t.Kind() == reflect.Interface:
		if raw != nil && reflect.TypeOf(raw).AssignableTo(t) {
			to.Set(reflect.ValueOf(raw))
		}
	default:
		d.scalar(path, raw, to)
	}
}

func (d decoder) dlq(path string, raw any, to *DLQ) {
	switch raw := raw.(type) {
	case bool:
		*to = DLQ{Off: !raw}
	case string:
		if raw == "" {
			d.addf(path, "is empty: write a name, or false for none")
		}
		*to = DLQ{Name: raw}
	default:
		d.addf(path, "must be a name, true or false, not %s", kind(raw))
	}
}

// entries sets a map, whose keys the file chooses.
func (d decoder) entries(path string, raw any, to reflect.Value) {
	values, ok := raw.(map[string]any)
	t := to.Type()
	if !ok || t.Key().Kind() != reflect.String {
		d.addf(path, "must be a table, not %s", kind(raw))
		return
	}
	all := reflect.MakeMapWithSize(t, len(values))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		entry := reflect.New(t.Elem())
		if p, ok := reflect.TypeAssert[preset](entry); ok {
			table, _ := values[key].(map[string]any)
			p.preset(table["manage"] != false)
		}
		d.value(join(path, key), values[key], entry.Elem())
		all.SetMapIndex(reflect.ValueOf(key).Convert(t.Key()), entry.Elem())
	}
	to.Set(all)
}

func (d decoder) list(path string, raw any, to reflect.Value) {
	values, ok := raw.([]any)
	if !ok {
		d.addf(path, "must be a list, not %s", kind(raw))
		return
	}
	all := reflect.MakeSlice(to.Type(), len(values), len(values))
	for i, v := range values {
		d.value(at(path, i), v, all.Index(i))
	}
	to.Set(all)
}

// scalar sets a single value. The types are compared first, because mapstructure would cut a
// fraction off or let a number overflow without a word.
func (d decoder) scalar(path string, raw any, to reflect.Value) {
	want := wanted(to.Type())
	switch ok := fits(raw, to); {
	case !ok && to.Type() == secretType:
		d.addf(path, "must be a string")
		return
	case !ok:
		d.addf(path, "must be %s, not %s", want, kind(raw))
		return
	}
	decode, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result:     to.Addr().Interface(),
		DecodeHook: mapstructure.ComposeDecodeHookFunc(durationHook, mapstructure.TextUnmarshallerHookFunc()),
	})
	if err != nil {
		d.addf(path, "cannot be set: %s", err) // a type of field that no job should have
		return
	}
	if decode.Decode(raw) != nil {
		// The decoder's own words name Go's types.
		d.addf(path, "%s must be %s", literal(raw), want)
	}
}

// fits reports whether a raw value is of the kind that a field takes, without loss.
func fits(raw any, to reflect.Value) (ok bool) {
	t := to.Type()
	if t == durationType || reflect.PointerTo(t).Implements(textType) {
		_, ok = raw.(string)
		return ok
	}
	switch t.Kind() {
	case reflect.String:
		_, ok = raw.(string)
	case reflect.Bool:
		_, ok = raw.(bool)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		var n int64
		n, ok = raw.(int64)
		ok = ok && !to.OverflowInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		var n int64
		n, ok = raw.(int64)
		ok = ok && n >= 0 && !to.OverflowUint(uint64(n))
	case reflect.Float32, reflect.Float64:
		var f float64
		if f, ok = raw.(float64); ok {
			ok = !math.IsNaN(f) && !math.IsInf(f, 0)
		} else {
			_, ok = raw.(int64)
		}
	default: // no kind that TOML has
	}
	return ok
}
