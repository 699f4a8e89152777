package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// The page in a real browser, fed by the redis-server of this machine: make test-browser, which sets
// STATIONMASTER_BROWSER. STATIONMASTER_SCREENSHOT names a file to keep what it looks like.
func TestBrowser(t *testing.T) {
	binary := os.Getenv("STATIONMASTER_BROWSER")
	if binary == "" {
		t.Skip("STATIONMASTER_BROWSER names no browser")
	}
	server := redisServer(t)
	base := pod(t, server, "", "live")
	publish(t, server, "m-before")
	tab := browse(t, binary, base)
	tab.until(t, `document.body.innerText.includes("m-before")`)
	publish(t, server, "m-1")
	publish(t, server, "m-1")
	publish(t, server, "m-2")
	tab.until(t, `document.getElementById("state").className == "open" && document.body.innerText.includes("m-2")`)
	if got := tab.say(t, `document.querySelectorAll("li").length + " " + document.querySelectorAll("b").length`); got != "3 0" {
		t.Errorf("%s: want 3 arrivals, and no element made of a message", got)
	}
	if file := os.Getenv("STATIONMASTER_SCREENSHOT"); file != "" {
		if err := os.WriteFile(file, tab.picture(t), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// redisServer runs the redis-server of this machine until the test ends.
func redisServer(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed at once
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(addr, ":")
	c := exec.CommandContext(t.Context(), "redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", t.TempDir(), "--save", "", "--appendonly", "no")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ready, ended := make(chan bool, 1), make(chan struct{})
	go func() {
		defer close(ended)
		defer close(ready)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.Contains(lines.Text(), "Ready to accept connections") {
				ready <- true
			}
		}
	}()
	t.Cleanup(func() { _ = c.Process.Kill(); <-ended; _ = c.Wait() })
	if !<-ready {
		t.Fatal("redis-server ended")
	}
	return addr
}

// tab is a page, spoken to by the browser's own protocol.
type tab struct {
	c       *websocket.Conn
	session string
	last    int
}

func browse(t *testing.T, binary, url string) *tab {
	t.Helper()
	profile, err := os.MkdirTemp("", "profile") //nolint:usetesting // its processes may write there a while after it has gone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(profile) })
	c := exec.CommandContext(
		t.Context(), binary, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
		"--window-size=900,600", "--user-data-dir="+profile, "about:blank",
	)
	errs, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	found := make(chan string, 1)
	go func() {
		defer close(found)
		for lines := bufio.NewScanner(errs); lines.Scan(); {
			if _, at, ok := strings.Cut(lines.Text(), "DevTools listening on "); ok {
				found <- at
			}
		}
	}()
	at := <-found
	conn, _, err := websocket.Dial(t.Context(), at, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(16 << 20)
	b := &tab{c: conn}
	t.Cleanup(func() {
		_ = wsjson.Write(context.WithoutCancel(t.Context()), conn, map[string]any{"id": b.last + 1, "method": "Browser.close"})
		_ = c.Wait()
	})
	var opened struct{ TargetID, SessionID string }
	b.call(t, "Target.createTarget", map[string]any{"url": url}, &opened)
	b.call(t, "Target.attachToTarget", map[string]any{"targetId": opened.TargetID, "flatten": true}, &opened)
	b.session = opened.SessionID
	return b
}

func (b *tab) call(t *testing.T, method string, params map[string]any, into any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	b.last++
	ask := map[string]any{"id": b.last, "method": method, "params": params}
	if b.session != "" {
		ask["sessionId"] = b.session
	}
	if err := wsjson.Write(ctx, b.c, ask); err != nil {
		t.Fatal(err)
	}
	for {
		var answer struct {
			ID            int
			Result, Error json.RawMessage
		}
		if err := wsjson.Read(ctx, b.c, &answer); err != nil {
			t.Fatal(err)
		}
		if answer.ID != b.last {
			continue // an event
		}
		if answer.Error != nil {
			t.Fatalf("%s: %s", method, answer.Error)
		}
		if err := json.Unmarshal(answer.Result, into); err != nil {
			t.Fatal(err)
		}
		return
	}
}

// say evaluates an expression whose value is text.
func (b *tab) say(t *testing.T, expression string) string {
	t.Helper()
	var got struct{ Result struct{ Value string } }
	b.call(t, "Runtime.evaluate", map[string]any{"expression": "String(" + expression + ")"}, &got)
	return got.Result.Value
}

func (b *tab) until(t *testing.T, condition string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); b.say(t, condition) != "true"; {
		if time.Now().After(end) {
			t.Fatalf("not in 20s: %s; the page: %s", condition, b.say(t, "document.body && document.body.innerText"))
		}
		<-time.After(50 * time.Millisecond)
	}
}

func (b *tab) picture(t *testing.T) []byte {
	t.Helper()
	var got struct{ Data string }
	b.call(t, "Page.captureScreenshot", map[string]any{"format": "png"}, &got)
	image, err := base64.StdEncoding.DecodeString(got.Data)
	if err != nil {
		t.Fatal(err)
	}
	return image
}
