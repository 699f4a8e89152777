package dlqreplay

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// HeaderVersion is the version of the journals and export files that this build writes.
const HeaderVersion = 1

// Action is what a run does with dead letters.
type Action string

// Actions of a run.
const (
	ActionReplay  Action = "replay"
	ActionDiscard Action = "discard"
	ActionExport  Action = "export"
	ActionImport  Action = "import"
)

// Header says what a run is: everything that a resume needs to go on as the run began.
type Header struct {
	V        int    `json:"v"`
	ReplayID string `json:"replay_id"`
	Action   Action `json:"action"`
	// DLQ is the queue's name, or the file's of an import.
	DLQ    string `json:"dlq"`
	DLQARN string `json:"dlq_arn,omitempty"`
	FIFO   bool   `json:"fifo,omitempty"`
	// Where is the account and region, or the endpoint.
	Where string `json:"where,omitempty"`
	// By is who ran it, as STS names the caller.
	By       string `json:"by,omitempty"`
	Filter   Filter `json:"filter,omitempty"`
	PlanID   string `json:"plan_id,omitempty"`
	PlanHash string `json:"plan_hash,omitempty"`
	Pace     Pace   `json:"pace"`
	// To is the destination as the operator named it: a queue, a file, or "origin".
	To         string    `json:"to,omitempty"`
	MaxDeaths  int       `json:"max_deaths,omitempty"`
	Limit      int       `json:"limit,omitempty"`
	Check      bool      `json:"check,omitempty"`
	BreakOrder bool      `json:"break_order,omitempty"`
	Started    time.Time `json:"started"`
	Build      string    `json:"build,omitempty"`
	Host       string    `json:"host,omitempty"`
	// Extra holds what only the caller understands, such as more of its flags.
	Extra map[string]string `json:"extra,omitempty"`
}

// Hash is the same for plans that choose the same dead letters of the same queue.
func (p *Plan) Hash() string {
	text, err := json.Marshal(struct {
		DLQ      string   `json:"dlq"`
		Selected []string `json:"selected"`
	}{p.DLQARN, p.Selected})
	if err != nil {
		return "" // strings always encode
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
