// Command api is an application's API and its worker: POST /invitations publishes a message and answers
// 202; the job "email" mails it. What runs where is said by flags and by AWS's own variables:
//
//	go run ./examples/api -dev                       # all in one process, with an SNS and SQS of its own
//	AWS_PROFILE=… go run ./examples/api              # API and worker in one process, on AWS
//	AWS_PROFILE=… go run ./examples/api -only api    # the API alone; elsewhere -only worker, or: worker run
//
//	curl -i 127.0.0.1:8090/invitations --json '{"email":"ada@example.com","invited_by":"Grace"}'
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/mail"
	"os"
	"os/signal"
	"syscall"
	"time"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"golang.org/x/sync/errgroup"

	_ "github.com/stationmaster/worker/jobs/email"
	"github.com/stationmaster/worker/publish"
	"github.com/stationmaster/worker/worker"
)

const (
	maxBody     = 4 << 10
	publishFor  = 5 * time.Second // within it a lost request is repeated
	shutdownFor = 10 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal ends the process
	if err := run(ctx, os.Args[1:], os.Environ(), os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
}

// run runs what the flags ask for until the context ends.
func run(ctx context.Context, arguments, environ []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("api", flag.ContinueOnError)
	flags.SetOutput(out)
	addr := flags.String("addr", "127.0.0.1:8090", "where to serve")
	file := flags.String("config", "examples/api/config.toml", "the worker's configuration")
	only := flags.String("only", "", "api or worker: leave the other to another process")
	embedded := flags.Bool("dev", false, "bring an SNS and SQS, as worker dev does")
	awsAddr := flags.String("aws-addr", worker.DefaultDevAddr, "where those of -dev listen")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if *only != "" && *only != "api" && *only != "worker" {
		return fmt.Errorf("-only %s: must be api or worker", *only)
	}

	log := slog.New(slog.NewTextHandler(out, nil))
	o := worker.Options{ConfigFile: *file, Environ: environ, Log: log}
	work := func(ctx context.Context) (*worker.Worker, error) { return worker.New(ctx, o) }
	var aws []func(*awsconfig.LoadOptions) error
	if *embedded {
		dev, err := worker.StartDev(ctx, o, worker.DevOptions{Addr: *awsAddr, Arrived: func(a worker.Arrival) {
			log.Info("arrived", "kind", a.Kind, "to", a.To, "summary", a.Summary)
		}})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, dev.Close()) }()
		if err := dev.Apply(ctx); err != nil {
			return err
		}
		work = dev.Worker
		aws = append(aws, awsconfig.WithBaseEndpoint(dev.Info().Endpoint), awsconfig.WithRegion(dev.Info().Region),
			awsconfig.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("local", "local", "")))
	}

	var parts []func(context.Context) error
	if *only != "worker" {
		cfg, err := awsconfig.LoadDefaultConfig(ctx, aws...)
		if err != nil {
			return err
		}
		client, err := publish.Open(ctx, cfg)
		if err != nil {
			return err
		}
		parts = append(parts, func(ctx context.Context) error { return serve(ctx, *addr, newAPI(client, log), log) })
	}
	if *only != "api" {
		w, err := work(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, w.Close()) }()
		parts = append(parts, func(ctx context.Context) error { _, err := w.Run(ctx); return err })
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, part := range parts {
		group.Go(func() error { return part(ctx) })
	}
	return group.Wait()
}

// serve serves until the context ends, and then what has been asked before.
func serve(ctx context.Context, addr string, handler http.Handler, log *slog.Logger) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	web := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 20 * time.Second}
	served := make(chan error, 1)
	go func() { served <- web.Serve(l) }()
	log.Info("serving", "addr", l.Addr().String())
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownFor)
	defer cancel()
	return web.Shutdown(last)
}

// invited is the message, as the jobs behind the topic read it.
type invited struct {
	Event     string `json:"event"`
	Email     string `json:"email"`
	InvitedBy string `json:"invited_by,omitempty"`
}

type api struct {
	invitations publish.Topic[invited]
	log         *slog.Logger
}

func newAPI(client publish.Publisher, log *slog.Logger) http.Handler {
	a := &api{publish.Topic[invited]{Client: client, Name: "invitations"}, log}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /invitations", a.invite)
	return mux
}

func (a *api) invite(w http.ResponseWriter, r *http.Request) {
	// A page of somebody else cannot send this type without asking first.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		answer(w, http.StatusUnsupportedMediaType, "error", "Content-Type must be application/json")
		return
	}
	var asked struct {
		Email     string `json:"email"`
		InvitedBy string `json:"invited_by"`
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		answer(w, http.StatusRequestEntityTooLarge, "error", fmt.Sprintf("the body must have at most %d bytes", maxBody))
		return
	}
	if err != nil {
		answer(w, http.StatusBadRequest, "error", "the body did not arrive whole")
		return
	}
	if err := json.Unmarshal(body, &asked); err != nil {
		answer(w, http.StatusBadRequest, "error", `the body must be JSON like {"email":"ada@example.com","invited_by":"Grace"}`)
		return
	}
	if to, err := mail.ParseAddress(asked.Email); err != nil || to.Address != asked.Email {
		answer(w, http.StatusUnprocessableEntity, "error", "email must be an address like ada@example.com")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), publishFor)
	defer cancel()
	id, err := a.invitations.Publish(ctx, invited{Event: "user_invited", Email: asked.Email, InvitedBy: asked.InvitedBy})
	if err != nil {
		a.log.ErrorContext(ctx, "invite", "err", err)
		w.Header().Set("Retry-After", "5")
		answer(w, http.StatusServiceUnavailable, "error", "the invitation was not accepted; try again")
		return
	}
	answer(w, http.StatusAccepted, "id", id)
}

func answer(w http.ResponseWriter, status int, key, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{key: text}) // a caller that has gone does not mind
}
