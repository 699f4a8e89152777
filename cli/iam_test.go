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
			seen := map[[2]string]iampolicy.Request{}
			stop := a.server.Control("", func(r *localaws.Request) *localaws.Fault {
				mu.Lock()
				defer mu.Unlock()
				if r.Service != "sts" { // who one is may be asked by everybody
					q := permissionOf(r)
					seen[[2]string{q.Action, q.Resource}] = q
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
			for _, q := range seen {
				actions[q.Action] = true
				if d := policy.Evaluate(q); !d.Allowed {
					t.Errorf("it needs %s on %s: %s", q.Action, q.Resource, d.Why)
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

// mixedFile has topics of both kinds of canary: orders, whose only filter keeps a canary's message away,
// and users, which needs a copy; one more without a queue; and keys.
const mixedFile = lineFile + `
filter = { event = ["paid"] }
filter_on = "attributes"
[topics.users]
kms_key = "alias/users"
[topics.idle]
[queues.hello]
job = "hopeless"
wait_time = "1s"
kms_key = "alias/hello"
[[subscriptions]]
topic = "users"
protocol = "sqs"
endpoint = "hello"
`

// TestDoctorNeedsNoMoreThanItsRole runs the doctor, records every request that it makes, and asks the policy that
// `worker iam operator` prints about each, or `worker iam canary` with --canary: what the one has and the other not.
func TestDoctorNeedsNoMoreThanItsRole(t *testing.T) {
	a := newAccount(t)
	if out, said, code := a.run(mixedFile, "", "topology", "apply"); code != ExitDone {
		t.Fatalf("exit code %d\n%s%s", code, out, said)
	}
	text, _, _ := a.run(mixedFile, "", "iam", "operator")
	flying, _, _ := a.run(mixedFile, "", "iam", "canary")
	reads, flies := anybodys(t, text), anybodys(t, flying)
	var mu sync.Mutex
	var asked []iampolicy.Request
	defer a.server.Control("", func(r *localaws.Request) *localaws.Fault {
		mu.Lock()
		defer mu.Unlock()
		if r.Service != "sts" {
			asked = append(asked, permissionOf(r))
		}
		return nil
	})()
	taken := func() []iampolicy.Request {
		mu.Lock()
		defer mu.Unlock()
		all := asked
		asked = nil
		return all
	}
	out, said, code := a.run(mixedFile, "", "doctor")
	looked := taken()
	if code != ExitDone || len(looked) == 0 {
		t.Fatalf("exit code %d, %d requests\n%s%s", code, len(looked), out, said)
	}
	for _, q := range looked {
		if d := reads.Evaluate(q); !d.Allowed {
			t.Errorf("doctor needs %s on %s: %s", q.Action, q.Resource, d.Why)
		}
	}
	out, said, code = a.run(mixedFile, "", "doctor", "--canary")
	flown := taken()
	if code != ExitDone || !strings.Contains(said, "by a copy of the topic") || !strings.Contains(said, "by the topic itself") {
		t.Fatalf("exit code %d\n%s%s", code, out, said)
	}
	beyond := map[string]bool{}
	for _, q := range flown {
		if d := flies.Evaluate(q); !d.Allowed {
			t.Errorf("doctor --canary needs %s on %s %v: %s", q.Action, q.Resource, q.Context, d.Why)
		}
		if !reads.Evaluate(q).Allowed {
			beyond[q.Action] = true
		}
	}
	want := []string{
		"sns:CreateTopic", "sns:DeleteTopic", "sns:Publish", "sns:Subscribe", "sns:Unsubscribe",
		"sqs:CreateQueue", "sqs:DeleteQueue", "sqs:ReceiveMessage", "sqs:SetQueueAttributes",
	}
	if got := slices.Sorted(maps.Keys(beyond)); !slices.Equal(got, want) {
		t.Errorf("--canary adds %q, want %q", got, want)
	}
	t.Logf("%d requests without canaries, %d with", len(looked), len(flown))
}

// TestDoctorsRoleIsNarrow asks the policies of the doctor's roles for what would harm.
func TestDoctorsRoleIsNarrow(t *testing.T) {
	a := newAccount(t)
	text, _, _ := a.run(mixedFile, "", "iam", "operator")
	flying, said, code := a.run(mixedFile, "", "iam", "canary")
	if code != ExitDone {
		t.Fatal(said)
	}
	for _, action := range []string{
		"CreateQueue", "DeleteQueue", "SetQueueAttributes", "SendMessage", "ReceiveMessage", "DeleteMessage",
		"CreateTopic", "DeleteTopic", "SetTopicAttributes", "Publish", "Subscribe", "Unsubscribe", "SetSubscriptionAttributes",
	} {
		if strings.Contains(text, action+`"`) {
			t.Errorf("the operator may %s\n%s", action, text)
		}
	}
	policy := anybodys(t, flying)
	const sqs, sns = "arn:aws:sqs:us-east-1:000000000000:", "arn:aws:sns:us-east-1:000000000000:"
	leads := func(protocol, endpoint string) map[string][]string {
		return map[string][]string{"sns:Protocol": {protocol}, "sns:Endpoint": {endpoint}}
	}
	const key = "arn:aws:kms:us-east-1:000000000000:key/k"
	alias := func(name string) map[string][]string { return map[string][]string{"kms:ResourceAliases": {name}} }
	canary := leads("sqs", sqs+"stationmaster-canary-x")
	for _, c := range []struct {
		action, resource string
		context          map[string][]string
		allowed          bool
	}{
		{"sns:Subscribe", sns + "orders", canary, true},
		{"sns:Subscribe", sns + "stationmaster-canary-x", canary, true},
		{"sns:Subscribe", sns + "orders", leads("sqs", sqs+"mine"), false},
		{"sns:Subscribe", sns + "orders", leads("https", "https://thief.example/"), false},
		{"sns:Subscribe", sns + "orders", nil, false},
		{"sns:Publish", sns + "users", nil, true},
		{"sns:DeleteTopic", sns + "orders", nil, false},
		{"sqs:ReceiveMessage", sqs + "ship", nil, false},
		{"sqs:DeleteQueue", sqs + "ship", nil, false},
		{"sqs:SetQueueAttributes", sqs + "ship", nil, false},
		{"kms:Decrypt", key, alias("alias/hello"), true},
		{"kms:GenerateDataKey", key, alias("alias/users"), true},
		{"kms:Decrypt", key, alias("alias/other"), false},
	} {
		d := policy.Evaluate(iampolicy.Request{
			Principal: iampolicy.Principal{AWS: "arn:aws:iam::000000000000:role/r"}, Action: c.action, Resource: c.resource, Context: c.context, Time: time.Now(),
		})
		if d.Allowed != c.allowed {
			t.Errorf("%s on %s with %v: allowed %v, want %v: %s", c.action, c.resource, c.context, d.Allowed, c.allowed, d.Why)
		}
	}
}

// permissionOf is what IAM asks about a request.
func permissionOf(r *localaws.Request) iampolicy.Request {
	q := iampolicy.Request{
		Principal: iampolicy.Principal{AWS: "arn:aws:iam::000000000000:role/r"},
		Action:    r.Service + ":" + strings.TrimSuffix(r.Action, "Batch"), Resource: resourceOf(r), Time: time.Now(),
	}
	if form, err := url.ParseQuery(string(r.Body)); err == nil && r.Action == "Subscribe" {
		q.Context = map[string][]string{"sns:Protocol": {form.Get("Protocol")}, "sns:Endpoint": {form.Get("Endpoint")}}
	}
	return q
}
