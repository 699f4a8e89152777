package worker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/stationmaster/worker/doctor"
	"github.com/stationmaster/worker/ingress"
	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/internal/config"
	"github.com/stationmaster/worker/internal/snssign"
	"github.com/stationmaster/worker/internal/telemetry"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

// shutdownWait is how long the answers that are being written may take once nothing runs any more.
const shutdownWait = 2 * time.Second

// hooks is where SNS posts to this worker. Its methods take nil for a worker that serves no path.
type hooks struct {
	listener net.Listener
	server   *http.Server
	handler  *ingress.Handler
	log      *slog.Logger
	serving  sync.WaitGroup
}

// bindIngress listens where SNS's posts arrive, if a path of this worker is subscribed. It does so before
// anything is subscribed: what SNS posts at once waits for serve.
func (w *Worker) bindIngress(ctx context.Context) error {
	c := w.loaded.Config
	if !slices.ContainsFunc(c.Subscriptions, func(s config.Subscription) bool { return s.Served() }) {
		return nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", c.Ingress.Addr)
	if err != nil {
		return fmt.Errorf("listen for SNS on %s: %w", c.Ingress.Addr, portFix(err, "ingress.addr"))
	}
	w.hooks = &hooks{listener: ingress.Limit(l, ingress.DefaultConns), log: w.log}
	w.ends = append(w.ends, w.hooks.close)
	if w.o.reach != nil {
		w.o.reach(c.Ingress.PublicURL, l.Addr().String())
	}
	return nil
}

// openIngress makes what answers, once the jobs are there.
func (w *Worker) openIngress(context.Context) error {
	if w.hooks == nil {
		return nil
	}
	c := w.loaded.Config
	public, err := url.Parse(c.Ingress.PublicURL)
	if err != nil {
		return fmt.Errorf("ingress.public_url: %w", err)
	}
	o := ingress.Options{
		Paths: w.paths(), SNS: w.api, Endpoint: w.localEndpoint(), Certificates: w.o.certificates, Prefix: public.Path,
		MaxBody: int64(c.Ingress.MaxBody), MaxAge: c.Ingress.MaxAge, Timeout: c.Ingress.Timeout,
		Build: w.o.Version, Host: hostname(),
	}
	if w.hooks.handler, err = ingress.New(o); err != nil {
		return fmt.Errorf("ingress: %w", err)
	}
	for path, e := range w.endpoints {
		e.Attach(func() ingress.State { return w.hooks.handler.State(path) })
	}
	var certificates *tls.Config
	if !w.o.embedded { // in this process nobody listens in
		if certificates, err = serverTLS(c.Ingress, w.log); err != nil {
			return err
		}
	}
	w.hooks.server = ingress.NewServer(w.hooks.handler, certificates, w.log)
	if certificates != nil {
		w.hooks.listener = tls.NewListener(w.hooks.listener, certificates)
	}
	return nil
}

// paths are what is served: several topics may be subscribed to one path, which has one job.
func (w *Worker) paths() []ingress.Path {
	c := w.loaded.Config
	wanted := w.wanted.Served(w.account)
	var all []ingress.Path
	at := map[string]int{}
	w.endpoints = map[string]*telemetry.Endpoint{}
	for _, s := range c.Subscriptions {
		if !s.Served() {
			continue
		}
		want := wanted[0] // in the same order
		wanted = wanted[1:]
		n, known := at[s.Endpoint]
		if !known {
			n = len(all)
			at[s.Endpoint] = n
			e := w.watch.Endpoint(telemetry.QueueOptions{Name: s.Endpoint, Job: s.Job, Slots: *s.Slots})
			w.endpoints[s.Endpoint] = e
			all = append(all, ingress.Path{Path: s.Endpoint, Job: w.instances[s.Job], Slots: *s.Slots, Hooks: e.Hooks()})
		}
		all[n].Topics = append(all[n].Topics, ingress.Topic{
			ARN: want.TopicARN, Attributes: want.Attributes, Protocol: want.Protocol, Endpoint: want.Endpoint,
			Resubscribe: s.Resubscribe, DeadLetters: w.deliveryDLQ(want.DLQ),
		})
	}
	return all
}

// deliveryDLQ sends to the dead-letter queue of a subscription, which need not be there yet.
func (w *Worker) deliveryDLQ(name string) queue.Sender {
	if name == "" {
		return nil
	}
	return &deadLetters{look: func(ctx context.Context) (queue.Sender, error) {
		url, err := w.api.QueueURL(ctx, name, "")
		if err != nil {
			return nil, err
		}
		return w.api.Queue(url, awsapi.QueueOptions{}), nil
	}}
}

// localEndpoint is where a server that stands for AWS shows the certificate of its signatures; empty
// when AWS itself signs, also behind an endpoint of its own in a VPC.
func (w *Worker) localEndpoint() string {
	if isAWS(w.endpoint) {
		return ""
	}
	return w.endpoint
}

// serve answers from now on.
func (h *hooks) serve() {
	if h == nil {
		return
	}
	h.serving.Go(func() {
		if err := h.server.Serve(h.listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			h.log.Error("nothing more is taken from SNS", "err", err)
		}
	})
}

// run serves until the drain has ended.
func (h *hooks) run(receive, handle context.Context) Report {
	if h == nil {
		return Report{}
	}
	h.serve()
	r := h.handler.Run(receive, handle)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(receive), shutdownWait)
	defer cancel()
	if err := h.server.Shutdown(ctx); err != nil {
		_ = h.server.Close() // whoever is left does not read
	}
	h.serving.Wait()
	return Report{Finished: r.Finished, DeadLettered: r.DeadLettered, Abandoned: r.Abandoned}
}

