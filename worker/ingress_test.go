package worker_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
	"github.com/stationmaster/worker/topology"
	"github.com/stationmaster/worker/worker"
)

// audit is a job for what SNS posts: it fails for good for "never", and always for "again".
type audit struct {
	mu  sync.Mutex
	got []jobs.Info
}

func (a *audit) registry() *jobs.Registry {
	r := jobs.NewRegistry()
	jobs.AddTo(r, "audit", func(_ context.Context, m *jobs.Message[invited]) error {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.got = append(a.got, m.Info)
		switch m.Body.Email {
		case "never":
			return retry.Never(errors.New("closed"))
		case "again":
			return errors.New("not yet")
		}
		return nil
	})
	return r
}

func (a *audit) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.got)
}

const auditConfig = `
[admin]
addr = "127.0.0.1:0"
[ingress]
addr = "127.0.0.1:0"
public_url = "https://hooks.example.com/in"
%s
[topics.invitations]
[[subscriptions]]
topic = "invitations"
protocol = "https"
endpoint = "/hooks/audit"
job = "audit"
delivery = { retries = 2, min_delay = "1s", max_delay = "1s" }
`

const auditTopic = "arn:aws:sns:us-east-1:000000000000:invitations"

// running is a worker that runs, and how to ask about it.
type running struct {
	t     *testing.T
	w     *worker.Worker
	log   *lines
	stop  context.CancelFunc
	ended chan struct{}
}

// startDev starts the embedded SNS and SQS for a worker, until the end of the test.
func startDev(t *testing.T, o worker.Options, nasty bool) *worker.Dev {
	t.Helper()
	dev, err := worker.StartDev(t.Context(), o, worker.DevOptions{Addr: "127.0.0.1:0", Nasty: nasty})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	})
	return dev
}

func run(t *testing.T, w *worker.Worker, log *lines) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &running{t: t, w: w, log: log, stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		if _, err := w.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	return r
}

func (r *running) end() {
	r.t.Helper()
	r.stop()
	<-r.ended
	if err := r.w.Close(); err != nil {
		r.t.Error(err)
	}
}

// endpointStatus is what /status says of a path.
type endpointStatus struct {
	State         string
	Slots, Busy   int
	Received      int
	Done          int
	Retried       int
	DeadLettered  int `json:"dead_lettered"`
	Refused       map[string]int
	Subscriptions map[string]string
}

// endpoint reads it.
func (r *running) endpoint() (s endpointStatus) {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+r.w.AdminAddr()+"/status", http.NoBody)
	if err != nil {
		r.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	var all struct {
		Endpoints map[string]json.RawMessage
	}
	if err := json.NewDecoder(response.Body).Decode(&all); err != nil {
		r.t.Fatal(err)
	}
	if err := json.Unmarshal(all.Endpoints["/hooks/audit"], &s); err != nil {
		r.t.Fatalf("%v: %v", all, err)
	}
	return s
}

