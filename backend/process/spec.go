//go:build linux || darwin

package process

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

// spec is what Start tells the supervisor. The zero spec starts nothing.
type spec struct {
	path          string
	args          []string
	dir           string
	env           []string
	leftoverGrace time.Duration
}

// specEnd is the last field: a spec that was cut off by Start's death is told
// from a whole one.
const specEnd = "end"

// encode writes the spec as fields that end with NUL, the one byte that
// neither arguments nor variables can hold.
func (s spec) encode() string {
	fields := []string{s.path, s.dir, s.leftoverGrace.String(), strconv.Itoa(len(s.args))}
	fields = append(fields, s.args...)
	fields = append(fields, s.env...)
	return strings.Join(append(fields, specEnd), "\x00") + "\x00"
}

func readSpec(r io.Reader) (spec, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return spec{}, err
	}
	f := strings.Split(string(data), "\x00")
	if len(f) < 6 || f[len(f)-1] != "" || f[len(f)-2] != specEnd {
		return spec{}, errors.New("the spec was cut off")
	}
	f = f[:len(f)-2]
	grace, err := time.ParseDuration(f[2])
	if err != nil {
		return spec{}, err
	}
	n, err := strconv.Atoi(f[3])
	if err != nil || n < 0 || 4+n > len(f) {
		return spec{}, errors.New("the spec is not whole")
	}
	return spec{path: f[0], dir: f[1], leftoverGrace: grace, args: f[4 : 4+n], env: f[4+n:]}, nil
}
