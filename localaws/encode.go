package localaws

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"net/http"
	"slices"
	"strings"
)

// asAPI is the error as a service tells it.
func asAPI(err error) *apiError {
	var e *apiError
	if !errors.As(err, &e) {
		e = &apiError{Status: http.StatusInternalServerError, Code: "InternalFailure", Message: err.Error()}
	}
	return e
}

// encodeJSON writes an answer of SQS: AWS JSON 1.0 with the compatibility header that lets clients
// know errors by the names they had in the Query protocol.
func (c *call) encodeJSON(result any, err error) *answer {
	a := &answer{status: http.StatusOK, header: http.Header{}}
	a.header.Set("Content-Type", "application/x-amz-json-1.0")
	a.header.Set("X-Amzn-Requestid", c.requestID)
	if err != nil {
		e := asAPI(err)
		a.status = e.status()
		a.header.Set("X-Amzn-Query-Error", queryCode(e.Code)+";"+e.fault())
		result = map[string]string{"__type": "com.amazonaws.sqs#" + e.Code, "message": e.Message}
	}
	if result == nil {
		result = struct{}{}
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(result); err != nil {
		a.status = http.StatusInternalServerError
	}
	a.body = bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	return a
}

type xmlError struct {
	XMLName xml.Name `xml:"ErrorResponse"`
	Space   string   `xml:"xmlns,attr"`
	Error   struct {
		Type, Code, Message string
	}
	RequestID string `xml:"RequestId"`
}

// encodeXML writes an answer of the Query protocol.
func (c *call) encodeXML(result any, err error) *answer {
	a := &answer{status: http.StatusOK, header: http.Header{}}
	a.header.Set("Content-Type", "text/xml")
	a.header.Set("X-Amzn-Requestid", c.requestID)
	space := map[string]string{
		"sns": "http://sns.amazonaws.com/doc/" + snsVersion + "/",
		"sts": "https://sts.amazonaws.com/doc/" + stsVersion + "/",
		"sqs": "http://queue.amazonaws.com/doc/" + sqsVersion + "/",
	}[c.service]
	if err == nil {
		if a.body, err = c.encodeResult(space, result); err == nil {
			return a
		}
	}
	e := asAPI(err)
	answer := xmlError{Space: space, RequestID: c.requestID}
	answer.Error.Type, answer.Error.Code, answer.Error.Message = e.fault(), e.Code, e.Message
	a.status = e.status()
	a.body, err = xml.Marshal(answer)
	if err != nil {
		a.status = http.StatusInternalServerError
	}
	return a
}

// encodeResult writes <ActionResponse><ActionResult>…</ActionResult><ResponseMetadata>….
func (c *call) encodeResult(space string, result any) ([]byte, error) {
	var b bytes.Buffer
	e := xml.NewEncoder(&b)
	response := xml.StartElement{
		Name: xml.Name{Local: c.action + "Response"},
		Attr: []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: space}},
	}
	metadata := struct {
		RequestID string `xml:"RequestId"`
	}{c.requestID}
	if err := e.EncodeToken(response); err != nil {
		return nil, err
	}
	if result != nil {
		if err := e.EncodeElement(result, xml.StartElement{Name: xml.Name{Local: c.action + "Result"}}); err != nil {
			return nil, err
		}
	}
	if err := e.EncodeElement(metadata, xml.StartElement{Name: xml.Name{Local: "ResponseMetadata"}}); err != nil {
		return nil, err
	}
	if err := e.EncodeToken(response.End()); err != nil {
		return nil, err
	}
	if err := e.Flush(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// queryCodes are SQS's errors that had another name in the Query protocol. Source: the awsQueryError
// traits of the SQS model.
var queryCodes = map[string]string{
	"QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue",
	"QueueNameExists":   "QueueAlreadyExists",
	"KmsAccessDenied":   "KMS.AccessDeniedException",
	"KmsThrottled":      "KMS.ThrottlingException",
}

// prefixed are those whose name only got a prefix.
var prefixed = []string{
	"BatchEntryIdsNotDistinct", "BatchRequestTooLong", "EmptyBatchRequest", "InvalidBatchEntryId",
	"MessageNotInflight", "PurgeQueueInProgress", "QueueDeletedRecently", "TooManyEntriesInBatchRequest",
	"UnsupportedOperation",
}

func queryCode(code string) string {
	if old := queryCodes[code]; old != "" {
		return old
	}
	if slices.Contains(prefixed, code) {
		return "AWS.SimpleQueueService." + code
	}
	return code
}

// describe tells a control function what a call is about.
func (c *call) describe() *Request {
	r := &Request{Service: c.service, Action: c.action, Region: c.region, Header: c.header, Body: c.body}
	if c.form != nil {
		r.Target = c.form.Get("TopicArn")
		for _, key := range slices.Sorted(func(yield func(string) bool) {
			for key := range c.form {
				if strings.HasPrefix(key, "PublishBatchRequestEntries.member.") && strings.HasSuffix(key, ".Id") && !yield(key) {
					return
				}
			}
		}) {
			r.Entries = append(r.Entries, c.form.Get(key))
		}
		return r
	}
	var body struct {
		QueueURL string `json:"QueueUrl"`
		Entries  []struct {
			ID string `json:"Id"`
		}
	}
	if err := json.Unmarshal(c.body, &body); err != nil {
		return r // the action itself will say what is wrong with it
	}
	r.Target = body.QueueURL
	for _, entry := range body.Entries {
		r.Entries = append(r.Entries, entry.ID)
	}
	return r
}
