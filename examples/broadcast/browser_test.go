package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// The page in a real browser: STATIONMASTER_BROWSER=chromium go test -run Browser ./examples/broadcast.
// STATIONMASTER_SCREENSHOT names a file to keep what it looks like.
func TestBrowser(t *testing.T) {
	binary := os.Getenv("STATIONMASTER_BROWSER")
	if binary == "" {
		t.Skip("STATIONMASTER_BROWSER names no browser")
	}
	m := miniredis.RunT(t)
	base := pod(t, m, "", "live")
	publish(t, m, "m-before")
	tab := browse(t, binary, base)
	tab.until(t, `document.body.innerText.includes("m-before")`)
	publish(t, m, "m-1")
	publish(t, m, "m-1")
	publish(t, m, "m-2")
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

// tab is a page, spoken to by the browser's own protocol.
type tab struct {
	c       *websocket.Conn
	session string
	last    int
}

func browse(t *testing.T, binary, url string) *tab {
	t.Helper()
	c := exec.CommandContext(
		t.Context(), binary, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
		"--window-size=900,600", "--user-data-dir="+filepath.Join(t.TempDir(), "profile"), "about:blank",
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
