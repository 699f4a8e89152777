package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/internal/config"
	"github.com/stationmaster/worker/internal/receivers"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/topology"
)

// DefaultDevAddr is where the SNS and SQS of a dev worker listen unless told otherwise.
const DefaultDevAddr = "127.0.0.1:4566"

// devRegion and devAccount are those of every dev worker: what tests and examples expect.
const (
	devRegion  = "us-east-1"
	devAccount = "000000000000"
)

// devSeed is where a nasty dev worker begins: each draws the same.
const devSeed = 1

// Receivers names the receivers of a dev worker, for TellDev.
func Receivers() []string { return receivers.Names() }

// Arrival is what reached one of the dev worker's receivers.
type Arrival struct {
	// Kind is "mail", "webhook" or "event", ID the message's stable id.
	Kind, ID string
	// To is whom it is for, Summary what it says in a few words.
	To, Summary string
	// Duplicate: the same ID came before.
	Duplicate bool
}

// DevOptions adjust a dev worker.
type DevOptions struct {
	// Addr is where its SNS and SQS listen; empty is DefaultDevAddr.
	Addr string
	// Nasty makes its SNS and SQS as slow and as inexact as AWS may be: see localaws.Nasty.
	Nasty bool
	// Arrived is called for each mail, webhook and event; nil when nobody looks.
	Arrived func(Arrival)
}

// Dev is an SNS and SQS in this process, with receivers for what the bundled jobs send.
type Dev struct {
	o         Options
	info      DevInfo
	server    *localaws.Server
	http      *http.Server
	receivers *receivers.Receivers
	control   *control
}

// StartDev starts the embedded SNS and SQS and the receivers. Close it at the end.
func StartDev(ctx context.Context, o Options, dev DevOptions) (*Dev, error) {
	o.fill()
	if dev.Addr == "" {
		dev.Addr = DefaultDevAddr
	}
	if _, err := devPort(dev.Addr); err != nil {
		return nil, err
	}
	// The jobs of plugins deliver to the receivers too.
	if _, err := loadWithJobs(&o); err != nil {
		return nil, err
	}
	aws := localaws.Options{Region: devRegion, Account: devAccount}
	if dev.Nasty {
		aws.Nasty = localaws.Nastiest(devSeed)
	}
	carrier := newDevCarrier()
	aws.Deliver = carrier
	d := &Dev{server: localaws.New(aws)}
	l, err := d.serve(ctx, dev.Addr)
	if err != nil {
		return nil, err
	}
	d.info = DevInfo{Endpoint: "http://" + l.Addr().String(), Region: devRegion, Account: devAccount}
	d.receivers, err = receivers.Start(receivers.Options{Print: func(a receivers.Arrival) {
		if dev.Arrived != nil {
			dev.Arrived(Arrival{Kind: a.Kind, ID: a.ID, To: a.To, Summary: a.Summary, Duplicate: a.Duplicate})
		}
	}})
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	port, err := devPort(l.Addr().String())
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	over := d.settings(o.Jobs)
	if d.control, err = serveControl(ctx, port, devAnswer{d.info, over}, d.act); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	o.embedded, o.nasty = true, dev.Nasty
	o.AWS = localConfig(d.server.Transport(), d.info.Endpoint, devRegion)
	o.reach, o.certificates = carrier.reach, d.server.Transport()
	o.layers = append(o.layers, config.Layer{Origin: "dev", Values: over})
	d.o = o
	return d, nil
}

func (d *Dev) serve(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for SNS and SQS on %s: %w", addr, portFix(err, "--aws-addr"))
	}
	d.http = &http.Server{Handler: d.server, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = d.http.Serve(l) }() // it ends when it is closed
	return l, nil
}

// settings points the bundled jobs at the receivers, where they are registered.
func (d *Dev) settings(r *jobs.Registry) map[string]any {
	all := map[string]map[string]any{
		"email": {"smtp_addr": d.receivers.MailAddr(), "tls": "none"},
		"webhook": {
			"url": d.receivers.WebhookURL(), "secret": d.receivers.WebhookSecret(), "allow_private": true,
		},
		"analytics": {"collector_url": d.receivers.CollectorURL(), "allow_private": true},
	}
	over := map[string]any{}
	for job, values := range all {
		definition, registered := r.Lookup(job)
		if !registered {
			continue
		}
		known := map[string]any{}
		settings := definition.Settings()
		for key, value := range values {
			// Somebody else's job may be called email too.
			if settings != nil && slices.Contains(settingKeys(settings), key) {
				known[key] = value
			}
		}
		if len(known) > 0 {
			over[job] = known
		}
	}
	if len(over) == 0 {
		return nil
	}
	return map[string]any{"jobs": over}
}

func (d *Dev) act(verb, name string) error {
	switch verb {
	case "break":
		return d.receivers.Break(name)
	case "mend":
		return d.receivers.Mend(name)
	}
	return fmt.Errorf("%q: must be break or mend", verb)
}

// Info says where the embedded SNS and SQS are.
func (d *Dev) Info() DevInfo { return d.info }

// Worker makes the worker for this SNS and SQS: its topology is applied.
func (d *Dev) Worker(ctx context.Context) (*Worker, error) { return New(ctx, d.o) }

// Apply applies the topology of the configuration, without a worker.
func (d *Dev) Apply(ctx context.Context) error {
	loaded, err := load(&d.o)
	if err != nil {
		return err
	}
	return lay(ctx, topologyOf(loaded.Config), awsapi.New(*d.o.AWS, awsapi.Options{}), topology.Account{Partition: "aws", Region: devRegion, ID: devAccount})
}

// Close ends the embedded SNS and SQS and the receivers.
func (d *Dev) Close() error {
	if d.control != nil {
		d.control.close()
	}
	var errs []error
	if d.http != nil {
		errs = append(errs, d.http.Close())
	}
	errs = append(errs, d.server.Close())
	if d.receivers != nil {
		errs = append(errs, d.receivers.Close())
	}
	return errors.Join(errs...)
}
