package queue_test

import (
	"errors"
	"testing"

	"github.com/stationmaster/worker/queue"
)

func TestSizeCountsWhatSQSCounts(t *testing.T) {
	m := queue.Message{
		Body:        "héllo",
		GroupID:     "not counted",
		TraceHeader: "not counted",
		Attributes: map[string]queue.Attribute{
			"kind": {Type: "String", Text: "mail"},
			"pic":  {Type: "Binary", Binary: []byte{1, 2, 3}},
		},
	}
	want := len("héllo") + len("kind"+"String"+"mail") + len("pic"+"Binary") + 3
	if got := m.Size(); got != want {
		t.Errorf("Size() = %d, want %d", got, want)
	}
}

func TestAtReadsAnIndexAlignedAnswer(t *testing.T) {
	boom := errors.New("boom")
	if err := queue.At(nil, 3); err != nil {
		t.Errorf("At(nil, 3) = %v, want nil: a nil answer means all accepted", err)
	}
	if err := queue.At([]error{nil, boom}, 1); !errors.Is(err, boom) {
		t.Errorf("At = %v, want %v", err, boom)
	}
	if got := queue.Each(boom, 2); len(got) != 2 || !errors.Is(got[1], boom) {
		t.Errorf("Each(boom, 2) = %v", got)
	}
	if got := queue.Each(nil, 2); got != nil {
		t.Errorf("Each(nil, 2) = %v, want nil", got)
	}
}
