package telemetry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Handler answers the admin port: /livez, /readyz, /status and /metrics. None of them changes anything.
func (t *Telemetry) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", t.serveLive)
	mux.HandleFunc("GET /readyz", t.serveReady)
	mux.HandleFunc("GET /status", t.serveStatus)
	if t.metrics != nil {
		mux.Handle("GET /metrics", t.metrics)
	}
	return mux
}

func (t *Telemetry) serveLive(w http.ResponseWriter, _ *http.Request) {
	stuck := t.Live()
	plain(w, len(stuck) == 0)
	for _, s := range stuck {
		fmt.Fprintf(w, "queue %s: no poll completed for %v\n", s.Queue, s.Since.Round(time.Second))
	}
}

func (t *Telemetry) serveReady(w http.ResponseWriter, _ *http.Request) {
	unready := t.Ready()
	state, _ := t.state.Load().(string)
	ok := len(unready) == 0 && state == "running"
	plain(w, ok)
	if state != "running" {
		fmt.Fprintf(w, "worker: %s\n", state)
	}
	for _, u := range unready {
		fmt.Fprintf(w, "queue %s: %s\n", u.Queue, u.Why)
	}
}

// plain starts an answer in plain text: "ok", or 503 and what follows.
func plain(w http.ResponseWriter, ok bool) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if ok {
		fmt.Fprintln(w, "ok")
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
}

func (t *Telemetry) serveStatus(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	if err := out.Encode(t.Status(r.Context())); err != nil {
		return // the caller has gone
	}
}
