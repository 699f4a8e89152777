package ingress_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/ingress"
	"github.com/stationmaster/worker/internal/snssign"
)

// certificateURL is AWS's place for the topic.
const certificateURL = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"

var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// authority is all of the internet that a handler may ask: it notes what is fetched.
type authority struct {
	mu      sync.Mutex
	fetched []string
	answer  func(r *http.Request) (*http.Response, error)
}

func (a *authority) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	a.fetched = append(a.fetched, r.URL.String())
	a.mu.Unlock()
	return a.answer(r)
}

func (a *authority) asked() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string{}, a.fetched...)
}

func reply(status int, body string, header ...string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

func certificatePEM(t testing.TB, from, to time.Time) string {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &testKey().PublicKey, testKey())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// letter is a message as it will be signed and posted.
type letter map[string]string

func newLetter(id string) letter {
	return letter{
		"Type": "Notification", "MessageId": id, "TopicArn": topicARN, "Message": `{"a":1}`,
		"Timestamp":        time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
		"SignatureVersion": "2", "SigningCertURL": certificateURL,
	}
}

func (l letter) with(pairs ...string) letter {
	for i := 0; i < len(pairs); i += 2 {
		l[pairs[i]] = pairs[i+1]
	}
	return l
}

// sign signs it as SNS would.
func (l letter) sign(t testing.TB, k *rsa.PrivateKey) letter {
	t.Helper()
	l["Signature"] = ""
	m, err := snssign.Parse(l.body(t))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(m.Text()))
	signature, err := rsa.SignPKCS1v15(nil, k, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	l["Signature"] = base64.StdEncoding.EncodeToString(signature)
	return l
}

func (l letter) body(t testing.TB) []byte {
	t.Helper()
	data, err := json.Marshal(map[string]string(l))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// post posts a body to the path.
func post(t testing.TB, h http.Handler, body []byte, adjust ...func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/hooks/audit", bytes.NewReader(body))
	r.Header.Set("X-Amz-Sns-Message-Type", "Notification")
	for _, a := range adjust {
		a(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// guard is a handler at AWS's place, with an authority of its own.
type guard struct {
	*ingress.Handler
	job       *audit
	authority *authority
	seen      recorder
}

func newGuard(t testing.TB, adjust ...func(*ingress.Options)) *guard {
	t.Helper()
	g := &guard{job: &audit{}, authority: &authority{answer: reply(200, certificatePEM(t, time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)))}}
	o := ingress.Options{
		Certificates: g.authority, SNS: nobody{},
		Paths: []ingress.Path{{Path: "/hooks/audit", Job: g.job.instance(t), Hooks: g.seen.hooks(), Topics: []ingress.Topic{{ARN: topicARN}}}},
	}
	for _, a := range adjust {
		a(&o)
	}
	var err error
	if g.Handler, err = ingress.New(o); err != nil {
		t.Fatal(err)
	}
	return g
}

// nobody must not be asked.
type nobody struct{ ingress.Subscriptions }

func (nobody) ConfirmSubscription(context.Context, string, string) (string, error) {
	panic("asked to confirm what SNS did not write")
}

func TestWhatIsRefused(t *testing.T) {
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	at := func(url string) func(testing.TB) []byte {
		return func(t testing.TB) []byte {
			return newLetter("m").with("SigningCertURL", url).sign(t, testKey()).body(t)
		}
	}
	good := func(t testing.TB) []byte { return newLetter("m").sign(t, testKey()).body(t) }
	name := certificateURL[strings.LastIndexByte(certificateURL, '/'):]
	changed := func(pairs ...string) func(testing.TB) []byte {
		return func(t testing.TB) []byte { return newLetter("m").sign(t, testKey()).with(pairs...).body(t) }
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	sentAt := func(d time.Duration) func(testing.TB) []byte {
		return func(t testing.TB) []byte {
			return newLetter("m").with("Timestamp", time.Now().Add(d).UTC().Format(time.RFC3339)).sign(t, testKey()).body(t)
		}
	}
	for label, row := range map[string]struct {
		body   func(testing.TB) []byte
		adjust func(*http.Request)
		answer func(*http.Request) (*http.Response, error)
		status int
		asks   bool // for the certificate
		closes bool // the connection, though it may be tried again
	}{
		"GET":                   {body: good, adjust: func(r *http.Request) { r.Method = http.MethodGet }, status: 405},
		"PUT":                   {body: good, adjust: func(r *http.Request) { r.Method = http.MethodPut }, status: 405},
		"another path":          {body: good, adjust: func(r *http.Request) { r.URL.Path, r.Header = "/hooks/audit/", nil }, status: 404},
		"no header of SNS":      {body: good, adjust: func(r *http.Request) { r.Header.Del("X-Amz-Sns-Message-Type") }, status: 400},
		"another type":          {body: good, adjust: header("X-Amz-Sns-Message-Type", "SubscriptionConfirmation"), status: 400},
		"another id":            {body: good, adjust: header("X-Amz-Sns-Message-Id", "n"), status: 400},
		"an encoded body":       {body: good, adjust: header("Content-Encoding", "gzip"), status: 400},
		"raw delivery":          {body: good, adjust: header("X-Amz-Sns-Rawdelivery", "true"), status: 503},
		"nothing":               {body: func(testing.TB) []byte { return nil }, status: 400},
		"no JSON":               {body: func(testing.TB) []byte { return []byte("hello") }, status: 400},
		"a large body":          {body: func(testing.TB) []byte { return make([]byte, ingress.DefaultMaxBody+1) }, status: 413},
		"one of unknown length": {body: func(testing.TB) []byte { return make([]byte, ingress.DefaultMaxBody+1) }, adjust: func(r *http.Request) { r.ContentLength = -1 }, status: 413},
		"another topic of ours": {body: func(t testing.TB) []byte {
			return newLetter("m").with("TopicArn", topicARN+"2").sign(t, testKey()).body(t)
		}, status: 503},
		"a foreign account": {body: func(t testing.TB) []byte {
			return newLetter("m").with("TopicArn", strings.Replace(topicARN, account, "666666666666", 1)).sign(t, testKey()).body(t)
		}, status: 403},
		"a token of one": {body: func(t testing.TB) []byte {
			return newLetter("m").with("Type", "SubscriptionConfirmation", "Token", "00", "SubscribeURL", "https://evil.example/", "TopicArn", strings.Replace(topicARN, account, "666666666666", 1)).sign(t, testKey()).body(t)
		}, adjust: header("X-Amz-Sns-Message-Type", "SubscriptionConfirmation"), status: 403},
		"a token that is forged": {body: func(t testing.TB) []byte {
			return newLetter("m").with("Type", "SubscriptionConfirmation", "Token", "00", "SubscribeURL", "https://evil.example/").sign(t, other).body(t)
		}, adjust: header("X-Amz-Sns-Message-Type", "SubscriptionConfirmation"), status: 403, asks: true},
		"a foreign host":         {body: at("https://evil.example" + name), status: 403},
		"a bucket called sns":    {body: at("https://sns.s3-us-west-2.amazonaws.com" + name), status: 503, closes: true},
		"another bucket":         {body: at("https://sns.s3.us-east-1.amazonaws.com" + name), status: 503, closes: true},
		"another region":         {body: at("https://sns.eu-west-1.amazonaws.com" + name), status: 503, closes: true},
		"a port":                 {body: at("https://sns.us-east-1.amazonaws.com:443" + name), status: 403},
		"a user":                 {body: at("https://sns@evil.example" + name), status: 403},
		"plain HTTP":             {body: at("http" + strings.TrimPrefix(certificateURL, "https")), status: 403},
		"another name":           {body: at("https://sns.us-east-1.amazonaws.com/evil.pem"), status: 503, closes: true},
		"a query":                {body: at(certificateURL + "?x"), status: 503, closes: true},
		"no certificate's place": {body: at(""), status: 403},
		"a user at the place":    {body: at("https://sns@sns.us-east-1.amazonaws.com" + name), status: 403},
		"a suffix in a name":     {body: at("https://sns.us-east-1.amazonaws.com.evil.example" + name), status: 403},
		"a version to come":      {body: changed("SignatureVersion", "3"), status: 503, closes: true},
		"no version":             {body: changed("SignatureVersion", ""), status: 503, closes: true},
		"a version to come, signed elsewhere": {body: func(t testing.TB) []byte {
			return newLetter("m").with("SignatureVersion", "3", "SigningCertURL", "").sign(t, testKey()).body(t)
		}, status: 503},
		"another key":       {body: func(t testing.TB) []byte { return newLetter("m").sign(t, other).body(t) }, status: 403, asks: true},
		"a changed message": {body: changed("Message", "{}"), status: 403, asks: true},
		"a changed id":      {body: changed("MessageId", "n"), status: 403, asks: true},
		"a changed time":    {body: changed("Timestamp", "2026-01-01T00:00:00Z"), status: 403, asks: true},
		"an added subject":  {body: changed("Subject", "x"), status: 403, asks: true},
		"another version":   {body: changed("SignatureVersion", "1"), status: 403, asks: true},
		"no signature":      {body: changed("Signature", ""), status: 403, asks: true},
		"attributes that are none": {body: func(t testing.TB) []byte {
			return bytes.Replace(good(t), []byte("{"), []byte(`{"MessageAttributes":1,`), 1)
		}, status: 503, asks: true},
		"one that is old":        {body: sentAt(-time.Hour - time.Minute), status: 503, asks: true},
		"one of the future":      {body: sentAt(10 * time.Minute), status: 503, asks: true},
		"a redirect":             {body: good, answer: reply(302, "", "Location", "https://evil.example/"), status: 503, asks: true},
		"no certificate there":   {body: good, answer: reply(404, ""), status: 503, asks: true},
		"no PEM":                 {body: good, answer: reply(200, "<html>"), status: 503, asks: true},
		"an endless certificate": {body: good, answer: reply(200, strings.Repeat("x", 1<<20)), status: 503, asks: true},
		"no network":             {body: good, answer: func(*http.Request) (*http.Response, error) { return nil, errors.New("no network") }, status: 503, asks: true},
		"a certificate expired":  {body: good, answer: reply(200, certificatePEM(t, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour))), status: 503, asks: true},
		"a certificate to come":  {body: good, answer: reply(200, certificatePEM(t, time.Now().Add(time.Hour), time.Now().Add(2*time.Hour))), status: 503, asks: true},
	} {
		t.Run(label, func(t *testing.T) {
			g := newGuard(t)
			if row.answer != nil {
				g.authority.answer = row.answer
			}
			adjust := func(*http.Request) {}
			if row.adjust != nil {
				adjust = row.adjust
			}
			w := post(t, g, row.body(t), adjust)
			if w.Code != row.status || g.job.runs() != 0 {
				t.Errorf("status %d, want %d; %d runs", w.Code, row.status, g.job.runs())
			}
			if row.closes && w.Header().Get("Connection") != "close" {
				t.Error("the connection is kept for a stranger")
			}
			if w.Code != 404 && len(g.seen.refusals) != 1 {
				t.Errorf("told %v", g.seen.refusals)
			}
			var want []string
			if row.asks {
				want = []string{certificateURL} // and nothing else, wherever it may point
			}
			if diff := cmp.Diff(want, g.authority.asked(), cmpEmpty); diff != "" {
				t.Errorf("fetched: %s", diff)
			}
		})
	}
}

// cmpEmpty takes no list and an empty one for the same.
var cmpEmpty = cmp.Transformer("list", func(s []string) string { return strings.Join(s, "\n") })

func TestWhatIsTaken(t *testing.T) {
	g := newGuard(t)
	for n, l := range []letter{newLetter("m0"), newLetter("m1").with("Subject", "x"), newLetter("m2").with("Timestamp", time.Now().Add(-59*time.Minute).UTC().Format(time.RFC3339))} {
		if w := post(t, g, l.sign(t, testKey()).body(t)); w.Code != 200 {
			t.Errorf("%d: status %d", n, w.Code)
		}
	}
	if g.job.runs() != 3 || len(g.authority.asked()) != 1 {
		t.Errorf("%d runs, fetched %v: the certificate is kept", g.job.runs(), g.authority.asked())
	}
}

// TestCertificatesAreFetchedOnceAndFew: whoever invents names must not make this process ask for them
// all, nor keep it from what it knows.
func TestCertificatesAreFetchedOnceAndFew(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newGuard(t)
		right, wrong := g.authority.answer, reply(404, "")
		g.authority.answer = func(r *http.Request) (*http.Response, error) {
			if r.URL.String() == certificateURL {
				<-time.After(time.Second)
				return right(r)
			}
			return wrong(r)
		}
		var all sync.WaitGroup
		for n := range 20 {
			all.Go(func() {
				if w := post(t, g, newLetter("m"+string(rune('a'+n))).sign(t, testKey()).body(t)); w.Code != 200 {
					t.Errorf("status %d", w.Code)
				}
			})
		}
		all.Wait()
		if got := g.authority.asked(); len(got) != 1 {
			t.Errorf("fetched %d times", len(got))
		}
		for range 100 {
			invented := strings.Replace(certificateURL, "0123456789abcdef0123456789abcdef", strings.ToLower(hexOf(t)), 1)
			if w := post(t, g, newLetter("x").with("SigningCertURL", invented).sign(t, testKey()).body(t)); w.Code != 503 {
				t.Errorf("status %d", w.Code)
			}
		}
		if got := len(g.authority.asked()); got > 1+8 {
			t.Errorf("fetched %d times", got)
		}
		if w := post(t, g, newLetter("after").sign(t, testKey()).body(t)); w.Code != 200 {
			t.Errorf("afterwards: status %d", w.Code)
		}
	})
}

func hexOf(t testing.TB) string {
	t.Helper()
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, c := range b {
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}

func TestOptionsAreCheckedAtOnce(t *testing.T) {
	_, err := ingress.New(ingress.Options{
		MaxBody: 2 << 20, MaxAge: 48 * time.Hour, Timeout: 15 * time.Second,
		Paths: []ingress.Path{{Path: "x", Slots: -1}, {Path: "/y", Topics: []ingress.Topic{{ARN: topicARN + ".fifo"}}}},
	})
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range []string{"max body 2097152", "max age 48h", "timeout 15s", `path "x"`, "path x: has no job", "slots -1", "has no topic", "a FIFO topic"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing of: %v", want, err)
		}
	}
	a := audit{}
	if _, err := ingress.New(ingress.Options{Paths: []ingress.Path{{Path: "/x", Job: a.instance(t), Topics: []ingress.Topic{{ARN: "invitations"}}}}}); err == nil {
		t.Error("a topic that is no ARN")
	}
}

// FuzzServe posts anything: nothing of it runs the job, and nothing but the certificate is fetched.
func FuzzServe(f *testing.F) {
	f.Add(newLetter("m").with("Signature", "AAAA").body(f))
	f.Add([]byte(`{"Type":"SubscriptionConfirmation","SubscribeURL":"https://evil.example/"}`))
	g := newGuard(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		w := post(t, g, body, func(r *http.Request) { r.Header.Set("X-Amz-Sns-Message-Type", "Notification") })
		if w.Code < 400 || g.job.runs() != 0 {
			t.Errorf("%q: status %d", body, w.Code)
		}
		for _, url := range g.authority.asked() {
			if !strings.HasPrefix(url, "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-") {
				t.Errorf("%q: fetched %s", body, url)
			}
		}
	})
}
