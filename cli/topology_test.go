package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/retry"
	"github.com/stationmaster/worker/worker"
)

type transport struct{ http.RoundTripper }

func (t transport) Do(r *http.Request) (*http.Response, error) { return t.RoundTrip(r) }

// account is an AWS in this process, and the commands that are run on it.
type account struct {
	t      *testing.T
	server *localaws.Server
	mu     sync.Mutex // of writes: canaries make several at once
	writes []string

	environ []string
	adjust  func(*state) // nil: the process is as usual
}

func newAccount(t *testing.T) *account {
	t.Helper()
	return accountAt(t, localaws.New(localaws.Options{}))
}

func accountAt(t *testing.T, server *localaws.Server) *account {
	t.Helper()
	a := &account{t: t, server: server}
	t.Cleanup(func() {
		if err := a.server.Close(); err != nil {
			t.Error(err)
		}
	})
	a.server.Control("", func(r *localaws.Request) *localaws.Fault {
		if !strings.HasPrefix(r.Action, "Get") && !strings.HasPrefix(r.Action, "List") {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.writes = append(a.writes, r.Action)
		}
		return nil
	})
	return a
}

// run runs a command on the account with this configuration; answer is what is typed.
func (a *account) run(file, answer string, args ...string) (stdout, stderr string, code int) {
	a.t.Helper()
	path := filepath.Join(a.t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		a.t.Fatal(err)
	}
	registry := jobs.NewRegistry()
	jobs.AddJobTo(registry, "picky", func() *picky { return &picky{} })
	jobs.AddTo(registry, "hopeless", func(context.Context, *jobs.Message[map[string]any]) error {
		return retry.Never(errors.New("no hope"))
	})
	var out, errs bytes.Buffer
	s := &state{
		name: "worker", args: append(args, "--config", path), environ: a.environ, stdin: strings.NewReader(answer), stdout: &out, stderr: &errs,
		signals: func() (<-chan os.Signal, func()) { return nil, func() {} },
		options: []worker.Option{func(o *worker.Options) {
			o.Jobs = registry
			o.AWS = &aws.Config{
				Region: "us-east-1", BaseEndpoint: aws.String("http://localaws.test"), HTTPClient: transport{a.server.Transport()},
				Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
			}
		}},
	}
	if a.adjust != nil {
		a.adjust(s)
	}
	code = execute(a.t.Context(), s)
	return out.String(), errs.String(), code
}

const (
	ownedFile = "[topology]\nowner = \"mail\"\n" + pickyFile
	moreFile  = ownedFile + `
[queues.audit]
job = "picky"
[[subscriptions]]
topic = "orders"
protocol = "sqs"
endpoint = "audit"
filter = { event = ["x"] }
filter_on = "body"
[[subscriptions]]
topic = "orders"
protocol = "lambda"
endpoint = "arn:aws:lambda:us-east-1:000000000000:function:f"
`
)

