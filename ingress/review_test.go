package ingress_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/ingress"
)

// TestAKnownCertificateOutlivesInventedOnes: who invents names uses up what may be fetched. A certificate
// that is due to be looked at again must not be forgotten because of that, nor because of the network;
// only AWS itself withdraws it.
func TestAKnownCertificateOutlivesInventedOnes(t *testing.T) {
	for label, row := range map[string]struct {
		flood  bool
		answer func(*http.Request) (*http.Response, error)
		status int
	}{
		"a flood of names":  {flood: true, status: 200},
		"no network":        {answer: func(*http.Request) (*http.Response, error) { return nil, http.ErrServerClosed }, status: 200},
		"a server's fault":  {answer: reply(503, ""), status: 200},
		"it was taken away": {answer: reply(404, ""), status: 503},
	} {
		inBubble(t, func(t *testing.T) {
			g := newGuard(t)
			g.authority.answer = reply(200, certificatePEM(t, time.Now().Add(-time.Hour), time.Now().Add(365*24*time.Hour)))
			if w := post(t, g, newLetter("before").sign(t, testKey()).body(t)); w.Code != 200 {
				t.Fatalf("%s: status %d", label, w.Code)
			}
			pass(25 * time.Hour)
			if row.answer != nil {
				g.authority.answer = row.answer
			}
			for range 20 {
				if row.flood {
					invented := strings.Replace(certificateURL, "0123456789abcdef0123456789abcdef", hexOf(t), 1)
					post(t, g, newLetter("x").with("SigningCertURL", invented).sign(t, testKey()).body(t))
				}
			}
			if w := post(t, g, newLetter("after").sign(t, testKey()).body(t)); w.Code != row.status {
				t.Errorf("%s: status %d, want %d", label, w.Code, row.status)
			}
		})
	}
}

// TestAPathThatIsNotServedLosesNothing: while versions of a worker run side by side, SNS reaches one that
// does not know the path yet. A 404 would be the end of the message.
func TestAPathThatIsNotServedLosesNothing(t *testing.T) {
	g := newGuard(t)
	body := newLetter("m").sign(t, testKey()).body(t)
	at := func(path string) func(*http.Request) { return func(r *http.Request) { r.URL.Path = path } }
	for _, path := range []string{"/hooks/new", "/hooks/audit/", "/Hooks/Audit"} {
		if w := post(t, g, body, at(path)); w.Code != 503 {
			t.Errorf("%s: status %d, want 503", path, w.Code)
		}
		if w := post(t, g, body, at(path), func(r *http.Request) { r.Header.Del("X-Amz-Sns-Message-Type") }); w.Code != 404 {
			t.Errorf("%s by a stranger: status %d, want 404", path, w.Code)
		}
	}
	if len(g.authority.asked()) != 0 {
		t.Errorf("fetched %v", g.authority.asked())
	}
}

// TestAPathBelowThePrefixIsNoOthers: /x is also served as PREFIX/x, which another path must not be.
func TestAPathBelowThePrefixIsNoOthers(t *testing.T) {
	a := audit{}
	path := func(p string) ingress.Path {
		return ingress.Path{Path: p, Job: a.instance(t), Topics: []ingress.Topic{{ARN: topicARN}}}
	}
	_, err := ingress.New(ingress.Options{Prefix: "/in", Paths: []ingress.Path{path("/x"), path("/in/x")}})
	if err == nil || !strings.Contains(err.Error(), "/in/x") {
		t.Errorf("error %v: /in/x is two paths", err)
	}
	if _, err := ingress.New(ingress.Options{Prefix: "/in/", Paths: []ingress.Path{path("/x"), path("/in")}}); err != nil {
		t.Error(err)
	}
}

// TestWhoIsRefusedIsSentAway: a connection that has shown nothing of SNS must not be held open.
func TestWhoIsRefusedIsSentAway(t *testing.T) {
	g := newGuard(t)
	good := newLetter("m").sign(t, testKey()).body(t)
	for label, row := range map[string]struct {
		body   []byte
		adjust func(*http.Request)
		closes bool
	}{
		"GET":          {good, func(r *http.Request) { r.Method = http.MethodGet }, true},
		"no path":      {good, func(r *http.Request) { r.URL.Path = "/"; r.Header.Del("X-Amz-Sns-Message-Type") }, true},
		"no message":   {[]byte("{}"), func(*http.Request) {}, true},
		"a forged one": {newLetter("n").with("Signature", "AAAA").body(t), func(*http.Request) {}, true},
		"a good one":   {good, func(*http.Request) {}, false},
	} {
		if w := post(t, g, row.body, row.adjust); (w.Header().Get("Connection") == "close") != row.closes {
			t.Errorf("%s: status %d, Connection %q", label, w.Code, w.Header().Get("Connection"))
		}
	}
}

