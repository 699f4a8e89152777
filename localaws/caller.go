package localaws

import (
	"net/http"
	"regexp"
	"strings"
)

// accountKey is an access key that names its account: its 12 digits, which may stand behind the
// prefix of a real one so that clients that look at its form take it.
var accountKey = regexp.MustCompile(`^(?:AKIA|ASIA)?([0-9]{12})$`)

// authorize takes any credentials, and account and region from the scope of their signature:
// AWS4-HMAC-SHA256 Credential=AKID/20260131/eu-west-1/sqs/aws4_request, SignedHeaders=… and more.
func (c *call) authorize(r *http.Request) error {
	credential := r.URL.Query().Get("X-Amz-Credential")
	if signed := r.Header.Get("Authorization"); signed != "" {
		_, credential, _ = strings.Cut(signed, "Credential=")
		credential, _, _ = strings.Cut(credential, ",")
	} else if credential == "" && c.def != nil && c.def.open {
		c.anonymous = true
		return nil
	} else if credential == "" {
		return &apiError{Status: http.StatusForbidden, Code: "MissingAuthenticationToken", Message: "Request is missing Authentication Token"}
	}
	scope := strings.Split(credential, "/")
	if key := accountKey.FindStringSubmatch(scope[0]); key != nil {
		c.account = key[1]
	}
	if len(scope) >= 5 && scope[2] != "" {
		c.region = scope[2]
	}
	return nil
}
