package config_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/internal/config"
)

const (
	public = "[ingress]\npublic_url = \"https://hooks.example.com/in/\"\n"
	hook   = "[[subscriptions]]\ntopic = \"t\"\nprotocol = \"https\"\nendpoint = \"/hooks/audit\"\njob = \"webhook\"\n"
)

// to is a subscription of another protocol.
func to(protocol, endpoint string, more ...string) string {
	return "[[subscriptions]]\ntopic = \"t\"\nprotocol = \"" + protocol + "\"\nendpoint = \"" + endpoint + "\"\n" + strings.Join(more, "\n") + "\n"
}

const function = "arn:aws:lambda:us-east-1:123456789012:function:audit"

// Each of these is one fault: its key and what its text must say.
func TestFaultsOfEndpointsAndAttributes(t *testing.T) {
	tests := []struct{ name, file, want string }{
		{"verify", "[worker]\nverify = \"no\"", `worker.verify: "no" must be one of stop, warn, off`},
		{"owner", "[topology]\nowner = \"" + strings.Repeat("x", 257) + `"`, `topology.owner: has 257 characters`},
		{"owner's tag", queue + `tags = { stationmaster = "x" }`, `queues.q.tags.stationmaster: is how prune knows`},

		{"ingress addr", "[ingress]\naddr = \"8081\"", `ingress.addr: "8081" must be host:port`},
		{"ingress port", "[ingress]\naddr = \":http\"", `ingress.addr: ":http" must end in a port`},
		{"public_url", "[ingress]\npublic_url = \"hooks.example.com\"", `ingress.public_url: "hooks.example.com" must be a URL`},
		{"public_url with a query", "[ingress]\npublic_url = \"https://a.example/?x=1\"", `ingress.public_url: "https://a.example/?x=1" must be a scheme, a host`},
		{"public_url with an empty query", "[ingress]\npublic_url = \"https://a.example/in?\"", `ingress.public_url: "https://a.example/in?" must be a scheme, a host`},
		{"public_url with an empty fragment", "[ingress]\npublic_url = \"https://a.example/in#\"", `ingress.public_url: "https://a.example/in#" must be a scheme, a host`},
		{"public_url with an untidy path", "[ingress]\npublic_url = \"https://a.example/in/../x\"", `ingress.public_url: "https://a.example/in/../x" must have a plain path`},
		{"cert without a key", "[ingress]\ntls_cert = \"a.pem\"", `ingress.tls_cert: and tls_key belong together`},
		{"max_body", "[ingress]\nmax_body = 2000000", `ingress.max_body: 2000000 must be at most 1048576`},
		{"max_age", "[ingress]\nmax_age = \"1s\"", `ingress.max_age: "1s" must be at least 1m`},
		{"ingress timeout", "[ingress]\ntimeout = \"15s\"", `ingress.timeout: "15s" must be at most 14s`},

		{"path without public_url", topic + hook, `ingress.public_url: is missing, and subscriptions[0].endpoint is a path`},
		{"path without a job", public + topic + strings.Replace(hook, `job = "webhook"`, "", 1), `subscriptions[0].job: is missing: name the job that handles what is delivered to /hooks/audit`},
		{"path with an unknown job", public + topic + strings.Replace(hook, `"webhook"`, `"webhok"`, 1), `subscriptions[0].job: "webhok" is no registered job: did you mean webhook?`},
		{"path of the other scheme", public + topic + strings.Replace(hook, `"https"`, `"http"`, 1), `subscriptions[0].protocol: "http" is not that of ingress.public_url`},
		{"no plain path", public + topic + strings.Replace(hook, "/hooks/audit", "/hooks/../audit", 1), `subscriptions[0].endpoint: "/hooks/../audit" must be a plain path`},
		{"path with a query", public + topic + strings.Replace(hook, "/hooks/audit", "/hooks?x=1", 1), `subscriptions[0].endpoint: "/hooks?x=1" must be a plain path`},
		{"two jobs of a path", public + topic + "[topics.u]\n" + hook + strings.NewReplacer(`"t"`, `"u"`, `"webhook"`, `"email"`).Replace(hook), `is not that of another subscription of /hooks/audit`},
		{"path below the public one", public + topic + hook + strings.Replace(hook, "/hooks", "/in/hooks", 1), `subscriptions[1].endpoint: "/in/hooks/audit" is where /hooks/audit is served too`},
		{"raw path", public + topic + hook + "raw = true", `subscriptions[0].raw: is true, and a raw delivery by HTTP carries no signature`},
		{"no slots", public + topic + hook + "slots = 0", `subscriptions[0].slots: 0 must be at least 1`},
		{"too many slots", public + topic + hook + "slots = 10001", `subscriptions[0].slots: 10001 must be at most 10000`},
		{"slots are a number", public + topic + hook + `slots = "many"`, `subscriptions[0].slots: must be a whole number (int), not a string`},
		{"slots of a queue", topic + queue + sub + "slots = 0", `subscriptions[0].slots: is for a path of this worker only: a queue's slots stand in`},
		{"slots of somebody's URL", topic + to("https", "https://example.com/x", "slots = 2"), `subscriptions[0].slots: is for a path of this worker only (endpoint`},
		{"two slots of a path", public + topic + "[topics.u]\n" + hook + "slots = 2\n" + strings.Replace(hook, `"t"`, `"u"`, 1) + "slots = 3", `subscriptions[1].slots: 3 is not that of another subscription of /hooks/audit, 2`},
		{"job of a queue", topic + queue + sub + `job = "email"`, `subscriptions[0].job: is for a path of this worker only: a queue's job`},
		{"job of a function", topic + to("lambda", function, `job = "email"`), `subscriptions[0].job: is for a path of this worker only (endpoint`},
		{"resubscribe", topic + queue + sub + `resubscribe = true`, `subscriptions[0].resubscribe: is for a path`},
		{"no URL", topic + to("https", "example.com"), `subscriptions[0].endpoint: "example.com" is neither a path nor a URL`},
		{"URL of the other scheme", topic + to("http", "https://example.com/x"), `is not for protocol "http"`},
		{"http of a fifo topic", topic + "fifo = true\n" + to("https", "https://example.com/x"), `subscriptions[0].protocol: "https" cannot keep the order of FIFO topic "t"`},

		{"no function", topic + to("lambda", "audit"), `subscriptions[0].endpoint: "audit" is none for lambda: write an ARN like`},
		{"no stream", topic + to("firehose", function, `role = "arn:aws:iam::123456789012:role/x"`), `is none for firehose`},
		{"no address", topic + to("email", "ops"), `"ops" is none for email: write an address like`},
		{"no number", topic + to("sms", "030 123"), `"030 123" is none for sms: write a number like`},
		{"no device", topic + to("application", function), `is none for application`},
		{"no endpoint", topic + to("email", ""), `subscriptions[0].endpoint: is missing: write an address`},
		{"no role", topic + to("firehose", "arn:aws:firehose:us-east-1:123456789012:deliverystream/x"), `subscriptions[0].role: is missing`},
		{"bad role", topic + to("firehose", "arn:aws:firehose:us-east-1:123456789012:deliverystream/x", `role = "x"`), `subscriptions[0].role: "x" is no role's ARN`},
		{"role of a queue", topic + queue + sub + `role = "arn:aws:iam::123456789012:role/x"`, `subscriptions[0].role: is for firehose only`},
		{"raw function", topic + to("lambda", function, "raw = true"), `subscriptions[0].raw: is true, and SNS has no raw delivery by lambda`},

		{"delivery of a queue", topic + queue + sub + "delivery = { retries = 3 }", `subscriptions[0].delivery: is for http and https only`},
		{"retries", public + topic + hook + "delivery = { retries = 101 }", `subscriptions[0].delivery.retries: 101 must be at most 100`},
		{"min_delay", public + topic + hook + `delivery = { min_delay = "0s" }`, `subscriptions[0].delivery.min_delay: "0s" must be at least 1s`},
		{"parts of seconds", public + topic + hook + `delivery = { min_delay = "1500ms" }`, `min_delay: "1.5s" must be whole seconds`},
		{"min over max", public + topic + hook + `delivery = { min_delay = "30s" }`, `delivery.min_delay: "30s" must be at most max_delay, "20s"`},
		{"backoff", public + topic + hook + `delivery = { backoff = "random" }`, `delivery.backoff: "random" must be one of linear`},
		{"phases", public + topic + hook + `delivery = { no_delay_retries = 4 }`, `delivery.retries: 3 must be at least the retries of its phases, 4 in all`},
		{"over an hour", public + topic + hook + `delivery = { retries = 100, max_delay = "60s", min_delay = "60s" }`, `subscriptions[0].delivery: the total time of all retries must be less than or equal to 3600 seconds, not 6000`},
		{"content type", public + topic + hook + `delivery = { content_type = "image/png" }`, `delivery.content_type: "image/png" is none that SNS sends`},
		{"content type of raw", public + topic + hook + `delivery = { content_type = "text/csv" }`, `delivery.content_type: "text/csv" is for raw delivery only`},
		{"unknown in delivery", public + topic + hook + `delivery = { retrys = 3 }`, `delivery.retrys: is no setting: did you mean retries?`},

		{"signature version", topic + "signature_version = 3", `topics.t.signature_version: 3 must be at most 2`},
		{"signature of a fifo topic", topic + "fifo = true\nsignature_version = 2", `topics.t.signature_version: is for standard topics`},
		{"log role", topic + `delivery_log_role = "x"`, `topics.t.delivery_log_role: "x" is no role's ARN`},
		{"throughput of a standard topic", topic + `fifo_throughput = "group"`, `topics.t.fifo_throughput: needs fifo = true`},
		{"throughput", topic + "fifo = true\nfifo_throughput = \"all\"", `topics.t.fifo_throughput: "all" must be one of topic, group`},
		{"key of somebody else's topic", topic + "manage = false\nkms_key = \"k\"", `topics.t.kms_key: is its owner's to set`},
		{"two encryptions", queue + "kms_key = \"k\"\nsse = true", `queues.q.sse: is true beside kms_key`},
		{"sse is a word", queue + `sse = "yes"`, `queues.q.sse: must be true or false, not a string`},
		{"high throughput", queue + "high_throughput = true", `queues.q.high_throughput: needs fifo = true`},
		{"delay", queue + `delay = "16m"`, `queues.q.delay: "16m" must be at most 15m`},
		{"max_message_size", queue + `max_message_size = 100`, `queues.q.max_message_size: 100 must be at least 1024`},
		{"delay of somebody else's", queue + "manage = false\ndelay = \"1m\"", `queues.q.delay: is its owner's to set`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(t, tt.file)
			got := faults(t, err)
			if len(got) != 1 || !strings.Contains(got[0], tt.want) {
				t.Errorf("got %q\nwant one fault with %q", got, tt.want)
			}
		})
	}
}

