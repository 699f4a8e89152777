// Command broadcast is a pod of an application whose pages hear of messages at once: the job
// "broadcast" publishes them to Redis, this server subscribes there, and pushes to browsers by
// WebSocket. Run as many as you like: each hears everything.
//
// With a stream, a page that opens is shown what was published last, and one that was away what it
// has missed; with a channel, only what comes while it is there. Here is all of it on one machine:
//
//	redis-server --port 6379
//	go run ./cmd/worker dev --config examples/broadcast/config.toml
//	go run ./examples/broadcast -stream invitations      # http://127.0.0.1:8090
//	go run ./cmd/worker publish invitations '{"event":"user_invited","email":"ada@example.com"}'
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv("REDIS_PASSWORD"), os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "broadcast:", err)
		os.Exit(1)
	}
}

// run serves until the context ends. The password comes by the environment, where no other user of
// the machine sees it.
func run(ctx context.Context, arguments []string, password string, out io.Writer) error {
	flags := flag.NewFlagSet("broadcast", flag.ContinueOnError)
	flags.SetOutput(out)
	addr := flags.String("addr", "127.0.0.1:8090", "where to serve")
	server := flags.String("redis", "127.0.0.1:6379", "host:port of Redis")
	channel := flags.String("channel", "", "the channel that [jobs.broadcast] names")
	stream := flags.String("stream", "", "or its stream")
	hosts := flags.String("hosts", "", "names, with commas, by which browsers may call this server, besides loopback's")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if (*channel == "") == (*stream == "") {
		return errors.New("give -channel or -stream")
	}
	client := redis.NewClient(&redis.Options{Addr: *server, Password: password, ContextTimeoutEnabled: true})
	defer func() { _ = client.Close() }()
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", *addr)
	if err != nil {
		return err
	}
	s := &site{hub: newHub(), hosts: strings.Split(*hosts, ","), source: newSource(client, *channel, *stream)}
	web := &http.Server{
		Handler: s, ReadHeaderTimeout: 5 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx }, // sockets end with it
	}
	served := make(chan error, 1)
	go func() { served <- web.Serve(l) }()
	fmt.Fprintf(out, "http://%s hears %s%s of %s\n", l.Addr(), *channel, *stream, *server)
	s.source.listen(ctx, s.hub.say, func(err error) { fmt.Fprintln(out, "redis:", err) })
	err = web.Close()
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	s.sockets.Wait()
	return err
}