func TestPlanApplyAndPlanAgain(t *testing.T) {
	a := newAccount(t)
	out, said, code := a.run(moreFile, "", "topology", "plan")
	if code != ExitChanges || said != "" || len(a.writes) != 0 {
		t.Errorf("plan: exit code %d, wrote %v\n%s%s", code, a.writes, out, said)
	}
	for _, line := range []string{
		"plan for http://localaws.test\n",
		"+ queue         ship-dlq: create\n                because there is none; it catches what ship cannot process\n",
		"+ policy        ship: allow topic orders to send\n                because without it SNS throws away what the topic sends here\n",
		"+ subscription  orders → audit: create\n",
		"                FilterPolicy {\"event\":[\"x\"]}\n",
		"others have to see to it, as far as can be known from here:\n! subscription orders → f: the function has to let the topic invoke it\n    aws lambda add-permission --function-name arn:aws:lambda:us-east-1:000000000000:function:f ",
		"16 changes, 0 unchanged; make them with: worker topology apply --config ",
	} {
		if !strings.Contains(out, line) {
			t.Errorf("the plan lacks %q:\n%s", line, out)
		}
	}
	var plan struct {
		Changes   []struct{ Kind, Name, Change, Why string }
		Unchanged int
		Others    []struct{ For, Command string }
	}
	if out, _, code := a.run(moreFile, "", "topology", "plan", "--json"); code != ExitChanges || json.Unmarshal([]byte(out), &plan) != nil ||
		len(plan.Changes) != 16 || plan.Changes[0].Why == "" || len(plan.Others) != 1 {
		t.Errorf("plan --json: exit code %d, %+v", code, plan)
	}
	out, _, code = a.run(moreFile, "", "topology", "apply")
	if code != ExitDone || !strings.Contains(out, "16 changes, 0 unchanged\n") {
		t.Errorf("apply: exit code %d\n%s", code, out)
	}
	a.writes = nil
	for _, command := range []string{"plan", "apply"} {
		out, _, code = a.run(moreFile, "", "topology", command)
		if code != ExitDone || !strings.Contains(out, "nothing to change: 11 as configured\n") || len(a.writes) != 0 {
			t.Errorf("%s again: exit code %d, wrote %v\n%s", command, code, a.writes, out)
		}
	}
}

func TestWhatOthersHaveToDoIsOneLineWhenNothingIsToBeChanged(t *testing.T) {
	a := newAccount(t)
	a.run(moreFile, "", "topology", "apply")
	if out, _, _ := a.run(moreFile, "", "topology", "plan"); !strings.Contains(out, "others have to see to 1 thing, which cannot be seen from here: worker topology plan --others --config ") || strings.Contains(out, "aws lambda") {
		t.Errorf("plan\n%s", out)
	}
	if out, _, _ := a.run(moreFile, "", "topology", "plan", "--others"); !strings.Contains(out, "aws lambda add-permission") {
		t.Errorf("plan --others\n%s", out)
	}
}

func TestPruneShowsAsksAndDeletes(t *testing.T) {
	a := newAccount(t)
	a.run(moreFile, "", "topology", "apply")
	a.run(moreFile, "", "send", "audit", `"x"`)
	a.writes = nil
	out, _, code := a.run(ownedFile, "", "topology", "plan", "--prune")
	if code != ExitChanges || len(a.writes) != 0 || !strings.Contains(out, "- queue         audit: delete\n") ||
		!strings.Contains(out, "it holds about 1 messages (1 visible, 0 in flight, 0 delayed), which would be lost\n") || !strings.Contains(out, "0 changes, 6 to delete, 5 unchanged\n") {
		t.Errorf("plan --prune: exit code %d, wrote %v\n%s", code, a.writes, out)
	}
	for _, answer := range []string{"", "y\n", "no\n"} {
		out, said, code := a.run(ownedFile, answer, "topology", "apply", "--prune")
		if code != ExitUsage || len(a.writes) != 0 || !strings.Contains(said, "delete 6 things for good? Type yes: ") || !strings.Contains(said, "worker: nothing was deleted\n") {
			t.Errorf("answer %q: exit code %d, wrote %v\n%s%s", answer, code, a.writes, out, said)
		}
	}
	if _, said, code := a.run(ownedFile, "", "topology", "apply", "--prune", "--yes"); code != ExitUsage || len(a.writes) != 0 ||
		!strings.Contains(said, "--yes deletes no messages: nothing was deleted, since there are some in audit; ") {
		t.Errorf("--yes: exit code %d, wrote %v\n%s", code, a.writes, said)
	}
	out, said, code := a.run(ownedFile, "yes\n", "topology", "apply", "--prune")
	if code != ExitDone || strings.Join(a.writes, " ") != "Unsubscribe Unsubscribe DeleteQueue DeleteQueue DeleteQueue DeleteQueue" {
		t.Errorf("yes: exit code %d, wrote %v\n%s%s", code, a.writes, out, said)
	}
	if out, said, code := a.run(ownedFile, "", "topology", "apply", "--prune", "--yes"); code != ExitDone || said != "" || !strings.HasSuffix(out, "nothing to delete\n") {
		t.Errorf("again: exit code %d\n%s%s", code, out, said)
	}
}