// busy is how many messages are being handled.
func (h *hooks) busy(paths map[string]*telemetry.Endpoint) (n int) {
	if h == nil || h.handler == nil {
		return 0
	}
	for path := range paths {
		n += h.handler.State(path).Busy
	}
	return n
}

func (h *hooks) close() error {
	var err error
	if h.server != nil {
		err = h.server.Close()
	}
	if again := h.listener.Close(); again != nil && !errors.Is(again, net.ErrClosed) {
		err = errors.Join(err, again)
	}
	h.serving.Wait()
	return err
}

// IngressAddr is where the posts of SNS are taken; empty when no path is served.
func (w *Worker) IngressAddr() string {
	if w.hooks == nil {
		return ""
	}
	return w.hooks.listener.Addr().String()
}

// Hook describes one path that this worker serves, for people.
type Hook struct {
	Path string `json:"path"`
	// URL is how SNS reaches it.
	URL   string `json:"url"`
	Job   string `json:"job"`
	Slots int    `json:"slots"`
	// Topics are those that are subscribed to it, and DLQs the queues for what could not be delivered.
	Topics []string `json:"topics"`
	DLQs   []string `json:"dlqs"`
}

// Hooks describes the paths, in the order of the configuration.
func (w *Worker) Hooks() []Hook { return hooksOf(w.loaded.Config, w.wanted) }

func hooksOf(c config.Config, t topology.Topology) []Hook {
	all := []Hook{}
	at := map[string]int{}
	for i, s := range c.Subscriptions {
		if !s.Served() {
			continue
		}
		n, known := at[s.Endpoint]
		if !known {
			n = len(all)
			at[s.Endpoint] = n
			all = append(all, Hook{Path: s.Endpoint, URL: c.Ingress.URL(s.Endpoint), Job: s.Job, Slots: *s.Slots, Topics: []string{}, DLQs: []string{}})
		}
		all[n].Topics = append(all[n].Topics, t.Subscriptions[i].Topic)
		if dlq := t.Subscriptions[i].DLQ; dlq != "" {
			all[n].DLQs = append(all[n].DLQs, dlq)
		}
	}
	return all
}

// isAWS tells an endpoint of AWS (one in a VPC, for example), or none at all, from a server that stands
// for it.
func isAWS(endpoint string) bool {
	if endpoint == "" {
		return true
	}
	at, err := url.Parse(endpoint)
	return err == nil && snssign.IsAWS(at.Hostname())
}

// confirms tells a finding that is over as soon as this worker runs: on the embedded server, what it has
// just subscribed waits for it.
func (w *Worker) confirms(f *doctor.Finding) bool {
	return w.o.embedded && f.Code == "D-08" && slices.ContainsFunc(w.wanted.Served(w.account), func(s topology.ServedSubscription) bool { return "subscription "+s.Name == f.Subject })
}
