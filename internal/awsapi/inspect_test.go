package awsapi_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/queue"
)

// recorded answers requests as AWS did, in the shapes of the KMS and CloudWatch API references.
type recorded struct {
	answers  []string
	status   int
	requests []*http.Request
	bodies   []string
}

func (r *recorded) Do(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	r.requests, r.bodies = append(r.requests, request), append(r.bodies, string(body))
	answer := r.answers[0]
	if len(r.answers) > 1 {
		r.answers = r.answers[1:]
	}
	return &http.Response{StatusCode: r.status, Body: io.NopCloser(strings.NewReader(answer)), Request: request}, nil
}

func inspector(r *recorded, region string) *awsapi.Inspector {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return awsapi.NewInspector(aws.Config{Region: region, HTTPClient: r, Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", "token")})
}

func TestInspectorReadsKeys(t *testing.T) {
	r := &recorded{answers: []string{
		`{"KeyMetadata":{"AWSAccountId":"111122223333","Arn":"arn:aws:kms:eu-west-1:111122223333:key/1234abcd","CreationDate":1.499988169234E9,"Enabled":true,"KeyId":"1234abcd","KeyManager":"CUSTOMER","KeyState":"Enabled","KeyUsage":"ENCRYPT_DECRYPT","Origin":"AWS_KMS"}}`,
		`{"Policy":"{\n  \"Version\" : \"2012-10-17\"\n}","PolicyName":"default"}`,
	}}
	i := inspector(r, "eu-west-1")
	k, err := i.Key(t.Context(), "alias/ours")
	if err != nil || k != (awsapi.Key{ARN: "arn:aws:kms:eu-west-1:111122223333:key/1234abcd", State: "Enabled", Manager: "CUSTOMER"}) {
		t.Errorf("got %+v, %v", k, err)
	}
	policy, err := i.KeyPolicy(t.Context(), k.ARN)
	if err != nil || !strings.Contains(policy, `"2012-10-17"`) {
		t.Errorf("got %q, %v", policy, err)
	}
	first := r.requests[0]
	if first.URL.String() != "https://kms.eu-west-1.amazonaws.com/" || first.Header.Get("X-Amz-Target") != "TrentService.DescribeKey" || r.bodies[0] != `{"KeyId":"alias/ours"}` {
		t.Errorf("asked %s %s %s", first.URL, first.Header.Get("X-Amz-Target"), r.bodies[0])
	}
	if a := first.Header.Get("Authorization"); !strings.Contains(a, "/eu-west-1/kms/aws4_request") || first.Header.Get("X-Amz-Security-Token") != "token" {
		t.Errorf("signed %q", a)
	}
}

func TestInspectorFindsAlarms(t *testing.T) {
	alarm := func(name, namespace, metric, dimensions, rest string) string {
		return `<member><AlarmName>` + name + `</AlarmName><ActionsEnabled>true</ActionsEnabled><AlarmActions><member>arn:aws:sns:us-east-1:1:page</member></AlarmActions><Namespace>` +
			namespace + `</Namespace><MetricName>` + metric + `</MetricName><Dimensions>` + dimensions + `</Dimensions>` + rest + `</member>`
	}
	queueIs := func(name string) string {
		return `<member><Name>QueueName</Name><Value>` + name + `</Value></member>`
	}
	page := func(alarms, next string) string {
		return `<DescribeAlarmsResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"><DescribeAlarmsResult><MetricAlarms>` + alarms + `</MetricAlarms>` + next + `</DescribeAlarmsResult></DescribeAlarmsResponse>`
	}
	const visible = "ApproximateNumberOfMessagesVisible"
	r := &recorded{answers: []string{
		page(alarm("one", "AWS/SQS", visible, queueIs("a-dlq"), "")+alarm("other", "AWS/EC2", visible, queueIs("a-dlq"), ""), "<NextToken>more</NextToken>"),
		page(alarm("two", "", "", "", `<Metrics><member><Id>m1</Id><MetricStat><Metric><Namespace>AWS/SQS</Namespace><MetricName>`+visible+`</MetricName><Dimensions>`+queueIs("b-dlq")+`</Dimensions></Metric></MetricStat></member></Metrics>`), ""),
	}}
	i := inspector(r, "cn-north-1")
	for name, want := range map[string]string{"a-dlq": "one", "b-dlq": "two", "c-dlq": ""} {
		found, err := i.AlarmsOn(t.Context(), visible, name)
		got := ""
		if len(found) > 0 {
			got = found[0].Name
		}
		if err != nil || got != want || len(found) > 1 {
			t.Errorf("%s: got %+v, %v, want %q", name, found, err, want)
		}
		if want != "" && (!found[0].Enabled || len(found[0].Actions) != 1) {
			t.Errorf("%s: %+v", name, found[0])
		}
	}
	second, err := url.ParseQuery(r.bodies[1])
	if err != nil || len(r.requests) != 2 || second.Get("NextToken") != "more" || second.Get("Action") != "DescribeAlarms" {
		t.Errorf("asked %d times, then %v", len(r.requests), second)
	}
	if got := r.requests[0].URL.Host; got != "monitoring.cn-north-1.amazonaws.com.cn" {
		t.Errorf("asked %s", got)
	}
}

func TestInspectorClassesErrors(t *testing.T) {
	for answer, want := range map[string]error{
		`{"__type":"NotFoundException","message":"Alias arn:aws:kms:us-east-1:1:alias/x is not found."}`:                         queue.ErrNotFound,
		`{"__type":"com.amazonaws.kms#AccessDeniedException","Message":"User: x is not authorized to perform: kms:DescribeKey"}`: queue.ErrDenied,
		`{"__type":"ThrottlingException"}`: queue.ErrThrottled,
		`<ErrorResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`: queue.ErrDenied,
		`<html>`: queue.ErrRejected,
	} {
		i := inspector(&recorded{answers: []string{answer}, status: http.StatusBadRequest}, "us-east-1")
		if _, err := i.Key(t.Context(), "x"); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", answer, err, want)
		}
		if _, err := i.AlarmsOn(t.Context(), "m", "q"); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", answer, err, want)
		}
	}
}
