package localaws_test

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/localaws"
)

func TestTheRegistryNamesEveryActionOfTheModels(t *testing.T) {
	listed := map[string][]string{}
	for _, a := range localaws.Actions() {
		listed[a.Service] = append(listed[a.Service], a.Name)
		if a.Does == "" || a.Support == localaws.Partial != (a.Lacks != "") {
			t.Errorf("%s of %s: does %q, %s, lacks %q", a.Name, a.Service, a.Does, a.Support, a.Lacks)
		}
	}
	for service, client := range map[string]any{"sqs": &sqs.Client{}, "sns": &sns.Client{}, "sts": &sts.Client{}} {
		var want []string
		for method := range reflect.TypeOf(client).Methods() {
			if method.Name != "Options" {
				want = append(want, method.Name)
			}
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, listed[service]); diff != "" {
			t.Errorf("actions of %s (-the SDK's, +listed): %s", service, diff)
		}
	}
}

func TestWhatIsNotImplementedSaysSoByName(t *testing.T) {
	k := newSQSKit()
	versions := map[string]string{"sns": "2010-03-31", "sts": "2011-06-15"}
	absent := 0
	for _, a := range localaws.Actions() {
		if a.Support != localaws.Absent {
			continue
		}
		absent++
		if a.Service == "sqs" {
			if status, code, _ := k.raw(t, a.Name, `{}`); status != http.StatusBadRequest || code != "com.amazonaws.sqs#UnsupportedOperation" {
				t.Errorf("%s: %d %s", a.Name, status, code)
			}
			continue
		}
		status, text, _ := roundTrip(t, k.Server, formRequest(t, "AKID", a.Service, "Action="+a.Name+"&Version="+versions[a.Service]))
		if status != http.StatusBadRequest || !strings.Contains(text, "<Code>UnsupportedOperation</Code>") || !strings.Contains(text, a.Name) {
			t.Errorf("%s of %s: %d %s", a.Name, a.Service, status, text)
		}
	}
	if absent == 0 {
		t.Error("nothing is absent: then this test and the word may go")
	}
}

// formRequest is a signed request of the Query protocol, by POST.
func formRequest(t testing.TB, key, service, form string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localaws.test/", strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+key+"/20260131/us-east-1/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	return r
}
