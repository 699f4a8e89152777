package dlqreplay_test

import (
	"testing"
	"testing/synctest"

	"github.com/stationmaster/worker/dlqreplay"
)

func TestARunMovesEverythingThatWasChosen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.sendPlain(57)
		r := d.run(d.begin())
		if !r.Whole() || r.Selected != 57 || r.To["work"] != 57 || r.Outcome != dlqreplay.Completed {
			t.Errorf("%+v", r)
		}
		d.conserved(57, 0)
		d.holds(0, 0)
	})
}
