package localaws

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
)

// Transport carries requests to the server without a socket, in the caller's own goroutine. Give
// it to an http.Client of the SDK; any host will do.
func (s *Server) Transport() http.RoundTripper { return transport{s} }

type transport struct{ s *Server }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	if r.Body != nil {
		defer r.Body.Close()
	} else {
		r = r.Clone(ctx)
		r.Body = http.NoBody
	}
	a, err := t.s.answer(r)
	if err == nil {
		// A client that has gone away while its request was performed never sees the answer.
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("localaws: %w", err)
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)), StatusCode: a.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body)), ContentLength: int64(len(a.body)),
		Request: r,
	}, nil
}

// answer is a complete response.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a *answer) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	w.Write(a.body) //nolint:errcheck // a client that has gone away needs no answer
}
