package localaws

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"net/http"
	"reflect"
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
		result = map[string]string{"__type": typeOf(e.Code), "message": e.Message}
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

// spaces are the XML namespaces of the services, without the version.
var spaces = map[string]string{
	"sns": "http://sns.amazonaws.com/doc/",
	"sts": "https://sts.amazonaws.com/doc/",
	"sqs": "http://queue.amazonaws.com/doc/",
}

// space is the namespace of an answer. SQS answers an old client in the version that it asked for.
func (c *call) space() string {
	version := map[string]string{"sns": snsVersion, "sts": stsVersion, "sqs": sqsVersion}[c.service]
	if c.service == "sqs" && slices.Contains(sqsVersions, c.version) {
		version = c.version
	}
	if version == "" { // nothing says which service was meant
		return ""
	}
	return spaces[c.service] + version + "/"
}

// encodeXML writes an answer of the Query protocol. SQS puts an XML declaration before it, and an
// empty Detail into errors.
func (c *call) encodeXML(result any, err error) *answer {
	a := &answer{status: http.StatusOK, header: http.Header{}}
	a.header.Set("Content-Type", "text/xml")
	a.header.Set("X-Amzn-Requestid", c.requestID)
	var e xmlEncoder
	if c.service == "sqs" {
		e.WriteString(`<?xml version="1.0"?>`)
	}
	declared := e.Len()
	if errors.Is(err, errNoOperation) {
		a.status, a.body = http.StatusNotFound, []byte("<UnknownOperationException/>\n")
		return a
	}
	if err == nil {
		err = c.encodeResult(&e, result)
	}
	if err != nil {
		e.Truncate(declared)
		a.status = c.encodeError(&e, asAPI(err))
	}
	a.body = e.Bytes()
	return a
}

// encodeResult writes <ActionResponse><ActionResult>…</ActionResult><ResponseMetadata>….
func (c *call) encodeResult(e *xmlEncoder, result any) error {
	e.WriteString("<" + c.action + `Response xmlns="` + c.space() + `">`)
	switch {
	case result == nil:
	case c.service == "sqs":
		e.action = c.action
		if err := e.element(c.action+"Result", func() error { return e.structure(reflect.ValueOf(result)) }); err != nil {
			return err
		}
	default:
		if err := xml.NewEncoder(e).EncodeElement(result, xml.StartElement{Name: xml.Name{Local: c.action + "Result"}}); err != nil {
			return err
		}
	}
	e.WriteString("<ResponseMetadata><RequestId>" + c.requestID + "</RequestId></ResponseMetadata></" + c.action + "Response>")
	return nil
}

func (c *call) encodeError(e *xmlEncoder, err *apiError) (status int) {
	code, message, detail := err.Code, err.Message, ""
	if c.service == "sqs" {
		code, detail = queryCode(err.Code), "<Detail/>"
		if err.Code == "QueueDoesNotExist" {
			message = strings.TrimSuffix(message, ".") + " for this wsdl version."
		}
	}
	e.WriteString("<ErrorResponse")
	if space := c.space(); space != "" {
		e.WriteString(` xmlns="` + space + `"`)
	}
	e.WriteString("><Error><Type>" + err.fault() + "</Type><Code>" + code + "</Code><Message>")
	xml.EscapeText(e, []byte(message)) //nolint:errcheck // a buffer takes everything
	e.WriteString("</Message>" + detail + "</Error><RequestId>" + c.requestID + "</RequestId></ErrorResponse>")
	return err.status()
}

// coral are the errors that belong to no model, by the names that they have in JSON: the framework below
// AWS's services makes them. Source: a remark on AWS's answers in LocalStack's serializer, and for the last
// three what AWS's other JSON services are known to answer.
var coral = map[string]string{
	"InvalidParameterValue": "InvalidParameterValueException",
	"MissingParameter":      "MissingRequiredParameterException",
	"AccessDeniedException": "AccessDeniedException",

	"SerializationException":     "SerializationException",
	"UnknownOperationException":  "UnknownOperationException",
	"MissingAuthenticationToken": "MissingAuthenticationTokenException",
}

// typeOf is the __type of an error in JSON.
func typeOf(code string) string {
	if name := coral[code]; name != "" {
		return "com.amazon.coral.service#" + name
	}
	return "com.amazonaws.sqs#" + code
}

// queryCodes are SQS's errors that had another name in the Query protocol. Source: the awsQueryError
// traits of the SQS model.
var queryCodes = map[string]string{
	"QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue",
	"QueueNameExists":   "QueueAlreadyExists",
	"KmsAccessDenied":   "KMS.AccessDeniedException",
	"KmsThrottled":      "KMS.ThrottlingException",

	"AccessDeniedException": "AccessDenied", // in no model: every service has it
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
