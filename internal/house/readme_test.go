package house_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// goBlock is a fenced block of Go.
var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// README's job, the test of it, what is around it, the producer and the test with localaws, each in the frame
// that README leaves out.
const (
	around = "package greet\n\nimport (\n\"time\"\n\n\"github.com/stationmaster/worker/cli\"\n\"github.com/stationmaster/worker/jobs\"\n" +
		"\"github.com/stationmaster/worker/jobs/middleware\"\n\"github.com/stationmaster/worker/worker\"\n)\n\n"
	aroundTest = "\n\nfunc TestWelcome(t *testing.T) {\n" +
		"if got := jobstest.Run(t, \"welcome\", greet.Invited{}); got.Record.Reason != \"no address\" {\nt.Error(got.Err)\n}\n}\n"
	jobTest = "package greet_test\n\nimport (\n\"testing\"\n\n\"github.com/stationmaster/worker/jobs/greet\"\n" +
		"\"github.com/stationmaster/worker/jobs/jobstest\"\n\"github.com/stationmaster/worker/retry\"\n)\n\n"
	producer = "package greet_test\n\nimport (\n\"context\"\n\n\"github.com/aws/aws-sdk-go-v2/aws\"\n\n" +
		"\"github.com/stationmaster/worker/jobs/greet\"\n\"github.com/stationmaster/worker/publish\"\n)\n\ntype Invited = greet.Invited\n\n" +
		"func produce(ctx context.Context, cfg aws.Config, many []Invited) (any, []error) {\n"
	produced   = "\nreturn []any{id, ids}, append(errs, err)\n}\n"
	serverTest = "package greet_test\n\nimport (\n\"net/http\"\n\"testing\"\n\n\"github.com/aws/aws-sdk-go-v2/aws\"\n" +
		"\"github.com/aws/aws-sdk-go-v2/credentials\"\n\"github.com/aws/aws-sdk-go-v2/service/sqs\"\n\n" +
		"\"github.com/stationmaster/worker/localaws\"\n)\n\nfunc TestServer(t *testing.T) {\n"
	serverUse = "\n_, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(\"http://sqs.test/000000000000/none\")})\n" +
		"if err == nil {\nt.Error(\"received from no queue\")\n}\n}\n"
)

// What README shows is compiled as a job of this module, and its tests are run.
func TestTheGoOfREADMEWorks(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := goBlock.FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 5 {
		t.Fatalf("README has %d blocks of Go, want the job, its test, what is around it, the producer and localaws", len(blocks))
	}
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	over := map[string]string{}
	for name, source := range map[string]string{
		"greet.go":         blocks[0][1],
		"greet_test.go":    jobTest + blocks[1][1] + aroundTest,
		"around.go":        around + blocks[2][1],
		"producer_test.go": producer + blocks[3][1] + produced,
		"server_test.go":   serverTest + blocks[4][1] + serverUse,
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		over[filepath.Join(top, "jobs", "greet", name)] = path
	}
	overlay, err := json.Marshal(map[string]any{"Replace": over})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "greet.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, "./jobs/greet")
	build.Dir = top
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	run := exec.CommandContext(t.Context(), binary, "-test.v")
	run.Dir = dir
	said, err := run.CombinedOutput()
	if err != nil || strings.Count(string(said), "--- PASS") != 4 {
		t.Errorf("%v\n%s", err, said)
	}
}
