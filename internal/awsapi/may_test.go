package awsapi_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
)

// dry are the dry calls, each with the action that is asked for and the one that is called.
var dry = []struct {
	may       func(*awsapi.Queue, context.Context) error
	iam, call string
}{
	{(*awsapi.Queue).MaySend, "sqs:SendMessage", "SendMessageBatch"},
	{(*awsapi.Queue).MayDelete, "sqs:DeleteMessage", "DeleteMessage"},
	{(*awsapi.Queue).MayChangeVisibility, "sqs:ChangeMessageVisibility", "ChangeMessageVisibility"},
}

func contains(text string, all ...string) bool {
	for _, one := range all {
		if !strings.Contains(text, one) {
			return false
		}
	}
	return true
}

func TestDryCallsTouchNothingAndSayNothingWhereAllIsAllowed(t *testing.T) {
	server, c := local(t)
	url, _ := made(t, c, "orders", nil)
	q := c.Queue(url, awsapi.QueueOptions{Visibility: time.Minute})
	if _, errs := q.Send(t.Context(), []queue.Message{{Body: "one"}, {Body: "two"}}); errs != nil {
		t.Fatal(errs)
	}
	if ds, err := q.Receive(t.Context(), 1, time.Second); err != nil || len(ds) != 1 {
		t.Fatal(ds, err)
	}
	for _, d := range dry {
		asked := faulty(server, d.call, nil)
		if err := d.may(q, t.Context()); err != nil {
			t.Errorf("%s: %v", d.iam, err)
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("%s: %d requests, want 1", d.iam, n)
		}
	}
	counts, err := c.QueueCounts(t.Context(), url)
	if err != nil || counts.Visible != 1 || counts.InFlight != 1 {
		t.Errorf("counts %+v, %v, want one visible and one in flight as before", counts, err)
	}
}

// TestADeniedCallerIsRefusedBeforeWhatHeAsksForIsLookedAt: a queue's policy that denies one action.
func TestADeniedCallerIsRefusedBeforeWhatHeAsksForIsLookedAt(t *testing.T) {
	for _, denied := range dry {
		_, c := local(t)
		url, arn := made(t, c, "orders", nil)
		policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":%q,"Resource":%q}]}`, denied.iam, arn)
		if err := c.SetQueueAttributes(t.Context(), url, map[string]string{"Policy": policy}); err != nil {
			t.Fatal(err)
		}
		for _, d := range dry {
			err := d.may(c.Queue(url, awsapi.QueueOptions{}), t.Context())
			if d.iam != denied.iam {
				if err != nil {
					t.Errorf("%s denied, %s asked: %v", denied.iam, d.iam, err)
				}
				continue
			}
			if !errors.Is(err, queue.ErrDenied) || !contains(err.Error(), d.iam+" on orders: access denied: ") || contains(err.Error(), "asks-for-permission") {
				t.Errorf("%s denied: %v", d.iam, err)
			}
		}
	}
}

// TestDryCallsKnowOnlyOfPermissions: whatever else goes wrong says nothing about them.
func TestDryCallsKnowOnlyOfPermissions(t *testing.T) {
	for name, row := range map[string]struct {
		fault  localaws.Fault
		denied bool
	}{
		"an identity's policy":           {localaws.Fault{Status: 400, Code: "AccessDeniedException", Message: "not authorized because no identity-based policy allows it"}, true},
		"an older spelling":              {localaws.Fault{Status: 403, Code: "AccessDenied"}, true},
		"throttled":                      {localaws.Fault{Status: 403, Code: "RequestThrottled"}, false},
		"credentials":                    {localaws.Fault{Status: 403, Code: "ExpiredToken"}, false},
		"broken":                         {localaws.Fault{Status: 500}, false},
		"cut":                            {localaws.Fault{Cut: true}, false},
		"a server that takes everything": {localaws.Fault{Status: 200, Body: "{}"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, c := local(t)
				url, _ := made(t, c, "orders", nil)
				for _, d := range dry {
					faulty(server, d.call, &row.fault)
					if err := d.may(c.Queue(url, awsapi.QueueOptions{}), t.Context()); errors.Is(err, queue.ErrDenied) != row.denied || !row.denied && err != nil {
						t.Errorf("%s: %v", d.iam, err)
					}
				}
			})
		})
	}
}
