package cli

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/doctor"
	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/localaws"
)

var update = flag.Bool("update", false, "write the golden files")

const yardFile = `
[topics.orders]
[topics.users]
[queues.mail]
job = "picky"
visibility_timeout = "60s"
[queues.bill]
job = "picky"
[queues.ship]
job = "picky"
[queues.pack]
job = "picky"
[queues.hello]
job = "picky"
[[subscriptions]]
topic = "orders"
protocol = "sqs"
endpoint = "mail"
[[subscriptions]]
topic = "orders"
protocol = "sqs"
endpoint = "bill"
[[subscriptions]]
topic = "orders"
protocol = "sqs"
endpoint = "ship"
filter = { event = ["paid"] }
filter_on = "body"
[[subscriptions]]
topic = "orders"
protocol = "sqs"
endpoint = "pack"
[[subscriptions]]
topic = "users"
protocol = "sqs"
endpoint = "hello"
[jobs.picky]
host = "x"
`

// yard is that topology, applied, and what breaks it.
type yard struct {
	*account
	api *awsapi.Client
}

func newYard(t *testing.T) *yard {
	t.Helper()
	y := &yard{account: newAccount(t)}
	y.api = awsapi.New(aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://localaws.test"), HTTPClient: transport{y.server.Transport()},
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
	}, awsapi.Options{})
	if out, said, code := y.run(yardFile, "", "topology", "apply"); code != 0 {
		t.Fatalf("apply: exit code %d\n%s%s", code, out, said)
	}
	return y
}

func (y *yard) must(err error) {
	y.t.Helper()
	if err != nil {
		y.t.Fatal(err)
	}
}

func (y *yard) set(queue, name, value string) {
	y.t.Helper()
	url, err := y.api.QueueURL(y.t.Context(), queue, "")
	y.must(err)
	y.must(y.api.SetQueueAttributes(y.t.Context(), url, map[string]string{name: value}))
}

func (y *yard) delete(queue string) {
	y.t.Helper()
	url, err := y.api.QueueURL(y.t.Context(), queue, "")
	y.must(err)
	y.must(y.api.DeleteQueue(y.t.Context(), url))
}

func (y *yard) subscription(topic, queue string) string {
	y.t.Helper()
	all, err := y.api.TopicSubscriptions(y.t.Context(), "arn:aws:sns:us-east-1:000000000000:"+topic)
	y.must(err)
	for _, s := range all {
		if strings.HasSuffix(s.Endpoint, ":"+queue) {
			return s.ARN
		}
	}
	y.t.Fatalf("no subscription %s → %s", topic, queue)
	return ""
}

func (y *yard) change(topic, queue, name, value string) {
	y.t.Helper()
	y.must(y.api.SetSubscriptionAttribute(y.t.Context(), y.subscription(topic, queue), name, value))
}

// derail breaks it in ten ways.
func (y *yard) derail() {
	y.t.Helper()
	y.set("mail", "Policy", "")
	y.set("bill", "Policy", `{"Version":"2012-10-17","Statement":[{"Sid":"AllowOrders","Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"arn:aws:sqs:us-east-1:000000000000:bill","Condition":{"ArnEquals":{"aws:SourceArn":"arn:aws:sns:eu-west-1:000000000000:orders"}}}]}`)
	y.change("orders", "ship", "FilterPolicyScope", "MessageAttributes")
	y.delete("pack")
	y.must(y.api.Unsubscribe(y.t.Context(), y.subscription("users", "hello")))
	y.delete("orders-bill-delivery-dlq")
	y.set("orders-ship-delivery-dlq", "Policy", "")
	y.delete("ship-dlq")
	y.set("mail-dlq", "MessageRetentionPeriod", "86400")
	y.set("mail", "DelaySeconds", "30")
}

// itsFile is the configuration of a test.
var itsFile = regexp.MustCompile(` --config \S+`)

var unsteady = regexp.MustCompile(`(:(?:orders|users)):[0-9a-f-]{36}`)

// The report as an operator reads it, wide and on 60 columns.
func TestDoctorReport(t *testing.T) {
	y := newYard(t)
	y.derail()
	for _, width := range []string{"100", "60"} {
		y.environ = []string{"COLUMNS=" + width}
		out, said, code := y.run(yardFile, "", "doctor")
		if code != doctor.ExitLost || said != "" {
			t.Errorf("exit code %d, says %q", code, said)
		}
		out = itsFile.ReplaceAllString(unsteady.ReplaceAllString(out, "$1:SUBSCRIPTION"), " --config FILE")
		golden := filepath.Join("testdata", "doctor-"+width+".txt")
		if *update {
			if err := os.WriteFile(golden, []byte(out), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), out); diff != "" {
			t.Errorf("%s columns (-want +got):\n%s", width, diff)
		}
		for line := range strings.Lines(out) {
			if n := len([]rune(strings.TrimSpace(line))); n > 100 && !strings.Contains(line, "$ ") {
				t.Errorf("%s columns: %d in %q", width, n, line)
			}
		}
	}
}

// --fix mends what apply can, and what is left says so.
func TestDoctorFix(t *testing.T) {
	synctest.Test(t, fixAll) // a queue that was deleted is not made again for a minute
}