func TestAllFaultsOfAnEndpointAreToldAtOnce(t *testing.T) {
	_, err := load(t, topic+strings.Replace(hook, "/hooks/audit", "/hooks//audit", 1)+"raw = true\ndelivery = { retries = -1, backoff = \"x\" }")
	var keys []string
	for _, line := range faults(t, err) {
		key, _, _ := strings.Cut(line, ": ")
		keys = append(keys, key)
	}
	want := []string{
		"ingress.public_url", "subscriptions[0].delivery.backoff", "subscriptions[0].delivery.retries",
		"subscriptions[0].endpoint", "subscriptions[0].raw",
	}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Error(diff)
	}
}

func TestEveryProtocolIsDeclaredAndItsDLQNamed(t *testing.T) {
	l := mustLoad(t, public+topic+queue+sub+hook+
		to("http", "http://Example.com/a/b?c=d")+
		to("lambda", function)+to("lambda", function+":live")+
		to("firehose", "arn:aws:firehose:us-east-1:123456789012:deliverystream/log.all", `role = "arn:aws:iam::123456789012:role/x"`, "raw = true")+
		to("email", "ops@example.com")+to("email-json", "ops@example.com")+to("sms", "+4930123456")+
		to("application", "arn:aws:sns:us-east-1:123456789012:endpoint/GCM/app/0f")+
		to("https", "https://example.com/"+strings.Repeat("long", 30)))
	var got []string
	for _, s := range l.Config.Subscriptions {
		got = append(got, s.Protocol+" "+s.DLQ.Name)
	}
	want := []string{
		"sqs t-q-delivery-dlq", "https t-hooks-audit-delivery-dlq", "http t-Example-com-a-b-delivery-dlq",
		"lambda t-audit-delivery-dlq", "lambda t-audit-live-delivery-dlq", "firehose t-log-all-delivery-dlq",
		"email t-email-af3c8254-delivery-dlq", "email-json t-email-json-af3c8254-delivery-dlq", "sms t-sms-a909469f-delivery-dlq",
		"application t-0f-delivery-dlq", "",
	}
	last := len(got) - 1
	if name := strings.TrimPrefix(got[last], "https "); len(name) != 80 || !strings.HasSuffix(name, "-delivery-dlq") {
		t.Errorf("a long name is %q", name)
	}
	got[last] = ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if url := l.Config.Ingress.URL("/hooks/audit"); url != "https://hooks.example.com/in/hooks/audit" {
		t.Errorf("URL %q", url)
	}
	if !l.Config.Subscriptions[1].Served() || l.Config.Subscriptions[2].Served() {
		t.Error("the path is served here, the URL is not")
	}
}

