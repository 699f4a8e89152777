package doctor_test

import (
	"testing"
	"testing/synctest"

	"github.com/stationmaster/worker/internal/theirs"
	"github.com/stationmaster/worker/localaws"
)

// other is the server of somebody else while TestLocalStack runs, and nil for the embedded one.
var other *theirs.Server

// world runs a test where time passes at once; on the server of somebody else it passes as it does.
func world(t *testing.T, test func(*testing.T)) {
	t.Helper()
	if other == nil {
		synctest.Test(t, test)
		return
	}
	test(t)
}

// TestLocalStack runs the derailments, and what else does not need the embedded server, on the one that
// the environment names. They begin with nothing there, so each empties the server: it must be ours.
func TestLocalStack(t *testing.T) {
	other = theirs.Open(t, "doctor")
	t.Cleanup(func() { other = nil })
	k := newKit(t, localaws.Options{})
	for name, test := range map[string]func(*testing.T){
		"TestEachLossIsNamedAndMended": TestEachLossIsNamedAndMended,
		"TestPendingSubscription":      TestPendingSubscription,
		"TestNothingApplied":           TestNothingApplied,
		"TestCanary":                   TestCanary,
		"TestBriefLook":                TestBriefLook,
	} {
		t.Run(name, test)
	}
	other.Empty(t, k.Client)
}
