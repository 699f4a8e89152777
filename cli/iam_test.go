package cli

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stationmaster/worker/internal/iampolicy"
	"github.com/stationmaster/worker/localaws"
)

// lineFile has a job that fails for good with everything.
const lineFile = `
[worker]
drain_timeout = "2s"
[admin]
addr = "off"
[topology]
owner = "mail"
[topics.orders]
[queues.ship]
job = "hopeless"
wait_time = "1s"
visibility_timeout = "10s"
[[subscriptions]]
topic = "orders"
protocol = "sqs"
endpoint = "ship"
`

// TestEachCommandNeedsNoMoreThanItsRole runs the commands that a role is for, records every request that
// they make, and asks the policy that `worker iam` prints about each.
func TestEachCommandNeedsNoMoreThanItsRole(t *testing.T) {
	a := newAccount(t)
	state := t.TempDir()
	for _, step := range []struct {
		role string
		args []string
		code int
	}{
		{"provisioner", []string{"topology", "plan"}, ExitChanges},
		{"provisioner", []string{"topology", "apply"}, ExitDone},
		{"provisioner", []string{"topology", "apply"}, ExitDone},
		{"operator", []string{"topology", "plan", "--prune"}, ExitDone},
		{"canary", []string{"doctor", "--canary"}, -1},
		{"publisher", []string{"publish", "orders", `{"n":1}`, "--count", "3"}, ExitDone},
		{"worker", []string{"run", "--until-empty"}, ExitDone},
		{"replayer", []string{"replay-dlq"}, -1},
		{"replayer", []string{"replay-dlq", "ship"}, -1},
		{"replayer", []string{"replay-dlq", "ship", "--go", "--yes", "--canary", "0", "--settle", "0s"}, -1},
	} {
		t.Run(step.role+" "+strings.Join(step.args, " "), func(t *testing.T) {
			text, _, _ := a.run(lineFile, "", "iam", step.role)
			var mu sync.Mutex
			seen := map[[2]string]bool{}
			stop := a.server.Control("", func(r *localaws.Request) *localaws.Fault {
				mu.Lock()
				defer mu.Unlock()
				if r.Service != "sts" { // who one is may be asked by everybody
					seen[[2]string{r.Service + ":" + strings.TrimSuffix(r.Action, "Batch"), resourceOf(r)}] = true
				}
				return nil
			})
			a.environ = []string{"XDG_STATE_HOME=" + state}
			out, said, code := a.run(lineFile, "", step.args...)
			stop()
			if step.code >= 0 && code != step.code {
				t.Errorf("exit code %d\n%s%s", code, out, said)
			}
			policy := anybodys(t, text)
			actions := map[string]bool{}
			for use := range seen {
				actions[use[0]] = true
				d := policy.Evaluate(iampolicy.Request{
					Principal: iampolicy.Principal{AWS: "arn:aws:iam::000000000000:role/r"}, Action: use[0], Resource: use[1], Time: time.Now(),
					Context: map[string][]string{"sns:Endpoint": {"arn:aws:sqs:us-east-1:000000000000:stationmaster-canary-x"}},
				})
				if !d.Allowed {
					t.Errorf("it needs %s on %s: %s", use[0], use[1], d.Why)
				}
			}
			if len(seen) == 0 {
				t.Error("it asked for nothing")
			}
			t.Logf("%d permissions: %s", len(seen), strings.Join(slices.Sorted(maps.Keys(actions)), " "))
		})
	}
}

// anybodys is an identity policy as one that can be evaluated alone: everybody has it.
func anybodys(t *testing.T, text string) *iampolicy.Policy {
	t.Helper()
	var document struct {
		Version   string
		Statement []map[string]any
	}
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err, text)
	}
	for _, s := range document.Statement {
		s["Principal"] = "*"
	}
	whole, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	p, err := iampolicy.Parse(string(whole))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// resourceOf is the ARN that IAM asks about.
func resourceOf(r *localaws.Request) string {
	const account = ":us-east-1:000000000000:"
	if r.Service == "sns" {
		form, err := url.ParseQuery(string(r.Body))
		switch {
		case err == nil && r.Action == "CreateTopic":
			return "arn:aws:sns" + account + form.Get("Name")
		case r.Target != "":
			return r.Target
		}
		return "arn:aws:sns" + account + "*"
	}
	var in struct{ QueueUrl, QueueName, SourceArn string }
	if json.Unmarshal(r.Body, &in) != nil {
		return ""
	}
	if in.SourceArn != "" {
		return in.SourceArn
	}
	return "arn:aws:sqs" + account + in.QueueName + in.QueueUrl[strings.LastIndexByte(in.QueueUrl, '/')+1:]
}
