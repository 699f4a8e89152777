package cli

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/stationmaster/worker/worker"
)

func (s *state) mapCommand() *cobra.Command {
	var mermaid bool
	cmd := &cobra.Command{
		Use: "map", Short: "Draw the stations, tracks and yards of the configuration",
		Long: `Draw the configuration: topics are stations, subscriptions are the tracks that leave them,
and dead-letter queues the yards for what cannot be processed, or not even delivered.
AWS is not asked.`,
		Example: example("worker topology map", "worker topology map --mermaid", "worker topology map --json"),
		Args:    want(),
		RunE: func(*cobra.Command, []string) error {
			n, err := worker.Map(s.workerOptions())
			switch {
			case err != nil:
				return err
			case s.json:
				return s.encode(n)
			case mermaid:
				s.printf("%s", mermaidOf(n))
			default:
				s.printf("%s", drawingOf(n, s.pageWidth()))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&mermaid, "mermaid", false, "print a Mermaid flowchart, for a README or a wiki")
	return cmd
}

// drawing is the map for a terminal, no line of it wider than width.
type drawing struct {
	strings.Builder
	width int
}

// together is a space that a line is not broken at.
const together = "\u00a0"

// drawingOf is the map for a terminal of so many columns.
func drawingOf(n *worker.Network, width int) string {
	d := &drawing{width: width}
	for _, t := range n.Topics {
		d.line("◉ ", "  ", t.Name+about(map[string]bool{"FIFO": t.FIFO, "somebody else's": !t.Ours}))
		d.tracks(t.Tracks)
	}
	if len(n.Sidings) > 0 {
		d.WriteString("○ no topic leads here\n")
		d.tracks(n.Sidings)
	}
	if d.Len() == 0 {
		return "the configuration has no topics and no queues\n"
	}
	legend, between := []string{"◉ station: topic", "─▶ track: subscription", "⌂ yard: dead-letter queue"}, "   "
	if utf8.RuneCountInString(strings.Join(legend, between)) > width {
		between = "\n"
	}
	d.WriteString("\n" + strings.Join(legend, between) + "\n")
	return d.String()
}

func (d *drawing) tracks(tracks []worker.MapTrack) {
	for i, t := range tracks {
		fork, beside := "├─▶ ", "│   "
		if i == len(tracks)-1 {
			fork, beside = "└─▶ ", "    "
		}
		d.line(fork, beside, endOf(t))
		for _, line := range linesOf(t) {
			d.line(beside+"  ", beside+"    ", line)
		}
	}
}

// line writes text behind lead, and what has no room there behind under, which is not shorter. A filter
// goes on below; a name that is too long loses its middle, for its ends tell it from others.
func (d *drawing) line(lead, under, text string) {
	room := d.width - utf8.RuneCountInString(under)
	d.WriteString(lead)
	at, fresh := utf8.RuneCountInString(lead), true
	next := func() {
		d.WriteString("\n" + under)
		at, fresh = d.width-room, true
	}
	for word := range strings.SplitSeq(text, " ") {
		w := []rune(strings.ReplaceAll(word, together, " "))
		if len(w) > room && w[0] != '{' {
			w = withoutMiddle(w, room)
		}
		for len(w) > room { // a filter
			if !fresh {
				next()
			}
			d.WriteString(string(w[:room]))
			w = w[room:]
			next()
		}
		switch {
		case fresh:
		case at+1+len(w) > d.width:
			next()
		default:
			d.WriteByte(' ')
			at++
		}
		d.WriteString(string(w))
		at, fresh = at+len(w), false
	}
	d.WriteByte('\n')
}

// withoutMiddle shortens a name to n runes.
func withoutMiddle(name []rune, n int) []rune {
	head := (n - 1) / 2
	return slices.Concat(name[:head], []rune("…"), name[len(name)-(n-1-head):])
}

// endOf is what a track leads to, and who is there.
func endOf(t worker.MapTrack) string {
	text := t.To
	if t.Protocol != "sqs" && !strings.HasPrefix(t.To, t.Protocol+"://") {
		text = t.Protocol + " " + t.To
	}
	if t.Job != "" {
		text += " ──▶" + together + "job" + together + t.Job
	}
	if t.Slots > 0 {
		text += fmt.Sprintf(together+"×"+together+"%d", t.Slots)
	}
	return text + about(map[string]bool{"raw": t.Raw, "served by this worker": t.Ours && t.Protocol != "sqs", "somebody else's": !t.Ours})
}

// about is what is true of a thing, in brackets.
func about(what map[string]bool) string {
	var all []string
	for _, word := range []string{"FIFO", "raw", "served by this worker", "somebody else's"} {
		if what[word] {
			all = append(all, word)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return " (" + strings.Join(all, ", ") + ")"
}

// linesOf are what passes on a track, and where the rest goes.
func linesOf(t worker.MapTrack) (lines []string) {
	if t.Filter != "" {
		lines = append(lines, "only "+t.Filter+" in the "+t.FilterOn)
	}
	if t.DLQ != "" {
		lines = append(lines, fmt.Sprintf("⌂ %s: what fails for good, or after %d receives", t.DLQ, t.MaxReceives))
	}
	if t.DeliveryDLQ != "" {
		lines = append(lines, "⌂ "+t.DeliveryDLQ+": what SNS cannot deliver")
	}
	return lines
}

// mermaidOf is the map as a Mermaid flowchart.
func mermaidOf(n *worker.Network) string {
	m := &mermaid{ids: map[string]string{}}
	m.b.WriteString("flowchart LR\n")
	for _, t := range n.Topics {
		from := m.node("topic "+t.Name, `(["`, t.Name, `"])`)
		for _, track := range t.Tracks {
			m.track(from, track)
		}
	}
	for _, track := range n.Sidings {
		m.track("", track)
	}
	return m.b.String()
}

// mermaid writes nodes once each.
type mermaid struct {
	b   strings.Builder
	ids map[string]string
}

// quotes keep a label from ending early.
var quotes = strings.NewReplacer(`"`, "#quot;", "\n", " ")

func (m *mermaid) node(key, before, label, after string) (id string) {
	if id, ok := m.ids[key]; ok {
		return id
	}
	id = fmt.Sprintf("n%d", len(m.ids)+1)
	m.ids[key] = id
	fmt.Fprintf(&m.b, "  %s%s%s%s\n", id, before, quotes.Replace(label), after)
	return id
}

func (m *mermaid) edge(from, arrow, label, to string) {
	if label != "" {
		arrow += `|"` + quotes.Replace(label) + `"|`
	}
	fmt.Fprintf(&m.b, "  %s %s %s\n", from, arrow, to)
}

func (m *mermaid) track(from string, t worker.MapTrack) {
	label := t.To
	if t.Protocol != "sqs" && !strings.HasPrefix(t.To, t.Protocol+"://") {
		label = t.Protocol + " " + t.To
	}
	to := m.node(t.Protocol+" "+t.To, `["`, label, `"]`)
	if from != "" {
		m.edge(from, "-->", t.Filter, to)
	}
	if t.Job != "" {
		m.edge(to, "-->", "", m.node("job "+t.Job+" at "+t.To, `{{"`, "job "+t.Job, `"}}`))
	}
	if t.DLQ != "" {
		m.edge(to, "-.->", fmt.Sprintf("fails for good, or %d receives", t.MaxReceives), m.node("queue "+t.DLQ, `[("`, t.DLQ, `")]`))
	}
	if t.DeliveryDLQ != "" && from != "" {
		m.edge(from, "-.->", "cannot be delivered", m.node("queue "+t.DeliveryDLQ, `[("`, t.DeliveryDLQ, `")]`))
	}
}
