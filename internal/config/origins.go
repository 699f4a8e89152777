package config

import (
	"maps"
	"strings"
)

const originDefault = "default"

// origins says by key path where a value came from.
type origins map[string]string

func (o origins) note(path string, values map[string]any, origin func(path string) string) {
	for key, v := range values {
		at := join(path, key)
		switch v := v.(type) {
		case map[string]any:
			o.note(at, v, origin)
		case []any:
			o.list(at, v, origin(at))
		default:
			o[at] = origin(at)
		}
	}
}

// list notes a list, which takes the place of the one before: its tables are not merged.
func (o origins) list(path string, values []any, origin string) {
	maps.DeleteFunc(o, func(key, _ string) bool { return strings.HasPrefix(key, path+"[") })
	tables := 0
	for i, v := range values {
		if table, ok := v.(map[string]any); ok {
			tables++
			for key := range table {
				o[join(at(path, i), key)] = origin
			}
		}
	}
	if tables < len(values) || len(values) == 0 {
		o[path] = origin
	}
}

// of returns the origin of a value or of the list that it is in.
func (o origins) of(path string) string {
	for path != "" {
		if from, ok := o[path]; ok {
			return from
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return originDefault
}
