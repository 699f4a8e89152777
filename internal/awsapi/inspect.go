package awsapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"

	"github.com/stationmaster/worker/queue"
)

// Inspector reads from KMS and CloudWatch the little that is asked of them. Each call is a plain signed
// request: the SDK's packages of the two services would be larger than the rest of this program.
type Inspector struct {
	cfg    aws.Config
	signer *v4.Signer
	client aws.HTTPClient
	// alarms are those of the region, once they have been read.
	alarms []Alarm
	read   bool
}

// NewInspector makes one of cfg. It is for one goroutine.
func NewInspector(cfg aws.Config) *Inspector {
	i := &Inspector{cfg: cfg, signer: v4.NewSigner(), client: cfg.HTTPClient}
	if i.client == nil {
		i.client = http.DefaultClient
	}
	return i
}

// Key is what KMS tells about a key.
type Key struct {
	ARN, State, Manager string // Manager is "AWS" or "CUSTOMER"
}

// Key describes a key, given by its id, its alias or its ARN.
func (i *Inspector) Key(ctx context.Context, id string) (Key, error) {
	var out struct {
		KeyMetadata struct{ Arn, KeyState, KeyManager string }
	}
	err := i.json(ctx, "TrentService.DescribeKey", map[string]string{"KeyId": id}, &out)
	return Key{ARN: out.KeyMetadata.Arn, State: out.KeyMetadata.KeyState, Manager: out.KeyMetadata.KeyManager}, wrap("describe key", id, err)
}

// KeyPolicy reads the policy of a key, given by its id or its ARN.
func (i *Inspector) KeyPolicy(ctx context.Context, id string) (string, error) {
	var out struct{ Policy string }
	err := i.json(ctx, "TrentService.GetKeyPolicy", map[string]string{"KeyId": id, "PolicyName": "default"}, &out)
	return out.Policy, wrap("read the policy of key", id, err)
}

// Alarm is an alarm of CloudWatch on metrics, by itself or in an expression.
type Alarm struct {
	Name    string   `xml:"AlarmName"`
	Enabled bool     `xml:"ActionsEnabled"`
	Actions []string `xml:"AlarmActions>member"`
	metric
	Parts []metric `xml:"Metrics>member>MetricStat>Metric"`
}

type metric struct {
	Namespace, MetricName string
	Dimensions            []struct{ Name, Value string } `xml:"Dimensions>member"`
}

func (m *metric) is(name, queueName string) bool {
	return m.Namespace == "AWS/SQS" && m.MetricName == name && len(m.Dimensions) == 1 && m.Dimensions[0].Name == "QueueName" && m.Dimensions[0].Value == queueName
}

// mostPages bounds how many alarms are read: a hundred each.
const mostPages = 100

// AlarmsOn returns the alarms on a metric of a queue. All of the region are read once: CloudWatch answers
// more slowly to one question for each queue.
func (i *Inspector) AlarmsOn(ctx context.Context, name, queueName string) (found []Alarm, err error) {
	if !i.read {
		if i.alarms, err = i.allAlarms(ctx); err != nil {
			return nil, wrap("list alarms", "", err)
		}
		i.read = true
	}
	for _, a := range i.alarms {
		if a.is(name, queueName) || slices.ContainsFunc(a.Parts, func(m metric) bool { return m.is(name, queueName) }) {
			found = append(found, a)
		}
	}
	return found, nil
}

func (i *Inspector) allAlarms(ctx context.Context) (all []Alarm, err error) {
	form := url.Values{"Action": {"DescribeAlarms"}, "Version": {"2010-08-01"}, "MaxRecords": {"100"}, "AlarmTypes.member.1": {"MetricAlarm"}}
	for range mostPages {
		var out struct {
			Alarms []Alarm `xml:"DescribeAlarmsResult>MetricAlarms>member"`
			Next   string  `xml:"DescribeAlarmsResult>NextToken"`
		}
		body, err := i.post(ctx, "monitoring", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, []byte(form.Encode()))
		if err != nil {
			return nil, err
		}
		if err := xml.Unmarshal(body, &out); err != nil {
			return nil, fmt.Errorf("decode alarms: %w", err)
		}
		if all = append(all, out.Alarms...); out.Next == "" {
			return all, nil
		}
		form.Set("NextToken", out.Next)
	}
	return nil, fmt.Errorf("more than %d alarms: %w", mostPages*100, queue.ErrThrottled)
}

func (i *Inspector) json(ctx context.Context, target string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	answer, err := i.post(ctx, "kms", map[string]string{"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}, body)
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, out)
}

// mostAnswer bounds what is read of an answer.
const mostAnswer = 4 << 20

// post makes one signed request and returns the answer's body, or the error that it tells.
func (i *Inspector) post(ctx context.Context, service string, headers map[string]string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, i.endpoint(service), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	c, err := (&markedCredentials{i.cfg.Credentials}).Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	if err := i.signer.SignHTTP(ctx, c, r, hex.EncodeToString(sum[:]), service, i.cfg.Region, time.Now()); err != nil {
		return nil, err
	}
	response, err := i.client.Do(r)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer))
	if closeErr := response.Body.Close(); err == nil {
		err = closeErr
	}
	if err == nil && response.StatusCode != http.StatusOK {
		err = apiError(response.StatusCode, answer)
	}
	return answer, err
}

// endpoint is where a service is: what the configuration says, else by its region's partition.
func (i *Inspector) endpoint(service string) string {
	suffix := "amazonaws.com"
	if strings.HasPrefix(i.cfg.Region, "cn-") {
		suffix += ".cn"
	}
	if i.cfg.BaseEndpoint != nil && !strings.Contains(*i.cfg.BaseEndpoint, ".amazonaws.com") {
		return *i.cfg.BaseEndpoint
	}
	return "https://" + service + "." + i.cfg.Region + "." + suffix + "/"
}

// apiError reads the error of an answer, in JSON or in XML.
func apiError(status int, answer []byte) error {
	var inJSON struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	var inXML struct {
		Code    string `xml:"Error>Code"`
		Message string `xml:"Error>Message"`
	}
	e := &smithy.GenericAPIError{Code: fmt.Sprintf("HTTP%d", status), Fault: smithy.FaultClient}
	switch {
	case json.Unmarshal(answer, &inJSON) == nil && inJSON.Type != "":
		e.Code, e.Message = inJSON.Type[strings.LastIndexByte(inJSON.Type, '#')+1:], inJSON.Message
	case xml.Unmarshal(answer, &inXML) == nil && inXML.Code != "":
		e.Code, e.Message = inXML.Code, inXML.Message
	case status >= http.StatusInternalServerError:
		e.Fault = smithy.FaultServer
	}
	return e
}
