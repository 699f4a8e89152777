//go:build !cgo || !(linux || darwin || freebsd)

package plugins

import "errors"

// notHere says why this worker loads no plugins.
const notHere = "this worker is static, built without cgo, and loads no plugins: build it with: CGO_ENABLED=1 go build ./cmd/worker " +
	"(on Linux, macOS or FreeBSD, with a C compiler); or compile the job in: worker jobs generate"

func open(string) error { return errors.New(notHere) }
