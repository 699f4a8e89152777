package localaws_test

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stationmaster/worker/localaws"
)

// queryKit speaks the Query protocol to a server by hand, as a client of the time before JSON did.
type queryKit struct {
	*localaws.Server

	key, service, region string
}

func newQueryKit(s *localaws.Server) *queryKit {
	return &queryKit{Server: s, key: "AKID", service: "sqs", region: "us-east-1"}
}

// answered is what came back.
type answered struct {
	status int
	text   string
	header http.Header
}

func (a answered) says(parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(a.text, part) {
			return false
		}
	}
	return true
}

// element is the text of the first element of a name, however deep; "" when there is none.
func (a answered) element(t *testing.T, name string) string {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(a.text))
	for {
		token, err := d.Token()
		if err != nil {
			return ""
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == name {
			var content string
			if err := d.DecodeElement(&content, &start); err != nil {
				t.Fatal(err)
			}
			return content
		}
	}
}

// form makes a form of names and values.
func form(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

// post sends an action as a form.
func (k *queryKit) post(t *testing.T, address, action string, pairs ...string) answered {
	t.Helper()
	v := form(pairs...)
	v.Set("Action", action)
	if !v.Has("Version") {
		v.Set("Version", "2012-11-05")
	}
	r := k.request(t, http.MethodPost, address, v.Encode())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	return k.do(t, r)
}

// get sends parameters in the query string, signed in the header.
func (k *queryKit) get(t *testing.T, address string, pairs ...string) answered {
	t.Helper()
	r := k.request(t, http.MethodGet, address, "")
	r.URL.RawQuery = form(pairs...).Encode()
	return k.do(t, r)
}

func (k *queryKit) request(t *testing.T, method, address, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if k.key != "" {
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+k.key+"/20260131/"+k.region+"/"+k.service+"/aws4_request, SignedHeaders=host, Signature=0")
	}
	return r
}

func (k *queryKit) do(t *testing.T, r *http.Request) answered {
	t.Helper()
	status, text, header := roundTrip(t, k.Server, r)
	return answered{status, text, header}
}

const root = "http://localaws.test/"

// create makes a queue and returns its URL.
func (k *queryKit) create(t *testing.T, name string, pairs ...string) string {
	t.Helper()
	a := k.post(t, root, "CreateQueue", append(pairs, "QueueName", name)...)
	if a.status != http.StatusOK {
		t.Fatalf("create %s: %d %s", name, a.status, a.text)
	}
	return a.element(t, "QueueUrl")
}

// as is a kit with other credentials.
func (k *queryKit) as(key, service string) *queryKit {
	return &queryKit{Server: k.Server, key: key, service: service, region: k.region}
}
