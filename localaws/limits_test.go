package localaws_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stationmaster/worker/localaws"
)

// flood is a body without end that counts what is read of it.
type flood struct{ read int }

func (f *flood) Read(p []byte) (int, error) {
	f.read += len(p)
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestATooLargeBodyIsRefusedBeforeItIsRead(t *testing.T) {
	s := localaws.New(localaws.Options{})
	for _, tt := range []struct {
		name   string
		length int64
		most   int // bytes that may be read
	}{
		{"that says its length", 1 << 40, 0},
		{"that does not", -1, 34 << 20}, // the buffer doubles
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &flood{}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, root, f)
			r.ContentLength = tt.length
			r.Header.Set("X-Amz-Target", "AmazonSQS.SendMessage")
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20260131/us-east-1/sqs/aws4_request, SignedHeaders=host")
			status, kind, _ := roundTrip(t, s, r)
			if status != http.StatusRequestEntityTooLarge || kind != "com.amazonaws.sqs#RequestEntityTooLarge" {
				t.Errorf("%d %s", status, kind)
			}
			if f.read > tt.most {
				t.Errorf("read %d bytes, at most %d", f.read, tt.most)
			}
		})
	}
}

func TestABodyThatBreaksOffIsNoRequest(t *testing.T) {
	s := localaws.New(localaws.Options{})
	broken := errors.New("broken")
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, root, io.MultiReader(strings.NewReader("Action=List"), iotestErr{broken}))
	if _, err := s.Transport().RoundTrip(r); !errors.Is(err, broken) { //nolint:bodyclose // there is none
		t.Errorf("got %v", err)
	}
}

type iotestErr struct{ err error }

func (e iotestErr) Read([]byte) (int, error) { return 0, e.err }

func TestWhatARequestBuildsIsBounded(t *testing.T) {
	k := newQueryKit(localaws.New(localaws.Options{}))
	queue := k.create(t, "work")
	r := k.request(t, http.MethodPost, root, "Action=SendMessageBatch"+strings.Repeat("&a=", 10_000))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if a := k.do(t, r); a.status != http.StatusNotFound || a.element(t, "Code") != "MalformedQueryString" {
		t.Errorf("a form of 10,001 parameters: %d %s", a.status, a.text)
	}
	r = k.request(t, http.MethodPost, root, "Action=%zz")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if a := k.do(t, r); a.status != http.StatusNotFound || a.element(t, "Code") != "MalformedQueryString" {
		t.Errorf("no escape: %d %s", a.status, a.text)
	}
	r = k.request(t, http.MethodPost, root, "Action=SendMessage&MessageBody=%ff&QueueUrl="+queue)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if a := k.do(t, r); a.status != http.StatusNotFound || a.element(t, "Code") != "MalformedQueryString" {
		t.Errorf("no UTF-8: %d %s", a.status, a.text)
	}
	j := newSQSKit()
	if status, kind, _ := j.raw(t, "SendMessageBatch", `{"QueueUrl":"x","Entries":[{}`+strings.Repeat(",{}", 20_000)+`]}`); status != http.StatusBadRequest || kind != "com.amazon.coral.service#SerializationException" {
		t.Errorf("20,001 entries: %d %s", status, kind)
	}
	// What looks like values inside a text is none.
	body := strings.Repeat(`,[{\"`, 50_000)
	j.create(t, "work", nil)
	if status, kind, _ := j.raw(t, "SendMessage", `{"QueueUrl":"work","MessageBody":"`+body+`"}`); status != http.StatusOK {
		t.Errorf("a text full of commas: %d %s", status, kind)
	}
}
