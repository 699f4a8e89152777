package worker

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/stationmaster/worker/internal/pause"
	"github.com/stationmaster/worker/queue"
)

// watchEvery is how often the queue's own settings are read again: four requests an hour, beside the
// 180 receives of an idle queue.
const watchEvery = 15 * time.Minute

// leastRoom is how far maxReceiveCount must be above the attempts: deploys and crashes use up receives
// that were no attempts.
const leastRoom = 3

// watch compares the queue's own settings with what its jobs need, now and then. They are somebody's
// to change while the worker runs.
func (s *station) watch(ctx context.Context, attributes map[string]string) {
	said := s.compare(ctx, attributes, nil)
	for pause.For(ctx, watchEvery) == nil {
		if attributes, err := s.w.api.QueueAttributes(ctx, s.url); err == nil {
			said = s.compare(ctx, attributes, said)
		}
	}
}

// compare tells what does not fit and has not been said; it returns all that does not fit.
func (s *station) compare(ctx context.Context, attributes map[string]string, said []string) []string {
	found := s.mismatches(attributes)
	for _, text := range found {
		if !slices.Contains(said, text) {
			s.log.LogAttrs(ctx, slog.LevelWarn, "queue does not fit its job", slog.String("reason", text))
		}
	}
	return found
}

// mismatches are the settings of the queue that do not fit, each with its way out. Settings that could
// not be read fit.
func (s *station) mismatches(attributes map[string]string) (found []string) {
	own := seconds(attributes["VisibilityTimeout"])
	if s.visibility == 0 && own > 0 && s.timeout > own {
		found = append(found, fmt.Sprintf("the timeout of a job, %v, is longer than the queue's own visibility timeout, %v: a job whose lease cannot be extended runs twice; raise it, or set visibility_timeout", s.timeout, own))
	}
	if most := queue.ReadRedrive(attributes["RedrivePolicy"]).Receives; most > 0 && most < s.retry.Attempts+leastRoom {
		found = append(found, fmt.Sprintf("SQS moves a message after %d receives (maxReceiveCount), and %d attempts need at least %d: deploys use up receives, too; raise it, or lower retry.attempts",
			most, s.retry.Attempts, s.retry.Attempts+leastRoom))
	}
	return found
}

func seconds(text string) time.Duration {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}
