package jobstest_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/jobs/jobstest"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// An author's own flag, as golden files are written everywhere. If package jobstest defined one too, this
// program would panic before its first test.
var _ = flag.Bool("update", false, "write the golden files")

var once = jobstest.Policy(retry.Policy{Attempts: 1})

// withFlags lets a test have flags of its own.
func withFlags(t *testing.T, define func(*flag.FlagSet)) {
	t.Helper()
	before := flag.CommandLine
	t.Cleanup(func() { flag.CommandLine = before })
	flag.CommandLine = flag.NewFlagSet("", flag.ContinueOnError)
	define(flag.CommandLine)
}

func TestADeadLetterIsHeldAgainstItsGoldenFile(t *testing.T) {
	trace := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	about := []jobstest.Option{
		once, jobstest.Group("tenant"), jobstest.ID("i-7"), jobstest.Attribute("plan", "<pro>"), jobstest.Attribute("traceparent", trace),
		jobstest.Attributes(map[string]queue.Attribute{"pic": {Type: "Binary", Binary: []byte{1, 2}}}),
	}
	refused := errors.New("dial tcp 10.0.3.7:587: connection refused")
	jobstest.Live(t, steps(t, refused), invitation{Email: "ada@example.com"}, about...).WantGolden("refused")
	jobstest.Live(t, steps(t, refused), invitation{Email: "ada@example.com"}, append(about, jobstest.Envelope("invitations"))...).WantGolden("enveloped")
	jobstest.Live(t, steps(t, nil), "no <JSON>", once).WantGolden("decode/text")
	jobstest.Live(t, steps(t, retry.After(nil, 0)), invitation{}, once).WantGolden("moved")
}

func TestAGoldenFileIsWrittenWhenAsked(t *testing.T) {
	life := jobstest.Live(t, steps(t, errBoom), invitation{}, once)
	path := filepath.Join("testdata", "sub", "boom.golden")
	want := func(t *testing.T) string {
		t.Helper()
		return told(t, func(tb testing.TB) { life.For(tb).WantGolden("sub/boom") })
	}
	for name, ask := range map[string]func(*testing.T){
		"environment":       func(t *testing.T) { t.Setenv("JOBSTEST_UPDATE", "1") },
		"the author's flag": func(t *testing.T) { withFlags(t, func(f *flag.FlagSet) { f.Bool("update", true, "") }) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			t.Run("asked", func(t *testing.T) {
				ask(t)
				if said := want(t); said != "" {
					t.Error(said)
				}
			})
			if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), `"reason": "boom"`) {
				t.Errorf("%v, written %s", err, text)
			}
			if said := want(t); said != "" {
				t.Errorf("as written: %s", said)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "\n", "\r\n")), 0o600); err != nil {
				t.Fatal(err)
			}
			if said := want(t); said != "" {
				t.Errorf("as written by Windows: %s", said)
			}
		})
	}
	for name, refuse := range map[string]func(*testing.T){
		"nothing": func(t *testing.T) { withFlags(t, func(*flag.FlagSet) {}) },
		"0": func(t *testing.T) {
			withFlags(t, func(*flag.FlagSet) {})
			t.Setenv("JOBSTEST_UPDATE", "0")
		},
		"a flag not set":   func(t *testing.T) { withFlags(t, func(f *flag.FlagSet) { f.Bool("update", false, "") }) },
		"a flag of others": func(t *testing.T) { withFlags(t, func(f *flag.FlagSet) { f.String("update", "true", "") }) },
	} {
		t.Run("not by "+name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			refuse(t)
			if said := want(t); !strings.Contains(said, path+" is not there") {
				t.Errorf("said %q", said)
			}
			if _, err := os.Stat("testdata"); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("written: %v", err)
			}
		})
	}
}

func TestAGoldenFileThatDiffersIsShown(t *testing.T) {
	withFlags(t, func(*flag.FlagSet) {})
	t.Chdir(t.TempDir())
	life := jobstest.Live(t, steps(t, errBoom), invitation{Email: "ada@example.com"}, once)
	if diff := cmp.Diff(`jobstest: message-1 of job email: testdata/boom.golden is not there: look at what it would be and write it with
  JOBSTEST_UPDATE=1 go test -run '^TestAGoldenFileThatDiffersIsShown$'

  {
    "record": {
      "v": "<version>",
      "id": "<id>",
      "job": "email",
      "class": "error",
      "fingerprint": "kmzxbl",
      "reason": "boom",
      "origin": "jobstest",
      "origin_id": "<id>",
      "receives": 1,
      "deaths": 1,
      "sent": "<time>",
      "first_received": "<time>",
      "died": "<time>",
      "build": "<version>",
      "host": "<host>"
    },
    "body": {
      "email": "ada@example.com"
    }
  }
`, told(t, func(tb testing.TB) { life.For(tb).WantGolden("boom") })); diff != "" {
		t.Error(diff)
	}
	t.Run("write (it)", func(t *testing.T) {
		t.Setenv("JOBSTEST_UPDATE", "1")
		life.WantGolden("boom")
	})
	other := jobstest.Live(t, steps(t, errors.New("bang")), invitation{Email: "bob@example.com"}, once)
	t.Run("compare (it)", func(t *testing.T) {
		flag.CommandLine.Bool("update", false, "")
		if diff := cmp.Diff(`jobstest: message-1 of job email: the dead letter is not as testdata/boom.golden has it (- want, + got); if it is right now, write it with
  go test -run '^TestAGoldenFileThatDiffersIsShown$/^compare_\(it\)$' -update

    {
      "record": {
        "v": "<version>",
        "id": "<id>",
        "job": "email",
        "class": "error",
  -     "fingerprint": "kmzxbl",
  -     "reason": "boom",
  +     "fingerprint": "eytnve",
  +     "reason": "bang",
        "origin": "jobstest",
        "origin_id": "<id>",
        "receives": 1,
        "deaths": 1,
        "sent": "<time>",
        "first_received": "<time>",
        "died": "<time>",
        "build": "<version>",
        "host": "<host>"
      },
      "body": {
  -     "email": "ada@example.com"
  +     "email": "bob@example.com"
      }
    }

  attempt  at  took  answer  next
  1        0s  0s    bang    dead-lettered, class error`, told(t, func(tb testing.TB) { other.For(tb).WantGolden("boom") })); diff != "" {
			t.Error(diff)
		}
	})
	if said := told(t, func(tb testing.TB) { life.For(tb).WantGolden("../boom") }); said != `jobstest: golden file "../boom": must be a name within testdata` {
		t.Error(said)
	}
	done := jobstest.Live(t, steps(t, nil), invitation{})
	want := "jobstest: message-1 of job email: want it dead as testdata/boom.golden has it, it was done:\n"
	if said := told(t, func(tb testing.TB) { done.For(tb).WantGolden("boom") }); !strings.HasPrefix(said, want) {
		t.Error(said)
	}
}