func auditFile(t *testing.T, ingress string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, fmt.Appendf(nil, auditConfig, ingress), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestADevWorkerServesItsPaths: a subscription by HTTPS is applied, confirmed, attached and proved by
// `worker dev` alone, whatever its public URL is; then deliveries succeed, fail for good, and fail until
// SNS gives up.
func TestADevWorkerServesItsPaths(t *testing.T) {
	job, log := &audit{}, &lines{}
	dev := startDev(t, worker.Options{ConfigFile: auditFile(t, ""), Jobs: job.registry(), LogTo: log, Version: "v1"}, false)
	w, err := dev.Worker(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, w, log)
	eventually(t, "the subscription", func() bool {
		return r.endpoint().Subscriptions[auditTopic] == "subscription attached"
	})
	if hooks := w.Hooks(); len(hooks) != 1 || hooks[0].URL != "https://hooks.example.com/in/hooks/audit" || hooks[0].Topics[0] != "invitations" || hooks[0].DLQs[0] != "invitations-hooks-audit-delivery-dlq" {
		t.Errorf("hooks %+v", hooks)
	}
	api := awsapi.New(aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(dev.Info().Endpoint), Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	}, awsapi.Options{})
	publish := func(email string) string {
		t.Helper()
		id, err := api.Publish(t.Context(), auditTopic, queue.Message{Body: `{"email":"` + email + `"}`})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	id := publish("ada")
	eventually(t, "the delivery", func() bool { return r.endpoint().Done == 1 })
	if got := job.got[0]; got.ID != id || got.Queue != "/hooks/audit" || got.Topic != "invitations" || got.Job != "audit" {
		t.Errorf("info %+v", got)
	}
	url, err := api.QueueURL(t.Context(), "invitations-hooks-audit-delivery-dlq", "")
	if err != nil {
		t.Fatal(err)
	}
	dlq := api.Queue(url, awsapi.QueueOptions{})
	receive := func(what string) (d queue.Delivery) {
		t.Helper()
		eventually(t, what, func() bool {
			got, err := dlq.Receive(t.Context(), 1, time.Second)
			if err != nil || len(got) == 0 {
				return false
			}
			d = got[0]
			return true
		})
		return d
	}
	never := publish("never")
	dead := receive("the dead letter of the worker")
	record, ok := deadletter.Read(&dead.Message)
	if !ok || record.ID != never || record.Job != "audit" || record.Origin != "/hooks/audit" || record.Build != "v1" {
		t.Errorf("record %+v", record)
	}
	again := publish("again")
	dead = receive("the dead letter of SNS")
	if n, ok := queue.ReadNotification(dead.Body); !ok || n.MessageID != again || len(dead.Attributes) != 0 {
		t.Errorf("dead letter %+v", dead.Message)
	}
	if s := r.endpoint(); s.State != "serving" || s.Received != 5 || s.Done != 1 || s.Retried != 3 || s.DeadLettered != 1 || len(s.Refused) != 0 {
		t.Errorf("status %+v", s)
	}
	r.end()
	tellsDeathsOnly(t, log)
}

// tellsDeathsOnly fails when a log has errors that are no dead letter, or a body.
func tellsDeathsOnly(t *testing.T, log *lines) {
	t.Helper()
	for line := range strings.SplitSeq(log.String(), "\n") {
		if strings.Contains(line, `"ERROR"`) && !strings.Contains(line, "job failed for good") {
			t.Errorf("it says: %s", line)
		}
	}
	if strings.Contains(log.String(), `"email"`) {
		t.Errorf("a body is in the log:\n%s", log)
	}
}

// pems are a certificate's two files, and who trusts it.
func pems(t *testing.T, dir, name string) (cert, key string, trust *x509.CertPool) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trust = x509.NewCertPool()
	if !trust.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) {
		t.Fatal("no certificate")
	}
	return cert, key, trust
}

