package publish_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/publish"
	"github.com/stationmaster/worker/queue"
)

const (
	accountID = "000000000000"
	topicARN  = "arn:aws:sns:us-east-1:" + accountID + ":invitations"
)

// kit is the local AWS with a topic and a queue behind it, and a client in front that traces.
type kit struct {
	*publish.Client
	server *localaws.Server
	api    *awsapi.Client
	spans  *tracetest.SpanRecorder
	lost   []localaws.Drop
}

type roundTripper struct{ http.RoundTripper }

func (r roundTripper) Do(request *http.Request) (*http.Response, error) { return r.RoundTrip(request) }

func config(server *localaws.Server) aws.Config {
	return aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://localaws.test"), HTTPClient: roundTripper{server.Transport()},
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
	}
}

// newKit makes a topic called invitations, or what fifo adds to it, subscribed by the queue email.
func newKit(t *testing.T, raw, fifo string) *kit {
	t.Helper()
	k := &kit{server: localaws.New(localaws.Options{}), spans: tracetest.NewSpanRecorder()}
	k.api = awsapi.New(config(k.server), awsapi.Options{})
	k.Client = k.client(publish.Options{})
	k.server.Dropped(func(d localaws.Drop) { k.lost = append(k.lost, d) })
	var kindOfTopic map[string]string
	attributes := map[string]string{"Policy": `{"Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}]}`}
	if fifo != "" {
		kindOfTopic, attributes["FifoQueue"] = map[string]string{"FifoTopic": "true"}, "true"
	}
	if _, err := k.api.CreateQueue(t.Context(), "email"+fifo, attributes, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := k.api.CreateTopic(t.Context(), "invitations"+fifo, kindOfTopic, nil); err != nil {
		t.Fatal(err)
	}
	endpoint := "arn:aws:sqs:us-east-1:" + accountID + ":email" + fifo
	if _, err := k.api.Subscribe(t.Context(), topicARN+fifo, "sqs", endpoint, map[string]string{"RawMessageDelivery": raw}); err != nil {
		t.Fatal(err)
	}
	return k
}

// client makes a client of the kit with further options.
func (k *kit) client(o publish.Options) *publish.Client {
	o.Topics, o.Region, o.Account = k.api, "us-east-1", accountID
	if o.Tracer == nil {
		o.Tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(k.spans))
	}
	return publish.New(o)
}

// queues finds the queues of the kit.
func (k *kit) queues(ctx context.Context, name string) (queue.Sender, error) {
	url, err := k.api.QueueURL(ctx, name, "")
	if err != nil {
		return nil, err
	}
	return k.api.Queue(url, awsapi.QueueOptions{}), nil
}

// received takes what waits in the queue.
func (k *kit) received(t *testing.T, name string) []queue.Delivery {
	t.Helper()
	url, err := k.api.QueueURL(t.Context(), name, "")
	if err != nil {
		t.Fatal(err)
	}
	q := k.api.Queue(url, awsapi.QueueOptions{Visibility: time.Hour})
	// A wait of 0 leaves it to the queue, which does not wait.
	ds, err := q.Receive(t.Context(), 10, 0)
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

// one is the only delivery that waits in the queue email.
func (k *kit) one(t *testing.T) queue.Delivery {
	t.Helper()
	ds := k.received(t, "email")
	if len(ds) != 1 {
		t.Fatalf("%d messages arrived, want 1", len(ds))
	}
	return ds[0]
}

// span is the only span that has ended since the last call.
func (k *kit) span(t *testing.T) sdktrace.ReadOnlySpan {
	t.Helper()
	ended := k.spans.Ended()
	k.spans.Reset()
	if len(ended) != 1 {
		t.Fatalf("%d spans, want 1", len(ended))
	}
	return ended[0]
}

// said are the attributes of a span as text.
func said(s sdktrace.ReadOnlySpan) map[string]string {
	all := map[string]string{}
	for _, a := range s.Attributes() {
		all[string(a.Key)] = a.Value.String()
	}
	return all
}