func TestTheMapShowsStationsTracksAndYards(t *testing.T) {
	a := newAccount(t)
	file := "[ingress]\npublic_url = \"https://hooks.example.com\"\n" + moreFile + `
[[subscriptions]]
topic = "orders"
protocol = "https"
endpoint = "/audit"
job = "picky"
dlq = false
[topics.lone]
fifo = true
[topics.theirs]
manage = false
[queues.siding]
job = "picky"
manage = false
arn = "arn:aws:sqs:us-east-1:111122223333:siding"
`
	const want = `◉ lone.fifo (FIFO)
◉ orders
├─▶ ship ──▶ job picky × 10
│     ⌂ ship-dlq: what fails for good, or after 15 receives
│     ⌂ orders-ship-delivery-dlq: what SNS cannot deliver
├─▶ audit ──▶ job picky × 10
│     only {"event":["x"]} in the body
│     ⌂ audit-dlq: what fails for good, or after 15 receives
│     ⌂ orders-audit-delivery-dlq: what SNS cannot deliver
├─▶ lambda arn:aws:lambda:us-east-1:000000000000:function:f (somebody else's)
│     ⌂ orders-f-delivery-dlq: what SNS cannot deliver
└─▶ https://hooks.example.com/audit ──▶ job picky × 8 (served by this worker)
◉ theirs (somebody else's)
○ no topic leads here
└─▶ siding ──▶ job picky × 10 (somebody else's)

◉ station: topic   ─▶ track: subscription   ⌂ yard: dead-letter queue
`
	out, said, code := a.run(file, "", "topology", "map")
	if code != ExitDone || out != want {
		t.Errorf("exit code %d\n%s%s\nwant\n%s", code, out, said, want)
	}
	out, _, code = a.run(file, "", "topology", "map", "--mermaid")
	for _, line := range []string{
		"flowchart LR\n", "  n2([\"orders\"])\n", `-->|"{#quot;event#quot;:[#quot;x#quot;]}"| `, `[("ship-dlq")]`, `{{"job picky"}}`,
	} {
		if code != ExitDone || !strings.Contains(out, line) {
			t.Errorf("exit code %d, no %q in\n%s", code, line, out)
		}
	}
	var n worker.Network
	if out, _, _ := a.run(file, "", "topology", "map", "--json"); json.Unmarshal([]byte(out), &n) != nil || len(n.Topics) != 3 || len(n.Sidings) != 1 {
		t.Errorf("map --json: %s", out)
	}
	if len(a.writes) != 0 {
		t.Errorf("a map wrote %v", a.writes)
	}
}

func TestIAMPrintsAPolicyForEachRole(t *testing.T) {
	a := newAccount(t)
	for _, role := range []string{"worker", "operator", "replayer", "provisioner", "publisher"} {
		out, said, code := a.run(moreFile, "", "iam", role)
		var policy struct {
			Version   string
			Statement []struct{ Effect string }
		}
		if code != ExitDone || said != "" || json.Unmarshal([]byte(out), &policy) != nil || policy.Version != "2012-10-17" || len(policy.Statement) == 0 {
			t.Errorf("iam %s: exit code %d\n%s%s", role, code, out, said)
		}
	}
	if _, said, code := a.run(moreFile, "", "iam", "admin"); code != ExitUsage || !strings.Contains(said, "there is no such role; one of worker, operator") {
		t.Errorf("iam admin: exit code %d, %s", code, said)
	}
	if _, said, code := a.run(moreFile, "", "iam"); code != ExitUsage || !strings.Contains(said, "worker iam: ROLE is missing") {
		t.Errorf("iam: exit code %d, %s", code, said)
	}
}
