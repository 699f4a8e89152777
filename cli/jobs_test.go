package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// inModule makes an empty module that requires this one the current folder.
func inModule(t *testing.T) {
	t.Helper()
	root := t.TempDir()
	text := "module example.com/mine\n\ngo 1.26\n\nrequire github.com/stationmaster/worker v0.1.0\n"
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(root)
}

func TestANewJobIsWrittenAndFed(t *testing.T) {
	inModule(t)
	out, said, code := says(t, pickyFile, "jobs", "new", "send-mail")
	if code != ExitDone {
		t.Fatal(code, said)
	}
	want := "\n[queues.send-mail]\njob = \"send-mail\"\n\n[[subscriptions]]\ntopic    = \"orders\"\nprotocol = \"sqs\"\nendpoint = \"send-mail\"\n"
	if out != want {
		t.Errorf("printed %q", out)
	}
	for _, line := range []string{
		"worker: wrote jobs/send-mail/sendmail.go and jobs/send-mail/sendmail_test.go\n",
		"worker: try it: go test ./jobs/send-mail\n", "worker: compile it in: ./bin/worker jobs generate\n",
	} {
		if !strings.Contains(said, line) {
			t.Errorf("said %q, without %q", said, line)
		}
	}
	// What it suggests is a configuration, in which the job is fed.
	if _, said, code := says(t, "[topics.orders]\n"+out, "config", "check"); !strings.Contains(said, `"send-mail" is no registered job`) || strings.Count(said, "\n") != 1 {
		t.Errorf("%d: %s", code, said)
	}
	if _, said, code = says(t, "", "jobs", "new", "send-mail"); code != ExitFailed || !strings.Contains(said, "is there already and stays as it is") {
		t.Errorf("again: %d, %s", code, said)
	}
	if out, _, code = says(t, "", "jobs", "new", "other"); code != ExitDone || !strings.Contains(out, "[topics.events]\n") {
		t.Errorf("without topics: %d, %s", code, out)
	}
	if out, said, code = says(t, pickyFile, "jobs", "new", "picky"); code != ExitDone || out != "" || !strings.Contains(said, "leads to it already") {
		t.Errorf("fed already: %d, %s%s", code, out, said)
	}
}

func TestJobsAreGeneratedInAnyModule(t *testing.T) {
	inModule(t)
	if _, said, code := says(t, "", "jobs", "generate"); code != ExitFailed || !strings.Contains(said, "read the jobs") {
		t.Errorf("without jobs: %d, %s", code, said)
	}
	if _, said, code := says(t, "", "jobs", "new", "greet"); code != ExitDone {
		t.Fatal(said)
	}
	if err := os.MkdirAll("jobs/forgot", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("jobs/forgot/a.go", []byte("package forgot\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir("jobs/greet") // the module is found from below
	out, said, code := says(t, "", "jobs", "generate")
	if code != ExitDone || out != "wrote jobs/all/all.go: greet\n" || !strings.Contains(said, "jobs/forgot registers no job") {
		t.Errorf("%d: %s%s", code, out, said)
	}
	out, _, _ = says(t, "", "jobs", "generate", "--json")
	var got struct {
		Changed bool
		Jobs    []string
		Silent  []string
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.Changed || len(got.Jobs) != 1 || len(got.Silent) != 1 {
		t.Errorf("%v: %s", err, out)
	}
}

func TestAFolderIsNoPackageOfTheStandardLibrary(t *testing.T) {
	for given, want := range map[string]string{
		"jobs/email": "./jobs/email", "./jobs/email": "./jobs/email", "../jobs": "../jobs", "email": "./email", "/srv/jobs/email": "/srv/jobs/email",
		"example.com/mine/jobs/email": "example.com/mine/jobs/email", ".": "./.",
	} {
		if got := folderArgument(given); got != want {
			t.Errorf("folderArgument(%q) = %q, want %q", given, got, want)
		}
	}
}
