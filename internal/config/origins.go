package config

import "strings"

const originDefault = "default"

// origins says by key path where a value came from. Lists have one origin.
type origins map[string]string

func (o origins) note(path string, values map[string]any, origin func(path string) string) {
	for key, v := range values {
		at := join(path, key)
		if table, ok := v.(map[string]any); ok {
			o.note(at, table, origin)
			continue
		}
		o[at] = origin(at)
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
