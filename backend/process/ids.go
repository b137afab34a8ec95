//go:build linux || darwin

package process

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/azml-go/azml"
)

// maxID is the greatest length of an ID; maxPlain the greatest for which the
// folder is named like the job: file systems take names of 255 bytes.
const (
	maxID    = 256
	maxPlain = 200
)

// validID tells whether id is one of the seam's IDs. It is checked here
// because an ID becomes a path.
func validID(id string) error {
	const legal = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	if id == "" || len(id) > maxID || id[0] == '.' || strings.Trim(id, legal) != "" {
		return fmt.Errorf("%w: job ID %.300q: want 1 to %d letters, digits, \"-\", \"_\" and \".\", not beginning with \".\"",
			azml.ErrInvalid, id, maxID)
	}
	return nil
}

// folder gives the name of the job's folder: the ID, or for a long one its
// beginning with "~", which no ID holds, and a hash. The record has the ID in
// full, so two IDs of one hash can't be mistaken for each other.
func folder(id string) string {
	if len(id) <= maxPlain {
		return id
	}
	return id[:maxPlain-40] + "~" + hash(id)
}

func hash(text string) string {
	h := fnv.New128a()
	_, _ = h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil))
}
