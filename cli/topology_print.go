package cli

import (
	"slices"
	"strings"

	"github.com/stationmaster/worker/topology"
)

// change is how a change is told to machines.
type change struct {
	Kind    string   `json:"kind"`
	Name    string   `json:"name"`
	Change  string   `json:"change"`
	Why     string   `json:"why"`
	Details []string `json:"details,omitempty"`
}

// wait is how a wait is told to machines, in seconds.
type wait struct {
	Kind   string  `json:"kind"`
	Name   string  `json:"name"`
	For    string  `json:"for"`
	Waited float64 `json:"waited_seconds"`
	AtMost float64 `json:"at_most_seconds"`
}

func waitOf(c topology.Change) wait {
	return wait{c.Kind, c.Name, c.What, c.Waited.Seconds(), c.AtMost.Seconds()}
}

func changeOf(c topology.Change) change { return change{c.Kind, c.Name, c.What, c.Why, c.Details} }

func (s *state) changed(c topology.Change) {
	if s.json {
		_ = s.encode(changeOf(c)) // nobody reads
		return
	}
	s.printf("  %-12s  %s: %s\n", c.Kind, c.Name, c.What)
}

// planned prints a plan.
func (s *state) planned(where, addr string, p *topology.Plan, doomed []topology.Doomed, others bool) error {
	if s.json {
		changes, others, unwanted, pending := []change{}, []errand{}, []unwanted{}, []string{}
		for _, c := range p.Changes {
			changes = append(changes, changeOf(c))
		}
		for _, e := range p.Errands {
			others = append(others, errandOf(e))
		}
		for _, d := range doomed {
			unwanted = append(unwanted, unwantedOf(d))
		}
		for _, w := range p.Pending {
			pending = append(pending, w.Error())
		}
		return s.encode(map[string]any{
			"changes": changes, "unchanged": p.Unchanged, "pending": pending, "others": others, "unwanted": unwanted,
		})
	}
	s.printf("plan for %s\n", where)
	for _, c := range p.Changes {
		s.printf("%s %-12s  %s: %s\n", mark(c), c.Kind, c.Name, c.What)
		s.printf("                because %s\n", c.Why)
		for _, line := range c.Details {
			s.printf("                %s\n", line)
		}
	}
	for _, d := range doomed {
		s.doomed(d)
	}
	s.pending(p.Pending)
	if others || len(p.Changes) > 0 {
		s.errands(p.Errands)
	} else if n := len(p.Errands); n > 0 {
		s.printf("others have to see to %s, which cannot be seen from here: %s topology plan --others%s\n", count(n, "thing"), s.name, s.there(addr))
	}
	switch n := deletions(doomed); {
	case len(p.Changes) == 0 && n == 0:
		s.printf("nothing to change: %d as configured\n", p.Unchanged)
	case n > 0:
		s.printf("%s, %d to delete, %d unchanged\n", count(len(p.Changes), "change"), n, p.Unchanged)
	default:
		s.printf("%s, %d unchanged; make them with: %s topology apply%s\n", count(len(p.Changes), "change"), p.Unchanged, s.name, s.there(addr))
	}
	return nil
}

// mark tells what is new from what changes and what goes.
func mark(c topology.Change) string {
	switch {
	case strings.HasPrefix(c.What, "create"), strings.HasPrefix(c.What, "allow"):
		return "+"
	case strings.HasPrefix(c.What, "remove"):
		return "-"
	}
	return "~"
}

func (s *state) applied(r topology.Result, errands []topology.Errand) error {
	if s.json {
		pending := []string{}
		for _, p := range r.Pending {
			pending = append(pending, p.Error())
		}
		return s.encode(map[string]any{"changed": len(r.Changed), "unchanged": r.Unchanged, "pending": pending})
	}
	if len(r.Changed) == 0 {
		s.printf("nothing to change: %d as configured\n", r.Unchanged)
	} else {
		s.printf("%s, %d unchanged\n", count(len(r.Changed), "change"), r.Unchanged)
		s.errands(slices.DeleteFunc(errands, func(e topology.Errand) bool { // what is pending says so itself
			return slices.ContainsFunc(r.Pending, func(p topology.Pending) bool { return e.For == "subscription "+p.Name })
		}))
	}
	for _, p := range r.Pending {
		if p.People() {
			s.pending([]topology.Pending{p})
		}
	}
	return nil
}

func (s *state) pending(all []topology.Pending) {
	for _, p := range all {
		s.printf("? %s\n", p.Error())
	}
}

// errand is how one is told to machines.
type errand struct {
	For       string `json:"for"`
	What      string `json:"what"`
	Statement string `json:"statement,omitempty"`
	Command   string `json:"command,omitempty"`
}

func errandOf(e topology.Errand) errand { return errand{e.For, e.What, e.Statement, e.Command} }

func (s *state) errands(all []topology.Errand) {
	if len(all) == 0 {
		return
	}
	s.printf("others have to see to it, as far as can be known from here:\n")
	for _, e := range all {
		s.printf("! %s: %s\n", e.For, e.What)
		for _, line := range []string{e.Statement, e.Command} {
			if line != "" {
				s.printf("    %s\n", line)
			}
		}
	}
}
