package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/internal/config"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/publish"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

// Operator does what the commands do from outside a running worker: publish, send, apply.
type Operator struct {
	// Where says which AWS it speaks to, for people: "account 123456789012 in eu-west-1", or the
	// dev worker's endpoint.
	Where string
	// Dev: it is the SNS and SQS of a dev worker.
	Dev bool

	loaded  *config.Loaded
	jobs    *jobs.Registry
	cfg     aws.Config
	api     *awsapi.Client
	account topology.Account
	client  *publish.Client
	settle  time.Duration
}

// OpenOperator finds AWS as a worker does. When nothing in the environment or the configuration says
// which AWS is meant and a dev worker runs on devAddr, that one is taken, and Where says so.
func OpenOperator(ctx context.Context, o Options, devAddr string) (*Operator, error) {
	o.fill()
	loaded, err := load(&o)
	if err != nil {
		return nil, err
	}
	return openOperator(ctx, &o, loaded, devAddr)
}

func openOperator(ctx context.Context, o *Options, loaded *config.Loaded, devAddr string) (*Operator, error) {
	p := &Operator{loaded: loaded, jobs: o.Jobs}
	cfg, err := p.config(ctx, o, devAddr)
	if err != nil {
		return nil, err
	}
	p.cfg, p.api, p.settle = cfg, awsapi.New(cfg, awsapi.Options{}), settleFor(cfg)
	if p.account, err = identify(ctx, p.api, cfg); err != nil {
		return nil, err
	}
	if p.Where == "" {
		p.Where = "account " + p.account.ID + " in " + p.account.Region
		if cfg.BaseEndpoint != nil {
			p.Where = *cfg.BaseEndpoint
		}
	}
	p.client = publish.New(publish.Options{
		Topics: p.api, Names: topicNames(loaded.Config), Queues: p.sender,
		Partition: p.account.Partition, Region: p.account.Region, Account: p.account.ID,
	})
	return p, nil
}

// meant are the variables by which somebody says which AWS is meant.
var meant = []string{
	"AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_WEB_IDENTITY_TOKEN_FILE",
	"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
	"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SNS", "AWS_ENDPOINT_URL_SQS",
}

func (p *Operator) config(ctx context.Context, o *Options, devAddr string) (cfg aws.Config, err error) {
	explicit := o.AWS != nil || p.loaded.Config.Worker.Region != "" || p.loaded.Config.Worker.Endpoint != ""
	for _, name := range meant {
		value, _ := o.lookup(name)
		explicit = explicit || value != "" // AWS's SDKs take an empty variable for none
	}
	if !explicit {
		dev, err := findDev(ctx, devAddr)
		if err == nil {
			p.Where, p.Dev = dev.Endpoint+" (worker dev)", true
			// A job that runs here must reach what it reaches there, and nothing of the world outside.
			o.layers = append(o.layers, config.Layer{Origin: "dev", Values: dev.Settings})
			if p.loaded, err = load(o); err != nil {
				return cfg, err
			}
			return *localConfig(http.DefaultTransport, dev.Endpoint, dev.Region), nil
		}
		if !errors.Is(err, ErrNoDev) {
			return cfg, err
		}
	}
	return awsConfig(ctx, o, p.loaded)
}

// Publish publishes to a topic, given by its key in the configuration, its name or its ARN.
func (p *Operator) Publish(ctx context.Context, topic string, m queue.Message) (id string, err error) {
	id, err = p.client.Publish(ctx, topic, m)
	if errors.Is(err, queue.ErrNotFound) {
		return "", fmt.Errorf("%w; %s", err, p.known("topics", slices.Sorted(maps.Keys(p.loaded.Config.Topics))))
	}
	return id, err
}

// Send sends to a queue, given by its key in the configuration or its name.
func (p *Operator) Send(ctx context.Context, name string, m queue.Message) (id string, err error) {
	if q, ok := p.loaded.Config.Queues[name]; ok && m.Delay > 0 && q.FIFO {
		return "", fmt.Errorf("send to %s: delay %v: %w: FIFO has no delay for one message, which would hold up its group; use a standard queue",
			name, m.Delay, queue.ErrRejected)
	}
	id, err = p.client.Send(ctx, name, m)
	if errors.Is(err, queue.ErrNotFound) {
		return "", fmt.Errorf("%w; %s", err, p.known("queues", slices.Sorted(maps.Keys(p.loaded.Config.Queues))))
	}
	return id, err
}

func (p *Operator) known(what string, names []string) string {
	if len(names) == 0 {
		return "the configuration has no " + what
	}
	return "the " + what + " of the configuration are " + strings.Join(names, ", ")
}

func (p *Operator) sender(ctx context.Context, name string) (queue.Sender, error) {
	wanted := topology.Queue{Name: name}
	if q, ok := p.loaded.Config.Queues[name]; ok {
		wanted = queueOf(name, q)
	}
	url, err := addressOf(ctx, p.api, wanted)
	if err != nil {
		return nil, err
	}
	return p.api.Queue(url, awsapi.QueueOptions{}), nil
}
