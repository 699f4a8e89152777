package cli

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/stationmaster/worker/topology"
	"github.com/stationmaster/worker/worker"
)

// unwanted is how what is to be deleted is told to machines.
type unwanted struct {
	Kind  string `json:"kind"`
	Name  string `json:"name"`
	Why   string `json:"why"`
	Holds string `json:"holds,omitempty"`
	Held  int64  `json:"held"`
	Kept  string `json:"kept,omitempty"`
}

func unwantedOf(d topology.Doomed) unwanted {
	return unwanted{d.Kind, d.Name, d.Why, d.Holds, d.Held, d.Kept}
}

func (s *state) doomed(d topology.Doomed) {
	sign := "-"
	if d.Kept != "" {
		sign = "="
	}
	s.printf("%s %-12s  %s: delete\n                because %s\n", sign, d.Kind, d.Name, d.Why)
	for _, line := range []string{d.Holds, d.Kept} {
		if line != "" {
			s.printf("                %s\n", line)
		}
	}
}

// deletions counts what does not stay.
func deletions(doomed []topology.Doomed) (n int) {
	for _, d := range doomed {
		if d.Kept == "" {
			n++
		}
	}
	return n
}

// prune shows what is no longer wanted, asks, and deletes it.
func (s *state) prune(ctx context.Context, o *worker.Operator, yes bool) error {
	doomed, err := o.Unwanted(ctx)
	if err != nil {
		return err
	}
	for _, d := range doomed {
		if s.json {
			if err := s.encode(unwantedOf(d)); err != nil {
				return err
			}
			continue
		}
		s.doomed(d)
	}
	n := deletions(doomed)
	switch {
	case n == 0:
		if !s.json {
			s.printf("nothing to delete\n")
		}
		return nil
	case yes:
		// Nobody who has not looked may throw messages away.
		if full := holding(doomed); len(full) > 0 {
			return usagef(s.name+" topology apply --prune", "--yes deletes no messages: nothing was deleted, since there are some in %s; "+
				"take them out first, or answer the question without --yes", strings.Join(full, ", "))
		}
	default:
		if !s.sure(fmt.Sprintf("delete %s for good? Type yes: ", count(n, "thing"))) {
			return usagef(s.name+" topology apply --prune --yes", "nothing was deleted")
		}
	}
	w := &waits{s: s}
	err = o.Prune(ctx, doomed, w.step)
	w.end()
	return err
}

// holding are the names of the queues that would be deleted with messages in them.
func holding(doomed []topology.Doomed) (names []string) {
	for _, d := range doomed {
		if d.Kept == "" && d.Kind == "queue" && d.Held > 0 {
			names = append(names, d.Name)
		}
	}
	return names
}

// sure wants a yes in full. Nobody who is not there is sure.
func (s *state) sure(question string) bool {
	fmt.Fprint(s.stderr, question)
	if s.stdin == nil {
		return false
	}
	answer, err := bufio.NewReader(s.stdin).ReadString('\n')
	if err != nil && answer == "" {
		fmt.Fprintln(s.stderr)
		return false
	}
	return strings.TrimSpace(answer) == "yes"
}
