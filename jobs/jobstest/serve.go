package jobstest

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// Serve starts an HTTP server on loopback for a job to talk to, and returns its URL. It answers the requests
// in turn, each by one of the answers, and all that follow by the last one. It keeps no connection open, so
// that the clock of Live moves between tries, and is closed at the end of the test.
//
//	url := jobstest.Serve(t, jobstest.Answer(503), jobstest.Answer(429, "Retry-After", "60"), jobstest.Answer(200))
func Serve(t testing.TB, answers ...http.HandlerFunc) (url string) {
	t.Helper()
	if len(answers) == 0 {
		t.Fatalf("jobstest: Serve is given no answer: give it one at least")
	}
	var turn atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answers[min(int(turn.Add(1)), len(answers))-1](w, r)
	}))
	s.Config.SetKeepAlivesEnabled(false)
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

// Answer answers a request with a status and, by turns, names and values of headers.
func Answer(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for n := 0; n+1 < len(header); n += 2 {
			w.Header().Set(header[n], header[n+1])
		}
		w.WriteHeader(code)
	}
}