// A path has its slots once, whichever of its subscriptions names them.
func TestThePathsSlotsAreSharedAndShown(t *testing.T) {
	two := public + topic + "[topics.u]\n" + hook + strings.Replace(hook, `"t"`, `"u"`, 1)
	for _, tt := range []struct{ file, first, origin string }{
		{two + "slots = 3\n", "3", "default"},
		{strings.Replace(two, "audit\"\n", "audit\"\nslots = 4\n", 1), "4", ""},
		{two, "8", "default"},
	} {
		l := mustLoad(t, tt.file+to("email", "ops@example.com"))
		origin := tt.origin
		if origin == "" {
			origin = l.File
		}
		if got := shown(t, l, "subscriptions[0].slots"); got.Value != tt.first || got.Origin != origin {
			t.Errorf("shown as %+v, want %s from %s", got, tt.first, origin)
		}
		if got := shown(t, l, "subscriptions[1].slots").Value; got != tt.first {
			t.Errorf("the other subscription of the path has %s slots, want %s", got, tt.first)
		}
		if got := shown(t, l, "subscriptions[2].slots").Value; got != "" {
			t.Errorf("an address has %s slots", got)
		}
	}
}

func TestADeliveryPolicyIsSpelledAsSNSWantsIt(t *testing.T) {
	l := mustLoad(t, public+topic+hook+`delivery = { retries = 10, min_delay = "1s", max_delay = "60s", backoff = "exponential", no_delay_retries = 1, max_receives_per_second = 5, content_type = "application/json" }`)
	var got map[string]any
	if err := json.Unmarshal([]byte(l.Config.Subscriptions[0].Delivery.Policy()), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"healthyRetryPolicy": map[string]any{
			"numRetries": 10., "numNoDelayRetries": 1., "numMinDelayRetries": 0., "numMaxDelayRetries": 0.,
			"minDelayTarget": 1., "maxDelayTarget": 60., "backoffFunction": "exponential",
		},
		"throttlePolicy": map[string]any{"maxReceivesPerSecond": 5.},
		"requestPolicy":  map[string]any{"headerContentType": "application/json"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !slices.ContainsFunc(l.Warnings, func(f config.Fault) bool { return strings.Contains(f.String(), "waits at SNS") }) {
		t.Errorf("warnings %v", l.Warnings)
	}
	some := mustLoad(t, public+topic+hook+`delivery = { retries = 5 }`).Config.Subscriptions[0].Delivery
	if diff := cmp.Diff(config.Delivery{Retries: 5, MinDelay: 20 * time.Second, MaxDelay: 20 * time.Second, Backoff: "linear"}, *some); diff != "" {
		t.Errorf("what is left out is not as SNS has it: %s", diff)
	}
}

func TestWhatIsLeftOutOfAttributesIsLeftAlone(t *testing.T) {
	c := mustLoad(t, topic+queue+"sse = false\ndelay = \"0s\"\n[topics.f]\nfifo = true\n[topics.theirs]\nmanage = false\n[topics.one]\nsignature_version = 1").Config
	for name, want := range map[string]int{"t": 2, "f": 0, "theirs": 0, "one": 1} {
		if got := c.Topics[name].SignatureVersion; got != want {
			t.Errorf("signature version of %s is %d, want %d", name, got, want)
		}
	}
	q := c.Queues["q"]
	if q.SSE == nil || *q.SSE || q.Delay == nil || *q.Delay != 0 {
		t.Errorf("what is set to nothing is not set: %v, %v", q.SSE, q.Delay)
	}
	if q := mustLoad(t, queue).Config.Queues["q"]; q.SSE != nil || q.Delay != nil {
		t.Error("what is not said is set")
	}
}
