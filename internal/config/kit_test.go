package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stationmaster/worker/internal/config"
	"github.com/stationmaster/worker/jobs"
)

// The settings of three jobs, as package jobs would make them: with the defaults of New.
type (
	email struct {
		SMTPAddr string        `config:"smtp_addr"`
		From     string        `config:"from"`
		Password jobs.Secret   `config:"password"`
		Timeout  time.Duration `config:"timeout"`
		sent     int
	}
	webhook struct {
		URL          string            `config:"url"`
		Secret       jobs.Secret       `config:"secret"`
		AllowPrivate bool              `config:"allow_private"`
		Retries      uint8             `config:"retries"`
		Ratio        float64           `config:"ratio"`
		Hosts        []string          `config:"hosts"`
		Headers      map[string]string `config:"headers"`
		Keys         []jobs.Secret     `config:"keys"`
		NotASetting  string
	}
	analytics struct {
		CollectorURL string `config:"collector_url"`
	}
)

var registered = []string{"analytics", "email", "silent", "webhook"}

func settings(job string) (any, bool) {
	switch job {
	case "email":
		return &email{Timeout: 10 * time.Second, sent: 1}, true
	case "webhook":
		return &webhook{Retries: 3}, true
	case "analytics":
		return &analytics{}, true
	case "silent":
		return nil, true
	}
	return nil, false
}

// load loads a file of this text with the three jobs registered.
func load(t *testing.T, text string, adjust ...func(*config.Options)) (*config.Loaded, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o := config.Options{File: name, Settings: settings, Jobs: registered}
	for _, a := range adjust {
		a(&o)
	}
	return config.Load(o)
}

func mustLoad(t *testing.T, text string, adjust ...func(*config.Options)) *config.Loaded {
	t.Helper()
	l, err := load(t, text, adjust...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// faults are the lines of what Load refuses.
func faults(t *testing.T, err error) []string {
	t.Helper()
	var all config.Faults
	if err != nil && !errors.As(err, &all) {
		t.Fatalf("error is %T, want Faults: %v", err, err)
	}
	if err == nil {
		return nil
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(all) {
		t.Fatalf("%d faults in %d lines: %v", len(all), len(lines), err)
	}
	return lines
}

// shown finds one value of Show.
func shown(t *testing.T, l *config.Loaded, key string) config.Value {
	t.Helper()
	values := l.Show()
	i := slices.IndexFunc(values, func(v config.Value) bool { return v.Key == key })
	if i < 0 {
		t.Fatalf("%s is not shown among %v", key, values)
	}
	return values[i]
}

func environ(variables ...string) func(*config.Options) {
	return func(o *config.Options) { o.Environ = variables }
}
