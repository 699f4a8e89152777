package receivers

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode"

	"github.com/cloudevents/sdk-go/v2/event"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	webhookPath   = "/webhook"
	collectorPath = "/events"
)

func (r *Receivers) webServer() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+webhookPath, r.unless(Webhook, r.webhook))
	mux.HandleFunc("POST "+collectorPath, r.unless(Analytics, r.collect))
	return &http.Server{Handler: mux, ReadTimeout: readTimeout, WriteTimeout: readTimeout, ErrorLog: quiet}
}

// unless serves a request whose body was read, if the receiver is not broken.
func (r *Receivers) unless(broken string, serve func(w http.ResponseWriter, q *http.Request, body []byte)) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		if r.Broken(broken) {
			http.Error(w, "broken by worker dev break", http.StatusServiceUnavailable)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, maxBody))
		if err != nil {
			http.Error(w, "the body is too large, or broke off", http.StatusRequestEntityTooLarge)
			return
		}
		serve(w, q, body)
	}
}

func (r *Receivers) webhook(w http.ResponseWriter, q *http.Request, body []byte) {
	if err := r.verify.Verify(body, q.Header); err != nil {
		http.Error(w, "the signature does not match", http.StatusUnauthorized)
		return
	}
	r.arrived(Arrival{
		Kind: KindWebhook, ID: q.Header.Get(webhooks.HeaderWebhookID), To: q.URL.Path, Summary: summary(body),
	})
	w.WriteHeader(http.StatusNoContent)
}

func (r *Receivers) collect(w http.ResponseWriter, q *http.Request, body []byte) {
	media, _, err := mime.ParseMediaType(q.Header.Get("Content-Type"))
	if err != nil {
		media = "no media type"
	}
	var events []event.Event
	switch media {
	case event.ApplicationCloudEventsBatchJSON:
		err = json.Unmarshal(body, &events)
	case event.ApplicationCloudEventsJSON:
		events = make([]event.Event, 1)
		err = json.Unmarshal(body, &events[0])
	default:
		http.Error(w, "must be "+event.ApplicationCloudEventsBatchJSON, http.StatusUnsupportedMediaType)
		return
	}
	for _, e := range events {
		if err == nil {
			err = e.Validate()
		}
	}
	if err != nil {
		http.Error(w, "not CloudEvents: "+err.Error(), http.StatusBadRequest)
		return
	}
	for _, e := range events {
		r.arrived(Arrival{
			Kind: KindEvent, ID: e.ID(), To: q.URL.Path, Summary: e.Type() + " from " + e.Source(),
		})
	}
	w.WriteHeader(http.StatusAccepted)
}

// summary is the kind of a message, when its body says it as the invitation's does.
func summary(body []byte) string {
	var says struct{ Event, Email string }
	if err := json.Unmarshal(body, &says); err != nil || says.Event == "" {
		return "a message"
	}
	if says.Email == "" {
		return says.Event
	}
	return says.Event + " " + says.Email
}

// short is a text for one line of a terminal: nothing that moves the cursor, and not too long.
func short(s string) string {
	const most = 80
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}