// TestAWorkerConfirmsOverTLS: `worker run` with a certificate of its own, and `topology apply` beside it,
// which waits until the worker has confirmed.
func TestAWorkerConfirmsOverTLS(t *testing.T) {
	cert, key, trust := pems(t, t.TempDir(), "hooks.example.com")
	var addr string
	carrier := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: trust, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, addr)
		},
	}
	local := localaws.New(localaws.Options{Deliver: carrier})
	front := httptest.NewServer(local)
	defer func() {
		front.Close()
		if err := local.Close(); err != nil {
			t.Error(err)
		}
	}()
	cfg := &aws.Config{Region: "us-east-1", BaseEndpoint: &front.URL, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
	job, log := &audit{}, &lines{}
	file := auditFile(t, fmt.Sprintf("tls_cert = %q\ntls_key = %q", cert, key))
	w, err := worker.New(t.Context(), worker.Options{ConfigFile: file, Jobs: job.registry(), AWS: cfg, LogTo: log})
	if err != nil {
		t.Fatal(err)
	}
	addr = w.IngressAddr()
	r := run(t, w, log)
	api := awsapi.New(*cfg, awsapi.Options{})
	account := topology.Account{Partition: "aws", Region: "us-east-1", ID: "000000000000"}
	wanted := topology.Topology{
		Topics: []topology.Topic{{Name: "invitations"}},
		Subscriptions: []topology.Subscription{{
			Topic: "invitations", Protocol: "https", Endpoint: "https://hooks.example.com/in/hooks/audit", Served: true,
			Delivery: `{"healthyRetryPolicy":{"numRetries":2,"minDelayTarget":1,"maxDelayTarget":1,"numNoDelayRetries":0,"numMinDelayRetries":0,"numMaxDelayRetries":0,"backoffFunction":"linear"}}`,
			DLQ:      "invitations-hooks-audit-delivery-dlq",
		}},
		Confirm: 20 * time.Second,
	}
	if _, err := wanted.Apply(t.Context(), api, account, nil); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	eventually(t, "the proof", func() bool { return r.endpoint().Subscriptions[auditTopic] == "subscription attached" })
	if _, err := api.Publish(t.Context(), auditTopic, queue.Message{Body: `{"email":"ada"}`}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the delivery", func() bool { return job.count() == 1 })
	result, err := wanted.Apply(t.Context(), api, account, nil)
	if err != nil || len(result.Changed) != 0 {
		t.Errorf("applied again: %v, %v", result.Changed, err)
	}
	r.end()
}

// TestEndToEndByHTTP is the line of an HTTP subscription on whatever SNS and SQS it is given: apply,
// confirm, attach, deliver, fail, dead-letter.
func TestEndToEndByHTTP(t *testing.T) {
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cfg, name := theirs(t), fmt.Sprintf("http-%x", time.Now().UnixNano())
	topicARN := "arn:aws:sns:us-east-1:000000000000:" + name
	file := filepath.Join(t.TempDir(), "config.toml")
	text := strings.NewReplacer("https://hooks.example.com/in", "http://"+addr, `"https"`, `"http"`, "invitations", name, "%s", "").Replace(auditConfig)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	job, log := &audit{}, &lines{}
	defer func() {
		if t.Failed() {
			t.Log(text, log)
		}
	}()
	o := worker.Options{ConfigFile: file, Jobs: job.registry(), AWS: cfg, LogTo: log, Flags: map[string]any{"ingress.addr": addr}}
	w, err := worker.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, w, log)
	operator, err := worker.OpenOperator(t.Context(), o, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := operator.Apply(t.Context(), worker.ConfirmWithin, nil); err != nil && !errors.Is(err, topology.ErrPending) {
		t.Fatal(err)
	}
	eventually(t, "the proof", func() bool { return r.endpoint().Subscriptions[topicARN] == "subscription attached" })
	if result, err := operator.Apply(t.Context(), worker.ConfirmWithin, nil); err != nil || len(result.Changed) != 0 {
		t.Errorf("applied again: %v, %v", result.Changed, err)
	}
	api := awsapi.New(*cfg, awsapi.Options{})
	for _, email := range []string{"ada", "never", "again"} {
		if _, err := api.Publish(t.Context(), topicARN, queue.Message{Body: `{"email":"` + email + `"}`}); err != nil {
			t.Fatal(err)
		}
	}
	url, err := api.QueueURL(t.Context(), name+"-hooks-audit-delivery-dlq", "")
	if err != nil {
		t.Fatal(err)
	}
	dlq, recorded, bare := api.Queue(url, awsapi.QueueOptions{}), 0, 0
	eventually(t, "two dead letters", func() bool {
		got, err := dlq.Receive(t.Context(), 10, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range got {
			n, _ := queue.ReadNotification(d.Body)
			_, explained := deadletter.Read(&d.Message)
			switch {
			case explained && strings.Contains(n.Message, "never"):
				recorded++
			case !explained && strings.Contains(n.Message, "again"):
				bare++
			default:
				t.Errorf("dead letter %+v", d.Message)
			}
		}
		return recorded == 1 && bare == 1
	})
	r.end()
}

// TestAnIngressThatCannotStart says what to do.
func TestAnIngressThatCannotStart(t *testing.T) {
	var lc net.ListenConfig
	taken, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close() //nolint:errcheck // it only takes the port
	for flag, row := range map[string]struct{ value, want string }{
		"ingress.addr":     {taken.Addr().String(), "listen for SNS on " + taken.Addr().String()},
		"ingress.tls_cert": {"/nowhere.pem", "read ingress.tls_cert /nowhere.pem"},
	} {
		flags := map[string]any{flag: row.value}
		if flag == "ingress.tls_cert" {
			flags["ingress.tls_key"] = "/nowhere.key"
		}
		w, err := worker.New(t.Context(), worker.Options{
			ConfigFile: auditFile(t, ""), Jobs: (&audit{}).registry(), AWS: theirs(t), Flags: flags,
		})
		if err == nil {
			t.Errorf("%s: it starts", flag)
			_ = w.Close()
			continue
		}
		if !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", flag, err, row.want)
		}
	}
}
