package record

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/azml-go/azml"
)

// Audit is one line of the audit log, at "audit/<yyyy-mm-dd>/<writer>-<n>.jsonl".
// It is written before the change is made; a change that fails then leaves a
// second line with the same ID and its Failure.
type Audit struct {
	// ID is the line's own ID.
	ID string `json:"id"`
	// Time is when it happened, by the writer's clock.
	Time time.Time `json:"time"`
	// Who is the user, as user@host.
	Who string `json:"who"`
	// From is the process, as "program[pid]@host".
	From string `json:"from"`
	// Op is the verb: create, update, delete; log for all that somebody logs to
	// a run through a server within an hour.
	Op string `json:"op"`
	// Kind is the kind of resource.
	Kind string `json:"kind"`
	// Name is the resource's name or ID.
	Name string `json:"name"`
	// Detail says what changed, in a few words.
	Detail string `json:"detail,omitempty"`
	// Failure is the class of error of a change that was not made.
	Failure string `json:"failure,omitempty"`
}

// sealedAudit is an Audit as it is stored.
type sealedAudit struct {
	Audit
	// Checksum is the CRC-32C of the line without its end, with eight zeros in
	// its own place, in hexadecimal.
	Checksum string `json:"checksum"`
}

// EncodeAudit gives the line with its end. Errors: ErrInvalid.
func EncodeAudit(line Audit) ([]byte, error) {
	data, err := json.Marshal(sealedAudit{line, noSum})
	if err != nil {
		return nil, fmt.Errorf("%w: audit: %w", azml.ErrInvalid, err)
	}
	seal(data, sumOfLine)
	return append(data, '\n'), nil
}

// DecodeAudit reads a line without its end. Errors: ErrDamaged.
func DecodeAudit(data []byte) (line Audit, err error) {
	if err := checkSum(data, sumOfLine); err != nil {
		return Audit{}, err
	}
	if err := json.Unmarshal(data, &line); err != nil {
		return Audit{}, fmt.Errorf("%w: %w", azml.ErrDamaged, err)
	}
	return line, nil
}
