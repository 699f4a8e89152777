package dlqreplay_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/queue"
)

// anyText draws text of any bytes, valid UTF-8 or not.
func anyText(t *rapid.T, label string, most int) string {
	if rapid.Bool().Draw(t, label+" is bytes") {
		return string(rapid.SliceOfN(rapid.Byte(), 0, most).Draw(t, label))
	}
	return rapid.StringN(0, most, -1).Draw(t, label)
}

// anyMessage draws a message with every type of attribute.
func anyMessage(t *rapid.T) queue.Message {
	m := queue.Message{
		Body: anyText(t, "body", 300), GroupID: anyText(t, "group", 10),
		DeduplicationID: anyText(t, "dedup", 10), TraceHeader: anyText(t, "trace", 10),
	}
	for range rapid.IntRange(0, queue.MaxAttributes).Draw(t, "attributes") {
		if m.Attributes == nil {
			m.Attributes = map[string]queue.Attribute{}
		}
		a := queue.Attribute{Type: rapid.SampledFrom([]string{"String", "String.custom", "Number", "Number.int", "Binary", "Binary.png", "Odd"}).Draw(t, "type")}
		if strings.HasPrefix(a.Type, "Binary") {
			a.Binary = rapid.SliceOf(rapid.Byte()).Draw(t, "binary")
		} else {
			a.Text = anyText(t, "text", 20)
		}
		m.Attributes[anyText(t, "name", 20)] = a
	}
	return m
}

func TestASpoolGivesBackWhatItWasGiven(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		s := dlqreplay.NewSpool(dir, rapid.IntRange(0, 1000).Draw(t, "memory"))
		defer s.Close() //nolint:errcheck // what is checked is what it gave back
		all := rapid.SliceOfN(rapid.Custom(anyMessage), 1, 8).Draw(t, "messages")
		refs := make([]dlqreplay.Ref, len(all))
		for i, m := range all {
			r, err := s.Put(m)
			if err != nil {
				t.Fatal(err)
			}
			refs[i] = r
		}
		for i, r := range refs {
			got, err := s.Get(r)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(all[i], got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatal(diff)
			}
		}
	})
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("the folder holds %v (%v), want nothing: the file has no name", left, err)
	}
}

func TestASpoolTakesMessagesFromMany(t *testing.T) {
	s := dlqreplay.NewSpool(t.TempDir(), 1000)
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			for k := range 20 {
				body := strings.Repeat(fmt.Sprint(i, ".", k, " "), 20)
				r, err := s.Put(queue.Message{Body: body})
				if err != nil {
					t.Error(err)
					return
				}
				if m, err := s.Get(r); err != nil || m.Body != body {
					t.Errorf("got %.20q (%v), want %.20q", m.Body, err, body)
				}
			}
		})
	}
	all.Wait()
	must(t, s.Close(), s.Close())
	if _, err := s.Put(queue.Message{Body: "late"}); err == nil {
		t.Error("a closed spool took a message")
	}
}

func TestASpoolSaysWhereThereIsNoRoom(t *testing.T) {
	s := dlqreplay.NewSpool(t.TempDir()+"/gone", 0)
	_, err := s.Put(queue.Message{Body: "x"})
	if err == nil || !strings.Contains(err.Error(), "spool dead letters to a temporary file") {
		t.Errorf("error %v, want one that says what it was for", err)
	}
}
