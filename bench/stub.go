package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	// stubCommand is the argument that makes this program the stub.
	stubCommand = "stub"
	statsPath   = "/stats"
	target      = "X-Amz-Target"
	mostAtOnce  = 10
)

// body is what each message carries: an invitation, as small as real ones are.
const body = `{"event":"user_invited","email":"ada@example.com","invited_by":"grace@example.com"}`

// counts are what the stub was asked for.
type counts struct {
	Requests int64 `json:"requests"` // of any kind
	Receives int64 `json:"receives"`
	Deleted  int64 `json:"deleted"` // messages, not requests
}

func (c counts) less(before counts) counts {
	return counts{c.Requests - before.Requests, c.Receives - before.Receives, c.Deleted - before.Deleted}
}

// stub speaks as much of SQS's JSON protocol as one worker needs and does as little as it can: its
// work is taken from the same processors. Every message is a new one, or the worker would rightly
// take it for one that it has already handled.
type stub struct {
	next                        atomic.Int64
	requests, receives, deleted atomic.Int64
	before, between, after      []byte // of a message: id, receipt handle
}

func newStub() *stub {
	sum := md5.Sum([]byte(body))
	quoted, err := json.Marshal(body)
	if err != nil {
		panic(err) // a constant
	}
	now := strconv.FormatInt(time.Now().UnixMilli(), 10)
	return &stub{
		before:  []byte(`{"MessageId":"00000000-0000-4000-8000-0`),
		between: []byte(`","ReceiptHandle":"AQEB`),
		after: fmt.Appendf(nil, `","MD5OfBody":"%s","Body":%s,"Attributes":{"ApproximateReceiveCount":"1",`+
			`"SentTimestamp":"%s","ApproximateFirstReceiveTimestamp":"%s","SenderId":"AIDASTUB"}}`,
			hex.EncodeToString(sum[:]), quoted, now, now),
	}
}

// ServeHTTP answers one request.
func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == statsPath {
		w.Header().Set("Content-Type", "application/json")
		c := counts{s.requests.Load(), s.receives.Load(), s.deleted.Load()}
		if err := json.NewEncoder(w).Encode(c); err != nil {
			panic(http.ErrAbortHandler)
		}
		return
	}
	request, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	s.requests.Add(1)
	var answer []byte
	switch r.Header.Get(target) {
	case "AmazonSQS.ReceiveMessage":
		s.receives.Add(1)
		answer = s.messages(asked(request))
	case "AmazonSQS.DeleteMessageBatch":
		ids := entries(request)
		s.deleted.Add(int64(len(ids)))
		answer = accepted(ids, "")
	case "AmazonSQS.ChangeMessageVisibilityBatch":
		answer = accepted(entries(request), "")
	case "AmazonSQS.SendMessageBatch":
		answer = accepted(entries(request), `,"MessageId":"00000000-0000-4000-8000-000000000000"`)
	default:
		http.Error(w, `{"__type":"com.amazonaws.sqs#UnsupportedOperation"}`, http.StatusBadRequest)
		return
	}
	h := w.Header()
	h["Content-Type"] = []string{"application/x-amz-json-1.0"}
	h["Content-Length"] = []string{strconv.Itoa(len(answer))}
	if _, err := w.Write(answer); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// messages is the answer to a receive of n.
func (s *stub) messages(n int) []byte {
	first := s.next.Add(int64(n)) - int64(n)
	b := make([]byte, 0, 32+n*(len(s.before)+len(s.between)+len(s.after)+32))
	b = append(b, `{"Messages":[`...)
	for i := range int64(n) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, s.before...)
		b = serial(b, first+i)
		b = append(b, s.between...)
		b = serial(b, first+i)
		b = append(b, s.after...)
	}
	return append(b, "]}"...)
}

// serial appends n in eleven digits: with the one before it, the last group of a UUID.
func serial(b []byte, n int64) []byte {
	const digits = 11
	start := len(b)
	b = append(b, "00000000000"...)
	for i := start + digits - 1; n > 0 && i >= start; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}

// asked reads MaxNumberOfMessages without decoding the rest.
func asked(request []byte) int {
	_, rest, ok := bytes.Cut(request, []byte(`"MaxNumberOfMessages":`))
	n := 0
	for i := 0; ok && i < len(rest) && rest[i] >= '0' && rest[i] <= '9'; i++ {
		n = n*10 + int(rest[i]-'0')
	}
	return min(max(n, 1), mostAtOnce)
}

// entries reads the ids of a batch. Neither side of the benchmark escapes anything in them.
func entries(request []byte) [][]byte {
	ids := make([][]byte, 0, mostAtOnce)
	for {
		_, rest, ok := bytes.Cut(request, []byte(`"Id":"`))
		if !ok {
			return ids
		}
		id, rest, ok := bytes.Cut(rest, []byte(`"`))
		if !ok {
			return ids
		}
		ids, request = append(ids, id), rest
	}
}

// accepted is the answer to a batch: every entry, and what else each one says.
func accepted(ids [][]byte, more string) []byte {
	b := make([]byte, 0, 64+len(ids)*(16+len(more)))
	b = append(b, `{"Failed":[],"Successful":[`...)
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"Id":"`...)
		b = append(b, id...)
		b = append(b, '"')
		b = append(b, more...)
		b = append(b, '}')
	}
	return append(b, "]}"...)
}

// serveStub is the stub's process: it says where it listens and serves until its standard input, a
// pipe that its parent holds, is closed.
func serveStub(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("stub: %w", err)
	}
	server := &http.Server{Handler: newStub(), ReadHeaderTimeout: time.Minute}
	go func() {
		_, _ = io.Copy(io.Discard, in) // however it ends, the parent is gone
		cancel()
	}()
	context.AfterFunc(ctx, func() { _ = server.Close() })
	fmt.Fprintf(out, "http://%s\n", l.Addr())
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("stub: %w", err)
	}
	return nil
}