func fixAll(t *testing.T) {
	y := newYard(t)
	before := len(y.writes)
	if out, said, code := y.run(yardFile, "", "doctor", "--grace-period", "30s", "--permissions"); code != doctor.ExitHealthy || said != "" || !strings.Contains(out, "\nhealthy") {
		t.Fatalf("exit code %d\n%s%s", code, out, said)
	}
	for _, action := range y.writes[before:] { // of which --permissions makes three that cannot do anything
		if action != "SendMessageBatch" && action != "DeleteMessage" && action != "ChangeMessageVisibility" {
			t.Errorf("a look writes: %s", action)
		}
	}
	y.derail()
	out, said, code := y.run(yardFile, "", "doctor", "--fix")
	const waits = "worker: waiting up to 2m · queue ship-dlq and 2 more: SQS has to forget the queues of these names that were deleted\n"
	if code != doctor.ExitWarnings || said != waits {
		t.Errorf("exit code %d\n%s%s", code, out, said)
	}
	first, rest, _ := strings.Cut(out, "\nfix: apply the configuration\n")
	for _, want := range []string{"D-01", "D-02", "D-09", "D-10", "D-12", "D-18", "D-19", "Q-06", "Q-07", "Q-17"} {
		if !strings.Contains(first, "   "+want+"  ") {
			t.Errorf("%s is not found:\n%s", want, first)
		}
		if want != "Q-17" && strings.Contains(rest, "   "+want+"  ") {
			t.Errorf("%s is still there:\n%s", want, rest)
		}
	}
	if strings.Contains(out, "doctor --fix") {
		t.Errorf("it is said to do what was just done:\n%s", out)
	}
	if !strings.Contains(rest, "   Q-17  ") { // nobody has declared a delay, so apply leaves it alone
		t.Errorf("Q-17 is gone:\n%s", rest)
	}
}

// What apply refuses is said, and the look that follows says what is left.
func TestDoctorFixThatIsRefused(t *testing.T) {
	y := newYard(t)
	y.set("mail", "Policy", `{"Version":"2012-10-17","Statement":[{"Sid":"OnlyOurVPC","Effect":"Deny","Principal":"*","Action":"sqs:SendMessage","Resource":"*","Condition":{"StringNotEquals":{"aws:sourceVpce":"vpce-1"}}}]}`)
	y.must(y.api.Unsubscribe(y.t.Context(), y.subscription("users", "hello")))
	out, said, code := y.run(yardFile, "", "doctor", "--fix")
	if code != doctor.ExitLost || !strings.Contains(said, "OnlyOurVPC") || strings.Count(out, "   D-03  ") != 2 {
		t.Errorf("exit code %d, says %q\n%s", code, said, out)
	}
}

// A canary arrives, and --json is for machines.
func TestDoctorCanaryInJSON(t *testing.T) {
	y := newYard(t)
	out, said, code := y.run(yardFile, "", "doctor", "--canary", "--json")
	var r struct {
		Where    string
		ExitCode int `json:"exit_code"`
		Queues   int
		Canary   []struct {
			Line          string
			Arrived, Copy bool
		}
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if code != doctor.ExitHealthy || r.ExitCode != code || r.Queues != 5 || len(r.Canary) != 5 || !strings.Contains(said, "arrived") {
		t.Errorf("exit code %d, %+v, says %q", code, r, said)
	}
	for _, p := range r.Canary {
		if !p.Arrived {
			t.Errorf("%+v", p)
		}
	}
}

// What may not be read is unknown.
func TestDoctorDenied(t *testing.T) {
	y := newYard(t)
	y.server.Control("GetSubscriptionAttributes", func(*localaws.Request) *localaws.Fault {
		return &localaws.Fault{Status: 403, Code: "AuthorizationError", Message: "not authorized"}
	})
	out, _, code := y.run(yardFile, "", "doctor")
	if code != doctor.ExitWarnings || !strings.Contains(out, "sns:GetSubscriptionAttributes is denied") || !strings.Contains(out, "not known whether messages arrive; ") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

func TestDoctorSample(t *testing.T) {
	y := newYard(t)
	path := filepath.Join(t.TempDir(), "m.json")
	if err := os.WriteFile(path, []byte(`{"topic":"orders","for":["ship"],"body":{"event":"Paid"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _, code := y.run(yardFile, "", "doctor", "--sample", path); code != doctor.ExitLost || !strings.Contains(out, "D-12") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if out, _, code := y.run(yardFile, `{"topic":"orders","for":["ship"],"body":{"event":"paid"}}`, "doctor", "--sample", "-"); code != doctor.ExitHealthy {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if _, said, code := y.run(yardFile, "", "doctor", "--sample", "nowhere.json"); code != ExitUsage || !strings.Contains(said, "nowhere.json") {
		t.Errorf("exit code %d, says %q", code, said)
	}
}

func TestDoctorExplain(t *testing.T) {
	a := newAccount(t)
	if out, _, code := a.run(yardFile, "", "doctor", "explain", "d-01"); code != 0 || !strings.HasPrefix(out, "D-01 The queue lets no topic in\nC: messages are lost") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if out, _, code := a.run(yardFile, "", "doctor", "explain"); code != 0 || strings.Count(out, "\n") != len(doctor.Catalogue()) {
		t.Errorf("exit code %d: %s", code, out)
	}
	if _, said, code := a.run(yardFile, "", "doctor", "explain", "D-99"); code != ExitUsage || !strings.Contains(said, "D-99") {
		t.Errorf("exit code %d: %s", code, said)
	}
}
