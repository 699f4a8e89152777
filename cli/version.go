package cli

import (
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// build is what the binary knows of itself.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// version reads what the go command stamped into the binary.
func version() build {
	b := build{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// goRelease is the release without its patch: go1.26.8 is go1.26.
func (b build) goRelease() string {
	parts := strings.SplitN(b.Go, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

func (s *state) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print what was built, from which commit, with which Go",
		Example: example("worker version", "worker version --json"),
		Args:    want(),
		RunE: func(*cobra.Command, []string) error {
			b := version()
			if s.json {
				return s.encode(b)
			}
			line := "stationmaster worker " + b.Version
			if b.Revision != "" {
				line += " " + b.Revision[:min(12, len(b.Revision))]
				if b.Modified {
					line += " (modified)"
				}
			}
			s.printf("%s %s %s\n", line, b.Go, b.Platform)
			return nil
		},
	}
}
