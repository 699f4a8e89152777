package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/internal/config"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

// identifyTimeout bounds the first word with AWS, retries included.
const identifyTimeout = 20 * time.Second

// errNoRegion says that nobody told where the queues are.
var errNoRegion = &exitError{"no AWS region: set AWS_REGION, or a profile that has one with AWS_PROFILE; " +
	"to try this without an account: worker dev", 2}

// awsConfig is where AWS is and who we are: what the caller gave, else AWS's default chain with what
// the configuration says over it.
func awsConfig(ctx context.Context, o *Options, loaded *config.Loaded) (aws.Config, error) {
	if o.AWS != nil {
		return o.AWS.Copy(), nil
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return cfg, fmt.Errorf("load AWS configuration: %w", err)
	}
	if region := loaded.Config.Worker.Region; region != "" {
		cfg.Region = region
	}
	if endpoint := loaded.Config.Worker.Endpoint; endpoint != "" {
		cfg.BaseEndpoint = &endpoint
	}
	if cfg.Region == "" {
		return cfg, errNoRegion
	}
	return cfg, nil
}

// identify asks AWS who we are: ARNs follow from the answer, and a wrong credential or endpoint
// shows here, once, instead of in every loop.
func identify(ctx context.Context, api *awsapi.Client, cfg aws.Config) (topology.Account, error) {
	ctx, cancel := context.WithTimeout(ctx, identifyTimeout)
	defer cancel()
	who, err := api.Identity(ctx)
	if err != nil {
		if cfg.BaseEndpoint != nil && !errors.Is(err, queue.ErrCredentials) && !errors.Is(err, queue.ErrDenied) {
			return topology.Account{}, fmt.Errorf("reach %s, as AWS_ENDPOINT_URL or worker.endpoint says: %w", *cfg.BaseEndpoint, withWay(err))
		}
		return topology.Account{}, withWay(err)
	}
	return topology.Account{Partition: who.Partition, Region: who.Region, ID: who.Account}, nil
}

// withWay adds the way out to an error that concerns all of AWS. Those of credentials and of a
// connection that nobody takes say theirs already.
func withWay(err error) error {
	if errors.Is(err, queue.ErrDenied) {
		return fmt.Errorf("%w; allow it to this worker's role", err)
	}
	for _, class := range []error{queue.ErrCredentials, queue.ErrNotFound, queue.ErrRejected, context.Canceled} {
		if errors.Is(err, class) {
			return err
		}
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		return err
	}
	return fmt.Errorf("%w; check the network, the region and AWS_ENDPOINT_URL", err)
}

// withUnmanaged adds the way out to an error of applying the topology to the embedded server, which
// has nothing that is not made there.
func withUnmanaged(err error) error {
	if errors.Is(err, queue.ErrNotFound) {
		return fmt.Errorf("%w; the embedded SNS and SQS have no queues and topics of others (manage = false): leave them out here", err)
	}
	return err
}

// settleFor is how long what was set on a queue may take to spread. Source: SetQueueAttributes, SQS
// API reference: "up to 60 seconds". Servers that are not AWS need no wait.
func settleFor(cfg aws.Config) time.Duration {
	if isAWS(aws.ToString(cfg.BaseEndpoint)) {
		return time.Minute
	}
	return 0
}

// localClient speaks to the SNS and SQS in this process, without a socket.
type localClient struct{ transport http.RoundTripper }

// Do sends one request. Redirects are not followed: SQS and SNS send none.
func (c *localClient) Do(r *http.Request) (*http.Response, error) { return c.transport.RoundTrip(r) }

// localConfig is the AWS configuration for the embedded server.
func localConfig(transport http.RoundTripper, endpoint, region string) *aws.Config {
	return &aws.Config{
		Region: region, BaseEndpoint: &endpoint, HTTPClient: &localClient{transport},
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	}
}
