package dlqreplay_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/queue"
)

var sent = time.Date(2026, 11, 25, 2, 11, 0, 123e6, time.UTC)

func letter(id, body string) (*dlqreplay.Letter, queue.Message) {
	m := queue.Message{Body: body, Attributes: map[string]queue.Attribute{"kind": {Type: "String", Text: "mail"}}}
	return &dlqreplay.Letter{
		MessageID: id, Kind: dlqreplay.Moved, Job: "email", Fingerprint: "a3f9c1", Receives: 3,
		Sent: sent, FirstReceived: sent.Add(time.Second), SourceARN: "arn:aws:sqs:us-east-1:000000000000:orders", Size: m.Size(),
	}, m
}

// write exports n letters to path, and returns them.
func write(t *testing.T, path string, n int) {
	t.Helper()
	ls, ms := letters(n)
	must(t, dlqreplay.WriteFile(t.Context(), path, header(), ls, messageOf(ls, ms), nil))
}

func letters(n int) (ls []*dlqreplay.Letter, ms []queue.Message) {
	for i := range n {
		l, m := letter(fmt.Sprint("m-", i), fmt.Sprintf(`{"n":%d}`, i))
		ls, ms = append(ls, l), append(ms, m)
	}
	return ls, ms
}

func messageOf(ls []*dlqreplay.Letter, ms []queue.Message) func(*dlqreplay.Letter) (queue.Message, error) {
	by := map[string]queue.Message{}
	for i, l := range ls {
		by[l.MessageID] = ms[i]
	}
	return func(l *dlqreplay.Letter) (queue.Message, error) { return by[l.MessageID], nil }
}

func TestAnExportIsLossless(t *testing.T) {
	for _, end := range []string{".jsonl", ".jsonl.zst"} {
		t.Run(end, func(t *testing.T) {
			dir, n := t.TempDir(), 0
			rapid.Check(t, func(rt *rapid.T) {
				n++
				path := filepath.Join(dir, fmt.Sprint(n, end))
				var ls []*dlqreplay.Letter
				var ms []queue.Message
				for i := range rapid.IntRange(0, 5).Draw(rt, "letters") {
					m := anyMessage(rt)
					ms = append(ms, m)
					ls = append(ls, &dlqreplay.Letter{
						MessageID: fmt.Sprint(i, anyText(rt, "id", 40)), Kind: dlqreplay.Foreign, Job: anyText(rt, "job", 9),
						Class: anyText(rt, "class", 9), Reason: anyText(rt, "reason", 9), Fingerprint: anyText(rt, "print", 9),
						Receives: rapid.Int().Draw(rt, "receives"), SourceARN: anyText(rt, "source", 9),
						Sent:          time.UnixMilli(rapid.Int64Range(0, 1<<41).Draw(rt, "sent")).UTC(),
						FirstReceived: time.UnixMilli(rapid.Int64Range(0, 1<<41).Draw(rt, "first")).UTC(),
						GroupID:       m.GroupID, Size: m.Size(),
					})
				}
				if err := dlqreplay.WriteFile(t.Context(), path, header(), ls, messageOf(ls, ms), nil); err != nil {
					rt.Fatal(err)
				}
				h, gotLetters, gotMessages, err := dlqreplay.ReadAll(path)
				if err != nil {
					rt.Fatal(err)
				}
				want := header()
				want.V = dlqreplay.HeaderVersion
				if diff := cmp.Diff(want, h); diff != "" {
					rt.Fatal(diff)
				}
				if diff := cmp.Diff(ls, gotLetters, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(dlqreplay.Letter{}, "Record")); diff != "" {
					rt.Fatal(diff)
				}
				if diff := cmp.Diff(ms, gotMessages, cmpopts.EquateEmpty()); diff != "" {
					rt.Fatal(diff)
				}
			})
		})
	}
}

func TestAnExportTakesTheLargestMessages(t *testing.T) {
	for name, body := range map[string]string{
		"text.jsonl":       strings.Repeat("ä", queue.MaxBytes/2),
		"control.jsonl":    strings.Repeat("\x01", queue.MaxBytes), // six times as long in JSON
		"binary.jsonl.zst": strings.Repeat("\xff", queue.MaxBytes),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			l, m := letter("m-0", body)
			ls, ms := []*dlqreplay.Letter{l}, []queue.Message{m}
			must(t, dlqreplay.WriteFile(t.Context(), path, header(), ls, messageOf(ls, ms), nil))
			_, _, got, err := dlqreplay.ReadAll(path)
			must(t, err)
			if len(got) != 1 || got[0].Body != body {
				t.Errorf("%d messages, or another body", len(got))
			}
		})
	}
}

func TestAnExportOverwritesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.jsonl")
	must(t, os.WriteFile(path, []byte("mine"), 0o600))
	ls, ms := letters(1)
	h := header()
	h.ReplayID = "r-1"
	_, err := dlqreplay.NewExporter(path, h)
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("NewExporter: %v, want fs.ErrExist", err)
	}
	if err := dlqreplay.WriteFile(t.Context(), path, h, ls, messageOf(ls, ms), nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("WriteFile: %v, want fs.ErrExist", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "mine" {
		t.Errorf("the file has %q (%v)", got, err)
	}

	// Nor a file that somebody made meanwhile.
	path = filepath.Join(t.TempDir(), "x.jsonl")
	e, err := dlqreplay.NewExporter(path, h)
	must(t, err)
	must(t, os.WriteFile(path, []byte("mine"), 0o600))
	if _, errs := e.Take(t.Context(), ls, ms); errs != nil {
		t.Fatal(errs)
	}
	if err := e.Close(); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), path+".part") {
		t.Errorf("Close: %v, want fs.ErrExist and where the export is", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "mine" {
		t.Errorf("the file has %q (%v)", got, err)
	}
}

func TestACutFileIsRefusedWithItsLine(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole.jsonl")
	write(t, whole, 3)
	text, err := os.ReadFile(whole)
	must(t, err)
	for n := range text {
		_, _, _, err := dlqreplay.ReadText(text[:n])
		line := strings.Count(string(text[:n]), "\n") + 1
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("line %d:", line)) {
			t.Fatalf("cut at byte %d: %v, want line %d", n, err, line)
		}
	}
}

func TestAChangedFileIsRefusedWithItsLine(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole.jsonl")
	write(t, whole, 3)
	text, err := os.ReadFile(whole)
	must(t, err)
	check := func(what, changed string, line int) {
		t.Helper()
		_, _, _, err := dlqreplay.ReadText([]byte(changed))
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("line %d:", line)) {
			t.Fatalf("%s: %v, want line %d", what, err, line)
		}
	}
	for n := range text {
		for _, bit := range []byte{1, 0x80} {
			changed := []byte(string(text))
			changed[n] ^= bit
			check(fmt.Sprint("bit of byte ", n), string(changed), strings.Count(string(text[:n]), "\n")+1)
		}
	}
	lines := strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")
	lines[4] += "\n"
	check("a line taken out", lines[0]+lines[1]+lines[3]+lines[4], 3)
	check("two lines exchanged", lines[0]+lines[2]+lines[1]+lines[3]+lines[4], 2)
	check("a line twice", lines[0]+lines[1]+lines[1]+lines[2]+lines[3]+lines[4], 3)
	check("no head", strings.Join(lines[1:], ""), 1)
	check("something added", string(text)+lines[1], 6)
	check("an empty line added", string(text)+"\n", 6)
	check("no export", `{"a":1}`+"\n", 1)
	check("nothing", "", 1)
}

func TestACutOrChangedCompressedFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole.jsonl.zst")
	write(t, whole, 3)
	text, err := os.ReadFile(whole)
	must(t, err)
	_, wantLetters, wantMessages, err := dlqreplay.ReadText(text)
	must(t, err)
	refused := func(what string, changed []byte) {
		t.Helper()
		_, ls, ms, err := dlqreplay.ReadText(changed)
		if err == nil {
			// zstd's header has bits that do not change what is compressed.
			if cmp.Equal(wantLetters, ls) && cmp.Equal(wantMessages, ms) {
				return
			}
		}
		if err == nil || !strings.Contains(err.Error(), "line ") {
			t.Fatalf("%s: %v, want an error with the line", what, err)
		}
	}
	for n := range text {
		refused(fmt.Sprint("cut at byte ", n), text[:n])
		for bit := range 8 {
			changed := []byte(string(text))
			changed[n] ^= 1 << bit
			refused(fmt.Sprint("bit ", bit, " of byte ", n), changed)
		}
	}
}
