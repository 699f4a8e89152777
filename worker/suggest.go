package worker

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Suggest writes what feeds a job as the configuration has it: a queue of the job's name, subscribed to
// the first topic that there is, or to one that is called events. It is empty when a queue leads to the
// job already.
func Suggest(o Options, job string) string {
	o.fill()
	var b strings.Builder
	topic := ""
	loaded, err := load(&o)
	if err == nil { // else the faults are told by whoever runs the worker
		for _, s := range specsOf(loaded.Config) {
			if slices.Contains(s.jobNames(), job) {
				return ""
			}
		}
		for _, key := range slices.Sorted(maps.Keys(loaded.Config.Topics)) {
			if !loaded.Config.Topics[key].FIFO {
				topic = key
				break
			}
		}
	}
	if topic == "" {
		topic = "events"
		fmt.Fprintf(&b, "[topics.%s]\n\n", topic)
	}
	fmt.Fprintf(&b, "[queues.%s]\njob = %[1]q\n\n", job)
	fmt.Fprintf(&b, "[[subscriptions]]\ntopic    = %q\nprotocol = \"sqs\"\nendpoint = %q\n", topic, job)
	return b.String()
}
