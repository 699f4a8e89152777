package worker

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/stationmaster/worker/poller"
)

// maxPause is the longest pause that has an end: one that lasts longer was hardly meant to end by
// itself.
const maxPause = 7 * 24 * time.Hour

// Paused is what a queue does after it was paused or resumed.
type Paused struct {
	Queue string `json:"queue"`
	State string `json:"state"`
	// By is who lets it rest: operator, configuration, job or breaker; empty when nobody does.
	By string `json:"paused_by,omitempty"`
	// Until is when that ends; nil when only a resume ends it.
	Until *time.Time `json:"paused_until,omitempty"`
}

// rest is what an operator asked of a queue.
type rest struct {
	asked, resume bool
	until         time.Time // zero: until it is resumed
}

// tell passes it on, in the order in which it counts.
func (r rest) tell(p *poller.Poller) {
	switch {
	case !r.asked:
	case r.resume:
		p.Resume()
	default:
		p.Pause(r.until)
	}
}

// set lets the queue rest or go on, now or as soon as it has been opened.
func (s *station) set(r rest) Paused {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rest = r
	if s.poller == nil {
		return s.waiting(r)
	}
	r.tell(s.poller)
	state := s.poller.State()
	answer := Paused{Queue: s.queue.Name, State: state.State, By: state.PausedBy}
	if !state.PausedUntil.IsZero() {
		until := state.PausedUntil.UTC()
		answer.Until = &until
	}
	return answer
}

// waiting is the answer for a queue that has not been opened.
func (s *station) waiting(r rest) Paused {
	answer := Paused{Queue: s.queue.Name, State: "starting"}
	if !r.resume {
		answer.By = poller.ByOperator
		if !r.until.IsZero() {
			until := r.until.UTC()
			answer.Until = &until
		}
	}
	return answer
}

// routes are what the admin port answers: what reads, and what writes where it may.
func (w *Worker) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", w.watch.Handler())
	token := string(w.loaded.Config.Admin.Token)
	socket := strings.HasPrefix(w.loaded.Config.Admin.Addr, adminSocket)
	if token == "" && !socket {
		return mux // nobody could be told apart from anybody
	}
	guarded := func(do http.HandlerFunc) http.HandlerFunc { return do }
	if token != "" {
		guarded = bearer(token)
	}
	mux.HandleFunc("POST /queues/{queue}/pause", guarded(w.servePause))
	mux.HandleFunc("POST /queues/{queue}/resume", guarded(w.serveResume))
	return mux
}

// bearer lets through who has the token. It compares digests, in the same time whatever is wrong.
func bearer(token string) func(http.HandlerFunc) http.HandlerFunc {
	want := sha256.Sum256([]byte(token))
	return func(do http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			got := sha256.Sum256([]byte(given))
			if subtle.ConstantTimeCompare(got[:], want[:]) == 0 || !strings.EqualFold(scheme, "Bearer") {
				w.Header().Set("WWW-Authenticate", "Bearer")
				http.Error(w, "the admin token is missing or wrong", http.StatusUnauthorized)
				return
			}
			do(w, r)
		}
	}
}

func (w *Worker) servePause(out http.ResponseWriter, r *http.Request) {
	asked := rest{asked: true}
	if text := r.URL.Query().Get("for"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 || d > maxPause {
			http.Error(out, fmt.Sprintf(`for=%q: must be a duration such as "10m", at most %v; without it the pause lasts until resume`, text, maxPause), http.StatusBadRequest)
			return
		}
		asked.until = time.Now().Add(d)
	}
	w.serveRest(out, r, asked)
}

func (w *Worker) serveResume(out http.ResponseWriter, r *http.Request) {
	w.serveRest(out, r, rest{asked: true, resume: true})
}

func (w *Worker) serveRest(out http.ResponseWriter, r *http.Request, asked rest) {
	name := r.PathValue("queue")
	var names []string
	for _, s := range w.stations {
		if s.key != name && s.queue.Name != name {
			names = append(names, s.key)
			continue
		}
		answer := s.set(asked)
		s.log.LogAttrs(r.Context(), slog.LevelInfo, "told by an operator", slog.String("state", answer.State), slog.Bool("resume", asked.resume))
		out.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(out).Encode(answer) // the caller has gone
		return
	}
	http.Error(out, fmt.Sprintf("%q is no queue of this worker: it has %s", name, strings.Join(names, ", ")), http.StatusNotFound)
}
