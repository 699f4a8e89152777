//go:build cgo && (linux || darwin || freebsd)

package plugins

import "plugin"

// able: this worker can load plugins.
const able = true

func open(file string) error {
	_, err := plugin.Open(file)
	return err
}
