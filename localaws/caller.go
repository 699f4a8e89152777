package localaws

import (
	"net/http"
	"strings"

	"github.com/stationmaster/worker/internal/iampolicy"
)

// accountOf is the account that an access key names: its 12 digits, which may stand behind the prefix
// of a real key so that clients that look at its form take it. Empty: it names none.
func accountOf(key string) string {
	if len(key) == len("AKIA")+12 && (strings.HasPrefix(key, "AKIA") || strings.HasPrefix(key, "ASIA")) {
		key = key[len("AKIA"):]
	}
	if len(key) != 12 || strings.Trim(key, "0123456789") != "" {
		return ""
	}
	return key
}

// identify takes any credentials: account, region and service are those of their signature, which
// may stand in the header or, of a presigned request, in the URL:
// AWS4-HMAC-SHA256 Credential=AKID/20260131/eu-west-1/sqs/aws4_request, SignedHeaders=… and more.
func (c *call) identify(r *http.Request) {
	if region := regionOf(c.host); region != "" {
		c.region = region
	}
	credential := ""
	if signed := r.Header.Get("Authorization"); signed != "" {
		_, credential, _ = strings.Cut(signed, "Credential=")
		credential, _, _ = strings.Cut(credential, ",")
	} else if strings.Contains(r.URL.RawQuery, "X-Amz-Credential=") {
		credential = r.URL.Query().Get("X-Amz-Credential")
	} else {
		c.anonymous = true
		return
	}
	scope := strings.Split(credential, "/")
	if account := accountOf(scope[0]); account != "" {
		c.account = account
	}
	if len(scope) >= 5 {
		c.scope = scope[3]
		if scope[2] != "" {
			c.region = scope[2]
		}
	}
}

// regionOf is the region that a host names as AWS's do: sqs.eu-west-1.…, sns.eu-west-1.… and the
// legacy eu-west-1.queue.…; empty when it names none.
func regionOf(host string) string {
	labels := strings.SplitN(host, ".", 4)
	switch {
	case len(labels) < 3:
		return ""
	case labels[0] == "sqs" || labels[0] == "sns" || labels[0] == "sts":
		if strings.Count(labels[1], "-") >= 2 {
			return labels[1]
		}
	case labels[1] == "queue" && strings.Count(labels[0], "-") >= 2:
		return labels[0]
	}
	return ""
}

// authorize asks for credentials where AWS does. Queues can be open to everybody: whether this one
// is, its policy says.
func (c *call) authorize() error {
	if !c.anonymous || c.def != nil && (c.def.open || c.service == "sqs" && !iampolicy.OwnersOnly(c.action)) {
		return nil
	}
	return &apiError{Status: http.StatusForbidden, Code: "MissingAuthenticationToken", Message: "Request is missing Authentication Token"}
}