// TestAFilterThatNobodyDeclaredIsTakenAway: what it drops is lost in silence.
func TestAFilterThatNobodyDeclaredIsTakenAway(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		k := newKit(t)
		k.mu.Lock()
		k.hold = true
		k.mu.Unlock()
		arn := k.subscribe()
		if err := k.api.SetSubscriptionAttribute(t.Context(), arn, "FilterPolicy", `{"event":["nothing"]}`); err != nil {
			t.Fatal(err)
		}
		k.mu.Lock()
		k.hold = false
		k.mu.Unlock()
		k.subscribe() // a new token
		if diff := cmp.Diff([]string{"subscription confirmed", "subscription attached: RedrivePolicy,DeliveryPolicy,FilterPolicy"}, k.seen.told()); diff != "" {
			t.Error(diff)
		}
		k.publish(`{}`)
		pass(time.Minute)
		if k.job.runs() != 1 {
			t.Errorf("%d runs", k.job.runs())
		}
	})
}

// TestAnEnvelopeThatCannotBeReadIsNotThrownAway: SNS has signed it, so that somebody wants it.
func TestAnEnvelopeThatCannotBeReadIsNotThrownAway(t *testing.T) {
	g := newGuard(t)
	body := bytes.Replace(newLetter("m").sign(t, testKey()).body(t), []byte("{"), []byte(`{"MessageAttributes":{"a":{"Type":"Number","Value":1}},`), 1)
	if w := post(t, g, body); w.Code != 503 || g.job.runs() != 0 {
		t.Errorf("status %d, %d runs", w.Code, g.job.runs())
	}
}

// TestAJobIsNotBegunWhenItsTimeIsOver: SNS has been answered by then, and a job whose context has ended does
// half of what it should.
func TestAJobIsNotBegunWhenItsTimeIsOver(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newGuard(t, func(o *ingress.Options) { o.Timeout = time.Second })
		right := g.authority.answer
		g.authority.answer = func(r *http.Request) (*http.Response, error) {
			<-time.After(2 * time.Second)
			return right(r)
		}
		body := newLetter("m").sign(t, testKey()).body(t)
		if w := post(t, g, body); w.Code != 503 || g.job.runs() != 0 {
			t.Errorf("status %d, %d runs", w.Code, g.job.runs())
		}
		if w := post(t, g, body); w.Code != 200 || g.job.runs() != 1 {
			t.Errorf("its next try: status %d, %d runs", w.Code, g.job.runs())
		}
	})
}

// TestATopicOfThisAccountIsLeftToAnotherVersion: a worker of the configuration before does not expect the
// topic yet, and its 403 would be the end of the message. A topic of somebody else's account is refused.
func TestATopicOfThisAccountIsLeftToAnotherVersion(t *testing.T) {
	g := newGuard(t)
	for topic, status := range map[string]int{
		"arn:aws:sns:us-east-1:" + account + ":new":       503,
		"arn:aws:sns:us-east-1:111111111111:invitations":  403,
		"arn:aws:sns:eu-west-1:" + account + ":new":       403,
		"arn:aws-cn:sns:us-east-1:" + account + ":new":    403,
		"arn:aws:sns:us-east-1:" + account:                403,
		"arn:aws:sns:us-east-1:" + account + ":":          403,
		"arn:aws:sns:us-east-1:" + account + ":new:extra": 403,
	} {
		l := newLetter("m").with("TopicArn", topic, "Signature", "AAAA")
		if w := post(t, g, l.body(t)); w.Code != status {
			t.Errorf("%s: status %d, want %d", topic, w.Code, status)
		}
	}
	if len(g.authority.asked()) != 0 || g.job.runs() != 0 {
		t.Errorf("fetched %v, %d runs", g.authority.asked(), g.job.runs())
	}
}

// TestAConfirmationThatIsPostedAgainAsksNobody: whoever has seen one could have SNS asked as often as he likes.
func TestAConfirmationThatIsPostedAgainAsksNobody(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		k := newKit(t)
		k.subscribe()
		k.mu.Lock()
		again := k.posts[0]
		k.mu.Unlock()
		body, err := io.ReadAll(again.Body)
		if err != nil {
			t.Fatal(err)
		}
		told, asked := len(k.seen.told()), 0
		k.api.confirm = func(string, string) (string, error) { asked++; return "", nil }
		for range 10 {
			if status := k.serve(again, string(body)); status != 200 {
				t.Errorf("status %d", status)
			}
		}
		if asked != 0 || len(k.seen.told()) != told {
			t.Errorf("asked %d times, told %v", asked, k.seen.told()[told:])
		}
	})
}
