package dlqreplay

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stationmaster/worker/internal/journal"
)

const (
	journalEnd = ".jsonl"
	planEnd    = ".json"
	// named is how many journals or plans an error names.
	named = 5
)

var (
	alphabet  = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)
	idPattern = regexp.MustCompile(`^[rp]-[0-9a-z]{1,26}$`)
)

// Store keeps journals and plans in a folder of this machine.
type Store struct{ Dir string }

// newID returns a prefix and n random characters.
func newID(prefix string, n int) string {
	random := make([]byte, n) // more than enough bits for n characters of five
	rand.Read(random)         // it never fails
	return prefix + alphabet.EncodeToString(random)[:n]
}

func (s Store) open() error {
	if s.Dir == "" {
		return errors.New("no folder for journals and plans is set")
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return fmt.Errorf("folder for journals and plans: %w", err)
	}
	return nil
}

func (s Store) path(id, end string) string { return filepath.Join(s.Dir, id+end) }

// Begin begins the journal of a run, and chooses its ReplayID when the header has none.
func (s Store) Begin(h Header) (*Journal, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	h.V = HeaderVersion
	if h.Started.IsZero() {
		h.Started = time.Now().UTC()
	}
	chosen := h.ReplayID != ""
	for {
		if !chosen {
			h.ReplayID = newID("r-", 8)
		}
		path := s.path(h.ReplayID, journalEnd)
		log, err := journal.Create(path)
		if errors.Is(err, fs.ErrExist) && !chosen {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("begin journal: %w", err)
		}
		j := &Journal{id: h.ReplayID, path: path, log: log}
		if err := j.append(entry{Run: &h}); err != nil {
			_ = log.Close() // it says the same
			return nil, errors.Join(err, os.Remove(path))
		}
		return j, nil
	}
}

// Resume opens the journal of an earlier run to go on with it, and tells what that run did.
func (s Store) Resume(id string) (*Journal, *Past, error) {
	path, err := s.find(id, journalEnd)
	if err != nil {
		return nil, nil, err
	}
	past := newPast()
	log, err := journal.Open(path, past.line)
	if err != nil {
		return nil, nil, fmt.Errorf("resume %s: %w", id, err)
	}
	if err := past.begun(path); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("resume %s: %w", id, err), log.Close())
	}
	return &Journal{id: id, path: path, log: log}, past, nil
}

// Read tells what a run did, or has done so far.
func (s Store) Read(id string) (*Past, error) {
	path, err := s.find(id, journalEnd)
	if err != nil {
		return nil, err
	}
	past, err := readPast(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", id, err)
	}
	return past, nil
}

// SavePlan keeps a plan, and gives it its ID.
func (s Store) SavePlan(p *Plan) error {
	if err := s.open(); err != nil {
		return err
	}
	for n := 4; ; n = min(n+1, 6) {
		p.ID = newID("p-", n)
		text, err := json.Marshal(p)
		if err != nil {
			return fmt.Errorf("save plan: %w", err)
		}
		err = writeNew(s.path(p.ID, planEnd), append(text, '\n'))
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			p.ID = ""
			return fmt.Errorf("save plan: %w", err)
		}
		return nil
	}
}

// LoadPlan returns a plan that was kept.
func (s Store) LoadPlan(id string) (*Plan, error) {
	path, err := s.find(id, planEnd)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("load plan: %w", err)
	}
	var p Plan
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("load plan %s: %s: %w: scan again for a new plan", id, path, err)
	}
	if p.ID != id {
		return nil, fmt.Errorf("load plan %s: %s holds plan %q: scan again for a new plan", id, path, p.ID)
	}
	return &p, nil
}

// find returns the path of what id names; the error names what there is.
func (s Store) find(id, end string) (string, error) {
	kind := "journal"
	if end == planEnd {
		kind = "plan"
	}
	if idPattern.MatchString(id) { // anything else could be a path out of the folder
		path := s.path(id, end)
		_, err := os.Stat(path)
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%s %s: %w", kind, id, err)
		}
	}
	there, err := s.names(end)
	if err != nil {
		return "", err
	}
	if len(there) == 0 {
		return "", fmt.Errorf("no %s %q: there is none in %s: %s are kept on the machine that made them", kind, id, s.Dir, kind+"s")
	}
	more := ""
	if len(there) > named {
		more = fmt.Sprintf(" and %d older", len(there)-named)
		there = there[:named]
	}
	return "", fmt.Errorf("no %s %q in %s: there are %s%s", kind, id, s.Dir, strings.Join(there, ", "), more)
}

// names returns the ids that there are files of, latest first.
func (s Store) names(end string) ([]string, error) {
	entries, err := os.ReadDir(s.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("folder for journals and plans: %w", err)
	}
	type found struct {
		id string
		at time.Time
	}
	var all []found
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), end)
		if !ok || !idPattern.MatchString(id) {
			continue
		}
		if info, err := e.Info(); err == nil { // what is gone since is not there
			all = append(all, found{id, info.ModTime()})
		}
	}
	slices.SortFunc(all, func(a, b found) int { return b.at.Compare(a.at) })
	ids := make([]string, len(all))
	for i, f := range all {
		ids[i] = f.id
	}
	return ids, nil
}
