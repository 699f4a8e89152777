package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/stationmaster/worker/jobs/broadcast"
	"github.com/stationmaster/worker/jobs/jobstest"
)

// pod serves a channel or a stream of a Redis, on loopback, until the test ends.
func pod(t *testing.T, addr, channel, stream string) (base string) {
	t.Helper()
	from := newSource(redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true}), channel, stream)
	s := &site{hub: newHub(), source: from}
	ctx, cancel := context.WithCancel(t.Context())
	web := httptest.NewUnstartedServer(s)
	web.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	web.Start()
	ended := make(chan struct{})
	go func() { defer close(ended); s.source.listen(ctx, s.hub.say, func(error) {}) }()
	t.Cleanup(func() { cancel(); <-ended; web.Close(); _ = from.client.Close() })
	return web.URL
}

func dial(t *testing.T, base, query, origin string) (*websocket.Conn, int) {
	t.Helper()
	header := http.Header{}
	if origin != "" {
		header.Set("Origin", origin)
	}
	c, answer, err := websocket.Dial(t.Context(), base+"/socket"+query, &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		if answer == nil {
			t.Fatal(err)
		}
		return nil, answer.StatusCode
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	return c, answer.StatusCode
}

// next waits for the next message of a page.
func next(t *testing.T, c *websocket.Conn) (id, at string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var e event
	if err := wsjson.Read(ctx, c, &e); err != nil {
		t.Fatal(err)
	}
	var m broadcast.Message
	if err := json.Unmarshal([]byte(e.Message), &m); err != nil {
		t.Fatal(err)
	}
	if string(m.Body) != `{"n":"<b>"}` {
		t.Errorf("body %s", m.Body)
	}
	return m.ID, e.At
}

// publish lets the job publish one message to the stream.
func publish(t *testing.T, addr, id string) {
	t.Helper()
	got := jobstest.Run(t, "broadcast", `{"n":"<b>"}`, jobstest.ID(id), jobstest.Settings(map[string]any{"addr": addr, "stream": "live"}))
	if got.Err != nil {
		t.Fatal(got.Err)
	}
}

func TestEveryPageOfEveryPodHearsAStream(t *testing.T) {
	m := miniredis.RunT(t)
	publish(t, m.Addr(), "m-0")
	var pages []*websocket.Conn
	for range 2 {
		base := pod(t, m.Addr(), "", "live")
		for range 2 {
			c, _ := dial(t, base, "", base)
			pages = append(pages, c)
			if id, _ := next(t, c); id != "m-0" { // what was there before
				t.Errorf("first %s", id)
			}
		}
	}
	for _, id := range []string{"m-1", "m-2"} {
		publish(t, m.Addr(), id)
	}
	for n, c := range pages {
		heard := map[string]bool{}
		for !heard["m-2"] { // what comes meanwhile may come twice
			id, _ := next(t, c)
			heard[id] = true
		}
		if !heard["m-1"] {
			t.Errorf("page %d heard %v", n, heard)
		}
	}
}

func TestAPageThatComesBackIsToldWhatItMissed(t *testing.T) {
	m := miniredis.RunT(t)
	base := pod(t, m.Addr(), "", "live")
	publish(t, m.Addr(), "m-1")
	first, _ := dial(t, base, "", base)
	_, at := next(t, first)
	if err := first.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
	publish(t, m.Addr(), "m-2")
	again, _ := dial(t, base, "?after="+at, base)
	if id, _ := next(t, again); id != "m-2" {
		t.Errorf("heard %s, want m-2", id)
	}
}

func TestAChannelIsHeardWhileAPageIsThere(t *testing.T) {
	m := miniredis.RunT(t)
	base := pod(t, m.Addr(), "live", "")
	c, _ := dial(t, base, "", base)
	// A channel keeps nothing: the message is repeated until the server has subscribed.
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				m.Publish("live", `{"id":"m-1","body":{"n":"<b>"}}`)
			}
		}
	}()
	defer close(stop)
	if id, at := next(t, c); id != "m-1" || at != "" {
		t.Errorf("heard %s at %q", id, at)
	}
}

func TestOnlyPagesOfThisHostGetIn(t *testing.T) {
	base := pod(t, miniredis.RunT(t).Addr(), "", "live")
	for origin, want := range map[string]int{
		base: 101, "": 101, "https://evil.example": 403, "http://127.0.0.1:1": 403, "null": 403,
	} {
		if _, code := dial(t, base, "", origin); code != want {
			t.Errorf("origin %q: %d, want %d", origin, code, want)
		}
	}
	if _, code := dial(t, base, "?after=x", base); code != http.StatusBadRequest {
		t.Errorf("a place that is none: %d", code)
	}
	s := &site{hub: newHub(), hosts: []string{"live.example.com"}}
	got := map[string]int{}
	for _, host := range []string{"127.0.0.1:8090", "localhost", "[::1]:8090", "live.example.com", "evil.example:8090", "10.0.0.1", ""} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		got[host] = w.Code
	}
	want := map[string]int{
		"127.0.0.1:8090": 200, "localhost": 200, "[::1]:8090": 200, "live.example.com": 200,
		"evil.example:8090": 421, "10.0.0.1": 421, "": 421,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestThePageRunsItsOwnScriptOnly(t *testing.T) {
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/", nil)
	(&site{}).ServeHTTP(w, r)
	policy := w.Header().Get("Content-Security-Policy")
	_, nonce, _ := strings.Cut(policy, "script-src 'nonce-")
	nonce, _, _ = strings.Cut(nonce, "'")
	if len(nonce) < 20 || !strings.Contains(w.Body.String(), `<script nonce="`+nonce+`">`) || !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("policy %s", policy)
	}
}

func TestAPageThatIsTooSlowHoldsUpNobody(t *testing.T) {
	h := newHub()
	slow, quick := h.join(), h.join()
	for n := range behind + 1 {
		h.say(event{At: fmt.Sprint(n)})
		if e := <-quick; e.At != fmt.Sprint(n) {
			t.Fatalf("quick heard %s, want %d", e.At, n)
		}
	}
	heard := 0
	for range slow { // ends, since it was closed
		heard++
	}
	if heard != behind {
		t.Errorf("slow heard %d, want %d and no more", heard, behind)
	}
	h.leave(slow) // once more does no harm
}

func TestRunServesAndEnds(t *testing.T) {
	m := miniredis.RunT(t)
	ctx, cancel := context.WithCancel(t.Context())
	said := make(line, 8)
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-addr", "127.0.0.1:0", "-redis", m.Addr(), "-stream", "live"}, "", said)
	}()
	base, _, _ := strings.Cut(<-said, " ")
	c, code := dial(t, base, "", base)
	cancel()
	if err := <-done; err != nil || code != http.StatusSwitchingProtocols {
		t.Errorf("%v, answer %d", err, code)
	}
	_, _, err := c.Read(t.Context())
	if websocket.CloseStatus(err) != websocket.StatusGoingAway && !errors.As(err, new(*net.OpError)) && err == nil {
		t.Errorf("the socket's end: %v", err)
	}
	if err := run(t.Context(), nil, "", said); err == nil || err.Error() != "give -channel or -stream" {
		t.Errorf("without either: %v", err)
	}
}

// line is a writer whose lines a test waits for.
type line chan string

func (l line) Write(p []byte) (int, error) {
	select {
	case l <- string(p):
	default: // nobody waits for so many
	}
	return len(p), nil
}
