package pause_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/internal/pause"
)

func TestForWaitsUnlessNobodyWaitsAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := pause.For(t.Context(), time.Minute); err != nil || time.Since(began) != time.Minute {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if err := pause.For(t.Context(), -time.Second); err != nil || time.Since(began) != time.Minute {
			t.Errorf("nothing to wait for: %v after %s", err, time.Since(began))
		}
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		if err := pause.For(ctx, time.Hour); !errors.Is(err, why) || time.Since(began) != time.Minute+time.Second {
			t.Errorf("ended: %v after %s", err, time.Since(began))
		}
		if err := pause.For(ctx, 0); !errors.Is(err, why) {
			t.Errorf("had ended: %v", err)
		}
	})
}
